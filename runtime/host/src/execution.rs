//! [`Execution`]: one call of a role, from its arguments to its answer.
//!
//! An execution owns all that it needs: role, version of the plugin, context. So it can be awaited where
//! it is made, or run by itself as a task ([`spawn`]) that outlives whoever asked. Dropping what runs it
//! cancels it, down to the guest and the effect it waits for.
//!
//! Three things end independently:
//! - the **permit** for a sandbox is taken when a guest is entered and given back when it returns;
//! - the **wall-clock limit** holds for one run of the guest, and is the engine's;
//! - the **execution** lives on between runs. A wait for the client that the guest has asked ([`crate::client`]) is
//!   a wait between two runs, so it holds neither permit nor sandbox, and no clock runs.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exomonad_config::InstanceMode;
use exomonad_core::values::{Area, Scope};
use exomonad_core::{CallContext, CancelOnDrop, Principal, Scopes, aside};
use exomonad_engine::{CallError, Limit, Output};
use exomonad_journal::codec::read_events;
use exomonad_journal::record::OK;
use exomonad_journal::recording::Budget;
use exomonad_journal::{Answers, CallKind, Recording};
use exomonad_schema::common::{
    AgentEvent, CallToolResult, Content, Context, HANDLE_GET_PROMPT, HANDLE_LIST_PROMPTS,
    HANDLE_LIST_RESOURCE_TEMPLATES, HANDLE_LIST_RESOURCES, HANDLE_MCP_CALL, HANDLE_READ_RESOURCE,
    HookEvent, HookInput, HookOutput, ToolCallInput,
};
use exomonad_schema::effects::workflow::{
    OnParentEnd, WorkflowRun, WorkflowStartChild, WorkflowStatus,
};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson};
use exomonad_telemetry::spans;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use crate::admission::{Permit, QueueFullError};
use crate::audit::{AuditedCall, sha256};
use crate::caller_limits::{CallerLimitError, CallerPermit};
use crate::client::{ClientCall, Parked, Suspended, SuspendedState};
use crate::error::{HostError, Violation};
use crate::json::{self, UniqueKeys};
use crate::pipeline::{CallHost, Layer, RecordLayer, Resumed};
use crate::plugins::tool::CheckedTool;
use crate::plugins::version::PluginVersion;
use crate::record::RunningRecord;
use crate::role::{ASKING, Role, RoleSettings};
use crate::schema::work::{Stop, Work};
use crate::workflows::run::Run;
use crate::workflows::view::RunView;

/// Bytes of arguments, and of answers, up to which they are read on the thread that serves the request.
const SMALL_ARGUMENTS: usize = 32 << 10;
/// Steps that such a check may take there: about a millisecond.
const FEW_STEPS: u64 = 200_000;
/// Steps that any check may take: some seconds.
const MOST_STEPS: u64 = 2_000_000_000;

/// The caller, as the transport knows it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The caller's name, as it calls itself.
    pub name: Option<String>,
    /// The W3C trace that the call belongs to.
    pub traceparent: Option<String>,
    /// Who it is, as its token proves; `None` where no token is asked for.
    pub principal: Option<Arc<Principal>>,
}

impl Caller {
    /// True if it may see and call the tool.
    pub fn allows_tool(&self, name: &str) -> bool {
        allows_tool(self.principal.as_deref(), name)
    }

    /// The scopes of its token.
    pub fn scopes(&self) -> &Scopes {
        scopes(self.principal.as_deref())
    }
}

fn scopes(principal: Option<&Principal>) -> &Scopes {
    const ALL: &Scopes = &Scopes::ALL;
    principal.map_or(ALL, |principal| &principal.scopes)
}

/// The decision about a tool, for lists and for calls alike.
fn allows_tool(principal: Option<&Principal>, name: &str) -> bool {
    scopes(principal).allows_tool(name)
}

/// The areas of which one takes in an export.
fn areas(export: &str) -> &'static [Area] {
    match export {
        HANDLE_LIST_RESOURCES | HANDLE_LIST_RESOURCE_TEMPLATES | HANDLE_READ_RESOURCE => {
            &[Area::Resources]
        }
        HANDLE_LIST_PROMPTS | HANDLE_GET_PROMPT => &[Area::Prompts],
        // It completes the arguments of both.
        _ => &[Area::Prompts, Area::Resources],
    }
}

/// A tool's answer: a JSON `CallToolResult`, as the guest wrote it where it wrote one.
pub struct ToolAnswer {
    /// The JSON.
    pub json: Vec<u8>,
    /// True if the tool failed.
    pub is_error: bool,
    /// The outcome: `ok`, `tool_error` if the guest says so, or the code of the guest's failure.
    pub outcome: &'static str,
    /// The run that goes on with it, if the client follows that as a task: then there is no other answer yet.
    pub task: Option<Box<RunView>>,
}

impl ToolAnswer {
    /// True if the host made it, because the guest failed.
    pub fn is_of_host(&self) -> bool {
        self.outcome != OK && self.outcome != TOOL_ERROR
    }
}

/// The answer of an export, as the guest wrote it where that can be read in one way.
pub struct ExportAnswer<T> {
    /// The JSON.
    pub json: Vec<u8>,
    /// It as a value.
    pub value: T,
}

/// Why a run of a guest gave no output.
enum RunError {
    /// The guest failed.
    Guest(CallError),
    /// The host cannot go on with it.
    Host(HostError),
}

