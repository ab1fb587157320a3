//! Durable workflows and what goes wrong: killed hosts, traps, changed plugins, a damaged file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use exomonad_test_support::{Host, Project, Response, eventually, required_or_skip};
use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::fake_clock;
use crate::workflows::{
    EFFECTS, act, becomes, flows, history, output, plugin, run, signal, start, try_start,
};

/// Kills a host, as a power cut does, and serves again.
async fn killed(project: &Project, mut host: Host) -> Host {
    host.signal(libc::SIGKILL);
    host.end().await;
    project.serve().await
}

#[tokio::test]
async fn a_run_goes_on_where_its_host_was_killed() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "sleeper", "sleeps", json!({"millis": 1500})).await;
    start(&host, "wait_for", "waits", json!({"signal": "go"})).await;
    start(
        &host,
        "steps",
        "works",
        json!({"count": 3000, "kind": "kv"}),
    )
    .await;
    eventually("some steps", async || {
        (history(&host, "works").await.len() > 50).then_some(())
    })
    .await;
    let host = killed(&project, host).await;
    signal(&host, "waits", "go", json!(7)).await;
    assert_eq!(output(&host, "waits").await["payload"], 7);
    output(&host, "sleeps").await;
    assert_eq!(output(&host, "works").await, json!({"count": 3000}));
    // Each write is there once, and none twice.
    let answer = host
        .get("/workflows/works/history?from=2500&limit=1000")
        .await
        .json();
    let entries = answer["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 500, "{answer}");
    for (nth, entry) in entries.iter().enumerate() {
        assert_eq!(entry["step"], 2500 + nth);
        assert_eq!(entry["request"]["json"]["value"], 2501 + nth);
    }
}

