//! Activities: effects of a role that the server asks for, for the role's own workflows or for those of any SDK.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exomonad_core::EncodedAnswer;
use exomonad_host::Caller;
use exomonad_host::workflows::remote_history::STEP;
use exomonad_host::workflows::steps::{self, StepSpec};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::TemporalSetAttributes;
use exomonad_schema::effects::workflow::WorkflowSignal;
use exomonad_schema::{CallId, EffectError, EffectRequest, ErrorCode};
use exomonad_telemetry::spans;
use exomonad_temporal::codec::Undecodable;
use exomonad_temporal::payload;
use exomonad_workflow::retry;
use temporalio_protos::coresdk::activity_result::ActivityExecutionResult;
use temporalio_protos::coresdk::activity_task::{
    ActivityCancelReason, Cancel, Start, activity_task,
};
use temporalio_protos::coresdk::{ActivityHeartbeat, ActivityTaskCompletion};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use crate::failure;
use crate::message::{LARGEST, message, one_value};
use crate::worker::RoleWorker;

/// The activities that are under way, by their tokens, with the reason why one has to end.
#[derive(Default)]
pub(crate) struct Activities {
    under_way: Mutex<HashMap<Vec<u8>, watch::Sender<Option<ActivityCancelReason>>>>,
}

impl Activities {
    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, watch::Sender<Option<ActivityCancelReason>>>>
    {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of those that are under way.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Hands back those that are under way: their host ends.
    pub fn hand_back(&self) {
        for stop in self.lock().values() {
            stop.send_replace(Some(ActivityCancelReason::WorkerShutdown));
        }
    }
}

impl RoleWorker {
    /// Takes what the server says about activities.
    pub(crate) fn activity_task(self: &Arc<Self>, token: Vec<u8>, task: activity_task::Variant) {
        match task {
            activity_task::Variant::Start(start) => {
                let (stop, stopped) = watch::channel(None);
                self.activities.lock().insert(token.clone(), stop);
                let worker = self.clone();
                let traceparent = payload::traceparent(&start.header_fields);
                let span = spans::activity(&start.activity_type, traceparent.as_deref());
                let performed = async move {
                    let result = worker.perform(&token, start, stopped).await;
                    worker.activities.lock().remove(&token);
                    worker
                        .complete_activity(message!(ActivityTaskCompletion {
                            task_token: token,
                            result: Some(result),
                        }))
                        .await;
                };
                tokio::spawn(performed.instrument(span));
            }
            activity_task::Variant::Cancel(cancel) => self.cancel_activity(&token, &cancel),
        }
    }

    fn cancel_activity(&self, token: &[u8], cancel: &Cancel) {
        if let Some(stop) = self.activities.lock().get(token) {
            stop.send_replace(Some(cancel.reason()));
        }
    }

