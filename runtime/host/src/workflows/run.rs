//! [`Run`]: a run of a workflow, wherever it is kept. Whoever starts, looks at or ends runs does it by this.

use std::sync::Arc;
use std::time::Duration;

use exomonad_core::Principal;
use exomonad_schema::effects::mcp::McpClient;
use exomonad_schema::effects::workflow::{WorkflowChild, WorkflowSignal, WorkflowStartChild};
use exomonad_schema::{EffectError, ErrorCode, RawJson, RoleName};
use exomonad_workflow::RunKey;
use exomonad_workflow::store::{Filter, RunRow, is_open};

use super::operate::{Repair, host_error};
use super::remote::{self, RemoteRun, RemoteRuns};
use super::view::{HistoryEntry, RunView};
use super::{NO_WORKFLOWS, Workflows};
use crate::role::Role;

type Answered<T> = Result<T, EffectError>;

/// A run, as it is kept.
#[derive(Clone)]
pub enum Run {
    /// In this host's own store.
    Here(Box<RunRow>),
    /// On a Temporal server.
    There(Box<RemoteRun>),
}

/// The place where a page of runs begins: the host's own store comes first, then the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PageMark {
    /// At the newest run.
    #[default]
    First,
    /// Before the run with this key, in the store.
    Here(RunKey),
    /// At this mark of the server's list; at its beginning if there is none.
    There(Option<String>),
}

/// The beginning of a mark of the server's list.
const THERE: &str = "server:";

impl std::fmt::Display for PageMark {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First => Ok(()),
            Self::Here(key) => write!(formatter, "{key}"),
            Self::There(mark) => write!(formatter, "{THERE}{}", mark.as_deref().unwrap_or("")),
        }
    }
}

impl std::str::FromStr for PageMark {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(THERE) {
            Some(mark) => Ok(Self::There(
                Some(mark.to_owned()).filter(|mark| !mark.is_empty()),
            )),
            None => text.parse().map(Self::Here),
        }
    }
}

impl Run {
    /// The role's name.
    pub fn role(&self) -> &str {
        match self {
            Self::Here(row) => &row.role,
            Self::There(run) => run.role().as_str(),
        }
    }

    /// The workflow's name.
    pub fn workflow(&self) -> &str {
        match self {
            Self::Here(row) => &row.workflow,
            Self::There(run) => run.workflow(),
        }
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        match self {
            Self::Here(row) => &row.workflow_id,
            Self::There(run) => run.workflow_id(),
        }
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        match self {
            Self::Here(row) => &row.run_id,
            Self::There(run) => run.run_id(),
        }
    }

