//! The main job: a repository, asked about with curl.

use exomonad_test_support::{Project, ToolResult, eventually};
use serde_json::{Value, json};

/// A repository that differs from its last commit in every way `git status` tells apart.
fn busy_repository() -> Project {
    let project = Project::new();
    project.git(&["switch", "--quiet", "--create", "feature/search"]);
    for file in ["staged.txt", "changed.txt", "removed.txt"] {
        project.write(file, "one\n");
    }
    project.git(&["add", "."]);
    project.git(&["commit", "--quiet", "--message=Add three files"]);
    project.write("staged.txt", "two\n");
    project.git(&["add", "staged.txt"]);
    project.write("changed.txt", "two\n");
    std::fs::remove_file(project.path("removed.txt")).unwrap();
    project.write("new file.txt", "new\n");
    project.write("new folder/one.txt", "new\n");
    project
}

/// The paths in a list of changed files.
fn paths(files: &Value) -> Vec<&str> {
    let mut paths: Vec<&str> = files
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|file| file["path"].as_str())
        .collect();
    paths.sort_unstable();
    paths
}

/// The paths that `git status` lists with this state of the index and the working tree.
fn git_status(porcelain: &str, is_meant: impl Fn(char, char) -> bool) -> Vec<&str> {
    let entries = porcelain.split('\0').filter(|entry| entry.len() > 3);
    let meant = entries.filter(|entry| {
        let mut state = entry.chars();
        is_meant(state.next().unwrap_or(' '), state.next().unwrap_or(' '))
    });
    let mut paths: Vec<&str> = meant.map(|entry| &entry[3..]).collect();
    paths.sort_unstable();
    paths
}

fn assert_is_answer(result: &ToolResult) {
    assert!(!result.is_error(), "{result:?}");
    let text: Value = serde_json::from_str(&result.text()).unwrap();
    assert_eq!(
        &text,
        result.structured(),
        "a model reads what a program reads"
    );
}

#[tokio::test]
async fn repo_status_tells_what_git_tells() {
    let project = busy_repository();
    let host = project.serve().await;
    // As `curl -d` does it: a POST whose body is not said to be JSON.
    let body = r#"{"name":"repo_status","arguments":{}}"#;
    let result = host.post("/role/tl/mcp/call", body).await.tool_result();
    assert_is_answer(&result);
    let status = result.structured();
    let porcelain = project.git(&["status", "--porcelain=v1", "-z"]);
    assert_eq!(status["branch"], "feature/search");
    assert_eq!(status["head"], "branch");
    assert_eq!(status["isClean"], false);
    assert_eq!(paths(&status["staged"]), ["staged.txt"]);
    assert_eq!(
        paths(&status["staged"]),
        git_status(&porcelain, |index, _| index != ' ' && index != '?')
    );
    assert_eq!(paths(&status["unstaged"]), ["changed.txt", "removed.txt"]);
    assert_eq!(
        paths(&status["unstaged"]),
        git_status(&porcelain, |_, tree| tree != ' ' && tree != '?')
    );
    assert_eq!(
        paths(&status["untracked"]),
        git_status(&porcelain, |index, _| index == '?')
    );
    for new in ["new file.txt", "new folder/"] {
        assert!(paths(&status["untracked"]).contains(&new), "{status}");
    }
    assert_eq!(
        status["lastCommit"]["id"],
        project.git(&["rev-parse", "HEAD"]).trim()
    );
    assert_eq!(status["lastCommit"]["summary"], "Add three files");
}

#[tokio::test]
async fn a_host_without_files_of_its_own_leaves_the_repository_clean() {
    let project = Project::new();
    let host = project.serve().await;
    let porcelain = project.git(&["status", "--porcelain"]);
    let status = host.tool("tl", "repo_status", json!({})).await;
    assert_eq!(
        status.structured()["isClean"],
        porcelain.is_empty(),
        "{porcelain}"
    );
    if std::env::var_os("EXOMONAD_PLUGINS").is_none() {
        assert_eq!(porcelain, "", "what the host makes for itself is ignored");
    }
}

