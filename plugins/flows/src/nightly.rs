//! `nightly` and `nightly_check`.

use std::collections::BTreeMap;
use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::{First, Run};
use exomonad_guest::{docker, github};

/// The label of issues about failures.
const LABEL: &str = "nightly";

/// The command, and where to run it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nightly {
    /// The repositories.
    #[schemars(length(min = 1, max = 100))]
    repos: Vec<Repository>,
    /// The command that is run for each of them.
    check: Check,
    /// The number of repositories at the same time.
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 100))]
    parallel: usize,
}

/// A repository.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    /// Its name on GitHub, `owner/name`, where issues are filed.
    #[schemars(length(min = 1))]
    repo: String,
    /// The host's absolute path of a checkout, which the container may read at `/repo`; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// A command in a container.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// The image.
    #[schemars(length(min = 1))]
    image: String,
    /// The program and its arguments, passed on without a shell.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// Environment variables, besides `REPO`, the repository's name.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The network; none at all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// The time limit of the command, in milliseconds.
    #[serde(default = "hour")]
    #[schemars(range(min = 1, max = 86_400_000))]
    timeout_millis: u64,
    /// Files an issue on failure.
    #[serde(default = "yes")]
    file_issues: bool,
}

const fn four() -> usize {
    4
}

const fn hour() -> u64 {
    3_600_000
}

const fn yes() -> bool {
    true
}

/// The results so far.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The results, in the order of the repositories.
    results: Vec<Checked>,
}

/// The results of a night.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Night {
    /// The repositories whose command succeeded.
    passed: u64,
    /// The results, in the order of the repositories.
    results: Vec<Checked>,
}

/// One repository and its check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NightlyCheck {
    /// The repository.
    repository: Repository,
    /// The command that is run.
    check: Check,
}

/// The result for one repository.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The repository.
    repo: String,
    /// True if the command succeeded.
    passed: bool,
    /// The command's exit code; absent if it did not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// The reason for a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The web page of the issue about the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<String>,
}

/// Runs a command in a container for each of several repositories, some at the same time, and files an issue
/// for each that fails. Meant to be started by a schedule.
#[workflow(title = "Nightly checks", queries(results))]
pub fn nightly(input: Nightly, run: &Run<Progress>) -> Result<Night, WorkflowError> {
    let mut waiting = input.repos.iter().enumerate();
    let mut running = Vec::new();
    let mut results: Vec<Option<Checked>> = vec![None; input.repos.len()];
    loop {
        for (position, repository) in waiting.by_ref().take(input.parallel - running.len()) {
            let check = NightlyCheck {
                repository: repository.clone(),
                check: input.check.clone(),
            };
            let child = run
                .child::<nightly_check>(&check)?
                .id(format!("{}/{position}", run.workflow_id()))
                .start()?;
            running.push((position, child));
        }
        if running.is_empty() {
            break;
        }
        let select = running
            .iter()
            .fold(run.select(), |select, (_, child)| select.handle(child));
        if let First::Handle(ended) = select.wait()? {
            let (position, child) = running.remove(ended);
            let repo = &input.repos[position].repo;
            // A check that fails by itself is no reason to leave the others.
            results[position] = Some(child.outcome()?.unwrap_or_else(|error| Checked {
                problem: Some(error.message),
                ..Checked::failed(repo)
            }));
            run.set_state(&Progress {
                results: results.iter().flatten().cloned().collect(),
            })?;
        }
    }
    let results: Vec<Checked> = results.into_iter().flatten().collect();
    let passed = results.iter().filter(|result| result.passed).count() as u64;
    Ok(Night { passed, results })
}

fn results(progress: &Progress) -> Vec<Checked> {
    progress.results.clone()
}

/// Runs a command in a container for one repository, and files an issue if it fails. The container is removed
/// in any case.
#[workflow(title = "Nightly check of a repository")]
pub fn nightly_check(input: NightlyCheck, run: &Run) -> Result<Checked, WorkflowError> {
    let NightlyCheck { repository, check } = input;
    // Named, so that it can be removed whatever becomes of the answer.
    let name = format!("nightly-{}", run.run_id());
    let container = name.clone();
    run.add_compensation(move |_| remove(&container));
    let (exit_code, problem) = perform(run, &repository, &check, &name)?;
    let mut checked = Checked {
        passed: exit_code == Some(0),
        exit_code,
        problem,
        ..Checked::failed(&repository.repo)
    };
    if !checked.passed && check.file_issues {
        let log = log_of(&name)?;
        checked.issue = Some(report(&checked, &check, &log)?);
    }
    remove(&name)?;
    Ok(checked)
}

