//! Resources, prompts, and what a guest says to its client and asks it, in both eras: the plugin `everything`.

use exomonad_test_support::mcp::{
    EventStream, McpSession, SESSIONFUL, ask_stateless, mcp_path, stateless, stateless_request,
};
use exomonad_test_support::{
    Guest, Host, OWN_TEXT, Project, Response, eventually, shipped_plugin, tool_named,
};
use reqwest::Method;
use serde_json::{Value, json};

const ROLE: &str = "everything";

/// A client that can be asked everything.
fn able() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}})
}

/// The plugin with all grants, and more of the configuration.
async fn everything(more: &str) -> (Project, Host) {
    let config = format!("[role.everything]\neffects = [\"*\"]\n{more}");
    let project = Project::new()
        .config(&config)
        .plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    (project, host)
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// Calls a tool of the stateless era as a client that can be asked everything.
async fn call(host: &Host, tool: &str, more: Value) -> Value {
    let mut params =
        json!({"name": tool, "_meta": {"io.modelcontextprotocol/clientCapabilities": able()}});
    for (name, value) in more.as_object().into_iter().flatten() {
        params[name] = value.clone();
    }
    ask_stateless(host, ROLE, "tools/call", params).await.json()
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{result}"))
}

#[tokio::test]
async fn resources_are_listed_read_and_completed_in_both_eras() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let capabilities = &session.initialized["capabilities"];
    assert_eq!(
        capabilities,
        &json!({
            "tools": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
            "prompts": {"listChanged": true},
            "completions": {},
            "logging": {}
        })
    );
    let both = async |method: &str, params: Value| {
        let with = session.ask(method, params.clone()).await;
        let without = ask_stateless(&host, ROLE, method, params).await.json();
        [with, without].map(|answer| answer["result"].clone())
    };
    for result in both("resources/list", json!({})).await {
        let uris: Vec<&str> = result["resources"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|resource| resource["uri"].as_str())
            .collect();
        assert_eq!(
            uris,
            [
                "test://static-text",
                "test://static-binary",
                "test://watched-resource"
            ]
        );
        assert_eq!(result["resources"][0]["title"], "Static text");
    }
    for result in both("resources/templates/list", json!({"cursor": ""})).await {
        let template = &result["resourceTemplates"][0];
        assert_eq!(
            template["uriTemplate"], "test://template/{id}/data",
            "{result}"
        );
    }
    for result in both(
        "resources/read",
        json!({"uri": "test://template/a%20b/data"}),
    )
    .await
    {
        let content = &result["contents"][0];
        assert_eq!(content["mimeType"], "application/json", "{result}");
        let data: Value = serde_json::from_str(content["text"].as_str().unwrap()).unwrap();
        assert_eq!(data["id"], "a b");
    }
    for result in both("resources/read", json!({"uri": "test://static-binary"})).await {
        assert!(
            result["contents"][0]["blob"]
                .as_str()
                .unwrap()
                .starts_with("iVBORw0KGgo")
        );
    }
    let of_variable = json!({
        "ref": {"type": "ref/resource", "uri": "test://template/{id}/data"},
        "argument": {"name": "id", "value": "12"}
    });
    for result in both("completion/complete", of_variable).await {
        assert_eq!(
            result["completion"]["values"],
            json!(["12", "123"]),
            "{result}"
        );
    }
    let read = json!({"uri": "test://static-text"});
    let cached = ask_stateless(&host, ROLE, "resources/read", read)
        .await
        .json();
    assert_eq!(cached["result"]["cacheScope"], "private", "{cached}");
}

