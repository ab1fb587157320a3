//! The repository, branch and pull request that are meant, which default to those of the folder.

use exomonad_guest::git;
use exomonad_guest::prelude::*;

/// The repository on GitHub: the one that is named, or that of the remote `origin`.
///
/// # Errors
/// Those of the effects, or if the remote is not on the host's GitHub server.
pub fn repo(named: Option<String>, working_dir: Option<String>) -> Result<String, ToolError> {
    if let Some(repo) = named {
        return Ok(repo);
    }
    let remote = GitGetRemoteUrl {
        working_dir,
        ..GitGetRemoteUrl::default()
    };
    let origin = git::get_remote_url(&remote)?;
    origin.github_repo.ok_or_else(|| {
        let url = origin.url;
        ToolError::new(format!(
            "the remote `origin` is {url}, which is not on the host's GitHub server (`github.base_url`); say in `repo` which repository is meant"
        ))
    })
}

/// The branch: the one that is named, or the current one.
///
/// # Errors
/// Those of the effects, or if no branch is checked out.
pub fn branch(named: Option<String>, working_dir: Option<String>) -> Result<String, ToolError> {
    if let Some(branch) = named {
        return Ok(branch);
    }
    let branch = git::get_branch(&GitGetBranch {
        working_dir,
        ..GitGetBranch::default()
    })?;
    match (branch.head, branch.branch) {
        (GitHead::Branch, Some(name)) => Ok(name),
        (GitHead::Unborn, _) => Err(ToolError::new(
            "the branch has no commit yet: commit something first",
        )),
        _ => Err(ToolError::new(
            "HEAD is detached: say in `head` which branch is meant",
        )),
    }
}

/// The pull request: the one with this number, or the open one of the branch.
///
/// # Errors
/// Those of the effects, or if there is none.
pub fn pull_request(
    repo: &str,
    number: Option<u64>,
    head: Option<String>,
    working_dir: Option<String>,
) -> Result<GitHubPr, ToolError> {
    if let Some(number) = number {
        return Ok(exomonad_guest::github::get_pr(&GitHubGetPr::new(
            repo, number,
        ))?);
    }
    let head = branch(head, working_dir)?;
    let found =
        exomonad_guest::github::get_pr_for_branch(&GitHubGetPrForBranch::new(repo, &*head))?;
    // GitHub reports only for a single pull request whether it can be merged, not in lists.
    match found.pr {
        Some(pr) => Ok(exomonad_guest::github::get_pr(&GitHubGetPr::new(
            repo, pr.number,
        ))?),
        None => Err(ToolError::new(format!(
            "there is no open pull request for the branch `{head}` of {repo}; `file_pr` opens one"
        ))),
    }
}
