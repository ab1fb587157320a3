//! The host as a worker of a Temporal server: the same plugin runs there as on the host's own store, and Temporal's
//! own CLI drives it.

use std::process::Command;
use std::time::Duration;

use exomonad_test_support::{
    Host, Project, TemporalServer, WebServer, eventually, installed_by, required_or_skip,
};
use serde_json::{Value, json};

use crate::ship_pr;
use crate::workflows::{self, EFFECTS, flows};

/// A project whose role `flows` has its workflows on a server, in the task queue of its name.
pub fn on_server(server: &TemporalServer, more: &str) -> Project {
    let config = format!(
        "[server]\nshutdown_grace = '1s'\n[temporal]\naddress = '{}'\n[temporal.worker]\nheartbeat_timeout = '2s'\n\
         [role.flows]\nplugin = 'workflows'\nworkflow_backend = 'temporal'\n{EFFECTS}\n{more}",
        server.address()
    );
    Project::new()
        .config(&config)
        .plugin("workflows.wasm", workflows::plugin())
}

/// Starts a workflow by Temporal's CLI, in the task queue `flows`.
pub fn start(server: &TemporalServer, workflow: &str, id: &str, input: &Value) {
    server.run_cli(&[
        "workflow",
        "start",
        "--type",
        workflow,
        "--task-queue",
        "flows",
        "--workflow-id",
        id,
        "--input",
        &input.to_string(),
    ]);
}

/// Waits for a workflow's end: its status and its result.
pub async fn ended(server: &TemporalServer, id: &str) -> (String, Value) {
    let about = format!("{id} ends");
    let ended = eventually(&about, async || {
        let described = server.cli_json(&["workflow", "describe", "-w", id]);
        let status = described["workflowExecutionInfo"]["status"]
            .as_str()
            .unwrap()
            .trim_start_matches("WORKFLOW_EXECUTION_STATUS_")
            .to_owned();
        (status != "RUNNING").then_some((status, described))
    });
    let (status, described) = ended.await;
    let result = match described["result"].clone() {
        Value::Null => last_event(server, id),
        // Nothing, as the CLI shows it.
        result if result["metadata"]["encoding"] == "YmluYXJ5L251bGw=" => Value::Null,
        result => result,
    };
    (status, result)
}

/// The events of a workflow's newest run.
fn events(server: &TemporalServer, id: &str) -> Vec<Value> {
    let history = server.cli_json(&["workflow", "show", "-w", id]);
    history["events"].as_array().unwrap().clone()
}

fn last_event(server: &TemporalServer, id: &str) -> Value {
    events(server, id).pop().unwrap()
}

/// The steps of a history on the server, in the order in which they were answered.
fn steps_on_server(events: &[Value]) -> Vec<String> {
    let scheduled = |id: &Value| {
        events.iter().find_map(|event| {
            let attributes = &event["activityTaskScheduledEventAttributes"];
            (event["eventId"] == *id).then(|| attributes["activityType"]["name"].clone())
        })
    };
    let steps = events.iter().filter_map(|event| {
        let kind = event["eventType"].as_str()?;
        Some(match kind {
            "EVENT_TYPE_ACTIVITY_TASK_COMPLETED" => {
                let id = &event["activityTaskCompletedEventAttributes"]["scheduledEventId"];
                scheduled(id)?.as_str()?.to_owned()
            }
            "EVENT_TYPE_TIMER_FIRED" => "workflow.sleep".to_owned(),
            "EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED" => "workflow.start_child".to_owned(),
            "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED" => "signal".to_owned(),
            "EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED" => "cancel".to_owned(),
            _ => return None,
        })
    });
    steps.collect()
}

/// The steps of a history as the host shows it, in the order in which they were answered.
pub fn steps_of(entries: &[Value]) -> Vec<String> {
    let steps = entries.iter().filter_map(|entry| {
        let name = entry["name"].as_str().unwrap_or_default();
        Some(match entry["kind"].as_str()? {
            "fired" => "workflow.sleep".to_owned(),
            "signal" => "signal".to_owned(),
            "cancel" => "cancel".to_owned(),
            "patched" => format!("patch {name}"),
            "done" => match entry["step"].as_u64() {
                Some(step) => asked_for(entries, step)?,
                None => name.to_owned(),
            },
            _ => return None,
        })
    });
    steps.collect()
}

