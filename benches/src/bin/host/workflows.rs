//! Durable workflows: steps, replay, and runs that sleep; beside SQLite itself with the same setting.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use exomonad_benches::guests::root;
use exomonad_benches::measure::micros;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::served::{Home, Served, request};

/// Runs beside each other.
const RUNS: usize = 100;
/// Steps of each of them, and of one alone.
const STEPS: usize = 1_000;
const STEPS_ALONE: usize = 5_000;
/// Steps of the run that is replayed.
const REPLAYED: usize = 10_000;
/// Runs that sleep.
const SLEEPING: usize = 100_000;
/// Clients that start them.
const CLIENTS: usize = 32;
/// Runs that wake, and runs that are busy meanwhile.
const WAKING: usize = 1_000;
const LOADING: usize = 20;
/// Bytes of a row in the raw database: those of an entry of a `kv.set`.
const ROW: usize = 220;

/// Prints the tables.
pub fn report() -> Result<(), String> {
    let config =
        "[role.flows]\nplugin = \"workflows\"\neffects = [\"kv.*\", \"clock.*\", \"workflow.*\"]\n";
    let home = Home::new(config)?;
    let plugin =
        fs::read(root().join("plugins/dist/workflows.wasm")).map_err(|error| error.to_string())?;
    fs::write(home.plugin("workflows.wasm"), plugin).map_err(|error| error.to_string())?;
    let host = home.serve()?;
    println!("## Durable workflows\n\nEach step is on disk (`synchronous=FULL`).\n");
    println!("| | steps a second | of SQLite's |\n|---|--:|--:|");
    for (runs, steps) in [(RUNS, STEPS), (1, STEPS_ALONE)] {
        for kind in ["read", "kv"] {
            let raw = raw_sqlite(runs, kind == "kv")?;
            let took = run_all(&host, kind, runs, steps)?;
            let rate = (runs * steps) as f64 / took.as_secs_f64();
            let runs = match runs {
                1 => "one run".to_owned(),
                many => format!("{many} runs"),
            };
            println!("| {runs}, `{kind}` | {rate:.0} | {:.2} |", rate / raw);
        }
    }
    let history = json!({"count": REPLAYED, "kind": "read"});
    println!("\n| | time |\n|---|--:|");
    let replay = replay(&home, host, &history)?;
    println!(
        "| a run of {REPLAYED} steps goes on after a restart | {} |",
        micros(replay)
    );
    sleeping(&home)
}

/// Starts runs of `steps`, and waits until all have ended.
fn run_all(host: &Served, kind: &str, runs: usize, steps: usize) -> Result<Duration, String> {
    let begin = Instant::now();
    for nth in 0..runs {
        let id = format!("{kind}/{runs}/{nth}");
        start(host, "steps", &id, &json!({"count": steps, "kind": kind}))?;
    }
    loop {
        let running = get(host, "/workflows?workflow=steps&status=running&limit=1")?;
        if running["runs"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begin.elapsed();
    for nth in 0..runs {
        let run = get(host, &format!("/workflows/{kind}%2F{runs}%2F{nth}"))?;
        if run["status"] != "completed" {
            return Err(format!("a run has not completed: {run}"));
        }
    }
    Ok(took)
}

/// Steps a second of SQLite alone: the rows of an entry, and of the key-value store if it is a write, in
/// transactions of as many as runs are beside each other.
fn raw_sqlite(group: usize, writes: bool) -> Result<f64, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let connection = Connection::open(folder.path().join("raw.sqlite3")).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE event (run INTEGER, position INTEGER, body BLOB, PRIMARY KEY (run, position)) WITHOUT ROWID;
             CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;",
        )
        .map_err(failed)?;
    let rows = if group == 1 { 3_000 } else { 100_000 };
    let body = vec![b'x'; ROW];
    let begin = Instant::now();
    for first in (0..rows).step_by(group) {
        connection.execute_batch("BEGIN").map_err(failed)?;
        for nth in first..first + group {
            connection
                .prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute((nth % group, nth / group, &body)))
                .map_err(failed)?;
            if writes {
                connection
                    .prepare_cached(
                        "INSERT INTO entry VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
                    )
                    .and_then(|mut upsert| {
                        upsert.execute((format!("steps/{}", nth % group), nth.to_string()))
                    })
                    .map_err(failed)?;
            }
        }
        connection.execute_batch("COMMIT").map_err(failed)?;
    }
    Ok(rows as f64 / begin.elapsed().as_secs_f64())
}

