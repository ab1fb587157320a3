//! Replay: a guest runs again, and the record of a call answers it. Nothing is performed.
//!
//! The same plugin does what it did: clocks, randomness, configuration, log level and all answers are those of
//! the record. Where something is not, the report says so. Another plugin does what it would have done, up to
//! the first effect that the record has no answer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use exomonad_core::CallContext;
use exomonad_engine::CallError;
use exomonad_journal::hash::is_same_json;
use exomonad_journal::record::OK;
use exomonad_journal::{Answers, CallKind, CallRecord, Difference, Payload};
use exomonad_schema::CallId;
use exomonad_schema::common::{HANDLE_MCP_CALL, HookEvent, HookOutput, ToolCallInput};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::HostError;
use crate::execution::{self, Caller};
use crate::json::UniqueKeys;
use crate::pipeline::{CallHost, Replayed};
use crate::plugins::version::PluginVersion;
use crate::record::CANCELLED;
use crate::role::RoleSettings;
use crate::schema::work::Work;

/// Steps that a check of recorded arguments may take; they passed one before.
const STEPS: u64 = 50_000_000;

/// The result of a replay in a word.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The guest did what it did.
    Same,
    /// It did something else.
    Differs,
    /// It failed where it had not, or in a worse way.
    Fails,
    /// There was nothing to run it with.
    NotReplayed,
}

/// The replay of one call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// The call.
    pub call: CallId,
    /// The tool, the event or the export.
    pub name: String,
    /// The SHA-256 of the plugin that was run; that of the record is another if the plugin has changed.
    pub plugin: String,
    /// The result in a word.
    pub verdict: Verdict,
    /// The first difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// True if everything that the guest could observe was as recorded.
    pub exact: bool,
    /// The reasons if not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How a guest ended.
struct Ended {
    /// `ok`, `tool_error` or a code.
    outcome: String,
    /// The output, or the message of the failure.
    answer: Vec<u8>,
}

/// Runs the guest of a version again on what a record has.
pub async fn replay(
    role: &Arc<RoleSettings>,
    version: &Arc<PluginVersion>,
    record: &CallRecord,
) -> Replay {
    let call = &record.call;
    let mut report = Replay {
        call: call.id.clone(),
        name: call.name.clone(),
        plugin: version.plugin.digest().to_owned(),
        verdict: Verdict::NotReplayed,
        difference: None,
        exact: false,
        notes: known_gaps(role, record),
    };
    if record.input_is_cut() {
        return report;
    }
    let answers = Arc::new(Answers::of(record));
    let ended = run(role, version, record, answers.clone()).await;
    report.notes.extend(answers.notes());
    let recorded = Ended {
        outcome: call.outcome.clone(),
        answer: match (&record.output, &record.error) {
            (_, Some(error)) => error.clone().into_bytes(),
            (Some(output), None) => output.0.clone(),
            (None, None) => Vec::new(),
        },
    };
    (report.verdict, report.difference) = match ended {
        // It was stopped, where the record ends or where it asks for something else.
        None => match answers.difference() {
            Some(difference) => (Verdict::Differs, Some(difference)),
            None => (Verdict::Same, None),
        },
        Some(_) if recorded.outcome == CANCELLED => {
            report.notes.push(
                "the recorded call was cancelled: what it would have answered is not known"
                    .to_owned(),
            );
            (Verdict::Same, None)
        }
        Some(ended) => {
            answers.end();
            let difference = compare(&recorded, &ended, &answers);
            let verdict = match &difference {
                _ if severity(&ended.outcome) > severity(&recorded.outcome) => Verdict::Fails,
                Some(_) => Verdict::Differs,
                None => Verdict::Same,
            };
            (verdict, difference)
        }
    };
    report.exact = report.notes.is_empty();
    report
}

