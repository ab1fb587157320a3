//! Plugins come, change and go while the host runs.

use std::fs;
use std::time::Duration;

use exomonad_test_support::{Guest, Host, Load, Project, eventually, never_within, shipped_plugin};
use serde_json::{Value, json};

fn saying(text: &str) -> Vec<u8> {
    Guest::answering(text).wasm()
}

/// The response of the role's tool; empty if the role is not there.
async fn said(host: &Host, role: &str) -> String {
    let answer = host.call(role, "answer", json!({})).await;
    if answer.status == 200 {
        answer.tool_result().text()
    } else {
        String::new()
    }
}

async fn says(host: &Host, role: &str, text: &str) {
    eventually(&format!("{role} says {text:?}"), async || {
        (said(host, role).await == text).then_some(())
    })
    .await;
}

async fn is_gone(host: &Host, role: &str) {
    eventually(&format!("{role} is gone"), async || {
        host.role(role).await.is_null().then_some(())
    })
    .await;
    host.call(role, "answer", json!({}))
        .await
        .problem(404, "role_not_found");
}

#[tokio::test]
async fn a_plugin_dropped_into_the_folder_is_called_a_moment_later() {
    let project = Project::new();
    let host = project.serve().await;
    assert!(host.role("greeter").await.is_null());
    project.put_plugin("greeter.wat", Guest::answering("hello").wat());
    project.put_plugin("parrot.wasm", shipped_plugin("echo"));
    says(&host, "greeter", "hello").await;
    eventually("parrot serves", async || {
        (!host.role("parrot").await["plugin"].is_null()).then_some(())
    })
    .await;
    let echoed = host
        .tool("parrot", "echo", json!({"text": "pretty bird"}))
        .await;
    assert_eq!(echoed.structured()["text"], "pretty bird");
}

#[tokio::test]
async fn a_plugin_is_replaced_under_load_without_a_failed_call() {
    let project = Project::new().plugin("greeter.wasm", saying("version 0"));
    let host = project.serve().await;
    let load = Load::start(&host, 8, "greeter", "answer", &json!({}));
    load.answers(50).await;
    for version in 1..=5 {
        project.put_plugin("greeter.wasm", saying(&format!("version {version}")));
        says(&host, "greeter", &format!("version {version}")).await;
        load.answers(50).await;
    }
    let texts = load.stop().await;
    for version in 0..=5 {
        assert!(
            texts.contains(&format!("version {version}")),
            "version {version} never answered"
        );
    }
    assert!(texts.iter().all(|text| text.starts_with("version ")));
}

#[tokio::test]
async fn a_call_in_flight_finishes_on_the_version_it_began_with() {
    let echo = shipped_plugin("echo");
    let project = Project::new().plugin("worker.wasm", &echo);
    let host = project.serve().await;
    let slow = host.tool("worker", "sleep", json!({"millis": 3000}));
    let replace = async {
        eventually("the call runs", async || {
            let metrics = host.get("/metrics").await.text();
            let mut lines = metrics.lines();
            lines
                .any(|line| line.starts_with("exomonad_sandboxes_in_use") && line.ends_with(" 1"))
                .then_some(())
        })
        .await;
        project.put_plugin("worker.wasm", saying("new"));
        says(&host, "worker", "new").await;
    };
    let (slept, ()) = futures_util::future::join(slow, replace).await;
    assert_eq!(slept.structured()["millis"], 3000, "{slept:?}");
}

#[tokio::test]
async fn a_file_renamed_over_another_takes_its_place() {
    let project = Project::new().plugin("greeter.wasm", saying("old"));
    let host = project.serve().await;
    let elsewhere = project.write("build/new.wasm", saying("new"));
    fs::rename(elsewhere, project.plugin_path("greeter.wasm")).unwrap();
    says(&host, "greeter", "new").await;
    // The same name, moved aside and back: the old content again.
    fs::rename(
        project.plugin_path("greeter.wasm"),
        project.plugin_path("singer.wasm"),
    )
    .unwrap();
    says(&host, "singer", "new").await;
    is_gone(&host, "greeter").await;
}

#[tokio::test]
async fn a_deleted_plugin_takes_its_role_with_it() {
    let project = Project::new().plugin("greeter.wasm", saying("hello"));
    let host = project.serve().await;
    fs::remove_file(project.plugin_path("greeter.wasm")).unwrap();
    is_gone(&host, "greeter").await;
    assert_eq!(
        host.get("/health").await.json()["status"],
        "ok",
        "a role that goes is no problem"
    );
}

