//! Bounded blocking pool with timeout and cancellation.
//!
//! Each job has a thread of its own. One that does not return when its time is over, since the
//! operating system holds it (a pipe that nobody writes to, a file system that is gone), is given
//! up: its call gets an error, its permit goes to the next job, and the thread is left behind. A role that
//! has left many behind gets no more until some have returned.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exomonad_schema::{EffectError, EffectKind, ErrorCode, RoleName};
use tokio::sync::oneshot;

use super::effect_context::EffectContext;
use super::memory::{self, MemoryLimits, Refusal};
use super::permits::{Permit, Permits};
use exomonad_core::{CancelOnDrop, span};

/// Time that a job has to stop by itself when its time is over.
const GRACE: Duration = Duration::from_secs(5);

/// Number of threads that may be left behind for one role.
const MAX_LEFT_BEHIND: usize = 16;

/// A bounded pool of blocking jobs.
#[derive(Debug)]
pub(super) struct BlockingPool {
    permits: Permits,
    time_limit: Duration,
    left_behind: LeftBehind,
}

/// Number of threads that were given up and have not returned, by role.
#[derive(Clone, Debug, Default)]
struct LeftBehind(Arc<Mutex<HashMap<RoleName, usize>>>);

/// A running blocking job.
#[derive(Clone, Debug)]
pub(super) struct Job {
    cancelled: Arc<AtomicBool>,
    started: Instant,
    time_limit: Duration,
}

impl BlockingPool {
    pub(super) fn new(max_concurrent: usize, time_limit: Duration) -> Self {
        Self {
            permits: Permits::new(max_concurrent),
            time_limit,
            left_behind: LeftBehind::default(),
        }
    }

    /// Does `work` on a thread of its own once there is a permit.
    ///
    /// Dropping the future takes the work out of the queue, or has it stop at
    /// its next [`Job::check`], or when libgit2 next asks for much memory. It holds its permit until it
    /// has stopped or was given up, so that there are never more threads at work than allowed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: EffectContext,
        limits: MemoryLimits,
        work: impl FnOnce(&EffectContext, &Job) -> Result<T, EffectError> + Send + 'static,
    ) -> Result<T, EffectError> {
        self.left_behind.check(&context)?;
        let permit = self.permits.acquire(&context).await?;
        let cancel = CancelOnDrop::default();
        let job = Job {
            cancelled: cancel.flag(),
            started: Instant::now(),
            time_limit: self.time_limit,
        };
        let span = context.span("libgit2", "internal");
        let (inside, outer) = (span.clone(), context.clone());
        let (answer, answered) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let started = std::thread::Builder::new()
            .name("git".to_owned())
            .spawn(move || {
                let result = inside.in_scope(|| bounded(&context, &job, limits, work));
                // Nobody may be waiting any more.
                let _ = answer.send(result);
                let _: Result<(), ()> = ended.send(());
            });
        if let Err(error) = started {
            return Err(outer.error(
                ErrorCode::Unavailable,
                format_args!("no thread can be started: {error}; try again"),
            ));
        }
        let (gave_up, given_up) = oneshot::channel::<EffectError>();
        // Checking out a large tree may take its time.
        let patience = if limits.ends_early { 1 } else { 10 };
        let time = self
            .time_limit
            .saturating_mul(patience)
            .saturating_add(GRACE);
        tokio::spawn(self.supervise(outer.clone(), permit, time, has_ended, gave_up));
        let result = tokio::select! {
            biased;
            result = answered => result.unwrap_or_else(|_| Err(failed(outer.kind()))),
            Ok(error) = given_up => Err(error),
        };
        if let Err(error) = &result {
            span::failed(&span, error.code.name());
        }
        result
    }

    /// Holds a job's permit until it has ended or is given up.
    fn supervise(
        &self,
        context: EffectContext,
        permit: Permit,
        time: Duration,
        has_ended: oneshot::Receiver<()>,
        gave_up: oneshot::Sender<EffectError>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let left_behind = self.left_behind.clone();
        async move {
            let mut has_ended = has_ended;
            if tokio::time::timeout(time, &mut has_ended).await.is_ok() {
                return;
            }
            let count = left_behind.add(context.role());
            tracing::error!(
                kind = %context.kind(), role = %context.role(), working_dir = context.working_dir(), count,
                "a git effect does not return, and its thread is left behind: look for a pipe or a file \
                 system that does not answer"
            );
            drop(permit);
            let _ = gave_up.send(context.error(
                ErrorCode::Timeout,
                format_args!(
                    "working on the repository hangs in the operating system, and was given up after {time:?}; \
                     look there for a pipe or a file system that does not answer"
                ),
            ));
            let _ = has_ended.await;
            left_behind.remove(context.role());
            tracing::info!(kind = %context.kind(), role = %context.role(), "a git effect that was given up has returned");
        }
    }
}

