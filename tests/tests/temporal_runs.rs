//! Runs of a role whose workflows are on a Temporal server: by the same routes, commands and effects as those of the
//! host's own store; and what only a server has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exomonad_test_support::{
    Collector, Host, Project, Response, TemporalServer, eventually, required_or_skip,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::command_line_workflows::workflow;
use crate::faults::fake_clock;
use crate::temporal_worker::{ended, on_server, start, steps_of};
use crate::workflows::{self, act, becomes, history, run, signal, try_start};

/// The runs of a list, by their workflow ids.
async fn listed(host: &Host, query: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut next = String::new();
    loop {
        let page = host.get(&format!("/workflows?{query}{next}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        let runs = page["runs"].as_array().unwrap().iter();
        ids.extend(runs.map(|run| run["workflowId"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(mark) => {
                next = format!("&before={}", mark.replace('=', "%3D").replace('+', "%2B"))
            }
            None => return ids,
        }
    }
}

#[tokio::test]
async fn runs_on_the_server_are_started_seen_and_ended_by_the_routes_of_the_hosts_own() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    // One more role on the server, and one in the store.
    let more = format!(
        "[role.other]\nplugin = 'workflows'\nworkflow_backend = 'temporal'\n{0}\n\
         [role.here]\nplugin = 'workflows'\n{0}\n",
        workflows::EFFECTS
    );
    let project = on_server(&server, &more);
    let host = project.serve().await;
    let started = try_start(&host, "wait_for", "w", json!({"signal": "go"})).await;
    assert_eq!(started.status, 201, "{started:?}");
    let again = try_start(&host, "wait_for", "w", json!({"signal": "go"})).await;
    assert_eq!(
        (again.status, again.json()["started"].clone()),
        (200, json!(false))
    );
    assert_eq!(again.json()["runId"], started.json()["runId"]);
    for (workflow, id, input, status, part) in [
        ("wait_fro", "x", json!({}), 404, "did you mean `wait_for`"),
        ("wait_for", "x", json!({"signal": 1}), 422, "does not fit"),
        (
            "wait_for",
            ".",
            json!({"signal": "go"}),
            422,
            "cannot be used",
        ),
    ] {
        let refused = try_start(&host, workflow, id, input).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.text().contains(part), "{refused:?}");
    }
    // An id is one of the whole server's.
    let body =
        json!({"role": "other", "workflow": "sleeper", "workflowId": "w", "input": {"millis": 0}});
    let taken = host.post("/workflows", body.to_string()).await;
    taken.problem(409, "conflict");

    let waiting = eventually("its state is published", async || {
        let run = run(&host, "w").await;
        (run["state"]["phase"] == "waiting").then_some(run)
    })
    .await;
    assert_eq!(waiting["status"], "running");
    assert_eq!(waiting["input"], json!({"signal": "go"}));
    assert_eq!(waiting["plugin"].as_str().unwrap().len(), 64, "{waiting}");
    let of_run = format!("/workflows/{}", waiting["runId"].as_str().unwrap());
    eventually("the server lists the run by its own id", async || {
        let found = host.get(&of_run).await;
        (found.status == 200).then(|| assert_eq!(found.json()["workflowId"], "w"))
    })
    .await;

    let progress = act(
        &host,
        "w",
        "query",
        json!({"name": "progress", "arguments": {}}),
    )
    .await;
    assert_eq!(progress.json()["value"], "waiting", "{progress:?}");
    for (what, body, status) in [
        ("query", json!({"name": "nothing"}), 404),
        ("repair", json!({"retry": true}), 409),
    ] {
        let refused = act(&host, "w", what, body).await;
        assert_eq!(refused.status, status, "{what}: {refused:?}");
    }
    signal(&host, "w", "go", json!({"cups": 3})).await;
    let done = becomes(&host, "w", "completed").await;
    assert_eq!(done["output"]["payload"], json!({"cups": 3}));
    assert_eq!(steps_of(&history(&host, "w").await), ["signal"]);
    act(&host, "w", "signal", json!({"name": "go"}))
        .await
        .problem(404, "not_found");
    let by_run_id = host.post(format!("{of_run}/cancel").as_str(), "").await;
    by_run_id.problem(409, "conflict");

    for (id, what, status) in [("c", "cancel", "failed"), ("t", "terminate", "terminated")] {
        try_start(&host, "wait_for", id, json!({"signal": "go"})).await;
        let accepted = act(&host, id, what, json!({})).await;
        assert_eq!(accepted.status, 200, "{accepted:?}");
        let ended = eventually("it has ended", async || {
            let run = run(&host, id).await;
            (run["status"] != "running").then_some(run)
        })
        .await;
        assert!(
            ended["status"] == status || ended["status"] == "cancelled",
            "{ended}"
        );
    }
    let body =
        json!({"role": "here", "workflow": "sleeper", "workflowId": "h", "input": {"millis": 0}});
    assert_eq!(host.post("/workflows", body.to_string()).await.status, 201);
    let body =
        json!({"role": "other", "workflow": "sleeper", "workflowId": "o", "input": {"millis": 0}});
    assert_eq!(host.post("/workflows", body.to_string()).await.status, 201);
    let body =
        json!({"role": "other", "workflow": "sleeper", "workflowId": "o'", "input": {"millis": 0}});
    assert_eq!(host.post("/workflows", body.to_string()).await.status, 201);
    // The server's list is a moment behind.
    for (query, expected) in [
        ("", vec!["h", "c", "o", "o'", "t", "w"]),
        ("role=flows&limit=1", vec!["c", "t", "w"]),
        ("role=here", vec!["h"]),
        ("role=flows&status=terminated", vec!["t"]),
        ("workflow=sleeper", vec!["h", "o", "o'"]),
        ("workflowId=o%27", vec!["o'"]),
    ] {
        eventually(
            &format!("the list of {query:?} is {expected:?}"),
            async || {
                let mut found = listed(&host, query).await;
                let of_store = usize::from(found.first().is_some_and(|id| id == "h"));
                found[of_store..].sort();
                (found == expected).then_some(())
            },
        )
        .await;
    }
    host.get("/workflows/nothing")
        .await
        .problem(404, "not_found");
    host.get("/workflows/w?role=other")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn tools_the_command_line_and_agents_use_runs_on_the_server_as_those_of_the_host() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = on_server(&server, "");
    let host = project.serve().await;
    let arguments = json!({"workflowId": "a", "millis": 10});
    let started = host.tool("flows", "start_sleeper", arguments).await;
    assert!(!started.is_error(), "{}", started.text());
    becomes(&host, "a", "completed").await;
    let status = host.tool("flows", "workflow_status", json!({"workflowId": "a"}));
    let status = status.await;
    assert!(status.text().contains("completed"), "{}", status.text());
    // A workflow that is a tool.
    let done = host.tool("flows", "sleeper", json!({"millis": 20})).await;
    assert!(!done.is_error(), "{}", done.text());
    assert_eq!(done.structured()["output"], json!({"millis": 20}));

    let run = |arguments: &[&str]| workflow(&project, &host, arguments);
    let input = r#"{"count": 2, "kind": "kv"}"#;
    let steps = run(&[
        "start", "flows", "steps", "--id", "s", "--input", input, "--wait",
    ]);
    assert_eq!(steps.exits(0).stdout.trim(), r#"{"count":2}"#);
    let shown = run(&["show", "s"]).exits(0).stdout;
    assert_eq!(shown.matches("kv.set").count(), 2, "{shown}");
    let history = run(&["history", "s"]).exits(0).stdout;
    assert!(history.contains("kv.set"), "{history}");
    run(&[
        "start",
        "flows",
        "wait_for",
        "--id",
        "w",
        "--input",
        r#"{"signal": "go"}"#,
    ])
    .exits(0);
    run(&["signal", "w", "go", "--payload", "7"]).exits(0);
    let tailed = run(&["tail", "w"]).exits(0).stdout;
    assert!(tailed.contains("completed"), "{tailed}");
    run(&["repair", "w", "--retry"]).exits(3);
}

#[tokio::test]
async fn a_workflow_asks_another_workers_activity_and_sets_what_lists_find_it_by() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let granted = "'temporal.execute_activity', 'temporal.set_attributes', ";
    let bounds = "[role.flows.temporal]\nnamespaces = ['default']\ntask_queues = ['python']\n";
    let project = on_server(&server, bounds);
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("effects = [", &format!("effects = [{granted}")),
    )
    .unwrap();
    let host = project.serve().await;
    let _worker = server.worker("python");
    let asked = |text: &str, queue: &str| json!({"activityType": "shout", "taskQueue": queue, "argument": text});
    try_start(&host, "asks_elsewhere", "a", asked("tea", "python")).await;
    assert_eq!(becomes(&host, "a", "completed").await["output"], "TEA");
    try_start(&host, "asks_elsewhere", "f", asked("", "python")).await;
    let failed = becomes(&host, "f", "failed").await;
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains("nothing to shout"),
        "{failed}"
    );
    // Once, as it does not say when it is to be tried again.
    try_start(&host, "asks_elsewhere", "o", asked("whisper", "python")).await;
    becomes(&host, "o", "failed").await;
    try_start(&host, "asks_elsewhere", "q", asked("tea", "other")).await;
    let refused = becomes(&host, "q", "failed").await;
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("temporal.task_queues"),
        "{refused}"
    );

    server.run_cli(&[
        "operator",
        "search-attribute",
        "create",
        "--name",
        "Tenant",
        "--type",
        "Keyword",
    ]);
    let attributes =
        json!({"searchAttributes": {"Tenant": "seven"}, "memo": {"note": {"cups": 2}}});
    try_start(&host, "sets_attributes", "s", attributes).await;
    let found = eventually("the server finds it by its attribute", async || {
        let found = server.cli_json(&["workflow", "list", "--query", "Tenant = 'seven'"]);
        found[0]["execution"]["workflowId"]
            .as_str()
            .map(str::to_owned)
    })
    .await;
    assert_eq!(found, "s");
    let shown = run(&host, "s").await;
    assert_eq!(shown["searchAttributes"]["Tenant"], "seven", "{shown}");
    assert_eq!(shown["memo"], json!({"note": {"cups": 2}}), "{shown}");
    signal(&host, "s", "go", json!(null)).await;
    becomes(&host, "s", "completed").await;
    for (id, attributes, part) in [
        (
            "n",
            json!({"searchAttributes": {"NoSuch": 1}}),
            "no search attribute \"NoSuch\"",
        ),
        (
            "y",
            json!({"searchAttributes": {"Tenant": 7}}),
            "of the type KEYWORD",
        ),
        (
            "t",
            json!({"searchAttributes": {"WorkflowType": "x"}}),
            "no search attribute",
        ),
        (
            "l",
            json!({"searchAttributes": {"Tenant": "x".repeat(3000)}}),
            "2000 bytes at most",
        ),
        (
            "m",
            json!({"memo": {"exomonad-started-by": "root"}}),
            "the host's own",
        ),
    ] {
        try_start(&host, "sets_attributes", id, attributes).await;
        let failed = becomes(&host, id, "failed").await;
        assert!(
            failed["error"]["message"].as_str().unwrap().contains(part),
            "{failed}"
        );
    }
    // A run of the role hears of it, one of another task queue does not.
    try_start(&host, "wait_for", "w", json!({"signal": "go"})).await;
    let elsewhere = [
        "workflow",
        "start",
        "--type",
        "Order",
        "--task-queue",
        "python",
        "-w",
        "order",
    ];
    server.run_cli(
        &[
            &elsewhere[..],
            &["--input", r#"{"item": "tea"}"#, "--input", "\"\""],
        ]
        .concat(),
    );
    for (id, other, status) in [("to-w", "w", "completed"), ("to-order", "order", "failed")] {
        let input = json!({"workflowId": other, "signal": "go"});
        try_start(&host, "signals_other", id, input).await;
        becomes(&host, id, status).await;
    }
    becomes(&host, "w", "completed").await;
    let of_order = server
        .cli_json(&["workflow", "show", "-w", "order"])
        .to_string();
    assert!(!of_order.contains("SIGNALED"), "{of_order}");
}

