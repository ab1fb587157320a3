//! Bearer tokens: one that opens everything, and one a role.

use exomonad_test_support::{Connection, Host, Project, Response};
use reqwest::Method;

const OPERATOR: &str = "operator-0123456789abcdef";
const TL: &str = "tl-0123456789abcdef";
const ECHO: &str = "echo-0123456789abcdef";

/// A host with a token of the operator's and one for each of two roles.
async fn guarded() -> (Project, Host) {
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[role.tl]\ntoken_file = 'tl.token'\n[role.echo]\ntoken_env = 'ECHO_TOKEN'\n")
        .env("EXOMONAD_TOKEN", OPERATOR)
        .env("ECHO_TOKEN", ECHO);
    project.write("tl.token", format!("{TL}\n"));
    let host = project.serve().await;
    (project, host)
}

async fn status(
    host: &Host,
    authorization: Option<&str>,
    method: Method,
    path: &str,
    body: &str,
) -> u16 {
    let mut request = host.request(method, path).body(body.to_owned());
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let answer = Response::of(request).await;
    if answer.status == 401 {
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    answer.status
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn calls(host: &Host, authorization: Option<&str>) -> [u16; 2] {
    let tl = status(
        host,
        authorization,
        Method::POST,
        "/role/tl/mcp/call",
        r#"{"name":"repo_status"}"#,
    );
    let echo = status(
        host,
        authorization,
        Method::POST,
        "/role/echo/mcp/call",
        r#"{"name":"echo","arguments":{"text":"a"}}"#,
    );
    [tl.await, echo.await]
}

#[tokio::test]
async fn each_token_opens_what_it_is_for() {
    let (_place, host) = guarded().await;
    assert_eq!(calls(&host, None).await, [401, 401]);
    assert_eq!(calls(&host, Some(&bearer(TL))).await, [200, 401]);
    assert_eq!(calls(&host, Some(&bearer(ECHO))).await, [401, 200]);
    assert_eq!(calls(&host, Some(&bearer(OPERATOR))).await, [200, 200]);
}

#[tokio::test]
async fn a_token_that_is_nearly_right_is_wrong() {
    let (_place, host) = guarded().await;
    let wrong = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        TL.to_owned(),
        format!("Basic {TL}"),
        bearer(&TL[..TL.len() - 1]),
        bearer(&format!("{TL}x")),
        bearer(&TL.to_uppercase()),
        format!("Bearer {TL} {TL}"),
    ];
    for authorization in wrong {
        assert_eq!(
            calls(&host, Some(&authorization)).await,
            [401, 401],
            "{authorization:?}"
        );
    }
    let any_case = format!("bearer {TL}");
    assert_eq!(
        calls(&host, Some(&any_case)).await,
        [200, 401],
        "the scheme's case does not matter"
    );
}

#[tokio::test]
async fn only_the_operator_sees_and_does_what_concerns_all_roles() {
    let (_place, host) = guarded().await;
    let raw = r#"{"plugin":"echo","function":"echo","input":"a"}"#;
    for (method, path, body) in [
        (Method::GET, "/roles", ""),
        (Method::POST, "/reload", ""),
        (Method::POST, "/call", raw),
    ] {
        assert_eq!(
            status(&host, None, method.clone(), path, body).await,
            401,
            "{path}"
        );
        assert_eq!(
            status(&host, Some(&bearer(ECHO)), method.clone(), path, body).await,
            401,
            "{path}"
        );
        assert_eq!(
            status(&host, Some(&bearer(OPERATOR)), method, path, body).await,
            200,
            "{path}"
        );
    }
    for path in ["/health", "/ready", "/openapi.json"] {
        assert_eq!(
            status(&host, None, Method::GET, path, "").await,
            200,
            "{path} is open"
        );
    }
}

#[tokio::test]
async fn without_a_token_health_has_codes_and_no_messages() {
    let project = Project::new()
        .config("[server]\ntoken_env = 'OPERATOR'\n")
        .env("OPERATOR", OPERATOR)
        .plugin("victim.wat", "(module this line is a secret)");
    let host = project.serve().await;
    let health = async |token: Option<&str>| {
        let request = host.request(Method::GET, "/health");
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().text().await.unwrap()
    };
    let open = health(None).await;
    assert!(
        open.contains("\"role\":\"victim\"") && open.contains("\"code\":\"plugin_not_loaded\""),
        "{open}"
    );
    assert!(
        !open.contains("message") && !open.contains("victim.wat"),
        "{open}"
    );
    let whole = health(Some(OPERATOR)).await;
    assert!(whole.contains("victim.wat"), "{whole}");
}

#[tokio::test]
async fn every_route_of_a_role_requires_its_token() {
    let (_place, host) = guarded().await;
    for (method, path) in [
        (Method::GET, "/role/tl/mcp/tools"),
        (Method::POST, "/role/tl/hook/pre_tool_use"),
    ] {
        assert_eq!(
            status(&host, None, method.clone(), path, "{}").await,
            401,
            "{path}"
        );
        assert_eq!(
            status(&host, Some(&bearer(TL)), method, path, "{}").await,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_a_token_nobody_learns_which_roles_there_are() {
    let (_place, host) = guarded().await;
    for role in ["tl", "nobody", "Not-A-Name"] {
        assert_eq!(
            status(
                &host,
                None,
                Method::GET,
                &format!("/role/{role}/mcp/tools"),
                ""
            )
            .await,
            401,
            "{role}"
        );
    }
    assert_eq!(
        status(
            &host,
            Some(&bearer(OPERATOR)),
            Method::GET,
            "/role/nobody/mcp/tools",
            ""
        )
        .await,
        404
    );
}

#[tokio::test]
async fn the_command_line_presents_the_token_of_the_environment_or_the_configuration() {
    let (project, host) = guarded().await;
    let url = host.url();
    project
        .run(["call", "tl", "repo_status", "--url", &url])
        .exits(0);
    project.run(["roles", "--url", &url]).exits(0);
    let stranger = Project::new();
    let refused = stranger
        .run(["call", "tl", "repo_status", "--url", &url])
        .exits(3);
    assert!(refused.stderr.contains("EXOMONAD_TOKEN"), "{refused:?}");
    let with_role_token = Project::new().env("EXOMONAD_TOKEN", TL);
    with_role_token
        .run(["call", "tl", "repo_status", "--url", &url])
        .exits(0);
    with_role_token.run(["roles", "--url", &url]).exits(3);
}

/// As where the host runs as another user, or with another environment.
#[tokio::test]
async fn a_command_that_asks_a_host_needs_the_address_and_a_token_alone() {
    const OPERATOR: &str = "operator-0123456789abcdef";
    let config = "[server]\ntoken_file = 'token'\n[github]\ntoken_env = 'GITHUB'\n[secret.KEY]\nenv = 'KEY'\nhosts = ['a.example']\n[role.echo]\ntoken_file = 'missing'\n[role.other]\nplugin = 'echo'\ntoken_env = 'NOWHERE'\n";
    let operator = Project::new().env("EXOMONAD_TOKEN", OPERATOR);
    let host = operator.serve().await;
    let project = Project::new()
        .config(config)
        .env("EXOMONAD_LISTEN", host.address().to_string());
    project.write("token", OPERATOR);
    project.run(["config", "check"]).exits(2);
    for arguments in [
        &["calls", "list"][..],
        &["roles"],
        &["tools", "echo"],
        &["call", "echo", "echo", "text=a"],
        &["doctor", "--quick"],
    ] {
        project.run(arguments).exits(0);
    }
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let bridged = project
        .run_with_input(["mcp", "--role", "echo"], hello.as_bytes())
        .exits(0);
    assert!(bridged.stdout.contains("serverInfo"), "{bridged:?}");
    // Nobody is asked, so these are needed.
    let alone = project.run(["--local", "roles"]).exits(2);
    assert!(alone.stderr.contains("KEY"), "{alone:?}");
    project.run(["--local", "calls", "list"]).exits(0);
}

#[test]
fn an_address_that_others_can_reach_wants_tokens_before_it_is_served() {
    let project = Project::new();
    let refused = project.run(["serve", "--listen", "0.0.0.0:0"]).exits(2);
    assert!(
        refused.stderr.contains("exposed_without_token"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn no_body_is_waited_for_before_the_token_is_right() {
    let (_place, host) = guarded().await;
    for path in [
        "/role/tl/mcp/call",
        "/role/tl/hook/pre_tool_use",
        "/role/none/mcp/call",
        "/call",
    ] {
        let mut connection = Connection::open(&host).await;
        connection.send_head(path, 1000).await.unwrap();
        let said = connection.read().await;
        assert!(said.starts_with("HTTP/1.1 401"), "{path}: {said}");
    }
}
