//! Pull requests, but for their reviews.

use exomonad_schema::effects::github::{
    GitHubCreatePr, GitHubGetPr, GitHubGetPrForBranch, GitHubListPrs, GitHubMerge, GitHubMergePr,
    GitHubPr, GitHubPrForBranch, GitHubPrs, GitHubUpdatePr, MergeMethod, OpenState,
};
use exomonad_schema::value::RepoName;
use http::Method;
use serde::{Deserialize, Serialize};

use super::api_request::{ApiRequest, Endpoint, next_page};
use super::dto::{Account, Label, Team, label_names, login, logins, slugs};
use super::issues::filter;

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    number: u64,
    title: String,
    body: Option<String>,
    state: OpenState,
    draft: Option<bool>,
    merged: Option<bool>,
    mergeable: Option<bool>,
    head: Branch,
    base: Branch,
    user: Option<Account>,
    labels: Option<Vec<Label>>,
    assignees: Option<Vec<Option<Account>>>,
    requested_reviewers: Option<Vec<Option<Account>>>,
    requested_teams: Option<Vec<Team>>,
    html_url: String,
    created_at: String,
    updated_at: String,
    merged_at: Option<String>,
    merge_commit_sha: Option<String>,
    additions: Option<u64>,
    deletions: Option<u64>,
    changed_files: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<RepoOfBranch>,
}

#[derive(Debug, Deserialize)]
struct RepoOfBranch {
    full_name: String,
}

impl From<Pull> for GitHubPr {
    fn from(pull: Pull) -> Self {
        let is_merged = pull.merged.unwrap_or(pull.merged_at.is_some());
        Self {
            number: pull.number,
            title: pull.title,
            body: pull.body,
            state: pull.state,
            is_draft: pull.draft.unwrap_or(false),
            is_merged,
            is_mergeable: pull.mergeable,
            head_ref: pull.head.name,
            head_sha: pull.head.sha,
            head_repo: pull.head.repo.map(|repo| repo.full_name),
            base_ref: pull.base.name,
            base_sha: pull.base.sha,
            author: login(pull.user),
            labels: label_names(pull.labels),
            assignees: logins(pull.assignees),
            requested_reviewers: logins(pull.requested_reviewers),
            requested_teams: slugs(pull.requested_teams),
            url: pull.html_url,
            created_at: pull.created_at,
            updated_at: pull.updated_at,
            merged_at: pull.merged_at,
            // Before the merge this is a commit GitHub tries the merge with.
            merge_commit_sha: pull.merge_commit_sha.filter(|_| is_merged),
            additions: pull.additions,
            deletions: pull.deletions,
            changed_files: pull.changed_files,
        }
    }
}

/// A branch with its owner, as the `head` filter wants it: without one GitHub
/// ignores the filter and lists everything.
fn with_owner(repo: &RepoName, branch: &str) -> Result<String, String> {
    match branch.split_once(':') {
        None => Ok(format!("{}:{branch}", repo.owner())),
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() => Ok(branch.to_owned()),
        Some(_) => Err(format!(
            "{branch:?} is no branch; write `branch`, or `owner:branch` for one of a fork"
        )),
    }
}

/// A branch without its owner.
pub(super) fn name_of(branch: &str) -> &str {
    branch.split_once(':').map_or(branch, |(_, name)| name)
}

impl Endpoint for GitHubListPrs {
    type Reply = Vec<Pull>;
    type Answer = GitHubPrs;

    fn request(&self) -> Result<ApiRequest, String> {
        let head = match &self.head {
            Some(branch) => Some(with_owner(&self.repo, branch)?),
            None => None,
        };
        Ok(ApiRequest::get(&self.repo, &[&"pulls"])
            .query("state", filter(self.state))
            .query("sort", "created")
            .query("direction", "desc")
            .maybe("head", head.as_deref())
            .maybe("base", self.base.as_deref())
            .page(self.page, self.per_page))
    }

    fn answer(&self, pulls: Vec<Pull>, has_next: bool) -> GitHubPrs {
        GitHubPrs {
            prs: pulls.into_iter().map(GitHubPr::from).collect(),
            next_page: next_page(self.page, has_next),
        }
    }
}

impl Endpoint for GitHubGetPrForBranch {
    type Reply = Vec<Pull>;
    type Answer = GitHubPrForBranch;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(ApiRequest::get(&self.repo, &[&"pulls"])
            .query("state", "open")
            .query("sort", "created")
            .query("direction", "desc")
            .query("head", &with_owner(&self.repo, &self.branch)?)
            .query("per_page", "5"))
    }

    fn answer(&self, pulls: Vec<Pull>, _: bool) -> GitHubPrForBranch {
        let branch = name_of(&self.branch);
        GitHubPrForBranch {
            pr: pulls
                .into_iter()
                .find(|pull| pull.head.name == branch)
                .map(GitHubPr::from),
        }
    }
}

