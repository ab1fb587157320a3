//! The effects on schedules.

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{EffectError, ErrorCode};
use prost_wkt_types::Timestamp as ProtoTimestamp;
use temporalio_protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_protos::temporal::api::enums::v1::ScheduleOverlapPolicy;
use temporalio_protos::temporal::api::schedule::v1::{
    IntervalSpec, Schedule, ScheduleAction, ScheduleActionResult, ScheduleListEntry, SchedulePatch,
    SchedulePolicies, ScheduleSpec, ScheduleState, TriggerImmediatelyRequest, schedule_action,
};
use temporalio_protos::temporal::api::workflow::v1::NewWorkflowExecutionInfo;
use temporalio_protos::temporal::api::workflowservice::v1::{
    CreateScheduleRequest, DeleteScheduleRequest, DescribeScheduleRequest,
    DescribeScheduleResponse, ListSchedulesRequest, PatchScheduleRequest,
};

use crate::Temporal;
use crate::effect_context::{EffectContext, request_id, rpc};
use crate::payload::{self, count, duration};
use crate::perform::Perform;
use crate::policy::Scope;
use crate::proto_json;
use crate::server_error::is_missing;
use crate::workflows::{next_page, page_size, retry_policy, task_queue, workflow_type};

/// Begins an effect on a schedule that exists.
macro_rules! on_existing {
    ($service:expr, $call:expr, $request:expr, $Request:ident) => {
        $service.begin(
            $Request::KIND,
            $call,
            format_args!("schedule {:?}", &*$request.schedule_id),
            Scope {
                namespace: $request.namespace.as_deref(),
                existing: Some(&$request.schedule_id),
                ..Scope::default()
            },
        )
    };
}

impl EffectContext<'_> {
    /// Describes a schedule, if the type of the workflow that it starts is one of the role's.
    async fn describe_schedule(
        &self,
        schedule_id: &str,
    ) -> Result<DescribeScheduleResponse, EffectError> {
        let mut request = DescribeScheduleRequest::default();
        request.namespace = self.namespace.clone();
        request.schedule_id = schedule_id.to_owned();
        let described = match rpc!(self, describe_schedule(request)) {
            // One of another type and none at all look alike.
            Err(error) if is_missing(&error) && !self.bounds().reaches_all_types() => {
                return Err(self.not_found());
            }
            described => described?,
        };
        let action = action_of(&described).cloned().unwrap_or_default();
        let name = action.workflow_type.unwrap_or_default().name;
        match self.bounds().allows_type(&name) {
            true => Ok(described),
            false => Err(self.not_found()),
        }
    }

    /// Refuses a schedule whose workflow's type the role may not reach.
    async fn check_schedule(&self, schedule_id: &str) -> Result<(), EffectError> {
        if self.bounds().reaches_all_types() {
            return Ok(());
        }
        self.describe_schedule(schedule_id).await.map(drop)
    }

    /// Changes a schedule.
    async fn patch(
        &self,
        schedule_id: &str,
        request_id: String,
        patch: SchedulePatch,
    ) -> Result<Done, EffectError> {
        self.check_schedule(schedule_id).await?;
        let mut request = PatchScheduleRequest::default();
        request.namespace = self.namespace.clone();
        request.identity = self.identity();
        request.schedule_id = schedule_id.to_owned();
        request.request_id = request_id;
        request.patch = Some(patch);
        rpc!(self, patch_schedule(request))?;
        Ok(Done {})
    }

    /// A time of a request.
    fn time(&self, field: &str, text: Option<&str>) -> Result<Option<ProtoTimestamp>, EffectError> {
        let Some(text) = text else { return Ok(None) };
        let time = payload::parse_time(text).ok_or_else(|| {
            self.error(
                ErrorCode::InvalidInput,
                format_args!("`{field}` is not a time; write one such as 2027-01-31T09:00:00Z"),
            )
        })?;
        Ok(Some(time))
    }
}

fn action_of(described: &DescribeScheduleResponse) -> Option<&NewWorkflowExecutionInfo> {
    let action = described.schedule.as_ref()?.action.as_ref()?;
    let schedule_action::Action::StartWorkflow(started) = action.action.as_ref()?;
    Some(started)
}

fn overlap_policy(policy: TemporalOverlap) -> i32 {
    match policy {
        TemporalOverlap::Skip => ScheduleOverlapPolicy::Skip,
        TemporalOverlap::BufferOne => ScheduleOverlapPolicy::BufferOne,
        TemporalOverlap::BufferAll => ScheduleOverlapPolicy::BufferAll,
        TemporalOverlap::CancelOther => ScheduleOverlapPolicy::CancelOther,
        TemporalOverlap::TerminateOther => ScheduleOverlapPolicy::TerminateOther,
        TemporalOverlap::AllowAll => ScheduleOverlapPolicy::AllowAll,
    }
    .into()
}