    /// Performs an activity, and says meanwhile that it is alive.
    async fn perform(
        &self,
        token: &[u8],
        mut start: Start,
        mut stopped: watch::Receiver<Option<ActivityCancelReason>>,
    ) -> ActivityExecutionResult {
        let decoded = self.codec.decode(&mut start, Undecodable::IsAnError);
        if let Err(error) = decoded.await {
            // Another host may have the key.
            let failure = failure::of_effect(&EffectError::from(error), false, None);
            return ActivityExecutionResult::fail(failure);
        }
        let heartbeat = start.heartbeat_timeout.as_ref();
        let every = Duration::from_millis(payload::millis(heartbeat) / 3);
        let beats = async {
            if every.is_zero() {
                return std::future::pending().await;
            }
            // Most activities end before the first: it would be a request for each.
            let mut beat = tokio::time::interval_at(Instant::now() + every, every);
            loop {
                beat.tick().await;
                self.heartbeat(message!(ActivityHeartbeat {
                    task_token: token.to_vec(),
                }));
            }
        };
        let is_stopped = async {
            let reason = stopped
                .wait_for(Option::is_some)
                .await
                .map(|reason| *reason);
            match reason {
                Ok(reason) => reason,
                Err(_) => std::future::pending().await,
            }
        };
        let name = start.activity_type.clone();
        let step = match self.step(&start) {
            Ok(step) => step,
            Err(error) => {
                return ActivityExecutionResult::fail(failure::of_effect(&error, true, None));
            }
        };
        let id = step_id(&start);
        let performed = async {
            // The workflow sets them itself, once they are known to fit.
            if let Some(attributes) = self.own_request::<TemporalSetAttributes>(&start, &step) {
                let checked = self.temporal.check_attributes(&step.context, &attributes);
                return EncodedAnswer::new(&checked.await);
            }
            // The server knows it by its id, if it is sent again.
            if let Some(signal) = self.own_request::<WorkflowSignal>(&start, &step) {
                let sent = self
                    .workflows
                    .signal(self.role.name(), &signal, Some(id.clone()));
                return EncodedAnswer::new(&sent.await.map(|()| Done {}));
            }
            steps::perform_for(&id, &step, start.attempt > 1).await
        };
        let reason = tokio::select! {
            biased;
            answer = performed => return result(&name, &start, &answer),
            reason = is_stopped => reason,
            () = beats => None,
        };
        use ActivityCancelReason as Reason;
        let why = match reason {
            Some(Reason::WorkerShutdown) => {
                self.handed_back.fetch_add(1, Ordering::Relaxed);
                "the host that performed it has stopped"
            }
            Some(Reason::Paused | Reason::Reset) => "an operator has paused or reset it",
            _ => return ActivityExecutionResult::cancel_from_details(None),
        };
        // Another attempt must not do again what may have happened.
        let is_signal = self.own_request::<WorkflowSignal>(&start, &step).is_some();
        let unknown = (step.class.changes() && !is_signal)
            .then(|| failure::outcome(&steps::unknown(&name)).err())
            .flatten();
        let is_final = unknown.is_some();
        let error = unknown
            .unwrap_or_else(|| EffectError::new(ErrorCode::Unavailable, format!("{name}: {why}")));
        ActivityExecutionResult::fail(failure::of_effect(&error, is_final, None))
    }

    /// The request of a step of an own workflow, if it is this effect's, and granted.
    fn own_request<R: EffectRequest>(&self, start: &Start, step: &StepSpec) -> Option<R> {
        let is_own = start.header_fields.contains_key(STEP);
        step.granted(&self.role.settings).filter(|_| is_own)
    }

    fn step(&self, start: &Start) -> Result<StepSpec, EffectError> {
        let settings = &self.role.settings;
        let id = CallId::random();
        let caller = Caller {
            name: Some(format!("temporal/{}", start.workflow_type)),
            ..Caller::default()
        };
        let request = one_value(&start.input);
        // No request is an empty one.
        let request = match request.get() {
            "null" => "{}",
            request => request,
        };
        StepSpec::elsewhere(
            settings,
            &start.activity_type,
            request.as_bytes(),
            settings.call(id, caller),
        )
    }
}

/// A name of a step that nothing else has, the same for all its attempts.
fn step_id(start: &Start) -> String {
    let run = start.workflow_execution.as_ref();
    let run = run.map_or("", |run| &run.run_id);
    format!("{run}/{}", start.activity_id)
}

fn result(name: &str, start: &Start, answer: &EncodedAnswer) -> ActivityExecutionResult {
    match failure::outcome(answer) {
        Ok(value) if value.get().len() > LARGEST => {
            let error = EffectError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "{name}: its answer has {} bytes, and {LARGEST} is the most that the server keeps",
                    value.get().len()
                ),
            );
            ActivityExecutionResult::fail(failure::of_effect(&error, true, None))
        }
        Ok(value) => ActivityExecutionResult::ok(payload::encode(&value)),
        Err(error) => {
            let (is_final, next_retry) = again(start, &error);
            ActivityExecutionResult::fail(failure::of_effect(&error, is_final, next_retry))
        }
    }
}

/// True if an error ends the activity whatever its policy says, and the milliseconds that the service asks to wait.
fn again(start: &Start, error: &EffectError) -> (bool, Option<i64>) {
    let policy = start.retry_policy.as_ref();
    let is_own = start.header_fields.contains_key(STEP);
    let attempts = policy.map_or(0, |policy| policy.maximum_attempts);
    // A step without a policy of its own has as many attempts as hosts may need, and one for errors.
    if is_own && attempts == 0 {
        return (true, None);
    }
    let names_codes = policy.is_some_and(|policy| {
        let mut types = policy.non_retryable_error_types.iter();
        types.any(|name| !name.starts_with("TemporalTimeout:"))
    });
    let is_final = !retry::may_pass(error.code, names_codes);
    let wait = retry::asked_for(error).and_then(|wait| i64::try_from(wait).ok());
    (is_final, wait.filter(|_| !is_final))
}
