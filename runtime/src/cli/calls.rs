//! `calls`: recorded calls, of the running host or in the state folder.

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use exomonad_config::Config;
use exomonad_journal::record::{EffectEvent, moment};
use exomonad_journal::{
    CallRecord, CallSummary, Event, HttpAnswer, HttpExchange, Page, Payload, Query, Reader,
};
use form_urlencoded::Serializer;
use serde::Deserialize;
use serde_json::Value;

use super::CommandError;
use super::args::{CallFilter, Options};
use super::client::Client;
use super::config::load_text_alone;
use super::show::{is_over, print_json, print_line, print_table, without_controls};

/// Calls of one page that a running host is asked for.
const PAGE: usize = 500;
/// Records that a running host is asked for.
const MOST_RECORDS: usize = 1_000_000;
/// Bytes of JSON that stay on one line.
const LINE: usize = 100;
/// Bytes of a payload that `show` prints of each.
const SHOWN: usize = 4 << 10;

/// The last line of `GET /calls/records`, if parts of the journal are damaged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Warnings {
    warnings: Vec<String>,
}

/// Where the records are.
pub enum Calls {
    /// With a running host.
    Running(Client),
    /// In a folder.
    Folder(Reader),
}

impl Calls {
    /// The records that the options name.
    pub async fn find(
        options: &Options,
        config: &Config,
        role: Option<&str>,
    ) -> Result<Self, CommandError> {
        Ok(match Client::find(options, config, role).await? {
            Some(client) => Self::Running(client),
            None => Self::Folder(Reader::new(config.state.dir.join("journal"))),
        })
    }

    /// The latest calls that are wanted, latest first.
    async fn list(&self, filter: &CallFilter, limit: usize) -> Result<Page, CommandError> {
        match self {
            Self::Folder(reader) => reader
                .list(&query(filter, limit), &mut |_| true)
                .map_err(|error| unreadable(&error)),
            Self::Running(client) => {
                let mut listed = Page::default();
                while listed.calls.len() < limit {
                    let wanted = query(filter, PAGE.min(limit - listed.calls.len()));
                    let page: Page = client
                        .get(&path("/calls", &wanted, listed.next.as_deref()))
                        .await?;
                    listed.calls.extend(page.calls);
                    listed.warnings = page.warnings;
                    listed.next = page.next;
                    if listed.next.is_none() {
                        break;
                    }
                }
                Ok(listed)
            }
        }
    }

    /// The record of a call.
    pub async fn record(&self, id: &str) -> Result<CallRecord, CommandError> {
        match self {
            Self::Running(client) => client.get(&format!("/calls/{}", encoded(id))).await,
            Self::Folder(reader) => {
                let call = id.parse().map_err(|_| unknown(id))?;
                let found = reader.find(&call).map_err(|error| unreadable(&error))?;
                found.ok_or_else(|| unknown(id))
            }
        }
    }

    /// Hands over the latest records that are wanted, oldest first.
    pub async fn records(
        &self,
        filter: &CallFilter,
        limit: usize,
        take: &mut (dyn FnMut(CallRecord) -> bool + Send),
    ) -> Result<(), CommandError> {
        match self {
            Self::Folder(reader) => {
                let warnings = reader.records(&query(filter, limit), &mut |_| true, take);
                print_warnings(&warnings.map_err(|error| unreadable(&error))?);
            }
            Self::Running(client) => {
                if limit == 0 {
                    return Ok(());
                }
                let path = path(
                    "/calls/records",
                    &query(filter, limit.min(MOST_RECORDS)),
                    None,
                );
                let mut hand_over = |line: &[u8]| {
                    if let Ok(Warnings { warnings }) = serde_json::from_slice(line) {
                        print_warnings(&warnings);
                        return Ok(true);
                    }
                    let record = serde_json::from_slice(line);
                    Ok(take(record.map_err(|error| client.foreign(&error))?))
                };
                client.get_lines(&path, &mut hand_over).await?;
            }
        }
        Ok(())
    }
}

