//! Durable workflows, over HTTP: they wait, hear signals, start again where their host was killed.

use std::fs;

use exomonad_test_support::{Host, Project, Response, WebServer, eventually};
use serde_json::{Value, json};

/// The grants that the plugin of small workflows needs.
pub const EFFECTS: &str =
    "effects = ['kv.*', 'clock.*', 'random.*', 'log.*', 'http.*', 'workflow.*']";

/// A project whose role `flows` has the plugin of small workflows.
pub fn flows(more: &str) -> Project {
    Project::new()
        .config(&format!(
            "[role.flows]\nplugin = 'workflows'\n{EFFECTS}\n{more}"
        ))
        .plugin("workflows.wasm", plugin())
}

/// The plugin of small workflows.
pub fn plugin() -> Vec<u8> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/dist/workflows.wasm"
    );
    fs::read(file).unwrap()
}

/// Starts a workflow and gives the answer.
pub async fn try_start(host: &Host, workflow: &str, id: &str, input: Value) -> Response {
    let body = json!({"role": "flows", "workflow": workflow, "workflowId": id, "input": input});
    host.post("/workflows", body.to_string()).await
}

/// Starts a workflow.
pub async fn start(host: &Host, workflow: &str, id: &str, input: Value) -> Value {
    let started = try_start(host, workflow, id, input).await;
    assert_eq!(started.status, 201, "{started:?}");
    started.json()
}

