//! `exomonad workflow`: runs from the command line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use exomonad_test_support::{CommandOutput, Host, Project, eventually};
use serde_json::{Value, json};

/// A project whose role `flows` has the plugin of small workflows.
pub fn flows(more: &str) -> Project {
    let plugin = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/dist/workflows.wasm"
    );
    Project::new()
        .config(&format!(
            "[role.flows]\nplugin = 'workflows'\neffects = ['kv.*', 'clock.*', 'random.*', 'log.*', 'http.*', 'workflow.*']\n{more}"
        ))
        .plugin("workflows.wasm", fs::read(plugin).unwrap())
}

/// Starts a workflow over HTTP.
pub async fn start(host: &Host, workflow: &str, id: &str, input: Value) {
    let body = json!({"role": "flows", "workflow": workflow, "workflowId": id, "input": input});
    let started = host.post("/workflows", body.to_string()).await;
    assert_eq!(started.status, 201, "{started:?}");
}

/// Runs `exomonad workflow` against a host.
pub fn workflow(project: &Project, host: &Host, arguments: &[&str]) -> CommandOutput {
    let url = host.url();
    project.run([&["workflow"], arguments, &["--url", &url]].concat())
}

/// Waits until a run has this status, as the command line has it.
async fn becomes(project: &Project, host: &Host, id: &str, status: &str) -> Value {
    eventually(&format!("{id} is {status}"), async || {
        let shown = workflow(project, host, &["show", id, "--json"])
            .exits(0)
            .json();
        (shown["status"] == status).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn a_run_is_started_listed_shown_signalled_queried_and_followed() {
    let project = flows("");
    let host = project.serve().await;
    let run = |arguments: &[&str]| workflow(&project, &host, arguments);
    let input = r#"{"signal": "go"}"#;
    let started = run(&["start", "flows", "wait_for", "--id", "w", "--input", input]).exits(0);
    assert!(
        started.stdout.contains("of workflow `w` is started"),
        "{started:?}"
    );
    let again = run(&["start", "flows", "wait_for", "--id", "w", "--input", input]).exits(0);
    assert!(again.stdout.contains("is open already"), "{again:?}");
    let waiting = becomes(&project, &host, "w", "waiting").await;
    let listed = run(&["list", "--status", "waiting", "--workflow", "wait_for"]).exits(0);
    let run_id = waiting["runId"].as_str().unwrap();
    let row = listed.stdout.lines().nth(1).unwrap_or_default();
    assert!(
        row.contains("wait_for  w   waiting") && row.contains(run_id),
        "{listed:?}"
    );
    assert_eq!(
        run(&["list", "--status", "failed", "--json"])
            .exits(0)
            .json()["runs"],
        json!([])
    );
    let phase = run(&["query", "w", "progress"]).exits(0);
    assert_eq!(phase.stdout, "\"waiting\"\n");
    let asked = [
        "query",
        "w",
        "has_phase",
        "--arguments",
        r#"{"phase": "received"}"#,
        "--json",
    ];
    assert_eq!(run(&asked).exits(0).json(), json!({"value": false}));
    // Followed by a process of its own, while the signal comes.
    let tail = project
        .command()
        .args(["workflow", "tail", "w", "--url", &host.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let sent = run(&["signal", "w", "go", "--payload", r#"{"by": "me"}"#]).exits(0);
    assert!(
        sent.stdout.contains("signal `go` is sent to run"),
        "{sent:?}"
    );
    let tail = tokio::task::spawn_blocking(|| tail.wait_with_output().unwrap())
        .await
        .unwrap();
    let told = String::from_utf8(tail.stdout).unwrap();
    assert!(tail.status.success(), "{told}");
    assert!(told.contains("  signal go\n"), "{told}");
    assert!(told.trim_end().ends_with("  completed"), "{told}");
    let shown = run(&["show", "w"]).exits(0);
    for says in [
        "wait_for of role flows: completed",
        run_id,
        "signal go",
        "◆",
        r#"{"by":"me"}"#,
    ] {
        assert!(shown.stdout.contains(says), "{says}: {shown:?}");
    }
    let history = run(&["history", "w"]).exits(0);
    assert!(
        history
            .stdout
            .contains("signal go\n       ← {\"by\": \"me\"}"),
        "{history:?}"
    );
    let entries = run(&["history", run_id, "--json"]).exits(0).json();
    assert_eq!(entries["entries"][0]["kind"], "signal", "{entries}");
}

#[tokio::test]
async fn waiting_for_a_run_prints_its_output_and_the_exit_code_tells_how_it_ended() {
    let project = flows("");
    let host = project.serve().await;
    let run = |arguments: &[&str]| workflow(&project, &host, arguments);
    let file = project.write("input.json", r#"{"count": 4, "kind": "kv"}"#);
    let file = format!("@{}", file.display());
    let done = run(&["start", "flows", "steps", "--input", &file, "--wait"]).exits(0);
    assert_eq!(done.stdout.trim_end(), r#"{"count":4}"#, "{done:?}");
    let url = host.url();
    let words = [
        "workflow", "start", "flows", "steps", "--input", "-", "--wait", "--json", "--url", &url,
    ];
    let by_pipe = project
        .run_with_input(words, br#"{"count": 1, "kind": "read"}"#)
        .exits(0);
    assert_eq!(by_pipe.json()["status"], "completed", "{by_pipe:?}");
    let continued = run(&[
        "start",
        "flows",
        "continues",
        "--input",
        r#"{"rounds": 4}"#,
        "--wait",
    ]);
    assert_eq!(continued.exits(0).stdout.trim_end(), r#"{"total":4}"#);
    let failing = r#"{"code": "no_luck", "message": "today"}"#;
    let failed = run(&["start", "flows", "fails", "--input", failing, "--wait"]).exits(1);
    assert_eq!(failed.stdout, "");
    assert!(
        failed.stderr.contains("is failed: no_luck: today"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn what_is_wrong_has_its_exit_code_and_a_word_that_helps() {
    let project = flows("[workflows]\nrestarts = 0\n");
    let host = project.serve().await;
    let run = |arguments: &[&str]| workflow(&project, &host, arguments);
    start(&host, "steps", "done", json!({"count": 0, "kind": "kv"})).await;
    becomes(&project, &host, "done", "completed").await;
    for (arguments, code, says) in [
        (&["start", "flows", "step"][..], 3, "did you mean `steps`"),
        (&["start", "nobody", "steps"], 3, "nobody"),
        (
            &["start", "flows", "steps", "--input", "three"],
            2,
            "--input is not JSON",
        ),
        (
            &["start", "flows", "steps", "--input", r#"{"count": 1}"#],
            3,
            "does not fit",
        ),
        (&["show", "nothing"], 3, "`nothing`"),
        (&["cancel", "done"], 3, "has ended: it is completed"),
        (&["repair", "done", "--retry"], 3, "only a stuck run"),
        (&["repair", "done"], 2, "--retry"),
        (
            &["repair", "done", "--retry", "--move"],
            2,
            "cannot be used",
        ),
        (
            &["repair", "done", "--answer", "x", "{}"],
            2,
            "not the number of a step",
        ),
        (&["list", "--status", "lost"], 2, "lost"),
    ] {
        let wrong = run(arguments).exits(code);
        assert!(wrong.stderr.contains(says), "{arguments:?}: {wrong:?}");
    }
    let local = project.run(["workflow", "list", "--local"]).exits(2);
    assert!(
        local.stderr.contains("workflows run in a host"),
        "{local:?}"
    );
    let nobody = project
        .run(["workflow", "list", "--url", "http://127.0.0.1:1"])
        .exits(4);
    assert!(nobody.stderr.contains("cannot be reached"), "{nobody:?}");
}

#[tokio::test]
async fn a_stuck_run_says_how_it_is_repaired_and_is() {
    let project = flows("[workflows]\nrestarts = 0\n");
    let host = project.serve().await;
    let run = |arguments: &[&str]| workflow(&project, &host, arguments);
    let stuck = run(&[
        "start",
        "flows",
        "traps_on",
        "--id",
        "s",
        "--input",
        r#"{"count": 2}"#,
        "--wait",
    ]);
    assert!(stuck.exits(1).stderr.contains("is stuck"), "it traps");
    let shown = run(&["show", "s"]).exits(0).stdout;
    assert!(shown.contains("exomonad workflow repair"), "{shown}");
    // The configuration that it reads makes it go on; a run keeps that of its beginning, so it is told to end.
    let repaired = run(&["repair", "s", "--restart-from", "1"]).exits(0);
    assert!(repaired.stdout.starts_with("goes on: run"), "{repaired:?}");
    becomes(&project, &host, "s", "stuck").await;
    let ended = run(&["terminate", "s", "--reason", "no use"]).exits(0);
    assert!(ended.stdout.starts_with("ended: run"), "{ended:?}");
    let shown = run(&["show", "s"]).exits(0).stdout;
    assert!(
        shown.contains("terminated") && shown.contains("no use"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_run_is_followed_across_a_restart_of_its_host() {
    let project = flows("");
    let mut host = project.serve().await;
    start(&host, "wait_for", "w", json!({"signal": "go"})).await;
    becomes(&project, &host, "w", "waiting").await;
    let address = host.address().to_string();
    let tail = project
        .command()
        .args(["workflow", "tail", "w", "--json", "--url", &host.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    host.signal(libc::SIGKILL);
    host.end().await;
    let host = project.serve_at(&address).await;
    let sent = workflow(&project, &host, &["signal", "w", "go"]);
    sent.exits(0);
    let tail = tokio::task::spawn_blocking(|| tail.wait_with_output().unwrap())
        .await
        .unwrap();
    let told = String::from_utf8(tail.stdout).unwrap();
    assert!(
        tail.status.success(),
        "{told} {}",
        String::from_utf8_lossy(&tail.stderr)
    );
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let signals = lines
        .iter()
        .filter(|line| line["entry"]["kind"] == "signal")
        .count();
    assert_eq!(signals, 1, "{told}");
    assert_eq!(
        lines.last().unwrap()["run"]["status"],
        "completed",
        "{told}"
    );
}

#[tokio::test]
async fn a_step_that_takes_long_is_told_when_it_begins() {
    let project = flows("");
    let host = project.serve().await;
    let tail = project
        .command()
        .args(["workflow", "tail", "--steps", "--url", &host.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut tail = Reaped(tail);
    let mut lines = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    // The stream is open when a run shows in it.
    let mut nth = 0;
    let first = std::thread::spawn(move || (lines.next().unwrap().unwrap(), lines));
    while !first.is_finished() {
        let id = format!("first{nth}");
        start(&host, "steps", &id, json!({"count": 0, "kind": "kv"})).await;
        nth += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (_, mut lines) = first.join().unwrap();
    start(&host, "sleeper", "long", json!({"millis": 600_000})).await;
    let of_step = tokio::task::spawn_blocking(move || {
        lines.find_map(|line| line.ok().filter(|line| line.contains("step 0")))
    });
    let of_step = of_step.await.unwrap().unwrap();
    assert!(
        of_step.ends_with("flows  sleeper  long  step 0 workflow.sleep: begins"),
        "{of_step}"
    );
}

/// A process that ends with its test.
struct Reaped(std::process::Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