#[tokio::test]
async fn one_trace_leads_from_a_request_over_the_server_to_the_effects_of_its_workflow() {
    let (Some(server), Some(collector)) = (TemporalServer::start().await, Collector::start())
    else {
        return;
    };
    let telemetry = format!(
        "[telemetry]\nendpoint = '{}'\nprotocol = 'grpc'\ninterval = '50ms'\n",
        collector.grpc()
    );
    let project = on_server(&server, &telemetry);
    let host = project.serve().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let body = json!({"role": "flows", "workflow": "steps", "workflowId": "s", "input": {"count": 1, "kind": "kv"}});
    let request = host
        .request(Method::POST, "/workflows")
        .body(body.to_string());
    let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"));
    let started = Response::of(request).await;
    assert_eq!(started.status, 201, "{started:?}");
    for name in [
        "POST /workflows",
        "start_workflow_execution",
        "guest handle_workflow",
        "activity kv.set",
        "kv.set",
    ] {
        let what = format!("the span {name:?} is part of the trace");
        let span = collector.span(&what, |span| {
            span.text("traceId") == trace && span.name() == name
        });
        span.await;
    }
}

#[tokio::test]
async fn waiting_runs_of_the_hosts_own_store_go_over_to_the_server_with_their_history() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let config = |backend: &str| {
        format!(
            "[temporal]\naddress = '{}'\n[role.flows]\nplugin = 'workflows'\n{backend}{}\n[role.flows.config]\nkey = 'one'\n",
            server.address(),
            workflows::EFFECTS
        )
    };
    let project = Project::new()
        .config(&config(""))
        .plugin("workflows.wasm", workflows::plugin());
    let host = project.serve().await;
    let page = exomonad_test_support::WebServer::replying(|_| {
        std::thread::sleep(Duration::from_secs(5));
        ("text/plain", "tea".to_owned())
    });
    for (workflow, id, input) in [
        // It has read a key of its configuration, and waits for a signal.
        ("configured", "c", json!(null)),
        // It has written two keys, which it takes back when it is cancelled.
        ("compensates", "k", json!(null)),
        ("sleeper", "t", json!({"millis": 4000})),
        // A child of its own is not the server's.
        ("spawns", "p", json!({"children": 1, "millis": 5000})),
        ("retries", "r", json!({"url": page.url(), "attempts": 1})),
    ] {
        workflows::start(&host, workflow, id, input).await;
    }
    for (id, status) in [
        ("c", "waiting"),
        ("k", "waiting"),
        ("t", "sleeping"),
        ("p", "waiting"),
    ] {
        becomes(&host, id, status).await;
    }
    let before = run(&host, "c").await;
    let refused = act(&host, "c", "move", json!({})).await;
    assert!(refused.text().contains("workflow_backend"), "{refused:?}");
    // Another configuration, and the same plugin.
    let there = config("workflow_backend = 'temporal'\n").replace("'one'", "'other'");
    std::fs::write(project.path("exomonad.toml"), there).unwrap();
    host.reload().await;
    let moved = workflow(&project, &host, &["move", "--role", "flows", "--all"]);
    let moved = moved.exits(1);
    for id in ["c", "k", "t"] {
        let told = format!("workflow `{id}` goes on at the Temporal server");
        assert!(moved.stdout.contains(&told), "{moved:?}");
    }
    assert!(moved.stderr.contains("its child `p"), "{moved:?}");
    let of_r = workflow(&project, &host, &["move", "r"]).exits(3);
    assert!(of_r.stderr.contains("cannot be moved"), "{of_r:?}");

    let here = host
        .get(&format!("/workflows/{}", before["runId"].as_str().unwrap()))
        .await;
    let here = here.json();
    assert_eq!(here["status"], "continued", "{here}");
    let there = run(&host, "c").await;
    assert_eq!(there["runId"], here["continuedTo"], "{there}");
    signal(&host, "c", "go", json!(1)).await;
    let done = becomes(&host, "c", "completed").await;
    // The configuration that it began with, and no step of its beginning once more.
    assert_eq!(done["output"]["key"], "one", "{done}");
    assert_eq!(steps_of(&history(&host, "c").await), ["signal", "kv.get"]);
    act(&host, "k", "cancel", json!({})).await;
    becomes(&host, "k", "cancelled").await;
    assert_eq!(
        steps_of(&history(&host, "k").await),
        [
            "cancel",
            "kv.delete",
            "kv.get",
            "kv.set",
            "kv.delete",
            "kv.get",
            "kv.set"
        ]
    );
    becomes(&host, "t", "completed").await;
    assert_eq!(workflows::output(&host, "p").await, json!({"count": 1}));
}