/// The differences from the recorded call that are known before the replay.
fn known_gaps(role: &RoleSettings, record: &CallRecord) -> Vec<String> {
    let call = &record.call;
    let mut notes = Vec::new();
    if record.input_is_cut() {
        notes.push(
            "the record has only the beginning of the input (`journal.max_record`)".to_owned(),
        );
    } else if !call.complete {
        notes.push(
            "the record is cut (`journal.max_record`): the replay ends where it does".to_owned(),
        );
    }
    if call.used_sandbox {
        notes.push("the call ran in a used sandbox, whose memory is not recorded".to_owned());
    }
    if call.configuration != role.configuration {
        notes.push(
            "the role's limits, configuration or log level are not those of the recorded call"
                .to_owned(),
        );
    }
    notes
}

/// Runs the guest; `None` if it was stopped, since the record has no answer to what it asked for.
async fn run(
    role: &Arc<RoleSettings>,
    version: &Arc<PluginVersion>,
    record: &CallRecord,
    answers: Arc<Answers>,
) -> Option<Ended> {
    let call = &record.call;
    let export = match export(role, version, record) {
        Ok(export) => export,
        Err(error) => return Some(failure(&error)),
    };
    let layers = Arc::new(Replayed::new(answers.clone(), role.config.clone()));
    let context: CallContext = role.call(
        call.id.clone(),
        Caller {
            name: call.caller.clone(),
            ..Caller::default()
        },
    );
    let host = Arc::new(CallHost::new(context, layers.clone()));
    let called = version
        .plugin
        .call(host, role.limits, &export, &record.input.0);
    let called = tokio::select! {
        biased;
        () = layers.stopped() => return None,
        called = called => called,
    };
    // What has no answer that a guest could wait for, such as a clock, does not stop it.
    if answers.is_stopped() {
        return None;
    }
    Some(match called {
        Ok(output) => judged(call.kind, &export, output.bytes),
        Err(error) => Ended {
            outcome: match &error {
                CallError::UnknownExport { .. } | CallError::Signature { .. } => "export_not_found",
                _ => execution::code(&error),
            }
            .to_owned(),
            answer: execution::explain(role, &error).into_bytes(),
        },
    })
}

