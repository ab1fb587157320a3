//! The gate of replays: a new version of a plugin runs the role's last recorded calls before it serves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_journal::record::OK;
use exomonad_journal::{CallRecord, Event, HttpAnswer, Journal, Query};

use super::version::PluginVersion;
use crate::replay::{ReplaySummary, Verdict, replay};
use crate::role::RoleSettings;

/// Bytes of input, answers and output that the records have together; the earliest are left out.
const MOST_BYTES: usize = 64 << 20;
/// How long all replays of one version may take; those that are left then are left out.
const LONGEST: Duration = Duration::from_secs(30);

/// Replays the last calls of a role that succeeded. A difference is logged; a failure is the error.
///
/// # Errors
/// If the version fails where the recorded call did not, with what fails.
pub async fn check(
    role: &Arc<RoleSettings>,
    version: &Arc<PluginVersion>,
    journal: &Arc<Journal>,
    calls: u32,
) -> Result<(), String> {
    let (reader, name) = (journal.clone(), role.name.to_string());
    let limit = usize::try_from(calls).unwrap_or(usize::MAX);
    let read = tokio::task::spawn_blocking(move || last_successes(&reader, &name, limit));
    let records = match read.await {
        Ok(Ok(records)) => records,
        // It is a safeguard, not a condition: a disk that cannot be read keeps no plugin from serving.
        Ok(Err(error)) => {
            tracing::warn!(role = %role.name, %error, "the journal cannot be read: the new plugin is not tried on it");
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    let begin = Instant::now();
    let mut replays = Vec::with_capacity(records.len());
    for record in &records {
        if begin.elapsed() > LONGEST {
            break;
        }
        replays.push(replay(role, version, record).await);
    }
    let summary = ReplaySummary::of(&replays);
    if let Some(failed) = summary
        .groups
        .iter()
        .find(|group| group.verdict == Verdict::Fails)
    {
        let named: Vec<&str> = failed.calls.iter().map(|id| id.as_str()).collect();
        return Err(format!(
            "it fails in {} of {} recorded calls that succeeded: `{}` {} (call {}; `exomonad replay` shows it); \
             the old version serves on, `plugins.replay_before_swap` sets how many calls are replayed",
            summary.fail,
            summary.replayed,
            failed.name,
            failed.difference,
            named.join(", "),
        ));
    }
    if !records.is_empty() {
        tracing::info!(
            role = %role.name,
            calls = records.len(),
            replayed = summary.replayed,
            same = summary.same,
            differ = summary.differ,
            "the new plugin was tried on recorded calls"
        );
    }
    Ok(())
}

fn last_successes(journal: &Journal, role: &str, limit: usize) -> std::io::Result<Vec<CallRecord>> {
    journal.flush();
    let (mut records, mut bytes) = (VecDeque::new(), 0);
    let query = Query {
        role: Some(role.to_owned()),
        outcome: Some(OK.to_owned()),
        limit,
        ..Query::default()
    };
    journal
        .reader()
        .records(&query, &mut |_| true, &mut |record| {
            bytes += size(&record);
            records.push_back(record);
            while bytes > MOST_BYTES
                && let Some(earliest) = records.pop_front()
            {
                bytes -= size(&earliest);
            }
            true
        })?;
    Ok(records.into())
}

fn size(record: &CallRecord) -> usize {
    let of_event = |event: &Event| match event {
        Event::Effect(effect) => {
            effect.request.0.len() + effect.answer.as_ref().map_or(0, |answer| answer.0.len())
        }
        Event::Http(exchange) => match &exchange.answer {
            Some(HttpAnswer::Response { body, .. }) => exchange.body.0.len() + body.0.len(),
            _ => exchange.body.0.len(),
        },
        Event::Random { bytes } => bytes.0.len(),
        _ => 64,
    };
    let events: usize = record.events.iter().map(of_event).sum();
    record.input.0.len() + events + record.output.as_ref().map_or(0, |output| output.0.len())
}
