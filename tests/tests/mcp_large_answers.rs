//! Results of tools that are larger than the role's clients take: their beginning, and a resource that is read in pages.

use exomonad_test_support::mcp::{McpSession, SESSIONFUL, ask_stateless};
use exomonad_test_support::{Guest, Host, Project, eventually, shipped_plugin, tool_named};
use serde_json::{Value, json};

const ROLE: &str = "large";
/// The bytes that an answer, and a page, have at most.
const MOST: usize = 4 << 10;

fn project(mcp: &str, output: &Value, tool: Value) -> Project {
    let guest = Guest::answering("x")
        .tools(json!([tool]))
        .output(&output.to_string());
    Project::new()
        .config(&format!(
            "[mcp]\n{mcp}\n[role.large]\n[role.large.limits]\ninline_answer = \"4KiB\"\n"
        ))
        .plugin("large.wasm", guest.wasm())
}

async fn ask(host: &Host, method: &str, params: Value) -> Value {
    ask_stateless(host, ROLE, method, params).await.json()
}

async fn call(host: &Host) -> Value {
    let answer = ask(host, "tools/call", json!({"name": "answer"})).await;
    answer["result"].clone()
}

async fn read(host: &Host, uri: &str) -> Value {
    ask(host, "resources/read", json!({"uri": uri})).await
}

/// The first link of a result.
fn link(result: &Value) -> &Value {
    let mut parts = result["content"].as_array().into_iter().flatten();
    parts
        .find(|part| part["type"] == "resource_link")
        .unwrap_or_else(|| panic!("{result}"))
}

fn uri(result: &Value) -> String {
    link(result)["uri"].as_str().unwrap_or_default().to_owned()
}

/// All pages of a resource, by what a page has under this name.
async fn pages(host: &Host, first: &str, member: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(uri) = next {
        let page = read(host, &uri).await;
        let length = page.to_string().len();
        assert!(length <= MOST, "a page has {length} bytes");
        let result = &page["result"];
        let content = result["contents"][0][member].as_str();
        pages.push(content.unwrap_or_else(|| panic!("{page}")).to_owned());
        next = result["_meta"]["exomonad/next"].as_str().map(str::to_owned);
        assert_eq!(
            result["contents"][1]["uri"].as_str(),
            next.as_deref(),
            "{page}"
        );
    }
    pages
}

/// A text with everything that JSON writes longer than it is.
fn text(lines: usize) -> String {
    let line = |nth: usize| format!("line {nth}: \"a\\b\" \u{1} é 日本 😀\n");
    (0..lines).map(line).collect()
}

fn of_text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

#[tokio::test]
async fn a_large_text_is_begun_and_the_rest_is_read_in_pages() {
    let whole = text(1_000);
    let project = project("", &of_text(&whole), tool_named("answer"));
    let host = project.serve().await;
    let result = call(&host).await;
    assert!(
        result.to_string().len() <= MOST,
        "{}",
        result.to_string().len()
    );
    let content = result["content"].as_array().unwrap();
    let beginning = content[0]["text"].as_str().unwrap();
    assert!(!beginning.is_empty() && whole.starts_with(beginning));
    let note = content[1]["text"].as_str().unwrap();
    let told = format!("{} bytes of {} are shown", beginning.len(), whole.len());
    assert!(note.contains(&told), "{note}");
    assert_eq!(link(&result)["size"], whole.len());
    let uri = uri(&result);
    assert!(note.contains(&uri), "{note}");
    let all = pages(&host, &uri, "text").await;
    assert!(all.len() > 10, "{} pages", all.len());
    assert!(all.concat() == whole, "the pages are the whole text");
    let goes_on = format!("{uri}?from={}", beginning.len());
    assert!(note.contains(&goes_on), "{note}");
    let rest = pages(&host, &goes_on, "text").await.concat();
    assert!(format!("{beginning}{rest}") == whole);
    for wrong in [
        format!("{uri}?from={}", whole.len() + 1),
        format!("{uri}?from=x"),
        format!("{uri}0"),
        "exomonad://answers/".to_owned(),
    ] {
        let refused = read(&host, &wrong).await;
        assert_eq!(refused["error"]["code"], -32602, "{wrong}: {refused}");
    }
    let listed = ask(&host, "resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"], json!([]), "{listed}");
    let session = McpSession::begin(&host, ROLE, SESSIONFUL).await;
    assert!(session.initialized["capabilities"]["resources"].is_object());
    // Revisions without links say it in words.
    let session = McpSession::begin(&host, ROLE, "2025-03-26").await;
    let result = session.ask("tools/call", json!({"name": "answer"})).await["result"].clone();
    assert!(!result.to_string().contains("resource_link"), "{result}");
    assert!(
        result["content"][1]["text"]
            .as_str()
            .unwrap()
            .contains("exomonad://answers/")
    );
}