    /// True if it has not ended.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Here(row) => row.ended_at.is_none(),
            Self::There(run) => is_open(run.status()),
        }
    }

    /// The principal that has started it.
    pub fn started_by(&self) -> Option<String> {
        match self {
            Self::Here(row) => row.started_by.clone(),
            Self::There(run) => run.started_by(),
        }
    }

    /// The run as it is shown.
    ///
    /// # Errors
    /// If the server that keeps it does not answer.
    pub async fn view(&self, workflows: &Workflows) -> Answered<RunView> {
        match self {
            Self::Here(row) => Ok(workflows.view((**row).clone())),
            Self::There(run) => run.view().await,
        }
    }

    /// A part of its history, and whether there is more.
    ///
    /// # Errors
    /// Those of whatever keeps it.
    pub async fn history(
        &self,
        workflows: &Arc<Workflows>,
        from: u64,
        limit: u64,
    ) -> Answered<(Vec<HistoryEntry>, bool)> {
        match self {
            Self::Here(row) => workflows.history(row, from, limit).await,
            Self::There(run) => run.history(from, limit).await,
        }
    }

    /// Waits for it to end, no longer than this. The run as it is then.
    ///
    /// # Errors
    /// Those of whatever keeps it.
    pub async fn wait(&self, workflows: &Arc<Workflows>, longest: Duration) -> Answered<Self> {
        match self {
            Self::Here(row) => {
                let role: RoleName = row.role.parse().map_err(|_| unknown(&row.run_id))?;
                let row = workflows.wait(&role, &row.run_id, longest).await?;
                Ok(Self::Here(Box::new(row)))
            }
            Self::There(run) => Ok(Self::There(Box::new(run.wait(longest).await?))),
        }
    }

    /// Sends a signal to this run. Another one of the same `request` is the same signal.
    ///
    /// # Errors
    /// If it has ended, takes no such signal, or nothing can be written.
    pub async fn signal(
        &self,
        workflows: &Arc<Workflows>,
        signal: &WorkflowSignal,
        request: Option<String>,
    ) -> Answered<()> {
        self.must_be_open(workflows).await?;
        match self {
            Self::Here(row) => workflows.signal_run(row, signal, request).await,
            Self::There(run) => run.signal(workflows, signal, request, true).await,
        }
    }

    /// Answers a query about it: by the state that it has published.
    ///
    /// # Errors
    /// If the workflow has no such query, its arguments do not fit, or the plugin fails.
    pub async fn query(
        &self,
        workflows: &Arc<Workflows>,
        role: &Arc<Role>,
        query: &str,
        arguments: &RawJson,
    ) -> Answered<RawJson> {
        match self {
            Self::Here(row) => workflows.query(role, row, query, arguments).await,
            Self::There(run) => run.query(query, arguments).await,
        }
    }

    /// Asks it to cancel.
    ///
    /// # Errors
    /// If it has ended, or nothing can be written.
    pub async fn cancel(&self, workflows: &Arc<Workflows>) -> Answered<()> {
        self.must_be_open(workflows).await?;
        match self {
            Self::Here(row) => workflows.cancel(row, None).await,
            Self::There(run) => run.cancel().await,
        }
    }

    /// Ends it at once: its code does not hear of it.
    ///
    /// # Errors
    /// If it has ended, or nothing can be written.
    pub async fn terminate(&self, workflows: &Arc<Workflows>, reason: &str) -> Answered<()> {
        self.must_be_open(workflows).await?;
        match self {
            Self::Here(row) => workflows.terminate(row, reason).await,
            Self::There(run) => run.terminate(reason).await,
        }
    }

    /// Lets it go on, if it is stuck.
    ///
    /// # Errors
    /// If it is not stuck, the repair does not fit its history, or it is not this host's.
    pub async fn repair(&self, workflows: &Arc<Workflows>, repair: Repair) -> Answered<()> {
        match self {
            Self::Here(row) => workflows.repair(row, repair).await,
            Self::There(run) => Err(remote::only_here(
                run,
                "it goes on by itself with a version of the plugin that fits its history; `temporal workflow reset` \
                 sets it back",
            )),
        }
    }

    /// Lets it go on at the Temporal server that its role's workflows are on. The run's id there.
    ///
    /// # Errors
    /// If it cannot be taken over, with the reason, or the server does not answer.
    pub async fn move_to_server(&self, workflows: &Arc<Workflows>) -> Answered<String> {
        match self {
            Self::Here(row) => workflows.move_run(row).await,
            Self::There(run) => Ok(run.run_id().to_owned()),
        }
    }

    /// Says why nothing can be sent to a run that has ended: whatever else is open under its workflow's id is
    /// another run.
    async fn must_be_open(&self, workflows: &Arc<Workflows>) -> Answered<()> {
        match self {
            Self::Here(row) => workflows.must_be_open(row).await,
            Self::There(_) if self.is_open() => Ok(()),
            Self::There(run) => Err(EffectError::new(
                ErrorCode::Conflict,
                format!(
                    "run {} has ended: it is {}",
                    run.run_id(),
                    exomonad_workflow::store::status_name(run.status())
                ),
            )),
        }
    }
}

impl Workflows {
    /// Starts a run for this principal, or finds the open one of its id.
    ///
    /// # Errors
    /// If the role has no such workflow, the input does not fit, or nothing can be written.
    pub async fn start(
        self: &Arc<Self>,
        role: &Role,
        request: &WorkflowStartChild,
        by: Option<&Principal>,
    ) -> Answered<WorkflowChild> {
        self.start_for(role, request, by, None).await
    }

    /// Starts a run as [`start`](Self::start) does, which may ask this client, if it is this host's own.
    ///
    /// # Errors
    /// As those of [`start`](Self::start).
    pub async fn start_for(
        self: &Arc<Self>,
        role: &Role,
        request: &WorkflowStartChild,
        by: Option<&Principal>,
        client: Option<&McpClient>,
    ) -> Answered<WorkflowChild> {
        let version = role.serving().map_err(|error| host_error(&error))?;
        if role.settings.temporal_task_queue.is_none() {
            return self.start_here(role, &version, request, by, client).await;
        }
        let remote = self
            .remote(role.name())
            .ok_or_else(|| EffectError::new(ErrorCode::Unavailable, NO_WORKFLOWS))?;
        remote.start(&version, request, by).await
    }