impl From<HostError> for RunError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Work that runs as a task of its own. Dropping it cancels the work; [`detach`](Self::detach) lets the
/// work go on without anybody who waits.
pub struct Running<T>(Option<JoinHandle<Result<T, HostError>>>);

/// Runs the work of an execution as a task of its own.
pub fn spawn<T: Send + 'static>(
    work: impl Future<Output = Result<T, HostError>> + Send + 'static,
) -> Running<T> {
    Running(Some(tokio::spawn(work.in_current_span())))
}

impl<T> Running<T> {
    /// Waits for the outcome. A panic of the host in there is this call's error alone.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn outcome(mut self) -> Result<T, HostError> {
        self.ended().await
    }

    /// Waits for the outcome, as [`outcome`](Self::outcome) does; whoever stops waiting may do so again.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn ended(&mut self) -> Result<T, HostError> {
        let Some(task) = &mut self.0 else {
            return Err(HostError::Internal("the call has been detached".to_owned()));
        };
        let ended = task.await;
        self.0 = None;
        ended.unwrap_or_else(|error| {
            Err(HostError::Internal(format!(
                "the call did not finish: {error}"
            )))
        })
    }

    /// Lets the work go on by itself.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// One call of a role, with the version of the plugin that it began with.
pub struct Execution {
    role: Arc<Role>,
    version: Arc<PluginVersion>,
    /// The call as services and the guest see it.
    pub context: CallContext,
    /// True if arguments may be JSON within a text.
    coerces: bool,
    /// True if the client follows long work as a task, false if it has none; unknown outside of MCP.
    has_tasks: Option<bool>,
    /// The line to the client, if it can be asked.
    client: Option<Arc<ClientCall>>,
    /// The guest's work so far, if the call goes on.
    resumed: Option<SuspendedState>,
    /// One of the caller's calls, where these are limited.
    _caller: Option<CallerPermit>,
}

/// The error for a caller with too many calls.
fn caller_limited(role: &Role, error: CallerLimitError) -> HostError {
    let settings = &role.settings;
    let (what, limit, retry_after) = match error {
        CallerLimitError::Rate(after) => (
            "has made as many calls in a minute as it may",
            "caller_calls_per_minute",
            after.as_secs_f64().ceil() as u64,
        ),
        CallerLimitError::AtOnce => (
            "has as many calls at once as it may",
            "caller_concurrent_calls",
            1,
        ),
    };
    settings.metrics.hit(role.name(), limit);
    HostError::CallerLimited {
        message: format!(
            "the caller {what}; `{}` sets how many",
            settings.limit_key(limit)
        ),
        retry_after: retry_after.max(1),
    }
}

/// Bytes of arguments up to which they are hashed on the thread that serves the request.
const SOON_HASHED: usize = 256 << 10;

/// Bytes that may be recorded of a call that asks its client, where the journal sets no bound.
const RECORD: usize = 8 << 20;

impl Execution {
    /// Begins a call.
    ///
    /// # Errors
    /// If no version of the role's plugin serves, or the caller has too many calls.
    pub fn new(role: Arc<Role>, id: CallId, caller: Caller) -> Result<Self, HostError> {
        let permit = role.caller_limits.take(caller.principal.as_deref());
        Ok(Self {
            version: role.serving()?,
            _caller: permit.map_err(|error| caller_limited(&role, error))?,
            context: role.settings.call(id, caller),
            role,
            coerces: false,
            has_tasks: None,
            client: None,
            resumed: None,
        })
    }

    /// Says if the client follows long work as a task.
    #[must_use]
    pub fn with_tasks(mut self, has_tasks: bool) -> Self {
        self.has_tasks = Some(has_tasks);
        self
    }

    /// Lets the guest talk to the client that made the call. `resumed` is what a call with these arguments did before,
    /// if it goes on.
    #[must_use]
    pub fn with_client(mut self, client: Arc<ClientCall>, resumed: Option<SuspendedState>) -> Self {
        self.context.client = Some(client.clone());
        self.client = Some(client);
        self.resumed = resumed;
        self
    }

    /// The context as the guest sees it: of a call that goes on the same as before.
    fn guest_view(&self) -> Context {
        let resumed = self.resumed.as_ref();
        let before = resumed.and_then(|resumed| resumed.context.clone());
        before.unwrap_or_else(|| self.context.guest_view())
    }

    /// Reads arguments that do not fit the tool's schema, and are JSON within a text, as that JSON.
    #[must_use]
    pub fn coercing(mut self) -> Self {
        self.coerces = true;
        self
    }

    /// Calls a tool with these arguments, after they have been held against its schema.
    ///
    /// From there on every failure of the guest is the tool's failure, hence an answer.
    pub async fn tool(self, name: String, arguments: RawJson) -> Result<ToolAnswer, HostError> {
        let span = spans::call(&self.context, spans::TOOLS_CALL);
        let (audited, arguments) = self.audited("tool", &name, arguments).await?;
        let called = self.known_tool(&span, &name, arguments);
        let result = called.instrument(span.clone()).await;
        match &result {
            Ok(answer) if answer.is_error => spans::failed(&span, answer.outcome),
            Ok(_) => {}
            Err(error) => spans::failed(&span, error.code()),
        }
        match &result {
            Ok(answer) => audited.end(answer.outcome, true),
            Err(error) => audited.end_refused(error),
        }
        result
    }