/// The newest run of a workflow's id.
pub async fn run(host: &Host, id: &str) -> Value {
    let answer = host.get(&format!("/workflows/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until a run has this status.
pub async fn becomes(host: &Host, id: &str, status: &str) -> Value {
    eventually(&format!("{id} is {status}"), async || {
        let run = run(host, id).await;
        (run["status"] == status).then_some(run)
    })
    .await
}

/// Waits until a run has ended with an output.
pub async fn output(host: &Host, id: &str) -> Value {
    let run = eventually(&format!("{id} ends"), async || {
        let run = run(host, id).await;
        (!run["endedUnixMillis"].is_null() || run["status"] == "stuck").then_some(run)
    })
    .await;
    assert_eq!(run["status"], "completed", "{run}");
    run["output"].clone()
}

/// Does something with a run.
pub async fn act(host: &Host, id: &str, what: &str, body: Value) -> Response {
    host.post(&format!("/workflows/{id}/{what}"), body.to_string())
        .await
}

/// Sends a signal.
pub async fn signal(host: &Host, id: &str, name: &str, payload: Value) {
    let sent = act(
        host,
        id,
        "signal",
        json!({"name": name, "payload": payload}),
    )
    .await;
    assert_eq!(sent.status, 200, "{sent:?}");
}

/// The whole history of a run.
pub async fn history(host: &Host, id: &str) -> Vec<Value> {
    let answer = host
        .get(&format!("/workflows/{id}/history?limit=1000"))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_workflow_does_its_steps_and_its_history_shows_each_with_its_answer() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "steps", "a", json!({"count": 3, "kind": "kv"})).await;
    assert_eq!(output(&host, "a").await, json!({"count": 3}));
    let history = history(&host, "a").await;
    let steps: Vec<_> = history
        .iter()
        .map(|entry| {
            (
                entry["kind"].as_str().unwrap(),
                entry["name"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(steps, [("done", "kv.set"); 3], "{history:?}");
    assert_eq!(history[2]["step"], 2);
    assert_eq!(history[2]["request"]["json"]["value"], 3, "{history:?}");
    assert_eq!(history[2]["answer"]["json"]["kind"], "Success");
    start(&host, "steps", "b", json!({"count": 500, "kind": "read"})).await;
    assert_eq!(output(&host, "b").await, json!({"count": 500}));
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_with_its_place() {
    let project = flows("");
    let host = project.serve().await;
    let wrong = try_start(&host, "steps", "a", json!({"count": "many", "kind": "kv"})).await;
    let told = wrong.problem(422, "invalid_input");
    assert!(told.contains("/count"), "{told}");
    let unknown = try_start(&host, "step", "a", json!({})).await;
    let told = unknown.problem(404, "not_found");
    assert!(told.contains("did you mean `steps`"), "{told}");
    let body = json!({"role": "nobody", "workflow": "steps"});
    let role = host.post("/workflows", body.to_string()).await;
    role.problem(404, "role_not_found");
    for path in ["/workflows/a", "/workflows/a/history"] {
        host.get(path).await.problem(404, "not_found");
    }
    assert_eq!(host.get("/workflows").await.json()["runs"], json!([]));
    host.get("/workflows?status=lost")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn an_id_is_open_once_and_starting_it_again_finds_the_run() {
    let project = flows("");
    let host = project.serve().await;
    let input = json!({"signal": "go"});
    let first = start(&host, "wait_for", "a", input.clone()).await;
    let again = try_start(&host, "wait_for", "a", input.clone()).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["runId"], first["runId"]);
    assert_eq!(again.json()["started"], false);
    signal(&host, "a", "go", json!(1)).await;
    output(&host, "a").await;
    let next = start(&host, "wait_for", "a", input).await;
    assert_ne!(next["runId"], first["runId"]);
    let old = host
        .get(&format!("/workflows/{}", first["runId"].as_str().unwrap()))
        .await;
    assert_eq!(old.json()["status"], "completed");
    let listed = host
        .get("/workflows?workflowId=a&status=completed")
        .await
        .json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn an_id_names_one_thing_alone() {
    let project = flows("");
    let host = project.serve().await;
    let go = json!({"signal": "go"});
    let victim = start(&host, "wait_for", "victim", go.clone()).await;
    let run_id = victim["runId"].as_str().unwrap();
    // Neither the id of a run, nor that of a run of another workflow.
    let taken = try_start(&host, "sleeper", run_id, json!({"millis": 1})).await;
    let told = taken.problem(409, "conflict");
    assert!(told.contains("is the id of a run"), "{told}");
    let other = try_start(&host, "sleeper", "victim", json!({"millis": 1})).await;
    let told = other.problem(409, "conflict");
    assert!(told.contains("`wait_for`"), "{told}");
    for unusable in [".", "..", " ", "a\nb", "a\u{0}"] {
        let refused = try_start(&host, "wait_for", unusable, go.clone()).await;
        refused.problem(422, "invalid_input");
    }
    // One that was started without an id has that of its run, also once it was continued.
    let body = json!({"role": "flows", "workflow": "wait_for", "input": go});
    let unnamed = host.post("/workflows", body.to_string()).await.json();
    let run_id = unnamed["runId"].as_str().unwrap();
    assert_eq!(unnamed["workflowId"], run_id);
    signal(&host, run_id, "go", json!(1)).await;
    output(&host, run_id).await;
    let again = try_start(&host, "wait_for", run_id, json!({"signal": "go"})).await;
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(run(&host, run_id).await["runId"], again.json()["runId"]);
}

#[tokio::test]
async fn a_body_is_an_object_or_left_out_where_nothing_has_to_be_said() {
    let project = flows("");
    let host = project.serve().await;
    let list = host
        .post("/workflows", r#"["flows", "sleeper", {"millis": 5}, null]"#)
        .await;
    let told = list.problem(400, "invalid_request");
    assert!(told.contains("a list"), "{told}");
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    let long = json!({"reason": "r".repeat(2001)});
    act(&host, "a", "terminate", long)
        .await
        .problem(400, "invalid_request");
    let ended = host.post("/workflows/a/terminate", "").await;
    assert_eq!(ended.status, 200, "{ended:?}");
    becomes(&host, "a", "terminated").await;
}

#[tokio::test]
async fn a_run_waits_for_a_signal_tells_how_far_it_is_and_goes_on() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    let waiting = becomes(&host, "a", "waiting").await;
    assert_eq!(waiting["state"]["phase"], "waiting", "{waiting}");
    let asked = act(&host, "a", "query", json!({"name": "progress"})).await;
    assert_eq!(asked.json(), json!({"value": "waiting"}));
    let unknown = act(&host, "a", "query", json!({"name": "progres"})).await;
    assert!(unknown.problem(404, "not_found").contains("progress"));
    signal(&host, "a", "other", json!(1)).await;
    signal(&host, "a", "go", json!({"from": "ada"})).await;
    assert_eq!(output(&host, "a").await["payload"], json!({"from": "ada"}));
    let late = act(&host, "a", "signal", json!({"name": "go"})).await;
    late.problem(404, "not_found");
}

#[tokio::test]
async fn a_wait_has_an_end_and_a_sleep_takes_its_time() {
    let project = flows("");
    let host = project.serve().await;
    start(
        &host,
        "wait_for",
        "a",
        json!({"signal": "go", "timeoutMillis": 50}),
    )
    .await;
    start(&host, "sleeper", "b", json!({"millis": 3000})).await;
    assert_eq!(output(&host, "a").await["phase"], "timed_out");
    let sleeping = becomes(&host, "b", "sleeping").await;
    let wakes = sleeping["wakesUnixMillis"].as_i64().unwrap();
    let began = sleeping["beganUnixMillis"].as_i64().unwrap();
    assert_eq!(wakes - began, 3000, "{sleeping}");
    output(&host, "b").await;
    let ended = run(&host, "b").await["endedUnixMillis"].as_i64().unwrap();
    assert!(ended >= wakes, "{ended} {wakes}");
    // The history has the timer's time from its begin on.
    let history = history(&host, "b").await;
    assert_eq!(history[0]["kind"], "fired");
    assert_eq!(history[0]["sinceUnixMillis"], began, "{history:?}");
}

#[tokio::test]
async fn steps_run_beside_each_other_and_a_race_has_one_winner() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "parallel", "a", json!({"n": 8, "millis": 20})).await;
    let output = output(&host, "a").await;
    assert_eq!(
        (&output["timers"], &output["writes"]),
        (&json!(8), &json!(8)),
        "{output}"
    );
}

#[tokio::test]
async fn children_end_before_their_parent_and_have_ids_of_their_own() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "spawns", "a", json!({"children": 5, "millis": 20})).await;
    assert_eq!(output(&host, "a").await, json!({"count": 5}));
    let children = host.get("/workflows?workflow=sleeper").await.json();
    assert_eq!(children["runs"].as_array().unwrap().len(), 5);
    assert_eq!(output(&host, "a%2F3").await, json!({"millis": 20}));
}

#[tokio::test]
async fn a_run_that_is_asked_to_cancel_cleans_up_and_its_children_hear_of_it() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "compensates", "a", json!(null)).await;
    becomes(&host, "a", "waiting").await;
    assert_eq!(act(&host, "a", "cancel", json!(null)).await.status, 200);
    becomes(&host, "a", "cancelled").await;
    let names: Vec<_> = history(&host, "a")
        .await
        .iter()
        .map(|entry| entry["kind"].clone())
        .collect();
    assert!(names.contains(&json!("cancel")), "{names:?}");
    act(&host, "a", "cancel", json!(null))
        .await
        .problem(409, "conflict");
    start(
        &host,
        "spawns",
        "b",
        json!({"children": 2, "millis": 600_000}),
    )
    .await;
    becomes(&host, "b", "waiting").await;
    becomes(&host, "b%2F1", "sleeping").await;
    assert_eq!(act(&host, "b", "cancel", json!(null)).await.status, 200);
    becomes(&host, "b", "cancelled").await;
    for child in ["b%2F0", "b%2F1"] {
        becomes(&host, child, "cancelled").await;
    }
}

#[tokio::test]
async fn a_run_can_be_ended_from_outside() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    let ended = act(&host, "a", "terminate", json!({"reason": "not needed"})).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let run = run(&host, "a").await;
    assert_eq!(
        (&run["status"], &run["error"]["message"]),
        (&json!("terminated"), &json!("not needed")),
        "{run}"
    );
}

#[tokio::test]
async fn a_failure_of_the_workflow_is_its_end_with_code_and_message() {
    let project = flows("");
    let host = project.serve().await;
    start(
        &host,
        "fails",
        "a",
        json!({"code": "out_of_milk", "message": "no milk"}),
    )
    .await;
    let failed = becomes(&host, "a", "failed").await;
    assert_eq!(
        failed["error"],
        json!({"code": "out_of_milk", "message": "no milk"})
    );
}

#[tokio::test]
async fn a_step_is_tried_again_until_it_succeeds_and_its_history_shows_the_attempts() {
    let web = WebServer::answering("found");
    let project = flows("hosts = ['127.0.0.1']\n");
    let host = project.serve().await;
    // Nobody listens there.
    let input = json!({"url": "http://127.0.0.1:9/", "attempts": 3, "firstWaitMillis": 10});
    start(&host, "retries", "a", input).await;
    let failed = eventually("it fails", async || {
        let run = run(&host, "a").await;
        (run["status"] == "failed").then_some(run)
    });
    let failed = failed.await;
    let attempts = history(&host, "a").await;
    let kinds: Vec<_> = attempts
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["attempt", "attempt", "done"],
        "{failed} {attempts:?}"
    );
    let input = json!({"url": web.url(), "attempts": 3});
    start(&host, "retries", "b", input).await;
    assert_eq!(
        output(&host, "b").await,
        json!({"status": 200, "body": "found"})
    );
}

