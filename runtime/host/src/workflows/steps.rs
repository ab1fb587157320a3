//! Steps: effects of a run that the host performs. They belong to the host, not to the sandbox: a guest that is
//! put to sleep meanwhile finds the answer in its history.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer, KvWriter};
use exomonad_engine::{HttpError, HttpRequest};
use exomonad_journal::codec::HTTP_REQUEST;
use exomonad_journal::{HttpAnswer, Payload, RequestHash};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::docker::{DockerContainers, DockerSpawned};
use exomonad_schema::effects::github::{GitHubCreatePr, GitHubPrForBranch};
use exomonad_schema::effects::http::HttpRequest as OutgoingHttp;
use exomonad_schema::effects::kv::{KvDelete, KvDeleted, KvSet};
use exomonad_schema::effects::workflow::RetryPolicy;
use exomonad_schema::{Answer, EffectError, EffectKind, EffectRequest, ErrorCode, RawJson, decode};
use exomonad_services::docker::HostLabels;
use exomonad_services::kv::{KvConfig, StoreError};
use exomonad_workflow::effects::{
    CrashClass, IDEMPOTENCY_KEY, crash_class, http_class, request_id_field,
};
use exomonad_workflow::store::{Connection, within};
use exomonad_workflow::{Event, EventBody, Request, StoreFailure, retry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::active::{ActiveRun, Performing, unix_millis};
use super::durable::{DurableRun, Stop};
use crate::pipeline::Layer;
use crate::role::RoleSettings;

/// The label by which a container that a step has started is found again.
const STEP_LABEL: &str = "exomonad.workflow.step";

/// The text in a guest's `Idempotency-Key` that the host fills in with the step's id.
const STEP_PLACEHOLDER: &str = "{{step}}";

/// The effect of a step.
pub enum Effect {
    /// One of the contract.
    Table(EffectKind),
    /// Extism's `http_request`.
    Http(HttpRequest),
}

/// The effect of this capability.
pub fn effect_named(name: &str) -> Option<EffectKind> {
    let mut kinds = EffectKind::ALL.iter().copied();
    kinds.find(|kind| kind.capability() == name)
}

/// A step to perform.
pub struct StepSpec {
    /// Its number in the run.
    pub seq: u64,
    /// True if the history has it, from before a crash.
    pub is_known: bool,
    /// The effect.
    pub effect: Effect,
    /// The effect's name in the history.
    pub name: &'static str,
    /// The request's JSON, as the guest wrote it.
    pub request: Vec<u8>,
    /// The hash of both.
    pub hash: RequestHash,
    /// Its fate in a crash.
    pub class: CrashClass,
    /// When it is tried again.
    pub retry: Option<RetryPolicy>,
    /// When it has to be done, in milliseconds since 1970.
    pub deadline: Option<i64>,
    /// The call.
    pub context: CallContext,
    /// The layers that perform effects.
    pub layers: Arc<dyn Layer>,
}

/// Extism's `http_request`, as a history shows it.
#[derive(Serialize, Deserialize)]
pub struct HttpShown<'a> {
    /// The method.
    pub method: Cow<'a, str>,
    /// The URL.
    pub url: Cow<'a, str>,
    /// The header fields.
    pub headers: Cow<'a, BTreeMap<String, String>>,
    /// The body.
    pub body: Payload,
}

impl StepSpec {
    /// The first step of a run that performs this effect, once and without a time.
    pub fn new(
        role: &RoleSettings,
        effect: Effect,
        request: Vec<u8>,
        hash: RequestHash,
        context: CallContext,
    ) -> Self {
        let (kind, name, class) = match &effect {
            Effect::Table(kind) => (*kind, kind.capability(), crash_class(*kind, &request)),
            Effect::Http(asked) => {
                let class = http_class(asked.method.as_deref(), asked.headers.keys());
                (EffectKind::HttpRequest, HTTP_REQUEST, class)
            }
        };
        Self {
            seq: 0,
            is_known: false,
            effect,
            name,
            request,
            hash,
            // A refusal changes nothing.
            class: match role.granted.contains(&kind.capability()) {
                true => class,
                false => CrashClass::Read,
            },
            retry: None,
            deadline: None,
            context,
            layers: role.layers.clone(),
        }
    }

