//! Faults of the machine: the host is killed, or has no file descriptors. `docs/faults.md` lists all faults,
//! with the tests of each.

use std::path::PathBuf;
use std::process::Command;

use exomonad_test_support::{
    BEGUN, Connection, Guest, Host, Project, Response, eventually, required_or_skip,
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn kill_9_amid_commits_leaves_a_sound_repository_with_every_commit_that_was_answered() {
    let guest = Guest::answering("").forwarding(&["git_create_commit"]);
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[git]\nauthor_name = 'Ada'\nauthor_email = 'ada@example.com'\n[role.writer]\neffects = ['git.*']\n")
        .plugin("writer.wat", guest.wat());
    let mut answered = Vec::new();
    for round in 0..3 {
        let mut host = project.serve().await;
        let request = host.request(Method::POST, "/call");
        let (done, mut written) = tokio::sync::mpsc::unbounded_channel();
        let root = project.path("");
        let writer = tokio::spawn(async move {
            for nth in 0_u32.. {
                let text = format!("round {round} commit {nth}");
                std::fs::write(root.join("file.txt"), text.repeat(1000)).unwrap();
                let input = json!({"message": text, "all": true}).to_string();
                let body =
                    json!({"plugin": "writer", "function": "git_create_commit", "input": input});
                let again = request.try_clone().unwrap().body(body.to_string());
                match Response::try_of(again).await {
                    Ok(answer) if answer.text().contains("Success") => done.send(text).unwrap(),
                    Ok(answer) => panic!("{answer:?}"),
                    Err(_) => return,
                }
            }
        });
        for _ in 0..5 {
            answered.push(written.recv().await.expect("the writer commits"));
        }
        host.signal(libc::SIGKILL);
        host.end().await;
        writer.await.unwrap();
        while let Ok(text) = written.try_recv() {
            answered.push(text);
        }
        project.git(&["fsck", "--strict"]);
        let log = project.git(&["log", "--format=%s"]);
        for text in &answered {
            assert!(
                log.lines().any(|line| line == text),
                "{text:?} is lost:\n{log}"
            );
        }
        // What git itself leaves when it is killed, and names: whoever knows that no git runs removes it.
        for lock in ["index.lock", "HEAD.lock", "refs/heads/main.lock"] {
            let _ = std::fs::remove_file(project.path(".git").join(lock));
        }
    }
}

#[tokio::test]
async fn kill_9_while_plugins_load_does_not_stop_the_next_start() {
    let project = (0..8).fold(Project::new().own_cache(), |project, nth| {
        let guest = Guest::answering(&nth.to_string()).starting_up(100_000);
        project.plugin(&format!("p{nth}.wat"), guest.wat())
    });
    for millis in [20, 120, 400] {
        let mut command = project.command();
        let mut host = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        host.kill().unwrap();
        host.wait().unwrap();
    }
    let host = project.serve().await;
    for nth in 0..8 {
        let answer = host.tool(&format!("p{nth}"), "answer", json!({})).await;
        assert_eq!(answer.text(), nth.to_string());
    }
}

#[tokio::test]
async fn sigterm_while_a_new_version_loads_answers_the_call_in_flight_and_the_next_start_has_it() {
    let slow_to_load = Guest::answering("new").starting_up(100_000);
    let project = Project::new()
        .own_cache()
        .plugin("keeper.wat", Guest::answering("old").sleeping(1500).wat());
    let mut host = project.serve().await;
    let call = host.request(Method::POST, "/role/keeper/mcp/call");
    let call = tokio::spawn(Response::try_of(call.body(r#"{"name":"answer"}"#)));
    host.logs(BEGUN, 1).await;
    project.put_plugin("keeper.wat", slow_to_load.wat());
    let reload = host.request(Method::POST, "/reload");
    let reload = tokio::spawn(Response::try_of(reload));
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    let answer = call.await.unwrap().unwrap();
    assert!(answer.text().contains("old"), "{}", answer.text());
    drop(reload.await);
    let host = project.serve().await;
    let answer = host.tool("keeper", "answer", json!({})).await;
    assert_eq!(answer.text(), "new");
}

#[tokio::test]
async fn without_file_descriptors_the_host_goes_on_and_answers_again_when_there_are_some() {
    let project = Project::new();
    let mut host = project.serve().await;
    host.tool("echo", "echo", json!({"text": "before"})).await;
    let open = std::fs::read_dir(format!("/proc/{}/fd", host.id()))
        .unwrap()
        .count();
    let process = host.id().to_string();
    let limit = |descriptors: usize| {
        let limited = Command::new("prlimit")
            .args(["--pid", &process, &format!("--nofile={descriptors}:")])
            .status();
        assert!(limited.unwrap().success());
    };
    limit(open + 4);
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(Connection::open(&host).await);
    }
    // Nothing is left for a file, a repository or another connection.
    host.logs("Too many open files", 1).await;
    assert!(host.is_running());
    drop(connections);
    limit(open + 200);
    eventually("the host answers again", async || {
        let request = host.request(Method::POST, "/role/tl/mcp/call");
        let answer = Response::try_of(request.body(r#"{"name":"repo_status"}"#)).await;
        answer.ok().filter(|answer| answer.status == 200)
    })
    .await;
}

/// libfaketime, which gives a process another time of day while it runs.
/// The library that gives a process another clock.
pub fn fake_clock() -> Result<PathBuf, &'static str> {
    let folders = std::fs::read_dir("/usr/lib").map_err(|_| "there is no /usr/lib")?;
    folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
        .ok_or("the package libfaketime is not installed")
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_either_way_ends_no_call_and_hides_no_new_version() {
    let Some(library) = required_or_skip("libfaketime", fake_clock()) else {
        return;
    };
    let keeper = Guest::answering("").forwarding(&["kv_set", "kv_get", "clock_now"]);
    let project = Project::new()
        .own_cache()
        .config("[server]\nraw_calls = true\n[role.keeper]\neffects = ['kv.*', 'clock.*']\n[role.sleeper]\neffects = ['*']\n[role.newcomer]\n")
        .plugin("keeper.wat", keeper.wat())
        .plugin("sleeper.wat", Guest::answering("slept").sleeping(1500).wat())
        .plugin("newcomer.wat", Guest::answering("first").wat());
    let offset = project.path("offset");
    std::fs::write(&offset, "+0").unwrap();
    let project = project
        .env("LD_PRELOAD", library.to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let host = project.serve().await;
    let now = async |host: &Host| {
        let answer = host.effect("keeper", "clock_now", json!({})).await;
        answer["payload"]["unixMillis"].as_i64().unwrap()
    };
    let mut before = now(&host).await;
    const DAY: i64 = 24 * 60 * 60 * 1000;
    for (nth, (jump, days)) in [("+1d", 1), ("-1d", -2), ("+0", 1)].into_iter().enumerate() {
        let call = host.request(Method::POST, "/role/sleeper/mcp/call");
        let call = tokio::spawn(Response::try_of(call.body(r#"{"name":"answer"}"#)));
        host.logs(BEGUN, nth + 1).await;
        std::fs::write(&offset, jump).unwrap();
        let after = now(&host).await;
        let moved = (after - before - days * DAY).abs();
        assert!(
            moved < DAY / 4,
            "{jump}: the clock moved by {}",
            after - before
        );
        before = after;
        let answer = call.await.unwrap().unwrap();
        assert!(answer.text().contains("slept"), "{jump}: {}", answer.text());
        let set = host
            .effect("keeper", "kv_set", json!({"key": "jump", "value": jump}))
            .await;
        assert_eq!(set["kind"], "Success", "{set}");
        let got = host
            .effect("keeper", "kv_get", json!({"key": "jump"}))
            .await;
        assert_eq!(got["payload"]["value"], jump);
        project.put_plugin("newcomer.wat", Guest::answering(jump).wat());
        host.reload().await;
        let answer = host.tool("newcomer", "answer", json!({})).await;
        assert_eq!(answer.text(), jump);
    }
}
