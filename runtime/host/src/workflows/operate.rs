//! Operations on runs, for people and other programs: start, signal, query, cancel, terminate, repair, look.

use std::sync::Arc;
use std::time::Duration;

use exomonad_core::{BoxFuture, CallContext, Principal};
use exomonad_schema::common::{
    HANDLE_MIGRATE, HANDLE_QUERY, WorkflowMigrateInput, WorkflowMigrateResult, WorkflowQueryInput,
    WorkflowQueryResult,
};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::mcp::McpClient;
use exomonad_schema::effects::workflow::{
    WorkflowChild, WorkflowGet, WorkflowRun, WorkflowSignal, WorkflowStartChild, WorkflowStatus,
};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_services::WorkflowBackend;
use exomonad_workflow::store::{
    Ended, Filter, HELD, InboxKind, NewInboxEntry, RunRow, Started, Store, within,
};
use exomonad_workflow::{EventBody, RunKey, StoreFailure};
use tokio::sync::broadcast::error::RecvError;

use super::active::unix_millis;
use super::durable::{DurableRun, Stop};
use super::run::no_run;
use super::view::{HistoryEntry, RunChange, RunView};
use super::{STOPPING, Workflows, no_open_run, scheduler, store_error};
use crate::error::HostError;
use crate::execution::Caller;
use crate::pipeline::CallHost;
use crate::plugins::version::PluginVersion;
use crate::role::Role;

type Answered<T> = Result<T, EffectError>;

/// How a stuck run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// As it is, once more.
    Retry,
    /// From a step on: what came after it is forgotten, signals are not.
    RestartFrom(u64),
    /// With this answer to a step.
    Answer {
        /// The step.
        step: u64,
        /// Its answer, as a host function returns it.
        answer: RawJson,
    },
    /// On the version of the plugin that serves.
    Move,
}

impl Workflows {
    pub(super) async fn opened(self: &Arc<Self>) -> Answered<Store> {
        self.store().await.map_err(store_error)
    }

    /// Starts a run of this host's own, or finds the open one of its id.
    pub(super) async fn start_here(
        self: &Arc<Self>,
        role: &Role,
        version: &PluginVersion,
        request: &WorkflowStartChild,
        by: Option<&Principal>,
        client: Option<&McpClient>,
    ) -> Answered<WorkflowChild> {
        let mut run = self.new_run(&role.settings, version, request)?;
        run.client = client.and_then(|client| serde_json::to_string(client).ok());
        run.started_by = by.map(|principal| principal.id.to_string());
        let store = self.opened().await?;
        if self.free() > 0 {
            run.wake_at = HELD;
        }
        let started = store.start(run).await.map_err(store_error)?;
        let (row, started) = match started {
            Started::New(row) => (row, true),
            Started::Open(row) => (row, false),
        };
        let child = WorkflowChild {
            handle: None,
            workflow_id: row.workflow_id.clone(),
            run_id: row.run_id.clone(),
            started,
        };
        if started {
            match row.wake_at {
                Some(HELD) => scheduler::activate(self, &store, row),
                _ => self.wake_scheduler(),
            }
        }
        Ok(child)
    }

    /// Sends a signal to the open run of an id, of this host's own.
    pub(super) async fn signal_here(
        self: &Arc<Self>,
        role: &RoleName,
        signal: &WorkflowSignal,
        request: Option<String>,
    ) -> Answered<()> {
        let store = self.opened().await?;
        let run = self.open_run(&store, role, &signal.workflow_id);
        let run = run.await?;
        self.signal_run(&run, signal, request).await
    }

    /// Sends a signal to this run, whatever run of its workflow's id is open.
    ///
    /// # Errors
    /// If it has ended, it takes no such signal, or nothing can be written.
    pub async fn signal_run(
        self: &Arc<Self>,
        run: &RunRow,
        signal: &WorkflowSignal,
        request: Option<String>,
    ) -> Answered<()> {
        let store = self.opened().await?;
        let role = self
            .runtime()
            .and_then(|runtime| runtime.role(&run.role).ok());
        // Without its plugin nobody knows which signals it takes: it gets them when that is back.
        if let Some(version) = role.and_then(|role| role.version()) {
            self.check_signal(&version, signal, Some(&run.workflow))?;
        }
        let is_once = request.is_some();
        let entry = NewInboxEntry {
            request: request.unwrap_or_else(super::new_run_id),
            kind: InboxKind::Signal,
            name: Some(signal.name.to_string()),
            seq: None,
            payload: Some(signal.payload.get().to_owned()),
            at: unix_millis(),
        };
        let (key, bytes) = (run.key, signal.payload.get().len());
        let posted = store.write(bytes, move |connection, _| match is_once {
            true => within::post_signal_once(connection, key, &entry),
            false => within::post(connection, key, &entry),
        });
        posted.await.map_err(store_error)?;
        self.nudge(&[key]);
        Ok(())
    }

