//! Long work that asks its client: as a task, on the stream of a session, and by calling again.

use std::fs;

use exomonad_test_support::mcp::{
    McpSession, SESSIONFUL, ask_stateless, stateless, stateless_request,
};
use exomonad_test_support::{Host, Project, Response, eventually, shipped_plugin};
use serde_json::{Value, json};

const ROLE: &str = "everything";

fn project() -> Project {
    Project::new()
        .config("[role.everything]\neffects = [\"*\"]\n[workflows]\nrestarts = 0\n")
        .plugin("everything.wasm", shipped_plugin("everything"))
}

/// A client that has tasks and shows forms.
fn able() -> Value {
    json!({"elicitation": {"form": {}}, "extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// Asks as a client with these capabilities.
async fn ask(host: &Host, capabilities: Value, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": capabilities});
    let answer = ask_stateless(host, ROLE, method, params).await;
    answer.json()
}

/// Begins a task.
async fn begin(host: &Host, tool: &str, arguments: Value) -> Value {
    let call = json!({"name": tool, "arguments": arguments});
    let created = ask(host, able(), "tools/call", call).await;
    assert_eq!(created["result"]["resultType"], "task", "{created}");
    created["result"]["taskId"].clone()
}

async fn get(host: &Host, task: &Value) -> Value {
    let got = ask(host, able(), "tasks/get", json!({"taskId": task})).await;
    got["result"].clone()
}

async fn update(host: &Host, task: &Value, responses: Value) -> Value {
    let params = json!({"taskId": task, "inputResponses": responses});
    ask(host, able(), "tasks/update", params).await
}

/// The task when it does something else than to work.
async fn settled(host: &Host, task: &Value) -> Value {
    eventually("the task asks or ends", async || {
        let task = get(host, task).await;
        (task["status"] != "working").then_some(task)
    })
    .await
}

/// The task when it has ended.
async fn ended(host: &Host, task: &Value) -> Value {
    eventually("the task ends", async || {
        let task = get(host, task).await;
        (task["status"] != "working" && task["status"] != "input_required").then_some(task)
    })
    .await
}

fn keys(task: &Value) -> Vec<String> {
    let requests = task["inputRequests"].as_object();
    requests
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

fn accepted(content: Value) -> Value {
    json!({"action": "accept", "content": content})
}

fn text(result: &Value) -> &str {
    let text = result["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{result}"))
}

#[tokio::test]
async fn a_task_asks_its_client_and_goes_on_with_the_answer_also_after_a_restart() {
    let project = project();
    let mut host = project.serve().await;
    let task = begin(&host, "confirm_delete", json!({"filename": "a.txt"})).await;
    let asking = settled(&host, &task).await;
    assert_eq!(asking["status"], "input_required", "{asking}");
    let [key] = &keys(&asking)[..] else {
        panic!("{asking}");
    };
    let question = &asking["inputRequests"][key];
    assert_eq!(question["method"], "elicitation/create", "{asking}");
    assert_eq!(question["params"]["message"], "Delete a.txt?");
    // What does not fit the form is the client's mistake: the guest does not hear of it.
    for wrong in [
        json!({"action": "accept", "content": {"confirm": "yes"}}),
        json!({"action": "accept"}),
        json!({"action": "shrug"}),
        json!("accept"),
    ] {
        let refused = update(&host, &task, json!({key: wrong})).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let ignored = update(&host, &task, json!({"unknown": {"ignored": true}})).await;
    assert_eq!(ignored["result"]["resultType"], "complete", "{ignored}");
    host.signal(libc::SIGKILL);
    host.end().await;
    let host = project.serve().await;
    let asking = settled(&host, &task).await;
    assert_eq!(keys(&asking), std::slice::from_ref(key), "{asking}");
    let taken = update(
        &host,
        &task,
        json!({key: accepted(json!({"confirm": true}))}),
    )
    .await;
    assert_eq!(taken["result"]["resultType"], "complete", "{taken}");
    assert_eq!(taken["result"].get("status"), None, "{taken}");
    let done = ended(&host, &task).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert!(text(&done["result"]).contains("deleted a.txt"), "{done}");
    // Once more, and to a task that has ended: nothing happens.
    let again = update(
        &host,
        &task,
        json!({key: accepted(json!({"confirm": false}))}),
    )
    .await;
    assert_eq!(again["result"]["resultType"], "complete", "{again}");
}

#[tokio::test]
async fn questions_that_were_asked_at_once_can_be_answered_one_by_one() {
    let project = project();
    let host = project.serve().await;
    let task = begin(&host, "multi_input", json!({})).await;
    let asking = settled(&host, &task).await;
    let [one, other] = &keys(&asking)[..] else {
        panic!("{asking}");
    };
    let name = asking["inputRequests"][one]["params"]["message"] == "What is your name?";
    let content = |is_name: bool| match is_name {
        true => accepted(json!({"name": "Ada"})),
        false => accepted(json!({"confirm": true})),
    };
    update(&host, &task, json!({one: content(name)})).await;
    let asking = get(&host, &task).await;
    assert_eq!(asking["status"], "input_required", "{asking}");
    assert_eq!(keys(&asking), std::slice::from_ref(other), "{asking}");
    // The first answer counts.
    let again = json!({one: {"action": "decline"}, other: content(!name)});
    update(&host, &task, again).await;
    let done = ended(&host, &task).await;
    assert!(text(&done["result"]).contains("2 of 2"), "{done}");
}

#[tokio::test]
async fn a_task_that_asks_can_be_cancelled_and_one_whose_client_cannot_be_asked_is_told_so() {
    let project = project();
    let host = project.serve().await;
    let task = begin(&host, "confirm_delete", json!({"filename": "b.txt"})).await;
    let asking = settled(&host, &task).await;
    assert_eq!(asking["status"], "input_required", "{asking}");
    ask(&host, able(), "tasks/cancel", json!({"taskId": task})).await;
    let cancelled = ended(&host, &task).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    assert_eq!(cancelled.get("inputRequests"), None, "{cancelled}");
    let unable = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let call = json!({"name": "confirm_delete", "arguments": {"filename": "c.txt"}});
    let created = ask(&host, unable, "tools/call", call).await;
    let failed = ended(&host, &created["result"]["taskId"]).await;
    assert_eq!(failed["result"]["isError"], true, "{failed}");
    assert!(text(&failed["result"]).contains("elicitation"), "{failed}");
    // Nobody started this one that could be asked.
    let input = json!({"filename": "d.txt"});
    let start = json!({"role": ROLE, "workflow": "confirm_delete", "input": input});
    let started = host.post("/workflows", start.to_string()).await;
    let failed = ended(&host, &started.json()["workflowId"]).await;
    assert_eq!(failed["result"]["isError"], true, "{failed}");
}

#[tokio::test]
async fn a_client_without_tasks_waits_and_is_asked_meanwhile() {
    let project = project();
    let host = project.serve().await;
    let forms = || json!({"elicitation": {"form": {}}});
    let call = json!({"name": "confirm_delete", "arguments": {"filename": "e.txt"}});
    // In a session, on the stream of its call.
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, forms()).await;
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let mut stream = session.stream(&message).await;
    let (_, asked) = stream.message().await;
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let result = accepted(json!({"confirm": true}));
    session
        .send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
        .await;
    let (_, answer) = stream.message().await;
    assert!(
        text(&answer["result"]).contains("deleted e.txt"),
        "{answer}"
    );
    // Without one, by calling again.
    let asking = ask(&host, forms(), "tools/call", call.clone()).await["result"].clone();
    assert_eq!(asking["resultType"], "input_required", "{asking}");
    let [key] = &keys(&asking)[..] else {
        panic!("{asking}");
    };
    let mut again = call.clone();
    again["requestState"] = asking["requestState"].clone();
    again["inputResponses"] = json!({key: accepted(json!({"confirm": 1}))});
    let refused = ask(&host, forms(), "tools/call", again.clone()).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    again["inputResponses"] = json!({key: accepted(json!({"confirm": false}))});
    let done = ask(&host, forms(), "tools/call", again).await;
    assert!(text(&done["result"]).contains("kept e.txt"), "{done}");
}

#[tokio::test]
async fn a_tool_that_has_asked_hands_over_to_a_workflow() {
    let project = project();
    let host = project.serve().await;
    let forms = json!({"elicitation": {"form": {}}});
    for capabilities in [able(), forms] {
        let call = json!({"name": "test_tool_with_task"});
        let asking = ask(&host, capabilities.clone(), "tools/call", call.clone()).await;
        let asking = &asking["result"];
        assert_eq!(asking["resultType"], "input_required", "{asking}");
        assert_eq!(asking.get("taskId"), None, "{asking}");
        let mut again = call;
        again["requestState"] = asking["requestState"].clone();
        again["inputResponses"] = json!({"user_name": accepted(json!({"name": "Alice"}))});
        let answer = ask(&host, capabilities, "tools/call", again).await["result"].clone();
        let result = match answer["resultType"] == "task" {
            true => ended(&host, &answer["taskId"]).await["result"].clone(),
            false => answer,
        };
        assert!(text(&result).contains("Hello, Alice!"), "{result}");
    }
}

#[tokio::test]
async fn a_task_is_its_caller_s_alone_and_what_is_done_to_it_has_a_line_in_the_audit() {
    let config = "[role.everything]\neffects = [\"*\"]\n[audit]\nfile = 'calls.jsonl'\n";
    let operator = "the-token-of-whoever-runs-this-host";
    let project = Project::new()
        .config(config)
        .env("EXOMONAD_TOKEN", operator)
        .plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    let [alice, bob] = ["alice", "bob"].map(|name| {
        let made = project.run(["token", "new", name, "--role", ROLE]);
        made.exits(0).stdout.trim().to_owned()
    });
    let ask_as = async |token: &str, method: &str, mut params: Value| {
        params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": able()});
        let message = stateless(method, params);
        let request = stateless_request(&host, ROLE, &message).bearer_auth(token);
        Response::of(request).await.json()
    };
    let call = json!({"name": "confirm_delete", "arguments": {"filename": "prod.db"}});
    let created = ask_as(&alice, "tools/call", call).await;
    let task = created["result"]["taskId"].clone();
    let asking = eventually("the task asks", async || {
        let task = ask_as(&alice, "tasks/get", json!({"taskId": task})).await;
        (task["result"]["status"] == "input_required").then_some(task["result"].clone())
    })
    .await;
    let answer = json!({&keys(&asking)[0]: accepted(json!({"confirm": true}))});
    for (method, params) in [
        ("tasks/get", json!({"taskId": task})),
        (
            "tasks/update",
            json!({"taskId": task, "inputResponses": answer}),
        ),
        ("tasks/cancel", json!({"taskId": task})),
    ] {
        let refused = ask_as(&bob, method, params).await;
        assert_eq!(refused["error"]["code"], -32602, "{method}: {refused}");
    }
    let seen = ask_as(operator, "tasks/get", json!({"taskId": task})).await;
    assert_eq!(seen["result"]["status"], "input_required", "{seen}");
    let update = json!({"taskId": task, "inputResponses": answer});
    let taken = ask_as(&alice, "tasks/update", update).await;
    assert_eq!(taken["result"]["resultType"], "complete", "{taken}");
    eventually("the task ends", async || {
        let task = ask_as(&alice, "tasks/get", json!({"taskId": task})).await;
        (task["result"]["status"] == "completed").then_some(())
    })
    .await;
    let lines = eventually("the lines are in the file", async || {
        let text = fs::read_to_string(project.path("calls.jsonl")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        (lines.len() >= 2).then_some(lines)
    })
    .await;
    let told = |line: &Value| {
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        ["principal", "kind", "name", "outcome"].map(field)
    };
    let expected = [
        ["token:alice", "tool", "confirm_delete", "ok"],
        ["token:alice", "task update", "confirm_delete", "ok"],
    ];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected);
}
