//! The effects on workflows.

use std::time::Duration;

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{Base64, EffectError, ErrorCode, RawJson};
use temporalio_protos::temporal::api::common::v1::{RetryPolicy, WorkflowExecution, WorkflowType};
use temporalio_protos::temporal::api::enums::v1::{
    HistoryEventFilterType, QueryRejectCondition, TaskQueueKind,
    UpdateWorkflowExecutionLifecycleStage as UpdateStage, WorkflowExecutionStatus,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy,
};
use temporalio_protos::temporal::api::history::v1::HistoryEvent;
use temporalio_protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_protos::temporal::api::query::v1::WorkflowQuery;
use temporalio_protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_protos::temporal::api::update::v1::{
    Input, Meta, Outcome, Request, UpdateRef, WaitPolicy, outcome,
};
use temporalio_protos::temporal::api::workflow::v1::{PendingActivityInfo, WorkflowExecutionInfo};
use temporalio_protos::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest, ListWorkflowExecutionsRequest,
    PollWorkflowExecutionUpdateRequest, QueryWorkflowRequest,
    RequestCancelWorkflowExecutionRequest, SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest, UpdateWorkflowExecutionRequest,
};

use crate::Temporal;
use crate::effect_context::{Details, EffectContext, request_id, rpc};
use crate::payload::{self, count, duration};
use crate::perform::Perform;
use crate::policy::Scope;
use crate::proto_json;
use crate::server_error::is_missing;

/// Begins an effect on a workflow that exists. The run is the one that the role may reach.
macro_rules! on_existing {
    ($service:expr, $call:expr, $request:expr, $Request:ident) => {
        $service.begin(
            $Request::KIND,
            $call,
            format_args!("workflow {:?}", &*$request.workflow_id),
            Scope {
                namespace: $request.namespace.as_deref(),
                existing: Some(&$request.workflow_id),
                ..Scope::default()
            },
        )
    };
}

impl EffectContext<'_> {
    /// The workflow that a request names, with the run that was looked at if the role may not reach every type:
    /// another run of the same id may have another type.
    async fn execution(
        &self,
        workflow_id: &str,
        run_id: Option<&TemporalName>,
    ) -> Result<WorkflowExecution, EffectError> {
        let mut execution = WorkflowExecution::default();
        execution.workflow_id = workflow_id.to_owned();
        execution.run_id = run_id.map(ToString::to_string).unwrap_or_default();
        if self.bounds().reaches_all_types() {
            return Ok(execution);
        }
        let described = self.describe(execution).await?;
        let info = described.workflow_execution_info.unwrap_or_default();
        Ok(info.execution.unwrap_or_default())
    }

    /// Describes a workflow, if its type is one of the role's.
    async fn describe(
        &self,
        execution: WorkflowExecution,
    ) -> Result<DescribeWorkflowExecutionResponse, EffectError> {
        let mut request = DescribeWorkflowExecutionRequest::default();
        request.namespace = self.namespace.clone();
        request.execution = Some(execution);
        let described = rpc!(self, describe_workflow_execution(request));
        let described = match described {
            // One of another type and none at all look alike.
            Err(error) if is_missing(&error) && !self.bounds().reaches_all_types() => {
                return Err(self.not_found());
            }
            described => self.decoded(described?).await,
        };
        let info = described.workflow_execution_info.as_ref();
        let name = info
            .and_then(|info| info.r#type.as_ref())
            .map(|name| name.name.as_str());
        match self.bounds().allows_type(name.unwrap_or_default()) {
            true => Ok(described),
            false => Err(self.not_found()),
        }
    }

    /// The mark of a page, as the server has given it.
    pub(crate) fn page_token(
        &self,
        after: Option<&TemporalPageToken>,
    ) -> Result<Vec<u8>, EffectError> {
        let Some(after) = after else {
            return Ok(Vec::new());
        };
        let bytes = serde_json::from_value::<Base64>(serde_json::Value::String(after.to_string()));
        let bytes = bytes.map_err(|_| {
            self.error(
                ErrorCode::InvalidInput,
                "`after` is not the `next` of a page; leave it out to begin anew",
            )
        })?;
        Ok(bytes.0)
    }
}

/// The mark of the next page as a text; `None` on the last.
pub(crate) fn next_page(token: Vec<u8>) -> Option<String> {
    (!token.is_empty()).then(|| Base64(token).to_string())
}

