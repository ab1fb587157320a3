//! [`WorkflowLayer`]: answers a guest that runs as a workflow.
//!
//! It is outside of the role's layers. Effects become steps of the run's history; the time, randomness, timers and
//! what the service `workflow` offers within a run are answered from the history; log lines are written once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_journal::codec::{HTTP_REQUEST, hash_http};
use exomonad_journal::{HttpAnswer, RequestHash};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::clock::{ClockTime, Sleep};
use exomonad_schema::effects::log::{EmitEvent, Log};
use exomonad_schema::effects::random::{RandomBytes, RandomBytesAnswer};
use exomonad_schema::effects::workflow::{
    WorkflowArrival, WorkflowArrivals, WorkflowCancel, WorkflowChild, WorkflowPatch,
    WorkflowPatched, WorkflowRunInfo, WorkflowSetState, WorkflowSignal, WorkflowSleep,
    WorkflowStart, WorkflowStartChild, WorkflowStarted, WorkflowWait,
};
use exomonad_schema::{
    Answer, Base64, EffectError, EffectKind, EffectRequest, ErrorCode, RawJson, Service, decode,
};
use exomonad_workflow::{TIMER, Taken, Wait};
use jiff::Timestamp;

use super::durable::{ChildStep, DurableRun, Stop, Timer, request_of};
use super::steps::{Effect, HttpShown, StepSpec, effect_named};
use crate::error::told;
use crate::pipeline::Layer;
use crate::plugins::version::{ASKING, PluginVersion};
use crate::role::RoleSettings;

/// Handles that a guest may wait for at once.
const MOST_HANDLES: usize = 100_000;

/// Answers a guest that runs as a workflow.
pub struct WorkflowLayer<R> {
    run: Arc<R>,
    role: Arc<RoleSettings>,
    version: Arc<PluginVersion>,
    inner: Arc<dyn Layer>,
    /// The configuration that the run began with.
    config: BTreeMap<String, String>,
}

type Answered<T> = Result<T, EffectError>;

impl<R: DurableRun> WorkflowLayer<R> {
    /// The layer of one turn.
    pub fn new(run: Arc<R>, role: Arc<RoleSettings>, version: Arc<PluginVersion>) -> Self {
        Self {
            config: serde_json::from_str(run.about().configuration).unwrap_or_default(),
            inner: role.layers.clone(),
            run,
            role,
            version,
        }
    }

    fn is_granted(&self, kind: EffectKind) -> bool {
        self.role.granted.contains(&kind.capability())
    }

    /// True for what only the run's client can answer.
    fn asks_client(&self, kind: EffectKind) -> bool {
        ASKING.contains(&kind) && self.is_granted(kind)
    }