#[tokio::test]
async fn icons_and_metadata_reach_the_client_as_the_plugin_gives_them() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let named = |listed: &Value, name: &str| {
        let mut entries = listed.as_array().into_iter().flatten();
        let found = entries.find(|entry| entry["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {listed}")).clone()
    };
    let tools = session.ask("tools/list", json!({})).await["result"]["tools"].clone();
    let icons = &named(&tools, "test_simple_text")["icons"];
    assert_eq!(icons[0]["src"], "https://exomonad.example/text.svg");
    assert_eq!(icons[1]["mimeType"], "image/png", "{icons}");
    assert_eq!(
        (&icons[1]["sizes"], &icons[1]["theme"]),
        (&json!(["1x1"]), &json!("light"))
    );
    assert!(named(&tools, "slow_compute")["icons"].is_array());
    assert_eq!(named(&tools, "greet").get("icons"), None);
    let prompts = session.ask("prompts/list", json!({})).await["result"]["prompts"].clone();
    assert!(named(&prompts, "test_simple_prompt")["icons"].is_array());
    let resources = session.ask("resources/list", json!({})).await["result"]["resources"].clone();
    assert!(named(&resources, "static_text")["icons"].is_array());
    let mut tool = tool_named("answer");
    tool["_meta"] = json!({"ui": {"resourceUri": "ui://a"}});
    tool["annotations"] = json!({"readOnlyHint": true});
    tool["outputSchema"] = json!({"type": "object"});
    let output = r#"{"content":[],"structuredContent":{},"_meta":{"a":1}}"#;
    let guest = Guest::answering("x").tools(json!([tool])).output(output);
    let project = Project::new().plugin("other.wasm", guest.wasm());
    let host = project.serve().await;
    let listed = ask_stateless(&host, "other", "tools/list", json!({}))
        .await
        .json();
    let listed = &listed["result"]["tools"][0];
    for member in ["_meta", "annotations", "outputSchema"] {
        assert_eq!(listed[member], tool[member], "{listed}");
    }
    let session = McpSession::begin(&host, "other", SESSIONFUL).await;
    let called = session.ask("tools/call", json!({"name": "answer"})).await;
    assert_eq!(called["result"]["_meta"]["a"], 1, "{called}");
}

#[tokio::test]
async fn a_resource_that_is_not_there_is_the_error_of_its_era() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let read = json!({"uri": "test://nowhere"});
    let with = session.ask("resources/read", read.clone()).await;
    let without = ask_stateless(&host, ROLE, "resources/read", read).await;
    assert_eq!(with["error"]["code"], -32002, "{with}");
    assert_eq!(
        (without.status, &without.json()["error"]["code"]),
        (200, &json!(-32602))
    );
    assert_eq!(without.json()["error"]["data"]["uri"], "test://nowhere");
    for wrong in [json!({}), json!({"uri": 7}), json!({"uri": ""})] {
        let refused = session.ask("resources/read", wrong).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

#[tokio::test]
async fn prompts_take_texts_and_say_what_is_missing() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let listed = session.ask("prompts/list", json!({})).await;
    let prompts = listed["result"]["prompts"].as_array().unwrap();
    assert_eq!(
        prompts[1]["arguments"],
        json!([
            {"name": "arg1", "description": "First test argument", "required": true},
            {"name": "arg2", "description": "Second test argument", "required": true}
        ])
    );
    let get =
        json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}});
    let got = session.ask("prompts/get", get.clone()).await;
    let message = json!({"role": "user", "content": {"type": "text", "text": "Prompt with arguments: arg1='a', arg2='b'"}});
    assert_eq!(got["result"]["messages"], json!([message]), "{got}");
    let got = ask_stateless(&host, ROLE, "prompts/get", get).await.json();
    assert_eq!(got["result"]["resultType"], "complete", "{got}");
    for wrong in [
        json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a"}}),
        json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": 7}}),
        json!({"name": "test_prompt_with_arguments", "arguments": []}),
        json!({"name": "no_such_prompt"}),
        json!({}),
    ] {
        let refused = session.ask("prompts/get", wrong).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let complete = json!({
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"}
    });
    let completed = session.ask("completion/complete", complete).await;
    assert_eq!(
        completed["result"]["completion"]["values"],
        json!(["paris", "park", "party"]),
        "{completed}"
    );
}