/// A page's size, as the protocol has it.
pub(crate) fn page_size(limit: TemporalPageSize) -> i32 {
    i32::try_from(limit.get()).unwrap_or(i32::MAX)
}

pub(crate) fn workflow_type(name: &str) -> Option<WorkflowType> {
    let mut named = WorkflowType::default();
    named.name = name.to_owned();
    Some(named)
}

pub(crate) fn task_queue(name: &str) -> Option<TaskQueue> {
    let mut queue = TaskQueue::default();
    queue.name = name.to_owned();
    queue.kind = TaskQueueKind::Normal.into();
    Some(queue)
}

/// A policy, as the protocol has it.
pub fn retry_policy(policy: Option<&TemporalRetryPolicy>) -> Option<RetryPolicy> {
    let policy = policy?;
    let mut retry = RetryPolicy::default();
    retry.initial_interval = duration(Some(policy.initial_millis));
    #[allow(clippy::cast_precision_loss, reason = "it is at most 10,000")]
    let percent = policy.backoff_percent.get() as f64;
    retry.backoff_coefficient = percent / 100.0;
    retry.maximum_interval = duration(policy.max_millis);
    retry.maximum_attempts = i32::try_from(policy.max_attempts.get()).unwrap_or(i32::MAX);
    retry.non_retryable_error_types = policy
        .non_retryable
        .iter()
        .map(ToString::to_string)
        .collect();
    Some(retry)
}

fn reuse_policy(policy: TemporalIdReuse) -> i32 {
    match policy {
        TemporalIdReuse::AllowDuplicate => WorkflowIdReusePolicy::AllowDuplicate,
        TemporalIdReuse::AllowDuplicateFailedOnly => {
            WorkflowIdReusePolicy::AllowDuplicateFailedOnly
        }
        TemporalIdReuse::RejectDuplicate => WorkflowIdReusePolicy::RejectDuplicate,
    }
    .into()
}

/// Begins an effect that starts a workflow.
macro_rules! on_new {
    ($service:expr, $call:expr, $request:expr, $Request:ident) => {
        $service.begin(
            $Request::KIND,
            $call,
            format_args!("workflow {:?}", &*$request.workflow.workflow_id),
            Scope {
                namespace: $request.namespace.as_deref(),
                starts: Some(&$request.workflow),
                ..Scope::default()
            },
        )
    };
}

/// Fills in what all requests that start a workflow have in common.
macro_rules! fill_start {
    ($message:ident, $context:expr, $request:expr) => {{
        let workflow = &$request.workflow;
        $message.namespace = $context.namespace.clone();
        $message.identity = $context.identity();
        $message.request_id = request_id($request.request_id.as_ref())?;
        $message.workflow_id = workflow.workflow_id.to_string();
        $message.workflow_type = workflow_type(&workflow.workflow_type);
        $message.task_queue = task_queue(&workflow.task_queue);
        $message.input = payload::encode_all(&workflow.input);
        $message.workflow_execution_timeout = duration(workflow.execution_timeout_millis);
        $message.workflow_run_timeout = duration(workflow.run_timeout_millis);
        $message.workflow_task_timeout = duration(workflow.task_timeout_millis);
        $message.retry_policy = retry_policy(workflow.retry.as_ref());
        $message.memo = payload::memo(&workflow.memo);
        $message.header = $context.trace();
        $message.search_attributes = payload::search_attributes(&workflow.search_attributes);
        $message.workflow_id_reuse_policy = reuse_policy($request.id_reuse);
    }};
}

impl Perform for TemporalStartWorkflow {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalStarted, EffectError> {
        service.start(call, self, None).await
    }
}

impl Temporal {
    /// Starts a workflow as the effect does, with a value in a header of this name.
    ///
    /// # Errors
    /// Those of the effect.
    pub async fn start_from(
        &self,
        call: &CallContext,
        asked: TemporalStartWorkflow,
        header: (&str, RawJson),
    ) -> Result<TemporalStarted, EffectError> {
        self.start(call, asked, Some(header)).await
    }