/// The export to call, if this version still takes the call.
fn export(
    role: &RoleSettings,
    version: &PluginVersion,
    record: &CallRecord,
) -> Result<String, HostError> {
    let call = &record.call;
    match call.kind {
        CallKind::Export => Ok(call.name.clone()),
        CallKind::Hook => {
            let event =
                HookEvent::from_name(&call.name).filter(|event| version.hook(*event).is_some());
            let event = event.ok_or_else(|| HostError::HookNotFound {
                role: role.name.to_string(),
                event: call.name.clone(),
                handled: version
                    .hooks()
                    .map(HookEvent::name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })?;
            Ok(event.export().to_owned())
        }
        CallKind::Tool => {
            let (tool, _) = version
                .tool(&call.name)
                .map_err(|near| HostError::ToolNotFound {
                    role: role.name.to_string(),
                    tool: call.name.clone(),
                    near: near.map(str::to_owned),
                })?;
            let invalid = |error: serde_json::Error| HostError::InvalidRequest(error.to_string());
            let input: ToolCallInput = serde_json::from_slice(&record.input.0).map_err(invalid)?;
            let UniqueKeys(arguments) = input.arguments.parse().map_err(invalid)?;
            match tool.schema.violations(&arguments, &mut Work::new(STEPS)) {
                Ok(violations) if !violations.is_empty() => Err(HostError::InvalidArguments {
                    tool: call.name.clone(),
                    violations,
                }),
                // What takes too long to check is a question for the call itself.
                _ => Ok(HANDLE_MCP_CALL.to_owned()),
            }
        }
    }
}

fn failure(error: &HostError) -> Ended {
    Ended {
        outcome: error.code().to_owned(),
        answer: error.to_string().into_bytes(),
    }
}

/// The outcome of a call whose guest gave this.
fn judged(kind: CallKind, export: &str, output: Vec<u8>) -> Ended {
    let invalid = |message: String| Ended {
        outcome: execution::INVALID_ANSWER.to_owned(),
        answer: message.into_bytes(),
    };
    let ended = |outcome: &str, answer: Vec<u8>| Ended {
        outcome: outcome.to_owned(),
        answer,
    };
    match kind {
        CallKind::Export => ended(OK, output),
        CallKind::Hook => match exomonad_schema::from_slice::<HookOutput>(&output) {
            Ok(_) => ended(OK, output),
            Err(error) => invalid(execution::invalid_decision(export, &error)),
        },
        CallKind::Tool => match execution::judge(&output) {
            Ok(judged) => ended(execution::outcome(judged.is_error), output),
            Err(error) => invalid(execution::invalid_result(&error)),
        },
    }
}

/// The first difference: another outcome, effects that were not asked for, another answer, another log.
fn compare(recorded: &Ended, ended: &Ended, answers: &Answers) -> Option<Difference> {
    let differs = || Difference::Answer {
        recorded_outcome: recorded.outcome.clone(),
        recorded: Payload(recorded.answer.clone()),
        outcome: ended.outcome.clone(),
        answer: Payload(ended.answer.clone()),
    };
    if recorded.outcome != ended.outcome {
        return Some(differs());
    }
    if answers.has_diverged() {
        return answers.difference();
    }
    match is_same_json(&recorded.answer, &ended.answer) {
        false => Some(differs()),
        true => answers.difference(),
    }
}

/// How bad an outcome is: fine, a failure that the guest tells of, a failure of the guest.
fn severity(outcome: &str) -> u8 {
    match outcome {
        OK => 0,
        execution::TOOL_ERROR => 1,
        _ => 2,
    }
}

/// The replays of several calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplaySummary {
    /// Calls that were run again.
    pub replayed: usize,
    /// Those that did the same.
    pub same: usize,
    /// Those that did something else.
    pub differ: usize,
    /// Those that failed where the recorded call had not.
    pub fail: usize,
    /// Those that there was nothing to run with.
    pub not_replayed: usize,
    /// Those that saw something else than the recorded call did, for a reason that the notes give.
    pub not_exact: usize,
    /// The differences, most frequent first.
    pub groups: Vec<Group>,
    /// The reasons why some were not exact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Calls that differ in the same way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// The result in a word.
    pub verdict: Verdict,
    /// The tool, the event or the export.
    pub name: String,
    /// The difference.
    pub difference: String,
    /// Calls that differ so.
    pub count: usize,
    /// The ids of some of them.
    pub calls: Vec<CallId>,
}

/// Ids that a group names.
const NAMED: usize = 3;

impl ReplaySummary {
    /// Sums up.
    pub fn of(replays: &[Replay]) -> Self {
        let count = |verdict| {
            replays
                .iter()
                .filter(|replay| replay.verdict == verdict)
                .count()
        };
        let not_replayed = count(Verdict::NotReplayed);
        let mut groups: BTreeMap<(Verdict, String, String), Vec<CallId>> = BTreeMap::new();
        let mut notes = Vec::new();
        for replay in replays {
            if let Some(difference) = &replay.difference {
                let key = (replay.verdict, replay.name.clone(), difference.to_string());
                groups.entry(key).or_default().push(replay.call.clone());
            }
            for note in &replay.notes {
                if !notes.contains(note) {
                    notes.push(note.clone());
                }
            }
        }
        let groups = groups
            .into_iter()
            .map(|((verdict, name, difference), calls)| Group {
                verdict,
                name,
                difference,
                count: calls.len(),
                calls: calls.into_iter().take(NAMED).collect(),
            });
        let mut groups: Vec<Group> = groups.collect();
        groups.sort_by_key(|group| {
            (
                std::cmp::Reverse(group.verdict),
                std::cmp::Reverse(group.count),
            )
        });
        Self {
            replayed: replays.len() - not_replayed,
            same: count(Verdict::Same),
            differ: count(Verdict::Differs),
            fail: count(Verdict::Fails),
            not_replayed,
            not_exact: replays.iter().filter(|replay| !replay.exact).count(),
            groups,
            notes,
        }
    }
}