/// Kills of a run of this suite. `EXOMONAD_KILLS=500` takes some minutes.
fn kills() -> u64 {
    let wanted = std::env::var("EXOMONAD_KILLS");
    wanted.map_or(10, |kills| kills.parse().unwrap())
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_and_do_nothing_twice() {
    let project = flows("");
    let mut host = project.serve().await;
    // Enough to do until the last kill.
    let count = 40 * kills();
    for nth in 0..10 {
        let steps = json!({"count": count, "kind": "kv"});
        start(&host, "steps", &format!("steps{nth}"), steps).await;
        let parallel = json!({"n": 5, "millis": 300});
        start(&host, "parallel", &format!("parallel{nth}"), parallel).await;
        let spawns = json!({"children": 3, "millis": 200});
        start(&host, "spawns", &format!("spawns{nth}"), spawns).await;
    }
    for nth in 0..kills() {
        tokio::time::sleep(Duration::from_millis(nth * 37 % 211)).await;
        host = killed(&project, host).await;
    }
    for nth in 0..10 {
        assert_eq!(
            output(&host, &format!("steps{nth}")).await,
            json!({"count": count})
        );
        // Each step once, in its order, with its own value.
        let last = format!(
            "/workflows/steps{nth}/history?from={}&limit=1000",
            count - 100
        );
        let last = host.get(&last).await.json();
        let entries = last["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 100, "{last}");
        for (entry, step) in entries.iter().zip(count - 100..) {
            assert_eq!(
                (&entry["step"], &entry["request"]["json"]["value"]),
                (&json!(step), &json!(step + 1))
            );
        }
        let parallel = output(&host, &format!("parallel{nth}")).await;
        assert_eq!(
            (&parallel["timers"], &parallel["writes"]),
            (&json!(5), &json!(5))
        );
        assert_eq!(
            output(&host, &format!("spawns{nth}")).await,
            json!({"count": 3})
        );
        let spawned = host
            .get(&format!("/workflows?workflowId=spawns{nth}%2F1"))
            .await
            .json();
        assert_eq!(spawned["runs"].as_array().unwrap().len(), 1, "{spawned}");
    }
}

#[tokio::test]
async fn a_plugin_that_traps_is_started_again_and_then_the_run_is_stuck_until_it_is_repaired() {
    let project = flows("[workflows]\nrestarts = 2\nrestart_delay = '10ms'\n");
    let host = project.serve().await;
    start(&host, "traps_on", "a", json!({"count": 3})).await;
    let stuck = becomes(&host, "a", "stuck").await;
    let told = stuck["error"]["message"].as_str().unwrap();
    assert!(
        told.contains("3 times") && told.contains("as configured"),
        "{told}"
    );
    // What was done is done, and still to be seen.
    assert_eq!(history(&host, "a").await.len(), 3);
    let retry = act(&host, "a", "repair", json!({"retry": true})).await;
    assert_eq!(retry.status, 200, "{retry:?}");
    becomes(&host, "a", "stuck").await;
    act(&host, "a", "repair", json!({}))
        .await
        .problem(422, "invalid_input");
    act(&host, "a", "repair", json!({"restartFrom": 9}))
        .await
        .problem(404, "not_found");
    act(&host, "a", "terminate", json!({})).await;
    act(&host, "a", "repair", json!({"retry": true}))
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn a_guest_that_never_ends_or_takes_all_memory_is_stopped() {
    let project =
        flows("limits = { wall_time = '500ms', memory = '16MiB' }\n[workflows]\nrestarts = 0\n");
    let host = project.serve().await;
    start(&host, "spins", "a", json!(null)).await;
    start(&host, "allocates", "b", json!({"bytes": 64 << 20})).await;
    let spins = becomes(&host, "a", "stuck").await;
    assert!(
        spins["error"]["message"]
            .as_str()
            .unwrap()
            .contains("limits.wall_time"),
        "{spins}"
    );
    let allocates = becomes(&host, "b", "stuck").await;
    assert!(
        allocates["error"]["message"]
            .as_str()
            .unwrap()
            .contains("limits.memory"),
        "{allocates}"
    );
    // The host is fine.
    start(&host, "sleeper", "c", json!({"millis": 0})).await;
    output(&host, "c").await;
}

#[tokio::test]
async fn a_history_and_a_state_have_limits_and_the_run_is_told() {
    let project = flows("[workflows]\nmax_history = 200\nmax_state = '1KiB'\n");
    let host = project.serve().await;
    start(
        &host,
        "steps",
        "a",
        json!({"count": 100_000, "kind": "read"}),
    )
    .await;
    let long = becomes(&host, "a", "failed").await;
    assert_eq!(long["error"]["code"], "history_limit", "{long}");
    start(&host, "grows", "b", json!({"bytes": 4096})).await;
    let large = becomes(&host, "b", "failed").await;
    assert!(
        large["error"]["message"]
            .as_str()
            .unwrap()
            .contains("workflows.max_state"),
        "{large}"
    );
}

/// The plugin with another behaviour: `what` in its code is `with` instead.
fn changed(what: &str, with: &str) -> Vec<u8> {
    assert_eq!(what.len(), with.len());
    let mut wasm = plugin();
    let mut found = 0;
    for at in 0..wasm.len() - what.len() {
        if &wasm[at..at + what.len()] == what.as_bytes() {
            wasm[at..at + what.len()].copy_from_slice(with.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "the plugin does not have `{what}`");
    wasm
}

#[tokio::test]
async fn a_run_stays_on_the_plugin_it_fits_and_moves_to_one_that_fits() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "compensates", "asks_else", json!(null)).await;
    start(&host, "wait_for", "fits", json!({"signal": "go"})).await;
    let before = becomes(&host, "asks_else", "waiting").await["plugin"].clone();
    becomes(&host, "fits", "waiting").await;
    // The new version writes other keys.
    project.put_plugin("workflows.wasm", changed("compensates/", "compensateX/"));
    host.reload().await;
    signal(&host, "asks_else", "done", json!(1)).await;
    signal(&host, "fits", "go", json!(1)).await;
    output(&host, "asks_else").await;
    output(&host, "fits").await;
    assert_eq!(run(&host, "asks_else").await["plugin"], before);
    assert_ne!(run(&host, "fits").await["plugin"], before);
}

#[tokio::test]
async fn a_run_whose_plugin_is_gone_goes_on_with_what_was_kept_and_without_that_it_is_stuck() {
    let project = flows("");
    let host = project.serve().await;
    for id in ["kept", "gone"] {
        start(&host, "compensates", id, json!(null)).await;
        becomes(&host, id, "waiting").await;
    }
    fs::remove_file(project.plugin_path("workflows.wasm")).unwrap();
    host.reload().await;
    signal(&host, "kept", "done", json!(1)).await;
    output(&host, "kept").await;
    let host = killed(&project, host).await;
    fs::remove_dir_all(project.path(".exomonad/state/plugins")).unwrap();
    signal(&host, "gone", "done", json!(1)).await;
    let stuck = becomes(&host, "gone", "stuck").await;
    assert_eq!(stuck["error"]["code"], "plugin_gone", "{stuck}");
    // With another version it says where they differ, and with its own it ends.
    project.put_plugin("workflows.wasm", changed("compensates/", "compensateX/"));
    host.reload().await;
    act(&host, "gone", "repair", json!({"move": true})).await;
    let differs = eventually("the difference", async || {
        let run = run(&host, "gone").await;
        (run["error"]["code"] == "mismatch").then_some(run)
    });
    let differs = differs.await;
    let told = differs["error"]["message"].as_str().unwrap();
    assert!(told.contains("step 0") && told.contains("kv.set"), "{told}");
    project.put_plugin("workflows.wasm", plugin());
    host.reload().await;
    act(&host, "gone", "repair", json!({"move": true})).await;
    output(&host, "gone").await;
}

#[tokio::test]
async fn a_stuck_run_begins_again_from_a_step_or_with_an_answer() {
    let project = flows("[workflows]\nrestarts = 0\n");
    let host = project.serve().await;
    start(&host, "traps_on", "a", json!({"count": 4})).await;
    becomes(&host, "a", "stuck").await;
    let again = act(&host, "a", "repair", json!({"restartFrom": 2})).await;
    assert_eq!(again.status, 200, "{again:?}");
    eventually("it is stuck again", async || {
        let run = run(&host, "a").await;
        (run["status"] == "stuck" && history(&host, "a").await.len() == 4).then_some(())
    })
    .await;
    let history = history(&host, "a").await;
    let steps: Vec<_> = history
        .iter()
        .map(|entry| entry["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_run_keeps_the_configuration_that_it_began_with() {
    let project = flows("config = { key = 'first' }\n");
    let host = project.serve().await;
    start(&host, "configured", "a", json!(null)).await;
    becomes(&host, "a", "waiting").await;
    project.write(
        "exomonad.toml",
        format!("[role.flows]\nplugin = 'workflows'\n{EFFECTS}\nconfig = {{ key = 'second' }}\n"),
    );
    host.reload().await;
    signal(&host, "a", "go", json!(1)).await;
    assert_eq!(output(&host, "a").await["key"], "first");
    start(&host, "configured", "b", json!(null)).await;
    signal(&host, "b", "go", json!(1)).await;
    assert_eq!(output(&host, "b").await["key"], "second");
}

#[tokio::test]
async fn a_second_host_on_the_folder_says_that_another_runs_the_workflows_and_takes_over() {
    let project = flows("");
    let first = project.serve().await;
    start(&first, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&first, "a", "waiting").await;
    let second = project.serve().await;
    let refused = try_start(&second, "sleeper", "b", json!({"millis": 0})).await;
    let told = refused.problem(503, "unavailable");
    assert!(told.contains("another exomonad"), "{told}");
    let mut first = first;
    first.signal(libc::SIGTERM);
    first.end().await;
    second
        .logs("this host runs the workflows from now on", 1)
        .await;
    signal(&second, "a", "go", json!(1)).await;
    output(&second, "a").await;
}

#[tokio::test]
async fn a_damaged_history_stops_its_run_alone() {
    let project = flows("");
    let mut host = project.serve().await;
    for id in ["sick", "sound"] {
        start(&host, "compensates", id, json!(null)).await;
        becomes(&host, id, "waiting").await;
    }
    host.signal(libc::SIGTERM);
    host.end().await;
    // A flipped bit in an answer of the first run.
    let file = project.path(".exomonad/state/state.sqlite3");
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"compensates/sick/b";
    let at = bytes
        .windows(needle.len())
        .position(|part| part == needle)
        .unwrap();
    let mut flipped = 0;
    for nth in at..bytes.len() - needle.len() {
        if bytes[nth..].starts_with(needle) {
            bytes[nth + 3] ^= 1;
            flipped += 1;
        }
    }
    if bytes[..at].windows(needle.len()).any(|part| part == needle) || flipped == 0 {
        panic!("the file does not have the request as it was written");
    }
    fs::write(&file, bytes).unwrap();
    let host = project.serve().await;
    for id in ["sick", "sound"] {
        signal(&host, id, "done", json!(1)).await;
    }
    output(&host, "sound").await;
    let sick = becomes(&host, "sick", "stuck").await;
    assert_eq!(sick["error"]["code"], "damaged", "{sick}");
}

/// The size of a test, for a long run as the environment has it.
fn size(variable: &str, usual: u64) -> u64 {
    let wanted = std::env::var(variable);
    wanted.map_or(usual, |size| size.parse().unwrap())
}

#[tokio::test]
async fn a_run_takes_as_many_steps_as_its_history_may_have_and_no_more() {
    let steps = size("EXOMONAD_STEPS", 3_000);
    let project = flows(&format!("[workflows]\nmax_history = {steps}\n"));
    let host = project.serve().await;
    for (id, count) in [("fits", steps), ("too_long", steps + 1)] {
        start(&host, "steps", id, json!({"count": count, "kind": "kv"})).await;
    }
    eventually("half of the steps", async || {
        let from = format!("/workflows/fits/history?from={}", steps / 2);
        let page = host.get(&from).await.json();
        (!page["entries"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    let host = killed(&project, host).await;
    let count = |host: Host| async move {
        let fits = patiently(&host, "fits").await;
        assert_eq!(fits["output"], json!({"count": steps}), "{fits}");
        host
    };
    let host = count(host).await;
    let long = patiently(&host, "too_long").await;
    assert_eq!(long["error"]["code"], "history_limit", "{long}");
    let told = long["error"]["message"].as_str().unwrap();
    assert!(told.contains("workflows.max_history"), "{told}");
}

#[tokio::test]
async fn a_run_has_many_children_and_each_is_started_and_awaited_once() {
    let children = size("EXOMONAD_CHILDREN", 500);
    let entries = (3 * children + 100).min(1_000_000);
    let project = flows(&format!(
        "limits = {{ memory = '1GiB', wall_time = '10m' }}\n\
         [workflows]\nmax_history = {entries}\nmax_history_size = '1GiB'\n"
    ));
    let host = project.serve().await;
    let spawns = json!({"children": children, "millis": 100});
    start(&host, "spawns", "many", spawns).await;
    eventually("some children have begun", async || {
        (history(&host, "many").await.len() > 100).then_some(())
    })
    .await;
    let host = killed(&project, host).await;
    let many = patiently(&host, "many").await;
    assert_eq!(
        many["output"],
        json!({"count": children}),
        "{}",
        many["error"]
    );
    for nth in [0, 1, children / 2, children - 1] {
        let runs = host
            .get(&format!("/workflows?workflowId=many%2F{nth}"))
            .await
            .json();
        let runs = runs["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        assert_eq!(runs[0]["status"], "completed");
    }
}

/// Waits for the end of a run that may take minutes.
async fn patiently(host: &Host, id: &str) -> Value {
    loop {
        let run = run(host, id).await;
        if !run["endedUnixMillis"].is_null() || run["status"] == "stuck" {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_large_state_is_published_kept_and_handed_on() {
    // Its JSON, with the key around it, has to fit as well.
    let bytes = (64 << 20) - 64;
    let project = flows(
        "limits = { memory = '1GiB', wall_time = '5m', effect_request = '65MiB' }\n\
         [workflows]\nmax_state = '64MiB'\n",
    );
    let host = project.serve().await;
    start(&host, "grows", "large", json!({"bytes": bytes})).await;
    let large = patiently(&host, "large").await;
    assert_eq!(
        large["output"],
        json!({"bytes": bytes}),
        "{}",
        large["error"]
    );
    let host = killed(&project, host).await;
    let state = &run(&host, "large").await["state"];
    assert_eq!(state["filling"].as_str().unwrap().len(), bytes);
}

#[tokio::test]
async fn a_storm_of_signals_fails_its_run_with_the_reason_and_no_other() {
    let project = flows("[workflows]\nmax_history = 200\n");
    let host = project.serve().await;
    for id in ["stormy", "calm"] {
        start(&host, "wait_for", id, json!({"signal": "go"})).await;
        becomes(&host, id, "waiting").await;
    }
    let storm = (0..400).map(|nth| {
        let body = json!({"name": "other", "payload": nth}).to_string();
        let request = host.request(Method::POST, "/workflows/stormy/signal");
        Response::of(request.body(body))
    });
    let answers = futures_util::future::join_all(storm).await;
    // Those that come after its end are told so.
    assert!(
        answers
            .iter()
            .all(|answer| [200, 404].contains(&answer.status)),
        "{answers:?}"
    );
    let stormy = becomes(&host, "stormy", "failed").await;
    assert_eq!(stormy["error"]["code"], "history_limit", "{stormy}");
    signal(&host, "calm", "go", json!(1)).await;
    output(&host, "calm").await;
}

#[tokio::test]
async fn a_plugin_that_is_deleted_while_many_runs_sleep_on_it_ends_none_of_them() {
    let Some((project, clock)) = with_clock(flows("")) else {
        return;
    };
    let host = project.serve().await;
    let runs = 1_000;
    let starts = (0..runs).map(|nth| {
        let body = json!({"role": "flows", "workflow": "sleeper", "workflowId": format!("s{nth}"),
            "input": {"millis": 3_600_000}});
        let request = host.request(Method::POST, "/workflows");
        Response::of(request.body(body.to_string()))
    });
    for started in futures_util::future::join_all(starts).await {
        assert_eq!(started.status, 201, "{started:?}");
    }
    let count = async |host: &Host, status: &str| {
        let listed = host
            .get(&format!("/workflows?limit=1000&status={status}"))
            .await;
        listed.json()["runs"].as_array().unwrap().len()
    };
    let all = async |host: &Host, status: &str| {
        eventually(&format!("all are {status}"), async || {
            (count(host, status).await == runs).then_some(())
        })
        .await;
    };
    all(&host, "sleeping").await;
    fs::remove_file(project.plugin_path("workflows.wasm")).unwrap();
    host.reload().await;
    let host = killed(&project, host).await;
    all(&host, "sleeping").await;
    fs::write(&clock, "+2h").unwrap();
    all(&host, "completed").await;
}

#[tokio::test]
async fn a_run_whose_role_is_away_can_be_reached_and_goes_on_when_it_is_back() {
    // A file of the plugin folder is a role without a section of its own.
    let project = Project::new()
        .config(&format!(
            "[plugins]\nunlisted_roles = true\n[defaults]\n{EFFECTS}\n"
        ))
        .plugin("flows.wasm", plugin());
    let host = project.serve().await;
    start(&host, "wait_for", "goes_on", json!({"signal": "go"})).await;
    start(&host, "wait_for", "ends", json!({"signal": "go"})).await;
    becomes(&host, "goes_on", "waiting").await;
    fs::remove_file(project.plugin_path("flows.wasm")).unwrap();
    host.reload().await;
    // It may be about to be replaced: the role stays for a moment.
    eventually("the role is gone", async || {
        (host.get("/role/flows/mcp/tools").await.status == 404).then_some(())
    })
    .await;
    signal(&host, "goes_on", "go", json!(1)).await;
    let stuck = becomes(&host, "goes_on", "stuck").await;
    assert_eq!(stuck["error"]["code"], "role_not_found", "{stuck}");
    history(&host, "goes_on").await;
    act(&host, "ends", "terminate", json!({})).await;
    becomes(&host, "ends", "terminated").await;
    project.put_plugin("flows.wasm", plugin());
    host.reload().await;
    assert_eq!(output(&host, "goes_on").await["payload"], 1);
}

/// Reads the state file as any program does that has SQLite: it opens the file, and closes it.
fn read_by_another_program(project: &Project) {
    let read = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select count(*) from run').fetchone())";
    let file = project.path(".exomonad/state/state.sqlite3");
    let ran = Command::new("python3")
        .args(["-c", read])
        .arg(file)
        .output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[tokio::test]
async fn another_program_that_reads_the_state_file_takes_nothing_from_it() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "steps", "before", json!({"count": 3, "kind": "kv"})).await;
    output(&host, "before").await;
    read_by_another_program(&project);
    // Several connections at once, as effects of plain calls open them.
    for id in ["lost", "waits"] {
        start(&host, "wait_for", id, json!({"signal": "go"})).await;
    }
    start(&host, "steps", "after", json!({"count": 300, "kind": "kv"})).await;
    output(&host, "after").await;
    read_by_another_program(&project);
    signal(&host, "waits", "go", json!(2)).await;
    output(&host, "waits").await;
    let host = killed(&project, host).await;
    assert_eq!(output(&host, "waits").await["payload"], 2);
    output(&host, "after").await;
    signal(&host, "lost", "go", json!(3)).await;
    assert_eq!(output(&host, "lost").await["payload"], 3);
}

#[tokio::test]
async fn a_state_file_that_is_taken_away_stops_workflows_until_it_is_back() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&host, "a", "waiting").await;
    let file = project.path(".exomonad/state/state.sqlite3");
    let aside = project.path("aside");
    fs::rename(&file, &aside).unwrap();
    let refused = eventually("a start is refused", async || {
        let answer = try_start(&host, "sleeper", "b", json!({"millis": 1})).await;
        (answer.status == 503).then_some(answer)
    });
    let told = refused.await.problem(503, "unavailable");
    assert!(told.contains("removed or replaced"), "{told}");
    let health = host.get("/health").await.json();
    assert_eq!(
        health["workflows"]["problem"]["code"], "unavailable",
        "{health}"
    );
    fs::rename(&aside, &file).unwrap();
    eventually("a start is taken again", async || {
        let answer = try_start(&host, "sleeper", "b", json!({"millis": 1})).await;
        (answer.status == 201).then_some(())
    })
    .await;
    signal(&host, "a", "go", json!(1)).await;
    output(&host, "a").await;
}

#[tokio::test]
async fn a_log_that_is_torn_off_costs_the_last_entries_and_their_writes_together() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "steps", "a", json!({"count": 3000, "kind": "kv"})).await;
    eventually("some steps", async || {
        (history(&host, "a").await.len() > 100).then_some(())
    })
    .await;
    host.signal(libc::SIGKILL);
    host.end().await;
    // As after a power cut on a disk that has not kept its word.
    let log = project.path(".exomonad/state/state.sqlite3-wal");
    let file = fs::OpenOptions::new().write(true).open(log).unwrap();
    let length = file.metadata().unwrap().len();
    assert!(length > 20_000, "{length}");
    file.set_len(length - 10_000).unwrap();
    let host = project.serve().await;
    assert_eq!(output(&host, "a").await, json!({"count": 3000}));
    let mut next = 0;
    while next < 3000 {
        let page = format!("/workflows/a/history?from={next}&limit=1000");
        let page = host.get(&page).await.json();
        for entry in page["entries"].as_array().unwrap() {
            assert_eq!(
                (&entry["step"], &entry["request"]["json"]["value"]),
                (&json!(next), &json!(next + 1))
            );
            next += 1;
        }
    }
}

#[tokio::test]
async fn a_state_file_that_is_torn_off_stops_the_start_and_is_left_as_it_is() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "steps", "a", json!({"count": 1000, "kind": "kv"})).await;
    output(&host, "a").await;
    host.signal(libc::SIGTERM);
    host.end().await;
    let path = project.path(".exomonad/state/state.sqlite3");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let torn = fs::read(&path).unwrap();
    let ran = project.run(["serve", "--listen", "127.0.0.1:0"]).exits(4);
    assert!(
        ran.stderr.contains("state.sqlite3") && ran.stderr.contains("backup"),
        "{ran:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), torn);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_stops_workflows_until_it_can_and_nothing_else() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&host, "a", "waiting").await;
    host.signal(libc::SIGTERM);
    host.end().await;
    let state = project.path(".exomonad/state");
    let Some(project) = required_or_skip("mounting", project.read_only(state)) else {
        return;
    };
    let host = project.serve().await;
    let problem = eventually("the host has tried", async || {
        let health = host.get("/health").await.json();
        let problem = health["workflows"]["problem"].clone();
        (!problem.is_null()).then_some(problem)
    })
    .await;
    assert_eq!(problem["code"], "unavailable", "{problem}");
    let refused = try_start(&host, "sleeper", "b", json!({"millis": 0})).await;
    refused.problem(503, "unavailable");
    let tools = host.get("/role/flows/mcp/tools").await;
    assert_eq!(tools.status, 200, "{tools:?}");
    project.make_writable(&host);
    eventually("the host runs workflows", async || {
        let health = host.get("/health").await.json();
        health["workflows"]["problem"].is_null().then_some(())
    })
    .await;
    signal(&host, "a", "go", json!(1)).await;
    output(&host, "a").await;
}

#[tokio::test]
async fn signals_that_nobody_takes_are_bounded() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&host, "a", "waiting").await;
    for nth in 0..300 {
        signal(&host, "a", "other", json!(nth)).await;
    }
    signal(&host, "a", "go", json!("last")).await;
    assert_eq!(output(&host, "a").await["payload"], "last");
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_lets_steps_end_and_the_run_goes_on_in_the_next() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "steps", "a", json!({"count": 2000, "kind": "kv"})).await;
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    let host = project.serve().await;
    assert_eq!(output(&host, "a").await, json!({"count": 2000}));
    let entries = history(&host, "a").await;
    assert!(
        entries
            .iter()
            .all(|entry| entry["answer"]["json"]["kind"] == "Success"),
        "{:?}",
        entries.first()
    );
}

#[tokio::test]
async fn a_full_disk_stops_runs_until_there_is_room_again_and_loses_nothing() {
    let project = flows("");
    let state = project.path(".exomonad/state");
    let project = project.small_disk(state.clone(), 8 << 10);
    let host = project.serve().await;
    start(&host, "steps", "before", json!({"count": 1, "kind": "kv"})).await;
    output(&host, "before").await;
    // The disk is the host's own; this is its view of it.
    let seen = format!("/proc/{}/root{}/ballast", host.id(), state.display());
    let mut ballast = fs::File::create(&seen).unwrap();
    let full = std::iter::repeat_with(|| std::io::Write::write_all(&mut ballast, &[7; 4096]));
    full.take(8 << 10)
        .find(Result::is_err)
        .unwrap()
        .unwrap_err();
    let refused = try_start(&host, "sleeper", "none", json!({"millis": 0})).await;
    refused.problem(503, "unavailable");
    drop(ballast);
    assert_eq!(host.get("/health").await.status, 200);
    fs::remove_file(&seen).unwrap();
    start(&host, "steps", "works", json!({"count": 200, "kind": "kv"})).await;
    output(&host, "works").await;

    // And in the midst of a run.
    start(&host, "steps", "long", json!({"count": 4000, "kind": "kv"})).await;
    let mut ballast = fs::File::create(&seen).unwrap();
    while std::io::Write::write_all(&mut ballast, &[7; 4096]).is_ok() {}
    host.logs("histories cannot be written", 2).await;
    drop(ballast);
    fs::remove_file(&seen).unwrap();
    assert_eq!(output(&host, "long").await, json!({"count": 4000}));
    let last = host
        .get("/workflows/long/history?from=3000&limit=1000")
        .await
        .json();
    let entries = last["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1000);
    for (entry, step) in entries.iter().zip(3000..) {
        assert_eq!(
            (&entry["step"], &entry["request"]["json"]["value"]),
            (&json!(step), &json!(step + 1))
        );
    }
}

/// A project whose host has a clock that the test sets, by writing to the file.
fn with_clock(project: Project) -> Option<(Project, PathBuf)> {
    let library = required_or_skip("libfaketime", fake_clock())?;
    let offset = project.path("offset");
    fs::write(&offset, "+0").unwrap();
    let project = project
        .env("LD_PRELOAD", library.to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    Some((project, offset))
}

#[tokio::test]
async fn runs_that_have_ended_are_removed_after_the_retention_and_open_ones_are_not() {
    let Some((project, clock)) = with_clock(flows("[workflows]\nretention = '1m'\n")) else {
        return;
    };
    let host = project.serve().await;
    start(&host, "steps", "ended", json!({"count": 3, "kind": "kv"})).await;
    start(&host, "wait_for", "open", json!({"signal": "go"})).await;
    output(&host, "ended").await;
    becomes(&host, "open", "waiting").await;
    assert_eq!(history(&host, "ended").await.len(), 3);
    fs::write(&clock, "+30s").unwrap();
    start(&host, "steps", "later", json!({"count": 1, "kind": "kv"})).await;
    output(&host, "later").await;
    fs::write(&clock, "+70s").unwrap();
    eventually("the old run is removed", async || {
        let answer = host.get("/workflows/ended").await;
        (answer.status == 404).then_some(())
    })
    .await;
    host.get("/workflows/ended/history")
        .await
        .problem(404, "not_found");
    output(&host, "later").await;
    // What a run has written to the key-value store is the role's.
    signal(&host, "open", "go", json!(1)).await;
    output(&host, "open").await;
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_either_way_loses_no_run_and_ends_no_sleep_early() {
    let Some((project, clock)) = with_clock(flows("")) else {
        return;
    };
    let host = project.serve().await;
    start(&host, "sleeper", "hours", json!({"millis": 6 * 3_600_000})).await;
    start(&host, "wait_for", "waits", json!({"signal": "go"})).await;
    becomes(&host, "hours", "sleeping").await;
    becomes(&host, "waits", "waiting").await;
    // A day back: what sleeps until a time goes on sleeping, and all else works.
    fs::write(&clock, "-1d").unwrap();
    start(&host, "sleeper", "short", json!({"millis": 20})).await;
    output(&host, "short").await;
    start(&host, "random_and_time", "back", json!({"millis": 50})).await;
    let back = output(&host, "back").await;
    let times = ["beforeUnixMillis", "afterUnixMillis"].map(|time| back[time].as_i64().unwrap());
    assert!(times[1] - times[0] >= 50, "{back}");
    assert_eq!(run(&host, "hours").await["status"], "sleeping");
    // A day forward: the time has come.
    fs::write(&clock, "+1d").unwrap();
    let hours = output(&host, "hours").await;
    assert_eq!(hours, json!({"millis": 6 * 3_600_000}));
    let ended = run(&host, "hours").await;
    let slept =
        ended["endedUnixMillis"].as_i64().unwrap() - ended["beganUnixMillis"].as_i64().unwrap();
    assert!(slept >= 6 * 3_600_000, "{ended}");
    // And back amid a run: its time stands still until the clock has caught up.
    start(&host, "random_and_time", "amid", json!({"millis": 60_000})).await;
    becomes(&host, "amid", "sleeping").await;
    fs::write(&clock, "-1d").unwrap();
    assert_eq!(run(&host, "amid").await["status"], "sleeping");
    fs::write(&clock, "+2d").unwrap();
    let amid = output(&host, "amid").await;
    let times = ["beforeUnixMillis", "afterUnixMillis"].map(|time| amid[time].as_i64().unwrap());
    assert!(times[1] - times[0] >= 60_000, "{amid}");
    signal(&host, "waits", "go", json!(1)).await;
    output(&host, "waits").await;
}

#[tokio::test]
async fn a_schedule_keeps_no_time_that_a_wrong_clock_has_made() {
    let Some((project, clock)) = with_clock(flows("")) else {
        return;
    };
    fs::write(&clock, "+1000d").unwrap();
    let host = project.serve().await;
    let schedule =
        json!({"role": "flows", "workflow": "sleeper", "input": {"millis": 1}, "spec": "every 1h"});
    for id in ["amid", "restart"] {
        let set = host.request(Method::PUT, &format!("/schedules/{id}"));
        let set = Response::of(set.body(schedule.to_string())).await;
        assert_eq!(set.status, 201, "{set:?}");
    }
    let hours = async |host: &Host, id: &str| {
        let shown = host.get(&format!("/schedules/{id}")).await.json();
        let next = shown["nextUnixMillis"][0].as_i64().unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        (next - i64::try_from(now).unwrap()) / 3_600_000
    };
    assert!(hours(&host, "amid").await > 23_000);
    // The clock is set right while the host runs.
    fs::write(&clock, "+0").unwrap();
    eventually("the next time is near", async || {
        (hours(&host, "amid").await <= 1).then_some(())
    })
    .await;
    // Or while it does not.
    fs::write(&clock, "+1000d").unwrap();
    let set = host.request(Method::PUT, "/schedules/later");
    Response::of(set.body(schedule.to_string())).await;
    assert!(hours(&host, "later").await > 23_000);
    fs::write(&clock, "+0").unwrap();
    let host = killed(&project, host).await;
    eventually("the next time is near", async || {
        (hours(&host, "later").await <= 1).then_some(())
    })
    .await;
}