    /// Begins the line of a call with these arguments, and gives them back.
    async fn audited(
        &self,
        kind: &'static str,
        name: &str,
        arguments: RawJson,
    ) -> Result<(AuditedCall, RawJson), HostError> {
        let is_long = arguments.get().len() > SOON_HASHED;
        let hash = move || (sha256(arguments.get().as_bytes()), arguments);
        let (sha256, arguments) = aside(is_long, hash).await.map_err(|_| {
            HostError::Internal("hashing the arguments failed in the host".to_owned())
        })?;
        let audited = self.role.audit.begin(&self.context, kind, name, sha256);
        Ok((audited, arguments))
    }

    /// Begins the line of a call of an export with this input, hashed without the context that the host adds.
    fn audited_export(&self, export: &str, input: &Value) -> AuditedCall {
        let parameters = input.as_object().into_iter().flatten();
        let parameters: Value = parameters
            .filter(|(name, _)| *name != "context")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let sha256 = sha256(parameters.to_string().as_bytes());
        let audit = &self.role.audit;
        audit.begin(&self.context, "export", export, sha256)
    }

    /// Checks that one of these areas is among the caller's scopes.
    fn check_areas(&self, areas: &[Area]) -> Result<(), HostError> {
        let scopes = scopes(self.context.principal.as_deref());
        match areas.iter().any(|area| scopes.allows(*area)) {
            true => Ok(()),
            false => Err(HostError::OutOfScope(
                areas.first().map_or("", |area| area.name()).to_owned(),
            )),
        }
    }

    async fn known_tool(
        self,
        span: &Span,
        name: &str,
        arguments: RawJson,
    ) -> Result<ToolAnswer, HostError> {
        // Before it is looked for: a caller learns nothing of what is none of its scopes.
        if !allows_tool(self.context.principal.as_deref(), name) {
            return Err(HostError::OutOfScope(Scope::of_tool(name)));
        }
        let version = self.version.clone();
        let (tool, series) = version.tool(name).map_err(|near| {
            let mut refused = version.refused_tools.iter();
            match refused.find(|refused| refused.name == name) {
                Some(refused) => HostError::ToolRefused {
                    role: self.role.name().to_string(),
                    tool: name.to_owned(),
                    reason: refused.reason.clone(),
                },
                None => HostError::ToolNotFound {
                    role: self.role.name().to_string(),
                    tool: name.to_owned(),
                    near: near.map(str::to_owned),
                },
            }
        })?;
        // Not before it is known: what a request says is no name for a span or a series.
        spans::is_of_tool(span, name);
        let timer = series.begin();
        let result = self.checked_tool(tool, arguments).await;
        timer.ended(match &result {
            Ok(answer) => answer.outcome,
            Err(error) => error.code(),
        });
        result
    }

    async fn checked_tool(
        mut self,
        tool: &CheckedTool,
        mut arguments: RawJson,
    ) -> Result<ToolAnswer, HostError> {
        // Checking large arguments is work, too.
        let permit = self.admit().await?;
        let mut violations = match self.check(tool, &arguments).await? {
            Ok(violations) => violations,
            Err(Stop::Deadline) => return Ok(self.out_of_time()),
            Err(stop) => vec![too_much(stop)],
        };
        if self.coerces && !violations.is_empty() {
            // Sanitized like everything that comes in: the texts were, what is written in them was not.
            let coerced = tool.schema.without_stringified(&arguments);
            if let Some(coerced) = coerced.and_then(sanitized)
                && let Ok(Ok(none)) = self.check(tool, &coerced).await
                && none.is_empty()
            {
                (arguments, violations) = (coerced, none);
            }
        }
        if !violations.is_empty() {
            return Err(HostError::InvalidArguments {
                tool: tool.tool.name.clone(),
                violations,
            });
        }
        if tool.needs_task && self.has_tasks == Some(false) {
            return Err(HostError::TaskRequired(tool.tool.name.clone()));
        }
        if let Some(run) = self.resumed.as_ref().and_then(|before| before.run.clone()) {
            drop(permit);
            return self.followed(&run).await;
        }
        if tool.is_workflow {
            // A run has a permit of its own.
            drop(permit);
            return self.started_workflow(&tool.tool.name, arguments).await;
        }
        let guest = self.guest(HANDLE_MCP_CALL);
        let input = ToolCallInput {
            name: tool.tool.name.clone(),
            arguments,
            context: self.guest_view(),
        };
        let input = encode(&input)?;
        let mut record = self.record(CallKind::Tool, &tool.tool.name, &input);
        let invoked = self
            .invoke(permit, guest, HANDLE_MCP_CALL, &input, &mut record)
            .await;
        match invoked {
            Ok(output) => self.answer(output, record).await,
            Err(RunError::Host(error)) => Err(not_answered(record, error)),
            Err(RunError::Guest(error)) => {
                let (code, message) = (code(&error), self.explain(&error));
                if let Some(record) = record {
                    record.end(code, None, Some(&message));
                }
                Ok(self.failed_tool(code, &message))
            }
        }
    }

    /// Starts a workflow and waits for its end, as long as a call may take.
    async fn started_workflow(
        &self,
        name: &str,
        arguments: RawJson,
    ) -> Result<ToolAnswer, HostError> {
        let Some(workflows) = &self.role.settings.workflows else {
            return Ok(self.no_workflows());
        };
        let client = self.context.client.as_ref();
        let client = client.map(|client| client.describe());
        let started = async {
            let request = WorkflowStartChild {
                workflow: name
                    .to_owned()
                    .try_into()
                    .map_err(|_| EffectError::invalid_input("the workflow's name is too long"))?,
                input: arguments,
                workflow_id: None,
                on_parent_end: OnParentEnd::Abandon,
            };
            let by = self.context.principal.as_deref();
            workflows
                .start_for(&self.role, &request, by, client.as_ref())
                .await
        };
        match started.await {
            Ok(started) => self.followed(&started.run_id).await,
            Err(error) => Ok(self.failed_tool(error.code.name(), &error.message)),
        }
    }