    /// Says why nothing can be sent to a run that was named by its run id: it has ended, and whatever else is open
    /// under its workflow's id is another run.
    ///
    /// # Errors
    /// If it has ended.
    pub async fn must_be_open(self: &Arc<Self>, run: &RunRow) -> Answered<()> {
        if run.ended_at.is_none() {
            return Ok(());
        }
        let mut message = format!(
            "run {} has ended: it is {}",
            run.run_id,
            exomonad_workflow::store::status_name(run.status)
        );
        let role: Result<RoleName, _> = run.role.parse();
        if let Ok(role) = role
            && let Ok(newest) = self.find_here(&role, &run.workflow_id).await
            && newest.ended_at.is_none()
        {
            message.push_str(&format!(
                "; of its workflow's id `{}` run {} is open, and can be named by either",
                run.workflow_id, newest.run_id
            ));
        }
        Err(EffectError::new(ErrorCode::Conflict, message))
    }

    /// Waits for a run to end, no longer than this. The run as it is then.
    ///
    /// # Errors
    /// If there is none.
    pub async fn wait(
        self: &Arc<Self>,
        role: &RoleName,
        run_id: &str,
        longest: Duration,
    ) -> Answered<RunRow> {
        // Before the first look, so that no change is missed.
        let mut changes = self.subscribe();
        let deadline = tokio::time::Instant::now() + longest;
        loop {
            let run = self.find_here(role, run_id).await?;
            if run.ended_at.is_some() || run.status == WorkflowStatus::Stuck {
                return Ok(run);
            }
            let of_run = async {
                loop {
                    match changes.recv().await {
                        Ok(change) if change.run_id == run_id => return,
                        Ok(_) => {}
                        // It missed some, or there will be no more.
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            if tokio::time::timeout_at(deadline, of_run).await.is_err() {
                return Ok(run);
            }
        }
    }

    async fn open_run(&self, store: &Store, role: &RoleName, id: &str) -> Answered<RunRow> {
        let run = store.newest(role.clone(), id.to_owned()).await;
        let run = run.map_err(store_error)?;
        run.filter(|run| run.ended_at.is_none())
            .ok_or_else(|| no_open_run("workflow", id))
    }

    /// The run of a run id, or the newest one of a workflow's id, of a role, among this host's own.
    ///
    /// # Errors
    /// If there is none.
    pub(super) async fn find_here(self: &Arc<Self>, role: &RoleName, id: &str) -> Answered<RunRow> {
        let store = self.opened().await?;
        let found = match self.by_run_id(&store, id).await? {
            Some(run) => Some(run).filter(|run| run.role == role.as_str()),
            None => {
                let newest = store.newest(role.clone(), id.to_owned()).await;
                newest.map_err(store_error)?
            }
        };
        found.ok_or_else(|| no_run(role, id))
    }

    /// The role of the run with this run id; else those with a workflow of this id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn owners(self: &Arc<Self>, id: &str) -> Answered<Vec<RoleName>> {
        if !self.has_file() {
            return Ok(Vec::new());
        }
        let store = self.opened().await?;
        let owners = match self.by_run_id(&store, id).await? {
            Some(run) => vec![run.role],
            None => {
                let workflow_id = id.to_owned();
                let owners = store.read(move |connection| within::owners(connection, &workflow_id));
                owners.await.map_err(store_error)?
            }
        };
        Ok(owners.iter().filter_map(|role| role.parse().ok()).collect())
    }

    /// The run that this run id names. Of a workflow that was started without an id, the first run's id is the
    /// workflow's, too, and then names the newest one.
    async fn by_run_id(&self, store: &Store, id: &str) -> Answered<Option<RunRow>> {
        let run = store.run(id.to_owned()).await.map_err(store_error)?;
        Ok(run.filter(|run| run.workflow_id != id))
    }

    /// A run as it is shown.
    pub fn view(&self, row: RunRow) -> RunView {
        let published = self.in_memory(row.key).and_then(|run| {
            let state = run.lock();
            state.published.as_ref().map(|(state, _)| state.clone())
        });
        RunView::new(row, published)
    }

    /// The runs of this host's own that fit a filter, newest first, and the key before which the next page begins, if
    /// there is one.
    pub(super) async fn list_here(
        self: &Arc<Self>,
        filter: Filter,
    ) -> Answered<(Vec<RunView>, Option<RunKey>)> {
        if !self.has_file() {
            return Ok((Vec::new(), None));
        }
        let store = self.opened().await?;
        let page = store.list(filter).await.map_err(store_error)?;
        let last = page.items.last().map(|run| run.key);
        let next = last.filter(|_| page.has_more);
        let views = page.items.into_iter().map(|run| self.view(run));
        Ok((views.collect(), next))
    }

    /// A part of a run's history, and whether there is more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn history(
        self: &Arc<Self>,
        run: &RunRow,
        from: u64,
        limit: u64,
    ) -> Answered<(Vec<HistoryEntry>, bool)> {
        let store = self.opened().await?;
        let page = store.history_page(run.key, from, limit).await;
        let page = page.map_err(store_error)?;
        let entries = page.items.into_iter().map(HistoryEntry::from).collect();
        Ok((entries, page.has_more))
    }

    /// Asks a run to cancel.
    ///
    /// # Errors
    /// If it has ended, or nothing can be written.
    pub async fn cancel(self: &Arc<Self>, run: &RunRow, request: Option<String>) -> Answered<()> {
        let store = self.opened().await?;
        let entry = NewInboxEntry {
            request: request.unwrap_or_else(|| "cancel".to_owned()),
            kind: InboxKind::Cancel,
            name: None,
            seq: None,
            payload: None,
            at: unix_millis(),
        };
        store.post(run.key, entry).await.map_err(store_error)?;
        self.nudge(&[run.key]);
        Ok(())
    }

    /// Asks the run of a run id to cancel, for its parent. One that has ended is left.
    pub async fn cancel_run(self: &Arc<Self>, run_id: &str, request: String) {
        if let Ok(store) = self.opened().await
            && let Ok(Some(run)) = store.run(run_id.to_owned()).await
        {
            let _ = self.cancel(&run, Some(request)).await;
        }
    }

    /// Ends a run at once: its code does not hear of it.
    ///
    /// # Errors
    /// If it has ended, or nothing can be written.
    pub async fn terminate(self: &Arc<Self>, run: &RunRow, reason: &str) -> Answered<()> {
        self.must_not_have_moved(run).await?;
        let store = self.opened().await?;
        let error = EffectError::new(
            ErrorCode::WorkflowFailed,
            format!("it was terminated: {reason}"),
        );
        let ended = Ended {
            status: WorkflowStatus::Terminated,
            output: None,
            error_code: Some("terminated".to_owned()),
            error: Some(reason.to_owned()),
            state: None,
            at: unix_millis(),
            continued: None,
            answer: serde_json::to_string(&exomonad_schema::Answer::<()>::Error(error))
                .unwrap_or_default(),
        };
        let row = run.clone();
        let effects = store
            .write(0, move |connection, _| {
                within::end(connection, &row, &ended)
            })
            .await
            .map_err(store_error)?;
        if let Some(active) = self.in_memory(run.key) {
            active.stop(Stop::Ended);
        }
        let status = WorkflowStatus::Terminated;
        self.changed(run, RunChange::Status { status });
        self.ended_with_parent(&effects.terminated);
        self.nudge(&effects.woken);
        Ok(())
    }

    /// Lets a stuck run go on.
    ///
    /// # Errors
    /// If it is not stuck, the repair does not fit its history, or nothing can be written.
    pub async fn repair(self: &Arc<Self>, run: &RunRow, repair: Repair) -> Answered<()> {
        if run.status != WorkflowStatus::Stuck {
            return Err(EffectError::new(
                ErrorCode::Conflict,
                format!(
                    "run {} is {}: only a stuck run can be repaired; cancel or terminate this one",
                    run.run_id,
                    exomonad_workflow::store::status_name(run.status)
                ),
            ));
        }
        self.must_not_have_moved(run).await?;
        let digest = match &repair {
            Repair::Move => {
                let role = self.runtime().map(|runtime| runtime.role(&run.role));
                let role = role.unwrap_or_else(|| Err(HostError::Internal(STOPPING.to_owned())));
                let serving = role.and_then(|role| role.serving());
                let serving = serving.map_err(|error| host_error(&error))?;
                Some(serving.plugin.digest().to_owned())
            }
            _ => None,
        };
        let store = self.opened().await?;
        let (key, run_id) = (run.key, run.run_id.clone());
        let repaired = store.write(0, move |connection, _| {
            match repair {
                Repair::Retry => {}
                Repair::Move => {
                    within::set_digest(connection, key, &digest.unwrap_or_default())?;
                }
                Repair::Answer { step, answer } => {
                    let entry = NewInboxEntry {
                        request: format!("answer/{step}"),
                        kind: InboxKind::Answer,
                        name: None,
                        seq: Some(step),
                        payload: Some(answer.get().to_owned()),
                        at: unix_millis(),
                    };
                    within::forget_questions(connection, key, step..step + 1)?;
                    within::post(connection, key, &entry)?;
                }
                Repair::RestartFrom(step) => restart_from(connection, key, &run_id, step)?,
            }
            within::set_restarts(connection, key, 0, 0, "repaired")?;
            within::clear_error(connection, key)
        });
        repaired.await.map_err(store_error)?;
        self.wake_scheduler();
        Ok(())
    }

    /// Answers a query about a run: by the state that it has published.
    ///
    /// # Errors
    /// If the workflow has no such query, its arguments do not fit, or the plugin fails.
    pub async fn query(
        self: &Arc<Self>,
        role: &Arc<Role>,
        run: &RunRow,
        query: &str,
        arguments: &RawJson,
    ) -> Answered<RawJson> {
        let version = self
            .version(role, run, &run.digest)
            .await
            .map_err(|reason| EffectError::new(ErrorCode::Unavailable, reason))?;
        let view = self.view(run.clone());
        let state = view.state.map(|state| (state, run.state_version));
        self.query_state(role, &version, &run.workflow, state, query, arguments)
            .await
    }

    /// Answers a query about a run of this workflow that has published this state, in this version.
    ///
    /// # Errors
    /// As those of [`query`](Self::query).
    pub async fn query_state(
        &self,
        role: &Arc<Role>,
        version: &Arc<PluginVersion>,
        workflow_name: &str,
        state: Option<(RawJson, u32)>,
        query: &str,
        arguments: &RawJson,
    ) -> Answered<RawJson> {
        super::check_query(&role.settings, version, workflow_name, query, arguments)?;
        let state = match state {
            Some((state, state_version)) => {
                self.migrated(role, version, workflow_name, state, state_version)
                    .await?
            }
            None => RawJson::default(),
        };
        let context = role.settings.call(CallId::random(), Caller::default());
        let input = WorkflowQueryInput {
            workflow: workflow_name.to_owned(),
            query: query.to_owned(),
            arguments: arguments.clone(),
            state,
            context: context.guest_view(),
        };
        let answer: WorkflowQueryResult =
            pure(role, version, HANDLE_QUERY, context, &input).await?;
        Ok(answer.value)
    }

    /// A state in the version that the workflow of this plugin has.
    ///
    /// # Errors
    /// If the plugin cannot bring it there.
    pub async fn migrated(
        &self,
        role: &Arc<Role>,
        version: &Arc<PluginVersion>,
        workflow: &str,
        state: RawJson,
        from_version: u32,
    ) -> Answered<RawJson> {
        let to_version = version
            .workflow(workflow)
            .map_or(from_version, |workflow| workflow.definition.state_version);
        if from_version >= to_version || !version.plugin.has(HANDLE_MIGRATE) {
            return Ok(state);
        }
        let context = role.settings.call(CallId::random(), Caller::default());
        let input = WorkflowMigrateInput {
            workflow: workflow.to_owned(),
            state,
            from_version,
            to_version,
            context: context.guest_view(),
        };
        let migrated: WorkflowMigrateResult =
            pure(role, version, HANDLE_MIGRATE, context, &input).await?;
        Ok(migrated.state)
    }
}

/// Calls an export that has no effects.
async fn pure<T: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
    role: &Arc<Role>,
    version: &Arc<PluginVersion>,
    export: &str,
    context: CallContext,
    input: &impl serde::Serialize,
) -> Answered<T> {
    let failed = |message: String| EffectError::new(ErrorCode::WorkflowFailed, message);
    let _permit = role.admission.admit().await.map_err(|_| {
        EffectError::new(
            ErrorCode::Unavailable,
            format!("role `{}` is busy", role.name()),
        )
    })?;
    let input = serde_json::to_vec(input).map_err(|error| failed(error.to_string()))?;
    let host = Arc::new(CallHost::new(context, role.settings.describing.clone()));
    let output = version
        .plugin
        .call(host, role.settings.limits, export, &input)
        .await
        .map_err(|error| failed(crate::execution::explain(&role.settings, &error)))?;
    exomonad_schema::from_slice(&output.bytes).map_err(|error| {
        failed(format!(
            "the answer of `{export}` does not fit the contract: {error}"
        ))
    })
}

