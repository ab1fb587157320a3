//! A tool that acts: from HTTP through the guest to git and GitHub, with the host's credentials.

use exomonad_test_support::{Guest, Host, Project, WebServer};
use serde_json::json;

const TOKEN: &str = "ghp_0123456789abcdefPlanted";

/// A repository on the branch `topic` with a remote to push to, and a GitHub that knows no pull request.
async fn project(github: &WebServer, more: &str) -> (Project, Host) {
    let project = Project::new()
        .config(&format!(
            "[log]\nfilter = 'debug'\n[git]\nlocal_remotes = true\n[github]\nbase_url = '{}'\n\
             [role.tl]\nrepos = ['acme/*']\n{more}\n",
            github.url().trim_end_matches('/')
        ))
        .env("GITHUB_TOKEN", TOKEN);
    project.git(&["init", "-q", "--bare", "remote.git"]);
    let remote = project.path("remote.git");
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.git(&["switch", "-q", "-c", "topic"]);
    let host = project.serve().await;
    (project, host)
}

#[tokio::test]
async fn a_branch_is_pushed_and_github_asked_with_the_hosts_token() {
    let github = WebServer::answering("[]");
    let (project, host) = project(&github, "effects = ['log.*', 'git.*', 'github.*']").await;
    let arguments = json!({"title": "Fix it", "repo": "acme/web", "base": "main"});
    let answer = host.tool("tl", "file_pr", arguments.clone()).await;
    let head = project.git(&["rev-parse", "topic"]);
    assert_eq!(
        project.git(&["-C", "remote.git", "rev-parse", "topic"]),
        head
    );
    // Asked which pull request is open, and then for a new one: whose answer is none of GitHub's.
    assert_eq!(github.requests(), 2, "{answer:?}");
    let asked = github.last();
    assert!(asked.starts_with("POST /repos/acme/web/pulls "), "{asked}");
    assert!(asked.contains(&format!("Bearer {TOKEN}")), "{asked}");
    assert!(answer.is_error(), "{answer:?}");
    assert!(!format!("{answer:?}").contains(TOKEN) && !host.log().contains(TOKEN));

    let elsewhere = json!({"title": "Fix it", "repo": "evil/web"});
    let refused = host.tool("tl", "file_pr", elsewhere).await;
    assert!(refused.text().contains("evil/web"), "{refused:?}");
    assert_eq!(github.requests(), 2, "GitHub is not asked about it");
}

#[tokio::test]
async fn without_the_grant_nothing_is_pushed() {
    let github = WebServer::answering("[]");
    let (project, host) = project(&github, "effects = ['log.*', 'git.get_*', 'github.*']").await;
    let arguments = json!({"title": "Fix it", "repo": "acme/web"});
    let denied = host.tool("tl", "file_pr", arguments).await;
    assert!(denied.text().contains("`git.push`"), "{denied:?}");
    assert_eq!(project.git(&["-C", "remote.git", "branch"]), "");
    assert_eq!(github.requests(), 0);
}

#[tokio::test]
async fn on_github_git_reaches_no_more_than_the_api_does() {
    let asker = Guest::answering("").forwarding(&["git_push", "git_fetch"]);
    let project = Project::new()
        .config(
            "[server]\nraw_calls = true\n[role.asker]\neffects = ['git.*']\nrepos = ['acme/*']\n",
        )
        .env("GITHUB_TOKEN", TOKEN)
        .plugin("asker.wat", asker.wat());
    for (remote, url) in [
        ("origin", "https://github.com/evil/payroll.git"),
        ("ssh", "git@github.com:evil/payroll.git"),
        ("port", "ssh://git@ssh.github.com:443/evil/payroll"),
        ("odd", "https://github.com/acme/web/../../evil/payroll"),
    ] {
        project.git(&["remote", "add", remote, url]);
    }
    let host = project.serve().await;
    for effect in ["git_push", "git_fetch"] {
        for remote in ["origin", "ssh", "port", "odd"] {
            let answer = host
                .effect("asker", effect, json!({"remote": remote}))
                .await;
            assert_eq!(answer["payload"]["code"], "forbidden", "{remote}: {answer}");
            let message = answer["payload"]["message"].as_str().unwrap_or_default();
            assert!(message.contains("`role.asker.repos`"), "{message}");
        }
    }
}