    async fn start(
        &self,
        call: &CallContext,
        asked: TemporalStartWorkflow,
        header: Option<(&str, RawJson)>,
    ) -> Result<TemporalStarted, EffectError> {
        let context = on_new!(self, call, asked, TemporalStartWorkflow)?;
        let mut request = StartWorkflowExecutionRequest::default();
        fill_start!(request, context, asked);
        if let Some((name, value)) = header {
            // Headers are not encoded by themselves.
            let value = context.encoded(payload::encode(&value)).await?;
            let fields = &mut request.header.get_or_insert_default().fields;
            fields.insert(name.to_owned(), value);
        }
        request.workflow_id_conflict_policy = match asked.id_conflict {
            TemporalIdConflict::Fail => WorkflowIdConflictPolicy::Fail,
            TemporalIdConflict::UseExisting => WorkflowIdConflictPolicy::UseExisting,
            TemporalIdConflict::TerminateExisting => WorkflowIdConflictPolicy::TerminateExisting,
        }
        .into();
        request.workflow_start_delay = duration(asked.start_delay_millis);
        let started = rpc!(
            &context,
            start_workflow_execution(context.encoded(request).await?)
        )?;
        Ok(TemporalStarted {
            namespace: context.namespace,
            workflow_id: asked.workflow.workflow_id.into(),
            run_id: started.run_id,
            started: started.started,
        })
    }
}

impl Perform for TemporalSignalWithStart {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalStarted, EffectError> {
        let context = on_new!(service, call, self, TemporalSignalWithStart)?;
        // The open workflow with this id may be of another type.
        context.check_open_type(&self.workflow.workflow_id).await?;
        let mut request = SignalWithStartWorkflowExecutionRequest::default();
        fill_start!(request, context, self);
        request.signal_name = self.name.into();
        request.signal_input = payload::encode_all(&self.input);
        let started = rpc!(
            &context,
            signal_with_start_workflow_execution(context.encoded(request).await?)
        )?;
        Ok(TemporalStarted {
            namespace: context.namespace,
            workflow_id: self.workflow.workflow_id.into(),
            run_id: started.run_id,
            started: started.started,
        })
    }
}

impl EffectContext<'_> {
    /// Refuses an open workflow of a type that the role may not reach.
    async fn check_open_type(&self, workflow_id: &str) -> Result<(), EffectError> {
        if self.bounds().reaches_all_types() {
            return Ok(());
        }
        let mut execution = WorkflowExecution::default();
        execution.workflow_id = workflow_id.to_owned();
        let mut request = DescribeWorkflowExecutionRequest::default();
        request.namespace = self.namespace.clone();
        request.execution = Some(execution);
        let described = match rpc!(self, describe_workflow_execution(request)) {
            Ok(described) => described,
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let info = described.workflow_execution_info.unwrap_or_default();
        let name = info.r#type.as_ref().map(|name| name.name.as_str());
        let is_open = info.status() == WorkflowExecutionStatus::Running
            || info.status() == WorkflowExecutionStatus::Paused;
        match is_open && !self.bounds().allows_type(name.unwrap_or_default()) {
            true => Err(self.error(
                ErrorCode::Forbidden,
                "a workflow with this id is open, and it is of a type that the role may not reach; use another id",
            )),
            false => Ok(()),
        }
    }
}

impl Perform for TemporalSignalWorkflow {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalSignalWorkflow)?;
        let execution = context.execution(&self.workflow_id, self.run_id.as_ref());
        let mut request = SignalWorkflowExecutionRequest::default();
        request.workflow_execution = Some(execution.await?);
        request.namespace = context.namespace.clone();
        request.identity = context.identity();
        request.request_id = request_id(self.request_id.as_ref())?;
        request.signal_name = self.name.into();
        request.input = payload::encode_all(&self.input);
        rpc!(
            &context,
            signal_workflow_execution(context.encoded(request).await?)
        )?;
        Ok(Done {})
    }
}

