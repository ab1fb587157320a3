//! `nightly`, in simulated time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::testing::FakeHost;
use flows::PLUGIN;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

fn error(code: ErrorCode) -> EffectError {
    EffectError {
        code,
        message: format!("it is {}", code.name()),
        details: None,
    }
}

fn issue(number: u64, title: &str) -> GitHubIssue {
    GitHubIssue {
        number,
        title: title.to_owned(),
        body: None,
        state: OpenState::Open,
        state_reason: None,
        author: None,
        labels: vec!["nightly".into()],
        assignees: vec![],
        milestone: None,
        comments: 0,
        url: format!("https://github.com/acme/web/issues/{number}"),
        created_at: String::new(),
        updated_at: String::new(),
        closed_at: None,
    }
}

/// The containers that are there.
type Containers = Rc<RefCell<BTreeSet<String>>>;

/// A host whose commands take ten minutes. The containers of a repository with `broken` in its name end with 1.
fn host() -> (FakeHost, Containers) {
    let containers = Containers::default();
    let broken = Rc::new(RefCell::new(BTreeSet::new()));
    let (spawned, removed) = (containers.clone(), containers.clone());
    let (notes, reads) = (broken.clone(), broken);
    let host = FakeHost::new()
        .takes::<DockerWait>(10 * MINUTE)
        .on(move |request: DockerSpawn| {
            let name = request.name.unwrap();
            if request.env["REPO"].contains("broken") {
                notes.borrow_mut().insert(name.clone());
            }
            assert!(spawned.borrow_mut().insert(name.clone()), "{name} is there");
            Ok(DockerSpawned {
                id: name.clone(),
                name,
                warnings: vec![],
            })
        })
        .on(move |request: DockerWait| {
            let exit_code = i32::from(reads.borrow().contains(&request.container));
            Ok(DockerExit { exit_code })
        })
        .on(|_: DockerLogs| {
            Ok(DockerOutput {
                stdout: "1 test failed\n".into(),
                stderr: "```\n".into(),
                ..DockerOutput::default()
            })
        })
        .on(
            move |request: DockerRemove| match removed.borrow_mut().remove(&request.container) {
                true => Ok(Done {}),
                false => Err(error(ErrorCode::NotFound)),
            },
        )
        .on(|_: GitHubListIssues| {
            Ok(GitHubIssues {
                issues: vec![],
                next_page: None,
            })
        })
        .on(|request: GitHubCreateIssue| Ok(issue(9, &request.title)));
    (host, containers)
}

fn input(repos: &[&str]) -> Value {
    let repos: Vec<_> = repos.iter().map(|repo| json!({ "repo": repo })).collect();
    json!({
        "repos": repos,
        "check": { "image": "rust:1", "command": ["cargo", "test"] },
        "parallel": 2,
    })
}

#[test]
fn repositories_are_checked_beside_each_other_and_an_issue_is_filed_for_a_failure() {
    let (host, containers) = host();
    let repos = ["acme/a", "acme/broken", "acme/c", "acme/d", "acme/e"];
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&repos));
    let output = night.output();
    assert_eq!(output["passed"], 4);
    assert_eq!(
        output["results"][1],
        json!({
            "repo": "acme/broken",
            "passed": false,
            "exitCode": 1,
            "issue": "https://github.com/acme/web/issues/9",
        })
    );
    let order: Vec<_> = (0..5)
        .map(|nth| output["results"][nth]["repo"].clone())
        .collect();
    assert_eq!(order, repos);
    // Five of ten minutes each, two at a time.
    assert_eq!(night.elapsed, 30 * MINUTE);
    let filed = &host.requests::<GitHubCreateIssue>()[0];
    assert_eq!(
        (&*filed.repo, &*filed.title),
        ("acme/broken", "Nightly check failed: cargo test")
    );
    assert_eq!(
        filed.body.as_deref(),
        Some(
            "The command ended with exit code 1.\n\nThe end of its output:\n\n    1 test failed\n    ```\n"
        )
    );
    assert!(containers.borrow().is_empty());
    assert_eq!(night.states.len(), 5);
}

