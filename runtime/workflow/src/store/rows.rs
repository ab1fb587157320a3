//! The rows: runs, events, inbox entries, schedules. Functions over a connection, each one statement or a few
//! that belong to one transaction.

use exomonad_journal::RequestHash;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::workflow::{OnParentEnd, WorkflowStatus};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params, params_from_iter};

use super::{
    HELD, MOST_SIGNALS, RunKey, SIGNAL_REQUESTS, STATUSES, StoreFailure, is_open,
    on_parent_end_name, status_name,
};
use crate::event::{Event, EventBody, Request};

type Result<T> = std::result::Result<T, StoreFailure>;

/// A run to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// The plugin's digest.
    pub digest: String,
    /// The part of its role's configuration that the guest can read, JSON.
    pub configuration: String,
    /// The input, JSON.
    pub input: String,
    /// The state that the run before it left, JSON.
    pub state_before: Option<String>,
    /// The version of that state.
    pub state_version: u32,
    /// The seed of the run's randomness.
    pub seed: [u8; 16],
    /// When it begins, in milliseconds since 1970.
    pub at: i64,
    /// When it goes on first: [`HELD`] if the host that starts it has it in memory, 0 for as soon as may be.
    pub wake_at: i64,
    /// The run that starts it, with the number of the step there.
    pub parent: Option<(RunKey, u64)>,
    /// Its fate when that run ends.
    pub on_parent_end: OnParentEnd,
    /// The run that it continues.
    pub continued_from: Option<String>,
    /// The client that it may ask, as its guest sees it, JSON.
    pub client: Option<String>,
    /// The principal that starts it; a run of a run has its.
    pub started_by: Option<String>,
}

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as of `NewRun`, and the columns of the table")]
pub struct RunRow {
    pub key: RunKey,
    pub role: String,
    pub workflow: String,
    pub workflow_id: String,
    pub run_id: String,
    pub digest: String,
    pub configuration: String,
    pub input: String,
    pub state_before: Option<String>,
    pub seed: Vec<u8>,
    pub begun_at: i64,
    pub status: WorkflowStatus,
    pub wake_at: Option<i64>,
    pub asked: u64,
    pub state: Option<String>,
    pub state_version: u32,
    pub restarts: u32,
    pub parent: Option<(RunKey, u64)>,
    pub continued_from: Option<String>,
    pub continued_to: Option<String>,
    pub output: Option<String>,
    pub error_code: Option<String>,
    pub error: Option<String>,
    pub ended_at: Option<i64>,
    pub client: Option<String>,
    pub started_by: Option<String>,
}

/// The columns of a run; large texts come from their own table. One that is missing there fails the checksum.
const COLUMNS: &str = "id, role, workflow, workflow_id, run_id, digest, configuration, \
    iif(input = '', coalesce((SELECT text FROM run_text WHERE run_text.run = run.id AND part = 'input'), ''), input), \
    iif(state_before = '', (SELECT text FROM run_text WHERE run_text.run = run.id AND part = 'state_before'), state_before), \
    seed, begun_at, status, wake_at, asked, \
    iif(state = '', (SELECT text FROM run_text WHERE run_text.run = run.id AND part = 'state'), state), \
    state_version, restarts, parent, parent_seq, continued_from, continued_to, output, error_code, error, \
    ended_at, checksum, client, started_by";

/// Bytes of a text that stays in the row of its run.
const SMALL_TEXT: usize = 2048;

/// A text of a run that may be too large for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Input,
    StateBefore,
    State,
}

impl Part {
    fn column(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::StateBefore => "state_before",
            Self::State => "state",
        }
    }
}

/// The text as it stands in the row: itself, or nothing if it is large. JSON is never empty.
fn in_row(text: &str) -> &str {
    match text.len() > SMALL_TEXT {
        true => "",
        false => text,
    }
}

/// Keeps a text of a run beside its row, if it is large.
fn keep_text(connection: &Connection, run: RunKey, part: Part, text: &str) -> Result<()> {
    if text.len() > SMALL_TEXT {
        connection
            .prepare_cached(
                "INSERT INTO run_text (run, part, text) VALUES (?1, ?2, ?3)
                 ON CONFLICT (run, part) DO UPDATE SET text = excluded.text WHERE text <> excluded.text",
            )?
            .execute(params![run, part.column(), text])?;
    } else {
        connection
            .prepare_cached("DELETE FROM run_text WHERE run = ?1 AND part = ?2")?
            .execute(params![run, part.column()])?;
    }
    Ok(())
}

/// The end of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// The run has begun.
    New(RunRow),
    /// A run with this id was open already.
    Open(RunRow),
}

/// The kind of an inbox entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxKind {
    /// A signal.
    Signal,
    /// A request to cancel.
    Cancel,
    /// A child has ended; the payload is the answer of its step.
    Child,
    /// An operator's answer to a step.
    Answer,
}

impl InboxKind {
    const ALL: [Self; 4] = [Self::Signal, Self::Cancel, Self::Child, Self::Answer];

    fn name(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Cancel => "cancel",
            Self::Child => "child",
            Self::Answer => "answer",
        }
    }
}