impl Perform for TemporalQueryWorkflow {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalQueryResult, EffectError> {
        let context = on_existing!(service, call, self, TemporalQueryWorkflow)?;
        let execution = context.execution(&self.workflow_id, self.run_id.as_ref());
        let mut query = WorkflowQuery::default();
        query.query_type = self.name.into();
        query.query_args = payload::encode_all(&self.input);
        let mut request = QueryWorkflowRequest::default();
        request.execution = Some(execution.await?);
        request.namespace = context.namespace.clone();
        request.query = Some(query);
        request.query_reject_condition = match self.open_only {
            true => QueryRejectCondition::NotOpen,
            false => QueryRejectCondition::None,
        }
        .into();
        let answer = rpc!(&context, query_workflow(context.encoded(request).await?))?;
        let answer = context.decoded(answer).await;
        if let Some(rejected) = answer.query_rejected {
            let status = status(rejected.status());
            return Err(context.error(
                ErrorCode::Conflict,
                format_args!(
                    "the workflow is closed ({}), and `openOnly` asks open ones alone; leave it out to ask it all the same",
                    status_name(status)
                ),
            ));
        }
        Ok(TemporalQueryResult {
            result: payload::decode_one(answer.query_result.as_ref()),
        })
    }
}

impl Perform for TemporalUpdateWorkflow {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalUpdateResult, EffectError> {
        let mut context = on_existing!(service, call, self, TemporalUpdateWorkflow)?;
        if let Some(timeout) = self.timeout_millis {
            context.wait_at_most(Duration::from_millis(timeout.get()));
        }
        let execution = context
            .execution(&self.workflow_id, self.run_id.as_ref())
            .await?;
        let update_id = request_id(self.update_id.as_ref())?;
        let mut wait = WaitPolicy::default();
        wait.lifecycle_stage = UpdateStage::Completed.into();
        let mut meta = Meta::default();
        meta.update_id = update_id.clone();
        meta.identity = context.identity();
        let mut input = Input::default();
        input.name = self.name.into();
        input.args = payload::encode_all(&self.input);
        let mut update = Request::default();
        update.meta = Some(meta);
        update.input = Some(input);
        let mut request = UpdateWorkflowExecutionRequest::default();
        request.namespace = context.namespace.clone();
        request.workflow_execution = Some(execution.clone());
        request.wait_policy = Some(wait);
        request.request = Some(update);
        let request = context.encoded(request).await?;

        // The server ends the wait after some time, before or after it has taken the update on.
        let (reference, outcome) = loop {
            let answer = rpc!(&context, update_workflow_execution(request.clone()))?;
            let answer = context.decoded(answer).await;
            let is_admitted = answer.stage() >= UpdateStage::Accepted;
            if answer.outcome.is_some() || is_admitted {
                break (answer.update_ref.unwrap_or_default(), answer.outcome);
            }
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => context.poll_update(&reference, &wait).await?,
        };
        let run_id = reference.workflow_execution.map(|found| found.run_id);
        context.update_result(update_id, run_id.unwrap_or(execution.run_id), outcome)
    }
}

impl EffectContext<'_> {
    /// Waits for the outcome of an update that was taken on.
    async fn poll_update(
        &self,
        reference: &UpdateRef,
        wait: &WaitPolicy,
    ) -> Result<Outcome, EffectError> {
        loop {
            let mut request = PollWorkflowExecutionUpdateRequest::default();
            request.namespace = self.namespace.clone();
            request.identity = self.identity();
            request.update_ref = Some(reference.clone());
            request.wait_policy = Some(*wait);
            let answer = rpc!(self, poll_workflow_execution_update(request))?;
            let answer = self.decoded(answer).await;
            if let Some(outcome) = answer.outcome {
                return Ok(outcome);
            }
        }
    }

    fn update_result(
        &self,
        update_id: String,
        run_id: String,
        outcome: Outcome,
    ) -> Result<TemporalUpdateResult, EffectError> {
        match outcome.value {
            Some(outcome::Value::Failure(failure)) => {
                let failure = payload::failures(Some(&failure));
                let why = failure.first().map_or("", |first| &first.message);
                let error = self.error(
                    ErrorCode::Validation,
                    format_args!("the workflow refuses the update, or fails at it: {why:?}; correct the request"),
                );
                Err(error.with_details(&Details {
                    failure,
                    ..Details::default()
                }))
            }
            Some(outcome::Value::Success(result)) => Ok(TemporalUpdateResult {
                update_id,
                run_id,
                result: payload::decode_one(Some(&result)),
            }),
            None => Ok(TemporalUpdateResult {
                update_id,
                run_id,
                result: RawJson::default(),
            }),
        }
    }
}

