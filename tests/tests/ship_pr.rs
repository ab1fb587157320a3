//! The workflow `ship_pr` from a branch to its merge, with a git server, a GitHub, and a host that is killed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exomonad_test_support::{
    Host, MockResponse, MockServer, Project, ReceivedRequest, eventually, haskell_plugin,
    shipped_plugin,
};
use serde_json::{Value, json};

use crate::workflows::{history, run};

/// The knowledge of a GitHub with one repository and at most one pull request.
#[derive(Default)]
pub struct GitHub {
    /// Pull requests that were opened.
    opened: u32,
    /// Merges that were done.
    merged: u32,
    /// Looks at the checks.
    looks: u32,
    /// Comments.
    comments: u32,
    /// Looks until the checks succeed.
    succeeds_after: u32,
}

impl GitHub {
    fn pull(&self) -> Value {
        let branch = |name: &str| json!({"ref": name, "sha": "a".repeat(40), "repo": {"full_name": "acme/web"}});
        json!({
            "number": 7, "title": "Fix it", "body": null, "draft": false,
            "state": if self.merged > 0 { "closed" } else { "open" },
            "merged": self.merged > 0, "mergeable": true,
            "merged_at": null, "merge_commit_sha": "b".repeat(40),
            "head": branch("topic"), "base": branch("main"),
            "user": {"login": "ada"}, "html_url": "https://github.com/acme/web/pull/7",
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    }

    fn answer(&mut self, asked: &ReceivedRequest) -> MockResponse {
        let path = asked.path.split('?').next().unwrap_or_default();
        let path = path.trim_start_matches("/repos/acme/web/");
        let answer = match (&*asked.method, path) {
            ("GET", "pulls") if self.opened == 0 || self.merged > 0 => json!([]),
            ("GET", "pulls") => json!([self.pull()]),
            ("POST", "pulls") if self.opened > 0 => {
                return MockResponse::status(422, "A pull request already exists");
            }
            ("POST", "pulls") => {
                self.opened += 1;
                return MockResponse::Whole(201, Vec::new(), self.pull().to_string());
            }
            ("GET", "pulls/7") => self.pull(),
            ("GET", "pulls/7/reviews") => json!([]),
            ("PUT", "pulls/7/merge") if self.merged > 0 => {
                return MockResponse::status(405, "Pull Request is not mergeable");
            }
            ("PUT", "pulls/7/merge") => {
                self.merged += 1;
                json!({"sha": "b".repeat(40), "merged": true, "message": "Pull Request successfully merged"})
            }
            ("POST", "issues/7/comments") => {
                self.comments += 1;
                json!({"id": 1, "body": "x", "user": {"login": "host"}, "html_url": "https://github.com/x",
                       "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"})
            }
            ("GET", path) if path.ends_with("/check-runs") => {
                self.looks += 1;
                let is_done = self.looks > self.succeeds_after;
                let (status, conclusion) = match is_done {
                    true => ("completed", json!("success")),
                    false => ("in_progress", Value::Null),
                };
                json!({"total_count": 1, "check_runs": [{
                    "id": 1, "name": "build", "status": status, "conclusion": conclusion,
                    "output": null, "html_url": null, "details_url": null,
                    "started_at": null, "completed_at": null,
                }]})
            }
            ("GET", path) if path.ends_with("/status") => {
                json!({"state": "success", "sha": "a".repeat(40), "total_count": 0, "statuses": []})
            }
            (method, path) => panic!("{method} {path} is not expected"),
        };
        MockResponse::ok(answer.to_string())
    }
}

/// A stage where the plugin in Rust serves, and checks succeed after so many looks.
pub async fn stage(succeeds_after: u32) -> (Project, Arc<Mutex<GitHub>>, MockServer) {
    stage_of(shipped_plugin("flows"), succeeds_after).await
}

/// A stage where this module is the plugin.
async fn stage_of(
    module: Vec<u8>,
    succeeds_after: u32,
) -> (Project, Arc<Mutex<GitHub>>, MockServer) {
    let known = Arc::new(Mutex::new(GitHub {
        succeeds_after,
        ..GitHub::default()
    }));
    let github = {
        let known = known.clone();
        MockServer::start(move |asked, _| known.lock().unwrap().answer(asked)).await
    };
    let project = Project::new()
        .config(&format!(
            "[git]\nlocal_remotes = true\n[github]\nbase_url = '{}'\n\
             [role.flows]\nrepos = ['acme/*']\n\
             effects = ['git.*', 'github.*', 'workflow.*', 'clock.*', 'log.*', 'docker.*']\n",
            github.url
        ))
        .env("GITHUB_TOKEN", "ghp_0123456789abcdefPlanted")
        .plugin("flows.wasm", module);
    project.git(&["init", "-q", "--bare", "remote.git"]);
    let remote = project.path("remote.git");
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.git(&["push", "-q", "origin", "main"]);
    project.git(&["switch", "-q", "-c", "topic"]);
    project.write("fix.txt", "fixed\n");
    project.git(&["add", "fix.txt"]);
    project.git(&["commit", "-q", "-m", "Fix it"]);
    (project, known, github)
}

/// The input of `ship_pr`.
pub fn input() -> Value {
    json!({"title": "Fix it", "repo": "acme/web", "base": "main", "pollMillis": 30, "requiredChecks": ["build"]})
}

async fn ship(host: &Host) {
    let body =
        json!({"role": "flows", "workflow": "ship_pr", "workflowId": "fix", "input": input()});
    let started = host.post("/workflows", body.to_string()).await;
    assert_eq!(started.status, 201, "{started:?}");
}

/// It has completed, and all is done once.
fn is_shipped_once(project: &Project, known: &Mutex<GitHub>, run: &Value) {
    assert_eq!(run["status"], "completed", "{run}");
    is_merged_once(project, known, &run["output"]);
}

/// The output says so, the branch is pushed, and there was one pull request with one merge.
pub fn is_merged_once(project: &Project, known: &Mutex<GitHub>, output: &Value) {
    assert_eq!(output["result"], "merged", "{output}");
    let known = known.lock().unwrap();
    assert_eq!((known.opened, known.merged), (1, 1));
    assert_eq!(
        project.git(&["-C", "remote.git", "rev-parse", "topic"]),
        project.git(&["rev-parse", "topic"])
    );
    // It has left the branch behind.
    assert_eq!(project.git(&["branch", "--show-current"]).trim(), "main");
}

#[tokio::test]
async fn a_pull_request_is_shipped_when_its_checks_have_succeeded() {
    let (project, known, _github) = stage(3).await;
    let host = project.serve().await;
    ship(&host).await;
    let ended = eventually("it is merged", async || {
        let run = run(&host, "fix").await;
        (!run["endedUnixMillis"].is_null()).then_some(run)
    });
    is_shipped_once(&project, &known, &ended.await);
    assert!(known.lock().unwrap().looks > 3);
}

#[tokio::test]
async fn the_plugin_in_haskell_ships_as_the_one_in_rust() {
    let (project, known, _github) = stage_of(haskell_plugin("flows-haskell"), 3).await;
    let host = project.serve().await;
    ship(&host).await;
    let ended = eventually("it is merged", async || {
        let run = run(&host, "fix").await;
        (!run["endedUnixMillis"].is_null()).then_some(run)
    });
    is_shipped_once(&project, &known, &ended.await);
}

#[tokio::test]
async fn a_pull_request_is_shipped_once_although_the_host_is_killed_after_each_step() {
    let (project, known, _github) = stage(2).await;
    let mut host = project.serve().await;
    ship(&host).await;
    let (mut kills, mut seen) = (0, 0);
    let ended = loop {
        let (run, entries) = eventually("one more step", async || {
            let entries = history(&host, "fix").await.len();
            let run = run(&host, "fix").await;
            let has_ended = !run["endedUnixMillis"].is_null() || run["status"] == "stuck";
            (entries > seen || has_ended).then_some((run, entries))
        })
        .await;
        if !run["endedUnixMillis"].is_null() || run["status"] == "stuck" {
            break run;
        }
        seen = entries;
        host.signal(libc::SIGKILL);
        host.end().await;
        kills += 1;
        host = project.serve().await;
    };
    assert!(kills >= 5, "it was killed {kills} times only");
    is_shipped_once(&project, &known, &ended);
}

#[tokio::test]
async fn a_pull_request_is_shipped_once_although_the_host_is_killed_at_any_moment() {
    let (project, known, _github) = stage(4).await;
    let mut host = project.serve().await;
    ship(&host).await;
    for nth in 0..12_u64 {
        tokio::time::sleep(Duration::from_millis(nth * 23 % 90)).await;
        host.signal(libc::SIGKILL);
        host.end().await;
        host = project.serve().await;
    }
    let ended = eventually("it is merged", async || {
        let run = run(&host, "fix").await;
        (!run["endedUnixMillis"].is_null() || run["status"] == "stuck").then_some(run)
    });
    is_shipped_once(&project, &known, &ended.await);
}