/// The name of a step; none for the end of a child, which was not asked for under this number.
fn asked_for(entries: &[Value], step: u64) -> Option<String> {
    let name = |entry: &Value| entry["name"].as_str().map(str::to_owned);
    entries
        .iter()
        .filter(|entry| entry["step"] == step)
        .find_map(name)
}

/// A workflow that runs on both backends.
struct Behaviour {
    workflow: &'static str,
    input: Value,
    status: &'static str,
    /// A signal to send once it waits.
    signal: Option<(&'static str, Value)>,
    is_cancelled: bool,
    /// True if the order of its steps is not up to the host's clock.
    is_ordered: bool,
    /// True if its output is the same each time.
    is_same: bool,
}

impl Behaviour {
    fn of(workflow: &'static str, input: Value) -> Self {
        Self {
            workflow,
            input,
            status: "completed",
            signal: None,
            is_cancelled: false,
            is_ordered: true,
            is_same: true,
        }
    }
}

fn behaviours(page: &str) -> Vec<Behaviour> {
    let of = Behaviour::of;
    vec![
        of("steps", json!({"count": 3, "kind": "kv"})),
        of("steps", json!({"count": 2, "kind": "read"})),
        Behaviour {
            is_ordered: false,
            is_same: false,
            ..of("parallel", json!({"n": 3, "millis": 20}))
        },
        of(
            "retries",
            json!({"url": page, "attempts": 3, "firstWaitMillis": 10}),
        ),
        Behaviour {
            is_same: false,
            ..of("random_and_time", json!({"millis": 5}))
        },
        of("sleeper", json!({"millis": 5})),
        of("writes_log", json!({"millis": 5})),
        of("spawns", json!({"children": 2, "millis": 5})),
        of("continues", json!({"rounds": 3})),
        of("grows", json!({"bytes": 1000})),
        of("wait_for", json!({"signal": "go", "timeoutMillis": 5})),
        Behaviour {
            signal: Some(("go", json!({"n": 9_007_199_254_740_991_u64}))),
            ..of("wait_for", json!({"signal": "go"}))
        },
        Behaviour {
            signal: Some(("go", json!(1))),
            ..of("patched_flow", json!(null))
        },
        Behaviour {
            signal: Some(("go", json!(1))),
            ..of("configured", json!(null))
        },
        Behaviour {
            is_cancelled: true,
            status: "cancelled",
            ..of("compensates", json!(null))
        },
        Behaviour {
            status: "failed",
            ..of(
                "fails",
                json!({"code": "no_tea", "message": "the pot is empty"}),
            )
        },
    ]
}

#[tokio::test]
async fn a_plugin_s_workflows_run_on_a_temporal_server_as_in_the_hosts_own_store() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let page = WebServer::answering("tea");
    let store = flows(REACHES_PAGES);
    let store = store.serve().await;
    let there = on_server(&server, REACHES_PAGES);
    let there = there.serve().await;
    let behaviours = behaviours(&page.url());
    let hosts = [&store, &there];

    for (nth, behaviour) in behaviours.iter().enumerate() {
        let id = format!("b{nth}");
        for host in hosts {
            workflows::start(host, behaviour.workflow, &id, behaviour.input.clone()).await;
        }
    }
    for (nth, behaviour) in behaviours.iter().enumerate() {
        let id = format!("b{nth}");
        for host in hosts {
            if let Some((name, payload)) = &behaviour.signal {
                workflows::signal(host, &id, name, payload.clone()).await;
            }
            if behaviour.is_cancelled {
                eventually("both keys are written", async || {
                    let steps = steps_of(&workflows::history(host, &id).await);
                    (steps.len() == 2).then_some(())
                })
                .await;
                workflows::act(host, &id, "cancel", json!({})).await;
            }
        }
    }
    for (nth, behaviour) in behaviours.iter().enumerate() {
        let id = format!("b{nth}");
        let about = format!("{id} {} {}", behaviour.workflow, behaviour.input);
        let of_store = workflows::becomes(&store, &id, behaviour.status).await;
        let of_server = workflows::becomes(&there, &id, behaviour.status).await;
        for field in ["workflow", "input", "error", "plugin"] {
            assert_eq!(of_server[field], of_store[field], "{about}: {field}");
        }
        if behaviour.is_same {
            for field in ["output", "state"] {
                assert_eq!(of_server[field], of_store[field], "{about}: {field}");
            }
        }
        let mut steps = [Vec::new(), Vec::new()];
        for (steps, host) in steps.iter_mut().zip(hosts) {
            *steps = steps_of(&workflows::history(host, &id).await);
            if !behaviour.is_ordered {
                // Timers that are due within a moment may come in any order, and more of them before the guest goes on.
                steps.retain(|step| step != "workflow.sleep");
            }
        }
        assert_eq!(steps[1], steps[0], "{about}");
    }
    assert!(!there.log().contains("ERROR"), "{}", there.log());
    let metrics = there.get("/metrics").await.text();
    for name in [
        "temporal_workflow_completed",
        "temporal_activity_execution_latency",
        "temporal_worker_task_slots_available",
        "activity_type=\"kv.set\"",
    ] {
        assert!(metrics.contains(name), "{name}:\n{metrics}");
    }
}