/// Forgets what came after a run had asked for a step. Signals and requests to cancel go back to its inbox.
fn restart_from(
    connection: &exomonad_workflow::store::Connection,
    key: i64,
    run_id: &str,
    step: u64,
) -> Result<(), StoreFailure> {
    let history = within::history(connection, key, 0, u64::MAX >> 1)?;
    let of_step = |body: &EventBody| match body {
        EventBody::Asked(request) => Some(request.seq),
        EventBody::Attempt { seq, .. }
        | EventBody::Done { seq, .. }
        | EventBody::Fired { seq, .. } => Some(*seq),
        _ => None,
    };
    let from = history
        .iter()
        .find(|event| of_step(&event.body).is_some_and(|seq| seq >= step))
        .map(|event| event.position)
        .ok_or_else(|| {
            StoreFailure::refused(
                ErrorCode::NotFound,
                format!("the history of run {run_id} has no step {step}"),
            )
        })?;
    within::truncate(connection, key, from)?;
    within::forget_questions(connection, key, step..u64::MAX)?;
    for event in history.into_iter().filter(|event| event.position >= from) {
        let (kind, name, payload) = match event.body {
            EventBody::Signaled { name, payload } => (
                InboxKind::Signal,
                Some(name),
                Some(String::from_utf8_lossy(&payload).into_owned()),
            ),
            EventBody::CancelRequested => (InboxKind::Cancel, None, None),
            _ => continue,
        };
        let entry = NewInboxEntry {
            request: format!("again/{}/{}", event.position, event.at),
            kind,
            name,
            seq: None,
            payload,
            at: event.at,
        };
        within::post(connection, key, &entry)?;
    }
    within::set_asked(connection, key, step)
}

