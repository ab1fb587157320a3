//! `file_pr`.

use exomonad_guest::prelude::*;
use exomonad_guest::{git, github};

use pull_request::target;

/// The pull request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilePrArgs {
    /// Its title.
    #[schemars(length(min = 1, max = 256))]
    title: String,
    /// Its text, in Markdown.
    body: Option<String>,
    /// The target branch; the repository's default branch when absent.
    base: Option<String>,
    /// The source branch; the current branch when absent.
    head: Option<String>,
    /// Opens it as a draft. An existing pull request keeps its own setting.
    #[serde(default)]
    draft: bool,
    /// The repository on GitHub, `owner/name`; that of the remote `origin` when absent.
    repo: Option<String>,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// The open pull request.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiledPr {
    /// The repository it is in, `owner/name`.
    repo: String,
    /// Its number.
    number: u64,
    /// Its web page.
    url: String,
    /// The source branch.
    head: String,
    /// The target branch.
    base: String,
    /// True if it was opened by this call; otherwise it existed and was updated.
    is_new: bool,
    /// The branch's commit on the remote.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

/// Pushes the branch and opens a pull request for it. If there is one already, its title, text and base
/// are updated: calling this twice has the same effect as calling it once.
#[tool(title = "File a pull request", open_world, idempotent)]
pub fn file_pr(args: FilePrArgs) -> Result<FiledPr, ToolError> {
    let FilePrArgs {
        title,
        body,
        base,
        head,
        draft,
        repo,
        working_dir,
    } = args;
    let head = target::branch(head, working_dir.clone())?;
    let repo = target::repo(repo, working_dir.clone())?;
    let pushed = git::push(&GitPush {
        working_dir,
        branch: Some(head.clone()),
        set_upstream: true,
        ..GitPush::default()
    })?;
    let there = github::get_pr_for_branch(&GitHubGetPrForBranch::new(&*repo, &*head))?.pr;
    let is_new = there.is_none();
    let pr = match there {
        Some(pr) => {
            let request = GitHubUpdatePr {
                title: Some(title),
                body,
                base,
                ..GitHubUpdatePr::new(&*repo, pr.number)
            };
            github::update_pr(&request)?
        }
        None => {
            let request = GitHubCreatePr {
                body,
                base,
                draft,
                ..GitHubCreatePr::new(&*repo, title, &*head)
            };
            github::create_pr(&request)?
        }
    };
    Ok(FiledPr {
        repo,
        number: pr.number,
        url: pr.url,
        head: pr.head_ref,
        base: pr.base_ref,
        is_new,
        commit: pushed
            .updates
            .into_iter()
            .next()
            .and_then(|update| update.new),
    })
}
