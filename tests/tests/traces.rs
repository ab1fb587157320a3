//! One trace shows a call from the request to what the services do, over a collector that nobody here wrote.

use exomonad_test_support::{
    Collector, Guest, Host, Project, Response, TelemetryItem, WebServer, eventually,
};
use reqwest::Method;
use serde_json::json;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A host that sends what it sees at once.
fn project(collector: &Collector, protocol: &str) -> Project {
    let endpoint = match protocol {
        "grpc" => collector.grpc(),
        _ => collector.http(),
    };
    Project::new().config(&format!(
        "[server]\nraw_calls = true\n[telemetry]\nendpoint = '{endpoint}'\nprotocol = '{protocol}'\ninterval = '50ms'\n\
         service_name = 'house'\nresource_attributes = ['team=a%2Cb']\n\
         [role.tl]\n[role.echo]\n[role.asker]\neffects = ['http.request', 'git.status']\nhosts = ['127.0.0.1']\n"
    ))
}

async fn post(host: &Host, path: &str, body: &str, headers: &[(&str, &str)]) -> Response {
    let request = host.request(Method::POST, path).body(body.to_owned());
    let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    Response::of(headers.iter().fold(request, add)).await
}

/// The span of this name in a trace.
async fn span(collector: &Collector, trace: &str, name: &str) -> TelemetryItem {
    let what = format!("the span {name:?} of trace {trace} arrives");
    collector
        .span(&what, |span| {
            span.text("traceId") == trace && span.name() == name
        })
        .await
}