/// A way to the server that can be cut: nothing passes, and nobody is told.
struct Way {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: &TemporalServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            is_cut: Arc::default(),
        };
        let (there, is_cut) = (server.address(), way.is_cut.clone());
        tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(&there).await else {
                    continue;
                };
                let (from_here, to_here) = here.into_split();
                let (from_there, to_there) = there.into_split();
                tokio::spawn(pass(from_here, to_there, is_cut.clone()));
                tokio::spawn(pass(from_there, to_here, is_cut.clone()));
            }
        });
        way
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    is_cut: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        while is_cut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_run_whose_way_to_the_server_breaks_off_goes_on_in_one_place_alone() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let way = Way::to(&server).await;
    let config = |backend: &str| {
        format!(
            "[temporal]\naddress = '{}'\ntime_limit = '1s'\nretry_time = '500ms'\n[role.flows]\nplugin = 'workflows'\n{backend}{}\n",
            way.address,
            workflows::EFFECTS
        )
    };
    let project = Project::new()
        .config(&config(""))
        .plugin("workflows.wasm", workflows::plugin());
    let host = project.serve().await;
    for id in ["a", "b"] {
        workflows::start(&host, "wait_for", id, json!({"signal": "go"})).await;
        becomes(&host, id, "waiting").await;
    }
    std::fs::write(
        project.path("exomonad.toml"),
        config("workflow_backend = 'temporal'\n"),
    )
    .unwrap();
    host.reload().await;
    host.logs("the role's workflows are served", 1).await;
    way.is_cut.store(true, Ordering::SeqCst);
    let broken = act(&host, "a", "move", json!({})).await;
    assert_eq!(broken.status, 502, "{broken:?}");
    let held = run(&host, "a").await;
    assert_eq!(
        (held["status"].as_str(), held["error"]["code"].as_str()),
        (Some("stuck"), Some("moving"))
    );
    // Nobody can tell where it is.
    for (what, body) in [("repair", json!({"retry": true})), ("terminate", json!({}))] {
        let refused = act(&host, "a", what, body).await;
        assert!([502, 503].contains(&refused.status), "{what}: {refused:?}");
    }
    signal(&host, "a", "go", json!(7)).await;
    way.is_cut.store(false, Ordering::SeqCst);
    // A request that was on its way has come by now, or not.
    let moved = eventually("it goes over", async || {
        let moved = act(&host, "a", "move", json!({})).await;
        (moved.status == 200).then_some(moved)
    })
    .await;
    let done = becomes(&host, "a", "completed").await;
    assert_eq!(done["runId"], moved.json()["runId"]);
    assert_eq!(done["output"]["payload"], 7);
    assert_eq!(steps_of(&history(&host, "a").await), ["signal"]);
    let all = server.cli_json(&["workflow", "list", "--query", "WorkflowId = 'a'"]);
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    // An id that something else has: the run stays, and goes on here.
    let taken = [
        "workflow",
        "start",
        "--type",
        "x",
        "--task-queue",
        "x",
        "-w",
        "b",
    ];
    server.run_cli(&taken);
    act(&host, "b", "move", json!({}))
        .await
        .problem(409, "conflict");
    signal(&host, "b", "go", json!(8)).await;
    assert_eq!(
        becomes(&host, "b", "completed").await["output"]["payload"],
        8
    );
}