/// Something that comes for a run from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInboxEntry {
    /// One that waits already is not put in again.
    pub request: String,
    /// Its kind.
    pub kind: InboxKind,
    /// The signal's name.
    pub name: Option<String>,
    /// The child's step.
    pub seq: Option<u64>,
    /// JSON.
    pub payload: Option<String>,
    /// When it came, in milliseconds since 1970.
    pub at: i64,
}

/// Something that waits in a run's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Its number.
    pub id: i64,
    /// The rest.
    pub entry: NewInboxEntry,
}

/// A wait that a run is put to sleep for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Its status meanwhile.
    pub status: WorkflowStatus,
    /// When it goes on; `None` if something from outside has to come.
    pub wake_at: Option<i64>,
    /// Steps that it has asked for.
    pub asked: u64,
    /// The state that it has published, with its version.
    pub state: Option<(String, u32)>,
}

/// The result of putting a run to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something has come: it stays in memory.
    Held,
    /// It sleeps.
    Asleep,
}

/// The run that continues another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The run.
    pub run: Box<NewRun>,
    /// The signals that the other one did not take, with their payloads.
    pub signals: Vec<(String, Vec<u8>)>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its status.
    pub status: WorkflowStatus,
    /// Its output, JSON.
    pub output: Option<String>,
    /// The kind of failure.
    pub error_code: Option<String>,
    /// The failure.
    pub error: Option<String>,
    /// The state that it has published last, with its version.
    pub state: Option<(String, u32)>,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The run that continues it.
    pub continued: Option<Continuation>,
    /// The answer of the parent's step.
    pub answer: String,
}

/// The other runs that the end of a run concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndEffects {
    /// Runs for which something came.
    pub woken: Vec<RunKey>,
    /// Children that were ended with it, and theirs.
    pub terminated: Vec<RunRow>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of these roles; of all when `None`.
    pub roles: Option<Vec<String>>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// With this workflow id.
    pub workflow_id: Option<String>,
    /// With one of these statuses; any when empty.
    pub statuses: Vec<WorkflowStatus>,
    /// Older than the run with this key.
    pub before: Option<RunKey>,
    /// At most so many.
    pub limit: u64,
}

/// A part of what there is. Besides a limit by number it has one by bytes, so that no page of large inputs or answers
/// fills the memory; the first item is there whatever its size.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// True if others follow.
    pub has_more: bool,
}

/// The bytes of texts that a page has, more or less.
const PAGE_BYTES: usize = 4 << 20;

/// Reads items up to a number and a sum of bytes.
fn read_page<T>(
    rows: &mut Rows<'_>,
    limit: u64,
    most_bytes: usize,
    mut read: impl FnMut(&Row<'_>, &[T]) -> Result<(T, usize)>,
) -> Result<Page<T>> {
    let mut items = Vec::new();
    let mut sum = 0_usize;
    while let Some(row) = rows.next()? {
        let (item, size) = read(row, &items)?;
        sum = sum.saturating_add(size);
        let is_full = items.len() as u64 == limit || (sum > most_bytes && !items.is_empty());
        if is_full {
            return Ok(Page {
                items,
                has_more: true,
            });
        }
        items.push(item);
    }
    Ok(Page {
        items,
        has_more: false,
    })
}

/// A checksum over the parts of a row.
struct Checksum(crc32fast::Hasher);

impl Checksum {
    fn new() -> Self {
        Self(crc32fast::Hasher::new())
    }

    fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.part(b"-").part(b""),
            Some(bytes) => self.part(b"+").part(bytes),
        }
    }

    fn number(self, number: i64) -> Self {
        self.part(&number.to_le_bytes())
    }

    fn finish(self) -> u32 {
        self.0.finalize()
    }
}

fn run_checksum(
    run_id: &str,
    workflow: &str,
    input: &str,
    state_before: Option<&str>,
    seed: &[u8],
    begun_at: i64,
) -> u32 {
    Checksum::new()
        .part(run_id.as_bytes())
        .part(workflow.as_bytes())
        .part(input.as_bytes())
        .optional(state_before.map(str::as_bytes))
        .part(seed)
        .number(begun_at)
        .finish()
}

fn read_run(row: &Row<'_>) -> Result<RunRow> {
    let status: String = row.get(11)?;
    let run_id: String = row.get(4)?;
    let status = STATUSES
        .into_iter()
        .find(|known| status_name(*known) == status)
        .ok_or_else(|| {
            StoreFailure::Damaged(format!(
                "run {run_id} has the status `{status}`: its row is damaged"
            ))
        })?;
    let parent: Option<RunKey> = row.get(17)?;
    let parent_seq: Option<u64> = row.get(18)?;
    let run = RunRow {
        key: row.get(0)?,
        role: row.get(1)?,
        workflow: row.get(2)?,
        workflow_id: row.get(3)?,
        run_id,
        digest: row.get(5)?,
        configuration: row.get(6)?,
        input: row.get(7)?,
        state_before: row.get(8)?,
        seed: row.get(9)?,
        begun_at: row.get(10)?,
        status,
        wake_at: row.get(12)?,
        asked: row.get(13)?,
        state: row.get(14)?,
        state_version: row.get(15)?,
        restarts: row.get(16)?,
        parent: parent.zip(parent_seq),
        continued_from: row.get(19)?,
        continued_to: row.get(20)?,
        output: row.get(21)?,
        error_code: row.get(22)?,
        error: row.get(23)?,
        ended_at: row.get(24)?,
        client: row.get(26)?,
        started_by: row.get(27)?,
    };
    Ok(run)
}

