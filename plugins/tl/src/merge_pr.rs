//! `merge_pr`.

use exomonad_guest::github;
use exomonad_guest::prelude::*;

use pull_request::target;

/// Selects a pull request, and the method of merging.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MergePrArgs {
    /// Its number; the open one of the branch when absent.
    number: Option<u64>,
    /// The source branch; the current branch when absent.
    head: Option<String>,
    /// The merge method; a merge commit when absent.
    method: Option<Method>,
    /// The commit that must be its newest; its newest commit now when absent.
    expected_head_sha: Option<String>,
    /// The repository on GitHub, `owner/name`; that of the remote `origin` when absent.
    repo: Option<String>,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// The method of merging.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// With a merge commit.
    Merge,
    /// Squashed into one commit.
    Squash,
    /// Rebased, each commit by itself.
    Rebase,
}

/// The merged pull request.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MergedPr {
    /// The repository it is in, `owner/name`.
    repo: String,
    /// Its number.
    number: u64,
    /// Its web page.
    url: String,
    /// The resulting commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<String>,
    /// True if it had been merged before this call.
    was_merged: bool,
}

/// Merges a pull request, but no commits that arrive in the meantime: its newest commit must still be the
/// current one, or the expected one.
#[tool(title = "Merge a pull request", open_world, destructive, idempotent)]
pub fn merge_pr(args: MergePrArgs) -> Result<MergedPr, ToolError> {
    let repo = target::repo(args.repo, args.working_dir.clone())?;
    let pr = target::pull_request(&repo, args.number, args.head, args.working_dir)?;
    if pr.is_merged {
        return Ok(MergedPr {
            repo,
            number: pr.number,
            url: pr.url,
            sha: pr.merge_commit_sha,
            was_merged: true,
        });
    }
    if pr.is_draft {
        return Err(ToolError::new(format!(
            "pull request {} of {repo} is a draft: mark it as ready first",
            pr.number
        )));
    }
    let method = args.method.map(|method| match method {
        Method::Merge => MergeMethod::Merge,
        Method::Squash => MergeMethod::Squash,
        Method::Rebase => MergeMethod::Rebase,
    });
    let merged = github::merge_pr(&GitHubMergePr {
        method,
        expected_head_sha: Some(args.expected_head_sha.unwrap_or(pr.head_sha)),
        ..GitHubMergePr::new(&*repo, pr.number)
    })?;
    Ok(MergedPr {
        repo,
        number: pr.number,
        url: pr.url,
        sha: Some(merged.sha),
        was_merged: false,
    })
}