impl Endpoint for GitHubGetPr {
    type Reply = Pull;
    type Answer = GitHubPr;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(ApiRequest::get(&self.repo, &[&"pulls", &self.number])
            .about(format_args!("pull request {}", self.number)))
    }

    fn answer(&self, pull: Pull, _: bool) -> GitHubPr {
        pull.into()
    }
}

/// A pull request's fields to set; absent ones are not sent.
#[derive(Default, Serialize)]
struct PullBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<OpenState>,
}

/// A pull request to open, and its base branch, which GitHub requires.
pub(super) struct NewPull<'a> {
    pub(super) request: &'a GitHubCreatePr,
    pub(super) base: &'a str,
}

impl Endpoint for NewPull<'_> {
    type Reply = Pull;
    type Answer = GitHubPr;

    fn request(&self) -> Result<ApiRequest, String> {
        let request = self.request;
        let content = PullBody {
            title: Some(&request.title),
            body: request.body.as_deref(),
            head: Some(&request.head),
            base: Some(self.base),
            draft: Some(request.draft),
            state: None,
        };
        ApiRequest::change(Method::POST, &request.repo, &[&"pulls"], &content)
    }

    fn answer(&self, pull: Pull, _: bool) -> GitHubPr {
        pull.into()
    }
}

impl Endpoint for GitHubUpdatePr {
    type Reply = Pull;
    type Answer = GitHubPr;

    fn request(&self) -> Result<ApiRequest, String> {
        let content = PullBody {
            title: self.title.as_deref(),
            body: self.body.as_deref(),
            base: self.base.as_deref(),
            state: self.state,
            ..PullBody::default()
        };
        let api_request = ApiRequest::change(
            Method::PATCH,
            &self.repo,
            &[&"pulls", &self.number],
            &content,
        )?;
        Ok(api_request.about(format_args!("pull request {}", self.number)))
    }

    fn answer(&self, pull: Pull, _: bool) -> GitHubPr {
        pull.into()
    }
}

#[derive(Serialize)]
struct MergeBody<'a> {
    merge_method: MergeMethod,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Merge {
    sha: String,
    message: String,
}

impl Endpoint for GitHubMergePr {
    type Reply = Merge;
    type Answer = GitHubMerge;

    fn request(&self) -> Result<ApiRequest, String> {
        let how = MergeBody {
            merge_method: self.method,
            commit_title: self.commit_title.as_deref(),
            commit_message: self.commit_message.as_deref(),
            sha: self.expected_head_sha.as_deref(),
        };
        let api_request = ApiRequest::change(
            Method::PUT,
            &self.repo,
            &[&"pulls", &self.number, &"merge"],
            &how,
        )?;
        Ok(api_request.about(format_args!("pull request {}", self.number)))
    }

    fn answer(&self, merge: Merge, _: bool) -> GitHubMerge {
        GitHubMerge {
            sha: merge.sha,
            message: merge.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(head: &str, merged_at: &str) -> String {
        format!(
            r#"{{"number":7,"title":"t","body":null,"state":"open","user":null,"head":{{"ref":"{head}",
            "sha":"1","repo":null}},"base":{{"ref":"main","sha":"2","repo":{{"full_name":"a/b"}}}},
            "labels":[],"assignees":null,"requested_reviewers":[{{"login":"r"}}],"requested_teams":[{{"slug":"s"}}],
            "html_url":"u","created_at":"c","updated_at":"d","merged_at":{merged_at},"merge_commit_sha":"3"}}"#
        )
    }

    #[test]
    fn a_test_merge_s_commit_is_left_out() {
        let read = |json: &str| GitHubPr::from(serde_json::from_str::<Pull>(json).unwrap());
        let open = read(&pull("x", "null"));
        assert_eq!((open.is_merged, open.merge_commit_sha), (false, None));
        assert_eq!((open.head_repo, open.is_mergeable), (None, None));
        let merged = read(&pull("x", "\"2026-01-31T12:00:00Z\""));
        assert!(merged.is_merged);
        assert_eq!(merged.merge_commit_sha.as_deref(), Some("3"));
    }

    #[test]
    fn a_branch_is_queried_with_its_owner_and_no_other_is_taken() {
        let request = |branch: &str| GitHubGetPrForBranch {
            repo: "acme/web".parse().unwrap(),
            branch: branch.try_into().unwrap(),
        };
        for (branch, sent) in [("x/y", "head=acme%3Ax%2Fy"), ("me:x", "head=me%3Ax")] {
            let api_request = request(branch).request().unwrap();
            assert!(api_request.path_and_query.contains(sent), "{api_request:?}");
        }
        assert!(request(":x").request().is_err());
        let pulls =
            || serde_json::from_str(&format!("[{},{}]", pull("z", "null"), pull("x", "null")));
        assert_eq!(
            request("me:x")
                .answer(pulls().unwrap(), false)
                .pr
                .unwrap()
                .head_ref,
            "x"
        );
        assert_eq!(request("y").answer(pulls().unwrap(), false).pr, None);
    }
}