    /// The effect of this name and request, for a run that is kept elsewhere.
    ///
    /// # Errors
    /// If there is no such effect, or the request is none.
    pub fn elsewhere(
        role: &RoleSettings,
        name: &str,
        request: &[u8],
        context: CallContext,
    ) -> Result<Self, EffectError> {
        let effect = match effect_named(name) {
            Some(kind) => Effect::Table(kind),
            None if name == HTTP_REQUEST => {
                let shown: HttpShown<'_> = serde_json::from_slice(request).map_err(|error| {
                    EffectError::invalid_input(format!("{name}: its request is none: {error}"))
                })?;
                Effect::Http(HttpRequest {
                    url: shown.url.into_owned(),
                    headers: shown.headers.into_owned(),
                    method: Some(shown.method.into_owned()),
                    body: shown.body.0,
                    max_response: role.limits.http_response,
                })
            }
            None => {
                return Err(EffectError::new(
                    ErrorCode::NotFound,
                    format!("there is no effect `{name}`"),
                ));
            }
        };
        let hash = RequestHash::of(name, request);
        Ok(Self::new(role, effect, request.to_vec(), hash, context))
    }

    /// The request, if it is this effect's and the role is granted it.
    pub fn granted<R: EffectRequest>(&self, role: &RoleSettings) -> Option<R> {
        let is_granted = role.granted.contains(&R::KIND.capability());
        match self.effect {
            Effect::Table(kind) if kind == R::KIND && is_granted => decode(&self.request).ok(),
            _ => None,
        }
    }

    /// The request, as a history has it.
    pub fn into_request(self) -> Request {
        Request {
            seq: self.seq,
            effect: self.name.to_owned(),
            hash: self.hash,
            request: self.request,
        }
    }

    fn as_request(&self) -> Request {
        Request {
            seq: self.seq,
            effect: self.name.to_owned(),
            hash: self.hash.clone(),
            request: self.request.clone(),
        }
    }
}

