//! Bounded blocking pool with timeout and cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exomonad_schema::{EffectError, ErrorCode};
use tokio::sync::Semaphore;

use super::effect_context::EffectContext;
use exomonad_core::span;

/// A bounded pool of blocking jobs.
#[derive(Debug)]
pub(super) struct BlockingPool {
    permits: Arc<Semaphore>,
    time_limit: Duration,
}

/// A running blocking job.
#[derive(Debug)]
pub(super) struct Job {
    cancelled: Arc<AtomicBool>,
    started: Instant,
    time_limit: Duration,
}

impl BlockingPool {
    pub(super) fn new(max_concurrent: usize, time_limit: Duration) -> Self {
        let permits = max_concurrent.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            time_limit,
        }
    }

    /// Does `work` on a blocking thread once there is a permit.
    ///
    /// Dropping the future takes the work out of the queue, or has it stop at
    /// its next [`Job::check`]. It holds its permit until it has stopped, so that
    /// there are never more threads at work than allowed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: EffectContext,
        work: impl FnOnce(&EffectContext, &Job) -> Result<T, EffectError> + Send + 'static,
    ) -> Result<T, EffectError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| {
            EffectError::internal(format!("{}: the host is stopping", context.kind()))
        })?;
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let job = Job {
            cancelled: cancel.0.clone(),
            started: Instant::now(),
            time_limit: self.time_limit,
        };
        let kind = context.kind();
        let span = context.span("libgit2", "internal");
        let inside = span.clone();
        let result = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inside.in_scope(|| work(&context, &job))
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
    /// Fails when the job was cancelled or its time is over.
    pub(super) fn check(&self, context: &EffectContext) -> Result<(), EffectError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(context.error(ErrorCode::Cancelled, "the call was cancelled"));
        }
        if self.started.elapsed() > self.time_limit {
            return Err(context.error(
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
    /// A job that nobody cancels, with a minute's time.
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

    fn context() -> EffectContext {
        EffectContext::for_tests(EffectKind::GitStatus)
    }

    #[tokio::test]
    async fn a_dropped_job_stops_and_returns_its_permit() {
        let jobs = BlockingPool::new(1, Duration::from_secs(60));
        let (started, has_started) = mpsc::channel();
        let running = jobs.run(context(), move |context, job| {
            started.send(()).unwrap();
            loop {
                job.check(context)?;
            }
            #[allow(unreachable_code, reason = "gives the loop its type")]
            Ok(())
        });
        tokio::select! {
            _ = running => panic!("it ended by itself"),
            _ = tokio::task::spawn_blocking(move || has_started.recv()) => {}
        }
        // With one permit this only runs when the job before has stopped.
        assert_eq!(jobs.run(context(), |_, _| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_beyond_its_time_limit_is_stopped_with_the_limit_in_the_message() {
        let jobs = BlockingPool::new(1, Duration::from_millis(5));
        let error = jobs
            .run(context(), |context, job| -> Result<(), _> {
                loop {
                    job.check(context)?;
                }
            })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        assert!(error.message.contains("5ms"), "{error}");
    }

    #[tokio::test]
    async fn a_job_that_panics_is_an_error_and_the_next_one_runs() {
        let jobs = BlockingPool::new(1, Duration::from_secs(60));
        let error = jobs
            .run(context(), |_, _| -> Result<(), _> { panic!("a bug") })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert_eq!(jobs.run(context(), |_, _| Ok(1)).await, Ok(1));
    }
}
