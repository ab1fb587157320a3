//! The tools, with a fake host.

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
fn repo_status_reports_branch_upstream_changes_and_last_commit() {
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
fn recent_work_respects_its_limit_and_lists_uncommitted_files() {
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
                github_repo: Some("octocat/hello".into()),
            })
        })
}

/// A pull request as GitHub returns it.
fn pull_request(number: u64, head: &str) -> GitHubPr {
    GitHubPr {
        number,
        title: "Fix it".into(),
        body: None,
        state: OpenState::Open,
        is_draft: false,
        is_merged: false,
        is_mergeable: Some(true),
        head_ref: head.into(),
        head_sha: "0".repeat(40),
        head_repo: None,
        base_ref: "main".into(),
        base_sha: "1".repeat(40),
        author: None,
        labels: vec![],
        assignees: vec![],
        requested_reviewers: vec![],
        requested_teams: vec![],
        url: format!("https://github.com/octocat/hello/pull/{number}"),
        created_at: String::new(),
        updated_at: String::new(),
        merged_at: None,
        merge_commit_sha: None,
        additions: None,
        deletions: None,
        changed_files: None,
    }
}

/// The host of a branch that can be pushed, with this pull request open for it.
fn pushing_host(open: Option<GitHubPr>) -> FakeHost {
    github_host(branch(GitHead::Branch, Some("fix")))
        .on(|request: GitPush| {
            Ok(GitPushed {
                updates: vec![GitRefUpdate {
                    reference: format!("refs/heads/{}", request.branch.unwrap_or_default()),
                    change: GitRefChange::Created,
                    old: None,
                    new: Some("0".repeat(40)),
                }],
            })
        })
        .on(move |_: GitHubGetPrForBranch| Ok(GitHubPrForBranch { pr: open.clone() }))
        .on(|request: GitHubGetPr| Ok(pull_request(request.number, "fix")))
}

#[test]
fn file_pr_pushes_the_branch_and_opens_a_pull_request_for_it() {
    let host = pushing_host(None).on(|request: GitHubCreatePr| {
        assert_eq!((&*request.repo, &*request.head), ("octocat/hello", "fix"));
        Ok(pull_request(42, &request.head))
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
            "isNew": true,
            "commit": "0".repeat(40),
        })
    );
    assert_eq!(
        host.functions(),
        [
            "git_get_branch",
            "git_get_remote_url",
            "git_push",
            "github_get_pr_for_branch",
            "github_create_pr"
        ]
    );
}

#[test]
fn file_pr_updates_a_pull_request_that_is_open() {
    let host = pushing_host(Some(pull_request(7, "fix"))).on(|request: GitHubUpdatePr| {
        assert_eq!(
            (request.number, request.title.as_deref()),
            (7, Some("Better"))
        );
        assert_eq!(request.base, None, "what was not said stays");
        Ok(pull_request(7, "fix"))
    });
    let pr = structured(&host.call_tool(&PLUGIN, "file_pr", &json!({ "title": "Better" })));
    assert_eq!((&pr["number"], &pr["isNew"]), (&json!(7), &json!(false)));
}

/// The host of pull request 7 with these reviews and checks.
fn reviewed_host(
    pr: GitHubPr,
    states: &[(&str, ReviewState)],
    ci: Option<CheckConclusion>,
) -> FakeHost {
    let review = |(author, state): &(&str, ReviewState)| GitHubReview {
        id: 1,
        author: Some((*author).to_owned()),
        state: *state,
        body: String::new(),
        commit_id: None,
        submitted_at: None,
        url: String::new(),
    };
    let reviews: Vec<GitHubReview> = states.iter().map(review).collect();
    pushing_host(Some(pr.clone()))
        .on(move |_: GitHubGetPr| Ok(pr.clone()))
        .on(move |request: GitHubListReviews| {
            // Two pages, to check that both are read.
            let (page, next) = match request.page {
                Some(1) => (&reviews[..1], Some(2)),
                _ => (&reviews[1..], None),
            };
            Ok(GitHubReviews {
                reviews: page.to_vec(),
                next_page: next,
            })
        })
        .on(move |request: GitHubListCheckRuns| {
            assert_eq!(request.reference, "0".repeat(40));
            Ok(GitHubCheckRuns {
                check_runs: vec![GitHubCheckRun {
                    id: 1,
                    name: "ci".into(),
                    status: if ci.is_some() {
                        CheckStatus::Completed
                    } else {
                        CheckStatus::InProgress
                    },
                    conclusion: ci,
                    title: None,
                    summary: None,
                    url: None,
                    started_at: None,
                    completed_at: None,
                }],
                total: 1,
                next_page: None,
            })
        })
        .on(|request: GitHubGetCombinedStatus| {
            Ok(GitHubCombinedStatus {
                state: CommitState::Success,
                sha: request.reference,
                statuses: vec![GitHubStatus {
                    context: "deploy".into(),
                    state: CommitState::Success,
                    description: None,
                    url: None,
                }],
            })
        })
}

#[test]
fn pr_status_is_ready_when_nothing_blocks_merging() {
    let states = [
        ("ada", ReviewState::ChangesRequested),
        ("ada", ReviewState::Approved),
        ("ada", ReviewState::Commented),
    ];
    let host = reviewed_host(
        pull_request(7, "fix"),
        &states,
        Some(CheckConclusion::Success),
    );
    let status = structured(&host.call_tool(&PLUGIN, "pr_status", &json!({})));
    assert_eq!(status["isReady"], true, "{status}");
    assert_eq!(status["reviews"], json!({"ada": "approved"}));
    assert_eq!(
        status["checks"],
        json!({"ci": "success", "deploy": "success"})
    );
}