/// A run whose row is as it was written.
fn read_sound_run(row: &Row<'_>) -> Result<RunRow> {
    let run = read_run(row)?;
    let checksum: u32 = row.get(25)?;
    let expected = run_checksum(
        &run.run_id,
        &run.workflow,
        &run.input,
        run.state_before.as_deref(),
        &run.seed,
        run.begun_at,
    );
    match checksum == expected {
        true => Ok(run),
        false => Err(StoreFailure::Damaged(format!(
            "the row of run {} in the state file is damaged: its checksum is wrong",
            run.run_id
        ))),
    }
}

fn one_run(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<RunRow>> {
    let sql = format!("SELECT {COLUMNS} FROM run WHERE {condition} LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters)?;
    match rows.next()? {
        Some(row) => read_sound_run(row).map(Some),
        None => Ok(None),
    }
}

/// The run with this run id.
pub fn run(connection: &Connection, run_id: &str) -> Result<Option<RunRow>> {
    one_run(connection, "run_id = ?1", [run_id])
}

/// The newest run of a workflow's id.
pub fn newest(connection: &Connection, role: &str, workflow_id: &str) -> Result<Option<RunRow>> {
    one_run(
        connection,
        "role = ?1 AND workflow_id = ?2 ORDER BY id DESC",
        [role, workflow_id],
    )
}

/// The roles that have, or had, a run with this workflow id.
pub fn owners(connection: &Connection, workflow_id: &str) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT role FROM run WHERE workflow_id = ?1")?;
    let rows = statement.query_map([workflow_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Starts a run, unless one of its workflow with its id is open.
pub fn start(connection: &Connection, run: &NewRun) -> Result<Started> {
    let open = one_run(
        connection,
        "role = ?1 AND workflow_id = ?2 AND ended_at IS NULL",
        [&run.role, &run.workflow_id],
    )?;
    match open {
        Some(open) if open.workflow == run.workflow => return Ok(Started::Open(open)),
        Some(open) => {
            return Err(StoreFailure::refused(
                ErrorCode::Conflict,
                format!(
                    "the open run of the id `{}` is one of workflow `{}`, not of `{}`: choose another id",
                    run.workflow_id, open.workflow, run.workflow
                ),
            ));
        }
        None => {}
    }
    let namesake: Option<String> = connection
        .prepare_cached("SELECT workflow_id FROM run WHERE run_id = ?1")?
        .query_row([&run.workflow_id], |row| row.get(0))
        .optional()?;
    // A run that was started without an id has its run id for one. One that continues another keeps its id.
    let is_taken = namesake.is_some_and(|workflow_id| workflow_id != run.workflow_id);
    if is_taken && run.continued_from.is_none() {
        return Err(StoreFailure::refused(
            ErrorCode::Conflict,
            format!(
                "`{}` is the id of a run: choose another id for the workflow",
                run.workflow_id
            ),
        ));
    }
    let checksum = run_checksum(
        &run.run_id,
        &run.workflow,
        &run.input,
        run.state_before.as_deref(),
        &run.seed,
        run.at,
    );
    let (parent, parent_seq) = run.parent.unzip();
    connection
        .prepare_cached(
            "INSERT INTO run (role, workflow, workflow_id, run_id, digest, configuration, input, state_before,
                seed, begun_at, status, wake_at, state_version, parent, parent_seq, on_parent_end,
                continued_from, checksum, client, started_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'running', ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            run.role,
            run.workflow,
            run.workflow_id,
            run.run_id,
            run.digest,
            run.configuration,
            in_row(&run.input),
            run.state_before.as_deref().map(in_row),
            run.seed,
            run.at,
            run.wake_at,
            run.state_version,
            parent,
            parent_seq,
            on_parent_end_name(run.on_parent_end),
            run.continued_from,
            checksum,
            run.client,
            run.started_by,
        ])?;
    let key = connection.last_insert_rowid();
    keep_text(connection, key, Part::Input, &run.input)?;
    if let Some(state) = &run.state_before {
        keep_text(connection, key, Part::StateBefore, state)?;
    }
    Ok(Started::New(RunRow {
        key,
        role: run.role.clone(),
        workflow: run.workflow.clone(),
        workflow_id: run.workflow_id.clone(),
        run_id: run.run_id.clone(),
        digest: run.digest.clone(),
        configuration: run.configuration.clone(),
        input: run.input.clone(),
        state_before: run.state_before.clone(),
        seed: run.seed.to_vec(),
        begun_at: run.at,
        status: WorkflowStatus::Running,
        wake_at: Some(run.wake_at),
        asked: 0,
        state: None,
        state_version: run.state_version,
        restarts: 0,
        parent: run.parent,
        continued_from: run.continued_from.clone(),
        continued_to: None,
        output: None,
        error_code: None,
        error: None,
        ended_at: None,
        client: run.client.clone(),
        started_by: run.started_by.clone(),
    }))
}

/// The runs that fit a filter, newest first. A damaged row is listed as it is.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Page<RunRow>> {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut one_of = |column: &str, among: Vec<String>| {
        let marks = vec!["?"; among.len()].join(", ");
        conditions.push(format!("{column} IN ({marks})"));
        values.extend(among.into_iter().map(Value::from));
    };
    if let Some(roles) = &filter.roles {
        one_of("role", roles.clone());
    }
    if let Some(workflow) = &filter.workflow {
        one_of("workflow", vec![workflow.clone()]);
    }
    if let Some(workflow_id) = &filter.workflow_id {
        one_of("workflow_id", vec![workflow_id.clone()]);
    }
    if !filter.statuses.is_empty() {
        let names = filter.statuses.iter().map(|status| status_name(*status));
        one_of("status", names.map(str::to_owned).collect());
    }
    if let Some(before) = filter.before {
        conditions.push("id < ?".to_owned());
        values.push(before.into());
    }
    values.push(one_more(filter.limit).into());
    let sql = format!(
        "SELECT {COLUMNS} FROM run WHERE {} ORDER BY id DESC LIMIT ?",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    read_page(&mut rows, filter.limit, PAGE_BYTES, |row, _| {
        let run = read_run(row)?;
        let texts = [&run.state_before, &run.state, &run.output, &run.error];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let size = run.input.len() + texts;
        Ok((run, size))
    })
}

/// The rows to ask for of a page: the one behind it shows that there is another.
fn one_more(limit: u64) -> i64 {
    i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
}

fn event_checksum(run: RunKey, event: &EventRow<'_>) -> u32 {
    Checksum::new()
        .number(run)
        .number(event.position.cast_signed())
        .number(event.at)
        .part(event.kind.as_bytes())
        .number(event.seq.map_or(-1, u64::cast_signed))
        .optional(event.name.map(str::as_bytes))
        .optional(event.hash.map(str::as_bytes))
        .optional(event.request)
        .optional(event.answer)
        .number(event.attempt.into())
        .number(event.next_at.unwrap_or_default())
        .finish()
}

/// An event as columns.
struct EventRow<'a> {
    position: u64,
    at: i64,
    kind: &'static str,
    seq: Option<u64>,
    name: Option<&'a str>,
    hash: Option<&'a str>,
    request: Option<&'a [u8]>,
    answer: Option<&'a [u8]>,
    attempt: u32,
    next_at: Option<i64>,
}

/// The kinds of events in the file.
const ASKED: &str = "asked";
const ATTEMPT: &str = "attempt";
const DONE: &str = "done";
const FIRED: &str = "fired";
const SIGNAL: &str = "signal";
const CANCEL: &str = "cancel";
const PATCHED: &str = "patched";
const KINDS: [&str; 7] = [ASKED, ATTEMPT, DONE, FIRED, SIGNAL, CANCEL, PATCHED];

impl<'a> EventRow<'a> {
    fn of(event: &'a Event) -> Self {
        let mut row = Self {
            position: event.position,
            at: event.at,
            kind: CANCEL,
            seq: None,
            name: None,
            hash: None,
            request: None,
            answer: None,
            attempt: 0,
            next_at: None,
        };
        let asks = |row: &mut Self, request: &'a Request| {
            row.seq = Some(request.seq);
            row.name = Some(&request.effect);
            row.hash = Some(request.hash.as_str());
            row.request = Some(&request.request);
        };
        match &event.body {
            EventBody::Asked(request) => {
                row.kind = ASKED;
                asks(&mut row, request);
            }
            EventBody::Attempt {
                seq,
                attempt,
                answer,
                next_at,
            } => {
                row.kind = ATTEMPT;
                row.seq = Some(*seq);
                row.attempt = *attempt;
                row.answer = Some(answer);
                row.next_at = Some(*next_at);
            }
            EventBody::Done {
                seq,
                attempt,
                answer,
                request,
            } => {
                row.kind = DONE;
                if let Some(request) = request {
                    asks(&mut row, request);
                }
                row.seq = Some(*seq);
                row.attempt = *attempt;
                row.answer = Some(answer);
            }
            EventBody::Fired { seq, since } => {
                row.kind = FIRED;
                row.seq = Some(*seq);
                row.next_at = *since;
            }
            EventBody::Signaled { name, payload } => {
                row.kind = SIGNAL;
                row.name = Some(name);
                row.answer = Some(payload);
            }
            EventBody::CancelRequested => {}
            EventBody::Patched { id } => {
                row.kind = PATCHED;
                row.name = Some(id);
            }
        }
        row
    }
}