impl Perform for TemporalCancelWorkflow {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalCancelWorkflow)?;
        let execution = context.execution(&self.workflow_id, self.run_id.as_ref());
        let mut request = RequestCancelWorkflowExecutionRequest::default();
        request.workflow_execution = Some(execution.await?);
        request.namespace = context.namespace.clone();
        request.identity = context.identity();
        request.request_id = request_id(self.request_id.as_ref())?;
        request.reason = self.reason.into();
        rpc!(&context, request_cancel_workflow_execution(request))?;
        Ok(Done {})
    }
}

impl Perform for TemporalTerminateWorkflow {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalTerminateWorkflow)?;
        let execution = context.execution(&self.workflow_id, self.run_id.as_ref());
        let mut request = TerminateWorkflowExecutionRequest::default();
        request.workflow_execution = Some(execution.await?);
        request.namespace = context.namespace.clone();
        request.identity = context.identity();
        request.reason = self.reason.into();
        rpc!(&context, terminate_workflow_execution(request))?;
        Ok(Done {})
    }
}

impl Perform for TemporalDescribeWorkflow {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalWorkflowDescription, EffectError> {
        let context = on_existing!(service, call, self, TemporalDescribeWorkflow)?;
        let mut execution = WorkflowExecution::default();
        execution.workflow_id = self.workflow_id.into();
        execution.run_id = self.run_id.map(String::from).unwrap_or_default();
        let described = context.describe(execution).await?;
        let info = described.workflow_execution_info.unwrap_or_default();
        let children = described.pending_children.iter();
        let extended = described.workflow_extended_info;
        Ok(TemporalWorkflowDescription {
            namespace: context.namespace,
            workflow: listed(&info),
            pending_activities: described
                .pending_activities
                .iter()
                .map(pending_activity)
                .collect(),
            pending_children: children
                .map(|child| TemporalExecution {
                    workflow_id: child.workflow_id.clone(),
                    run_id: child.run_id.clone(),
                })
                .collect(),
            pending_task_attempt: described
                .pending_workflow_task
                .filter(|_| info.close_time.is_none())
                .map(|task| count(task.attempt)),
            cancel_requested: extended.is_some_and(|extended| extended.cancel_requested),
        })
    }
}

fn pending_activity(info: &PendingActivityInfo) -> TemporalPendingActivity {
    let name = info.activity_type.as_ref().map(|name| name.name.clone());
    TemporalPendingActivity {
        activity_id: info.activity_id.clone(),
        activity_type: name.unwrap_or_default(),
        attempt: count(info.attempt),
        max_attempts: count(info.maximum_attempts),
        last_failure: payload::failures(info.last_failure.as_ref()),
    }
}

/// A workflow, as a list shows it.
fn listed(info: &WorkflowExecutionInfo) -> TemporalWorkflow {
    let execution = info.execution.clone().unwrap_or_default();
    let parent = info.parent_execution.as_ref();
    let attributes = info.search_attributes.as_ref();
    TemporalWorkflow {
        workflow_id: execution.workflow_id,
        run_id: execution.run_id,
        workflow_type: type_of(info).to_owned(),
        task_queue: info.task_queue.clone(),
        status: status(info.status()),
        start_time: payload::time(info.start_time.as_ref()),
        close_time: payload::time(info.close_time.as_ref()),
        history_length: count(info.history_length),
        history_bytes: count(info.history_size_bytes),
        parent_workflow_id: parent.map(|parent| parent.workflow_id.clone()),
        memo: payload::decode_map(info.memo.as_ref().map(|memo| &memo.fields)),
        search_attributes: payload::decode_map(attributes.map(|found| &found.indexed_fields)),
    }
}

fn type_of(info: &WorkflowExecutionInfo) -> &str {
    info.r#type.as_ref().map_or("", |name| &name.name)
}

fn status(status: WorkflowExecutionStatus) -> TemporalWorkflowStatus {
    use TemporalWorkflowStatus as Status;
    match status {
        WorkflowExecutionStatus::Running => Status::Running,
        WorkflowExecutionStatus::Paused => Status::Paused,
        WorkflowExecutionStatus::Completed => Status::Completed,
        WorkflowExecutionStatus::Failed => Status::Failed,
        WorkflowExecutionStatus::Canceled => Status::Canceled,
        WorkflowExecutionStatus::Terminated => Status::Terminated,
        WorkflowExecutionStatus::ContinuedAsNew => Status::ContinuedAsNew,
        WorkflowExecutionStatus::TimedOut => Status::TimedOut,
        WorkflowExecutionStatus::Unspecified => Status::Unknown,
    }
}