    fn no_workflows(&self) -> ToolAnswer {
        let message = "this process runs no workflows; start it on a host";
        self.failed_tool("unavailable", message)
    }

    /// The answer of a tool that a run goes on with. For a client that has tasks it is the task. Every other one waits
    /// for its end, as long as a call may take, and is asked what the run asks: one that goes on is no failure, the
    /// answer says how it is, and under which id.
    async fn followed(&self, id: &str) -> Result<ToolAnswer, HostError> {
        let Some(workflows) = &self.role.settings.workflows else {
            return Ok(self.no_workflows());
        };
        let failed = |error: EffectError| Ok(self.failed_tool(error.code.name(), &error.message));
        let longest = self.role.settings.limits.wall_time;
        let run = workflows.find(self.role.name(), id).await;
        let run = match run {
            Ok(run) => run,
            Err(error) => return failed(error),
        };
        if self.has_tasks == Some(true) {
            let view = match run.view(workflows).await {
                Ok(view) => view,
                Err(error) => return failed(error),
            };
            return Ok(ToolAnswer {
                json: Vec::new(),
                is_error: false,
                outcome: OK,
                task: Some(Box::new(view)),
            });
        }
        // A run on a server has no client.
        let (Run::Here(row), Some(client)) = (&run, &self.client) else {
            let ended = async { run.wait(workflows, longest).await?.view(workflows).await };
            return match ended.await {
                Ok(run) => run_answer(run.into()),
                Err(error) => failed(error),
            };
        };
        let mut row = (**row).clone();
        let mut answers = client.take_answers();
        loop {
            if !answers.is_empty() {
                match workflows.answer(&self.role, &row, answers).await {
                    Ok(()) => {}
                    Err(error) if error.code == ErrorCode::InvalidInput => {
                        return Err(HostError::ClientAnswer(error.message));
                    }
                    Err(error) => return failed(error),
                }
            }
            let questions;
            let waited = workflows.wait_or_asked(&self.role, &row.run_id, longest);
            (row, questions) = match waited.await {
                Ok((row, questions)) if questions.is_empty() => {
                    return run_answer(workflows.view(row).into());
                }
                Ok(asking) => asking,
                Err(error) => return failed(error),
            };
            answers = match client.ask_for_run(&questions).await {
                Some(answers) => answers,
                None => {
                    let state = SuspendedState {
                        run: Some(row.run_id.clone()),
                        ..client.suspend(self.guest_view())
                    };
                    let suspended = Suspended { questions, state };
                    return Err(HostError::InputRequired(Box::new(suspended)));
                }
            };
        }
    }

    /// Checks arguments: here if they are small and soon checked, else on a thread that may be busy for a
    /// while. The role's wall-clock limit holds, and dropping the call ends the check.
    async fn check(
        &self,
        tool: &CheckedTool,
        arguments: &RawJson,
    ) -> Result<Result<Vec<Violation>, Stop>, HostError> {
        if arguments.get().len() <= SMALL_ARGUMENTS {
            let values = parse(arguments)?;
            match tool.schema.violations(&values, &mut Work::new(FEW_STEPS)) {
                Err(Stop::TooMuch) => {}
                checked => return Ok(checked),
            }
        }
        let deadline = Instant::now() + self.role.settings.limits.wall_time;
        let waited = tokio::time::timeout_at(
            deadline.into(),
            self.role.long_checks.clone().acquire_owned(),
        );
        // The semaphore is never closed.
        let Ok(Ok(turn)) = waited.await else {
            return Ok(Err(Stop::Deadline));
        };
        let cancel = CancelOnDrop::default();
        let cancelled = cancel.flag();
        let (schema, arguments) = (tool.schema.clone(), arguments.clone());
        let check = move || {
            let _turn = turn;
            let values = parse(&arguments)?;
            let mut work = Work::new(MOST_STEPS).until(deadline, cancelled);
            Ok(schema.violations(&values, &mut work))
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| {
            HostError::Internal("checking the arguments failed in the host".to_owned())
        })?
    }

    /// The answer of a tool whose arguments took the call's whole time to check.
    fn out_of_time(&self) -> ToolAnswer {
        let settings = &self.role.settings;
        let hit = settings.limits.exceeded(Limit::WallTime);
        settings.metrics.hit(self.role.name(), hit.limit.key());
        let message = format!(
            "checking the arguments against the tool's schema: {}",
            hit.set_by(&settings.limit_key(hit.limit.key()))
        );
        self.failed_tool("limit_exceeded", &message)
    }

    /// Asks the plugin to decide on an event. A guest that fails has decided nothing: that is an error.
    pub async fn hook(
        self,
        event: HookEvent,
        payload: RawJson,
        agent_event: Option<AgentEvent>,
    ) -> Result<HookOutput, HostError> {
        if let Err(error) = self.check_areas(&[Area::Hooks]) {
            let (audited, _) = self.audited("hook", event.name(), payload).await?;
            audited.end_refused(&error);
            return Err(error);
        }
        let version = self.version.clone();
        let Some(series) = version.hook(event) else {
            return Err(self.role.hook_not_found(event.name()));
        };
        let (audited, payload) = self.audited("hook", event.name(), payload).await?;
        let span = spans::call(&self.context, "hook");
        span.record("exomonad.hook", event.name());
        let timer = series.begin();
        let decided = self.decided(event, payload, agent_event);
        let result = decided.instrument(span.clone()).await;
        if let Err(error) = &result {
            spans::failed(&span, error.code());
        }
        match &result {
            Ok(_) => audited.end(OK, true),
            Err(error) => audited.end_refused(error),
        }
        timer.ended(result.as_ref().map_or_else(HostError::code, |_| "ok"));
        result
    }