#[tokio::test]
async fn a_plugin_without_the_exports_has_neither_the_methods_nor_the_capabilities() {
    let project = Project::new().plugin("greeter.wasm", Guest::answering("hello").wasm());
    let host = project.serve().await;
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    assert_eq!(
        session.initialized["capabilities"],
        json!({"tools": {"listChanged": true}})
    );
    for method in [
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
    ] {
        let params = json!({
            "uri": "a", "name": "a", "level": "info",
            "ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "a", "value": ""}
        });
        let answer = session.ask(method, params.clone()).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
        let answer = ask_stateless(&host, "greeter", method, params).await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_guest_pages_its_list_and_an_answer_of_its_own_goes_out_as_it_wrote_it() {
    // What the host does not know of stays, too: the guest's own members and spacing.
    let listed =
        r#"{"resources": [{"uri":"a:b","name":"n","_meta":{"x": 1.10}}], "nextCursor":"2"}"#;
    let output = format!(
        "(call $give (call $block (i32.const {OWN_TEXT}) (i32.const {})))",
        listed.len()
    );
    let guest = Guest::answering("hello")
        .text(listed)
        .export("handle_list_resources", &output);
    let project = Project::new().plugin("pages.wasm", guest.wasm());
    let host = project.serve().await;
    let session = McpSession::begin(&host, "pages", SESSIONFUL).await;
    let answer = session
        .send(&request(1, "resources/list", json!({})))
        .await
        .text();
    assert_eq!(
        answer,
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{listed}}}"#)
    );
    // It lists resources, and no templates of them.
    let templates = session.ask("resources/templates/list", json!({})).await;
    assert_eq!(templates["result"], json!({"resourceTemplates": []}));
}

#[tokio::test]
async fn progress_and_lines_come_before_the_answer_if_the_client_wants_them() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let quiet = session
        .ask("tools/call", json!({"name": "test_tool_with_progress"}))
        .await;
    assert_eq!(text(&quiet["result"]), "done");
    let call = json!({"name": "test_tool_with_progress", "_meta": {"progressToken": "p"}});
    let mut stream = session
        .stream(&request(7, "tools/call", call.clone()))
        .await;
    for expected in [0, 50, 100] {
        let (_, progress) = stream.message().await;
        assert_eq!(progress["method"], "notifications/progress", "{progress}");
        assert_eq!(
            progress["params"],
            json!({"progressToken": "p", "progress": expected, "total": 100})
        );
    }
    let (_, answer) = stream.message().await;
    assert_eq!(
        (&answer["id"], text(&answer["result"])),
        (&json!(7), "done")
    );
    assert!(
        stream.next().await.is_none(),
        "the stream ends with the answer"
    );
    // Without a session, too.
    let call = stateless("tools/call", call);
    let mut stream = EventStream::of(stateless_request(&host, ROLE, &call)).await;
    let (_, progress) = stream.message().await;
    assert_eq!(progress["params"]["progress"], 0, "{progress}");

    let line = json!({"name": "test_logging_tool"});
    let mut stream = session
        .stream(&request(8, "tools/call", line.clone()))
        .await;
    let (_, said) = stream.message().await;
    assert_eq!(said["method"], "notifications/message", "{said}");
    assert_eq!(said["params"]["level"], "info", "{said}");
    let set = session
        .ask("logging/setLevel", json!({"level": "error"}))
        .await;
    assert_eq!(set["result"], json!({}), "{set}");
    let silent = session.ask("tools/call", line.clone()).await;
    assert_eq!(text(&silent["result"]), "logged");
    let wrong = session
        .ask("logging/setLevel", json!({"level": "loud"}))
        .await;
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    // Without a session only those that ask for lines get them.
    let silent = ask_stateless(&host, ROLE, "tools/call", line).await;
    assert_eq!(text(&silent.json()["result"]), "logged");
    let level = json!({"io.modelcontextprotocol/logLevel": "debug"});
    let loud = stateless(
        "tools/call",
        json!({"name": "test_logging_tool", "_meta": level}),
    );
    let mut stream = EventStream::of(stateless_request(&host, ROLE, &loud)).await;
    assert_eq!(stream.message().await.1["method"], "notifications/message");
    // Whoever calls without MCP is told nothing, and is served.
    let plain = host.tool(ROLE, "test_tool_with_progress", json!({})).await;
    assert_eq!(plain.text(), "done");
    let refused = host
        .tool(ROLE, "test_sampling", json!({"prompt": "a"}))
        .await;
    assert!(
        refused.text().contains("no MCP client"),
        "{}",
        refused.text()
    );
}

