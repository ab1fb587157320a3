//! [`RunningRecord`]: the record of one call, from when its guest is entered to its outcome.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use exomonad_config::Config;
use exomonad_core::CallContext;
use exomonad_journal::record::{OK, moment};
use exomonad_journal::{CallKind, CallSummary, EndedCall, Journal, Recording, digest};
use serde_json::json;

use crate::pipeline::{Layer, RecordLayer};
use crate::plugins::version::PluginVersion;
use crate::role::RoleSettings;

/// The outcome of a call that nobody waited for any more.
pub const CANCELLED: &str = "cancelled";

/// How the calls of a role are recorded.
#[derive(Clone)]
pub struct RecordSettings {
    /// Where they go.
    pub journal: Arc<Journal>,
    /// True if those that succeed are kept, too.
    pub keeps_all: bool,
}

/// The record of a call that runs. Dropped before it has an outcome, the call was cancelled.
pub struct RunningRecord {
    settings: RecordSettings,
    role: Arc<RoleSettings>,
    version: Arc<PluginVersion>,
    context: CallContext,
    kind: CallKind,
    name: String,
    input: Bytes,
    recording: Arc<Recording>,
    at: SystemTime,
    began: Instant,
    has_ended: bool,
}

impl RunningRecord {
    /// Begins to record a call; `None` if the role's calls are not recorded.
    pub fn begin(
        role: &Arc<RoleSettings>,
        version: &Arc<PluginVersion>,
        context: &CallContext,
        kind: CallKind,
        name: &str,
        input: &Bytes,
    ) -> Option<Self> {
        let settings = role.record.clone()?;
        Some(Self {
            recording: Arc::new(settings.journal.record()),
            settings,
            role: role.clone(),
            version: version.clone(),
            context: context.clone(),
            kind,
            name: name.to_owned(),
            input: input.clone(),
            at: SystemTime::now(),
            began: Instant::now(),
            has_ended: false,
        })
    }

    /// These layers, with what goes through them recorded.
    pub fn layers(&self, inner: Arc<dyn Layer>) -> Arc<dyn Layer> {
        Arc::new(RecordLayer::new(self.recording.clone(), inner))
    }

    /// Forgets what was recorded: the guest runs again. Gives the record that is to be filled.
    pub fn restart(&mut self) -> Arc<Recording> {
        self.recording = Arc::new(self.settings.journal.record());
        self.recording.clone()
    }

    /// Forgets the call: it goes on elsewhere, with a record of its own.
    pub fn forget(mut self) {
        self.has_ended = true;
    }

    /// Notes that the sandbox had served another call before.
    pub fn in_used_sandbox(&self) {
        self.recording.in_used_sandbox();
    }

    /// Ends with this outcome: `ok`, `tool_error` or the code of a failure.
    pub fn end(mut self, outcome: &str, output: Option<&[u8]>, error: Option<&str>) {
        self.keep(outcome, output, error);
    }

    fn keep(&mut self, outcome: &str, output: Option<&[u8]>, error: Option<&str>) {
        self.has_ended = true;
        if outcome == OK && !self.settings.keeps_all {
            return;
        }
        let context = &self.context;
        let summary = CallSummary {
            id: context.call_id.clone(),
            role: context.role.clone(),
            kind: self.kind,
            name: std::mem::take(&mut self.name),
            at: moment(self.at),
            micros: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            caller: context.caller.clone(),
            trace_id: context.traceparent.as_deref().and_then(trace_id),
            plugin: self.version.plugin.digest().to_owned(),
            configuration: self.role.configuration.clone(),
            outcome: outcome.to_owned(),
            effects: 0,
            complete: true,
            used_sandbox: false,
        };
        let ended = EndedCall {
            summary,
            input: &self.input,
            output,
            error,
        };
        self.settings.journal.keep(&self.recording, ended);
    }
}

impl Drop for RunningRecord {
    fn drop(&mut self) {
        if !self.has_ended {
            let gone = "nobody waited for the call any more, or the host could not go on with it";
            self.keep(CANCELLED, None, Some(gone));
        }
    }
}

/// The trace of a `traceparent`: `00-TRACE-SPAN-FLAGS`.
fn trace_id(traceparent: &str) -> Option<String> {
    let trace = traceparent.split('-').nth(1)?;
    let is_id = trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| trace.to_owned())
}

/// A hash of what a guest can observe of its role's configuration: values, limits, log level, used sandboxes.
pub fn configuration_hash(config: &Config, role: &exomonad_config::Role) -> String {
    let mut limits = serde_json::to_value(&role.limits).unwrap_or_default();
    if let Some(limits) = limits.as_object_mut() {
        // How many calls there may be, and what clients get, is nothing that a guest sees.
        let unseen = [
            "concurrent_calls",
            "queue",
            "caller_calls_per_minute",
            "caller_concurrent_calls",
            "unread_answers",
            "inline_answer",
        ];
        limits.retain(|key, _| !unseen.contains(&key.as_str()));
    }
    let observable = json!([role.config, limits, config.log.filter, role.instance]);
    digest(observable.to_string().as_bytes())
}
