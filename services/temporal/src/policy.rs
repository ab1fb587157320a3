//! Policy: the namespaces, workflow types and task queues that a role reaches.

use exomonad_core::bounds::BoundsMap;
use exomonad_core::no_bounds;
use exomonad_core::policy::{Ruling, Verdict};
use exomonad_core::values::NamePattern;
use exomonad_schema::effects::temporal::TemporalWorkflowSpec;
use exomonad_schema::{Effect, EffectKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::TemporalConfig;

/// The parts of a Temporal server that a role reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TemporalBounds {
    /// The namespaces that Temporal effects may reach; `*` stands for any run of characters.
    pub namespaces: Vec<NamePattern>,
    /// The types of workflows that Temporal effects may reach, start and signal included.
    pub workflow_types: Vec<NamePattern>,
    /// The task queues of workflows that Temporal effects may start, and of activities that they may ask for.
    pub task_queues: Vec<NamePattern>,
}

no_bounds!(TemporalBounds);

/// The part of a request that the bounds are about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope<'r> {
    /// The namespace that it names.
    pub namespace: Option<&'r str>,
    /// The workflow that it starts.
    pub starts: Option<&'r TemporalWorkflowSpec>,
    /// The task queue that it sends an activity to.
    pub task_queue: Option<&'r str>,
    /// The workflow or schedule that exists, whose type only the server knows.
    pub existing: Option<&'r str>,
}

/// Decides about a request; without one, about all of its kind.
pub fn decide(
    config: &TemporalConfig,
    bounds: &BoundsMap,
    kind: EffectKind,
    request: Option<&Effect>,
) -> Vec<Verdict> {
    let bounds = bounds.get::<TemporalBounds>();
    bounds.decide(config, kind, request.map(scope_of))
}

/// The part of a request that the bounds are about.
fn scope_of(request: &Effect) -> Scope<'_> {
    macro_rules! scope {
        ($request:ident) => {
            Scope {
                namespace: $request.namespace.as_deref(),
                ..Scope::default()
            }
        };
        ($request:ident, starts) => {
            Scope {
                starts: Some(&$request.workflow),
                ..scope!($request)
            }
        };
        ($request:ident, $existing:ident) => {
            Scope {
                existing: Some(&$request.$existing),
                ..scope!($request)
            }
        };
    }
    match request {
        Effect::TemporalStartWorkflow(request) => scope!(request, starts),
        Effect::TemporalSignalWithStart(request) => scope!(request, starts),
        Effect::TemporalCreateSchedule(request) => scope!(request, starts),
        Effect::TemporalSignalWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalQueryWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalUpdateWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalCancelWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalTerminateWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalDescribeWorkflow(request) => scope!(request, workflow_id),
        Effect::TemporalWorkflowResult(request) => scope!(request, workflow_id),
        Effect::TemporalWorkflowHistory(request) => scope!(request, workflow_id),
        Effect::TemporalPauseSchedule(request) => scope!(request, schedule_id),
        Effect::TemporalUnpauseSchedule(request) => scope!(request, schedule_id),
        Effect::TemporalTriggerSchedule(request) => scope!(request, schedule_id),
        Effect::TemporalDescribeSchedule(request) => scope!(request, schedule_id),
        Effect::TemporalDeleteSchedule(request) => scope!(request, schedule_id),
        Effect::TemporalExecuteActivity(request) => Scope {
            task_queue: Some(&request.task_queue),
            ..Scope::default()
        },
        Effect::TemporalListWorkflows(request) => scope!(request),
        Effect::TemporalListSchedules(request) => scope!(request),
        Effect::TemporalDescribeNamespace(request) => scope!(request),
        Effect::TemporalRegisterNamespace(request) => Scope {
            namespace: Some(&request.namespace),
            ..Scope::default()
        },
        _ => Scope::default(),
    }
}

impl TemporalBounds {
    /// The bounds of somebody who may do everything: the operator on the command line.
    pub fn all() -> Self {
        Self {
            namespaces: vec![NamePattern::any()],
            workflow_types: vec![NamePattern::any()],
            task_queues: vec![NamePattern::any()],
        }
    }