fn query(filter: &CallFilter, limit: usize) -> Query {
    let since = filter.since.map(|span| {
        let begin = SystemTime::now().checked_sub(span.get());
        moment(begin.unwrap_or(SystemTime::UNIX_EPOCH))
    });
    Query {
        role: filter.role.clone(),
        name: filter.tool.clone(),
        failed: filter.failed,
        since,
        limit,
        ..Query::default()
    }
}

/// The request for a page.
fn path(route: &str, query: &Query, before: Option<&str>) -> String {
    let mut written = Serializer::new(String::new());
    written.append_pair("limit", &query.limit.to_string());
    let optional = [
        ("role", query.role.as_deref()),
        ("name", query.name.as_deref()),
        ("since", query.since.as_deref()),
        ("before", before),
        ("failed", query.failed.then_some("true")),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            written.append_pair(name, value);
        }
    }
    format!("{route}?{}", written.finish())
}

/// A text as a part of a path.
pub fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn unknown(id: &str) -> CommandError {
    CommandError::Refused(format!(
        "no call `{id}` is recorded; a role's `journal` says which calls are, and `[journal]` for how long"
    ))
}

fn unreadable(error: &std::io::Error) -> CommandError {
    CommandError::Unavailable(format!("the journal cannot be read: {error}"))
}

fn print_warnings(warnings: &[String]) {
    for warning in warnings {
        errln!("exomonad: {}", without_controls(warning));
    }
}

/// Runs `calls list`.
pub async fn list(options: &Options, filter: CallFilter, limit: usize) -> Result<(), CommandError> {
    let config = load_text_alone(options)?.config;
    let calls = Calls::find(options, &config, filter.role.as_deref()).await?;
    let page = calls.list(&filter, limit).await?;
    if options.json {
        print_json(&page);
        return Ok(());
    }
    print_warnings(&page.warnings);
    let rows = page.calls.iter().map(|call| {
        vec![
            call.at.clone(),
            call.role.to_string(),
            call.name.clone(),
            call.outcome.clone(),
            milliseconds(call.micros),
            call.effects.to_string(),
            call.id.to_string(),
        ]
    });
    print_table(
        &["BEGAN", "ROLE", "NAME", "OUTCOME", "MS", "EFFECTS", "CALL"],
        &rows.collect::<Vec<_>>(),
    );
    if page.next.is_some() {
        errln!("\nthere are more; `--limit` shows them, or a filter finds them");
    }
    Ok(())
}

/// Runs `calls export`.
pub async fn export(
    options: &Options,
    filter: CallFilter,
    limit: usize,
) -> Result<(), CommandError> {
    let config = load_text_alone(options)?.config;
    let calls = Calls::find(options, &config, filter.role.as_deref()).await?;
    calls
        .records(&filter, limit, &mut |record| {
            print_line(&serde_json::to_string(&record).unwrap_or_default());
            !is_over()
        })
        .await
}

/// Runs `calls show`.
pub async fn show(options: &Options, id: Option<&str>) -> Result<(), CommandError> {
    let config = load_text_alone(options)?.config;
    let calls = Calls::find(options, &config, None).await?;
    let id = match id {
        Some(id) => id.to_owned(),
        None => {
            let latest = calls.list(&CallFilter::default(), 1).await?.calls.pop();
            let latest = latest.ok_or_else(|| {
                CommandError::Refused(
                    "no call is recorded; a role's `journal` says which calls are".to_owned(),
                )
            })?;
            latest.id.to_string()
        }
    };
    let record = calls.record(&id).await?;
    match options.json {
        true => print_json(&record),
        false => print_record(&record),
    }
    Ok(())
}

fn print_record(record: &CallRecord) {
    print_summary(&record.call);
    outln!("\ninput");
    print_payload("  ", &record.input);
    let mut nth = 0;
    for event in &record.events {
        print_event(event, &mut nth);
    }
    if !record.call.complete {
        outln!("\nthe record is cut here: it would have been larger than `journal.max_record`");
    }
    if let Some(output) = &record.output {
        outln!("\noutput");
        print_payload("  ", output);
    }
    if let Some(error) = &record.error {
        outln!("\n{}: {error}", record.call.outcome);
    }
}

