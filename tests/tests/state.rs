//! State of roles: apart from each other, and safe from a crash.

use exomonad_test_support::{Guest, Host, Project};
use serde_json::{Value, json};

fn keepers() -> Project {
    Project::new()
        .config("[server]\nraw_calls = true\n[role.one]\nplugin = 'keeper'\neffects = ['kv.*']\n[role.two]\nplugin = 'keeper'\neffects = ['kv.*']\n")
        .plugin("keeper.wat", Guest::answering("").forwarding(&["kv_set", "kv_get", "kv_delete", "kv_list"]).wat())
}

async fn set(host: &Host, role: &str, key: &str, value: Value) {
    let answer = host
        .effect(role, "kv_set", json!({"key": key, "value": value}))
        .await;
    assert_eq!(answer["kind"], "Success", "{answer}");
}

async fn get(host: &Host, role: &str, key: &str) -> Value {
    let answer = host.effect(role, "kv_get", json!({"key": key})).await;
    assert_eq!(answer["kind"], "Success", "{answer}");
    answer["payload"].clone()
}

async fn keys(host: &Host, role: &str) -> Value {
    host.effect(role, "kv_list", json!({})).await["payload"]["keys"].clone()
}

#[tokio::test]
async fn every_answered_write_survives_a_kill() {
    let project = keepers();
    let mut host = project.serve().await;
    for nth in 0..50 {
        set(&host, "one", &format!("key{nth:02}"), json!({"nth": nth})).await;
    }
    host.signal(libc::SIGKILL);
    assert_eq!(host.end().await, None, "the signal ended it");
    let host = project.serve().await;
    for nth in 0..50 {
        let entry = get(&host, "one", &format!("key{nth:02}")).await;
        assert_eq!(entry, json!({"found": true, "value": {"nth": nth}}));
    }
    assert_eq!(keys(&host, "one").await.as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_host_that_stops_leaves_one_file_and_it_alone_is_the_state() {
    let project = keepers();
    let mut host = project.serve().await;
    for role in ["one", "two"] {
        set(&host, role, "key", json!(role)).await;
    }
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    let folder = project.path(".exomonad/state");
    let mut left = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("state."))
        .collect::<Vec<_>>();
    left.sort();
    assert_eq!(left, ["state.sqlite3"]);
    let backup = std::fs::read(folder.join("state.sqlite3")).unwrap();
    let mut host = project.serve().await;
    set(&host, "one", "key", json!("spoilt")).await;
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    std::fs::write(folder.join("state.sqlite3"), backup).unwrap();
    let host = project.serve().await;
    assert_eq!(get(&host, "one", "key").await["value"], "one");
}

#[tokio::test]
async fn a_kill_amid_writes_leaves_a_store_that_works() {
    let project = keepers();
    let mut host = project.serve().await;
    let mut answered = 0;
    let request = host.request(reqwest::Method::POST, "/call");
    let (done, mut written) = tokio::sync::mpsc::unbounded_channel();
    let writer = tokio::spawn(async move {
        for nth in 0_u32.. {
            let input = json!({"key": format!("key{nth:05}"), "value": nth}).to_string();
            let body = json!({"plugin": "one", "function": "kv_set", "input": input}).to_string();
            let again = request.try_clone().unwrap().body(body);
            match exomonad_test_support::Response::try_of(again).await {
                Ok(answer) if answer.text().contains("Success") => done.send(nth).unwrap(),
                _ => return,
            }
        }
    });
    while answered < 20 {
        answered = written.recv().await.expect("the writer writes") + 1;
    }
    host.signal(libc::SIGKILL);
    host.end().await;
    writer.await.unwrap();
    while let Ok(nth) = written.try_recv() {
        answered = nth + 1;
    }
    let host = project.serve().await;
    for nth in 0..answered {
        assert_eq!(
            get(&host, "one", &format!("key{nth:05}")).await["value"],
            nth
        );
    }
    set(&host, "one", "after", json!(true)).await;
    assert_eq!(get(&host, "one", "after").await["value"], true);
}

#[tokio::test]
async fn roles_do_not_see_each_other_s_keys() {
    let project = keepers();
    let host = project.serve().await;
    set(&host, "one", "name", json!("first")).await;
    assert_eq!(get(&host, "two", "name").await["found"], false);
    assert_eq!(keys(&host, "two").await, json!([]));
    set(&host, "two", "name", json!("second")).await;
    let deleted = host
        .effect("two", "kv_delete", json!({"key": "name"}))
        .await;
    assert_eq!(deleted["payload"]["existed"], true);
    assert_eq!(get(&host, "one", "name").await["value"], "first");
    for prefix in ["../one/", "one/", "one\u{0}", "%"] {
        let listed = host
            .effect("two", "kv_list", json!({"prefix": prefix}))
            .await;
        assert_eq!(listed["payload"]["keys"], json!([]), "{prefix:?}");
    }
}

#[tokio::test]
async fn values_come_back_as_they_were_given() {
    let project = keepers();
    let host = project.serve().await;
    for value in [
        json!(null),
        json!(1.5),
        json!("größer \u{0}"),
        json!([1, {"a": []}]),
        json!({"": {"": ""}}),
    ] {
        set(&host, "one", "ключ/🔑", value.clone()).await;
        assert_eq!(
            get(&host, "one", "ключ/🔑").await,
            json!({"found": true, "value": value})
        );
    }
}

#[tokio::test]
async fn a_damaged_store_stops_the_start_and_is_left_as_it_is() {
    let project = keepers();
    let garbage = "this is no database, but somebody may want it ".repeat(100);
    let file = project.write(".exomonad/state/state.sqlite3", &garbage);
    let ran = project.run(["serve", "--listen", "127.0.0.1:0"]).exits(4);
    assert!(
        ran.stderr.contains("state.sqlite3") && ran.stderr.contains("backup"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), garbage);
}