    async fn decided(
        mut self,
        event: HookEvent,
        payload: RawJson,
        agent_event: Option<AgentEvent>,
    ) -> Result<HookOutput, HostError> {
        let permit = self.admit().await?;
        let guest = self.guest(event.export());
        let input = encode(&HookInput {
            event,
            payload,
            agent_event,
            context: self.guest_view(),
        })?;
        let mut record = self.record(CallKind::Hook, event.name(), &input);
        let invoked = self
            .invoke(permit, guest, event.export(), &input, &mut record)
            .await;
        let (output, decided) = match invoked {
            Ok(output) => {
                let json = output.bytes;
                let (json, read) = read_aside(json.len(), move || {
                    let read: serde_json::Result<HookOutput> = exomonad_schema::from_slice(&json);
                    (json, read)
                })
                .await?;
                let decided = read.map_err(|error| HostError::Guest {
                    code: INVALID_ANSWER,
                    message: invalid_decision(event.export(), &error),
                });
                (Some(json), decided)
            }
            Err(error) => (None, Err(self.run_error(error))),
        };
        end(record, output.as_deref(), decided.as_ref().err());
        decided
    }

    /// Calls an export of the contract other than those of tools and hooks. The input gets the context as the guest
    /// sees it; `what` names the call in traces.
    ///
    /// # Errors
    /// If the plugin does not export it, the guest fails, or its answer does not fit.
    pub async fn export<I, T>(
        mut self,
        what: &'static str,
        export: &'static str,
        input: impl FnOnce(Context) -> I,
    ) -> Result<ExportAnswer<T>, HostError>
    where
        I: Serialize,
        T: Serialize + DeserializeOwned + JsonSchema + Send + 'static,
    {
        if let Err(error) = self.check_areas(areas(export)) {
            let input = json!(input(self.guest_view()));
            self.audited_export(export, &input).end_refused(&error);
            return Err(error);
        }
        let span = spans::call(&self.context, what);
        let called = async {
            let permit = self.admit().await?;
            let guest = self.guest(export);
            let input = json!(input(self.guest_view()));
            let audited = self.audited_export(export, &input);
            let input = encode(&input)?;
            let mut record = self.record(CallKind::Export, export, &input);
            let invoked = self
                .invoke(permit, guest, export, &input, &mut record)
                .await;
            let output = match invoked {
                Ok(output) => output.bytes,
                Err(RunError::Host(error)) => {
                    audited.end_refused(&error);
                    return Err(not_answered(record, error));
                }
                Err(error) => {
                    let error = self.run_error(error);
                    audited.end_refused(&error);
                    end(record, None, Some(&error));
                    return Err(error);
                }
            };
            let (output, read) = read_aside(output.len(), move || {
                let read = read_export::<T>(&output);
                (output, read)
            })
            .await?;
            let read = read.map_err(|error| HostError::Guest {
                code: INVALID_ANSWER,
                message: invalid_decision(export, &error),
            });
            match &read {
                Ok(_) => audited.end(OK, true),
                Err(error) => audited.end_refused(error),
            }
            end(record, Some(&output), read.as_ref().err());
            let (value, rewritten) = read?;
            Ok(ExportAnswer {
                json: rewritten.unwrap_or(output),
                value,
            })
        };
        let result = called.instrument(span.clone()).await;
        if let Err(error) = &result {
            spans::failed(&span, error.code());
        }
        result
    }

    /// Calls any export with any bytes.
    pub async fn raw(mut self, export: String, input: Vec<u8>) -> Result<Output, HostError> {
        let span = spans::call(&self.context, "raw call");
        let called = async {
            let permit = self.admit().await?;
            let guest = self.guest(&export);
            let input = Bytes::from(input);
            let audited = self
                .role
                .audit
                .begin(&self.context, "raw", &export, sha256(&input));
            let mut record = self.record(CallKind::Export, &export, &input);
            let invoked = self
                .invoke(permit, guest, &export, &input, &mut record)
                .await;
            let output = invoked.map_err(|error| self.run_error(error));
            let bytes = output.as_ref().ok().map(|output| &*output.bytes);
            match &output {
                Ok(_) => audited.end(OK, true),
                Err(error) => audited.end_refused(error),
            }
            end(record, bytes, output.as_ref().err());
            output
        };
        let result = called.instrument(span.clone()).await;
        if let Err(error) = &result {
            spans::failed(&span, error.code());
        }
        result
    }

    /// Waits for a permit of this role.
    async fn admit(&self) -> Result<Permit, HostError> {
        let (role, settings) = (&self.role, &self.role.settings);
        let full = |QueueFullError { running, queue }| {
            settings.metrics.hit(role.name(), "queue");
            HostError::QueueFull {
                role: role.name().to_string(),
                running,
                queue,
                running_key: settings.limit_key("concurrent_calls"),
                queue_key: settings.limit_key("queue"),
                unread_key: (!role.admission.answers.has_room())
                    .then(|| settings.limit_key("unread_answers")),
            }
        };
        role.admission.admit().await.map_err(full)
    }