/// Appends to a run's history.
pub fn insert_events(connection: &Connection, run: RunKey, events: &[Event]) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO event (run, position, at, kind, seq, name, hash, request, answer, attempt, next_at, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for event in events {
        let row = EventRow::of(event);
        statement.execute(params![
            run,
            row.position,
            row.at,
            row.kind,
            row.seq,
            row.name,
            row.hash,
            row.request,
            row.answer,
            row.attempt,
            row.next_at,
            event_checksum(run, &row),
        ])?;
    }
    Ok(())
}

/// A part of a run's history.
pub fn history(connection: &Connection, run: RunKey, from: u64, limit: u64) -> Result<Vec<Event>> {
    Ok(events(connection, run, from, limit, usize::MAX)?.items)
}

/// A part of a run's history, to be shown.
pub fn history_page(
    connection: &Connection,
    run: RunKey,
    from: u64,
    limit: u64,
) -> Result<Page<Event>> {
    events(connection, run, from, limit, PAGE_BYTES)
}

fn events(
    connection: &Connection,
    run: RunKey,
    from: u64,
    limit: u64,
    most_bytes: usize,
) -> Result<Page<Event>> {
    let mut statement = connection.prepare_cached(
        "SELECT position, at, kind, seq, name, hash, request, answer, attempt, next_at, checksum
         FROM event WHERE run = ?1 AND position >= ?2 ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query(params![run, from, one_more(limit)])?;
    read_page(&mut rows, limit, most_bytes, |row, before: &[Event]| {
        let position: u64 = row.get(0)?;
        let expected = before.last().map_or(from, |last| last.position + 1);
        if position != expected {
            return Err(StoreFailure::Damaged(format!(
                "entry {expected} of its history is missing in the state file"
            )));
        }
        let event = read_event(run, row).map_err(|error| match error {
            StoreFailure::Damaged(reason) => StoreFailure::Damaged(format!(
                "entry {position} of its history in the state file is damaged: {reason}"
            )),
            error => error,
        })?;
        let size = |column| {
            row.get_ref(column)
                .map(|text| text.as_bytes().map_or(0, <[u8]>::len))
        };
        Ok((event, size(6)? + size(7)?))
    })
}

fn read_event(run: RunKey, row: &Row<'_>) -> Result<Event> {
    let damaged = |reason: &str| StoreFailure::Damaged(reason.to_owned());
    let of_type = |_| damaged("a column is of another type");
    let kind: String = row.get(2).map_err(of_type)?;
    let name: Option<String> = row.get(4).map_err(of_type)?;
    let hash: Option<String> = row.get(5).map_err(of_type)?;
    let request: Option<Vec<u8>> = row.get(6).map_err(of_type)?;
    let answer: Option<Vec<u8>> = row.get(7).map_err(of_type)?;
    let columns = EventRow {
        position: row.get(0).map_err(of_type)?,
        at: row.get(1).map_err(of_type)?,
        kind: KINDS
            .into_iter()
            .find(|known| *known == kind)
            .ok_or_else(|| damaged("it is of no known kind"))?,
        seq: row.get(3).map_err(of_type)?,
        name: name.as_deref(),
        hash: hash.as_deref(),
        request: request.as_deref(),
        answer: answer.as_deref(),
        attempt: row.get(8).map_err(of_type)?,
        next_at: row.get(9).map_err(of_type)?,
    };
    let checksum: u32 = row.get(10).map_err(of_type)?;
    if checksum != event_checksum(run, &columns) {
        return Err(damaged("its checksum is wrong"));
    }
    let EventRow {
        position,
        at,
        kind,
        seq,
        attempt,
        next_at,
        ..
    } = columns;
    let lacks = || damaged("a column is empty");
    let seq_of = || seq.ok_or_else(lacks);
    let request_of = || {
        Ok::<_, StoreFailure>(Request {
            seq: seq.ok_or_else(lacks)?,
            effect: name.clone().ok_or_else(lacks)?,
            hash: RequestHash::from_text(hash.clone().ok_or_else(lacks)?),
            request: request.clone().ok_or_else(lacks)?,
        })
    };
    let body = match kind {
        ASKED => EventBody::Asked(request_of()?),
        ATTEMPT => EventBody::Attempt {
            seq: seq_of()?,
            attempt,
            answer: answer.ok_or_else(lacks)?,
            next_at: next_at.ok_or_else(lacks)?,
        },
        DONE => EventBody::Done {
            seq: seq_of()?,
            attempt,
            request: name.is_some().then(request_of).transpose()?,
            answer: answer.ok_or_else(lacks)?,
        },
        FIRED => EventBody::Fired {
            seq: seq_of()?,
            since: next_at,
        },
        SIGNAL => EventBody::Signaled {
            name: name.ok_or_else(lacks)?,
            payload: answer.ok_or_else(lacks)?,
        },
        PATCHED => EventBody::Patched {
            id: name.ok_or_else(lacks)?,
        },
        _ => EventBody::CancelRequested,
    };
    Ok(Event { position, at, body })
}

/// Takes the entries of a history from a position on away: for a repair.
pub fn truncate(connection: &Connection, run: RunKey, from: u64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM event WHERE run = ?1 AND position >= ?2")?
        .execute(params![run, from])?;
    Ok(())
}

/// Puts something into a run's inbox, and says if the run is asleep; `false` if it was there already.
pub fn post(connection: &Connection, run: RunKey, entry: &NewInboxEntry) -> Result<bool> {
    let open: Option<Option<i64>> = connection
        .prepare_cached("SELECT ended_at FROM run WHERE id = ?1")?
        .query_row([run], |row| row.get(0))
        .optional()?;
    if open != Some(None) {
        return Err(StoreFailure::refused(
            ErrorCode::NotFound,
            "the run has ended",
        ));
    }
    if entry.kind == InboxKind::Signal {
        let waiting: u64 = connection
            .prepare_cached("SELECT count(*) FROM inbox WHERE run = ?1")?
            .query_row([run], |row| row.get(0))?;
        if waiting >= MOST_SIGNALS {
            return Err(StoreFailure::refused(
                ErrorCode::LimitExceeded,
                format!(
                    "{MOST_SIGNALS} signals wait for this run already; send the next ones later"
                ),
            ));
        }
    }
    let inserted = connection
        .prepare_cached(
            "INSERT INTO inbox (run, request, kind, name, seq, payload, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (run, request) DO NOTHING",
        )?
        .execute(params![
            run,
            entry.request,
            entry.kind.name(),
            entry.name,
            entry.seq,
            entry.payload,
            entry.at
        ])?;
    // A run that no host holds is due now.
    connection
        .prepare_cached(
            "UPDATE run SET wake_at = 0 WHERE id = ?1 AND wake_at IS NOT ?2 AND status <> 'stuck'",
        )?
        .execute(params![run, HELD])?;
    Ok(inserted > 0)
}

/// Puts a signal into a run's inbox, unless one of the same request has come since the run began, or those that it
/// continues; `false` if it has.
pub fn post_signal_once(
    connection: &Connection,
    run: RunKey,
    entry: &NewInboxEntry,
) -> Result<bool> {
    let is_known: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM signal_request WHERE run = ?1 AND request = ?2)",
        )?
        .query_row(params![run, entry.request], |row| row.get(0))?;
    if is_known || !post(connection, run, entry)? {
        return Ok(false);
    }
    let latest: Option<u64> = connection
        .prepare_cached("SELECT max(nth) FROM signal_request WHERE run = ?1")?
        .query_row([run], |row| row.get(0))?;
    let nth = latest.map_or(0, |latest| latest + 1);
    connection
        .prepare_cached("INSERT INTO signal_request (run, nth, request) VALUES (?1, ?2, ?3)")?
        .execute(params![run, nth, entry.request])?;
    if let Some(oldest) = nth.checked_sub(SIGNAL_REQUESTS) {
        connection
            .prepare_cached("DELETE FROM signal_request WHERE run = ?1 AND nth <= ?2")?
            .execute(params![run, oldest])?;
    }
    Ok(true)
}