#[tokio::test]
async fn what_fits_goes_out_as_it_is_and_structured_content_with_a_schema_stays_whole() {
    let mut tool = tool_named("answer");
    let output = json!({"content": [{"type": "text", "text": "a"}], "structuredContent": {"text": text(1_000)}});
    let small = json!({"content": [{"type": "text", "text": "a".repeat(2 << 10)}]});
    let host = project("", &small, tool.clone()).serve().await;
    let result = call(&host).await;
    assert_eq!(result["content"], small["content"]);
    // Without a schema it is left out like anything else.
    let project_without = project("", &output, tool.clone());
    let host = project_without.serve().await;
    let result = call(&host).await;
    assert_eq!(result.get("structuredContent"), None, "{result}");
    let json = pages(&host, &uri(&result), "text").await.concat();
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read, output["structuredContent"]);
    tool["outputSchema"] = json!({"type": "object", "required": ["text"]});
    let project_with = project("", &output, tool);
    let host = project_with.serve().await;
    let result = call(&host).await;
    assert_eq!(result["structuredContent"], output["structuredContent"]);
}

#[tokio::test]
async fn pictures_are_left_out_whole_and_read_in_parts() {
    let data: String = ["QUJD", "ZGVm", "AAEC"].repeat(2_000).concat();
    let output = json!({"content": [
        {"type": "text", "text": "a picture:"},
        {"type": "image", "data": data, "mimeType": "image/png"},
        {"type": "text", "text": text(400)},
    ]});
    let project = project("", &output, tool_named("answer"));
    let host = project.serve().await;
    let result = call(&host).await;
    assert_eq!(result["content"][0], output["content"][0]);
    assert_eq!(link(&result)["mimeType"], "image/png", "{result}");
    let read = pages(&host, &uri(&result), "blob").await.concat();
    assert!(read == data, "the parts are the picture");
    let missing = result["_meta"]["exomonad/missing"].as_array().unwrap();
    assert_eq!(missing.len(), 2, "{missing:?}");
}

#[tokio::test]
async fn what_is_kept_is_bounded_expires_and_is_for_its_caller_alone() {
    let whole = text(1_000);
    let bounds = "kept_answers = '64KiB'\nkept_answer_ttl = '2s'";
    let first = project(bounds, &of_text(&whole), tool_named("answer"));
    let host = first.serve().await;
    let one = uri(&call(&host).await);
    let other = uri(&call(&host).await);
    assert_ne!(one, other);
    // The second took the room of the first.
    assert_eq!(read(&host, &one).await["error"]["code"], -32602);
    assert!(read(&host, &other).await["result"].is_object());
    eventually("it expires", async || {
        let gone = read(&host, &other).await;
        (gone["error"]["code"] == -32602).then_some(())
    })
    .await;
    // What is larger than all that may be kept is not, and the client is told.
    let second = Project::new()
        .config("[mcp]\nkept_answers = '64KiB'\n[role.echo.limits]\ninline_answer = '4KiB'\n")
        .plugin("echo.wasm", shipped_plugin("echo"));
    let host = second.serve().await;
    let arguments = json!({"text": "a".repeat(100_000)});
    let params = json!({"name": "echo", "arguments": arguments});
    let answer = ask_stateless(&host, "echo", "tools/call", params).await;
    let content = answer.json()["result"]["content"].clone();
    let note = content[1]["text"].as_str().unwrap();
    assert!(note.contains("mcp.kept_answers"), "{note}");

    let guest = Guest::answering("x").output(&of_text(&whole).to_string());
    let project = Project::new()
        .env("OPERATOR", "operator-token")
        .env("LARGE", "role-token")
        .config(
            "[server]\ntoken_env = 'OPERATOR'\n[role.large]\ntoken_env = 'LARGE'\n\
             [role.large.limits]\ninline_answer = '4KiB'\n",
        )
        .plugin("large.wasm", guest.wasm());
    let host = project.serve().await.with_token("role-token");
    let uri = uri(&call(&host).await);
    assert!(read(&host, &uri).await["result"].is_object());
    let host = host.with_token("operator-token");
    let foreign = read(&host, &uri).await;
    assert_eq!(foreign["error"]["code"], -32602, "{foreign}");
}