    /// The guest waits from here on, and does not compute.
    fn leaves_guest(&self) -> Waiting<'_, R> {
        let mut state = self.run.lock();
        if let Some(since) = state.computes_since.take() {
            state.computed += since.elapsed();
        }
        Waiting(&*self.run)
    }

    /// Ends the turn: the guest never hears of it.
    async fn stop<T>(&self, stop: Stop) -> T {
        self.run.stop(stop);
        std::future::pending().await
    }

    /// Asks for a step, and returns its number and if the history has it.
    async fn ask(&self, name: &str, hash: &RequestHash) -> exomonad_workflow::Step {
        let asked = {
            let mut state = self.run.lock();
            let asked = state.machine.ask(name, hash).map_err(Stop::Mismatch);
            asked.and_then(|step| self.run.too_long(&state).map_or(Ok(step), Err))
        };
        match asked {
            Ok(step) => step,
            Err(stop) => self.stop(stop).await,
        }
    }

    /// Waits until something of this has come.
    async fn wait(&self, wait: &Wait) -> Taken {
        loop {
            let arrived = self.run.arrived().notified();
            tokio::pin!(arrived);
            // From here on nothing that comes is missed.
            arrived.as_mut().enable();
            {
                let mut state = self.run.lock();
                if let Some(taken) = state.machine.poll(wait) {
                    state.blocked = None;
                    return taken;
                }
                state.has_news = false;
                state.blocked.get_or_insert_with(Instant::now);
                if R::is_idle(&state) {
                    self.run.attention().notify_one();
                }
            }
            arrived.await;
        }
    }

    /// Waits for one step that is an effect.
    async fn answer_of(&self, seq: u64, name: &str) -> EncodedAnswer {
        match self.wait(&Wait::one(seq)).await {
            Taken::Done(done) => match done.into_iter().next() {
                Some((_, Some(answer))) => EncodedAnswer::recorded(answer),
                _ => EncodedAnswer::new(&Ok(Done {})),
            },
            _ => {
                self.run.give_up(seq, name);
                EncodedAnswer::error(&cancelled(name))
            }
        }
    }

    /// An effect that the guest waits for.
    async fn step(&self, call: &CallContext, kind: EffectKind, request: &[u8]) -> EncodedAnswer {
        let name = kind.capability();
        let hash = RequestHash::of(name, request);
        let asked = self.ask(name, &hash).await;
        // Here and not later: one that is asked to cancel begins nothing.
        if let Some(answer) = self.known_or_cancelled(asked.seq, name) {
            return answer;
        }
        if self.asks_client(kind) {
            return self.question(call, asked, kind, request, hash).await;
        }
        self.performed(self.spec(call, asked, kind, request, hash))
            .await
    }

    /// A step that is an effect of the contract.
    fn spec(
        &self,
        call: &CallContext,
        asked: exomonad_workflow::Step,
        kind: EffectKind,
        request: &[u8],
        hash: RequestHash,
    ) -> StepSpec {
        let effect = Effect::Table(kind);
        StepSpec {
            seq: asked.seq,
            is_known: asked.is_known,
            ..StepSpec::new(&self.role, effect, request.to_vec(), hash, call.clone())
        }
    }

    /// An effect that asks the client of the run: a step that is answered from outside.
    async fn question(
        &self,
        call: &CallContext,
        asked: exomonad_workflow::Step,
        kind: EffectKind,
        request: &[u8],
        hash: RequestHash,
    ) -> EncodedAnswer {
        if !asked.is_known {
            let request = request_of(asked.seq, kind.capability(), hash, request);
            self.run.pose(&self.inner, call, kind, request).await;
        }
        let answer = self.answer_of(asked.seq, kind.capability()).await;
        let is_given_up = {
            let state = self.run.lock();
            !state.machine.is_done(asked.seq) && !R::repeats(&state)
        };
        if is_given_up {
            self.run.forget_questions(asked.seq).await;
        }
        answer
    }

    /// Performs a step, unless the host does already, while the guest waits for it.
    async fn performed(&self, step: StepSpec) -> EncodedAnswer {
        let (seq, name) = (step.seq, step.name);
        tokio::select! {
            biased;
            () = self.run.perform(step) => {}
            answer = self.answer_of(seq, name) => return answer,
        }
        self.answer_of(seq, name).await
    }

    /// A moment after the guest's present, in milliseconds since 1970.
    fn later(&self, millis: u64) -> i64 {
        let now = self.run.lock().machine.now();
        now.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Asks for a timer, and returns its number.
    async fn timer(&self, millis: u64) -> u64 {
        let request = format!(r#"{{"millis":{millis}}}"#);
        let asked = self
            .ask(TIMER, &RequestHash::of(TIMER, request.as_bytes()))
            .await;
        self.set_timer(asked.seq, millis);
        asked.seq
    }

    fn set_timer(&self, seq: u64, millis: u64) {
        let due = self.later(millis);
        let (is_new, since) = {
            let state = self.run.lock();
            if state.machine.is_done(seq) {
                return;
            }
            (state.machine.is_new(seq), state.machine.now())
        };
        if is_new {
            self.run.tell_begun(seq, TIMER, 1);
        }
        self.run.set_timer(Timer { due, seq, since });
    }

    async fn sleep_for(&self, millis: u64, name: &str) -> Answered<Done> {
        let seq = self.timer(millis).await;
        match self.wait(&Wait::one(seq)).await {
            Taken::Done(_) => Ok(Done {}),
            _ => {
                self.run.give_up(seq, TIMER);
                Err(cancelled(name))
            }
        }
    }

    async fn start(&self, call: &CallContext, request: WorkflowStart) -> Answered<WorkflowStarted> {
        let name = &*request.effect;
        let kind = effect_named(name).ok_or_else(|| {
            EffectError::invalid_input(format!("workflow.start: there is no effect `{name}`"))
        })?;
        let body = match request.request.get() {
            "null" => b"{}".as_slice(),
            body => body.as_bytes(),
        };
        let timer = match kind {
            EffectKind::WorkflowSleep => Some(decode::<WorkflowSleep>(body)?.millis.get()),
            EffectKind::Sleep => Some(decode::<Sleep>(body)?.millis.get()),
            EffectKind::WorkflowGet => None,
            kind if kind.service() == Service::Workflow => {
                return Err(EffectError::invalid_input(format!(
                    "workflow.start: `{name}` is answered at once or waits by itself; call it directly"
                )));
            }
            _ => None,
        };
        if let Some(millis) = timer {
            let handle = self.timer(millis).await;
            return Ok(WorkflowStarted { handle });
        }
        let hash = RequestHash::of(kind.capability(), body);
        let timeout = request.timeout_millis;
        if self.asks_client(kind) {
            if timeout.is_some() || request.retry.is_some() {
                return Err(EffectError::invalid_input(format!(
                    "workflow.start: `{name}` waits for a client and is not tried again; `workflow.wait` has a time"
                )));
            }
            let asked = self.ask(kind.capability(), &hash).await;
            if !asked.is_known {
                let request = request_of(asked.seq, kind.capability(), hash, body);
                self.run.pose(&self.inner, call, kind, request).await;
            }
            return Ok(WorkflowStarted { handle: asked.seq });
        }
        let asked = self.ask(kind.capability(), &hash).await;
        self.run.begin(StepSpec {
            retry: request.retry,
            deadline: timeout.map(|millis| self.later(millis.get())),
            ..self.spec(call, asked, kind, body, hash)
        });
        Ok(WorkflowStarted { handle: asked.seq })
    }

    async fn wait_for(&self, request: WorkflowWait) -> Answered<WorkflowArrivals> {
        if request.handles.len() > MOST_HANDLES {
            return Err(EffectError::new(
                ErrorCode::LimitExceeded,
                format!("workflow.wait: at most {MOST_HANDLES} handles can be waited for at once"),
            ));
        }
        if let Some(unknown) = {
            let state = self.run.lock();
            let mut handles = request.handles.iter();
            handles
                .find(|handle| !state.machine.has_asked(**handle))
                .copied()
        } {
            return Err(EffectError::new(
                ErrorCode::NotFound,
                format!("workflow.wait: nothing of this run has the handle {unknown}"),
            ));
        }
        // Always a number of its own, so that a time that is added later changes no other.
        let asked = self.ask(TIMER, &RequestHash::of(TIMER, b"wait")).await;
        if request.handles.is_empty()
            && request.signals.is_empty()
            && request.timeout_millis.is_none()
        {
            return Err(EffectError::invalid_input(
                "workflow.wait: there is nothing to wait for; name handles, signals or a time",
            ));
        }
        if let Some(millis) = request.timeout_millis {
            self.set_timer(asked.seq, millis.get());
        }
        let wait = Wait {
            handles: request.handles,
            all: request.all,
            signals: request
                .signals
                .iter()
                .map(|name| name.to_string())
                .collect(),
            timer: request.timeout_millis.map(|_| asked.seq),
            ignores_cancel: false,
        };
        let taken = self.wait(&wait).await;
        if !matches!(taken, Taken::TimedOut(_)) {
            self.run.give_up(asked.seq, TIMER);
        }
        let arrivals = |done: Vec<(u64, Option<Vec<u8>>)>| {
            let arrivals = done.into_iter().map(|(handle, answer)| WorkflowArrival {
                handle: Some(handle),
                signal: None,
                value: raw(answer.as_deref().unwrap_or(DONE)),
            });
            arrivals.collect::<Vec<_>>()
        };
        Ok(match taken {
            Taken::Done(done) => WorkflowArrivals {
                arrivals: arrivals(done),
                timed_out: false,
            },
            Taken::Signal {
                name,
                payload,
                done,
            } => {
                let mut arrivals = arrivals(done);
                arrivals.push(WorkflowArrival {
                    handle: None,
                    signal: Some(name),
                    value: raw(&payload),
                });
                WorkflowArrivals {
                    arrivals,
                    timed_out: false,
                }
            }
            Taken::TimedOut(done) => WorkflowArrivals {
                arrivals: arrivals(done),
                timed_out: true,
            },
            Taken::Cancelled => return Err(cancelled("workflow.wait")),
        })
    }

    async fn cancel(&self, request: WorkflowCancel) -> Answered<Done> {
        let handle = request.handle;
        let child = {
            let state = self.run.lock();
            if !state.machine.has_asked(handle) {
                return Err(EffectError::new(
                    ErrorCode::NotFound,
                    format!("workflow.cancel: nothing of this run has the handle {handle}"),
                ));
            }
            if state.machine.is_done(handle) {
                return Ok(Done {});
            }
            state.children.get(&handle).cloned()
        };
        if let Some(child) = child {
            self.run.cancel_child(handle, &child).await;
            return Ok(Done {});
        }
        let is_question = {
            let state = self.run.lock();
            let effect = state.machine.effect_of(handle);
            ASKING.iter().any(|kind| effect == Some(kind.capability()))
        };
        if is_question {
            self.run.forget_questions(handle).await;
        }
        let answer = EncodedAnswer::error(&cancelled("the step")).into_json();
        self.run.cancel_step(handle, answer).await;
        Ok(Done {})
    }

    async fn start_child(&self, request: WorkflowStartChild, body: &[u8]) -> EncodedAnswer {
        let name = EffectKind::WorkflowStartChild.capability();
        let hash = RequestHash::of(name, body);
        let asked = self.ask(name, &hash).await;
        // The child's end has a number of its own.
        let handle = self.run.lock().machine.skip();
        let answer = match self.known_or_cancelled(asked.seq, name) {
            Some(answer) => answer,
            None => {
                self.run.tell_begun(asked.seq, name, 1);
                let started = self
                    .run
                    .start_child(ChildStep {
                        role: &self.role,
                        version: &self.version,
                        child: &request,
                        handle,
                        asked: request_of(asked.seq, name, hash.clone(), body),
                    })
                    .await;
                match started {
                    Ok(()) => self.answer_of(asked.seq, name).await,
                    Err(error) => self.refused(asked.seq, name, body, hash, &error).await,
                }
            }
        };
        if let Ok(Answer::Success(child)) =
            serde_json::from_slice::<Answer<WorkflowChild>>(answer.json())
            && child.handle.is_some()
        {
            self.run.lock().children.insert(handle, child.run_id);
        }
        answer
    }

    /// The recorded answer of a step that is answered at once, or that the run is asked to cancel.
    fn known_or_cancelled(&self, seq: u64, name: &str) -> Option<EncodedAnswer> {
        let taken = self.run.lock().machine.poll(&Wait::one(seq))?;
        Some(match taken {
            Taken::Done(done) => {
                let answer = done.into_iter().find_map(|(_, answer)| answer);
                EncodedAnswer::recorded(answer.unwrap_or_default())
            }
            _ => {
                self.run.lock().machine.abandon(seq);
                EncodedAnswer::error(&cancelled(name))
            }
        })
    }

    /// Records a refusal as the answer of a step.
    async fn refused(
        &self,
        seq: u64,
        name: &str,
        request: &[u8],
        hash: RequestHash,
        error: &EffectError,
    ) -> EncodedAnswer {
        let request = request_of(seq, name, hash, request);
        let answer = EncodedAnswer::error(error).into_json();
        self.run.answered_at_once(request, answer).await;
        self.answer_of(seq, name).await
    }

    async fn signal(&self, request: WorkflowSignal, body: &[u8]) -> EncodedAnswer {
        let name = EffectKind::WorkflowSignal.capability();
        let hash = RequestHash::of(name, body);
        let asked = self.ask(name, &hash).await;
        if let Some(answer) = self.known_or_cancelled(asked.seq, name) {
            return answer;
        }
        self.run.tell_begun(asked.seq, name, 1);
        let seq = asked.seq;
        let asked = request_of(seq, name, hash.clone(), body);
        match self.run.signal(request, &self.version, asked).await {
            Ok(()) => self.answer_of(seq, name).await,
            Err(error) => self.refused(seq, name, body, hash, &error).await,
        }
    }

    fn set_state(&self, request: WorkflowSetState) -> Answered<Done> {
        let name = EffectKind::WorkflowSetState.capability();
        let state = request.state.get();
        let most = self.run.workflows().largest_state();
        if state.len() as u64 > most {
            return Err(EffectError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "{name}: the state has {} bytes, and {most} is the limit; `workflows.max_state` sets it",
                    state.len()
                ),
            ));
        }
        let Some(workflow) = self.version.workflow(self.run.about().workflow) else {
            return Ok(Done {});
        };
        let violations = workflow.check_state(state);
        if !violations.is_empty() {
            return Err(EffectError::invalid_input(format!(
                "{name}: the state does not fit its schema: {}",
                told(&violations)
            )));
        }
        let version = workflow.definition.state_version;
        self.run.lock().published = Some((state.to_owned(), version));
        Ok(Done {})
    }

    fn info(&self) -> WorkflowRunInfo {
        let (about, state) = (self.run.about(), self.run.lock());
        WorkflowRunInfo {
            workflow: about.workflow.to_owned(),
            workflow_id: about.workflow_id.to_owned(),
            run_id: about.run_id.to_owned(),
            started_unix_millis: state.machine.begun_at(),
            steps: state.machine.steps(),
            suggests_continue_as_new: R::is_long(&state),
        }
    }

    fn time(&self) -> Answered<ClockTime> {
        let state = self.run.lock();
        let (now, begun) = (state.machine.now(), state.machine.begun_at());
        drop(state);
        let moment = Timestamp::from_millisecond(now).map_err(|_| {
            EffectError::internal("clock.now: the run's time is beyond the year 9999")
        })?;
        Ok(ClockTime {
            unix_millis: now,
            iso8601: format!("{moment:.3}"),
            monotonic_nanos: nanos_since(begun, now),
        })
    }

    fn random_bytes(&self, request: &RandomBytes) -> RandomBytesAnswer {
        let length = usize::try_from(request.length.get()).unwrap_or(0);
        let mut bytes = vec![0; length];
        let seed = self.run.about().seed;
        self.run.lock().machine.random(seed, &mut bytes);
        RandomBytesAnswer {
            bytes: Base64(bytes),
        }
    }

    /// A line of the log or an event. It goes out once, and is no step.
    async fn log_effect(
        &self,
        call: &CallContext,
        kind: EffectKind,
        request: &[u8],
    ) -> EncodedAnswer {
        if !self.is_granted(kind) {
            return self.inner.effect(call, kind, request).await;
        }
        // What is invalid is so each time.
        let invalid = match kind {
            EffectKind::Log => decode::<Log>(request).err(),
            _ => decode::<EmitEvent>(request).err(),
        };
        if let Some(error) = invalid {
            return EncodedAnswer::error(&error);
        }
        if self.may_log(request.len()) {
            self.inner.effect(call, kind, request).await;
        }
        EncodedAnswer::new(&Ok(Done {}))
    }

    /// True if a line of this many bytes is new, and within the role's limit for one turn.
    fn may_log(&self, bytes: usize) -> bool {
        let mut state = self.run.lock();
        if R::repeats(&state) {
            return false;
        }
        let before = state.log_bytes;
        state.log_bytes += bytes as u64 + 128;
        let most = self.role.limits.log_bytes;
        if before <= most && state.log_bytes > most {
            tracing::warn!(
                role = %self.role.name, run = self.run.about().run_id,
                "the run logs more than `{}` since it was resumed: the rest is dropped",
                self.role.limit_key("log_bytes")
            );
        }
        state.log_bytes <= most
    }

    /// Answers by a function of the decoded request, if it is granted.
    async fn by<Q, F>(
        &self,
        call: &CallContext,
        kind: EffectKind,
        request: &[u8],
        answer: impl FnOnce(Q) -> F,
    ) -> EncodedAnswer
    where
        Q: EffectRequest,
        F: Future<Output = Answered<Q::Answer>>,
    {
        if !self.is_granted(kind) {
            return self.inner.effect(call, kind, request).await;
        }
        match decode::<Q>(request) {
            Ok(request) => EncodedAnswer::new(&answer(request).await),
            Err(error) => EncodedAnswer::error(&error),
        }
    }
}