#[test]
fn pr_status_names_every_blocker() {
    let pr = GitHubPr {
        is_draft: true,
        is_mergeable: Some(false),
        requested_reviewers: vec!["bob".into()],
        ..pull_request(7, "fix")
    };
    let states = [
        ("ada", ReviewState::ChangesRequested),
        ("eve", ReviewState::Approved),
    ];
    let host = reviewed_host(pr, &states, None);
    let status = structured(&host.call_tool(&PLUGIN, "pr_status", &json!({"number": 7})));
    assert_eq!(status["isReady"], false);
    assert_eq!(
        status["blockers"],
        json!([
            "it is a draft",
            "it conflicts with `main`",
            "ada wants changes",
            "a review of bob is awaited",
            "the check `ci` is in_progress"
        ])
    );
}

#[test]
fn merge_pr_merges_only_the_expected_commit() {
    let host = pushing_host(Some(pull_request(7, "fix"))).on(|request: GitHubMergePr| {
        assert_eq!(request.expected_head_sha, Some("0".repeat(40)));
        assert_eq!(request.method, Some(MergeMethod::Squash));
        Ok(GitHubMerge {
            sha: "2".repeat(40),
            message: String::new(),
        })
    });
    let merged = structured(&host.call_tool(&PLUGIN, "merge_pr", &json!({"method": "squash"})));
    assert_eq!(
        (&merged["number"], &merged["wasMerged"]),
        (&json!(7), &json!(false))
    );

    let merged_before = GitHubPr {
        is_merged: true,
        merge_commit_sha: Some("3".repeat(40)),
        ..pull_request(7, "fix")
    };
    let host = pushing_host(None).on(move |_: GitHubGetPr| Ok(merged_before.clone()));
    let merged = structured(&host.call_tool(&PLUGIN, "merge_pr", &json!({"number": 7})));
    assert_eq!(
        (&merged["sha"], &merged["wasMerged"]),
        (&json!("3".repeat(40)), &json!(true))
    );

    let host = pushing_host(None);
    let none = host.call_tool(&PLUGIN, "merge_pr", &json!({}));
    assert!(
        failure(&none).contains("no open pull request for the branch `fix`"),
        "{none:?}"
    );
}

#[test]
fn list_issues_returns_as_many_as_requested() {
    let host = github_host(branch(GitHead::Branch, Some("fix"))).on(|request: GitHubListIssues| {
        let page = request.page.unwrap_or(1);
        let issue = |nth: u64| GitHubIssue {
            number: page * 1000 - nth,
            title: "A bug".into(),
            body: None,
            state: OpenState::Open,
            state_reason: None,
            author: None,
            labels: request.labels.clone(),
            assignees: vec![],
            milestone: None,
            comments: 0,
            url: String::new(),
            created_at: String::new(),
            updated_at: String::new(),
            closed_at: None,
        };
        Ok(GitHubIssues {
            issues: (0..request.per_page.unwrap_or(30)).map(issue).collect(),
            next_page: (page < 2).then_some(2),
        })
    });
    let arguments = json!({"limit": 150, "labels": ["bug"]});
    let listed = structured(&host.call_tool(&PLUGIN, "list_issues", &arguments));
    assert_eq!(listed["issues"].as_array().unwrap().len(), 150);
    assert_eq!(listed["hasMore"], true);
    assert_eq!(host.requests::<GitHubListIssues>().len(), 2);
}

#[test]
fn run_in_container_returns_exit_code_and_output() {
    let host = FakeHost::new().on(|request: DockerExec| {
        assert_eq!(request.command, ["make", "test"]);
        Ok(DockerExecResult {
            exit_code: 2,
            output: DockerOutput {
                stdout: "1 failed".into(),
                ..DockerOutput::default()
            },
        })
    });
    let arguments = json!({"container": "ci", "command": ["make", "test"]});
    let ran = structured(&host.call_tool(&PLUGIN, "run_in_container", &arguments));
    assert_eq!(
        (&ran["exitCode"], &ran["stdout"]),
        (&json!(2), &json!("1 failed"))
    );
}

#[test]
fn file_pr_fails_if_the_push_fails() {
    let host = github_host(branch(GitHead::Branch, Some("fix")));
    let result = host.call_tool(&PLUGIN, "file_pr", &json!({ "title": "Fix it" }));
    assert!(failure(&result).contains("git_push"), "{result:?}");
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
fn an_unknown_tool_is_an_error_that_names_the_existing_tools() {
    let result = FakeHost::new().call_tool(&PLUGIN, "repo_statsu", &json!({}));
    assert_eq!(
        failure(&result),
        "no tool `repo_statsu`; there are repo_status, recent_work, list_issues, file_pr, pr_status, merge_pr, run_in_container"
    );
}

#[test]
fn every_tool_is_listed_with_the_schemas_of_its_arguments_and_its_result() {
    let listed = PLUGIN.list_tools().tools;
    let names: Vec<_> = listed.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "repo_status",
            "recent_work",
            "list_issues",
            "file_pr",
            "pr_status",
            "merge_pr",
            "run_in_container"
        ]
    );
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
    let file_pr: Value = listed[3].input_schema.parse().unwrap();
    assert_eq!(file_pr["required"], json!(["title"]));
}