fn overlap(policy: ScheduleOverlapPolicy) -> TemporalOverlap {
    match policy {
        ScheduleOverlapPolicy::Unspecified | ScheduleOverlapPolicy::Skip => TemporalOverlap::Skip,
        ScheduleOverlapPolicy::BufferOne => TemporalOverlap::BufferOne,
        ScheduleOverlapPolicy::BufferAll => TemporalOverlap::BufferAll,
        ScheduleOverlapPolicy::CancelOther => TemporalOverlap::CancelOther,
        ScheduleOverlapPolicy::TerminateOther => TemporalOverlap::TerminateOther,
        ScheduleOverlapPolicy::AllowAll => TemporalOverlap::AllowAll,
    }
}

/// The rule of a schedule itself.
fn trigger(overlap: Option<TemporalOverlap>) -> Option<TriggerImmediatelyRequest> {
    let mut trigger = TriggerImmediatelyRequest::default();
    trigger.overlap_policy = overlap.map_or(0, overlap_policy);
    Some(trigger)
}

impl Perform for TemporalCreateSchedule {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let scope = Scope {
            namespace: self.namespace.as_deref(),
            starts: Some(&self.workflow),
            ..Scope::default()
        };
        let subject = format!("schedule {:?}", &*self.schedule_id);
        let context = service.begin(Self::KIND, call, subject, scope)?;
        let mut schedule = Schedule::default();
        schedule.spec = Some(self.spec(&context)?);
        schedule.action = Some(action(&self.workflow));
        let mut policies = SchedulePolicies::default();
        policies.overlap_policy = overlap_policy(self.overlap);
        policies.catchup_window = duration(self.catch_up_millis);
        policies.pause_on_failure = self.pause_on_failure;
        schedule.policies = Some(policies);
        let mut state = ScheduleState::default();
        state.notes = self.note.into();
        state.paused = self.paused;
        state.limited_actions = self.remaining_actions.is_some();
        let remaining = self
            .remaining_actions
            .map(|count| i64::try_from(count.get()));
        state.remaining_actions = remaining.and_then(Result::ok).unwrap_or_default();
        schedule.state = Some(state);

        let mut request = CreateScheduleRequest::default();
        request.namespace = context.namespace.clone();
        request.identity = context.identity();
        request.request_id = request_id(self.request_id.as_ref())?;
        request.schedule_id = self.schedule_id.into();
        request.schedule = Some(schedule);
        request.initial_patch = self.trigger.then(|| {
            let mut patch = SchedulePatch::default();
            patch.trigger_immediately = trigger(None);
            patch
        });
        request.memo = payload::memo(&self.memo);
        request.search_attributes = payload::search_attributes(&self.search_attributes);
        rpc!(&context, create_schedule(context.encoded(request).await?))?;
        Ok(Done {})
    }
}

/// The times of a new schedule.
trait Times {
    fn spec(&self, context: &EffectContext<'_>) -> Result<ScheduleSpec, EffectError>;
}

impl Times for TemporalCreateSchedule {
    fn spec(&self, context: &EffectContext<'_>) -> Result<ScheduleSpec, EffectError> {
        let mut spec = ScheduleSpec::default();
        spec.cron_string = self.cron.iter().map(ToString::to_string).collect();
        spec.interval = self
            .intervals
            .iter()
            .map(|interval| {
                let mut each = IntervalSpec::default();
                each.interval = duration(Some(interval.every_millis));
                each.phase = duration(interval.offset_millis);
                each
            })
            .collect();
        spec.timezone_name = self.time_zone.as_deref().unwrap_or_default().to_owned();
        spec.jitter = duration(self.jitter_millis);
        spec.start_time = context.time("startTime", self.start_time.as_deref())?;
        spec.end_time = context.time("endTime", self.end_time.as_deref())?;
        Ok(spec)
    }
}

fn action(workflow: &TemporalWorkflowSpec) -> ScheduleAction {
    let mut started = NewWorkflowExecutionInfo::default();
    started.workflow_id = workflow.workflow_id.to_string();
    started.workflow_type = workflow_type(&workflow.workflow_type);
    started.task_queue = task_queue(&workflow.task_queue);
    started.input = payload::encode_all(&workflow.input);
    started.workflow_execution_timeout = duration(workflow.execution_timeout_millis);
    started.workflow_run_timeout = duration(workflow.run_timeout_millis);
    started.workflow_task_timeout = duration(workflow.task_timeout_millis);
    started.retry_policy = retry_policy(workflow.retry.as_ref());
    started.memo = payload::memo(&workflow.memo);
    started.search_attributes = payload::search_attributes(&workflow.search_attributes);
    let mut action = ScheduleAction::default();
    action.action = Some(schedule_action::Action::StartWorkflow(started));
    action
}

/// A note; the server takes an empty one for none.
fn note(text: TemporalText, otherwise: &str) -> String {
    let text: String = text.into();
    match text.is_empty() {
        true => otherwise.to_owned(),
        false => text,
    }
}

impl Perform for TemporalPauseSchedule {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalPauseSchedule)?;
        let mut patch = SchedulePatch::default();
        patch.pause = note(self.note, "paused by exomonad");
        context
            .patch(&self.schedule_id, request_id(None)?, patch)
            .await
    }
}