#[tokio::test]
async fn temporals_own_cli_queries_updates_and_terminates_a_workflow_of_a_plugin() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = on_server(&server, "");
    let host = project.serve().await;
    start(&server, "wait_for", "w", &json!({"signal": "go"}));
    let query = |name: &str, input: &str| {
        let asked = [
            "workflow", "query", "-w", "w", "--type", name, "--input", input,
        ];
        server
            .cli()
            .args(asked)
            .args(["--output", "json"])
            .output()
            .unwrap()
    };
    let phase = eventually("the workflow waits", async || {
        let answered = query("progress", "{}");
        let told = String::from_utf8_lossy(&answered.stdout).into_owned();
        told.contains("waiting").then_some(told)
    })
    .await;
    assert!(phase.contains("waiting"), "{phase}");
    let has = query("has_phase", r#"{"phase": "waiting"}"#);
    assert!(
        String::from_utf8_lossy(&has.stdout).contains("true"),
        "{has:?}"
    );
    for (name, input, part) in [
        ("has_phase", r#"{"fase": 1}"#, "do not fit"),
        ("nothing", "{}", "it answers progress, has_phase"),
    ] {
        let refused = query(name, input);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains(part), "{told}");
    }
    let update = ["workflow", "update", "execute", "-w", "w", "--name", "x"];
    let refused = server.cli().args(update).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("have no updates"), "{told}");
    server.run_cli(&["workflow", "terminate", "-w", "w", "--reason", "enough"]);
    assert_eq!(ended(&server, "w").await.0, "TERMINATED");

    // A workflow that the plugin does not have waits for a version that has it.
    start(&server, "brew", "x", &json!(null));
    host.logs("has no workflow `brew`", 1).await;
}