#[tokio::test]
async fn a_listed_role_stays_without_its_plugin_and_says_what_is_missing() {
    let project = Project::new()
        .config("[role.greeter]\n")
        .plugin("greeter.wasm", saying("hello"));
    let host = project.serve().await;
    fs::remove_file(project.plugin_path("greeter.wasm")).unwrap();
    let problem = eventually("the plugin is missed", async || {
        Some(host.problem("greeter").await).filter(|problem| !problem.is_empty())
    })
    .await;
    assert!(
        problem.contains("put greeter.wasm into the plugin folder"),
        "{problem}"
    );
    let refused = host
        .call("greeter", "answer", json!({}))
        .await
        .problem(503, "plugin_not_loaded");
    assert!(
        refused.contains("put greeter.wasm into the plugin folder"),
        "{refused}"
    );
    project.put_plugin("greeter.wasm", saying("back"));
    says(&host, "greeter", "back").await;
    assert_eq!(host.problem("greeter").await, "");
}

#[tokio::test]
async fn a_plugin_in_the_folder_hides_the_embedded_one_until_it_is_deleted() {
    let project = Project::new().plugin("tl.wat", Guest::answering("mine").wat());
    let host = project.serve().await;
    assert_eq!(said(&host, "tl").await, "mine");
    fs::remove_file(project.plugin_path("tl.wat")).unwrap();
    let status = eventually("the embedded one is back", async || {
        let answer = host.call("tl", "repo_status", json!({})).await;
        (answer.status == 200).then(|| answer.tool_result())
    })
    .await;
    assert_eq!(status.structured()["branch"], "main");
    assert_eq!(host.role("tl").await["plugin"]["source"], "embedded:tl");
}

#[tokio::test]
async fn a_file_that_is_deleted_and_written_again_at_once_is_never_missed() {
    let project = Project::new().plugin("greeter.wasm", saying("version 0"));
    let host = project.serve().await;
    let load = Load::start(&host, 4, "greeter", "answer", &json!({}));
    for version in 1..=5 {
        fs::remove_file(project.plugin_path("greeter.wasm")).unwrap();
        project.put_plugin("greeter.wasm", saying(&format!("version {version}")));
        load.answers(20).await;
    }
    says(&host, "greeter", "version 5").await;
    load.stop().await;
}