    /// The run of a run id, or the newest one of a workflow's id, of a role. An open one of this host's own comes
    /// first: the role's workflows may have been moved to the server since it began.
    ///
    /// # Errors
    /// If there is none.
    pub async fn find(self: &Arc<Self>, role: &RoleName, id: &str) -> Answered<Run> {
        let Some(remote) = self.remote(role) else {
            return Ok(Run::Here(Box::new(self.find_here(role, id).await?)));
        };
        let here = match self.find_here(role, id).await {
            Ok(row) => Some(Run::Here(Box::new(row))),
            Err(_) => None,
        };
        let is_it = |run: &Run| run.is_open() || (run.run_id() == id && run.workflow_id() != id);
        if let Some(run) = here.clone().filter(is_it) {
            return Ok(run);
        }
        let there = remote.find(id).await?;
        let there = there.map(|run| Run::There(Box::new(run)));
        there.or(here).ok_or_else(|| no_run(role, id))
    }

    /// The runs of this id, each of another role, among the roles that are asked for.
    ///
    /// # Errors
    /// Those of the store; those of the server if the store has none.
    pub async fn find_all(
        self: &Arc<Self>,
        id: &str,
        mut is_asked_for: impl FnMut(&RoleName) -> bool,
    ) -> Answered<Vec<Run>> {
        let mut found = Vec::new();
        for role in self.owners(id).await? {
            if is_asked_for(&role) {
                found.push(self.find(&role, id).await?);
            }
        }
        let mut remotes = self.remotes();
        remotes.retain(|runs| {
            is_asked_for(runs.role()) && found.iter().all(|run| run.role() != runs.role().as_str())
        });
        match RemoteRuns::find_among(&remotes, id).await {
            Ok(run) => found.extend(run.map(|run| Run::There(Box::new(run)))),
            Err(error) if found.is_empty() => return Err(error),
            // The server is not needed for it.
            Err(_) => {}
        }
        Ok(found)
    }

    /// The runs that fit a filter, newest first, those of this host's own store before those of the server; and where
    /// the next page begins, if there is one.
    ///
    /// # Errors
    /// Those of the store, and of the server.
    pub async fn list(
        self: &Arc<Self>,
        filter: Filter,
        mark: PageMark,
    ) -> Answered<(Vec<RunView>, Option<PageMark>)> {
        let mut remotes = self.remotes();
        if let Some(roles) = &filter.roles {
            remotes.retain(|runs| roles.iter().any(|role| role == runs.role().as_str()));
        }
        let after = match mark {
            PageMark::There(after) => after,
            PageMark::First | PageMark::Here(_) => {
                let before = match mark {
                    PageMark::Here(key) => Some(key),
                    _ => None,
                };
                let filter = Filter {
                    before,
                    ..filter.clone()
                };
                let (runs, next) = self.list_here(filter).await?;
                let there = (!remotes.is_empty()).then_some(PageMark::There(None));
                if !runs.is_empty() || there.is_none() {
                    return Ok((runs, next.map(PageMark::Here).or(there)));
                }
                None
            }
        };
        let (runs, next) = RemoteRuns::list(&remotes, &filter, after.as_deref()).await?;
        Ok((runs, next.map(|next| PageMark::There(Some(next)))))
    }

    /// Sends a signal to the open run of an id. Another one of the same `request` is the same signal.
    ///
    /// # Errors
    /// If no such run is open, it takes no such signal, or nothing can be written.
    pub async fn signal(
        self: &Arc<Self>,
        role: &RoleName,
        signal: &WorkflowSignal,
        request: Option<String>,
    ) -> Answered<()> {
        if self.remote(role).is_some()
            && let Run::There(run) = self.find(role, &signal.workflow_id).await?
        {
            return run.signal(self, signal, request, false).await;
        }
        match self.signal_here(role, signal, request.clone()).await {
            // It may have gone over to the server just now.
            Err(error) if error.code == ErrorCode::NotFound && self.remote(role).is_some() => {
                match self.find(role, &signal.workflow_id).await? {
                    Run::There(run) => run.signal(self, signal, request, false).await,
                    Run::Here(_) => Err(error),
                }
            }
            sent => sent,
        }
    }
}

/// The error for an id that no run of a role has.
pub(super) fn no_run(role: &RoleName, id: &str) -> EffectError {
    EffectError::new(
        ErrorCode::NotFound,
        format!("role `{role}` has no run and no workflow with the id `{id}`"),
    )
}

fn unknown(run_id: &str) -> EffectError {
    EffectError::internal(format!("run {run_id} is of a role without a name"))
}
