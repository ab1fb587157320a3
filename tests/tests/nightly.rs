//! The workflow `nightly`, started by its schedule: on a real Docker engine, with a GitHub.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exomonad_test_support::{
    Host, MockResponse, MockServer, Project, ReceivedRequest, Response, TemporalServer, eventually,
    installed_by, required_or_skip, shipped_plugin,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::docker_through_proxy::{Containers, IMAGE};
use crate::temporal_worker;
use crate::workflows::run;

/// The time that containers may take to start on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// The issues that were filed, by the paths of their repositories.
type Issues = Arc<Mutex<Vec<(String, Value)>>>;

/// A GitHub without issues, to which some are filed.
fn github(issues: &Issues, asked: &ReceivedRequest) -> MockResponse {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let mut issues = issues.lock().unwrap();
    match &*asked.method {
        "GET" if path.ends_with("/issues") && query.contains("labels=nightly") => {
            MockResponse::ok("[]")
        }
        "POST" if path.ends_with("/issues") => {
            let told: Value = serde_json::from_slice(&asked.body).unwrap();
            let issue = json!({
                "number": 1, "title": told["title"], "body": told["body"], "state": "open",
                "labels": [{"name": "nightly"}], "user": {"login": "host"}, "comments": 0,
                "html_url": format!("https://github.com{}/1", path.trim_start_matches("/repos")),
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            });
            issues.push((path.to_owned(), told));
            MockResponse::Whole(201, Vec::new(), issue.to_string())
        }
        method => panic!("{method} {} is not expected", asked.path),
    }
}

/// The first run that the schedule has started, when it has ended.
async fn first_run(host: &Host) -> Value {
    let look = async {
        loop {
            let runs = host.get("/workflows?workflow=nightly").await.json();
            let first = runs["runs"].as_array().unwrap().last().cloned();
            if let Some(run) = first.filter(|run| !run["endedUnixMillis"].is_null()) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .expect("the night ends")
}

/// A role with the workflow, a GitHub, and the label of its containers.
struct Stage {
    project: Project,
    issues: Issues,
    containers: Containers,
    _github: MockServer,
}

async fn stage(name: &str, more: &str) -> Stage {
    let issues = Issues::default();
    let known = issues.clone();
    let server = MockServer::start(move |asked, _| github(&known, asked)).await;
    let label = format!("exomonad-test={name}-{}", std::process::id());
    let project = Project::new()
        .config(&format!(
            "[github]\nbase_url = '{}'\n\
             [role.flows]\nrepos = ['acme/*']\nlabels = ['{label}']\n\
             effects = ['docker.*', 'github.*', 'workflow.*', 'clock.*', 'log.*']\n{more}",
            server.url
        ))
        .env("GITHUB_TOKEN", "ghp_0123456789abcdefPlanted")
        .plugin("flows.wasm", shipped_plugin("flows"));
    Stage {
        project,
        issues,
        containers: Containers(label),
        _github: server,
    }
}

/// The input of a night that checks two repositories, for some seconds each.
fn input(seconds: u32) -> Value {
    let script = format!(
        "echo checking $REPO; sleep {seconds}; test $REPO = acme/web || {{ echo broken >&2; exit 3; }}"
    );
    json!({
        "repos": [{"repo": "acme/web"}, {"repo": "acme/api"}],
        "check": {"image": IMAGE, "command": ["sh", "-c", script]},
    })
}

/// The output of such a night.
fn one_has_failed() -> Value {
    json!({"passed": 1, "results": [
        {"repo": "acme/web", "passed": true, "exitCode": 0},
        {"repo": "acme/api", "passed": false, "exitCode": 3,
            "issue": "https://github.com/acme/api/issues/1"},
    ]})
}

#[tokio::test]
async fn the_same_night_runs_on_a_temporal_server() {
    if required_or_skip("a Docker engine", installed_by("docker-engine")).is_none() {
        return;
    }
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let on_server = format!(
        "workflow_backend = 'temporal'\n[temporal]\naddress = '{}'\n",
        server.address()
    );
    let stage = stage("temporal-night", &on_server).await;
    let host = stage.project.serve().await;
    temporal_worker::start(&server, "nightly", "night", &input(0));
    let (status, output) = temporal_worker::ended(&server, "night").await;
    assert_eq!(status, "COMPLETED", "{output}\n{}", host.log());
    assert_eq!(output, one_has_failed());
    let filed = stage.issues.lock().unwrap().clone();
    assert_eq!(filed.len(), 1, "{filed:?}");
    assert_eq!(filed[0].0, "/repos/acme/api/issues");
    let by_label = format!("label={}", stage.containers.0);
    assert_eq!(docker_ps(&["--all", "--filter", &by_label]), "");
}

#[tokio::test]
async fn a_schedule_checks_two_repositories_at_once_and_files_an_issue_for_the_one_that_fails() {
    if required_or_skip("a Docker engine", installed_by("docker-engine")).is_none() {
        return;
    }
    let stage = stage("nightly", "").await;
    let mut host = stage.project.serve().await;
    let label = &stage.containers.0;
    let schedule = json!({
        "role": "flows", "workflow": "nightly", "spec": "every 1s", "overlap": "skip", "input": input(8),
    });
    let set = host.request(Method::PUT, "/schedules/night");
    let set = Response::of(set.body(schedule.to_string())).await;
    assert_eq!(set.status, 201, "{set:?}");
    // Both containers are there at once, each with the name of the step that has started it.
    let by_step = format!("label={label}");
    let steps = ["--filter", "label=exomonad.workflow.step"];
    eventually("two containers run", async || {
        let listed = docker_ps(&[&["--filter", &by_step], &steps[..]].concat());
        (listed.lines().count() == 2).then_some(())
    })
    .await;
    // They go on without their host, and so does the night in the next one.
    host.signal(libc::SIGKILL);
    host.end().await;
    let host = stage.project.serve().await;
    let night = first_run(&host).await;
    assert_eq!(host.post("/schedules/night/pause", "").await.status, 200);
    let id = night["workflowId"].as_str().unwrap();
    assert!(id.starts_with("night@"), "{night}");
    assert_eq!(night["status"], "completed", "{night}");
    assert_eq!(night["output"], one_has_failed());
    for nth in 0..2 {
        let child = run(&host, &format!("{id}%2F{nth}")).await;
        assert_eq!(child["status"], "completed", "{child}");
    }
    let filed = stage.issues.lock().unwrap().clone();
    let of_night: Vec<_> = filed
        .iter()
        .filter(|(path, _)| path == "/repos/acme/api/issues")
        .collect();
    // A second night may have begun before the pause; nothing is filed for what passes.
    assert_eq!(of_night.len(), filed.len(), "{filed:?}");
    let body = of_night[0].1["body"].as_str().unwrap();
    assert!(
        body.contains("exit code 3")
            && body.contains("    checking acme/api")
            && body.contains("broken"),
        "{body}"
    );
    assert_eq!(of_night[0].1["labels"], json!(["nightly"]));
    // Of the night's own containers none is left.
    for nth in 0..2 {
        let child = run(&host, &format!("{id}%2F{nth}")).await;
        let name = format!("nightly-{}", child["runId"].as_str().unwrap());
        let left = docker_ps(&["--all", "--filter", &format!("name={name}")]);
        assert_eq!(left, "");
    }
}

/// The ids of containers.
fn docker_ps(filters: &[&str]) -> String {
    let listed = Command::new("docker")
        .args(["--host", "unix:///var/run/docker.sock", "ps", "--quiet"])
        .args(filters)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8_lossy(&listed.stdout).into_owned()
}
