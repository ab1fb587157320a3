//! `file_pr`.

use exomonad_guest::prelude::*;
use exomonad_guest::{git, github};

use crate::remote::github_repo;

/// The pull request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilePrArgs {
    /// Its title.
    #[schemars(length(min = 1, max = 256))]
    title: String,
    /// Its text, in Markdown.
    body: Option<String>,
    /// The branch it goes into; the repository's default branch when absent.
    base: Option<String>,
    /// The branch it comes from; the one that is checked out when absent.
    head: Option<String>,
    /// Whether it is not ready for review.
    #[serde(default)]
    draft: bool,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// A pull request that has been opened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiledPr {
    /// The repository it is in, `owner/name`.
    repo: String,
    /// Its number.
    number: u64,
    /// Its page.
    url: String,
    /// The branch it comes from.
    head: String,
    /// The branch it goes into.
    base: String,
}

/// Opens a pull request on GitHub for the branch that is checked out, in the
/// repository that the remote `origin` names. The branch has to be pushed before.
#[tool(title = "File a pull request", open_world)]
pub fn file_pr(args: FilePrArgs) -> Result<FiledPr, ToolError> {
    let FilePrArgs {
        title,
        body,
        base,
        head,
        draft,
        working_dir,
    } = args;
    let head = match head {
        Some(head) => head,
        None => checked_out_branch(working_dir.clone())?,
    };
    let remote = GitGetRemoteUrl {
        working_dir,
        ..GitGetRemoteUrl::default()
    };
    let url = git::get_remote_url(&remote)?.url;
    let Some(repo) = github_repo(&url) else {
        return Err(ToolError::new(format!(
            "the remote `origin` is {url}, which is not on GitHub"
        )));
    };
    let request = GitHubCreatePr {
        body,
        base,
        draft,
        ..GitHubCreatePr::new(repo.clone(), title, head)
    };
    let pr = github::create_pr(&request)?;
    Ok(FiledPr {
        repo,
        number: pr.number,
        url: pr.url,
        head: pr.head_ref,
        base: pr.base_ref,
    })
}

fn checked_out_branch(working_dir: Option<String>) -> Result<String, ToolError> {
    let branch = git::get_branch(&GitGetBranch { working_dir })?;
    match (branch.head, branch.branch) {
        (GitHead::Branch, Some(name)) => Ok(name),
        (GitHead::Unborn, _) => Err(ToolError::new(
            "the branch has no commit yet: commit and push something first",
        )),
        _ => Err(ToolError::new(
            "HEAD is detached: say in `head` which branch is meant",
        )),
    }
}