fn print_summary(call: &CallSummary) {
    outln!(
        "{} `{}` of role `{}`: {}",
        call.kind.name(),
        call.name,
        call.role,
        call.outcome
    );
    outln!("  call           {}", call.id);
    outln!(
        "  began          {}, took {} ms",
        call.at,
        milliseconds(call.micros)
    );
    let caller = call.caller.as_ref();
    caller
        .iter()
        .for_each(|caller| outln!("  caller         {caller}"));
    let trace = call.trace_id.as_ref();
    trace
        .iter()
        .for_each(|trace| outln!("  trace          {trace}"));
    outln!("  plugin         {}", call.plugin);
    outln!("  configuration  {}", call.configuration);
    if call.used_sandbox {
        outln!("  sandbox        used before: what was in its memory is not recorded");
    }
}

fn print_event(event: &Event, nth: &mut usize) {
    match event {
        Event::Effect(effect) => {
            *nth += 1;
            let EffectEvent {
                effect,
                request,
                answer,
                micros,
                hash,
            } = effect;
            outln!("\n{nth}. {effect}{}  {hash}", took(*micros));
            print_payload("   → ", request);
            match answer {
                Some(answer) => print_payload("   ← ", answer),
                None => outln!("   ← no answer: the call ended before, or the record is cut"),
            }
        }
        Event::Http(exchange) => {
            *nth += 1;
            print_exchange(exchange, *nth);
        }
        Event::Log { level, message } => outln!("\n   log {level:?}: {message}"),
        Event::LogLevel { level } => match level {
            Some(level) => outln!("\n   log level: {level:?}"),
            None => outln!("\n   log level: off"),
        },
        Event::Config { key, value } => match value {
            Some(value) => outln!("\n   config `{key}`: {value}"),
            None => outln!("\n   config `{key}`: not set"),
        },
        Event::Now { unix_nanos } => {
            let since = Duration::from_nanos(u64::try_from(*unix_nanos).unwrap_or_default());
            outln!("\n   clock: {}", moment(SystemTime::UNIX_EPOCH + since));
        }
        Event::Monotonic { nanos } => outln!("\n   monotonic clock: {nanos} ns"),
        Event::Random { bytes } => outln!("\n   {} random bytes", bytes.0.len()),
        Event::NoRandom { reason } => outln!("\n   no random bytes: {reason}"),
        Event::Sleep { nanos } => outln!("\n   pause: {} ms", milliseconds(nanos / 1000)),
    }
}

fn print_exchange(exchange: &HttpExchange, nth: usize) {
    outln!(
        "\n{nth}. http_request{}  {}",
        took(exchange.micros),
        exchange.hash
    );
    outln!("   → {} {}", exchange.method, exchange.url);
    for (name, value) in &exchange.headers {
        outln!("     {name}: {value}");
    }
    if !exchange.body.0.is_empty() {
        print_payload("     ", &exchange.body);
    }
    match &exchange.answer {
        Some(HttpAnswer::Response { status, body, .. }) => {
            outln!("   ← {status}");
            print_payload("     ", body);
        }
        Some(HttpAnswer::TooLarge {}) => outln!("   ← the response is longer than the limit"),
        Some(HttpAnswer::Failed { message }) => outln!("   ← {message}"),
        None => outln!("   ← no answer: the call ended before, or the record is cut"),
    }
}

/// Prints a payload behind this, or its beginning. On a terminal longer JSON is indented.
pub fn print_payload(before: &str, payload: &Payload) {
    let text = payload.text();
    let indented = (std::io::stdout().is_terminal() && text.len() > LINE)
        .then(|| serde_json::from_str::<Value>(&text).ok())
        .flatten()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = indented.as_deref().unwrap_or(&text);
    let (shown, rest) = text.split_at(text.floor_char_boundary(SHOWN));
    let indent = " ".repeat(before.chars().count());
    let shown = shown.replace('\n', &format!("\n{indent}"));
    let more = match rest.len() {
        0 => String::new(),
        more => format!("… and {more} bytes more; `--json` shows them"),
    };
    outln!("{before}{shown}{more}");
}

fn took(micros: Option<u64>) -> String {
    micros.map_or_else(String::new, |micros| {
        format!("  {} ms", milliseconds(micros))
    })
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}
