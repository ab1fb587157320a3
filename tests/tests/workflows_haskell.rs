//! Durable workflows of a plugin in Haskell: they do what those in Rust do, over kills, too.

use exomonad_test_support::{Project, WebServer, eventually, haskell_plugin};
use serde_json::{Value, json};

use crate::workflows::{EFFECTS, act, becomes, history, output, run, signal, start};

/// A project whose role `flows` has the small workflows in Haskell.
fn flows(more: &str) -> Project {
    Project::new()
        .config(&format!(
            "[role.flows]\nplugin = 'echo-haskell'\n{EFFECTS}\n{more}"
        ))
        .plugin("echo-haskell.wasm", haskell_plugin("echo-haskell"))
}

#[tokio::test]
async fn a_run_in_haskell_goes_on_where_its_host_was_killed() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "sleeper", "sleeps", json!({"millis": 1500})).await;
    start(&host, "wait_for", "waits", json!({"signal": "go"})).await;
    start(&host, "steps", "works", json!({"count": 500, "kind": "kv"})).await;
    start(
        &host,
        "spawns",
        "spawns",
        json!({"children": 3, "millis": 1000}),
    )
    .await;
    eventually("some steps", async || {
        (history(&host, "works").await.len() > 20).then_some(())
    })
    .await;
    host.signal(libc::SIGKILL);
    host.end().await;
    let host = project.serve().await;
    let waiting = becomes(&host, "waits", "waiting").await;
    assert_eq!(waiting["state"]["phase"], "waiting", "{waiting}");
    let asked = act(&host, "waits", "query", json!({"name": "progress"})).await;
    assert_eq!(asked.json(), json!({"value": "waiting"}));
    signal(&host, "waits", "go", json!({"from": "ada"})).await;
    let received = output(&host, "waits").await;
    assert_eq!(received["payload"], json!({"from": "ada"}));
    assert_eq!(output(&host, "works").await, json!({"count": 500}));
    assert_eq!(output(&host, "sleeps").await, json!({"millis": 1500}));
    assert_eq!(output(&host, "spawns").await, json!({"count": 3}));
}

#[tokio::test]
async fn steps_in_haskell_run_beside_each_other_are_tried_again_and_undone() {
    let web = WebServer::answering("found");
    let project = flows("hosts = ['127.0.0.1']\n");
    let host = project.serve().await;
    start(&host, "parallel", "a", json!({"n": 8, "millis": 20})).await;
    let parallel = output(&host, "a").await;
    assert_eq!(
        (&parallel["timers"], &parallel["writes"]),
        (&json!(8), &json!(8)),
        "{parallel}"
    );
    let input = json!({"url": web.url(), "attempts": 3, "firstWaitMillis": 10});
    start(&host, "retries", "b", input).await;
    let page = json!({"status": 200, "body": "found"});
    assert_eq!(output(&host, "b").await, page);
    // Nobody listens there.
    let input = json!({"url": "http://127.0.0.1:9/", "attempts": 3, "firstWaitMillis": 10});
    start(&host, "retries", "c", input).await;
    becomes(&host, "c", "failed").await;
    let kinds: Vec<Value> = history(&host, "c")
        .await
        .iter()
        .map(|entry| entry["kind"].clone())
        .collect();
    assert_eq!(kinds, ["attempt", "attempt", "done"]);
    start(&host, "compensates", "d", json!(null)).await;
    becomes(&host, "d", "waiting").await;
    assert_eq!(act(&host, "d", "cancel", json!(null)).await.status, 200);
    becomes(&host, "d", "cancelled").await;
    let undone = history(&host, "d").await;
    let deleted: Vec<_> = undone
        .iter()
        .filter(|entry| entry["name"] == "kv.delete")
        .map(|entry| entry["request"]["json"]["key"].clone())
        .collect();
    assert_eq!(
        deleted,
        ["compensates/d/b", "compensates/d/a"],
        "{undone:?}"
    );
}

#[tokio::test]
async fn a_run_in_haskell_continues_as_new_fails_and_gets_stuck_as_one_in_rust() {
    let project = flows("[workflows]\nrestarts = 1\nrestart_delay = '10ms'\n");
    let host = project.serve().await;
    start(&host, "continues", "a", json!({"rounds": 4})).await;
    let last = eventually("the last round", async || {
        let run = run(&host, "a").await;
        (run["status"] == "completed").then_some(run)
    })
    .await;
    assert_eq!(last["output"], json!({"total": 4}), "{last}");
    let failure = json!({"code": "out_of_milk", "message": "no milk"});
    start(&host, "fails", "b", failure.clone()).await;
    assert_eq!(becomes(&host, "b", "failed").await["error"], failure);
    start(&host, "traps_always", "c", json!({"count": 2})).await;
    let stuck = becomes(&host, "c", "stuck").await;
    let told = stuck["error"]["message"].as_str().unwrap();
    assert!(told.contains("as asked"), "{told}");
    start(&host, "patched_flow", "d", json!(null)).await;
    signal(&host, "d", "go", json!(null)).await;
    assert_eq!(output(&host, "d").await, json!({"way": "new"}));
}