#[tokio::test]
async fn time_and_randomness_are_the_runs_own_however_often_it_is_resumed() {
    let project = flows("");
    let host = project.serve().await;
    start(&host, "random_and_time", "a", json!({"millis": 2500})).await;
    let slept = output(&host, "a").await;
    let between =
        slept["afterUnixMillis"].as_i64().unwrap() - slept["beforeUnixMillis"].as_i64().unwrap();
    assert!(between >= 2500, "{slept}");
    start(&host, "random_and_time", "b", json!({"millis": 0})).await;
    assert_ne!(output(&host, "b").await["random"], slept["random"]);
    // Logged once, though the code ran twice.
    start(&host, "writes_log", "c", json!({"millis": 2500})).await;
    output(&host, "c").await;
    let log = host.log();
    assert_eq!(log.matches("before the sleep").count(), 1, "{log}");
    assert_eq!(log.matches("after the sleep").count(), 1, "{log}");
}

#[tokio::test]
async fn a_run_continues_as_a_new_one_with_its_state() {
    let project = flows("");
    let host = project.serve().await;
    let first = start(&host, "continues", "a", json!({"rounds": 4})).await;
    let total = eventually("the last round", async || {
        let run = run(&host, "a").await;
        (run["status"] == "completed").then_some(run)
    });
    let last = total.await;
    assert_eq!(last["output"], json!({"total": 4}), "{last}");
    let old = host
        .get(&format!("/workflows/{}", first["runId"].as_str().unwrap()))
        .await
        .json();
    assert_eq!(old["status"], "continued");
    assert!(
        old["continuedTo"].is_string() && last["continuedFrom"].is_string(),
        "{old}"
    );
}