/// The command's exit code, or the reason why it has none.
fn perform(
    run: &Run,
    repository: &Repository,
    check: &Check,
    name: &str,
) -> Result<(Option<i32>, Option<String>), WorkflowError> {
    let mut env = check.env.clone();
    env.insert("REPO".to_owned(), repository.repo.clone());
    let mount = repository.path.as_ref().map(|path| Mount {
        kind: MountKind::Bind,
        source: Some(path.clone()),
        target: "/repo".to_owned(),
        read_only: true,
    });
    let spawn = DockerSpawn {
        command: check.command.clone(),
        name: Some(name.to_owned()),
        env,
        mounts: mount.into_iter().collect(),
        network: check.network.clone(),
        ..DockerSpawn::new(&*check.image)
    };
    if let Err(error) = run.step(spawn).retry(RetryPolicy::of_attempts(5)).run() {
        return not_run(error);
    }
    let wait = DockerWait {
        timeout_millis: Some(check.timeout_millis),
        ..DockerWait::new(name)
    };
    let limit = Duration::from_millis(check.timeout_millis);
    match run.step(wait).timeout(limit).run() {
        Ok(exit) => Ok((Some(exit.exit_code), None)),
        Err(error) => not_run(error),
    }
}

fn not_run(error: WorkflowError) -> Result<(Option<i32>, Option<String>), WorkflowError> {
    match error.is_cancelled() {
        true => Err(error),
        false => Ok((None, Some(error.message().to_owned()))),
    }
}

/// The end of the container's output; empty if there is none.
fn log_of(container: &str) -> Result<String, WorkflowError> {
    let logs = docker::logs(&DockerLogs {
        tail: Some(100),
        max_output_bytes: Some(20_000),
        ..DockerLogs::new(container)
    });
    match logs {
        Ok(logs) => Ok(logs.stdout + &logs.stderr),
        Err(error) if error.code == ErrorCode::Cancelled => Err(error.into()),
        Err(_) => Ok(String::new()),
    }
}

/// Removes the container, if it is there.
fn remove(container: &str) -> Result<(), WorkflowError> {
    let removed = docker::remove(&DockerRemove {
        force: true,
        volumes: true,
        ..DockerRemove::new(container)
    });
    match removed {
        Err(error) if error.code != ErrorCode::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Files an issue about a failure, or comments on the one that is open; returns its web page.
fn report(checked: &Checked, check: &Check, log: &str) -> Result<String, WorkflowError> {
    let title = format!("Nightly check failed: {}", check.command.join(" "));
    let body = issue_text(checked, log);
    let repo = checked.repo.as_str();
    let open = || -> exomonad_guest::Result<Option<GitHubIssue>> {
        let request = GitHubListIssues {
            labels: vec![LABEL.to_owned()],
            per_page: Some(100),
            ..GitHubListIssues::new(repo)
        };
        let issues = github::list_issues(&request)?.issues;
        Ok(issues.into_iter().find(|issue| issue.title == title))
    };
    if let Some(issue) = open()? {
        github::comment_issue(&GitHubCommentIssue::new(repo, issue.number, body))?;
        return Ok(issue.url);
    }
    let request = GitHubCreateIssue {
        body: Some(body),
        labels: vec![LABEL.to_owned()],
        ..GitHubCreateIssue::new(repo, &*title)
    };
    match github::create_issue(&request) {
        Ok(issue) => Ok(issue.url),
        // The host stopped while it was being filed: it may be there.
        Err(error) if error.code == ErrorCode::OutcomeUnknown => match open()? {
            Some(issue) => Ok(issue.url),
            None => Ok(github::create_issue(&request)?.url),
        },
        Err(error) => Err(error.into()),
    }
}

fn issue_text(checked: &Checked, log: &str) -> String {
    let how = match (checked.exit_code, &checked.problem) {
        (Some(code), _) => format!("The command ended with exit code {code}."),
        (None, Some(problem)) => format!("The command did not end: {problem}"),
        (None, None) => "The command did not end.".to_owned(),
    };
    // Indented, so that nothing in the log is taken for Markdown.
    let log: String = log.lines().map(|line| format!("    {line}\n")).collect();
    format!("{how}\n\nThe end of its output:\n\n{log}")
}

impl Checked {
    fn failed(repo: &str) -> Self {
        Self {
            repo: repo.to_owned(),
            passed: false,
            exit_code: None,
            problem: None,
            issue: None,
        }
    }
}