#[test]
fn a_failure_that_has_an_issue_is_a_comment_on_it() {
    let (host, _) = host();
    let host = host
        .on(|_: GitHubListIssues| {
            let title = "Nightly check failed: cargo test";
            Ok(GitHubIssues {
                issues: vec![issue(3, "Another"), issue(4, title)],
                next_page: None,
            })
        })
        .on(|request: GitHubCommentIssue| {
            assert_eq!(request.number, 4);
            Ok(GitHubComment {
                id: 1,
                body: request.body,
                author: None,
                url: String::new(),
                created_at: String::new(),
                updated_at: String::new(),
            })
        });
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/broken"]));
    assert_eq!(
        night.output()["results"][0]["issue"],
        "https://github.com/acme/web/issues/4"
    );
    assert_eq!(host.requests::<GitHubCreateIssue>().len(), 0);
}

#[test]
fn an_issue_whose_filing_has_no_known_outcome_is_not_filed_twice() {
    let (host, _) = host();
    let lists = Cell::new(0);
    let host = host
        .on(move |_: GitHubListIssues| {
            lists.set(lists.get() + 1);
            let issues = match lists.get() {
                1 => vec![],
                _ => vec![issue(5, "Nightly check failed: cargo test")],
            };
            Ok(GitHubIssues {
                issues,
                next_page: None,
            })
        })
        .on(|_: GitHubCreateIssue| Err(error(ErrorCode::OutcomeUnknown)));
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/broken"]));
    assert_eq!(
        night.output()["results"][0]["issue"],
        "https://github.com/acme/web/issues/5"
    );
    assert_eq!(host.requests::<GitHubCreateIssue>().len(), 1);
}

#[test]
fn a_command_that_takes_too_long_and_a_container_that_does_not_start_are_failures() {
    let (host, containers) = host();
    let host = host.takes::<DockerWait>(120 * MINUTE);
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/a"]));
    assert_eq!(
        night.output()["results"][0]["problem"],
        "`docker.wait` was not done in 3600000 ms"
    );
    assert_eq!(night.elapsed, 60 * MINUTE);
    assert!(containers.borrow().is_empty());

    let (host, _) = self::host();
    let host = host.on(|_: DockerSpawn| Err(error(ErrorCode::NotFound)));
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/a"]));
    assert_eq!(night.output()["results"][0]["problem"], "it is not_found");
}

#[test]
fn one_repository_whose_issue_cannot_be_filed_does_not_stop_the_others() {
    let (host, containers) = host();
    let host = host.on(|_: GitHubCreateIssue| Err(error(ErrorCode::Forbidden)));
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/broken", "acme/b"]));
    assert_eq!(night.output()["passed"], 1);
    assert_eq!(
        night.output()["results"][0]["problem"],
        "the workflow `test-workflow/0` failed: it is forbidden"
    );
    assert!(containers.borrow().is_empty());
}

#[test]
fn cancelling_removes_the_containers() {
    let (host, containers) = host();
    let host = host.cancel_at(5 * MINUTE);
    let night = host.run_workflow(&PLUGIN, "nightly", &input(&["acme/a", "acme/b", "acme/c"]));
    assert!(night.is_cancelled());
    assert_eq!(host.requests::<DockerSpawn>().len(), 2);
    assert!(containers.borrow().is_empty(), "{containers:?}");
    assert_eq!(night.elapsed, 5 * MINUTE);
}

#[test]
fn every_workflow_is_listed_with_its_schemas() {
    let listed = serde_json::to_value(PLUGIN.list_workflows()).unwrap();
    let listed = listed["workflows"].as_array().unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ship_pr", "nightly", "nightly_check"]);
    for workflow in listed {
        assert_eq!(
            workflow["inputSchema"]["additionalProperties"], false,
            "{workflow}"
        );
        assert_eq!(workflow["outputSchema"]["type"], "object", "{workflow}");
    }
    assert_eq!(listed[0]["inputSchema"]["required"], json!(["title"]));
    assert_eq!(
        listed[0]["signals"],
        json!([{ "name": "check" }, { "name": "stop" }])
    );
}
