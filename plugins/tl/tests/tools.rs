//! The tools, over a host that a test makes up.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use exomonad_guest::prelude::*;
use exomonad_guest::testing::FakeHost;
use serde_json::{Value, json};
use tl::PLUGIN;

fn branch(head: GitHead, name: Option<&str>) -> GitBranch {
    GitBranch {
        head,
        branch: name.map(str::to_owned),
        commit: None,
    }
}

fn commit(summary: &str) -> GitCommit {
    GitCommit {
        id: "b1946ac9".repeat(5),
        summary: summary.to_owned(),
        author: GitPerson {
            name: "Ada".to_owned(),
            ..GitPerson::default()
        },
        committer: GitPerson {
            unix_millis: 1_767_225_600_000,
            ..GitPerson::default()
        },
        ..GitCommit::default()
    }
}

fn change(path: &str, change: ChangeKind) -> GitChange {
    GitChange {
        path: path.to_owned(),
        path_bytes: None,
        old_path: None,
        old_path_bytes: None,
        change,
    }
}

fn structured(result: &CallToolResult) -> Value {
    assert!(!result.is_error, "{result:?}");
    result.structured_content.as_ref().unwrap().parse().unwrap()
}

fn failure(result: &CallToolResult) -> &str {
    assert!(result.is_error, "{result:?}");
    match result.content.as_slice() {
        [Content::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn repo_status_tells_branch_upstream_changes_and_last_commit() {
    let host = FakeHost::new()
        .on(|_: GitStatus| {
            Ok(GitStatusReport {
                head: branch(GitHead::Branch, Some("fix")),
                upstream: Some(GitUpstream {
                    name: "origin/fix".into(),
                    ahead: Some(2),
                    behind: Some(0),
                }),
                staged: vec![],
                unstaged: vec![change("src/lib.rs", ChangeKind::Modified)],
                untracked: vec![change("né.txt", ChangeKind::Untracked)],
                conflicted: vec![],
                is_clean: false,
            })
        })
        .on(|_: GitGetRecentCommits| {
            Ok(GitCommits {
                commits: vec![commit("Fix it")],
                has_more: true,
            })
        });
    let status =
        structured(&host.call_tool(&PLUGIN, "repo_status", &json!({ "workingDir": "sub" })));
    assert_eq!(
        status,
        json!({
            "branch": "fix",
            "head": "branch",
            "upstream": { "name": "origin/fix", "ahead": 2, "behind": 0 },
            "isClean": false,
            "staged": [],
            "unstaged": [{ "path": "src/lib.rs", "change": "modified" }],
            "untracked": [{ "path": "né.txt", "change": "untracked" }],
            "conflicted": [],
            "lastCommit": {
                "id": "b1946ac9".repeat(5),
                "summary": "Fix it",
                "author": "Ada",
                "unixMillis": 1_767_225_600_000_u64,
            },
        })
    );
    assert_eq!(
        host.requests::<GitStatus>()[0].working_dir.as_deref(),
        Some("sub")
    );
    assert_eq!(host.requests::<GitGetRecentCommits>()[0].limit, Some(1));
}

#[test]
fn recent_work_passes_its_limit_on_and_lists_what_is_not_committed() {
    let host = FakeHost::new()
        .on(|_: GitGetDirtyFiles| {
            Ok(GitDirtyFiles {
                files: vec![change("a", ChangeKind::Added)],
            })
        })
        .on(|_: GitGetRecentCommits| {
            Ok(GitCommits {
                commits: vec![commit("One")],
                has_more: false,
            })
        });
    let work = structured(&host.call_tool(&PLUGIN, "recent_work", &json!({ "limit": 3 })));
    assert_eq!(work["commits"][0]["summary"], "One");
    assert_eq!(
        work["dirtyFiles"],
        json!([{ "path": "a", "change": "added" }])
    );
    assert_eq!(host.requests::<GitGetRecentCommits>()[0].limit, Some(3));
}

fn github_host(head: GitBranch) -> FakeHost {
    FakeHost::new()
        .on(move |_: GitGetBranch| Ok(head.clone()))
        .on(|_: GitGetRemoteUrl| {
            Ok(GitRemoteUrl {
                url: "git@github.com:octocat/hello.git".into(),
            })
        })
}

#[test]
fn file_pr_takes_branch_and_repository_from_git() {
    let host = github_host(branch(GitHead::Branch, Some("fix"))).on(|request: GitHubCreatePr| {
        Ok(GitHubPr {
            number: 42,
            title: request.title,
            body: request.body,
            state: OpenState::Open,
            is_draft: request.draft,
            is_merged: false,
            is_mergeable: None,
            head_ref: request.head,
            head_sha: "0".repeat(40),
            head_repo: None,
            base_ref: "main".into(),
            base_sha: "1".repeat(40),
            author: None,
            labels: vec![],
            assignees: vec![],
            requested_reviewers: vec![],
            requested_teams: vec![],
            url: "https://github.com/octocat/hello/pull/42".into(),
            created_at: String::new(),
            updated_at: String::new(),
            merged_at: None,
            merge_commit_sha: None,
            additions: None,
            deletions: None,
            changed_files: None,
        })
    });
    let pr = structured(&host.call_tool(&PLUGIN, "file_pr", &json!({ "title": "Fix it" })));
    assert_eq!(
        pr,
        json!({
            "repo": "octocat/hello",
            "number": 42,
            "url": "https://github.com/octocat/hello/pull/42",
            "head": "fix",
            "base": "main",
        })
    );
    assert_eq!(host.requests::<GitHubCreatePr>()[0].repo, "octocat/hello");
    assert_eq!(
        host.functions(),
        ["git_get_branch", "git_get_remote_url", "github_create_pr"]
    );
}

#[test]
fn file_pr_without_a_configured_github_is_a_failure_that_says_so() {
    let host = github_host(branch(GitHead::Branch, Some("fix")));
    let result = host.call_tool(&PLUGIN, "file_pr", &json!({ "title": "Fix it" }));
    assert!(failure(&result).contains("github_create_pr"), "{result:?}");
}

#[test]
fn file_pr_on_a_detached_head_asks_for_the_branch() {
    let host = github_host(branch(GitHead::Detached, None));
    let result = host.call_tool(&PLUGIN, "file_pr", &json!({ "title": "Fix it" }));
    assert_eq!(
        failure(&result),
        "HEAD is detached: say in `head` which branch is meant"
    );
}

#[test]
fn an_unknown_tool_names_those_there_are() {
    let result = FakeHost::new().call_tool(&PLUGIN, "repo_statsu", &json!({}));
    assert_eq!(
        failure(&result),
        "no tool `repo_statsu`; there are repo_status, recent_work, file_pr"
    );
}

#[test]
fn every_tool_is_listed_with_the_schemas_of_its_arguments_and_its_result() {
    let listed = PLUGIN.list_tools().tools;
    let names: Vec<_> = listed.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["repo_status", "recent_work", "file_pr"]);
    for tool in &listed {
        let input: Value = tool.input_schema.parse().unwrap();
        assert_eq!(input["type"], "object", "{}", tool.name);
        assert_eq!(input["additionalProperties"], false, "{}", tool.name);
        let output: Value = tool.output_schema.as_ref().unwrap().parse().unwrap();
        assert_eq!(output["type"], "object", "{}", tool.name);
        assert!(
            tool.description
                .as_ref()
                .is_some_and(|text| text.len() > 20),
            "{}",
            tool.name
        );
    }
    let file_pr: Value = listed[2].input_schema.parse().unwrap();
    assert_eq!(file_pr["required"], json!(["title"]));
}