    /// The span of the guest's work. From here on the trace goes on from it, for the guest, too.
    fn guest(&mut self, export: &str) -> Span {
        let span = spans::guest(&self.context, export, self.version.plugin.digest());
        if let Some(traceparent) = spans::traceparent(&span) {
            self.context.traceparent = Some(traceparent);
        }
        span
    }

    /// Begins the record of a call that goes to the guest; `None` if the role's calls are not recorded.
    fn record(&self, kind: CallKind, name: &str, input: &Bytes) -> Option<RunningRecord> {
        let (role, version) = (&self.role.settings, &self.version);
        RunningRecord::begin(role, version, &self.context, kind, name, input)
    }

    /// Runs an export in a sandbox; again, if the guest asks the client of its call.
    async fn invoke(
        &self,
        permit: Permit,
        span: Span,
        export: &str,
        input: &[u8],
        record: &mut Option<RunningRecord>,
    ) -> Result<Output, RunError> {
        let layers = self.role.settings.layers.clone();
        let Some(client) = self.client.as_ref().filter(|_| self.version.asks_client) else {
            let layers = match record {
                Some(record) => record.layers(layers),
                None => layers,
            };
            let run = self.run(&span, export, input, record.as_ref(), layers);
            return run.await.map_err(RunError::Guest);
        };
        if self.role.settings.instance == InstanceMode::Pooled {
            client.runs_once(format!(
                "a guest that asks its client is run again, which takes a fresh sandbox: `{}` is \"pooled\"",
                self.context.key("instance")
            ));
        }
        let mut permit = Some(permit);
        let mut answers = match &self.resumed {
            Some(resumed) => Some(self.answers(&resumed.events)?),
            None => None,
        };
        loop {
            let recording = match record {
                Some(record) => record.restart(),
                None => Arc::new(Recording::new(RECORD, Budget::new(RECORD))),
            };
            let inner: Arc<dyn Layer> = match &answers {
                Some(answers) => Arc::new(Resumed::new(
                    answers.clone(),
                    layers.clone(),
                    client.diverged.clone(),
                )),
                None => layers.clone(),
            };
            let recorded = Arc::new(RecordLayer::new(recording.clone(), inner));
            let parked = tokio::select! {
                biased;
                ended = self.run(&span, export, input, record.as_ref(), recorded) => {
                    return ended.map_err(RunError::Guest);
                }
                parked = client.parked() => parked,
                () = client.diverged.notified() => return Err(self.has_diverged().into()),
            };
            // The guest's run is over, and its sandbox is free: so is the permit.
            drop(permit.take());
            let questions = match parked {
                Parked::Asking(questions) => questions,
                Parked::Incapable(capability) => {
                    return Err(HostError::ClientIncapable(capability).into());
                }
                Parked::WrongAnswer(message) => {
                    return Err(HostError::ClientAnswer(message).into());
                }
            };
            let recorded = recording.take_out();
            if recorded.is_cut {
                let message = "the guest has done too much before it asked its client to be run again: the record of \
                               it is larger than `journal.max_record`";
                return Err(HostError::Guest {
                    code: "limit_exceeded",
                    message: message.to_owned(),
                }
                .into());
            }
            // What such a call has done is in memory while it waits.
            let Ok(_waits) = self.role.asking.clone().try_acquire_owned() else {
                return Err(HostError::Guest {
                    code: "limit_exceeded",
                    message: format!(
                        "{ASKING} calls of role `{}` wait for their clients already",
                        self.role.name()
                    ),
                }
                .into());
            };
            if client.ask_client(&questions).await.is_none() {
                let state = SuspendedState {
                    events: recorded.events,
                    ..client.suspend(self.guest_view())
                };
                return Err(
                    HostError::InputRequired(Box::new(Suspended { questions, state })).into(),
                );
            }
            answers = Some(self.answers(&recorded.events)?);
            permit = Some(self.admit().await?);
        }
    }

    /// The guest's work so far, as answers.
    fn answers(&self, events: &[u8]) -> Result<Arc<Answers>, HostError> {
        let events = read_events(events)
            .map_err(|_| HostError::Internal("the record of the call cannot be read".to_owned()))?;
        Ok(Arc::new(Answers::resuming(&self.context.call_id, &events)))
    }

    fn has_diverged(&self) -> HostError {
        HostError::Guest {
            code: "diverged",
            message: "the guest does something else than before it asked its client, perhaps because its plugin was \
                      replaced: call again"
                .to_owned(),
        }
    }

    /// Runs an export once.
    async fn run(
        &self,
        span: &Span,
        export: &str,
        input: &[u8],
        record: Option<&RunningRecord>,
        layers: Arc<dyn Layer>,
    ) -> Result<Output, CallError> {
        let settings = &self.role.settings;
        let host = Arc::new(CallHost::new(self.context.clone(), layers));
        let plugin = &self.version.plugin;
        let running = async {
            match settings.instance {
                InstanceMode::Fresh => plugin.call(host, settings.limits, export, input).await,
                InstanceMode::Pooled => self.invoke_pooled(host, export, input, record).await,
            }
        };
        let result = running.instrument(span.clone()).await;
        if let Err(error) = &result {
            spans::failed(span, code(error));
            if let CallError::Limit(hit) = error {
                settings.metrics.hit(self.role.name(), hit.limit.key());
            }
            tracing::debug!(
                role = %self.role.name(), call_id = %self.context.call_id, export, code = code(error), %error,
                "the guest failed"
            );
        }
        result
    }

