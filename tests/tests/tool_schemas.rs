//! The schemas of tools and the arguments that are held against them: neither can hold up the host.

use std::time::Duration;

use exomonad_test_support::{Guest, Host, Project, tool_named};
use serde_json::{Value, json};

/// A host with a role whose plugin has these tools.
async fn with_tools(config: &str, tools: Value) -> Host {
    let guest = Guest::answering("fine").tools(tools);
    let project = Project::new()
        .config(config)
        .plugin("guest.wat", guest.wat());
    project.serve().await
}

fn tool(name: &str, mut schema: Value) -> Value {
    schema["type"] = "object".into();
    json!({"name": name, "description": "A test's.", "inputSchema": schema})
}

#[tokio::test]
async fn a_pattern_that_needs_backtracking_is_refused_for_its_tool_alone_with_the_reason() {
    let pattern = r"^(a|a)*(a|a)*(a|a)*\1z0$";
    let any_of: Vec<Value> = (0..100)
        .map(
            |nth| json!({"properties": {"s": {"pattern": pattern.replace('0', &nth.to_string())}}}),
        )
        .collect();
    let host = with_tools(
        "",
        json!([tool_named("answer"), tool("evil", json!({"anyOf": any_of}))]),
    )
    .await;
    assert_eq!(host.tool("guest", "answer", json!({})).await.text(), "fine");
    let refused = host
        .call("guest", "evil", json!({"s": "a"}))
        .await
        .problem(404, "tool_not_found");
    assert!(refused.contains("backreference"), "{refused}");
    let role = host.role("guest").await;
    assert_eq!(role["plugin"]["tools"], json!(["answer"]));
    assert_eq!(role["plugin"]["refusedTools"][0]["tool"], "evil");
    let health = host.get("/health").await.json();
    assert_eq!(health["status"], "ok");
    assert!(
        health["refusedTools"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("backreference"),
        "{health}"
    );
    host.logs("is not offered", 1).await;
}

#[tokio::test]
async fn a_costly_check_ends_at_the_limit_while_others_are_answered() {
    let patterns: Vec<Value> = (0..300)
        .map(|nth| json!({"properties": {"s": {"pattern": format!("(a?){{200}}(a|b)*{nth}$")}}}))
        .collect();
    let config = "[defaults.limits]\nwall_time = '1s'\n";
    let host = with_tools(config, json!([tool("evil", json!({"anyOf": patterns}))])).await;
    let value = json!({"s": "a".repeat(4 << 20)});
    let calls = async {
        for answer in futures_util::future::join_all(
            (0..4).map(|_| host.call("guest", "evil", value.clone())),
        )
        .await
        {
            match answer.status {
                200 => {
                    let error = &answer.json()["structuredContent"]["error"];
                    assert_eq!(error["code"], "limit_exceeded", "{error}");
                    assert!(
                        error["message"].as_str().unwrap().contains("wall_time"),
                        "{error}"
                    );
                }
                _ => _ = answer.problem(422, "invalid_arguments"),
            }
            assert!(answer.body.len() < 8 << 10, "{} bytes", answer.body.len());
        }
    };
    let neighbours = async {
        for _ in 0..20 {
            let healthy = tokio::time::timeout(Duration::from_secs(20), host.get("/health")).await;
            assert_eq!(healthy.expect("the host answers").status, 200);
        }
    };
    tokio::join!(calls, neighbours);
}

#[tokio::test]
async fn an_answer_about_large_arguments_is_small() {
    let patterns: Vec<Value> = (0..300)
        .map(|nth| json!({"properties": {"s": {"pattern": format!("^{nth}$")}}}))
        .collect();
    let host = with_tools("", json!([tool("evil", json!({"allOf": patterns}))])).await;
    let secret = "s3cret".repeat(1 << 20);
    let answer = host.call("guest", "evil", json!({"s": secret})).await;
    answer.problem(422, "invalid_arguments");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 20);
    assert!(answer.body.len() < 16 << 10 && !answer.text().contains("s3cret"));
}

#[tokio::test]
async fn patterns_as_schema_makers_write_them_are_taken() {
    let schema = json!({"properties": {
        "mail": {"pattern": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"},
        "text": {"pattern": r"^(?!\s*$).+"},
        "name": {"pattern": r"^[\w-.]+$"},
        "any": {"pattern": "^[^]*$"},
        "date": {"pattern": r"^(?<year>\d{4})\-\d{2}\-\d{2}$"},
    }});
    let host = with_tools("", json!([tool("answer", schema)])).await;
    let good =
        json!({"mail": "a@b.co", "text": "x", "name": "a-b.c", "any": "\n", "date": "2024-01-01"});
    assert_eq!(host.tool("guest", "answer", good).await.text(), "fine");
    for (key, value) in [
        ("mail", "a..b@c.de"),
        ("text", "  "),
        ("name", "a b"),
        ("date", "٢٠٢٤-01-01"),
    ] {
        let answer = host.call("guest", "answer", json!({key: value})).await;
        answer.problem(422, "invalid_arguments");
        assert_eq!(answer.json()["errors"][0]["pointer"], format!("/{key}"));
    }
}

#[tokio::test]
async fn an_optional_field_of_a_plugins_answer_may_be_null() {
    let guest = Guest::answering("")
        .tools(json!([{"name": "answer", "description": null, "inputSchema": {"type": "object"}, "outputSchema": null}]))
        .output(r#"{"content":[{"type":"text","text":"fine"}],"isError":null,"structuredContent":null}"#);
    let project = Project::new().plugin("guest.wat", guest.wat());
    let host = project.serve().await;
    let answer = host.tool("guest", "answer", json!({})).await;
    assert_eq!(answer.text(), "fine");
}
