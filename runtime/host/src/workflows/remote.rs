//! [`RemoteRuns`]: runs of a role whose workflows a Temporal server keeps, as this host's own are started, looked at
//! and ended.
//!
//! All of it is done by the effects of the host's own client. Whoever asks was let through before: the role's bounds
//! of the service `temporal` are about its plugin, and do not count here. Of the server's workflows only those of the
//! role's task queue exist.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exomonad_core::{CallContext, Principal, TemporalService};
use exomonad_schema::effects::temporal::*;
use exomonad_schema::effects::workflow::{
    WorkflowChild, WorkflowSignal, WorkflowStartChild, WorkflowStatus,
};
use exomonad_schema::{BoundedText, CallId, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_services::Temporal;
use exomonad_services::temporal::TemporalBounds;
use exomonad_telemetry::spans;
use exomonad_workflow::store::{Filter, InboxKind, NewInboxEntry, RunRow, is_open, status_name};
use jiff::Timestamp;
use tokio::time::timeout;

use super::remote_history::{Event, HistoryReader};
use super::transfer::Left;
use super::view::{HistoryEntry, RunError, RunView};
use super::{CANCELLED, Workflows, lock, no_open_run};
use crate::execution::Caller;
use crate::plugins::version::PluginVersion;
use crate::role::Role;

type Answered<T> = Result<T, EffectError>;

/// The query by which a worker of this host answers with the state that a run has published.
pub const STATE_QUERY: &str = "__exomonad_state";
/// The field of a run's memo that names the principal which has started it.
const STARTED_BY: &str = "exomonad-started-by";
/// The principal of a run whose own cannot be read: nobody has this name.
const UNREADABLE: &str = "(unreadable)";
/// The field of the memo of a run that goes on with one of a host's own store: that run's id.
const MOVED_FROM: &str = "exomonad-moved-from";
/// The longest wait for a run's state: there may be no worker.
const STATE_TIME: Duration = Duration::from_secs(3);
/// Attempts at a workflow task after which its run is shown as stuck.
const STUCK_AFTER: u64 = 3;
/// Events of a history that are asked for at once.
const EVENTS: u64 = 1000;
/// The first events of a history: its input, and the worker that has begun with it.
const FIRST: u64 = 4;

/// The runs of a role on the server.
#[derive(Clone)]
pub struct RemoteRuns {
    role: Arc<Role>,
    temporal: Arc<Temporal>,
    task_queue: String,
    known: Arc<KnownRuns>,
}

/// The workflows of runs that were looked at of late, by the runs' ids: the server finds a run by its own id only in its
/// list, where it comes within a second or so.
#[derive(Default)]
pub struct KnownRuns(Mutex<VecDeque<(String, String)>>);

impl KnownRuns {
    /// The number of runs that are known.
    const MOST: usize = 1000;

    fn note(&self, run_id: &str, workflow_id: &str) {
        let mut known = lock(&self.0);
        if known.iter().all(|(known, _)| known != run_id) {
            known.truncate(Self::MOST - 1);
            known.push_front((run_id.to_owned(), workflow_id.to_owned()));
        }
    }

    fn workflow_of(&self, run_id: &str) -> Option<String> {
        let known = lock(&self.0);
        let found = known.iter().find(|(known, _)| known == run_id);
        found.map(|(_, workflow_id)| workflow_id.clone())
    }
}

/// A run on the server.
#[derive(Clone)]
pub struct RemoteRun {
    runs: RemoteRuns,
    found: TemporalWorkflow,
    /// The attempt at its workflow task that is due.
    attempt: u64,
}

impl Workflows {
    /// The runs of this role on the server, if that is where they are.
    pub fn remote(&self, role: &RoleName) -> Option<RemoteRuns> {
        let runtime = self.runtime()?;
        let role = runtime.role(role.as_str()).ok()?;
        Some(RemoteRuns {
            task_queue: role.settings.temporal_task_queue.clone()?,
            temporal: runtime.temporal().clone(),
            known: self.known_remote.clone(),
            role,
        })
    }

    /// The runs of all roles whose workflows are on the server.
    pub(super) fn remotes(&self) -> Vec<RemoteRuns> {
        let roles = self.runtime().map(|runtime| runtime.roles());
        let names = roles.iter().flat_map(|roles| roles.keys());
        names.filter_map(|name| self.remote(name)).collect()
    }
}

impl RemoteRuns {
    /// The role.
    pub fn role(&self) -> &RoleName {
        self.role.name()
    }

    /// A call of the host's own: without bounds.
    fn call(&self) -> CallContext {
        let settings = &self.role.settings;
        let mut call = settings.call(CallId::random(), Caller::default());
        call.bounds = Arc::new((*call.bounds).clone().with(TemporalBounds::all()));
        call.traceparent = spans::traceparent(&tracing::Span::current());
        call
    }

    /// Starts a run for this principal, or finds the open one of its id.
    ///
    /// # Errors
    /// If the role has no such workflow, the input does not fit, the id is that of something else at the server, or
    /// the server does not answer.
    pub async fn start(
        &self,
        version: &PluginVersion,
        request: &WorkflowStartChild,
        by: Option<&Principal>,
    ) -> Answered<WorkflowChild> {
        let (_, input) = super::accepted(&self.role.settings, version, request)?;
        let id = request.workflow_id.as_ref().map(ToString::to_string);
        let id = id.unwrap_or_else(super::new_run_id);
        let by = by.map(|by| by.id.to_string());
        let request = TemporalStartWorkflow {
            id_conflict: TemporalIdConflict::UseExisting,
            ..self.to_start(&id, &request.workflow, input, by)?
        };
        let started = self.temporal.start_workflow(&self.call(), request).await?;
        if !started.started && self.find(&id).await?.is_none() {
            return Err(EffectError::new(
                ErrorCode::Conflict,
                format!(
                    "a workflow with the id `{id}` is open on the Temporal server in another task queue than `{}`, \
                     that of role `{}`: use another id",
                    self.task_queue,
                    self.role()
                ),
            ));
        }
        self.known.note(&started.run_id, &started.workflow_id);
        Ok(WorkflowChild {
            handle: None,
            workflow_id: started.workflow_id,
            run_id: started.run_id,
            started: started.started,
        })
    }

    /// The request to start a run, for this principal.
    fn to_start(
        &self,
        id: &str,
        workflow: &str,
        input: &str,
        by: Option<String>,
    ) -> Answered<TemporalStartWorkflow> {
        let by = by.and_then(|by| RawJson::new(&by).ok());
        let spec = TemporalWorkflowSpec {
            workflow_id: name(id.to_owned())?,
            workflow_type: name(workflow.to_owned())?,
            task_queue: name(self.task_queue.clone())?,
            input: vec![RawJson::from_text(input.to_owned()).unwrap_or_default()],
            execution_timeout_millis: None,
            run_timeout_millis: None,
            task_timeout_millis: None,
            retry: None,
            memo: by
                .map(|by| (STARTED_BY.to_owned(), by))
                .into_iter()
                .collect(),
            search_attributes: BTreeMap::new(),
        };
        Ok(TemporalStartWorkflow {
            namespace: None,
            workflow: Box::new(spec),
            id_reuse: TemporalIdReuse::AllowDuplicate,
            id_conflict: TemporalIdConflict::Fail,
            start_delay_millis: None,
            request_id: None,
        })
    }

    /// Starts the run that goes on where this one of the host's own store is. Asking again is safe.
    pub(super) async fn take_over(&self, row: &RunRow, left: &Left) -> Answered<String> {
        let (id, by) = (&row.workflow_id, row.started_by.clone());
        let mut request = self.to_start(id, &row.workflow, &row.input, by)?;
        // The server gives the same answer to the same request. One of a run that has gone on here meanwhile is another.
        let position = left.position;
        request.request_id = Some(name(format!("{}/{position}", row.run_id))?);
        let from = RawJson::new(&row.run_id).unwrap_or_default();
        request.workflow.memo.insert(MOVED_FROM.to_owned(), from);
        let header = left.to_header()?;
        let call = self.call();
        let started = self.temporal.start_from(&call, request, header).await?;
        Ok(started.run_id)
    }

    /// Passes on what has come for a run of the host's own store that goes on there. Asking again is safe.
    pub(super) async fn pass_on(&self, run: &RunRow, entry: NewInboxEntry) -> Answered<()> {
        let (temporal, call) = (&self.temporal, self.call());
        let workflow_id = name(run.workflow_id.clone())?;
        let request_id = Some(name(format!("{}/{}", run.run_id, entry.request))?);
        let sent = match entry.kind {
            InboxKind::Signal => {
                let payload = entry.payload.unwrap_or_default();
                let request = TemporalSignalWorkflow {
                    namespace: None,
                    workflow_id,
                    run_id: None,
                    name: name(entry.name.unwrap_or_default())?,
                    input: vec![RawJson::from_text(payload).unwrap_or_default()],
                    request_id,
                };
                temporal.signal_workflow(&call, request).await
            }
            InboxKind::Cancel => {
                let request = TemporalCancelWorkflow {
                    namespace: None,
                    workflow_id,
                    run_id: None,
                    reason: BoundedText::default(),
                    request_id,
                };
                temporal.cancel_workflow(&call, request).await
            }
            // They are about steps that are done, or that nobody waits for.
            InboxKind::Answer | InboxKind::Child => return Ok(()),
        };
        match sent {
            // It has ended there already.
            Err(error) if error.code == ErrorCode::NotFound => Ok(()),
            sent => sent.map(drop),
        }
    }

    /// The run of a run id, or the newest one of a workflow's id.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn find(&self, id: &str) -> Answered<Option<RemoteRun>> {
        Self::find_among(std::slice::from_ref(self), id).await
    }

    /// The run of this id, of whichever of these it is. Others' ids are not in its way.
    pub(super) async fn find_among(all: &[Self], id: &str) -> Answered<Option<RemoteRun>> {
        let (Some(first), Ok(workflow_id)) = (all.first(), name(id.to_owned())) else {
            return Ok(None);
        };
        if let Some(of_run) = first.known.workflow_of(id) {
            let run = first.described(name(of_run)?, Some(workflow_id.clone()));
            if let Some(run) = run.await?.and_then(|run| run.of_one(all)) {
                return Ok(Some(run));
            }
        }
        if is_run_id(id)
            && let Some(run) = Self::listed_by(all, "RunId", id).await?
        {
            return Ok(Some(run));
        }
        let described = first.described(workflow_id, None).await?;
        let is_others = described.is_some();
        match described.and_then(|run| run.of_one(all)) {
            None if is_others => Self::listed_by(all, "WorkflowId", id).await,
            run => Ok(run),
        }
    }

    /// The newest run of these whose attribute the server's list has with this value.
    async fn listed_by(all: &[Self], attribute: &str, value: &str) -> Answered<Option<RemoteRun>> {
        let (Some(first), Some(value)) = (all.first(), quoted(value)) else {
            return Ok(None);
        };
        let of_queues = of_queues(all).map_or_else(String::new, |queues| format!(" AND {queues}"));
        let query = format!("{attribute} = {value}{of_queues}");
        let page = first.page(query, 1, None).await?;
        let Some(found) = page.workflows.into_iter().next() else {
            return Ok(None);
        };
        let (id, run_id) = (name(found.workflow_id)?, name(found.run_id)?);
        let described = first.described(id, Some(run_id)).await?;
        Ok(described.and_then(|run| run.of_one(all)))
    }

    /// The newest run that goes on with this one of the host's own store.
    pub(super) async fn moved_from(&self, row: &RunRow) -> Answered<Option<String>> {
        let is_it = |found: &TemporalWorkflow| match found.memo.get(MOVED_FROM) {
            None => Ok(false),
            Some(from) => match from.parse::<String>() {
                Ok(from) => Ok(from == row.run_id),
                Err(_) => Err(EffectError::new(
                    ErrorCode::Conflict,
                    format!(
                        "run {} of workflow `{}` at the server may be the one that run {} has become, which cannot be \
                         read here: add the key of its values to what `temporal.payload_keys_file` or \
                         `temporal.payload_keys_env` names",
                        found.run_id, found.workflow_id, row.run_id
                    ),
                )),
            },
        };
        let newest = self.described(name(row.workflow_id.clone())?, None).await?;
        if let Some(run) = newest
            && is_it(&run.found)?
        {
            return Ok(Some(run.found.run_id));
        }
        let Some(id) = quoted(&row.workflow_id) else {
            return Ok(None);
        };
        let page = self
            .page(format!("WorkflowId = {id}"), EVENTS, None)
            .await?;
        for found in page.workflows {
            if is_it(&found)? {
                return Ok(Some(found.run_id));
            }
        }
        Ok(None)
    }

    async fn described(
        &self,
        workflow_id: TemporalName,
        run_id: Option<TemporalName>,
    ) -> Answered<Option<RemoteRun>> {
        let request = TemporalDescribeWorkflow {
            namespace: None,
            workflow_id,
            run_id,
        };
        match self.temporal.describe_workflow(&self.call(), request).await {
            Ok(described) => {
                let found = &described.workflow;
                self.known.note(&found.run_id, &found.workflow_id);
                Ok(Some(RemoteRun {
                    runs: self.clone(),
                    attempt: described.pending_task_attempt.unwrap_or(0),
                    found: described.workflow,
                }))
            }
            Err(error) if error.code == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        query: String,
        limit: u64,
        after: Option<&str>,
    ) -> Answered<TemporalWorkflows> {
        let request = TemporalListWorkflows {
            namespace: None,
            query: query.try_into().map_err(|_| {
                EffectError::invalid_input("the filter is longer than the server takes")
            })?,
            limit: page_size(limit),
            after: page_mark(after)?,
        };
        self.temporal.list_workflows(&self.call(), request).await
    }

    /// The runs of these that fit a filter, newest first, and the mark of the next page, if there is one. They come
    /// without input, output and state: the server's list has none.
    ///
    /// # Errors
    /// If the server does not answer, or the mark is none of its.
    pub async fn list(
        all: &[Self],
        filter: &Filter,
        after: Option<&str>,
    ) -> Answered<(Vec<RunView>, Option<String>)> {
        let (Some(first), Some(query)) = (all.first(), query(all, filter)) else {
            return Ok((Vec::new(), None));
        };
        let page = first.page(query, filter.limit, after).await?;
        let views = page.workflows.into_iter().filter_map(|found| {
            let runs = all
                .iter()
                .find(|runs| runs.task_queue == found.task_queue)?;
            let is = |wanted: &Option<String>, found: &str| {
                wanted.as_deref().is_none_or(|wanted| wanted == found)
            };
            if !is(&filter.workflow, &found.workflow_type)
                || !is(&filter.workflow_id, &found.workflow_id)
            {
                return None;
            }
            let run = RemoteRun {
                runs: runs.clone(),
                found,
                attempt: 0,
            };
            Some(run.listed())
        });
        Ok((views.collect(), page.next))
    }
}

impl RemoteRun {
    /// The run as that of the one of these whose task queue it is in.
    fn of_one(self, all: &[RemoteRuns]) -> Option<Self> {
        let of_queue = |runs: &&RemoteRuns| runs.task_queue == self.found.task_queue;
        let runs = all.iter().find(of_queue)?.clone();
        Some(Self { runs, ..self })
    }

    /// The role.
    pub fn role(&self) -> &RoleName {
        self.runs.role()
    }

    /// The workflow's name.
    pub fn workflow(&self) -> &str {
        &self.found.workflow_type
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        &self.found.workflow_id
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.found.run_id
    }

    /// Its status.
    pub fn status(&self) -> WorkflowStatus {
        use TemporalWorkflowStatus as Status;
        match self.found.status {
            Status::Running | Status::Paused | Status::Unknown => {
                match self.attempt > STUCK_AFTER {
                    true => WorkflowStatus::Stuck,
                    false => WorkflowStatus::Running,
                }
            }
            Status::Completed => WorkflowStatus::Completed,
            Status::Failed | Status::TimedOut => WorkflowStatus::Failed,
            Status::Canceled => WorkflowStatus::Cancelled,
            Status::Terminated => WorkflowStatus::Terminated,
            Status::ContinuedAsNew => WorkflowStatus::Continued,
        }
    }

    /// The principal that has started it.
    pub fn started_by(&self) -> Option<String> {
        let by = self.found.memo.get(STARTED_BY)?.parse();
        // Nobody's, if it cannot be read, such as without the key of the value.
        Some(by.unwrap_or_else(|_| UNREADABLE.to_owned()))
    }

    fn named(&self) -> Answered<(TemporalName, Option<TemporalName>)> {
        let run_id = name(self.found.run_id.clone())?;
        Ok((name(self.found.workflow_id.clone())?, Some(run_id)))
    }

    /// The run as a list has it.
    fn listed(&self) -> RunView {
        let millis = |time: &Option<String>| {
            let time = time.as_deref()?.parse::<Timestamp>().ok()?;
            Some(time.as_millisecond())
        };
        let mut memo = self.found.memo.clone();
        memo.retain(|name, _| name != STARTED_BY && name != MOVED_FROM);
        RunView {
            role: self.role().to_string(),
            workflow: self.workflow().to_owned(),
            workflow_id: self.workflow_id().to_owned(),
            run_id: self.run_id().to_owned(),
            status: self.status(),
            began_unix_millis: millis(&self.found.start_time).unwrap_or_default(),
            ended_unix_millis: millis(&self.found.close_time),
            wakes_unix_millis: None,
            plugin: String::new(),
            restarts: 0,
            input: RawJson::default(),
            output: None,
            state: None,
            error: None,
            continued_from: None,
            continued_to: None,
            search_attributes: self.found.search_attributes.clone(),
            memo,
            started_by: self.started_by(),
        }
    }

    /// The run as it is shown.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn view(&self) -> Answered<RunView> {
        let mut view = self.listed();
        let (begun, state) = tokio::join!(self.page_of_events(FIRST, None), self.state());
        let begun: Vec<Event> = begun?.events.iter().filter_map(Event::read).collect();
        if let Some(begun) = begun.first() {
            view.continued_from = begun.continued_from();
            view.input = begun.input();
        }
        view.plugin = begun.iter().find_map(Event::build_id).unwrap_or_default();
        view.state = state;
        match view.status {
            WorkflowStatus::Stuck => {
                let reason = self.reason().await?;
                view.error = Some(RunError {
                    code: "task_failed".to_owned(),
                    message: format!(
                        "its workflow task has failed {} times, and is tried again: {reason}",
                        self.attempt.saturating_sub(1)
                    ),
                });
            }
            status if is_open(status) => {}
            _ => {
                let end = self.close_event().await?;
                let end = end.as_ref().and_then(Event::read);
                view.output = end.as_ref().and_then(Event::output);
                view.continued_to = end.as_ref().and_then(Event::continued_to);
                view.error = match view.status {
                    // The server tells no more of it than that.
                    WorkflowStatus::Cancelled => Some(RunError {
                        code: "cancelled".to_owned(),
                        message: CANCELLED.to_owned(),
                    }),
                    _ => end.as_ref().and_then(Event::failure),
                };
            }
        }
        Ok(view)
    }

    /// The state that it has published, if a worker tells it.
    async fn state(&self) -> Option<RawJson> {
        let value = timeout(STATE_TIME, self.ask(STATE_QUERY, &RawJson::default())).await;
        // No state is `null`.
        value.ok()?.ok().filter(|state| state.get() != "null")
    }

    /// The reason why its workflow task fails, as its history has it.
    async fn reason(&self) -> Answered<String> {
        let mut reason = None;
        self.each_event(|event| {
            reason = event.task_failure().or(reason.take());
            true
        })
        .await?;
        Ok(reason.unwrap_or_else(|| "the log of its worker says why".to_owned()))
    }

    async fn close_event(&self) -> Answered<Option<RawJson>> {
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalDescribeWorkflow {
            namespace: None,
            workflow_id,
            run_id,
        };
        let temporal = &self.runs.temporal;
        temporal.close_event(&self.runs.call(), request).await
    }

    async fn outcome(&self, longest: Duration) -> Answered<TemporalOutcome> {
        let (workflow_id, run_id) = self.named()?;
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let request = TemporalWorkflowResult {
            namespace: None,
            workflow_id,
            run_id,
            timeout_millis: millis.clamp(1, 86_400_000).try_into().ok(),
        };
        let temporal = &self.runs.temporal;
        temporal.workflow_result(&self.runs.call(), request).await
    }

    /// Waits for its end, or that of the run that continues it, no longer than this. The run as it is then.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn wait(&self, longest: Duration) -> Answered<Self> {
        let outcome = self.outcome(longest).await?;
        let run_id = name(outcome.run_id)?;
        let workflow_id = name(self.found.workflow_id.clone())?;
        let run = self.runs.described(workflow_id, Some(run_id)).await?;
        Ok(run.unwrap_or_else(|| self.clone()))
    }

    async fn page_of_events(&self, limit: u64, after: Option<&str>) -> Answered<TemporalHistory> {
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalWorkflowHistory {
            namespace: None,
            workflow_id,
            run_id,
            limit: page_size(limit),
            after: page_mark(after)?,
        };
        let temporal = &self.runs.temporal;
        temporal.workflow_history(&self.runs.call(), request).await
    }

    /// Goes through its events from the first on, for as long as more are wanted.
    async fn each_event(&self, mut each: impl FnMut(&Event) -> bool) -> Answered<()> {
        let mut after = None;
        loop {
            let page = self.page_of_events(EVENTS, after.as_deref()).await?;
            for event in page.events.iter().filter_map(Event::read) {
                if !each(&event) {
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// A part of its history, and whether there is more.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn history(&self, from: u64, limit: u64) -> Answered<(Vec<HistoryEntry>, bool)> {
        let mut reader = HistoryReader::new(from, limit);
        self.each_event(|event| reader.read(event)).await?;
        Ok(reader.finish())
    }

    /// Sends a signal to it, or to whatever run of its workflow's id is open.
    ///
    /// # Errors
    /// If none is open, it takes no such signal, or the server does not answer.
    pub async fn signal(
        &self,
        workflows: &Workflows,
        signal: &WorkflowSignal,
        request: Option<String>,
        to_this_run: bool,
    ) -> Answered<()> {
        if let Some(version) = self.runs.role.version() {
            workflows.check_signal(&version, signal, Some(self.workflow()))?;
        }
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalSignalWorkflow {
            namespace: None,
            workflow_id,
            run_id: run_id.filter(|_| to_this_run),
            name: name(signal.name.to_string())?,
            input: vec![signal.payload.clone()],
            request_id: request.map(name).transpose()?,
        };
        let (temporal, call) = (&self.runs.temporal, self.runs.call());
        match temporal.signal_workflow(&call, request).await {
            Err(error) if error.code == ErrorCode::NotFound => {
                Err(no_open_run("workflow", self.workflow_id()))
            }
            sent => sent.map(drop),
        }
    }

    /// Asks a query: its worker answers.
    ///
    /// # Errors
    /// If the workflow has no such query, or no worker answers.
    pub async fn query(&self, query: &str, arguments: &RawJson) -> Answered<RawJson> {
        let role = &self.runs.role;
        if let Some(version) = role.version() {
            super::check_query(&role.settings, &version, self.workflow(), query, arguments)?;
        }
        self.ask(query, arguments).await
    }

    async fn ask(&self, query: &str, arguments: &RawJson) -> Answered<RawJson> {
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalQueryWorkflow {
            namespace: None,
            workflow_id,
            run_id,
            name: name(query.to_owned())?,
            input: vec![arguments.clone()],
            open_only: false,
        };
        let temporal = &self.runs.temporal;
        let answer = temporal.query_workflow(&self.runs.call(), request).await?;
        Ok(answer.result)
    }

    /// Asks it to cancel.
    ///
    /// # Errors
    /// If it has ended, or the server does not answer.
    pub async fn cancel(&self) -> Answered<()> {
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalCancelWorkflow {
            namespace: None,
            workflow_id,
            run_id,
            reason: BoundedText::default(),
            request_id: None,
        };
        let temporal = &self.runs.temporal;
        temporal.cancel_workflow(&self.runs.call(), request).await?;
        Ok(())
    }

    /// Ends it at once: its code does not hear of it.
    ///
    /// # Errors
    /// If it has ended, or the server does not answer.
    pub async fn terminate(&self, reason: &str) -> Answered<()> {
        let (workflow_id, run_id) = self.named()?;
        let request = TemporalTerminateWorkflow {
            namespace: None,
            workflow_id,
            run_id,
            reason: reason.to_owned().try_into().unwrap_or_default(),
        };
        let temporal = &self.runs.temporal;
        temporal
            .terminate_workflow(&self.runs.call(), request)
            .await?;
        Ok(())
    }
}

fn name(text: String) -> Answered<TemporalName> {
    text.try_into()
        .map_err(|_| EffectError::invalid_input("a name is empty or longer than 1,000 characters"))
}

/// A page's size within what the server gives.
fn page_size(limit: u64) -> TemporalPageSize {
    let most = TemporalPageSize::constant::<EVENTS>();
    limit.clamp(1, EVENTS).try_into().unwrap_or(most)
}

/// The mark of a page, as the server has given it.
fn page_mark(after: Option<&str>) -> Answered<Option<TemporalPageToken>> {
    let mark = after.map(|after| after.to_owned().try_into());
    mark.transpose()
        .map_err(|_| EffectError::invalid_input("the mark of the page is not `next` of a page"))
}

/// True for an id in the form in which the server gives them to runs.
fn is_run_id(id: &str) -> bool {
    id.len() == 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The server's list filter for the runs of these roles; `None` if none of them can fit.
fn query(all: &[RemoteRuns], filter: &Filter) -> Option<String> {
    let mut parts: Vec<String> = of_queues(all).into_iter().collect();
    for (name, wanted) in [
        ("WorkflowType", &filter.workflow),
        ("WorkflowId", &filter.workflow_id),
    ] {
        let quoted = wanted.as_deref().and_then(quoted);
        parts.extend(quoted.map(|wanted| format!("{name} = {wanted}")));
    }
    if !filter.statuses.is_empty() {
        let statuses = filter
            .statuses
            .iter()
            .flat_map(|status| statuses_of(*status));
        let statuses: Vec<String> = statuses.map(|status| format!("'{status}'")).collect();
        if statuses.is_empty() {
            return None;
        }
        parts.push(one_of("ExecutionStatus", &statuses));
    }
    Some(parts.join(" AND "))
}

/// The list filter for the task queues of these; `None` if no filter can name one of them.
fn of_queues(all: &[RemoteRuns]) -> Option<String> {
    let queues = all.iter().map(|runs| quoted(&runs.task_queue));
    let queues: Option<Vec<String>> = queues.collect();
    queues.map(|queues| one_of("TaskQueue", &queues))
}

fn one_of(name: &str, values: &[String]) -> String {
    format!("{name} IN ({})", values.join(", "))
}

/// The server's names of a status. Of an open run its list tells no more than that it is open.
fn statuses_of(status: WorkflowStatus) -> &'static [&'static str] {
    match status {
        WorkflowStatus::Running => &["Running"],
        WorkflowStatus::Sleeping | WorkflowStatus::Waiting | WorkflowStatus::Stuck => &[],
        WorkflowStatus::Completed => &["Completed"],
        WorkflowStatus::Failed => &["Failed", "TimedOut"],
        WorkflowStatus::Cancelled => &["Canceled"],
        WorkflowStatus::Terminated => &["Terminated"],
        WorkflowStatus::Continued => &["ContinuedAsNew"],
    }
}

/// A text as a list filter has it; `None` for one that no filter can name: servers do not agree on what stands for a
/// quote.
fn quoted(text: &str) -> Option<String> {
    let is_odd = |character: char| "'\"\\".contains(character) || character.is_control();
    (!text.contains(is_odd)).then(|| format!("'{text}'"))
}

/// The refusal of what runs of this host's own store know alone.
pub(super) fn only_here(run: &RemoteRun, remedy: &str) -> EffectError {
    EffectError::new(
        ErrorCode::Conflict,
        format!(
            "run {} of workflow `{}` is on the Temporal server ({}): {remedy}",
            run.run_id(),
            run.workflow_id(),
            status_name(run.status())
        ),
    )
}