    async fn invoke_pooled(
        &self,
        host: Arc<CallHost>,
        export: &str,
        input: &[u8],
        record: Option<&RunningRecord>,
    ) -> Result<Output, CallError> {
        let limits = self.role.settings.limits;
        let mut sandbox = match self.version.instances.acquire() {
            Some(sandbox) => {
                if let Some(record) = record {
                    record.in_used_sandbox();
                }
                sandbox
            }
            None => self.version.plugin.sandbox(host.clone(), limits).await?,
        };
        let result = sandbox.call(host, limits, export, input).await;
        self.version.instances.release(sandbox);
        result
    }

    fn run_error(&self, error: RunError) -> HostError {
        match error {
            RunError::Guest(error) => self.guest_error(&error),
            RunError::Host(error) => error,
        }
    }

    /// A guest's failure as an error, where only an answer will do.
    fn guest_error(&self, error: &CallError) -> HostError {
        match error {
            CallError::UnknownExport { .. } | CallError::Signature { .. } => {
                HostError::ExportNotFound(error.to_string())
            }
            _ => HostError::Guest {
                code: code(error),
                message: self.explain(error),
            },
        }
    }

    fn explain(&self, error: &CallError) -> String {
        explain(&self.role.settings, error)
    }

    /// Holds the guest's output against the contract; what fits goes out as it came.
    async fn answer(
        &self,
        output: Output,
        record: Option<RunningRecord>,
    ) -> Result<ToolAnswer, HostError> {
        let json = output.bytes;
        let (json, judged) = read_aside(json.len(), move || {
            let judged = judge(&json);
            (json, judged)
        })
        .await?;
        let (outcome, failure) = match &judged {
            Ok(judged) => (outcome(judged.is_error), None),
            Err(error) => (INVALID_ANSWER, Some(invalid_result(error))),
        };
        if let Some(record) = record {
            record.end(outcome, Some(&json), failure.as_deref());
        }
        if let Ok(JudgedResult {
            workflow_id: Some(id),
            ..
        }) = &judged
        {
            return self.followed(id).await;
        }
        Ok(match (judged, failure) {
            (Ok(judged), _) => ToolAnswer {
                json: judged.rewritten.unwrap_or(json),
                is_error: judged.is_error,
                outcome,
                task: None,
            },
            (Err(_), failure) => self.failed_tool(outcome, &failure.unwrap_or_default()),
        })
    }

    /// A failed guest as the result of its tool.
    fn failed_tool(&self, code: &'static str, message: &str) -> ToolAnswer {
        let call_id = self.context.call_id.as_str();
        let details = json!({"error": {"code": code, "message": message, "callId": call_id}});
        let result = CallToolResult {
            structured_content: Some(details.into()),
            ..CallToolResult::error(message)
        };
        let json = serde_json::to_vec(&result).unwrap_or_default();
        // The message is in it twice, and is the guest's: it is bounded as its output is.
        let settings = &self.role.settings;
        let most = settings.limits.output.max(SHORT_ANSWER);
        if json.len() as u64 > most {
            let key = settings.limit_key(Limit::Output.key());
            let message = settings.limits.exceeded(Limit::Output).set_by(&key);
            return self.failed_tool("limit_exceeded", &message);
        }
        ToolAnswer {
            json,
            is_error: true,
            outcome: code,
            task: None,
        }
    }
}

/// The outcome of a tool that says itself that it failed.
pub(crate) const TOOL_ERROR: &str = "tool_error";

/// The outcome of a guest whose output is not what the contract asks for.
pub(crate) const INVALID_ANSWER: &str = "invalid_answer";

/// The outcome of a tool's result.
pub(crate) fn outcome(is_error: bool) -> &'static str {
    if is_error { TOOL_ERROR } else { OK }
}

/// A tool's result that fits the contract.
pub(crate) struct JudgedResult {
    /// True if the tool says that it failed.
    pub is_error: bool,
    /// The workflow that goes on with the call.
    pub workflow_id: Option<String>,
    /// The result as it goes out, if not as the guest wrote it.
    pub rewritten: Option<Vec<u8>>,
}

/// Holds a tool's output against the contract.
pub(crate) fn judge(json: &[u8]) -> serde_json::Result<JudgedResult> {
    if let Ok(result) = serde_json::from_slice::<CallToolResult>(json) {
        return Ok(JudgedResult {
            is_error: result.is_error,
            workflow_id: result.workflow_id.map(String::from),
            rewritten: None,
        });
    }
    // Optional fields that are null; a client might take these as little as serde does.
    let result: CallToolResult = exomonad_schema::from_slice(json)?;
    let rewritten = serde_json::to_vec(&result)?;
    Ok(JudgedResult {
        is_error: result.is_error,
        workflow_id: result.workflow_id.map(String::from),
        rewritten: Some(rewritten),
    })
}

/// The message about a tool's output that does not fit.
pub(crate) fn invalid_result(error: &serde_json::Error) -> String {
    format!("the plugin's answer is not a CallToolResult: {error}")
}

/// The message about a hook's output that does not fit.
pub(crate) fn invalid_decision(export: &str, error: &serde_json::Error) -> String {
    format!("the answer of `{export}` does not fit the contract: {error}")
}

