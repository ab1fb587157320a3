//! Secrets that are planted everywhere come out nowhere.

use exomonad_test_support::{CommandOutput, Guest, Host, Project};
use reqwest::Method;
use serde_json::json;

const OPERATOR: &str = "operator-s3cr3t-0123456789";
const OF_ROLE: &str = "role-s3cr3t-0123456789";
const IN_URL: &str = "url-s3cr3t-0123456789";
const WRONG: &str = "wrong-s3cr3t-0123456789";
/// A part of every secret.
const MARK: &str = "s3cr3t";

fn planted() -> Project {
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[log]\nfilter = 'trace'\n[role.tl]\ntoken_file = 'tl.token'\neffects = ['git.*', 'github.*']\nrepos = ['*/*']\n[role.spy]\neffects = ['git.*', 'log.*']\n[role.echo]\n")
        .env("EXOMONAD_TOKEN", OPERATOR)
        .plugin("spy.wat", spy());
    project.write("tl.token", OF_ROLE);
    project.git(&[
        "remote",
        "add",
        "origin",
        &format!("https://ada:{IN_URL}@github.com/acme/search.git"),
    ]);
    project.git(&[
        "remote",
        "add",
        "other",
        &format!("https://{IN_URL}@git.example/acme/search.git?token={IN_URL}"),
    ]);
    project
}

/// A guest that looks wherever a guest can look.
fn spy() -> String {
    Guest::answering("")
        .forwarding(&[
            "git_get_remote_url",
            "git_repo_info",
            "git_status",
            "git_get_worktree",
        ])
        .host_function("config_get", "(param i64) (result i64)")
        .import(
            "wasi_snapshot_preview1",
            "environ_sizes_get",
            "(param i32 i32) (result i32)",
        )
        .export(
            "config",
            "(call $give (call $config_get (call $input_offset)))",
        )
        .export("see", "(call $give (call $input_offset))")
        .without("handle_mcp_call")
        .export("handle_mcp_call", "(call $give (call $input_offset))")
        .wat()
}

fn assert_clean(what: &str, text: &str) {
    assert!(!text.contains(MARK), "{what} tells a secret: {text}");
}

async fn ask(host: &Host, method: Method, path: &str, body: &str, token: &str) {
    let request = host
        .request(method, path)
        .bearer_auth(token)
        .body(body.to_owned());
    let answer = exomonad_test_support::Response::of(request).await;
    assert_clean(path, &answer.text());
    assert_clean(path, &format!("{:?}", answer.headers));
}

#[tokio::test]
async fn no_answer_and_no_line_of_the_log_holds_a_secret() {
    let project = planted();
    let host = project.serve().await;
    for token in [OPERATOR, OF_ROLE, WRONG] {
        for path in [
            "/health",
            "/ready",
            "/roles",
            "/openapi.json",
            "/role/tl/mcp/tools",
            "/no/such/path",
        ] {
            ask(&host, Method::GET, path, "", token).await;
        }
        for tool in ["repo_status", "recent_work", "no_such_tool"] {
            ask(
                &host,
                Method::POST,
                "/role/tl/mcp/call",
                &json!({"name": tool}).to_string(),
                token,
            )
            .await;
        }
        let pr = json!({"name": "file_pr", "arguments": {"title": "A search"}}).to_string();
        ask(&host, Method::POST, "/role/tl/mcp/call", &pr, token).await;
        // A tool's answer is the whole input that the guest was given.
        ask(
            &host,
            Method::POST,
            "/role/spy/mcp/call",
            r#"{"name":"answer"}"#,
            token,
        )
        .await;
        for (function, input) in [
            ("git_get_remote_url", "{}"),
            ("git_get_remote_url", r#"{"name":"other"}"#),
            ("git_get_remote_url", r#"{"remote":"other"}"#),
            ("git_repo_info", "{}"),
            ("git_status", "{}"),
            ("git_get_worktree", "{}"),
            ("config", "token"),
            ("config", "EXOMONAD_TOKEN"),
        ] {
            let body = json!({"plugin": "spy", "function": function, "input": input}).to_string();
            ask(&host, Method::POST, "/call", &body, token).await;
        }
        ask(&host, Method::POST, "/reload", "", token).await;
    }
    assert!(
        host.log().contains("tool call"),
        "there is a log to look at"
    );
    assert_clean("the log", &host.log());
}

#[tokio::test]
async fn the_remote_is_named_without_its_credentials() {
    let project = planted();
    let host = project.serve().await.with_token(OPERATOR);
    let answer = host.effect("spy", "git_get_remote_url", json!({})).await;
    assert_eq!(answer["kind"], "Success", "{answer}");
    assert!(
        answer["payload"]["url"]
            .as_str()
            .unwrap()
            .contains("github.com/acme/search"),
        "{answer}"
    );
}

#[tokio::test]
async fn no_command_prints_a_secret() {
    let project = planted();
    let host = project.serve().await;
    let url = host.url();
    let commands: [&[&str]; 9] = [
        &["config", "show"],
        &["config", "check"],
        &["config", "check", "--json"],
        &["doctor"],
        &["doctor", "--json", "--url", &url],
        &["roles", "--url", &url],
        &["call", "tl", "repo_status", "--url", &url],
        &["call", "tl", "file_pr", "title=A search", "--local"],
        &["plugin", "list", "--local", "--json"],
    ];
    for command in commands {
        let ran: CommandOutput = project.run(command);
        assert_clean(&format!("{command:?}"), &ran.output());
        assert!(!ran.output().is_empty());
    }
}

#[test]
fn a_token_that_cannot_be_used_is_refused_without_being_shown() {
    for token in [
        "s3cr3t with blanks in it",
        "s3cr3t\u{7}",
        "größe-s3cr3t-0123456789",
    ] {
        let project = Project::new().config("[role.tl]\ntoken_file = 'tl.token'\n");
        project.write("tl.token", token);
        let ran = project.run(["config", "check"]).exits(2);
        assert!(ran.output().contains("tl.token"), "{ran:?}");
        assert_clean("the refusal", &ran.output());
    }
    let project = Project::new().env("EXOMONAD_TOKEN", "s3cr3t with blanks in it");
    let ran = project.run(["serve", "--listen", "127.0.0.1:0"]).exits(2);
    assert!(ran.output().contains("EXOMONAD_TOKEN"), "{ran:?}");
    assert_clean("the refusal", &ran.output());
}

#[tokio::test]
async fn an_url_with_credentials_that_a_guest_cannot_fetch_is_not_repeated() {
    let fetcher = Guest::answering("")
        .host_function("http_request", "(param i64 i64) (result i64)")
        .export(
            "fetch",
            "(call $give (call $http_request (call $input_offset) (i64.const 0)))",
        );
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[log]\nfilter = 'debug'\n[role.fetcher]\nhosts = ['127.0.0.1']\n")
        .plugin("fetcher.wat", fetcher.wat());
    let host = project.serve().await;
    for url in [
        format!("http://ada:{IN_URL}@127.0.0.1:1/?token={IN_URL}"),
        format!("http://ada:{IN_URL}@denied.example/?token={IN_URL}"),
        format!("ftp://ada:{IN_URL}@127.0.0.1/"),
        format!("http://ada:{IN_URL}@127.0.0.1:99999/"),
    ] {
        let answer = host
            .raw("fetcher", "fetch", &json!({"url": url}).to_string())
            .await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_clean("the answer", &answer.text());
    }
    assert_clean("the log", &host.log());
}
