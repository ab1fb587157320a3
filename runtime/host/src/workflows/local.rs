//! [`DurableRun`] for [`ActiveRun`]: what the layer of a guest asks of a run in this host's own store.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

use exomonad_core::{CallClient, CallContext, EncodedAnswer};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::workflow::{WorkflowChild, WorkflowSignal};
use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use exomonad_workflow::store::{InboxKind, NewInboxEntry, QuestionRow, Started, within};
use exomonad_workflow::{EventBody, Request, StoreFailure};
use serde_json::json;
use tokio::sync::Notify;

use super::Workflows;
use super::active::{ActiveRun, Performing, RunState, unix_millis};
use super::durable::{ChildStep, DurableRun, RunAbout, Stop, Timer};
use super::questions::{MOST_QUESTIONS, client_of, key_in_run};
use super::steps::{self, StepSpec};
use crate::client::{KeyedQuestion, Parked};
use crate::pipeline::Layer;
use crate::plugins::version::PluginVersion;

impl DurableRun for ActiveRun {
    type State = RunState;

    fn about(&self) -> RunAbout<'_> {
        let row = &self.row;
        RunAbout {
            workflow: &row.workflow,
            workflow_id: &row.workflow_id,
            run_id: &row.run_id,
            input: &row.input,
            state_before: row.state_before.as_deref(),
            configuration: &row.configuration,
            seed: &row.seed,
            client: row.client.as_deref(),
            traceparent: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, RunState> {
        Self::lock(self)
    }

    fn arrived(&self) -> &Notify {
        &self.arrived
    }

    fn attention(&self) -> &Notify {
        &self.attention
    }

    fn workflows(&self) -> &Arc<Workflows> {
        Self::workflows(self)
    }

    fn is_idle(state: &RunState) -> bool {
        state.steps.is_empty()
    }

    fn tell_begun(&self, seq: u64, name: &str, attempt: u32) {
        Self::tell_begun(self, seq, name, attempt);
    }

    fn begin(self: &Arc<Self>, step: StepSpec) {
        let seq = step.seq;
        let mut state = self.lock();
        if !state.is_under_way(seq) {
            let task = tokio::spawn(steps::perform(self.clone(), step));
            state
                .steps
                .insert(seq, Performing::Task(task.abort_handle()));
        }
    }

    async fn perform(self: &Arc<Self>, step: StepSpec) {
        {
            let mut state = self.lock();
            if state.is_under_way(step.seq) {
                return;
            }
            state.steps.insert(step.seq, Performing::InCall);
        }
        steps::InCall::new(self.clone(), step).await;
    }

    async fn answered_at_once(self: &Arc<Self>, request: Request, answer: Vec<u8>) {
        self.arrive(done_at_once(request, answer)).await;
    }

    async fn pose(
        self: &Arc<Self>,
        layers: &Arc<dyn Layer>,
        call: &CallContext,
        kind: EffectKind,
        request: Request,
    ) {
        let (seq, name) = (request.seq, kind.capability());
        self.tell_begun(seq, name, 1);
        let client = client_of(self.row.client.as_deref(), HashMap::new());
        let mut context = call.clone();
        context.client = client.clone().map(|client| client as Arc<dyn CallClient>);
        let parked = async {
            match &client {
                Some(client) => client.parked().await,
                None => std::future::pending().await,
            }
        };
        let questions = tokio::select! {
            biased;
            answer = layers.effect(&context, kind, &request.request) => Err(answer),
            parked = parked => match parked {
                Parked::Asking(questions) => Ok(questions),
                // Not of a client that is not there: it has neither a protocol nor an answer.
                parked => Err(EncodedAnswer::error(&EffectError::internal(format!("{name}: {parked:?}")))),
            },
        };
        let questions = match questions {
            Ok(questions) => questions,
            Err(answer) => {
                return self.answered_at_once(request, answer.into_json()).await;
            }
        };
        let questions = questions.into_iter().map(|question| KeyedQuestion {
            key: key_in_run(seq, &question.key),
            ..question
        });
        let row = QuestionRow {
            seq,
            effect: name.to_owned(),
            request: request.request.clone(),
            questions: json!(questions.collect::<Vec<_>>()).to_string(),
            answers: "{}".to_owned(),
        };
        let key = self.row.key;
        let bytes = row.questions.len() + row.request.len() * 2;
        let written = self
            .in_transaction(bytes, move |connection, _| {
                let waiting = within::questions(connection, key)?.len();
                if waiting >= MOST_QUESTIONS {
                    let error = EffectError::new(
                        ErrorCode::LimitExceeded,
                        format!(
                            "{name}: {MOST_QUESTIONS} steps of this run wait for its client already"
                        ),
                    );
                    let answer = EncodedAnswer::error(&error).into_json();
                    return Ok((done_at_once(request, answer), ()));
                }
                within::ask(connection, key, &row)?;
                Ok((EventBody::Asked(request), ()))
            })
            .await;
        match written {
            Some(()) => self.workflows().has_asked(key),
            // The run has been stopped.
            None => std::future::pending().await,
        }
    }

    async fn forget_questions(&self, seq: u64) {
        let key = self.row.key;
        let forgotten = self.store().write(0, move |connection, _| {
            within::forget_questions(connection, key, seq..seq + 1)
        });
        // If it cannot be written, they are shown until the run ends, and an answer changes nothing.
        let _ = forgotten.await;
    }

    fn set_timer(self: &Arc<Self>, timer: Timer) {
        self.lock().timers.insert(timer);
        self.attention.notify_one();
    }

    fn give_up(&self, seq: u64, name: &str) {
        let mut state = self.lock();
        state.machine.abandon(seq);
        let timers = state.timers.len();
        state.timers.retain(|timer| timer.seq != seq);
        let was_under_way = state.abort_step(seq) || state.timers.len() < timers;
        // A guest that repeats itself gives it up once more.
        if was_under_way && !state.machine.repeats() {
            self.tell_given_up(seq, name);
        }
    }

    async fn cancel_step(self: &Arc<Self>, seq: u64, answer: Vec<u8>) {
        {
            let mut state = self.lock();
            state.timers.retain(|timer| timer.seq != seq);
            state.abort_step(seq);
        }
        self.arrive(EventBody::Done {
            seq,
            attempt: 1,
            answer,
            request: None,
        })
        .await;
    }

    async fn cancel_child(&self, handle: u64, run_id: &str) {
        let step = format!("parent-cancel/{}", self.step_id(handle));
        self.workflows().cancel_run(run_id, step).await;
    }

    async fn start_child(self: &Arc<Self>, step: ChildStep<'_>) -> Result<(), EffectError> {
        let ChildStep { handle, asked, .. } = step;
        let workflows = self.workflows();
        let mut child = workflows.new_run(step.role, step.version, step.child)?;
        if step.child.workflow_id.is_none() {
            let (id, seq) = (&self.row.workflow_id, asked.seq);
            child.workflow_id = match &self.row.continued_from {
                None => format!("{id}/{seq}"),
                // The run before may have started one of the same number.
                Some(_) => format!("{id}/{}/{seq}", self.row.run_id),
            };
        }
        child.parent = Some((self.row.key, handle));
        child.on_parent_end = step.child.on_parent_end;
        child.started_by = self.row.started_by.clone();
        let begun = self
            .in_transaction(asked.request.len(), move |connection, _| {
                let child = match within::start(connection, &child)? {
                    Started::New(run) => WorkflowChild {
                        handle: Some(handle),
                        workflow_id: run.workflow_id,
                        run_id: run.run_id,
                        started: true,
                    },
                    Started::Open(run) => WorkflowChild {
                        handle: None,
                        workflow_id: run.workflow_id,
                        run_id: run.run_id,
                        started: false,
                    },
                };
                let answer = EncodedAnswer::new(&Ok(child)).into_json();
                Ok((done_at_once(asked, answer), ()))
            })
            .await;
        match begun {
            Some(()) => {
                workflows.wake_scheduler();
                Ok(())
            }
            // The run has been stopped.
            None => std::future::pending().await,
        }
    }

    async fn signal(
        self: &Arc<Self>,
        signal: WorkflowSignal,
        version: &PluginVersion,
        asked: Request,
    ) -> Result<(), EffectError> {
        let name = EffectKind::WorkflowSignal.capability();
        let workflows = self.workflows();
        workflows.check_signal(version, &signal, None)?;
        let entry = NewInboxEntry {
            request: format!("signal/{}", self.step_id(asked.seq)),
            kind: InboxKind::Signal,
            name: Some(signal.name.to_string()),
            seq: None,
            payload: Some(signal.payload.get().to_owned()),
            at: unix_millis(),
        };
        let (role, id) = (self.row.role.clone(), signal.workflow_id.to_string());
        let sent = self
            .in_transaction(asked.request.len(), move |connection, _| {
                let open = within::newest(connection, &role, &id)?;
                let open = open.filter(|run| run.ended_at.is_none());
                let (result, woken) = match open {
                    None => (Err(super::no_open_run(name, &id)), None),
                    Some(run) => match within::post(connection, run.key, &entry) {
                        Ok(_) => (Ok(Done {}), Some(run.key)),
                        Err(StoreFailure::Refused { code, message }) => (
                            Err(EffectError::new(code, format!("{name}: {message}"))),
                            None,
                        ),
                        Err(failure) => return Err(failure),
                    },
                };
                let answer = EncodedAnswer::new(&result).into_json();
                Ok((done_at_once(asked, answer), woken))
            })
            .await;
        match sent {
            Some(woken) => {
                workflows.nudge(woken.as_slice());
                Ok(())
            }
            // The run has been stopped.
            None => std::future::pending().await,
        }
    }

    async fn patched(self: &Arc<Self>, id: &str) -> bool {
        let room = self.store().room(0).await;
        let mut state = self.lock();
        let (applies, event) = state.machine.patched(unix_millis(), id);
        if let Some(event) = event {
            let run = self.clone();
            self.store()
                .append(room, self.row.key, vec![event], move |failure| {
                    run.stop(Stop::Store(failure));
                });
        }
        applies
    }
}

fn done_at_once(request: Request, answer: Vec<u8>) -> EventBody {
    EventBody::Done {
        seq: request.seq,
        attempt: 1,
        answer,
        request: Some(request),
    }
}