/// A guest's failure, for a person.
pub fn explain(role: &RoleSettings, error: &CallError) -> String {
    match error {
        // The engine names the limit; which role it is set for is known here.
        CallError::Limit(hit) => hit.set_by(&role.limit_key(hit.limit.key())),
        _ => error.to_string(),
    }
}

/// A run of a workflow as the result of its tool.
///
/// # Errors
/// If it has no JSON.
pub fn run_answer(run: WorkflowRun) -> Result<ToolAnswer, HostError> {
    let is_error = matches!(
        run.status,
        WorkflowStatus::Failed
            | WorkflowStatus::Cancelled
            | WorkflowStatus::Terminated
            | WorkflowStatus::Stuck
    );
    let text = match (&run.output, &run.error) {
        (Some(output), _) => output.get().to_owned(),
        (None, Some(error)) => error.clone(),
        (None, None) => format!(
            "it goes on as workflow `{}` (run {})",
            run.workflow_id, run.run_id
        ),
    };
    let result = CallToolResult {
        content: vec![Content::Text { text }],
        structured_content: RawJson::new(&run).ok(),
        is_error,
        ..CallToolResult::default()
    };
    let json = serde_json::to_vec(&result)
        .map_err(|error| HostError::Internal(format!("the run is not JSON: {error}")))?;
    Ok(ToolAnswer {
        json,
        is_error,
        outcome: outcome(is_error),
        task: None,
    })
}

/// Ends the record of a call that succeeded, or failed with this error.
fn end(record: Option<RunningRecord>, output: Option<&[u8]>, error: Option<&HostError>) {
    if let Some(record) = record {
        let message = error.map(ToString::to_string);
        record.end(
            error.map_or(OK, HostError::code),
            output,
            message.as_deref(),
        );
    }
}

/// Ends the record of a call that the host does not go on with. One that waits for its client is no failure: its
/// record is kept when it is done.
fn not_answered(record: Option<RunningRecord>, error: HostError) -> HostError {
    match (&error, record) {
        (HostError::InputRequired(_), Some(record)) => record.forget(),
        (_, record) => end(record, None, Some(&error)),
    }
    error
}

/// Reads the output of an export, and writes it anew if a client could not read it.
fn read_export<T>(json: &[u8]) -> serde_json::Result<(T, Option<Vec<u8>>)>
where
    T: Serialize + DeserializeOwned + JsonSchema + 'static,
{
    if let Ok(value) = serde_json::from_slice(json) {
        return Ok((value, None));
    }
    let value: T = exomonad_schema::from_slice(json)?;
    let rewritten = serde_json::to_vec(&value)?;
    Ok((value, Some(rewritten)))
}

/// The bytes that the answer of a failed tool may have whatever the role's limit.
const SHORT_ANSWER: u64 = 16 << 10;

/// Reads a guest's JSON of this many bytes.
async fn read_aside<T: Send + 'static>(
    bytes: usize,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    let read = aside(bytes > SMALL_ARGUMENTS, read).await;
    read.map_err(|_| {
        HostError::Internal("reading the guest's answer failed in the host".to_owned())
    })
}

fn parse(arguments: &RawJson) -> Result<Value, HostError> {
    let UniqueKeys(values) = arguments.parse().map_err(|error| {
        HostError::InvalidRequest(format!("the arguments cannot be read: {error}"))
    })?;
    Ok(values)
}

/// JSON that every guest can read, if it can be made of this.
fn sanitized(arguments: RawJson) -> Option<RawJson> {
    let bytes = json::sanitize(arguments.get().to_owned().into()).ok()?;
    RawJson::from_text(String::from_utf8(bytes.into()).ok()?).ok()
}

/// The violation that stands for a check that was given up.
fn too_much(stop: Stop) -> Violation {
    let message = match stop {
        Stop::TooDeep => "these values lie too deep in each other for the tool's schema",
        _ => {
            "these are too many values, or too long ones, to check against the tool's schema; send fewer"
        }
    };
    Violation {
        pointer: String::new(),
        message: message.to_owned(),
    }
}

/// The stable code of a guest's failure.
pub fn code(error: &CallError) -> &'static str {
    match error {
        CallError::Limit(_) => "limit_exceeded",
        CallError::Guest { .. } | CallError::Exit(_) => "guest_failed",
        CallError::Busy(_) => "no_sandbox",
        _ => "guest_trapped",
    }
}

fn encode(input: &impl serde::Serialize) -> Result<Bytes, HostError> {
    serde_json::to_vec(input)
        .map(Bytes::from)
        .map_err(|error| HostError::Internal(format!("the guest's input is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn running_work_has_an_outcome_and_a_panic_in_it_is_an_error() {
        assert_eq!(spawn(async { Ok(1) }).outcome().await.ok(), Some(1));
        let panicked = spawn::<()>(async { panic!("a bug") }).outcome().await;
        assert_eq!(panicked.map_err(|error| error.code()), Err("internal"));
    }

    #[tokio::test]
    async fn dropped_work_is_cancelled_and_detached_work_goes_on() {
        struct OnDrop(Arc<AtomicBool>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let guard = OnDrop(cancelled.clone());
        let (begun, began) = oneshot::channel();
        let running = spawn::<()>(async move {
            let _guard = guard;
            let _ = begun.send(());
            std::future::pending().await
        });
        let _ = began.await;
        drop(running);
        while !cancelled.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let (ended, end) = oneshot::channel();
        spawn(async move {
            tokio::task::yield_now().await;
            let _ = ended.send(7);
            Ok(())
        })
        .detach();
        assert_eq!(end.await, Ok(7));
    }
}