#[tokio::test]
async fn a_network_that_is_cut_for_a_while_loses_no_run_and_leaves_other_roles_alone() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    // `EXOMONAD_CUT_SECONDS=60` cuts it for a minute.
    let seconds = std::env::var("EXOMONAD_CUT_SECONDS");
    let cut = Duration::from_secs(seconds.map_or(8, |seconds| seconds.parse().unwrap()));
    let way = Way::to(&server).await;
    let project = on_server(&server, "[role.echo]\n");
    let project = project.plugin("echo.wasm", exomonad_test_support::shipped_plugin("echo"));
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(&server.address(), &way.address.to_string());
    std::fs::write(
        &file,
        text.replace("[temporal]\n", "[temporal]\ntime_limit = '1s'\n"),
    )
    .unwrap();
    let host = project.serve().await;
    for nth in 0..4 {
        start(
            &server,
            "parallel",
            &format!("p{nth}"),
            &json!({"n": 3, "millis": 2000}),
        );
        start(
            &server,
            "steps",
            &format!("s{nth}"),
            &json!({"count": 60, "kind": "read"}),
        );
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    way.is_cut.store(true, Ordering::SeqCst);
    let answer = host.call("echo", "echo", json!({"text": "tea"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let away = host.get("/workflows/p0").await;
    assert!([502, 503, 504].contains(&away.status), "{away:?}");
    tokio::time::sleep(cut).await;
    way.is_cut.store(false, Ordering::SeqCst);
    for nth in 0..4 {
        for id in [format!("p{nth}"), format!("s{nth}")] {
            let (status, result) = ended(&server, &id).await;
            assert_eq!(status, "COMPLETED", "{id}: {result}\n{}", host.log());
        }
    }
}

#[tokio::test]
async fn a_host_whose_clock_is_an_hour_off_runs_by_the_servers_clock() {
    let Some(library) = required_or_skip("libfaketime", fake_clock()) else {
        return;
    };
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = on_server(&server, "")
        .env("LD_PRELOAD", library.to_string_lossy())
        .env("FAKETIME", "-1h")
        .env("DONT_FAKE_MONOTONIC", "1");
    let host = project.serve().await;
    let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    start(&server, "random_and_time", "r", &json!({"millis": 1500}));
    start(&server, "steps", "s", &json!({"count": 3, "kind": "kv"}));
    let (status, result) = ended(&server, "r").await;
    assert_eq!(status, "COMPLETED", "{result}\n{}", host.log());
    let told: Vec<i64> = numbers(&result);
    let of_server = told
        .iter()
        .filter(|at| (before - 5_000..before + 600_000).contains(*at));
    assert!(of_server.count() >= 2, "{before}: {result}");
    assert_eq!(ended(&server, "s").await.0, "COMPLETED");
}

/// All whole numbers of a value.
fn numbers(value: &Value) -> Vec<i64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        value => value.as_i64().into_iter().collect(),
    }
}

#[tokio::test]
async fn a_worker_without_the_key_of_a_value_says_so_and_the_run_goes_on_where_the_key_is() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let keys = |name: &str, byte: u8| format!("{name}={}", exomonad_schema::Base64(vec![byte; 32]));
    let with_keys = |project: Project, keys: &str| {
        let file = project.path("exomonad.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let with = text.replace(
            "[temporal]\n",
            "[temporal]\npayload_keys_env = 'PAYLOAD_KEYS'\n",
        );
        std::fs::write(&file, with).unwrap();
        project.env("PAYLOAD_KEYS", keys)
    };
    let old = with_keys(on_server(&server, ""), &keys("old", 1));
    let mut host = old.serve().await;
    try_start(&host, "wait_for", "w", json!({"signal": "go"})).await;
    eventually("it waits", async || {
        (run(&host, "w").await["state"]["phase"] == "waiting").then_some(())
    })
    .await;
    host.signal(libc::SIGTERM);
    host.end().await;
    let without = with_keys(on_server(&server, ""), &keys("new", 2));
    let mut host = without.serve().await;
    server.run_cli(&[
        "workflow", "signal", "-w", "w", "--name", "go", "--input", "7",
    ]);
    host.logs(
        "encrypted with the key `old`, which this host does not have",
        1,
    )
    .await;
    host.signal(libc::SIGTERM);
    host.end().await;
    // Keys are replaced: the new one encrypts, and the old one still decrypts.
    let both = with_keys(
        on_server(&server, ""),
        &format!("{},{}", keys("new", 2), keys("old", 1)),
    );
    let host = both.serve().await;
    let done = becomes(&host, "w", "completed").await;
    assert_eq!(done["output"]["payload"], 7);
    assert_eq!(done["input"], json!({"signal": "go"}));
    let refused = both
        .env("PAYLOAD_KEYS", "new=c2hvcnQ=")
        .run(["config", "check"])
        .exits(2);
    assert!(
        refused.output().contains("32 bytes in base64"),
        "{refused:?}"
    );
    assert!(!refused.output().contains("c2hvcnQ"), "{refused:?}");
}