async fn a_call_is_one_trace(protocol: &str) {
    let Some(collector) = Collector::start() else {
        return;
    };
    let host = project(&collector, protocol).serve().await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=1")];
    let body = r#"{"name":"repo_status","arguments":{}}"#;
    let answer = post(&host, "/role/tl/mcp/call", body, &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["isError"], false, "{answer:?}");

    let request = span(&collector, TRACE, "POST /role/{role}/mcp/call").await;
    let call = span(&collector, TRACE, "tools/call repo_status").await;
    let guest = span(&collector, TRACE, "guest handle_mcp_call").await;
    let effect = span(&collector, TRACE, "git.status").await;
    let service = span(&collector, TRACE, "libgit2 status").await;
    let lineage = [&request, &call, &guest, &effect, &service];
    assert_eq!(request.text("parentSpanId"), PARENT);
    for pair in lineage.windows(2) {
        assert_eq!(
            pair[1].text("parentSpanId"),
            pair[0].text("spanId"),
            "{pair:?}"
        );
    }
    assert_eq!(request.text("kind"), "SPAN_KIND_SERVER");
    assert_eq!(request.text("traceState"), "vendor=1");
    for (span, name, value) in [
        (&request, "http.request.method", "POST"),
        (&request, "http.route", "/role/{role}/mcp/call"),
        (&request, "url.path", "/role/tl/mcp/call"),
        (&request, "http.response.status_code", "200"),
        (&call, "mcp.method.name", "tools/call"),
        (&call, "gen_ai.operation.name", "execute_tool"),
        (&call, "gen_ai.tool.name", "repo_status"),
        (&call, "exomonad.role", "tl"),
        (&guest, "exomonad.export", "handle_mcp_call"),
        (&effect, "exomonad.effect", "git_status"),
    ] {
        assert_eq!(span.attribute(name), value, "{name} of {span:?}");
    }
    assert_eq!(
        call.attribute("exomonad.call_id"),
        answer.headers["x-exomonad-call-id"].to_str().unwrap()
    );
    for span in lineage {
        assert!(span.attribute("error.type").is_empty(), "{span:?}");
        let attributes = span.0["attributes"].to_string();
        assert!(
            !attributes.contains("otel.") && !attributes.contains("code."),
            "{attributes}"
        );
    }

    let line = eventually("the call's line of the log arrives", async || {
        let lines = collector.lines().into_iter();
        lines
            .into_iter()
            .find(|line| line.0["body"]["stringValue"] == "tool call")
    })
    .await;
    assert_eq!(line.text("traceId"), TRACE);
    assert_eq!(line.text("spanId"), request.text("spanId"));
    assert_eq!(line.attribute("tool"), "repo_status");

    eventually("the metrics of the call arrive", async || {
        let mut metrics = collector.metrics().into_iter();
        metrics
            .any(|metric| {
                metric.name() == "exomonad.tool.calls"
                    && metric.0.to_string().contains("repo_status")
            })
            .then_some(())
    })
    .await;
    for request in collector.requests() {
        let by = if protocol == "grpc" { "grpc" } else { "http" };
        assert_eq!(request["by"], by);
        let text = request["message"].to_string();
        assert!(
            text.contains(r#"{"key":"service.name","value":{"stringValue":"house"}}"#),
            "{text}"
        );
        assert!(text.contains(r#""stringValue":"a,b""#), "{text}");
    }
}

#[tokio::test]
async fn a_call_is_one_trace_by_grpc() {
    a_call_is_one_trace("grpc").await;
}

#[tokio::test]
async fn a_call_is_one_trace_by_http() {
    a_call_is_one_trace("http/protobuf").await;
}

#[tokio::test]
async fn the_trace_goes_on_to_servers_and_into_the_guest() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let server = WebServer::answering("hi");
    let guest = Guest::answering("")
        .forwarding(&["http_request"])
        .without("handle_mcp_call")
        .export("handle_mcp_call", "(call $give (call $input_offset))")
        .wat();
    let host = project(&collector, "grpc")
        .plugin("asker.wat", guest)
        .serve()
        .await;
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let url = format!(
        "{}secret-path?token=hunter2",
        server.url().replace("//", "//ada:hunter2@")
    );
    let input = json!({"url": url}).to_string();
    let body = json!({"plugin": "asker", "function": "http_request", "input": input}).to_string();
    let answer = post(&host, "/call", &body, &[("traceparent", &parent)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let sent = span(&collector, TRACE, "GET").await;
    assert_eq!(sent.text("kind"), "SPAN_KIND_CLIENT");
    assert_eq!(sent.attribute("server.address"), "127.0.0.1");
    assert_eq!(sent.attribute("http.response.status_code"), "200");
    let wanted = format!("traceparent: 00-{TRACE}-{}-01", sent.text("spanId"));
    assert!(
        server.last().contains(&wanted),
        "{wanted}: {}",
        server.last()
    );
    let all: Vec<String> = collector
        .requests()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        all.iter()
            .all(|request| !request.contains("hunter2") && !request.contains("secret-path"))
    );

    // The guest's own context is that of its span.
    let answer = post(
        &host,
        "/role/asker/mcp/call",
        r#"{"name":"answer"}"#,
        &[("traceparent", &parent)],
    )
    .await;
    let guest = collector
        .span("the guest's span arrives", |span| {
            span.name() == "guest handle_mcp_call"
        })
        .await;
    let told = format!("00-{TRACE}-{}-01", guest.text("spanId"));
    assert!(answer.text().contains(&told), "{told}: {answer:?}");
}

#[tokio::test]
async fn a_trace_that_is_none_is_not_continued_and_one_that_is_not_sampled_is_not_sent() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let host = project(&collector, "grpc").serve().await;
    let body = r#"{"name":"repo_status"}"#;
    let not_sampled = format!("00-{TRACE}-{PARENT}-00");
    post(
        &host,
        "/role/tl/mcp/call",
        body,
        &[("traceparent", &not_sampled)],
    )
    .await;
    for invalid in [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        let answer = post(
            &host,
            "/role/tl/mcp/call",
            body,
            &[("traceparent", invalid)],
        )
        .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.headers["x-exomonad-call-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let call = collector
            .span("the call's span arrives", |span| {
                span.attribute("exomonad.call_id") == id
            })
            .await;
        assert_ne!(call.text("traceId"), TRACE, "{invalid}");
    }
    assert!(
        collector
            .spans()
            .iter()
            .all(|span| span.text("traceId") != TRACE)
    );
}

#[tokio::test]
async fn what_fails_says_how_in_its_spans() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let asker = Guest::answering("")
        .forwarding(&["git_status", "git_push"])
        .wat();
    let host = project(&collector, "http/protobuf")
        .plugin("asker.wat", asker)
        .serve()
        .await;
    host.effect("asker", "git_push", json!({})).await;
    host.effect(
        "asker",
        "git_status",
        json!({"workingDir": "no/such/folder"}),
    )
    .await;
    host.call("tl", "no_such_tool", json!({})).await;
    host.get("/no/such/path").await;
    for (name, error) in [
        ("git.push", "effect_denied"),
        ("git.status", "not_found"),
        ("libgit2 status", "not_found"),
        ("tools/call", "tool_not_found"),
        ("_OTHER HTTP", ""),
    ] {
        let span = collector.span(name, |span| span.name() == name).await;
        assert_eq!(span.attribute("error.type"), error, "{span:?}");
        let status = if error.is_empty() {
            ""
        } else {
            "STATUS_CODE_ERROR"
        };
        assert_eq!(
            span.0["status"]["code"].as_str().unwrap_or_default(),
            status,
            "{span:?}"
        );
    }
    let names: Vec<String> = collector
        .requests()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        names.iter().all(|name| !name.contains("/no/such/path")),
        "{names:?}"
    );
}