#[tokio::test]
async fn a_file_that_is_written_in_pieces_serves_only_when_it_is_whole() {
    let project = Project::new().plugin("parrot.wasm", saying("old"));
    let host = project.serve().await;
    let load = Load::start(&host, 2, "parrot", "answer", &json!({}));
    let whole = shipped_plugin("echo");
    // Each piece makes the file another one. Should one lie still for long enough to be tried, what is
    // there of the plugin is refused.
    for end in (0..whole.len()).step_by(whole.len() / 20) {
        project.put_plugin("parrot.wasm", &whole[..end]);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(
            host.role("parrot").await["plugin"]["tools"],
            json!(["answer"])
        );
    }
    let texts = load.stop().await;
    assert!(texts.iter().all(|text| text == "old"));
    project.put_plugin("parrot.wasm", &whole);
    eventually("the whole file serves", async || {
        let answer = host.call("parrot", "echo", json!({"text": "whole"})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(host.problem("parrot").await, "");
}

#[tokio::test]
async fn hidden_files_and_files_of_other_kinds_are_none_of_the_hosts_business() {
    let project = Project::new();
    let host = project.serve().await;
    for file in [
        ".greeter.wasm.part",
        ".greeter.wasm",
        "greeter.wasm.tmp",
        "greeter.txt",
        "README",
    ] {
        project.put_plugin(file, saying("hello"));
    }
    assert_eq!(host.reload().await["failed"], json!({}));
    assert!(host.role("greeter").await.is_null());
}

#[tokio::test]
async fn without_its_folder_the_host_serves_on_and_takes_up_a_new_one() {
    let project = Project::new().plugin("greeter.wasm", saying("old"));
    let host = project.serve().await;
    fs::remove_dir_all(project.plugin_path("")).unwrap();
    let problem = eventually("the folder is missed", async || {
        Some(host.problem("greeter").await).filter(|problem| !problem.is_empty())
    })
    .await;
    assert!(
        problem.contains("plugin folder cannot be read"),
        "{problem}"
    );
    assert_eq!(said(&host, "greeter").await, "old");
    let status = host.tool("tl", "repo_status", json!({})).await;
    assert_eq!(
        status.structured()["branch"],
        "main",
        "the other roles are not concerned"
    );
    project.put_plugin("greeter.wasm", saying("new"));
    says(&host, "greeter", "new").await;
    assert_eq!(host.problem("greeter").await, "");
    // The folder is another one: it is watched again, or polled.
    project.put_plugin("greeter.wasm", saying("newer"));
    says(&host, "greeter", "newer").await;
}

#[tokio::test]
async fn a_folder_that_appears_later_is_noticed() {
    let project = Project::new().config("[plugins]\ndir = 'later/plugins'\n");
    let host = project.serve().await;
    let _ = fs::remove_dir_all(project.path("later"));
    project.write("later/plugins/greeter.wasm", saying("hello"));
    says(&host, "greeter", "hello").await;
}

#[tokio::test]
async fn polling_finds_what_the_system_does_not_report() {
    // Changes behind a symbolic link are not reported to those who watch the folder the link lies in.
    let project = Project::new().config("[plugins]\npoll_interval = '100ms'\n");
    let target = project.write("elsewhere/greeter.wasm", saying("old"));
    fs::create_dir_all(project.plugin_path("")).unwrap();
    std::os::unix::fs::symlink(&target, project.plugin_path("greeter.wasm")).unwrap();
    let host = project.serve().await;
    assert_eq!(said(&host, "greeter").await, "old");
    fs::write(target, saying("new")).unwrap();
    says(&host, "greeter", "new").await;
}

#[tokio::test]
async fn without_notices_a_plugin_is_taken_up_by_polling() {
    let project = Project::new()
        .config("[plugins]\nwatch = false\npoll_interval = '100ms'\n")
        .plugin("greeter.wasm", saying("old"));
    let host = project.serve().await;
    project.put_plugin("greeter.wasm", saying("new"));
    says(&host, "greeter", "new").await;
    fs::remove_file(project.plugin_path("greeter.wasm")).unwrap();
    is_gone(&host, "greeter").await;
}

#[tokio::test]
async fn without_notices_and_polling_a_plugin_is_taken_up_by_a_reload_and_not_before() {
    let project = Project::new().config("[plugins]\nwatch = false\npoll_interval = '0s'\n");
    let host = project.serve().await;
    project.put_plugin("greeter.wasm", saying("hello"));
    never_within(
        Duration::from_secs(1),
        "the plugin was taken up",
        async || !host.role("greeter").await.is_null(),
    )
    .await;
    assert_eq!(host.reload().await["loaded"], json!(["greeter"]));
    assert_eq!(said(&host, "greeter").await, "hello");
}

#[tokio::test]
async fn a_reload_is_answered_however_many_changes_are_under_way() {
    let project = Project::new();
    let host = project.serve().await;
    for version in 0..10 {
        project.put_plugin("greeter.wasm", saying(&format!("version {version}")));
        let both = futures_util::future::join(host.reload(), host.reload()).await;
        assert_eq!(
            (&both.0["failed"], &both.1["failed"]),
            (&json!({}), &json!({}))
        );
    }
    says(&host, "greeter", "version 9").await;
}

#[tokio::test]
async fn a_reload_tells_what_it_changed() {
    let project = Project::new()
        .config("[plugins]\nwatch = false\npoll_interval = '0s'\n")
        .plugin("old.wasm", saying("old"));
    let host = project.serve().await;
    let nothing = json!({"ok": true, "failed": {}, "loaded": [], "removed": [], "pending": []});
    assert_eq!(host.reload().await, nothing);
    project.put_plugin("greeter.wasm", saying("hello"));
    project.put_plugin("broken.wasm", "not a module");
    let changes = host.reload().await;
    assert_eq!(changes["loaded"], json!(["greeter"]));
    assert_eq!(changes["pending"], json!([]));
    let reason = changes["failed"]["broken"].as_str().unwrap();
    assert!(reason.contains("broken.wasm"), "{reason}");
    fs::remove_file(project.plugin_path("broken.wasm")).unwrap();
    fs::remove_file(project.plugin_path("old.wasm")).unwrap();
    let removed: Value = eventually("the plugin is missed for long enough", async || {
        let changes = host.reload().await;
        (changes["removed"] == json!(["old"])).then_some(changes)
    })
    .await;
    assert_eq!(removed["failed"], json!({}));
    assert_eq!(host.reload().await, nothing);
}

#[tokio::test]
async fn a_file_that_is_written_over_with_its_old_size_and_time_is_noticed() {
    let project = Project::new().config("[plugins]\npoll_interval = '100ms'\nwatch = false\n");
    let path = project.put_plugin("greeter.wasm", saying("one"));
    let put = |text: &str| {
        fs::write(&path, saying(text)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
    };
    put("one");
    let host = project.serve().await;
    says(&host, "greeter", "one").await;
    put("two");
    says(&host, "greeter", "two").await;
}