#[tokio::test]
async fn a_tool_starts_a_workflow_and_hears_how_it_is() {
    let project = flows("");
    let host = project.serve().await;
    let started = host
        .tool(
            "flows",
            "start_sleeper",
            json!({"workflowId": "a", "millis": 10}),
        )
        .await;
    assert!(!started.is_error(), "{}", started.text());
    output(&host, "a").await;
    let status = host
        .tool("flows", "workflow_status", json!({"workflowId": "a"}))
        .await;
    assert!(status.text().contains("completed"), "{}", status.text());
}

#[tokio::test]
async fn a_role_sees_its_own_runs_alone() {
    let role = |name| format!("[role.{name}]\n{EFFECTS}\nplugin = 'workflows'\n");
    let project = Project::new()
        .config(&(role("flows") + &role("other")))
        .plugin("workflows.wasm", plugin());
    let host = project.serve().await;
    start(&host, "sleeper", "a", json!({"millis": 0})).await;
    let body =
        json!({"role": "other", "workflow": "sleeper", "workflowId": "a", "input": {"millis": 0}});
    assert_eq!(host.post("/workflows", body.to_string()).await.status, 201);
    host.get("/workflows/a").await.problem(409, "conflict");
    let one = host.get("/workflows/a?role=other").await.json();
    assert_eq!(one["role"], "other");
    let listed = host.get("/workflows?role=flows").await.json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn a_workflow_that_is_a_tool_is_listed_and_its_answer_describes_the_run() {
    let project = flows("limits = { wall_time = '400ms' }\n");
    let host = project.serve().await;
    let listed = host.get("/role/flows/mcp/tools").await.json();
    let tools = listed["tools"].as_array().unwrap().iter();
    let tool = tools
        .clone()
        .find(|tool| tool["name"] == "sleeper")
        .unwrap();
    assert_eq!(tool["inputSchema"]["required"], json!(["millis"]), "{tool}");
    let done = host.tool("flows", "sleeper", json!({"millis": 20})).await;
    assert!(!done.is_error(), "{}", done.text());
    assert_eq!(done.structured()["status"], "completed");
    assert_eq!(done.structured()["output"], json!({"millis": 20}));
    // One that takes longer than a call may goes on.
    let long = host.tool("flows", "sleeper", json!({"millis": 3000})).await;
    assert!(!long.is_error(), "{}", long.text());
    let id = long.structured()["workflowId"].as_str().unwrap().to_owned();
    assert!(long.text().contains(&id), "{}", long.text());
    assert_eq!(output(&host, &id).await, json!({"millis": 3000}));
    let wrong = host.call("flows", "sleeper", json!({"millis": "x"})).await;
    wrong.problem(422, "invalid_arguments");
}

#[tokio::test]
async fn a_role_s_token_reaches_its_own_runs_alone() {
    let role = |name: &str| {
        format!("[role.{name}]\n{EFFECTS}\nplugin = 'workflows'\ntoken_env = '{name}'\n")
    };
    let tokens = ["flows", "other"].map(|name| format!("{name}-0123456789abcdefghij"));
    let project = Project::new()
        .config(&(role("flows") + &role("other")))
        .plugin("workflows.wasm", plugin())
        .env("flows", tokens[0].as_str())
        .env("other", tokens[1].as_str());
    let host = project.serve().await.with_token(&tokens[0]);
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&host, "a", "waiting").await;
    let id = run(&host, "a").await["runId"].as_str().unwrap().to_owned();
    let host = host.with_token(&tokens[1]);
    assert_eq!(host.get("/workflows").await.json()["runs"], json!([]));
    host.get("/workflows?role=flows")
        .await
        .problem(401, "unauthorized");
    try_start(&host, "sleeper", "b", json!({"millis": 0}))
        .await
        .problem(401, "unauthorized");
    // As if it was not there.
    for named in ["a", id.as_str()] {
        host.get(&format!("/workflows/{named}"))
            .await
            .problem(404, "not_found");
        for act_on in ["signal", "query", "repair"] {
            let body = json!({"name": "go", "retry": true});
            let answer = act(&host, named, act_on, body).await;
            assert_eq!(answer.status, 404, "{act_on}: {answer:?}");
        }
        act(&host, named, "terminate", json!({}))
            .await
            .problem(404, "not_found");
        act(&host, named, "cancel", json!(null))
            .await
            .problem(404, "not_found");
    }
    let host = host.with_token(&tokens[0]);
    assert_eq!(run(&host, "a").await["status"], "waiting");
}