/// While it lives, the guest waits.
struct Waiting<'a, R: DurableRun>(&'a R);

impl<R: DurableRun> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.computes_since.get_or_insert_with(Instant::now);
    }
}

/// The answer of a timer.
const DONE: &[u8] = br#"{"kind":"Success","payload":{}}"#;

fn cancelled(name: &str) -> EffectError {
    EffectError::new(
        ErrorCode::Cancelled,
        format!("{name}: the run was asked to cancel; what it does from here on is to clean up"),
    )
}

fn raw(json: &[u8]) -> RawJson {
    let text = String::from_utf8_lossy(json).into_owned();
    RawJson::from_text(text).unwrap_or_default()
}

fn nanos_since(begun: i64, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(begun))
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

impl<R: DurableRun> Layer for WorkflowLayer<R> {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        use EffectKind as Kind;
        Box::pin(async move {
            let _waiting = self.leaves_guest();
            match kind {
                Kind::Log | Kind::EmitEvent => self.log_effect(call, kind, request).await,
                Kind::ClockNow => {
                    self.by(
                        call,
                        kind,
                        request,
                        async |_: exomonad_schema::effects::clock::ClockNow| self.time(),
                    )
                    .await
                }
                Kind::RandomBytes => {
                    self.by(call, kind, request, async |request: RandomBytes| {
                        Ok(self.random_bytes(&request))
                    })
                    .await
                }
                Kind::Sleep => {
                    self.by(call, kind, request, async |request: Sleep| {
                        self.sleep_for(request.millis.get(), "clock.sleep").await
                    })
                    .await
                }
                Kind::WorkflowSleep => {
                    self.by(call, kind, request, async |request: WorkflowSleep| {
                        self.sleep_for(request.millis.get(), "workflow.sleep").await
                    })
                    .await
                }
                Kind::WorkflowStart => {
                    self.by(call, kind, request, async |request| {
                        self.start(call, request).await
                    })
                    .await
                }
                Kind::WorkflowWait => {
                    self.by(call, kind, request, async |request| {
                        self.wait_for(request).await
                    })
                    .await
                }
                Kind::WorkflowCancel => {
                    self.by(call, kind, request, async |request| {
                        self.cancel(request).await
                    })
                    .await
                }
                Kind::WorkflowSetState => {
                    self.by(call, kind, request, async |request| self.set_state(request))
                        .await
                }
                Kind::WorkflowPatched => {
                    self.by(call, kind, request, async |request: WorkflowPatched| {
                        let applies = self.run.patched(&request.id).await;
                        Ok(WorkflowPatch { applies })
                    })
                    .await
                }
                Kind::WorkflowInfo => {
                    self.by(
                        call,
                        kind,
                        request,
                        async |_: exomonad_schema::effects::workflow::WorkflowInfo| Ok(self.info()),
                    )
                    .await
                }
                Kind::WorkflowStartChild if self.is_granted(kind) => {
                    match decode::<WorkflowStartChild>(request) {
                        Ok(decoded) => self.start_child(decoded, request).await,
                        Err(error) => EncodedAnswer::error(&error),
                    }
                }
                Kind::WorkflowSignal if self.is_granted(kind) => {
                    match decode::<WorkflowSignal>(request) {
                        Ok(decoded) => self.signal(decoded, request).await,
                        Err(error) => EncodedAnswer::error(&error),
                    }
                }
                _ => self.step(call, kind, request).await,
            }
        })
    }

    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            let _waiting = self.leaves_guest();
            let method = request.method.as_deref().unwrap_or("GET");
            let hash = hash_http(method, &request.url, &request.headers, &request.body);
            let asked = self.ask(HTTP_REQUEST, &hash).await;
            let answer = match self.known_or_cancelled(asked.seq, HTTP_REQUEST) {
                Some(answer) => answer,
                None => {
                    let shown = HttpShown {
                        method: method.into(),
                        url: request.url.as_str().into(),
                        headers: Cow::Borrowed(&request.headers),
                        body: request.body.as_slice().into(),
                    };
                    let shown = serde_json::to_vec(&shown).unwrap_or_default();
                    let effect = Effect::Http(request.clone());
                    self.performed(StepSpec {
                        seq: asked.seq,
                        is_known: asked.is_known,
                        ..StepSpec::new(&self.role, effect, shown, hash, call.clone())
                    })
                    .await
                }
            };
            match serde_json::from_slice::<Answer<HttpAnswer>>(answer.json()) {
                Ok(Answer::Success(HttpAnswer::Response {
                    status,
                    headers,
                    body,
                })) => Ok(HttpResponse {
                    status,
                    headers,
                    body: body.0,
                }),
                Ok(Answer::Success(HttpAnswer::TooLarge {})) => Err(HttpError::TooLarge),
                Ok(Answer::Success(HttpAnswer::Failed { message })) => {
                    Err(HttpError::Failed(message))
                }
                Ok(Answer::Error(error)) => Err(HttpError::Failed(error.to_string())),
                Err(error) => Err(HttpError::Failed(format!(
                    "its entry in the history is no answer: {error}"
                ))),
            }
        })
    }

    fn log(&self, call: &CallContext, level: LogLevel, message: &str) {
        if self.may_log(message.len()) {
            self.inner.log(call, level, message);
        }
    }

    /// The lowest there is: a run that is resumed under another level must take the same turns.
    fn log_level(&self, _: &CallContext) -> Option<LogLevel> {
        Some(LogLevel::Trace)
    }

    fn config(&self, _: &CallContext, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn now(&self, _: &CallContext) -> SystemTime {
        let now = self.run.lock().machine.now();
        UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0))
    }

    fn monotonic(&self, _: &CallContext) -> Duration {
        let state = self.run.lock();
        Duration::from_nanos(nanos_since(state.machine.begun_at(), state.machine.now()))
    }

    fn sleep<'a>(&'a self, _: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _waiting = self.leaves_guest();
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let wait = Wait {
                // WASI cannot say that the run is cancelled: the next effect does.
                ignores_cancel: true,
                ..Wait::one(self.timer(millis).await)
            };
            self.wait(&wait).await;
        })
    }

    fn random(&self, _: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        let seed = self.run.about().seed;
        self.run.lock().machine.random(seed, bytes);
        Ok(())
    }
}