/// Does the work within its memory.
fn bounded<T>(
    context: &EffectContext,
    job: &Job,
    limits: MemoryLimits,
    work: impl FnOnce(&EffectContext, &Job) -> Result<T, EffectError>,
) -> Result<T, EffectError> {
    let scope = memory::Scope::enter(limits, job.started + job.time_limit, &job.cancelled);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(context, job)));
    let kind = context.kind();
    let result = result.unwrap_or_else(|_| {
        tracing::error!(%kind, "a git effect failed in the host");
        Err(failed(kind))
    });
    // Where libgit2 got no memory it may say anything, or leave something out.
    match (scope.refusal(), result) {
        (None, result) => result,
        (Some(_), Err(error)) if error.code == ErrorCode::LimitExceeded => Err(error),
        (Some(refusal), _) => Err(refused(context, job, limits, refusal)),
    }
}

fn refused(
    context: &EffectContext,
    job: &Job,
    limits: MemoryLimits,
    refusal: Refusal,
) -> EffectError {
    const MIB: usize = 1 << 20;
    match refusal {
        Refusal::Single(size) => context.error(
            ErrorCode::LimitExceeded,
            format_args!(
                "an object or a file of the repository takes {} MiB of memory, and the host gives {} MiB to \
                 one; `git cat-file --batch-check --batch-all-objects` there shows the sizes of objects",
                size.div_ceil(MIB),
                limits.single / MIB
            ),
        ),
        Refusal::Total => context.error(
            ErrorCode::LimitExceeded,
            format_args!(
                "working on the repository takes more than {} MiB of memory; ask for less, such as fewer paths",
                limits.total / MIB
            ),
        ),
        Refusal::Ended => job.check(context).err().unwrap_or_else(|| failed(context.kind())),
    }
}

fn failed(kind: EffectKind) -> EffectError {
    EffectError::internal(format!(
        "{kind}: working on the repository failed in the host; its log says more"
    ))
}

impl LeftBehind {
    fn check(&self, context: &EffectContext) -> Result<(), EffectError> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(context.role()).copied().unwrap_or_default();
        if count < MAX_LEFT_BEHIND {
            return Ok(());
        }
        Err(context.error(
            ErrorCode::Unavailable,
            format_args!(
                "{count} git effects of role `{}` hang in the operating system, so that no more are begun; \
                 the host's log names their folders",
                context.role()
            ),
        ))
    }

    fn add(&self, role: &RoleName) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(role.clone()).or_default();
        *count += 1;
        *count
    }

    fn remove(&self, role: &RoleName) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(role) {
            *count -= 1;
            if *count == 0 {
                counts.remove(role);
            }
        }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use exomonad_schema::EffectKind;

    use super::*;

    const LIMITS: MemoryLimits = MemoryLimits {
        single: 1 << 20,
        total: 1 << 20,
        ends_early: true,
    };

    fn context() -> EffectContext {
        EffectContext::for_tests(EffectKind::GitStatus)
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_does_not_return_is_given_up_and_the_next_one_runs() {
        let jobs = BlockingPool::new(1, Duration::from_secs(60));
        let mut hanging = Vec::new();
        for _ in 0..MAX_LEFT_BEHIND {
            let (release, held) = mpsc::channel::<()>();
            hanging.push(release);
            let error = jobs
                .run(context(), LIMITS, move |_, _| {
                    let _ = held.recv();
                    Ok(())
                })
                .await
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::Timeout);
            assert!(error.message.contains("was given up"), "{error}");
        }
        let error = jobs
            .run(context(), LIMITS, |_, _| Ok(()))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        // From here on real threads are waited for.
        tokio::time::resume();
        let other = EffectContext::of_role(EffectKind::GitStatus, "other");
        assert_eq!(jobs.run(other, LIMITS, |_, _| Ok(1)).await, Ok(1));

        hanging.clear();
        while jobs.run(context(), LIMITS, |_, _| Ok(2)).await != Ok(2) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_dropped_job_stops_and_returns_its_permit() {
        let jobs = BlockingPool::new(1, Duration::from_secs(60));
        let (started, has_started) = mpsc::channel();
        let running = jobs.run(context(), LIMITS, move |context, job| {
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
        assert_eq!(jobs.run(context(), LIMITS, |_, _| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_beyond_its_time_limit_is_stopped_with_the_limit_in_the_message() {
        let jobs = BlockingPool::new(1, Duration::from_millis(5));
        let error = jobs
            .run(context(), LIMITS, |context, job| -> Result<(), _> {
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
            .run(context(), LIMITS, |_, _| -> Result<(), _> {
                panic!("a bug")
            })
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert_eq!(jobs.run(context(), LIMITS, |_, _| Ok(1)).await, Ok(1));
    }
}