/// Performs a step, in all its attempts, and puts the answer into the run's history.
pub async fn perform(run: Arc<ActiveRun>, step: StepSpec) {
    let is_written_first = matches!(
        step.class,
        CrashClass::Repeatable | CrashClass::Reconciled | CrashClass::Once
    );
    let mut attempt = 1;
    let mut is_written = false;
    if step.is_known {
        let before = run.attempts(step.seq);
        match before {
            Some(before) if !before.has_begun => {
                sleep_until(before.next_at).await;
                attempt = before.attempts + 1;
            }
            before => {
                // The host was killed, or the file could not be written, while an attempt was under way.
                is_written = is_written_first;
                attempt = before.map_or(1, |before| before.attempts + 1);
                match step.class {
                    CrashClass::Once => {
                        return run.answered(&step, attempt, unknown(step.name)).await;
                    }
                    CrashClass::Reconciled => {
                        if let Some(answer) = reconcile(&run.step_id(step.seq), &step).await {
                            return run.answered(&step, attempt, answer).await;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    let id = run.step_id(step.seq);
    let marked = marked(&id, &step);
    let request = marked.as_deref().unwrap_or(&step.request);
    loop {
        // It is never closed.
        let turn = run.beside.acquire().await;
        if is_written_first && !is_written && !run.asked(step.as_request()).await {
            return;
        }
        is_written = false;
        run.tell_begun(step.seq, step.name, attempt);
        let answer = within_deadline(&run, &id, &step, request).await;
        drop(turn);
        let Some(wait) = again(&step, attempt, &answer) else {
            return run.answered(&step, attempt, answer).await;
        };
        let next_at = unix_millis().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        run.tell_failed(step.seq, step.name, attempt, &answer, next_at);
        run.failed_attempt(&step, attempt, answer.into_json(), next_at)
            .await;
        sleep_until(next_at).await;
        attempt += 1;
    }
}

/// A step within the guest's call. If the guest is put to sleep meanwhile, it goes on by itself.
pub struct InCall {
    run: Arc<ActiveRun>,
    seq: u64,
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl InCall {
    /// A step to perform; it is among those of the run.
    pub fn new(run: Arc<ActiveRun>, step: StepSpec) -> Self {
        Self {
            seq: step.seq,
            rest: Some(Box::pin(perform(run.clone(), step))),
            run,
        }
    }
}

impl Future for InCall {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(());
        };
        ready!(rest.as_mut().poll(context));
        self.rest = None;
        Poll::Ready(())
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else {
            return;
        };
        let mut state = self.run.lock();
        let is_wanted = matches!(state.steps.get(&self.seq), Some(Performing::InCall));
        // Without a runtime the host has stopped.
        match Handle::try_current() {
            Ok(runtime) if is_wanted && !state.machine.is_done(self.seq) => {
                let task = Performing::Task(runtime.spawn(rest).abort_handle());
                state.steps.insert(self.seq, task);
            }
            _ => {
                state.steps.remove(&self.seq);
                drop(state);
                drop(rest);
            }
        }
    }
}

/// Sleeps in short parts, since the clock may be set meanwhile.
async fn sleep_until(moment: i64) {
    loop {
        let left = moment.saturating_sub(unix_millis());
        let Ok(left @ 1..) = u64::try_from(left) else {
            return;
        };
        tokio::time::sleep(Duration::from_millis(left.min(1_000))).await;
    }
}

async fn within_deadline(
    run: &Arc<ActiveRun>,
    id: &str,
    step: &StepSpec,
    request: &[u8],
) -> EncodedAnswer {
    let writer = || -> Arc<dyn KvWriter> {
        Arc::new(StepWriter {
            run: run.clone(),
            request: step.as_request(),
        })
    };
    let writer = (step.class == CrashClass::Transaction).then(writer);
    let answer = once(id, step, request, writer);
    let Some(deadline) = step.deadline else {
        return answer.await;
    };
    let left = u64::try_from(deadline.saturating_sub(unix_millis())).unwrap_or(0);
    match tokio::time::timeout(Duration::from_millis(left), answer).await {
        Ok(answer) => answer,
        Err(_) => EncodedAnswer::error(&EffectError::new(
            ErrorCode::Timeout,
            format!("{}: the time of the step is up", step.name),
        )),
    }
}

/// Performs a step of this id, once.
async fn once(
    id: &str,
    step: &StepSpec,
    request: &[u8],
    kv_writer: Option<Arc<dyn KvWriter>>,
) -> EncodedAnswer {
    match &step.effect {
        Effect::Table(kind) => {
            let mut context = step.context.clone();
            context.kv_writer = kv_writer;
            if *kind == EffectKind::DockerSpawn {
                // By it the container is found again. A guest cannot give this label.
                let label = (STEP_LABEL.to_owned(), id.to_owned());
                let bounds = context.bounds.as_ref().clone();
                context.bounds = Arc::new(bounds.with(HostLabels([label].into())));
            }
            step.layers.effect(&context, *kind, request).await
        }
        Effect::Http(asked) => {
            let answer = step.layers.http(&step.context, asked.clone()).await;
            let answer = match answer {
                Ok(response) => HttpAnswer::Response {
                    status: response.status,
                    headers: response.headers,
                    body: response.body.as_slice().into(),
                },
                Err(HttpError::TooLarge) => HttpAnswer::TooLarge {},
                Err(HttpError::Failed(message)) => HttpAnswer::Failed { message },
            };
            EncodedAnswer::new(&Ok(answer))
        }
    }
}

/// The milliseconds until the next attempt, if there is one.
fn again(step: &StepSpec, attempt: u32, answer: &EncodedAnswer) -> Option<u64> {
    let policy = step.retry.as_ref()?;
    answer.error_code()?;
    let Ok(Answer::Error(error)) = serde_json::from_slice::<Answer<()>>(answer.json()) else {
        return None;
    };
    let mut random = [0];
    // Without randomness all wait equally long.
    let _ = getrandom::fill(&mut random);
    let wait = retry::wait(policy, attempt, &error, f64::from(random[0]) / 255.0)?;
    let next_at = unix_millis().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
    match step.deadline {
        Some(deadline) if next_at >= deadline => None,
        _ => Some(wait),
    }
}

/// The answer of a step that was under way when its host stopped.
pub fn unknown(name: &str) -> EncodedAnswer {
    EncodedAnswer::error(&EffectError::new(
        ErrorCode::OutcomeUnknown,
        format!(
            "{name}: the host stopped while it was under way; it may have happened or not: look before it is done again"
        ),
    ))
}

/// Looks for what a step has done that was under way in a crash: its answer, or that nobody can tell; `None` if it has
/// not happened.
async fn reconcile(id: &str, step: &StepSpec) -> Option<EncodedAnswer> {
    let ask = async |kind: EffectKind, request: serde_json::Value| {
        let request = request.to_string();
        let answer = step.layers.effect(&step.context, kind, request.as_bytes());
        answer.await.into_json()
    };
    match step.effect {
        Effect::Table(EffectKind::GitHubCreatePr) => {
            let Ok(asked) = serde_json::from_slice::<GitHubCreatePr>(&step.request) else {
                return None;
            };
            let request = json!({"repo": asked.repo, "branch": asked.head});
            let answer = ask(EffectKind::GitHubGetPrForBranch, request).await;
            match serde_json::from_slice::<Answer<GitHubPrForBranch>>(&answer) {
                Ok(Answer::Success(GitHubPrForBranch { pr: Some(pr) })) => {
                    Some(EncodedAnswer::new(&Ok(pr)))
                }
                Ok(Answer::Success(_)) => None,
                _ => Some(unknown(step.name)),
            }
        }
        Effect::Table(EffectKind::DockerSpawn) => {
            let request = json!({"all": true, "labels": {STEP_LABEL: id}});
            let answer = ask(EffectKind::DockerList, request).await;
            match serde_json::from_slice::<Answer<DockerContainers>>(&answer) {
                Ok(Answer::Success(found)) => {
                    let container = found.containers.into_iter().next()?;
                    Some(EncodedAnswer::new(&Ok(DockerSpawned {
                        id: container.id,
                        name: container.name,
                        warnings: Vec::new(),
                    })))
                }
                _ => Some(unknown(step.name)),
            }
        }
        _ => Some(unknown(step.name)),
    }
}

/// Performs a step of this id for a run that is kept elsewhere, such as by a Temporal server. That it is begun is
/// known there; `began_before` says that an attempt may have been under way when its host stopped.
pub async fn perform_for(id: &str, step: &StepSpec, began_before: bool) -> EncodedAnswer {
    if began_before
        && step.class == CrashClass::Reconciled
        && let Some(answer) = reconcile(id, step).await
    {
        return answer;
    }
    let marked = marked(id, step);
    once(id, step, marked.as_deref().unwrap_or(&step.request), None).await
}

/// The request with a mark by which it is told from a repetition; the history has it as the guest wrote it.
fn marked(id: &str, step: &StepSpec) -> Option<Vec<u8>> {
    match step.effect {
        Effect::Table(EffectKind::HttpRequest) => {
            let mut request: OutgoingHttp = serde_json::from_slice(&step.request).ok()?;
            let mut headers = request.headers.iter_mut();
            let (_, key) = headers.find(|(name, value)| {
                name.eq_ignore_ascii_case(IDEMPOTENCY_KEY) && value.contains(STEP_PLACEHOLDER)
            })?;
            *key = key.replace(STEP_PLACEHOLDER, id);
            serde_json::to_vec(&request).ok()
        }
        Effect::Table(kind) => {
            let field = request_id_field(kind)?;
            let mut request: BTreeMap<String, RawJson> =
                serde_json::from_slice(&step.request).ok()?;
            let id = RawJson::new(&id).ok()?;
            let given = request.entry(field.to_owned()).or_default();
            if given.get() == "null" {
                *given = id;
            }
            serde_json::to_vec(&request).ok()
        }
        _ => None,
    }
}

/// Writes to the key-value store in the transaction of the step's entry.
struct StepWriter {
    run: Arc<ActiveRun>,
    request: Request,
}

impl StepWriter {
    async fn write<T: serde::Serialize + Send + 'static>(
        &self,
        kind: EffectKind,
        write: impl FnOnce(&Connection, &KvConfig) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EffectError> {
        let request = self.request.clone();
        let committed = self
            .run
            .in_transaction(request.request.len(), move |connection, config| {
                let result = match write(connection, config) {
                    Err(error) if error.is_host_fault() => return Err(error.into()),
                    result => result.map_err(|error| error.into_effect_error(kind)),
                };
                let body = EventBody::Done {
                    seq: request.seq,
                    attempt: 1,
                    answer: EncodedAnswer::new(&result).into_json(),
                    request: Some(request),
                };
                Ok((body, result))
            })
            .await;
        committed.unwrap_or_else(|| {
            // The run is stopped and taken up again: nobody sees this answer.
            Err(EffectError::internal(format!(
                "{kind}: the run was stopped"
            )))
        })
    }
}

impl KvWriter for StepWriter {
    fn set(&self, request: KvSet) -> BoxFuture<'_, Result<Done, EffectError>> {
        let role = self.run.role_name.clone();
        Box::pin(self.write(EffectKind::KvSet, move |connection, config| {
            exomonad_services::kv::set_within(connection, config, &role, &request)
        }))
    }

    fn delete(&self, request: KvDelete) -> BoxFuture<'_, Result<KvDeleted, EffectError>> {
        let role = self.run.role_name.clone();
        Box::pin(self.write(EffectKind::KvDelete, move |connection, _| {
            exomonad_services::kv::delete_within(connection, &role, &request)
        }))
    }
}

impl ActiveRun {
    /// Writes a step down before it is performed. False if it cannot be: then the run has been stopped.
    async fn asked(self: &Arc<Self>, request: Request) -> bool {
        let asked = EventBody::Asked(request);
        self.arrive_durably(asked).await
    }

    async fn answered(self: &Arc<Self>, step: &StepSpec, attempt: u32, answer: EncodedAnswer) {
        let has_request = matches!(step.class, CrashClass::Read | CrashClass::Transaction);
        let done = EventBody::Done {
            seq: step.seq,
            attempt,
            answer: answer.into_json(),
            request: has_request.then(|| step.as_request()),
        };
        // If the transaction of the step has written it already, this says nothing new.
        self.arrive_from(Some(step.seq), done).await;
    }

    async fn failed_attempt(
        self: &Arc<Self>,
        step: &StepSpec,
        attempt: u32,
        answer: Vec<u8>,
        next_at: i64,
    ) {
        let failed = EventBody::Attempt {
            seq: step.seq,
            attempt,
            answer,
            next_at,
        };
        self.arrive(failed).await;
    }

    /// Does work in a transaction with the event that it makes. `None` if it failed: then the run is stopped.
    pub async fn in_transaction<T: Send + 'static>(
        self: &Arc<Self>,
        bytes: usize,
        work: impl FnOnce(&Connection, &KvConfig) -> Result<(EventBody, T), StoreFailure>
        + Send
        + 'static,
    ) -> Option<T> {
        let room = self.store().room(bytes).await;
        let key = self.row.key;
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            // What comes later is not taken before this.
            let position = state.machine.reserve();
            let work = move |connection: &Connection, config: &KvConfig| {
                let (body, done) = work(connection, config)?;
                let at = unix_millis();
                let event = Event { position, at, body };
                within::insert_events(connection, key, std::slice::from_ref(&event))?;
                Ok((event, done))
            };
            let run = self.clone();
            // Not by the step: one that is stopped meanwhile must not leave its position open.
            self.store()
                .begin_then(room, work, move |written| match written {
                    Ok((event, done)) => {
                        {
                            let mut state = run.lock();
                            run.tell_answered(&state.machine, &event);
                            state.machine.fill(event);
                            state.has_news = true;
                        }
                        // The step first: it has ended when the guest goes on.
                        let _ = answer.send(done);
                        run.wake(&run.lock());
                    }
                    Err(failure) => run.stop(Stop::Store(failure)),
                });
        }
        answered.await.ok()
    }
}
