//! `GET /events`: what happens, as it happens.

use std::time::Duration;

use exomonad_test_support::{Host, Project};
use reqwest::Method;
use serde_json::{Value, json};

use crate::command_line_workflows::{flows, start};

/// A stream of events.
struct Stream {
    response: reqwest::Response,
    rest: String,
}

/// An event of it.
#[derive(Debug)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Stream {
    async fn open(host: &Host, query: &str, last: Option<u64>) -> Self {
        let mut request = host.request(Method::GET, &format!("/events{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            rest: String::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout(Duration::from_secs(60), self.read());
        next.await.expect("an event comes")
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some((frame, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = frame.lines();
                    lines.find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
                };
                let event = field("data: ").map(|data| Event {
                    id: field("id: ").unwrap().parse().unwrap(),
                    name: field("event: ").unwrap(),
                    data: serde_json::from_str(&data).unwrap(),
                });
                self.rest = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let part = self.response.chunk().await.ok()??;
            self.rest.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// Reads until a run has this status, and gives the events up to it.
    async fn until(&mut self, status: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let is_it = event.data["status"] == status;
            events.push(event);
            if is_it {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn changes_of_runs_come_in_order_and_a_client_that_comes_back_misses_none() {
    let project = flows("");
    let host = project.serve().await;
    let described = &host.get("/openapi.json").await.json()["paths"]["/events"]["get"];
    let stream = &described["responses"]["200"]["content"]["text/event-stream"]["schema"];
    assert_eq!(
        stream["contentMediaType"], "application/json",
        "{described}"
    );
    assert!(stream["contentSchema"]["$ref"].is_string(), "{stream}");
    let mut all = Stream::open(&host, "", None).await;
    let mut of_b = Stream::open(&host, "?role=flows&run=b", None).await;
    start(&host, "steps", "a", json!({"count": 1, "kind": "kv"})).await;
    let of_a = all.until("completed").await;
    for event in &of_a {
        assert_eq!(event.name, "run");
        assert_eq!(event.data["type"], "run");
        assert_eq!(event.data["change"], "status");
        assert_eq!(event.data["workflowId"], "a");
        assert_eq!(event.data["workflow"], "steps");
        assert_eq!(event.data["role"], "flows");
    }
    assert!(of_a.is_sorted_by_key(|event| event.id), "{of_a:?}");
    let last = of_a.last().unwrap().id;
    drop(all);
    // While nobody listens.
    start(&host, "steps", "b", json!({"count": 1, "kind": "kv"})).await;
    let by_filter = of_b.until("completed").await;
    assert!(
        by_filter
            .iter()
            .all(|event| event.data["workflowId"] == "b"),
        "{by_filter:?}"
    );
    let mut back = Stream::open(&host, "", Some(last)).await;
    let missed = back.until("completed").await;
    assert!(missed[0].id > last, "{missed:?}");
    let ids = |events: &[Event]| events.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids(&missed), ids(&by_filter));
}

#[tokio::test]
async fn a_client_that_comes_too_late_is_told_and_so_is_one_with_an_id_of_nobody() {
    let project = flows("");
    let host = project.serve().await;
    for (after, reason) in [(1, "restart"), (u64::MAX, "unknown")] {
        let mut stream = Stream::open(&host, &format!("?after={after}"), None).await;
        let missed = stream.next().await.unwrap();
        assert_eq!(missed.name, "missed");
        assert_eq!(missed.data["reason"], reason, "{missed:?}");
        // It goes on from there.
        start(&host, "steps", reason, json!({"count": 1, "kind": "kv"})).await;
        let events = stream.until("completed").await;
        assert_eq!(events[0].data["workflowId"], reason, "{events:?}");
        assert!(events[0].id > missed.id);
    }
    host.get("/events?since=5")
        .await
        .problem(400, "invalid_request");
    host.get("/events?after=x")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn what_a_plugin_emits_comes_with_its_role_and_its_call() {
    let project = Project::new()
        .config("[role.asker]\neffects = ['log.*']\n")
        .plugin("asker.wat", emitting());
    let host = project.serve().await;
    let mut events = Stream::open(&host, "?role=asker", None).await;
    let called = host.call("asker", "answer", json!({})).await;
    let event = events.next().await.unwrap();
    assert_eq!(event.name, "plugin");
    assert_eq!(event.data["name"], "filed");
    assert_eq!(event.data["payload"], json!({"issue": 7}));
    assert_eq!(event.data["role"], "asker");
    assert_eq!(event.data["callId"], called.header("x-exomonad-call-id"));
    // Also after the configuration was read again.
    project.write(
        "exomonad.toml",
        "[role.asker]\neffects = ['log.*']\n[mcp]\nkeep_alive = '9s'\n",
    );
    assert_eq!(host.reload().await["configuration"]["applied"], true);
    host.call("asker", "answer", json!({})).await;
    assert_eq!(events.next().await.unwrap().data["name"], "filed");
}

/// A plugin whose tool emits an event.
fn emitting() -> String {
    exomonad_test_support::Guest::answering("done")
        .import("extism:host/user", "emit_event", "(param i64) (result i64)")
        .text(r#"{"name": "filed", "payload": {"issue": 7}}"#)
        .without("handle_mcp_call")
        .export(
            "handle_mcp_call",
            "(drop (call $emit_event (call $text))) (drop (call $handle_mcp_call))",
        )
        .wat()
}

#[tokio::test]
async fn a_token_opens_the_events_of_its_roles_and_no_others() {
    let project = flows(
        "[role.other]\nplugin = 'workflows'\ntoken_env = 'OTHER'\n[server]\ntoken_env = 'OPERATOR'\n",
    )
    .env("OTHER", "other-token-of-some-length")
    .env("OPERATOR", "operator-token-of-some-length");
    let host = project.serve().await;
    host.get("/events").await.problem(401, "unauthorized");
    let host = host.with_token("other-token-of-some-length");
    host.get("/events?role=flows")
        .await
        .problem(401, "unauthorized");
    let mut others = Stream::open(&host, "", None).await;
    let host = host.with_token("operator-token-of-some-length");
    let mut all = Stream::open(&host, "", None).await;
    start(&host, "steps", "a", json!({"count": 1, "kind": "kv"})).await;
    all.until("completed").await;
    let of_other = json!({"role": "other", "workflow": "steps", "workflowId": "o", "input": {"count": 0, "kind": "kv"}});
    let started = host.post("/workflows", of_other.to_string()).await;
    assert_eq!(started.status, 201, "{started:?}");
    let seen = others.until("completed").await;
    assert!(
        seen.iter().all(|event| event.data["role"] == "other"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn streams_end_when_the_host_stops_and_hold_it_up_no_longer() {
    let project = flows("");
    let mut host = project.serve().await;
    let mut events = Stream::open(&host, "", None).await;
    host.signal(libc::SIGTERM);
    assert!(events.next().await.is_none());
    assert_eq!(host.end().await, Some(0));
    assert!(host.log().contains("all calls finished"), "{}", host.log());
}

#[tokio::test]
async fn steps_come_to_whoever_asks_for_them_with_their_begin_their_answer_and_no_payload() {
    let project = flows("hosts = ['127.0.0.1']\n");
    let host = project.serve().await;
    let mut of_runs = Stream::open(&host, "?run=a", None).await;
    let mut of_steps = Stream::open(&host, "?run=a&steps=true", None).await;
    // Nobody listens there.
    let retries = json!({"url": "http://127.0.0.1:9/s3cr3t", "attempts": 2, "firstWaitMillis": 10});
    start(&host, "steps", "b", json!({"count": 5, "kind": "kv"})).await;
    start(&host, "retries", "a", retries).await;
    let changes = of_runs.until("failed").await;
    assert!(changes.iter().all(|event| event.name == "run"));
    let events = of_steps.until("failed").await;
    let steps: Vec<_> = events.iter().filter(|event| event.name == "step").collect();
    let told: Vec<_> = steps
        .iter()
        .map(|event| {
            let data = &event.data;
            assert_eq!(
                (&data["type"], &data["workflowId"], &data["effect"]),
                (&json!("step"), &json!("a"), &json!("http.request")),
                "{data}"
            );
            let code = data["code"].as_str().unwrap_or("");
            (
                data["step"].as_u64().unwrap(),
                data["attempt"].as_u64().unwrap(),
                data["change"].as_str().unwrap(),
                code,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, 1, "begun", ""),
            (0, 1, "failed", "unavailable"),
            (0, 2, "begun", ""),
            (0, 2, "answered", "unavailable"),
        ],
        "{events:?}"
    );
    assert!(steps[1].data["nextUnixMillis"].is_i64());
    assert!(!format!("{events:?}").contains("s3cr3t"), "{events:?}");
    // Steps stand where they have happened: after the run began, before it ended.
    assert!(events.is_sorted_by_key(|event| event.id), "{events:?}");
    assert_eq!(events[0].data["status"], "running", "{events:?}");

    // A client that comes back misses none, though nobody has listened meanwhile.
    let last = events.last().unwrap().id;
    drop(of_steps);
    let input = json!({"signal": "go", "timeoutMillis": 600_000});
    start(&host, "wait_for", "a", input).await;
    let sleeping = of_runs.until("sleeping").await;
    let sent = host
        .post("/workflows/a/signal", json!({"name": "go"}).to_string())
        .await;
    assert_eq!(sent.status, 200, "{sent:?}");
    of_runs.until("completed").await;
    let mut back = Stream::open(&host, "?run=a&steps=true", Some(last)).await;
    let events = back.until("completed").await;
    let timer: Vec<_> = events
        .iter()
        .filter(|event| event.name == "step")
        .map(|event| (&event.data["effect"], &event.data["change"]))
        .collect();
    let (effect, begun) = (json!("workflow.sleep"), json!("begun"));
    assert_eq!(timer[0], (&effect, &begun), "{events:?}");
    assert_eq!(
        timer.last(),
        Some(&(&effect, &json!("answered"))),
        "{events:?} {sleeping:?}"
    );
}
