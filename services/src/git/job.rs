//! Blocking work off the async threads: so much at once, so long, and not on
//! when nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exomonad_schema::{EffectError, ErrorCode};
use tokio::sync::Semaphore;

use super::task::Task;
use exomonad_core::span;

/// Where jobs run.
#[derive(Debug)]
pub(super) struct Jobs {
    permits: Arc<Semaphore>,
    time_limit: Duration,
}

/// One piece of blocking work, while it runs.
#[derive(Debug)]
pub(super) struct Job {
    cancelled: Arc<AtomicBool>,
    started: Instant,
    time_limit: Duration,
}

impl Jobs {
    pub(super) fn new(max_concurrent: usize, time_limit: Duration) -> Self {
        let permits = max_concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            time_limit,
        }
    }

    /// Does `work` on a blocking thread once it is its turn.
    ///
    /// Dropping the future takes the work out of the queue, or has it stop at
    /// its next [`Job::check`]. Its place stays taken until it really has
    /// stopped, so that there are never more threads at work than allowed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        task: Task,
        work: impl FnOnce(&Task, &Job) -> Result<T, EffectError> + Send + 'static,
    ) -> Result<T, EffectError> {
        let permit =
            self.permits.clone().acquire_owned().await.map_err(|_| {
                EffectError::internal(format!("{}: the host is stopping", task.kind()))
            })?;
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let job = Job {
            cancelled: cancel.0.clone(),
            started: Instant::now(),
            time_limit: self.time_limit,
        };
        let kind = task.kind();
        let span = task.span("libgit2", "internal");
        let inside = span.clone();
        let result = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inside.in_scope(|| work(&task, &job))
        })
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%kind, %error, "a git effect failed in the host");
            Err(EffectError::internal(format!(
                "{kind}: working on the repository failed in the host; its log says more"
            )))
        });
        if let Err(error) = &result {
            span::failed(&span, error.code.name());
        }
        result
    }
}

impl Job {
    /// Whether to go on: nobody has cancelled, and there is time left.
    pub(super) fn check(&self, task: &Task) -> Result<(), EffectError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(task.error(ErrorCode::Cancelled, "the call was cancelled"));
        }
        if self.started.elapsed() > self.time_limit {
            return Err(task.error(
                ErrorCode::Timeout,
                format_args!(
                    "working on the repository took longer than {:?}; ask for less, such as fewer paths",
                    self.time_limit
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
impl Job {
    /// One that nobody cancels, with a minute's time.
    pub(super) fn for_tests() -> Self {
        Self {
            cancelled: Arc::default(),
            started: Instant::now(),
            time_limit: Duration::from_secs(60),
        }
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use exomonad_schema::EffectKind;

    use super::*;

    fn task() -> Task {
        Task::for_tests(EffectKind::GitStatus)
    }

    #[tokio::test]
    async fn work_nobody_waits_for_any_more_stops_and_gives_its_place_back() {
        let jobs = Jobs::new(1, Duration::from_secs(60));
        let (started, has_started) = mpsc::channel();
        let running = jobs.run(task(), move |task, job| {
            started.send(()).unwrap();
            loop {
                job.check(task)?;
            }
            #[allow(unreachable_code, reason = "gives the loop its type")]
            Ok(())
        });
        tokio::select! {
            _ = running => panic!("it ended by itself"),
            _ = tokio::task::spawn_blocking(move || has_started.recv()) => {}
        }
        // With one place this only runs when the job before has stopped.
        assert_eq!(jobs.run(task(), |_, _| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn work_beyond_its_time_is_stopped_with_the_limit_in_the_message() {
        let jobs = Jobs::new(1, Duration::from_millis(5));
        let error = jobs
            .run(task(), |task, job| -> Result<(), _> {
                loop {
                    job.check(task)?;
                }
            })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        assert!(error.message.contains("5ms"), "{error}");
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_the_next_one_runs() {
        let jobs = Jobs::new(1, Duration::from_secs(60));
        let error = jobs
            .run(task(), |_, _| -> Result<(), _> { panic!("a bug") })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert_eq!(jobs.run(task(), |_, _| Ok(1)).await, Ok(1));
    }
}