#[tokio::test]
async fn repo_status_follows_the_repository_from_call_to_call() {
    let project = Project::new();
    let host = project.serve().await;
    let branch =
        async || host.tool("tl", "repo_status", json!({})).await.structured()["branch"].clone();
    assert_eq!(branch().await, "main");
    project.git(&["switch", "--quiet", "--create", "next"]);
    assert_eq!(branch().await, "next");
    project.git(&["switch", "--quiet", "--detach"]);
    assert_eq!(branch().await, Value::Null);
}

#[tokio::test]
async fn recent_work_lists_the_commits_of_git_log() {
    let project = busy_repository();
    let host = project.serve().await;
    let result = host.tool("tl", "recent_work", json!({"limit": 10})).await;
    assert_is_answer(&result);
    let commits = result.structured()["commits"].as_array().unwrap().iter();
    let listed: Vec<String> = commits
        .map(|commit| {
            format!(
                "{} {} {}",
                commit["id"].as_str().unwrap(),
                commit["author"].as_str().unwrap(),
                commit["summary"].as_str().unwrap()
            )
        })
        .collect();
    let log = project.git(&["log", "--format=%H %an %s"]);
    assert_eq!(listed, log.lines().collect::<Vec<_>>());
    assert_eq!(result.structured()["hasMore"], false);
    let one = host.tool("tl", "recent_work", json!({"limit": 1})).await;
    assert_eq!(one.structured()["commits"].as_array().unwrap().len(), 1);
    assert_eq!(one.structured()["hasMore"], true);
}

#[tokio::test]
async fn file_pr_is_denied_unless_the_role_is_granted_it() {
    let project = Project::new();
    project.git(&[
        "remote",
        "add",
        "origin",
        "https://github.com/acme/search.git",
    ]);
    let host = project.serve().await;
    let result = host
        .tool("tl", "file_pr", json!({"title": "A search"}))
        .await;
    assert!(result.is_error(), "{result:?}");
    assert!(
        result.text().contains("not granted `git.push`"),
        "{}",
        result.text()
    );
}

#[tokio::test]
async fn outside_a_repository_the_tools_say_so_and_the_host_serves() {
    let project = Project::without_repository();
    let host = project.serve().await;
    let result = host.tool("tl", "repo_status", json!({})).await;
    assert!(result.is_error());
    assert!(result.text().contains("repository"), "{}", result.text());
    let echoed = host
        .tool("echo", "echo", json!({"text": "still here"}))
        .await;
    assert_eq!(echoed.structured()["text"], "still here");
}

#[tokio::test]
async fn the_tools_and_roles_are_listed_with_what_a_caller_needs_to_know() {
    let project = Project::new();
    let host = project.serve().await;
    let tools = host.get("/role/tl/mcp/tools").await.json();
    let listed = tools["tools"].as_array().unwrap();
    let names: Vec<_> = listed
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names[..3], ["repo_status", "recent_work", "list_issues"]);
    for tool in listed {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(
            tool["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{tool}"
        );
    }
    let tl = host.role("tl").await;
    assert_eq!(tl["plugin"]["tools"], json!(names));
    assert_eq!(tl["plugin"]["hooks"], json!(["pre_tool_use"]));
    assert_eq!(tl["instance"], "fresh");
    assert_eq!(tl["problem"], Value::Null);
    let granted = tl["granted"].as_array().unwrap();
    assert!(granted.contains(&json!("git.status")), "{granted:?}");
    assert!(
        !granted.iter().any(|capability| capability == "kv.set"),
        "nothing that writes: {granted:?}"
    );
}

#[tokio::test]
async fn health_says_how_the_host_is() {
    let project = Project::new();
    let host = project.serve().await;
    let health = host.get("/health").await.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["rolesServing"], health["rolesTotal"]);
    assert_eq!(health["problems"], json!([]));
    assert_eq!(host.get("/ready").await.json(), json!({"ready": true}));
}

#[tokio::test]
async fn every_call_has_an_id_that_the_log_knows() {
    let project = Project::new();
    let host = project.serve().await;
    let first = host.call("echo", "echo", json!({"text": "a"})).await;
    let second = host.call("echo", "echo", json!({"text": "a"})).await;
    let id = first.header("x-exomonad-call-id");
    assert!(!id.is_empty());
    assert_ne!(id, second.header("x-exomonad-call-id"));
    eventually("the log has the id", async || {
        host.log().contains(id).then_some(())
    })
    .await;
}