pub(super) fn host_error(error: &HostError) -> EffectError {
    let code = match error {
        HostError::PluginNotLoaded { .. } => ErrorCode::Unavailable,
        HostError::RoleNotFound { .. } => ErrorCode::NotFound,
        _ => ErrorCode::Internal,
    };
    EffectError::new(code, error.to_string())
}

/// Workflows for tools and hooks.
pub struct Backend(pub Arc<Workflows>);

impl Backend {
    async fn role(&self, call: &CallContext) -> Answered<Arc<Role>> {
        let role = self.0.role(&call.role).await;
        role.map_err(|error| host_error(&error))
    }
}

impl WorkflowBackend for Backend {
    fn start<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowStartChild,
    ) -> BoxFuture<'a, Answered<WorkflowChild>> {
        Box::pin(async move {
            let role = self.role(call).await?;
            let by = call.principal.as_deref();
            self.0.start(&role, &request, by).await
        })
    }

    fn signal<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowSignal,
    ) -> BoxFuture<'a, Answered<Done>> {
        Box::pin(async move {
            let signalled = self.0.signal(&call.role, &request, None).await;
            signalled.map(|()| Done {})
        })
    }

    fn get<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowGet,
    ) -> BoxFuture<'a, Answered<WorkflowRun>> {
        Box::pin(async move {
            let id = &*request.workflow_id;
            let run = self.0.find(&call.role, id).await?;
            Ok(run.view(&self.0).await?.into())
        })
    }
}