/// The entries of a run's inbox, oldest first.
pub fn inbox(connection: &Connection, run: RunKey) -> Result<Vec<InboxEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, request, kind, name, seq, payload, at FROM inbox WHERE run = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([run])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(2)?;
        let kind = InboxKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| StoreFailure::Damaged(format!("an entry of its inbox is a `{kind}`")))?;
        entries.push(InboxEntry {
            id: row.get(0)?,
            entry: NewInboxEntry {
                request: row.get(1)?,
                kind,
                name: row.get(3)?,
                seq: row.get(4)?,
                payload: row.get(5)?,
                at: row.get(6)?,
            },
        });
    }
    Ok(entries)
}

/// Takes entries out of a run's inbox: what they say is in the events that go with it.
pub fn take_inbox(
    connection: &Connection,
    run: RunKey,
    until: i64,
    events: &[Event],
) -> Result<()> {
    insert_events(connection, run, events)?;
    connection
        .prepare_cached("DELETE FROM inbox WHERE run = ?1 AND id <= ?2")?
        .execute(params![run, until])?;
    Ok(())
}

/// Marks runs as held, those that are due first; returns them. A damaged row becomes stuck and is left out.
pub fn hold_due(connection: &Connection, now: i64, limit: u64) -> Result<Vec<RunRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM run WHERE ended_at IS NULL AND wake_at >= 0 AND wake_at <= ?1 ORDER BY wake_at LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![now, limit])?;
    let (mut due, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match read_sound_run(row) {
            Ok(run) => due.push(run),
            Err(StoreFailure::Damaged(reason)) => damaged.push((row.get(0)?, reason)),
            Err(error) => return Err(error),
        }
    }
    drop(rows);
    for (run, reason) in damaged {
        stick(connection, run, "damaged", &reason, None)?;
    }
    for run in &due {
        wake(connection, run.key)?;
    }
    Ok(due)
}