/// The question that a stream brings.
async fn question(stream: &mut EventStream, method: &str) -> Value {
    let (_, asked) = stream.message().await;
    assert_eq!(asked["method"], method, "{asked}");
    asked
}

fn accepting(id: &Value, content: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"action": "accept", "content": content}})
}

#[tokio::test]
async fn a_session_is_asked_on_the_stream_and_answers_by_a_message() {
    let limits = "[role.everything.limits]\nconcurrent_calls = 1\nwall_time = \"1s\"\n";
    let (_project, host) = everything(limits).await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let other = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let call = request(1, "tools/call", json!({"name": "ask_about_a_number"}));
    let mut stream = session.stream(&call).await;
    let asked = question(&mut stream, "elicitation/create").await;
    assert_eq!(
        asked["params"]["requestedSchema"]["required"],
        json!(["ok"]),
        "{asked}"
    );
    // While it waits it has neither the role's only permit nor a clock that runs.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let meanwhile = session
        .send(&request(
            2,
            "tools/call",
            json!({"name": "test_simple_text"}),
        ))
        .await;
    assert_eq!(meanwhile.status, 200, "{}", meanwhile.text());
    // Another session's answer, and one to nothing, are ignored.
    for (from, id) in [(&other, &asked["id"]), (&session, &json!("unknown"))] {
        let ignored = from.send(&accepting(id, json!({"ok": false}))).await;
        assert_eq!((ignored.status, ignored.text().as_str()), (202, ""));
    }
    let taken = session
        .send(&accepting(&asked["id"], json!({"ok": true})))
        .await;
    assert_eq!(taken.status, 202);
    let (_, answer) = stream.message().await;
    let number = asked["params"]["message"].as_str().unwrap();
    let number = number.trim_start_matches("Is it ").trim_end_matches('?');
    assert_eq!(
        text(&answer["result"]),
        format!("{number} true"),
        "it was not drawn again"
    );
}