    /// Decides about a request of this kind; without a scope, about all.
    pub(crate) fn decide(
        &self,
        config: &TemporalConfig,
        kind: EffectKind,
        scope: Option<Scope<'_>>,
    ) -> Vec<Verdict> {
        let mut verdicts = vec![self.decide_namespace(config, kind, scope)];
        if is_about_namespaces(kind) {
            return verdicts;
        }
        if kind != EffectKind::TemporalExecuteActivity {
            verdicts.push(self.decide_type(kind, scope));
        }
        if names_task_queue(kind) {
            let started = scope.and_then(|scope| scope.starts);
            let started = started.map(|workflow| &*workflow.task_queue);
            let name = scope.and_then(|scope| scope.task_queue).or(started);
            let at_call = "the task queue";
            verdicts.push(Verdict::new(
                "temporal.task_queues",
                name,
                ruling(
                    &self.task_queues,
                    name,
                    "name the task queues, such as [\"orders\"]",
                    at_call,
                ),
            ));
        }
        verdicts
    }

    fn decide_namespace(
        &self,
        config: &TemporalConfig,
        kind: EffectKind,
        scope: Option<Scope<'_>>,
    ) -> Verdict {
        let is_list = kind == EffectKind::TemporalListNamespaces;
        let name = scope
            .filter(|_| !is_list)
            .map(|scope| scope.namespace.unwrap_or(&config.namespace));
        let at_call = if is_list {
            "each namespace: others are left out"
        } else {
            "the namespace"
        };
        Verdict::new(
            "temporal.namespaces",
            name,
            ruling(
                &self.namespaces,
                name,
                "name the namespaces, such as [\"default\"]",
                at_call,
            ),
        )
    }

    fn decide_type(&self, kind: EffectKind, scope: Option<Scope<'_>>) -> Verdict {
        let started = scope
            .and_then(|scope| scope.starts)
            .map(|workflow| &*workflow.workflow_type);
        let subject = started.or(scope.and_then(|scope| scope.existing));
        let at_call = match kind {
            EffectKind::TemporalListWorkflows | EffectKind::TemporalListSchedules => {
                "the type of each workflow: others are left out"
            }
            _ => "the type of the workflow",
        };
        let mut ruling = ruling(
            &self.workflow_types,
            started,
            "name the types of workflows, such as [\"Order*\"]",
            at_call,
        );
        if started.is_none() && self.reaches_all_types() {
            ruling = Ruling::Within;
        }
        Verdict::new("temporal.workflow_types", subject, ruling)
    }

    /// True if a workflow of this namespace may send activities to this task queue.
    pub fn allows_activity(&self, namespace: &str, task_queue: &str) -> bool {
        let mut queues = self.task_queues.iter();
        self.allows_namespace(namespace) && queues.any(|queue| queue.matches(task_queue))
    }

    /// True if the namespace is within the bounds.
    pub fn allows_namespace(&self, name: &str) -> bool {
        self.namespaces.iter().any(|pattern| pattern.matches(name))
    }

    /// True if workflows of this type are within the bounds.
    #[cfg(feature = "client")]
    pub(crate) fn allows_type(&self, name: &str) -> bool {
        self.workflow_types
            .iter()
            .any(|pattern| pattern.matches(name))
    }

    /// True if no type has to be looked up.
    pub(crate) fn reaches_all_types(&self) -> bool {
        self.workflow_types.iter().any(NamePattern::is_any)
    }
}

fn ruling(
    list: &[NamePattern],
    name: Option<&str>,
    help: &'static str,
    at_call: &'static str,
) -> Ruling {
    match name {
        _ if list.is_empty() => Ruling::Empty(help),
        None => Ruling::AtCall(at_call.to_owned()),
        Some(name) => Ruling::of(list.iter().any(|pattern| pattern.matches(name))),
    }
}

/// True for effects that reach no other workflow.
fn is_about_namespaces(kind: EffectKind) -> bool {
    matches!(
        kind,
        EffectKind::TemporalDescribeNamespace
            | EffectKind::TemporalListNamespaces
            | EffectKind::TemporalRegisterNamespace
            | EffectKind::TemporalSetAttributes
    )
}

/// True for effects that start a workflow, now or later, or send an activity to a worker.
fn names_task_queue(kind: EffectKind) -> bool {
    matches!(
        kind,
        EffectKind::TemporalStartWorkflow
            | EffectKind::TemporalSignalWithStart
            | EffectKind::TemporalCreateSchedule
            | EffectKind::TemporalExecuteActivity
    )
}