/// The time that a host takes from its start until a run with a long history has gone on.
fn replay(home: &Home, host: Served, history: &Value) -> Result<Duration, String> {
    start(&host, "steps", "replayed", history)?;
    // Killed in the midst of it.
    loop {
        let entries = get(
            &host,
            &format!(
                "/workflows/replayed/history?from={}&limit=1",
                REPLAYED - 500
            ),
        )?;
        if entries["entries"]
            .as_array()
            .is_some_and(|entries| !entries.is_empty())
        {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(host);
    let begin = Instant::now();
    let host = home.serve()?;
    let started = begin.elapsed();
    while get(&host, "/workflows/replayed")?["status"] != "completed" {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(begin.elapsed().saturating_sub(started))
}

fn sleeping(home: &Home) -> Result<(), String> {
    let host = home.serve()?;
    let begin = Instant::now();
    let day = |_| 86_400_000;
    start_sleepers(&host, "sleeper", SLEEPING, day)?;
    while !get(&host, "/workflows?workflow=sleeper&status=running&limit=1")?["runs"]
        .as_array()
        .is_some_and(Vec::is_empty)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let rate = SLEEPING as f64 / begin.elapsed().as_secs_f64();
    println!("| start and put to sleep {SLEEPING} runs | {rate:.0} a second |");
    drop(host);
    let host = home.serve()?;
    println!(
        "| start of the host with {SLEEPING} runs asleep | {} |",
        micros(host.until_ready)
    );
    std::thread::sleep(Duration::from_secs(2));
    println!("| its resident memory | {} MiB |", host.resident_mib());
    late(&host)
}

/// The time between a run's moment and its end, while others make steps as fast as they can.
fn late(host: &Served) -> Result<(), String> {
    for nth in 0..LOADING {
        let input = json!({"count": STEPS * 9, "kind": "read"});
        start(host, "steps", &format!("loading/{nth}"), &input)?;
    }
    // Asleep before the first wakes, and then one each few milliseconds.
    let millis = |nth| 4_000 + 3 * nth as u64;
    start_sleepers(host, "waking", WAKING, millis)?;
    std::thread::sleep(Duration::from_millis(millis(WAKING)));
    let mut late = Vec::with_capacity(WAKING);
    for nth in 0..WAKING {
        let run = loop {
            let run = get(host, &format!("/workflows/waking%2F{nth}"))?;
            if run["status"] == "completed" {
                break run;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let time = |key: &str| run[key].as_u64().unwrap_or(0);
        let took = time("endedUnixMillis").saturating_sub(time("beganUnixMillis"));
        late.push(took.saturating_sub(millis(nth)));
    }
    late.sort_unstable();
    let at = |share: f64| late[((WAKING - 1) as f64 * share) as usize];
    println!(
        "| {WAKING} runs wake beside {LOADING} busy ones: late by, p50 / p99 | {} / {} ms |\n",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

/// Starts runs that sleep for so long, from several clients at once.
fn start_sleepers(
    host: &Served,
    name: &str,
    count: usize,
    millis: impl Fn(usize) -> u64 + Sync,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let (next, millis) = (&next, &millis);
    std::thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|_| {
            scope.spawn(move || {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= count {
                        return Ok(());
                    }
                    let input = json!({"millis": millis(nth)});
                    start(host, "sleeper", &format!("{name}/{nth}"), &input)?;
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
    })
}

fn start(host: &Served, workflow: &str, id: &str, input: &Value) -> Result<(), String> {
    let body = json!({"role": "flows", "workflow": workflow, "workflowId": id, "input": input});
    let answer = request(&host.address, "POST", "/workflows", &body.to_string())
        .ok_or("the host does not answer")?;
    match answer.starts_with("HTTP/1.1 201") {
        true => Ok(()),
        false => Err(answer),
    }
}

fn get(host: &Served, path: &str) -> Result<Value, String> {
    let answer = request(&host.address, "GET", path, "").ok_or("the host does not answer")?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    serde_json::from_str(body).map_err(|error| format!("{error}: {answer}"))
}