/// The name of a status, as JSON has it.
fn status_name(status: TemporalWorkflowStatus) -> String {
    let name = serde_json::to_value(status).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

impl Perform for TemporalListWorkflows {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalWorkflows, EffectError> {
        let scope = Scope {
            namespace: self.namespace.as_deref(),
            ..Scope::default()
        };
        let context = service.begin(Self::KIND, call, "workflows", scope)?;
        let mut request = ListWorkflowExecutionsRequest::default();
        request.namespace = context.namespace.clone();
        request.page_size = page_size(self.limit);
        request.next_page_token = context.page_token(self.after.as_ref())?;
        request.query = self.query.into();
        let page = rpc!(&context, list_workflow_executions(request))?;
        let page = context.decoded(page).await;
        let workflows = page.executions.iter();
        Ok(TemporalWorkflows {
            workflows: workflows
                .filter(|info| context.bounds().allows_type(type_of(info)))
                .map(listed)
                .collect(),
            next: next_page(page.next_page_token),
        })
    }
}

impl Perform for TemporalWorkflowResult {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalOutcome, EffectError> {
        let mut context = on_existing!(service, call, self, TemporalWorkflowResult)?;
        // The answer names the run, also if it has not ended.
        let mut named = WorkflowExecution::default();
        named.workflow_id = self.workflow_id.into();
        named.run_id = self.run_id.map(String::from).unwrap_or_default();
        let described = context.describe(named).await?;
        let info = described.workflow_execution_info.unwrap_or_default();
        let execution = info.execution.unwrap_or_default();
        let limit = self
            .timeout_millis
            .map(|millis| Duration::from_millis(millis.get()));
        let limit = limit.unwrap_or_else(|| service.config().time_limit.get());
        let until = tokio::time::Instant::now() + limit;
        // The server's own waits end before the effect's does.
        context.wait_at_most(limit + Duration::from_secs(5));
        let mut seen_run = execution.run_id.clone();
        let waiting = context.outcome(execution, &mut seen_run);
        match tokio::time::timeout_at(until, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => Ok(TemporalOutcome {
                run_id: seen_run,
                status: TemporalWorkflowStatus::Running,
                ..TemporalOutcome::default()
            }),
        }
    }
}

impl EffectContext<'_> {
    /// Waits for the end of a workflow, from run to run.
    async fn outcome(
        &self,
        mut execution: WorkflowExecution,
        seen_run: &mut String,
    ) -> Result<TemporalOutcome, EffectError> {
        let mut token = Vec::new();
        loop {
            let mut request = GetWorkflowExecutionHistoryRequest::default();
            request.namespace = self.namespace.clone();
            request.execution = Some(execution.clone());
            request.wait_new_event = true;
            request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
            request.skip_archival = true;
            request.next_page_token = token;
            let page = rpc!(self, get_workflow_execution_history(request))?;
            let page = self.decoded(page).await;
            token = page.next_page_token;
            let last = page.history.and_then(|mut history| history.events.pop());
            let next = match last.and_then(|event| event.attributes) {
                Some(attributes) => match closed(&execution.run_id, &attributes) {
                    Closed::With(outcome) => return Ok(outcome),
                    Closed::GoesOnAs(run_id) => Some(run_id),
                    Closed::NotYet => None,
                },
                None => None,
            };
            if let Some(run_id) = next {
                seen_run.clone_from(&run_id);
                execution.run_id = run_id;
                token = Vec::new();
            } else if token.is_empty() {
                // A history without an end: the server has cut the wait off.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The meaning of a workflow's last event.
enum Closed {
    With(TemporalOutcome),
    GoesOnAs(String),
    NotYet,
}

fn closed(run_id: &str, event: &Attributes) -> Closed {
    use TemporalWorkflowStatus as Status;
    let outcome = |status, failure| TemporalOutcome {
        run_id: run_id.to_owned(),
        status,
        result: None,
        failure,
    };
    let said = |message: &str, kind: &str, details| {
        vec![TemporalFailure {
            message: message.to_owned(),
            kind: kind.to_owned(),
            details,
            ..TemporalFailure::default()
        }]
    };
    let next = |next: &str| (!next.is_empty()).then(|| Closed::GoesOnAs(next.to_owned()));
    match event {
        Attributes::WorkflowExecutionCompletedEventAttributes(event) => {
            next(&event.new_execution_run_id).unwrap_or_else(|| {
                Closed::With(TemporalOutcome {
                    result: Some(payload::decode_one(event.result.as_ref())),
                    ..outcome(Status::Completed, Vec::new())
                })
            })
        }
        Attributes::WorkflowExecutionFailedEventAttributes(event) => {
            next(&event.new_execution_run_id).unwrap_or_else(|| {
                let failure = payload::failures(event.failure.as_ref());
                Closed::With(outcome(Status::Failed, failure))
            })
        }
        Attributes::WorkflowExecutionTimedOutEventAttributes(event) => {
            next(&event.new_execution_run_id).unwrap_or_else(|| {
                let failure = said("the workflow has not ended in time", "timeout", Vec::new());
                Closed::With(outcome(Status::TimedOut, failure))
            })
        }
        Attributes::WorkflowExecutionCanceledEventAttributes(event) => {
            let details = payload::decode_all(event.details.as_ref());
            Closed::With(outcome(
                Status::Canceled,
                said("canceled", "canceled", details),
            ))
        }
        Attributes::WorkflowExecutionTerminatedEventAttributes(event) => {
            let details = payload::decode_all(event.details.as_ref());
            let failure = said(&event.reason, "terminated", details);
            Closed::With(outcome(Status::Terminated, failure))
        }
        Attributes::WorkflowExecutionContinuedAsNewEventAttributes(event) => {
            next(&event.new_execution_run_id).unwrap_or(Closed::NotYet)
        }
        _ => Closed::NotYet,
    }
}

impl Temporal {
    /// The event by which a run has ended, as [`TemporalWorkflowHistory`] shows events; `None` if it is open.
    ///
    /// # Errors
    /// As those of [`TemporalWorkflowHistory`].
    pub async fn close_event(
        &self,
        call: &CallContext,
        asked: TemporalDescribeWorkflow,
    ) -> Result<Option<RawJson>, EffectError> {
        let context = on_existing!(self, call, asked, TemporalDescribeWorkflow)?;
        let execution = context.execution(&asked.workflow_id, asked.run_id.as_ref());
        let mut request = GetWorkflowExecutionHistoryRequest::default();
        request.execution = Some(execution.await?);
        request.namespace = context.namespace.clone();
        request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
        let page = rpc!(&context, get_workflow_execution_history(request))?;
        let page = context.decoded(page).await;
        let events = page.history.unwrap_or_default().events;
        Ok(events.last().and_then(event_json))
    }
}

impl Perform for TemporalWorkflowHistory {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalHistory, EffectError> {
        let context = on_existing!(service, call, self, TemporalWorkflowHistory)?;
        let mut execution = WorkflowExecution::default();
        execution.workflow_id = self.workflow_id.into();
        execution.run_id = self.run_id.map(String::from).unwrap_or_default();
        // With the run named, the server refuses a page of another one.
        let described = context.describe(execution).await?;
        let info = described.workflow_execution_info.unwrap_or_default();
        let execution = info.execution.unwrap_or_default();
        let run_id = execution.run_id.clone();
        let mut request = GetWorkflowExecutionHistoryRequest::default();
        request.namespace = context.namespace.clone();
        request.execution = Some(execution);
        request.maximum_page_size = page_size(self.limit);
        request.next_page_token = context.page_token(self.after.as_ref())?;
        request.history_event_filter_type = HistoryEventFilterType::AllEvent.into();
        let page = rpc!(&context, get_workflow_execution_history(request))?;
        let page = context.decoded(page).await;
        let events = page.history.unwrap_or_default().events;
        let rendered: Option<Vec<RawJson>> = events.iter().map(event_json).collect();
        Ok(TemporalHistory {
            run_id,
            events: rendered.ok_or_else(|| {
                EffectError::internal(
                    "an event of the history has no JSON; this host's build is at fault",
                )
            })?,
            next: next_page(page.next_page_token),
        })
    }
}

fn event_json(event: &HistoryEvent) -> Option<RawJson> {
    proto_json::render("temporal.api.history.v1.HistoryEvent", event)
}