/// Marks a run as held by this host.
pub fn wake(connection: &Connection, run: RunKey) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET wake_at = ?2, status = 'running' WHERE id = ?1")?
        .execute(params![run, HELD])?;
    Ok(())
}

/// When the next run is due that no host holds.
pub fn next_due(connection: &Connection) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached(
            "SELECT wake_at FROM run WHERE ended_at IS NULL AND wake_at >= 0 ORDER BY wake_at LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Puts a run to sleep, unless something has come for it: then it says so and the run stays held.
pub fn pause(connection: &Connection, run: RunKey, pause: &Pause) -> Result<Wake> {
    publish(connection, run, pause.state.as_ref())?;
    let has_inbox: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM inbox WHERE run = ?1)")?
        .query_row([run], |row| row.get(0))?;
    if has_inbox {
        return Ok(Wake::Held);
    }
    connection
        .prepare_cached(
            "UPDATE run SET status = ?2, wake_at = ?3, asked = max(asked, ?4), restarts = 0
             WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![
            run,
            status_name(pause.status),
            pause.wake_at,
            pause.asked
        ])?;
    Ok(Wake::Asleep)
}

fn publish(connection: &Connection, run: RunKey, state: Option<&(String, u32)>) -> Result<()> {
    if let Some((state, version)) = state {
        keep_text(connection, run, Part::State, state)?;
        // A state that is as it was costs no write.
        connection
            .prepare_cached(
                "UPDATE run SET state = ?2, state_version = ?3
                 WHERE id = ?1 AND (state IS NOT ?2 OR state_version IS NOT ?3)",
            )?
            .execute(params![run, in_row(state), version])?;
    }
    Ok(())
}

