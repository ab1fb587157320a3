//! The workflow `ship_pr` of the plugins that ship: a pull request from push to merge, by real git and a GitHub
//! that has a state, with hosts that are killed on the way.

use std::sync::{Arc, Mutex};

use exomonad_test_support::{Host, Project, WebServer, eventually, haskell_plugin, shipped_plugin};
use serde_json::{Value, json};

use crate::workflows::{act, becomes, history, output, run};

/// What GitHub knows, and how often it was asked to change something.
#[derive(Default)]
struct GitHub {
    head: String,
    opened: u32,
    merged: u32,
    /// Looks at the checks so far.
    looks: u32,
    /// The look from which on the check has succeeded.
    succeeds_from: u32,
}

impl GitHub {
    fn pull(&self) -> Value {
        json!({
            "number": 7,
            "title": "Fix it",
            "state": if self.merged > 0 { "closed" } else { "open" },
            "draft": false,
            "merged": self.merged > 0,
            "mergeable": true,
            "merge_commit_sha": "c".repeat(40),
            "head": { "ref": "topic", "sha": self.head },
            "base": { "ref": "main", "sha": "b".repeat(40) },
            "html_url": "https://github.com/acme/web/pull/7",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        })
    }

    fn answer(&mut self, request: &str) -> (u16, Value) {
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = path.trim_start_matches("/repos/acme/web/");
        let path = path.split('?').next().unwrap_or("");
        match (method, path) {
            ("GET", "pulls") => {
                let is_open = self.opened > 0 && self.merged == 0;
                let open = is_open.then(|| self.pull());
                (200, json!(open.into_iter().collect::<Vec<_>>()))
            }
            ("POST", "pulls") => {
                self.opened += 1;
                (201, self.pull())
            }
            ("GET", "pulls/7") => (200, self.pull()),
            ("GET", "pulls/7/reviews") => (200, json!([])),
            ("PUT", "pulls/7/merge") => {
                self.merged += 1;
                let merged = json!({ "sha": "c".repeat(40), "merged": true, "message": "merged" });
                (200, merged)
            }
            ("GET", checks) if checks.ends_with("/check-runs") => {
                self.looks += 1;
                let check = match self.looks >= self.succeeds_from {
                    true => {
                        json!({ "id": 1, "name": "ci", "status": "completed", "conclusion": "success" })
                    }
                    false => json!({ "id": 1, "name": "ci", "status": "in_progress" }),
                };
                (200, json!({ "total_count": 1, "check_runs": [check] }))
            }
            ("GET", status) if status.ends_with("/status") => {
                let status = json!({ "state": "success", "sha": self.head, "statuses": [] });
                (200, status)
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }
}

/// A repository on the branch `topic` with a remote to push to, a plugin that has `ship_pr`, and a GitHub.
fn project(plugin: &str, module: Vec<u8>, succeeds_from: u32) -> (Project, Arc<Mutex<GitHub>>) {
    let github = Arc::new(Mutex::new(GitHub {
        succeeds_from,
        ..GitHub::default()
    }));
    let state = github.clone();
    let server = WebServer::serving(move |request| {
        let (status, body) = state.lock().unwrap().answer(request);
        (status, body.to_string())
    });
    let project = Project::new()
        .config(&format!(
            "[git]\nlocal_remotes = true\n[github]\nbase_url = '{}'\n[role.ship]\nplugin = '{plugin}'\n\
             effects = ['git.*', 'github.*', 'clock.*', 'workflow.*']\nrepos = ['acme/*']\n",
            server.url().trim_end_matches('/')
        ))
        .env("GITHUB_TOKEN", "ghp_0123456789abcdefPlanted")
        .plugin(&format!("{plugin}.wasm"), module);
    project.git(&["branch", "-M", "main"]);
    project.git(&["init", "-q", "--bare", "remote.git"]);
    let remote = project.path("remote.git");
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.git(&["switch", "-q", "-c", "topic"]);
    github.lock().unwrap().head = project.git(&["rev-parse", "topic"]).trim().to_owned();
    (project, github)
}

async fn ship(host: &Host) {
    let body = json!({
        "role": "ship",
        "workflow": "ship_pr",
        "workflowId": "ship",
        "input": { "title": "Fix it", "repo": "acme/web", "pollMillis": 100 },
    });
    let started = host.post("/workflows", body.to_string()).await;
    assert_eq!(started.status, 201, "{started:?}");
}

/// Holds the end of a run against what GitHub and git have seen.
async fn shipped(project: &Project, github: &Mutex<GitHub>, host: &Host) {
    let output = output(host, "ship").await;
    assert_eq!(output["result"], "merged", "{output}");
    assert_eq!(output["sha"], "c".repeat(40));
    assert_eq!(output["notCleanedUp"], Value::Null, "{output}");
    let github = github.lock().unwrap();
    assert_eq!((github.opened, github.merged), (1, 1));
    let pushed = project.git(&["-C", "remote.git", "rev-parse", "topic"]);
    assert_eq!(pushed.trim(), github.head);
    assert_eq!(project.git(&["branch", "--show-current"]).trim(), "main");
}

#[tokio::test]
async fn a_pull_request_is_shipped_by_the_plugin_in_rust() {
    let (project, github) = project("flows", shipped_plugin("flows"), 3);
    let host = project.serve().await;
    ship(&host).await;
    shipped(&project, &github, &host).await;
}

#[tokio::test]
async fn a_pull_request_is_shipped_by_the_plugin_in_haskell() {
    let (project, github) = project("flows-haskell", haskell_plugin("flows-haskell"), 3);
    let host = project.serve().await;
    ship(&host).await;
    shipped(&project, &github, &host).await;
}

#[tokio::test]
async fn a_pull_request_is_shipped_once_however_often_the_host_is_killed() {
    let (project, github) = project("flows", shipped_plugin("flows"), 3);
    let mut host = project.serve().await;
    ship(&host).await;
    let mut seen = 0;
    let mut kills = 0;
    loop {
        let (length, is_open) = eventually("the next step", async || {
            let length = history(&host, "ship").await.len();
            let is_open = run(&host, "ship").await["endedUnixMillis"].is_null();
            (length > seen || !is_open).then_some((length, is_open))
        })
        .await;
        if !is_open {
            break;
        }
        seen = length;
        kills += 1;
        host.signal(libc::SIGKILL);
        host.end().await;
        host = project.serve().await;
    }
    assert!(kills >= 5, "{kills}");
    shipped(&project, &github, &host).await;
}

#[tokio::test]
async fn a_pull_request_that_is_waited_for_can_be_asked_about_and_stopped() {
    let (project, github) = project("flows", shipped_plugin("flows"), u32::MAX);
    let host = project.serve().await;
    ship(&host).await;
    let blockers = eventually("a look", async || {
        let asked = act(&host, "ship", "query", json!({ "name": "blockers" })).await;
        let blockers = asked.json()["value"].clone();
        (blockers.as_array().is_some_and(|some| !some.is_empty())).then_some(blockers)
    })
    .await;
    assert_eq!(blockers, json!(["the check `ci` is in_progress"]));
    let stop = act(&host, "ship", "signal", json!({ "name": "stop" })).await;
    assert_eq!(stop.status, 200, "{stop:?}");
    becomes(&host, "ship", "completed").await;
    assert_eq!(output(&host, "ship").await["result"], "stopped");
    assert_eq!(github.lock().unwrap().merged, 0);
}