#[tokio::test]
async fn a_signal_that_is_sent_again_is_taken_once_also_after_it_was_taken() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    becomes(&host, "a", "waiting").await;
    let other = json!({"name": "other", "payload": 1, "requestId": "once"});
    for round in 0..3 {
        let sent = act(&host, "a", "signal", other.clone()).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        // It is taken into the history before it is sent again.
        eventually("the signal is taken", async || {
            let history = history(&host, "a").await;
            (!history.is_empty()).then_some(())
        })
        .await;
        if round == 1 {
            host.signal(libc::SIGKILL);
            host.end().await;
            host = project.serve().await;
        }
    }
    signal(&host, "a", "other", json!(2)).await;
    signal(&host, "a", "go", json!(3)).await;
    output(&host, "a").await;
    let payloads: Vec<_> = history(&host, "a")
        .await
        .iter()
        .filter(|entry| entry["kind"] == "signal")
        .map(|entry| entry["answer"]["json"].clone())
        .collect();
    assert_eq!(payloads, [json!(1), json!(2), json!(3)]);
    // The next run of the id is another one.
    start(&host, "wait_for", "a", json!({"signal": "other"})).await;
    assert_eq!(act(&host, "a", "signal", other).await.status, 200);
    assert_eq!(output(&host, "a").await["payload"], 1);
}

#[tokio::test]
async fn a_signal_to_a_run_that_has_ended_does_not_reach_the_next_one_of_its_workflow() {
    let project = flows("");
    let host = project.serve().await;
    let first = start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    let first = first["runId"].as_str().unwrap();
    // By its run id while it is open.
    signal(&host, first, "go", json!(1)).await;
    output(&host, "a").await;
    let go = json!({"name": "go", "payload": 2});
    let told = act(&host, first, "signal", go.clone()).await;
    let told = told.problem(409, "conflict");
    assert!(told.ends_with("has ended: it is completed"), "{told}");
    let second = start(&host, "wait_for", "a", json!({"signal": "go"})).await;
    let second = second["runId"].as_str().unwrap();
    for (what, body) in [
        ("signal", &go),
        ("terminate", &json!({})),
        ("cancel", &json!(null)),
    ] {
        let told = act(&host, first, what, body.clone()).await;
        let told = told.problem(409, "conflict");
        assert!(told.contains(&format!("run {second} is open")), "{told}");
    }
    becomes(&host, second, "waiting").await;
    assert_eq!(history(&host, second).await.len(), 0);
    signal(&host, "a", "go", json!(3)).await;
    assert_eq!(output(&host, second).await["payload"], 3);
    let described = &host.get("/openapi.json").await.json()["paths"];
    for what in ["signal", "query", "cancel", "terminate", "repair"] {
        let route = &described[format!("/workflows/{{id}}/{what}")]["post"];
        let mut parameters = route["parameters"].as_array().unwrap().iter();
        assert!(
            parameters.any(|parameter| parameter["name"] == "role" && parameter["in"] == "query"),
            "{route}"
        );
    }
}
