//! `GET /calls`, `/calls/records` and `/calls/{id}`: the recorded calls of the roles that a request may use.

use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use exomonad_core::values::Area;
use exomonad_host::HostError;
use exomonad_journal::Query;
use exomonad_journal::reader::Cursor;
use exomonad_journal::record::moment;
use exomonad_schema::CallId;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::App;
use super::error::RequestError;
use super::identity::Identity;
use super::path_params::PathParams;
use super::routes::QueryParameter;
use super::visible_roles::VisibleRoles;

/// Calls of a page if the request does not say, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

/// The media type of records.
pub const RECORDS: &str = "application/x-ndjson";

/// Requests that read the journal at once: each may hold a whole file in memory.
static READERS: Semaphore = Semaphore::const_new(4);

/// Requests that read records one after the other; each may take as long as its client does.
static STREAMS: Semaphore = Semaphore::const_new(4);

/// Records of one request at most; some hundred bytes are in memory for each.
const MOST_RECORDS: usize = 1_000_000;

/// Records that wait for the client.
const RECORDS_AHEAD: usize = 4;

const ROLE: QueryParameter = QueryParameter {
    name: "role",
    description: "Calls of this role.",
    schema: || json!({"type": "string"}),
};
const NAME: QueryParameter = QueryParameter {
    name: "name",
    description: "Calls of this tool, event or export.",
    schema: || json!({"type": "string"}),
};
const FAILED: QueryParameter = QueryParameter {
    name: "failed",
    description: "True for calls that have failed alone.",
    schema: || json!({"type": "boolean", "default": false}),
};
const SINCE: QueryParameter = QueryParameter {
    name: "since",
    description: "Calls that began at this moment or later.",
    schema: || json!({"type": "string", "format": "date-time"}),
};
const BEFORE: QueryParameter = QueryParameter {
    name: "before",
    description: "Where the page begins: `next` of the page before.",
    schema: || json!({"type": "string"}),
};

/// The parameters of `GET /calls`.
pub const QUERY: &[QueryParameter] = &[
    ROLE,
    NAME,
    FAILED,
    SINCE,
    QueryParameter {
        name: "limit",
        description: "How many calls a page has at most.",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE}),
    },
    BEFORE,
];

/// The parameters of `GET /calls/records`.
pub const RECORDS_QUERY: &[QueryParameter] = &[
    ROLE,
    NAME,
    FAILED,
    SINCE,
    QueryParameter {
        name: "limit",
        description: "How many records at most, the latest.",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": MOST_RECORDS, "default": MOST_RECORDS}),
    },
    BEFORE,
];

/// A page of the calls that a request may see, latest first.
pub async fn list(
    State(app): State<App>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let query = parse(uri.query().unwrap_or_default(), PAGE, LARGEST_PAGE)
        .map_err(HostError::InvalidRequest)?;
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Calls);
    visible.check_named(query.role.as_deref())?;
    let is_operator = visible.check_operator().is_ok();
    let page = reading(move || {
        let journal = &visible.serving.runtime.journal;
        journal.flush();
        journal
            .reader()
            .list(&query, &mut |role| visible.contains(role))
    });
    let mut page = page.await?;
    page.warnings = shown(page.warnings, is_operator);
    Ok(axum::Json(page).into_response())
}

/// Warnings as a request may see them.
fn shown(warnings: Vec<String>, is_operator: bool) -> Vec<String> {
    match warnings.len() {
        // They name files of the host.
        damaged if !is_operator && damaged > 0 => vec![format!(
            "{damaged} parts of the journal are damaged, and skipped; the operator sees which"
        )],
        _ => warnings,
    }
}