#[tokio::test]
async fn a_history_that_temporals_cli_exports_is_played_to_a_plugin_without_a_server() {
    let Some(mut server) = TemporalServer::start().await else {
        return;
    };
    let with_key = |key: &str| on_server(&server, &format!("[role.flows.config]\nkey = '{key}'\n"));
    let (one, other) = (with_key("one"), with_key("other"));
    let host = one.serve().await;
    for (id, workflow, input) in [
        ("c", "configured", json!(null)),
        ("p", "parallel", json!({"n": 3, "millis": 5})),
        ("n", "continues", json!({"rounds": 2})),
    ] {
        start(&server, workflow, id, &input);
    }
    server.run_cli(&[
        "workflow", "signal", "-w", "c", "--name", "go", "--input", "1",
    ]);
    for id in ["c", "p", "n"] {
        assert_eq!(ended(&server, id).await.0, "COMPLETED", "{id}");
        let history = server.cli_json(&["workflow", "show", "-w", id]);
        for project in [&one, &other] {
            project.write(format!("{id}.json"), history.to_string());
        }
    }
    drop(host);
    server.stop();
    let replay = |project: &Project, history: &str| {
        project.run(["temporal", "replay", history, "--role", "flows"])
    };
    for history in ["c.json", "p.json", "n.json"] {
        let same = replay(&one, history).exits(0);
        assert!(same.stdout.contains("takes the way"), "{}", same.stdout);
    }
    // A newer SDK writes flags and fields that this one does not know.
    let text = std::fs::read_to_string(one.path("c.json")).unwrap();
    let mut newer: Value = serde_json::from_str(&text).unwrap();
    for event in newer["events"].as_array_mut().unwrap() {
        event["aFieldToCome"] = json!({"of": ["a", "newer", "server"]});
        if let Some(task) = event.get_mut("workflowTaskCompletedEventAttributes") {
            task["sdkMetadata"] = json!({"coreUsedFlags": [1, 2, 3, 999], "langUsedFlags": [7], "sdkVersion": "9.9.9"});
        }
    }
    one.write("newer.json", newer.to_string());
    replay(&one, "newer.json").exits(0);
    let differs = replay(&other, "c.json").exits(1);
    let told = differs.stdout;
    assert!(
        told.contains("at step 0 the plugin asks for `kv.get`"),
        "{told}"
    );
    one.write("odd.json", r#"{"events": [{"eventId": "2"}]}"#);
    one.write("begun.json", r#"{"events": [{"eventId": "1"}]}"#);
    for (file, part) in [
        ("odd.json", "numbered from 1"),
        ("begun.json", "first event"),
        ("none.json", "cannot be read"),
    ] {
        let refused = replay(&one, file).exits(2);
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
}

/// Waits until a run has asked for its first step.
async fn has_asked(server: &TemporalServer, id: &str) {
    eventually("a step is under way", async || {
        let events = events(server, id);
        let mut kinds = events.iter().map(|event| event["eventType"].as_str());
        kinds
            .any(|kind| kind == Some("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"))
            .then_some(())
    })
    .await;
}

/// The key that lets the role reach web servers of this machine.
const REACHES_PAGES: &str = "hosts = ['127.0.0.1']\n";

#[tokio::test]
async fn a_host_that_ends_lets_its_steps_end_and_hands_back_the_rest() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let page = WebServer::replying(|_| {
        std::thread::sleep(Duration::from_secs(4));
        ("text/plain", "tea".to_owned())
    });
    let project = on_server(&server, REACHES_PAGES);
    let mut host = project.serve().await;
    start(
        &server,
        "retries",
        "r",
        &json!({"url": page.url(), "attempts": 2}),
    );
    has_asked(&server, "r").await;
    host.signal(libc::SIGTERM);
    host.end().await;
    let log = host.log();
    assert!(log.contains("the role's worker has ended"), "{log}");
    assert!(log.contains("handed_back=1"), "{log}");
    // A read goes to the next host.
    let _host = project.serve().await;
    assert_eq!(ended(&server, "r").await.0, "COMPLETED");
}

#[tokio::test]
async fn a_reload_lets_effects_end_and_a_spinning_workflow_is_told_from_a_silent_host() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let page = WebServer::replying(|_| {
        std::thread::sleep(Duration::from_secs(3));
        ("text/plain", "tea".to_owned())
    });
    let project = on_server(&server, REACHES_PAGES);
    let host = project.serve().await;
    start(
        &server,
        "retries",
        "r",
        &json!({"url": page.url(), "attempts": 1}),
    );
    has_asked(&server, "r").await;
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "[role.other]\n").unwrap();
    host.reload().await;
    // Longer than the grace of a host that ends.
    let (status, result) = ended(&server, "r").await;
    assert_eq!(status, "COMPLETED", "{result}\n{}", host.log());

    let spins = [
        "workflow",
        "start",
        "--task-queue",
        "flows",
        "--type",
        "spins",
        "-w",
        "spins",
    ];
    server.run_cli(&[&spins[..], &["--task-timeout", "2s"]].concat());
    host.logs("it computes for more than 1.6s", 1).await;
    server.run_cli(&["workflow", "terminate", "-w", "spins"]);
}