/// Notes how often a run was started again after a trap, and when it goes on.
pub fn set_restarts(
    connection: &Connection,
    run: RunKey,
    restarts: u32,
    wake_at: i64,
    error: &str,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE run SET restarts = ?2, wake_at = ?3, error = ?4, status = 'sleeping'
             WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![run, restarts, wake_at, error])?;
    Ok(())
}

/// The reasons for which a run is stuck until its role or its plugin is back: its role is not there, or neither the
/// version that it began with nor one that fits.
pub const ROLE_GONE: &str = "role_not_found";
/// See [`ROLE_GONE`].
pub const PLUGIN_GONE: &str = "plugin_gone";

/// Lets the runs of a role go on that had no plugin to run with. Returns how many.
pub fn revive(connection: &Connection, role: &str) -> Result<usize> {
    Ok(connection
        .prepare_cached(
            "UPDATE run SET status = 'sleeping', wake_at = 0, restarts = 0, error = NULL, error_code = NULL
             WHERE role = ?1 AND status = 'stuck' AND ended_at IS NULL AND error_code IN (?2, ?3)",
        )?
        .execute([role, ROLE_GONE, PLUGIN_GONE])?)
}

/// Forgets the failure of a run that goes on.
pub fn clear_error(connection: &Connection, run: RunKey) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET error = NULL, error_code = NULL WHERE id = ?1")?
        .execute([run])?;
    Ok(())
}

/// Sets the number of steps that a run has asked for: for a repair.
pub fn set_asked(connection: &Connection, run: RunKey, asked: u64) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET asked = ?2 WHERE id = ?1")?
        .execute(params![run, asked])?;
    Ok(())
}

/// Names the run that continues an ended one elsewhere.
pub fn set_continued_to(connection: &Connection, run: RunKey, next: &str) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET continued_to = ?2 WHERE id = ?1")?
        .execute(params![run, next])?;
    Ok(())
}

/// Moves a run to another version of its plugin.
pub fn set_digest(connection: &Connection, run: RunKey, digest: &str) -> Result<()> {
    connection
        .prepare_cached("UPDATE run SET digest = ?2 WHERE id = ?1")?
        .execute(params![run, digest])?;
    Ok(())
}

/// Stops a run until an operator repairs it.
pub fn stick(
    connection: &Connection,
    run: RunKey,
    code: &str,
    reason: &str,
    asked: Option<u64>,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE run SET status = 'stuck', wake_at = NULL, error_code = ?2, error = ?3,
                asked = max(asked, ?4) WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![run, code, reason, asked.unwrap_or(0)])?;
    Ok(())
}

/// Ends a run: with it goes the answer to its parent, the fate of its children, and the run that continues it.
pub fn end(connection: &Connection, run: &RunRow, ended: &Ended) -> Result<EndEffects> {
    publish(connection, run.key, ended.state.as_ref())?;
    let next = ended.continued.as_ref().map(|next| &next.run.run_id);
    let changed = connection
        .prepare_cached(
            "UPDATE run SET status = ?2, output = ?3, error_code = ?4, error = ?5, ended_at = ?6,
                continued_to = ?7, wake_at = NULL WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![
            run.key,
            status_name(ended.status),
            ended.output,
            ended.error_code,
            ended.error,
            ended.at,
            next,
        ])?;
    if changed == 0 {
        return Err(StoreFailure::refused(
            ErrorCode::Conflict,
            "the run has ended already",
        ));
    }
    connection
        .prepare_cached("DELETE FROM question WHERE run = ?1")?
        .execute([run.key])?;
    let mut effects = EndEffects::default();
    match &ended.continued {
        Some(Continuation { run: next, signals }) => {
            let next_key = match start(connection, next)? {
                Started::New(next) | Started::Open(next) => next.key,
            };
            for (nth, (name, payload)) in signals.iter().enumerate() {
                let entry = NewInboxEntry {
                    request: format!("continued/{}/{nth}", run.key),
                    kind: InboxKind::Signal,
                    name: Some(name.clone()),
                    seq: None,
                    payload: Some(String::from_utf8_lossy(payload).into_owned()),
                    at: ended.at,
                };
                post(connection, next_key, &entry)?;
            }
            connection
                .prepare_cached("UPDATE inbox SET run = ?2 WHERE run = ?1")?
                .execute(params![run.key, next_key])?;
            connection
                .prepare_cached("UPDATE signal_request SET run = ?2 WHERE run = ?1")?
                .execute(params![run.key, next_key])?;
            // A child of the old run is one of the new run, as far as its end goes.
            connection
                .prepare_cached(
                    "UPDATE run SET parent = NULL WHERE parent = ?1 AND ended_at IS NULL",
                )?
                .execute([run.key])?;
            effects.woken.push(next_key);
        }
        None => {
            connection
                .prepare_cached("DELETE FROM inbox WHERE run = ?1")?
                .execute([run.key])?;
            connection
                .prepare_cached("DELETE FROM signal_request WHERE run = ?1")?
                .execute([run.key])?;
            end_children(connection, run, ended.at, &mut effects)?;
        }
    }
    // The last of a chain answers the parent of the first.
    if let Some((parent, seq)) = run.parent.filter(|_| ended.continued.is_none()) {
        let entry = NewInboxEntry {
            request: format!("child/{seq}"),
            kind: InboxKind::Child,
            name: None,
            seq: Some(seq),
            payload: Some(ended.answer.clone()),
            at: ended.at,
        };
        match post(connection, parent, &entry) {
            Ok(_) => effects.woken.push(parent),
            // It has ended before.
            Err(StoreFailure::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(effects)
}

fn end_children(
    connection: &Connection,
    run: &RunRow,
    at: i64,
    effects: &mut EndEffects,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, on_parent_end FROM run WHERE parent = ?1 AND ended_at IS NULL",
    )?;
    let children: Vec<(RunKey, Option<String>)> = statement
        .query_map([run.key], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (child, fate) in children {
        match fate.as_deref() {
            Some("abandon") => {}
            Some("terminate") => {
                let sql = format!("SELECT {COLUMNS} FROM run WHERE id = ?1");
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query([child])?;
                if let Some(row) = rows.next()? {
                    let row = read_run(row)?;
                    drop(rows);
                    let ended = Ended {
                        status: WorkflowStatus::Terminated,
                        output: None,
                        error_code: Some("terminated".to_owned()),
                        error: Some(format!("its parent, run {}, has ended", run.run_id)),
                        state: None,
                        at,
                        continued: None,
                        answer: String::new(),
                    };
                    let of_child = end(connection, &row, &ended)?;
                    effects.woken.extend(of_child.woken);
                    effects.terminated.extend(of_child.terminated);
                    effects.terminated.push(row);
                }
            }
            _ => {
                let entry = NewInboxEntry {
                    request: "parent".to_owned(),
                    kind: InboxKind::Cancel,
                    name: None,
                    seq: None,
                    payload: None,
                    at,
                };
                post(connection, child, &entry)?;
                effects.woken.push(child);
            }
        }
    }
    Ok(())
}

/// A step of a run that asks its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRow {
    /// The step.
    pub seq: u64,
    /// The effect's capability, such as `mcp.elicit`.
    pub effect: String,
    /// Its request, JSON.
    pub request: Vec<u8>,
    /// The questions, JSON.
    pub questions: String,
    /// The answers that have come, JSON.
    pub answers: String,
}

/// Keeps a step that asks its client.
pub fn ask(connection: &Connection, run: RunKey, question: &QuestionRow) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO question (run, seq, effect, request, questions, answers) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (run, seq) DO NOTHING",
        )?
        .execute(params![
            run,
            question.seq,
            question.effect,
            question.request,
            question.questions,
            question.answers,
        ])?;
    Ok(())
}