/// The records of the calls that a request may see, oldest first, one a line. If parts of the journal are damaged,
/// the last line is an object with `warnings`.
pub async fn records(
    State(app): State<App>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let query = parse(uri.query().unwrap_or_default(), MOST_RECORDS, MOST_RECORDS)
        .map_err(HostError::InvalidRequest)?;
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Calls);
    visible.check_named(query.role.as_deref())?;
    // The semaphore is never closed.
    let turn = STREAMS.acquire().await;
    let (lines, sent) = mpsc::channel(RECORDS_AHEAD);
    spawn_blocking(move || {
        let _turn = turn;
        let is_operator = visible.check_operator().is_ok();
        let journal = visible.serving.runtime.journal.clone();
        journal.flush();
        let read = journal.reader().records(
            &query,
            &mut |role| visible.contains(role),
            // Fails when the client is gone.
            &mut |record| line(&record).is_some_and(|line| lines.blocking_send(Ok(line)).is_ok()),
        );
        let last = match read {
            Ok(warnings) if warnings.is_empty() => return,
            Ok(warnings) => line(&json!({"warnings": shown(warnings, is_operator)})).map(Ok),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be read");
                // Ends the connection before the answer is complete.
                Some(Err(error))
            }
        };
        if let Some(last) = last {
            let _ = lines.blocking_send(last);
        }
    });
    let lines = stream::unfold(sent, async |mut sent| Some((sent.recv().await?, sent)));
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, RECORDS)], body).into_response())
}

/// JSON on a line of its own.
fn line(value: &impl Serialize) -> Option<Bytes> {
    let mut line = serde_json::to_vec(value).ok()?;
    line.push(b'\n');
    Some(line.into())
}

/// The record of a call.
pub async fn show(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    identity: Identity,
) -> Result<Response, RequestError> {
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Calls);
    visible.check_any()?;
    let unknown = || RequestError::CallNotFound(id.clone());
    let call: CallId = id.parse().map_err(|_| unknown())?;
    let found = reading(move || {
        let journal = &visible.serving.runtime.journal;
        journal.flush();
        let found = journal.reader().find(&call)?;
        // That of another role looks as if it was not there.
        Ok(found.filter(|record| visible.contains(&record.call.role)))
    });
    let record = found.await?.ok_or_else(unknown)?;
    Ok(axum::Json(record).into_response())
}

/// Reads the journal on a thread that may be busy for a while.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, RequestError> {
    // The semaphore is never closed.
    let turn = READERS.acquire().await;
    let read = spawn_blocking(read).await;
    drop(turn);
    let failed = |error: &dyn std::fmt::Display| {
        HostError::Internal(format!("the journal cannot be read: {error}"))
    };
    let read = read.map_err(|error| failed(&error))?;
    Ok(read.map_err(|error| failed(&error))?)
}

fn parse(query: &str, limit: usize, most: usize) -> Result<Query, String> {
    let mut parsed = Query {
        limit,
        ..Query::default()
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |expected: &str| format!("the parameter `{name}` is not {expected}");
        match &*name {
            "role" => parsed.role = Some(value.into_owned()),
            "name" => parsed.name = Some(value.into_owned()),
            "failed" => parsed.failed = value.parse().map_err(|_| wrong("`true` or `false`"))?,
            "since" => {
                let since: SystemTime = humantime::parse_rfc3339_weak(&value)
                    .map_err(|_| wrong("a moment such as 2026-01-31T12:00:00Z"))?;
                parsed.since = Some(moment(since));
            }
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=most).contains(limit));
                parsed.limit = limit.ok_or_else(|| wrong(&format!("a number from 1 to {most}")))?;
            }
            "before" => {
                let before = Cursor::parse(&value);
                parsed.before = Some(before.ok_or_else(|| wrong("`next` of a page"))?);
            }
            _ => return Err(format!("there is no parameter `{name}`")),
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_what_is_wrong_is_named() {
        let parse = |query| parse(query, PAGE, LARGEST_PAGE);
        let query = parse("role=tl&failed=true&limit=7&since=2026-01-31T12:00:00Z").unwrap();
        assert_eq!(query.role.as_deref(), Some("tl"));
        assert!(query.failed && query.limit == 7);
        assert_eq!(query.since.as_deref(), Some("2026-01-31T12:00:00.000000Z"));
        assert_eq!(parse("").unwrap().limit, PAGE);
        for wrong in [
            "limit=0",
            "limit=1001",
            "failed=yes",
            "since=now",
            "before=x",
            "rolle=tl",
        ] {
            let name = wrong.split('=').next().unwrap();
            assert!(
                parse(wrong).unwrap_err().contains(&format!("`{name}`")),
                "{wrong}"
            );
        }
    }
}
