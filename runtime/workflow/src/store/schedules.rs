//! The rows of schedules.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreFailure;

type Result<T> = std::result::Result<T, StoreFailure>;

/// A schedule as it is kept. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its id, one of its role's.
    pub id: String,
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The input of its runs, JSON.
    pub input: String,
    /// Its times, as [`Spec`](crate::schedule::Spec) reads them.
    pub spec: String,
    /// The name of its [`Overlap`](crate::schedule::Overlap).
    pub overlap: String,
    /// How old a time may be that passed while no host ran, in milliseconds.
    pub catch_up: i64,
    /// True if it starts nothing for now.
    pub paused: bool,
    /// Its next time.
    pub next_at: Option<i64>,
    /// When the host looks at it next.
    pub due_at: Option<i64>,
    /// The time of a run that begins when the one before it has ended.
    pub waiting_at: Option<i64>,
    /// The time of the run that was started last.
    pub last_at: Option<i64>,
    /// The workflow id of that run.
    pub last_id: Option<String>,
    /// Why the latest time has started no run.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// Another number with each change: [`set_schedule`] counts it.
    pub revision: i64,
}

const COLUMNS: &str = "id, role, workflow, input, spec, overlap, catch_up, paused, next_at, due_at, waiting_at, \
    last_at, last_id, note, created_at, revision";

fn read(row: &Row<'_>) -> rusqlite::Result<ScheduleRow> {
    Ok(ScheduleRow {
        id: row.get(0)?,
        role: row.get(1)?,
        workflow: row.get(2)?,
        input: row.get(3)?,
        spec: row.get(4)?,
        overlap: row.get(5)?,
        catch_up: row.get(6)?,
        paused: row.get(7)?,
        next_at: row.get(8)?,
        due_at: row.get(9)?,
        waiting_at: row.get(10)?,
        last_at: row.get(11)?,
        last_id: row.get(12)?,
        note: row.get(13)?,
        created_at: row.get(14)?,
        revision: row.get(15)?,
    })
}

/// The schedules of a role, or of all, by their ids.
pub fn schedules(connection: &Connection, role: Option<&str>) -> Result<Vec<ScheduleRow>> {
    let sql =
        format!("SELECT {COLUMNS} FROM schedule WHERE ?1 IS NULL OR role = ?1 ORDER BY role, id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([role], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The schedule of this id.
pub fn schedule(connection: &Connection, role: &str, id: &str) -> Result<Option<ScheduleRow>> {
    let sql = format!("SELECT {COLUMNS} FROM schedule WHERE role = ?1 AND id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([role, id], read).optional()?)
}

/// The number of a role's schedules.
pub fn count_schedules(connection: &Connection, role: &str) -> Result<u64> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM schedule WHERE role = ?1")?
        .query_row([role], |row| row.get(0))?)
}

/// The schedules that are due, those that wait for longest first.
pub fn due_schedules(connection: &Connection, now: i64, limit: u64) -> Result<Vec<ScheduleRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM schedule WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![now, limit], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// When the next schedule is due.
pub fn next_due_schedule(connection: &Connection) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached(
            "SELECT due_at FROM schedule WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Writes a schedule, in the place of the one with its id. It gets the next revision.
pub fn set_schedule(connection: &Connection, schedule: &ScheduleRow) -> Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO schedule ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16 + 1)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        schedule.id,
        schedule.role,
        schedule.workflow,
        schedule.input,
        schedule.spec,
        schedule.overlap,
        schedule.catch_up,
        schedule.paused,
        schedule.next_at,
        schedule.due_at,
        schedule.waiting_at,
        schedule.last_at,
        schedule.last_id,
        schedule.note,
        schedule.created_at,
        schedule.revision,
    ])?;
    Ok(())
}

/// Removes a schedule; false if there is none.
pub fn delete_schedule(connection: &Connection, role: &str, id: &str) -> Result<bool> {
    let removed = connection
        .prepare_cached("DELETE FROM schedule WHERE role = ?1 AND id = ?2")?
        .execute([role, id])?;
    Ok(removed > 0)
}