/// The steps of a run that ask its client, in their order.
pub fn questions(connection: &Connection, run: RunKey) -> Result<Vec<QuestionRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, effect, request, questions, answers FROM question WHERE run = ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([run], |row| {
        Ok(QuestionRow {
            seq: row.get(0)?,
            effect: row.get(1)?,
            request: row.get(2)?,
            questions: row.get(3)?,
            answers: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Keeps the answers that have come for a step that asks.
pub fn set_answers(connection: &Connection, run: RunKey, seq: u64, answers: &str) -> Result<()> {
    connection
        .prepare_cached("UPDATE question SET answers = ?3 WHERE run = ?1 AND seq = ?2")?
        .execute(params![run, seq, answers])?;
    Ok(())
}

/// Forgets the steps from one on, up to another, that ask: they are answered, or nobody waits for them.
pub fn forget_questions(
    connection: &Connection,
    run: RunKey,
    steps: std::ops::Range<u64>,
) -> Result<()> {
    let end = i64::try_from(steps.end).unwrap_or(i64::MAX);
    connection
        .prepare_cached("DELETE FROM question WHERE run = ?1 AND seq >= ?2 AND seq < ?3")?
        .execute(params![run, steps.start, end])?;
    Ok(())
}

/// The digests of plugins that open runs need, with how many need each.
pub fn open_digests(connection: &Connection) -> Result<Vec<(String, u64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT digest, count(*) FROM run WHERE ended_at IS NULL GROUP BY digest",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The numbers of open runs, by role and status.
pub fn count_open(connection: &Connection) -> Result<Vec<((String, WorkflowStatus), u64)>> {
    // By the statuses and not by `ended_at`: the index has all that is asked for.
    let open = STATUSES.into_iter().filter(|status| is_open(*status));
    let mut statement = connection
        .prepare_cached("SELECT role, count(*) FROM run WHERE status = ?1 GROUP BY role")?;
    let mut counts = Vec::new();
    for status in open {
        let mut rows = statement.query([status_name(status)])?;
        while let Some(row) = rows.next()? {
            counts.push(((row.get(0)?, status), row.get(1)?));
        }
    }
    Ok(counts)
}

/// Removes runs that have ended before this moment, with their histories; at most so many. Returns how many.
pub fn delete_before(connection: &Connection, moment: i64, limit: u64) -> Result<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT id FROM run WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2",
    )?;
    let old: Vec<RunKey> = statement
        .query_map(params![moment, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for run in &old {
        truncate(connection, *run, 0)?;
        for sql in [
            "DELETE FROM run_text WHERE run = ?1",
            "DELETE FROM run WHERE id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([run])?;
        }
    }
    Ok(old.len() as u64)
}