impl Perform for TemporalUnpauseSchedule {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalUnpauseSchedule)?;
        let mut patch = SchedulePatch::default();
        patch.unpause = note(self.note, "unpaused by exomonad");
        context
            .patch(&self.schedule_id, request_id(None)?, patch)
            .await
    }
}

impl Perform for TemporalTriggerSchedule {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalTriggerSchedule)?;
        let mut patch = SchedulePatch::default();
        patch.trigger_immediately = trigger(self.overlap);
        let request_id = request_id(self.request_id.as_ref())?;
        context.patch(&self.schedule_id, request_id, patch).await
    }
}

impl Perform for TemporalDescribeSchedule {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalScheduleDescription, EffectError> {
        let context = on_existing!(service, call, self, TemporalDescribeSchedule)?;
        let described = context.describe_schedule(&self.schedule_id).await?;
        let workflow = action_of(&described).cloned().unwrap_or_default();
        let schedule = described.schedule.unwrap_or_default();
        let state = schedule.state.unwrap_or_default();
        let info = described.info.unwrap_or_default();
        let spec = schedule.spec.unwrap_or_default();
        let spec = proto_json::render("temporal.api.schedule.v1.ScheduleSpec", &spec);
        let attributes = described.search_attributes.as_ref();
        Ok(TemporalScheduleDescription {
            namespace: context.namespace,
            schedule_id: self.schedule_id.into(),
            paused: state.paused,
            note: state.notes,
            workflow_type: workflow.workflow_type.unwrap_or_default().name,
            workflow_id: workflow.workflow_id,
            task_queue: workflow.task_queue.unwrap_or_default().name,
            spec: spec.unwrap_or_default(),
            overlap: overlap(schedule.policies.unwrap_or_default().overlap_policy()),
            running: info.running_workflows.into_iter().map(execution).collect(),
            recent: info.recent_actions.into_iter().map(recent).collect(),
            next_times: info
                .future_action_times
                .iter()
                .filter_map(|time| payload::time(Some(time)))
                .collect(),
            action_count: count(info.action_count),
            missed_count: count(info.missed_catchup_window),
            skipped_count: count(info.overlap_skipped),
            memo: payload::decode_map(described.memo.as_ref().map(|memo| &memo.fields)),
            search_attributes: payload::decode_map(attributes.map(|found| &found.indexed_fields)),
        })
    }
}

fn execution(execution: WorkflowExecution) -> TemporalExecution {
    TemporalExecution {
        workflow_id: execution.workflow_id,
        run_id: execution.run_id,
    }
}

fn recent(action: ScheduleActionResult) -> TemporalScheduleAction {
    TemporalScheduleAction {
        schedule_time: payload::time(action.schedule_time.as_ref()),
        actual_time: payload::time(action.actual_time.as_ref()),
        execution: execution(action.start_workflow_result.unwrap_or_default()),
    }
}

impl Perform for TemporalListSchedules {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalSchedules, EffectError> {
        let scope = Scope {
            namespace: self.namespace.as_deref(),
            ..Scope::default()
        };
        let context = service.begin(Self::KIND, call, "schedules", scope)?;
        let mut request = ListSchedulesRequest::default();
        request.namespace = context.namespace.clone();
        request.maximum_page_size = page_size(self.limit);
        request.next_page_token = context.page_token(self.after.as_ref())?;
        request.query = self.query.into();
        let page = rpc!(&context, list_schedules(request))?;
        let page = context.decoded(page).await;
        let schedules = page.schedules.into_iter().map(listed);
        Ok(TemporalSchedules {
            schedules: schedules
                .filter(|found| context.bounds().allows_type(&found.workflow_type))
                .collect(),
            next: next_page(page.next_page_token),
        })
    }
}

fn listed(entry: ScheduleListEntry) -> TemporalSchedule {
    let info = entry.info.unwrap_or_default();
    TemporalSchedule {
        schedule_id: entry.schedule_id,
        workflow_type: info.workflow_type.unwrap_or_default().name,
        paused: info.paused,
        note: info.notes,
        next_time: payload::time(info.future_action_times.first()),
    }
}

impl Perform for TemporalDeleteSchedule {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = on_existing!(service, call, self, TemporalDeleteSchedule)?;
        context.check_schedule(&self.schedule_id).await?;
        let mut request = DeleteScheduleRequest::default();
        request.namespace = context.namespace.clone();
        request.identity = context.identity();
        request.schedule_id = self.schedule_id.into();
        rpc!(&context, delete_schedule(request))?;
        Ok(Done {})
    }
}