#[tokio::test]
async fn a_session_is_asked_for_its_model_and_its_refusal_is_the_guests_to_tell() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let call = json!({"name": "test_sampling", "arguments": {"prompt": "capital?"}});
    let mut stream = session
        .stream(&request(1, "tools/call", call.clone()))
        .await;
    let asked = question(&mut stream, "sampling/createMessage").await;
    let message = json!({"role": "user", "content": {"type": "text", "text": "capital?"}});
    assert_eq!(
        asked["params"],
        json!({"maxTokens": 100, "messages": [message]})
    );
    let content = json!({"type": "text", "text": "Paris"});
    let sampled = json!({"role": "assistant", "model": "m", "content": content});
    session
        .send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": sampled}))
        .await;
    assert_eq!(
        text(&stream.message().await.1["result"]),
        "LLM response: Paris"
    );
    let mut stream = session
        .stream(&request(2, "tools/call", call.clone()))
        .await;
    let asked = question(&mut stream, "sampling/createMessage").await;
    let error = json!({"code": -1, "message": "the user said no"});
    session
        .send(&json!({"jsonrpc": "2.0", "id": asked["id"], "error": error}))
        .await;
    let (_, refused) = stream.message().await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    assert!(
        text(&refused["result"]).contains("the user said no"),
        "{refused}"
    );
    // One that has not declared it is not asked.
    let unable = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let refused = unable.ask("tools/call", call).await;
    assert!(
        text(&refused["result"]).contains("has not declared"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_given_up_and_one_that_leaves_cancels() {
    // One that leaves is given up long before one that does not answer.
    let bounds = "journal = \"all\"\n[mcp]\nclient_answer = \"3s\"\nresume = \"50ms\"\n";
    let (_project, host) = everything(bounds).await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let call = request(1, "tools/call", json!({"name": "ask_about_a_number"}));
    let mut stream = session.stream(&call).await;
    let asked = question(&mut stream, "elicitation/create").await;
    let (_, cancelled) = stream.message().await;
    assert_eq!(
        cancelled["method"], "notifications/cancelled",
        "{cancelled}"
    );
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
    let (_, answer) = stream.message().await;
    assert!(
        text(&answer["result"]).contains("mcp.client_answer"),
        "{answer}"
    );
    let mut stream = session.stream(&call).await;
    question(&mut stream, "elicitation/create").await;
    drop(stream);
    eventually("the call is cancelled", async || {
        let listed = host.get("/calls?role=everything&failed=true").await.json();
        let calls = listed["calls"].as_array()?.clone();
        let is_cancelled = |call: &Value| call["outcome"] == "cancelled";
        calls.iter().any(is_cancelled).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_none_to_the_question_is_the_clients_error() {
    let (_project, host) = everything("journal = \"all\"\n").await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let asking = json!({"name": "ask_about_a_number"});
    for (nth, wrong) in [
        json!({"action": "accept", "content": {"ok": "yes"}}),
        json!({"action": "accept", "content": {}}),
        json!({"action": "accept"}),
        json!({"action": "perhaps"}),
    ]
    .into_iter()
    .enumerate()
    {
        let call = request(nth as u64, "tools/call", asking.clone());
        let mut stream = session.stream(&call).await;
        let asked = question(&mut stream, "elicitation/create").await;
        let message = json!({"jsonrpc": "2.0", "id": asked["id"], "result": wrong});
        session.send(&message).await;
        let (_, answer) = stream.message().await;
        assert_eq!(answer["error"]["code"], -32602, "{wrong}: {answer}");
        let again = json!({"inputResponses": {"input-1": wrong}});
        let refused = call_asking(&host, again).await;
        assert_eq!(refused["error"]["code"], -32602, "{wrong}: {refused}");
    }
    let call = request(
        9,
        "tools/call",
        json!({"name": "test_sampling", "arguments": {"prompt": "?"}}),
    );
    let mut stream = session.stream(&call).await;
    let asked = question(&mut stream, "sampling/createMessage").await;
    let message = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"role": "assistant"}});
    session.send(&message).await;
    let (_, answer) = stream.message().await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // Whoever declines fills nothing in.
    let again = json!({"inputResponses": {"input-1": {"action": "decline"}}});
    let declined = call_asking(&host, again).await;
    assert!(text(&declined["result"]).ends_with("false"), "{declined}");
}

/// Calls the tool that asks about a number once more, with what it was given, and this.
async fn call_asking(host: &Host, mut more: Value) -> Value {
    let asked = call(host, "ask_about_a_number", json!({})).await;
    more["requestState"] = asked["result"]["requestState"].clone();
    call(host, "ask_about_a_number", more).await
}

#[tokio::test]
async fn a_request_whose_stream_breaks_off_goes_on_and_its_client_comes_back_for_the_rest() {
    let (_project, host) = everything("[mcp]\nresume = \"1h\"\n").await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let other = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let call = request(1, "tools/call", json!({"name": "ask_about_a_number"}));
    let mut stream = session.stream(&call).await;
    let primed = stream.next().await.unwrap();
    let first = primed.lines().find_map(|line| line.strip_prefix("id: "));
    let first = first.unwrap_or_else(|| panic!("{primed}")).to_owned();
    assert!(primed.contains("retry: "), "{primed}");
    let (seen, asked) = stream.message().await;
    let seen = seen.unwrap();
    drop(stream);
    // What it has lost with the connection comes again.
    let mut again = session.events(Some(&first)).await;
    let (same, repeated) = again.message().await;
    assert_eq!((same.as_deref(), &repeated), (Some(&*seen), &asked));
    drop(again);
    session
        .send(&accepting(&asked["id"], json!({"ok": true})))
        .await;
    let gone = async |session: &McpSession<'_>, id: &str| {
        let request = session.request(Method::GET).header("last-event-id", id);
        let refused = Response::of(request).await;
        assert_eq!(refused.status, 400, "{id}: {}", refused.text());
    };
    // Neither another session's nor one that was never given.
    gone(&other, &seen).await;
    gone(&session, "77-1").await;
    gone(&session, &format!("{seen}7")).await;
    let mut rest = session.events(Some(&seen)).await;
    let (_, answer) = rest.message().await;
    assert_eq!(answer["id"], 1, "{answer}");
    assert!(text(&answer["result"]).ends_with("true"), "{answer}");
    assert_eq!(rest.next().await, None);
    eventually("what was read to its end is forgotten", async || {
        let request = session.request(Method::GET).header("last-event-id", &seen);
        let response = request.send().await.ok()?;
        (response.status() == 400).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_open_for_long_is_closed_and_its_client_comes_back() {
    let (_project, host) = everything("[mcp]\nstream_time = \"1s\"\n").await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let call = request(1, "tools/call", json!({"name": "ask_about_a_number"}));
    let mut stream = session.stream(&call).await;
    let (seen, asked) = stream.message().await;
    let mut last = String::new();
    while let Some(event) = stream.next().await {
        last = event;
    }
    assert!(last.contains("retry: "), "{last}");
    session
        .send(&accepting(&asked["id"], json!({"ok": false})))
        .await;
    let mut rest = session.events(seen.as_deref()).await;
    let (_, answer) = rest.message().await;
    assert!(text(&answer["result"]).ends_with("false"), "{answer}");
}

#[tokio::test]
async fn without_a_session_the_client_calls_again_and_the_guest_goes_on() {
    let (_project, host) = everything("").await;
    let asked = call(&host, "ask_about_a_number", json!({})).await;
    let result = &asked["result"];
    assert_eq!(result["resultType"], "input_required", "{asked}");
    assert_eq!(result.get("ttlMs"), None);
    let question = &result["inputRequests"]["input-1"];
    assert_eq!(question["method"], "elicitation/create", "{asked}");
    let responses = json!({"input-1": {"action": "accept", "content": {"ok": true}}});
    let again = json!({"inputResponses": responses, "requestState": result["requestState"]});
    for _ in 0..2 {
        // A client may lose the answer, and call once more.
        let done = call(&host, "ask_about_a_number", again.clone()).await;
        let number = question["params"]["message"].as_str().unwrap();
        let number = number.trim_start_matches("Is it ").trim_end_matches('?');
        assert_eq!(text(&done["result"]), format!("{number} true"), "{done}");
        assert_eq!(done["result"]["resultType"], "complete");
    }
    // Whoever answers something else is asked again.
    let other = json!({"inputResponses": {"other": {"action": "accept"}}, "requestState": result["requestState"]});
    let repeated = call(&host, "ask_about_a_number", other).await;
    assert_eq!(
        repeated["result"]["inputRequests"]["input-1"], *question,
        "{repeated}"
    );
}

#[tokio::test]
async fn a_state_is_of_its_call_alone_and_outlives_the_host() {
    let (project, mut host) = everything("").await;
    let asked = call(&host, "test_input_required_result_request_state", json!({})).await;
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    let responses = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let again = |state: Value| json!({"inputResponses": responses, "requestState": state});
    let code = |answer: &Value| answer["error"]["code"].as_i64();
    let tool = "test_input_required_result_request_state";
    for wrong in [
        json!(format!("{state}x")),
        json!("AAAA"),
        json!(7),
        json!({}),
    ] {
        let refused = call(&host, tool, again(wrong)).await;
        assert_eq!(code(&refused), Some(-32602), "{refused}");
    }
    // Of another tool, and with other arguments.
    let other = call(
        &host,
        "test_input_required_result_tampered_state",
        again(json!(state)),
    )
    .await;
    assert_eq!(code(&other), Some(-32602), "{other}");
    let mut with_arguments = again(json!(state));
    with_arguments["arguments"] = json!({"more": 1});
    let other = call(&host, tool, with_arguments).await;
    assert_eq!(code(&other), Some(-32602), "{other}");
    for wrong in [json!([]), json!({"confirm": 7}), json!("a")] {
        let refused = call(&host, tool, json!({"inputResponses": wrong})).await;
        assert_eq!(code(&refused), Some(-32602), "{refused}");
    }
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    let host = project.serve().await;
    let done = call(&host, tool, again(json!(state))).await;
    assert_eq!(text(&done["result"]), "state-ok", "{done}");
}

#[tokio::test]
async fn what_a_client_has_not_declared_is_an_error_of_the_protocol_without_a_session() {
    let (_project, host) = everything("").await;
    let answer = ask_stateless(
        &host,
        ROLE,
        "tools/call",
        json!({"name": "test_missing_capability"}),
    )
    .await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(
        answer["error"]["data"]["requiredCapabilities"],
        json!({"sampling": {}})
    );
}

#[tokio::test]
async fn asking_takes_a_grant_and_saying_does_not() {
    let project = Project::new().plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    let session = McpSession::begin_with(&host, ROLE, SESSIONFUL, able()).await;
    let refused = session
        .ask("tools/call", json!({"name": "ask_about_a_number"}))
        .await;
    assert!(text(&refused["result"]).contains("mcp.elicit"), "{refused}");
    let mut stream = session
        .stream(&request(
            1,
            "tools/call",
            json!({"name": "test_logging_tool"}),
        ))
        .await;
    assert_eq!(stream.message().await.1["method"], "notifications/message");
}

#[tokio::test]
async fn clients_are_told_of_lists_that_change_and_of_resources_that_they_watch() {
    let (_project, host) = everything("").await;
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    let mut events = session.events(None).await;
    // The event without data.
    events.next().await;
    let tool = async |name: &str| {
        let called = session.ask("tools/call", json!({"name": name})).await;
        assert_eq!(text(&called["result"]), "told", "{called}");
    };
    tool("touch_watched_resource").await;
    let watched = json!({"uri": "test://watched-resource"});
    let subscribed = session.ask("resources/subscribe", watched.clone()).await;
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    tool("touch_watched_resource").await;
    let (_, updated) = events.message().await;
    assert_eq!(
        updated["method"], "notifications/resources/updated",
        "{updated}"
    );
    assert_eq!(updated["params"], watched);
    tool("test_trigger_prompt_change").await;
    let (_, changed) = events.message().await;
    assert_eq!(
        changed["method"], "notifications/prompts/list_changed",
        "{changed}"
    );
    let ended = session.ask("resources/unsubscribe", watched).await;
    assert_eq!(ended["result"], json!({}));
    tool("touch_watched_resource").await;
    tool("test_trigger_tool_change").await;
    let (_, changed) = events.message().await;
    assert_eq!(
        changed["method"], "notifications/tools/list_changed",
        "{changed}"
    );

    let wanted =
        json!({"promptsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]});
    let listen = stateless("subscriptions/listen", json!({"notifications": wanted}));
    let mut events = EventStream::of(stateless_request(&host, ROLE, &listen)).await;
    let (_, begun) = events.message().await;
    assert_eq!(begun["params"]["notifications"], wanted, "{begun}");
    tool("test_trigger_tool_change").await;
    tool("touch_watched_resource").await;
    let (_, updated) = events.message().await;
    assert_eq!(
        updated["params"]["uri"], "test://watched-resource",
        "{updated}"
    );
    assert_eq!(
        updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        1
    );
    tool("test_trigger_prompt_change").await;
    let (_, changed) = events.message().await;
    assert_eq!(
        changed["method"], "notifications/prompts/list_changed",
        "{changed}"
    );
    let wrong = json!({"notifications": {"resourceSubscriptions": 7}});
    let refused = ask_stateless(&host, ROLE, "subscriptions/listen", wrong).await;
    assert_eq!(
        refused.json()["error"]["code"],
        -32602,
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn long_work_is_a_task_for_clients_that_have_tasks() {
    let (_project, host) = everything("[workflows]\nrestarts = 0\n").await;
    let meta = || json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let ask = async |method: &str, mut params: Value| {
        params["_meta"] = meta();
        ask_stateless(&host, ROLE, method, params).await.json()
    };
    let begin = async |tool: &str, arguments: Value| {
        let created = ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
        assert_eq!(created["result"]["resultType"], "task", "{created}");
        created["result"]["taskId"].clone()
    };
    let ended = async |task: &Value| {
        eventually("the task ends", async || {
            let task = ask("tasks/get", json!({"taskId": task})).await["result"].clone();
            (task["status"] != "working").then_some(task)
        })
        .await
    };
    let quick = begin("slow_compute", json!({"seconds": 0})).await;
    let task = ended(&quick).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert!(text(&task["result"]).contains("computed"), "{task}");
    let failing = begin("failing_job", json!({})).await;
    let task = ended(&failing).await;
    assert_eq!(
        (&task["status"], &task["result"]["isError"]),
        (&json!("completed"), &json!(true))
    );
    let broken = begin("protocol_error_job", json!({})).await;
    let task = ended(&broken).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert!(
        task["error"]["code"].is_number() && task.get("result").is_none(),
        "{task}"
    );
    let slow = begin("slow_compute", json!({"seconds": 3600})).await;
    let cancelled = ask("tasks/cancel", json!({"taskId": slow})).await;
    assert_eq!(cancelled["result"]["resultType"], "complete", "{cancelled}");
    let task = ended(&slow).await;
    assert_eq!(task["status"], "cancelled", "{task}");
    let again = ask("tasks/cancel", json!({"taskId": slow})).await;
    assert_eq!(again["result"]["resultType"], "complete", "{again}");
    let unknown = ask("tasks/get", json!({"taskId": "nothing"})).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    // A client without tasks waits, unless the tool takes too long for that.
    let waited = ask_stateless(
        &host,
        ROLE,
        "tools/call",
        json!({"name": "slow_compute", "arguments": {"seconds": 0}}),
    )
    .await;
    assert!(text(&waited.json()["result"]).contains("computed"));
    let refused = ask_stateless(&host, ROLE, "tools/call", json!({"name": "failing_job"})).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (400, &json!(-32021))
    );
    let refused = ask_stateless(&host, ROLE, "tasks/get", json!({"taskId": slow})).await;
    assert_eq!(refused.json()["error"]["code"], -32021);
    let removed = ask("tasks/list", json!({})).await;
    assert_eq!(removed["error"]["code"], -32601);
}

#[tokio::test]
async fn a_message_with_an_id_and_no_method_begins_nothing() {
    let (_project, host) = everything("").await;
    let message = accepting(&json!(1), json!({}));
    let response = host
        .request(Method::POST, &mcp_path(ROLE))
        .body(message.to_string());
    assert_eq!(
        Response::of(response).await.status,
        400,
        "there is no session"
    );
}