#[tokio::test]
async fn a_server_that_is_away_and_comes_back_leaves_the_other_roles_alone() {
    let Some(mut server) = TemporalServer::prepare(None) else {
        return;
    };
    let project = on_server(&server, "[role.echo]\n");
    let project = project.plugin("echo.wasm", exomonad_test_support::shipped_plugin("echo"));
    let host: Host = project.serve().await;
    let answer = host.call("echo", "echo", json!({"text": "tea"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    host.logs("its worker cannot start", 1).await;
    server.start_again().await;
    start(&server, "steps", "s", &json!({"count": 1, "kind": "kv"}));
    assert_eq!(ended(&server, "s").await.0, "COMPLETED");
    // It is away for a while, and comes back.
    server.stop();
    let answer = host.call("echo", "echo", json!({"text": "tea"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    server.start_again().await;
    start(&server, "steps", "t", &json!({"count": 1, "kind": "kv"}));
    assert_eq!(ended(&server, "t").await.0, "COMPLETED");
}

#[tokio::test]
async fn workflows_of_another_sdk_ask_a_host_for_effects_and_have_its_workflows_as_children() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = on_server(&server, "");
    let host = project.serve().await;
    let _worker = server.worker("python");
    for (id, kind) in [("u", "UsesHost"), ("p", "Parent")] {
        let asked = [
            "workflow",
            "start",
            "--task-queue",
            "python",
            "--input",
            "\"flows\"",
        ];
        server.run_cli(&[asked.as_slice(), &["-w", id, "--type", kind]].concat());
    }
    let (status, result) = ended(&server, "u").await;
    assert_eq!(status, "COMPLETED", "{result}\n{}", host.log());
    assert_eq!(result, json!([{"cups": 2}, "effect_denied"]));
    let (status, result) = ended(&server, "p").await;
    assert_eq!(
        (status.as_str(), result),
        ("COMPLETED", json!({"count": 2}))
    );
}

#[tokio::test]
async fn another_host_takes_over_from_one_that_is_killed_and_writes_nothing_twice() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let page = WebServer::replying(|_| {
        std::thread::sleep(Duration::from_millis(1500));
        ("text/plain", "tea".to_owned())
    });
    let (first, second) = (
        on_server(&server, REACHES_PAGES),
        on_server(&server, REACHES_PAGES),
    );
    let mut killed = first.serve().await;
    killed.logs("the role's workflows are served", 1).await;
    start(
        &server,
        "retries",
        "r",
        &json!({"url": page.url(), "attempts": 3}),
    );
    let runs: Vec<String> = (0..8).map(|nth| format!("s{nth}")).collect();
    for id in &runs {
        start(&server, "steps", id, &json!({"count": 40, "kind": "kv"}));
    }
    has_asked(&server, "r").await;
    killed.signal(libc::SIGKILL);
    killed.end().await;
    let other = second.serve().await;
    let (status, result) = ended(&server, "r").await;
    assert_eq!(status, "COMPLETED", "{result}\n{}", other.log());
    for id in &runs {
        let (status, result) = ended(&server, id).await;
        let failure = &result["workflowExecutionFailedEventAttributes"]["failure"];
        let kind = &failure["applicationFailureInfo"]["type"];
        assert!(
            status == "COMPLETED" || (status == "FAILED" && kind == "outcome_unknown"),
            "{id} {status}: {result}"
        );
        // A write whose host is gone is not tried again.
        for event in events(&server, id) {
            let attempt = &event["activityTaskStartedEventAttributes"]["attempt"];
            assert!(attempt.is_null() || attempt == 1, "{id}: {event}");
        }
    }
}

#[tokio::test]
async fn a_plugin_that_takes_another_way_fails_its_task_and_not_its_run() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let with_key = |key: &str| on_server(&server, &format!("[role.flows.config]\nkey = '{key}'\n"));
    let (one, other) = (with_key("one"), with_key("other"));
    let mut host = one.serve().await;
    start(&server, "configured", "c", &json!(null));
    eventually("the first step is done", async || {
        let steps = steps_on_server(&events(&server, "c"));
        (steps.len() == 1).then_some(())
    })
    .await;
    host.signal(libc::SIGTERM);
    host.end().await;
    let mut host = other.serve().await;
    server.run_cli(&[
        "workflow", "signal", "-w", "c", "--name", "go", "--input", "1",
    ]);
    // It names the step and both sides: the activities' ids hold the hashes of the requests.
    host.logs("at step 0 the plugin asks for `kv.get`", 1).await;
    assert!(host.log().contains("code=\"mismatch\""), "{}", host.log());
    host.signal(libc::SIGTERM);
    host.end().await;
    let _host = one.serve().await;
    let (status, result) = ended(&server, "c").await;
    assert_eq!(status, "COMPLETED", "{result}");
    assert_eq!(result["key"], "one");
}

#[tokio::test]
async fn a_run_is_pinned_to_the_version_of_the_plugin_that_it_began_with() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = on_server(&server, "");
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let pinned = text.replace(
        "[temporal.worker]\n",
        "[temporal.worker]\nversioning = 'pinned'\n",
    );
    std::fs::write(&file, pinned).unwrap();
    let host = project.serve().await;
    let digest = async |nth: usize| {
        host.logs("the role's workflows are served", nth).await;
        let log = host.log();
        let line = log
            .lines()
            .rfind(|line| line.contains("workflows are served"))
            .unwrap();
        line.split("version=\"").nth(1).unwrap()[..64].to_owned()
    };
    let set_current = async |build: &str| {
        eventually("the version is current", async || {
            let set = [
                "worker",
                "deployment",
                "set-current-version",
                "--deployment-name",
                "flows",
            ];
            let set = server
                .cli()
                .args(set)
                .args(["--build-id", build, "--yes"])
                .output()
                .unwrap();
            set.status.success().then_some(())
        })
        .await;
    };
    let old = digest(1).await;
    set_current(&old).await;
    start(&server, "wait_for", "w", &json!({"signal": "go"}));
    let pinned_to = |id: &str| {
        let described = server.cli_json(&["workflow", "describe", "-w", id]);
        let info = &described["workflowExecutionInfo"]["versioningInfo"];
        info["deploymentVersion"]["buildId"]
            .as_str()
            .map(str::to_owned)
    };
    eventually("the run has begun", async || {
        (pinned_to("w").as_deref() == Some(old.as_str())).then_some(())
    })
    .await;
    // The same code with another digest.
    let mut other = workflows::plugin();
    other.extend([0, 5, 4, b'm', b'o', b'r', b'e']);
    project.put_plugin("workflows.wasm", other);
    let new = digest(2).await;
    assert_ne!(old, new);
    set_current(&new).await;
    start(&server, "steps", "s", &json!({"count": 1, "kind": "kv"}));
    assert_eq!(ended(&server, "s").await.0, "COMPLETED");
    assert_eq!(pinned_to("s").as_deref(), Some(new.as_str()));
    server.run_cli(&[
        "workflow", "signal", "-w", "w", "--name", "go", "--input", "7",
    ]);
    let (status, result) = ended(&server, "w").await;
    assert_eq!(status, "COMPLETED", "{result}\n{}", host.log());
    assert_eq!(pinned_to("w").as_deref(), Some(old.as_str()));
}

#[tokio::test]
async fn a_client_by_the_sdk_for_typescript_starts_queries_and_signals_a_workflow() {
    let client = installed_by("temporal-client");
    let Some(client) = required_or_skip("Temporal's client for TypeScript", client) else {
        return;
    };
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = with_codec(on_server(&server, ""));
    let host = project.serve().await;
    host.logs("the role's workflows are served", 1).await;
    let mut program = Command::new("node");
    program
        .current_dir(client)
        .arg("client.mjs")
        .args([&server.address(), "flows"])
        .env("PAYLOAD_KEY", KEY);
    let ran = tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{told}\n{}", host.log());
    let result: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let expected = json!({"phase": "received", "signal": "go", "payload": {"cups": 3}});
    assert_eq!(result, expected);
    // Whoever has no key reads nothing of it.
    let events = events(&server, "typescript");
    let shown = json!(events).to_string();
    // `binary/encrypted` in base64.
    assert!(shown.contains("YmluYXJ5L2VuY3J5cHRlZA=="), "{shown}");
    for plain in ["signal", "cups"] {
        let plain = exomonad_schema::Base64(plain.as_bytes().to_vec()).to_string();
        assert!(
            !shown.contains(plain.trim_end_matches('=')),
            "{plain}: {shown}"
        );
    }
    let run = workflows::run(&host, "typescript").await;
    assert_eq!(run["output"], expected);
    assert_eq!(run["input"], json!({"signal": "go"}));
    let history = workflows::history(&host, "typescript").await;
    assert_eq!(
        history[0]["answer"]["json"],
        json!({"cups": 3}),
        "{history:?}"
    );
}

/// A key of 32 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The project, whose host encrypts what goes to the server.
fn with_codec(project: Project) -> Project {
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let codec = "[temporal]\npayload_compression = 'zlib'\npayload_keys_env = 'PAYLOAD_KEYS'\n";
    std::fs::write(&file, text.replace("[temporal]\n", codec)).unwrap();
    project.env("PAYLOAD_KEYS", format!("one={KEY}"))
}

#[tokio::test]
async fn a_pull_request_is_shipped_on_a_temporal_server_by_the_plugin_that_ships_it_here() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (project, known, _github) = ship_pr::stage(2).await;
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let there = "[role.flows]\nworkflow_backend = 'temporal'\ntemporal_task_queue = 'flows'\n";
    let address = format!("[temporal]\naddress = '{}'\n", server.address());
    std::fs::write(&file, address + &text.replace("[role.flows]\n", there)).unwrap();
    let host = project.serve().await;
    start(&server, "ship_pr", "fix", &ship_pr::input());
    let (status, output) = ended(&server, "fix").await;
    assert_eq!(status, "COMPLETED", "{output}\n{}", host.log());
    ship_pr::is_merged_once(&project, &known, &output);
}
