//! The workflow service: passes requests of tools and hooks to the host's workflows.
//!
//! Requests of a workflow about itself never come here: the host's layer around its run answers them.

use std::sync::{Arc, OnceLock, Weak};

use exomonad_core::{BoxFuture, CallContext, WorkflowService};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::workflow::{
    WorkflowArrivals, WorkflowCancel, WorkflowChild, WorkflowGet, WorkflowInfo, WorkflowPatch,
    WorkflowPatched, WorkflowRun, WorkflowRunInfo, WorkflowSetState, WorkflowSignal, WorkflowSleep,
    WorkflowStart, WorkflowStartChild, WorkflowStarted, WorkflowWait,
};
use exomonad_schema::{EffectError, EffectKind, ErrorCode};

/// The part of the host that runs workflows, for callers outside of one.
pub trait WorkflowBackend: Send + Sync {
    /// Starts a run, or finds the open one of its id.
    fn start<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowStartChild,
    ) -> BoxFuture<'a, Result<WorkflowChild, EffectError>>;

    /// Sends a signal to the open run of an id.
    fn signal<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowSignal,
    ) -> BoxFuture<'a, Result<Done, EffectError>>;

    /// Describes the newest run of an id.
    fn get<'a>(
        &'a self,
        call: &'a CallContext,
        request: WorkflowGet,
    ) -> BoxFuture<'a, Result<WorkflowRun, EffectError>>;
}

/// The workflow service. Cheap to clone; the clones share the backend.
#[derive(Clone, Default)]
pub struct Workflow {
    /// The host owns its services, so they do not keep it alive.
    backend: Arc<OnceLock<Weak<dyn WorkflowBackend>>>,
}

impl std::fmt::Debug for Workflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflow").finish_non_exhaustive()
    }
}

impl Workflow {
    /// Passes requests to this backend from now on. Only the first one counts.
    pub fn attach(&self, backend: Weak<dyn WorkflowBackend>) {
        let _ = self.backend.set(backend);
    }

    fn backend(&self, kind: EffectKind) -> Result<Arc<dyn WorkflowBackend>, EffectError> {
        let backend = self.backend.get().and_then(Weak::upgrade);
        backend.ok_or_else(|| {
            EffectError::new(
                ErrorCode::Unavailable,
                format!("{kind}: this host runs no workflows at the moment"),
            )
        })
    }
}

/// The refusal of what only a workflow can ask for.
fn only_in_a_workflow<T>(kind: EffectKind) -> Result<T, EffectError> {
    Err(EffectError::new(
        ErrorCode::Unsupported,
        format!("{kind}: only a workflow can ask for it (a function behind `handle_workflow`)"),
    ))
}

impl WorkflowService for Workflow {
    async fn start(
        &self,
        _: &CallContext,
        _: WorkflowStart,
    ) -> Result<WorkflowStarted, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowStart)
    }

    async fn wait(
        &self,
        _: &CallContext,
        _: WorkflowWait,
    ) -> Result<WorkflowArrivals, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowWait)
    }

    async fn cancel(&self, _: &CallContext, _: WorkflowCancel) -> Result<Done, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowCancel)
    }

    async fn sleep(&self, _: &CallContext, _: WorkflowSleep) -> Result<Done, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowSleep)
    }

    async fn start_child(
        &self,
        call: &CallContext,
        request: WorkflowStartChild,
    ) -> Result<WorkflowChild, EffectError> {
        let backend = self.backend(EffectKind::WorkflowStartChild)?;
        backend.start(call, request).await
    }

    async fn signal(
        &self,
        call: &CallContext,
        request: WorkflowSignal,
    ) -> Result<Done, EffectError> {
        let backend = self.backend(EffectKind::WorkflowSignal)?;
        backend.signal(call, request).await
    }

    async fn set_state(&self, _: &CallContext, _: WorkflowSetState) -> Result<Done, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowSetState)
    }

    async fn patched(
        &self,
        _: &CallContext,
        _: WorkflowPatched,
    ) -> Result<WorkflowPatch, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowPatched)
    }

    async fn info(&self, _: &CallContext, _: WorkflowInfo) -> Result<WorkflowRunInfo, EffectError> {
        only_in_a_workflow(EffectKind::WorkflowInfo)
    }

    async fn get(
        &self,
        call: &CallContext,
        request: WorkflowGet,
    ) -> Result<WorkflowRun, EffectError> {
        let backend = self.backend(EffectKind::WorkflowGet)?;
        backend.get(call, request).await
    }
}
