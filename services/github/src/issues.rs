//! Issues and their comments.

use std::fmt::Display;

use exomonad_schema::effects::github::{
    GitHubComment, GitHubCommentIssue, GitHubCreateIssue, GitHubGetIssue, GitHubIssue,
    GitHubIssues, GitHubListIssues, GitHubUpdateIssue, IssueCloseReason, OpenState, StateFilter,
};
use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api_request::{ApiRequest, Endpoint, next_page};
use super::dto::{Account, Label, label_names, login, logins};

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    number: u64,
    title: String,
    body: Option<String>,
    state: OpenState,
    state_reason: Option<Value>,
    user: Option<Account>,
    labels: Option<Vec<Label>>,
    assignees: Option<Vec<Option<Account>>>,
    milestone: Option<Milestone>,
    #[serde(default)]
    comments: u64,
    html_url: String,
    created_at: String,
    updated_at: String,
    closed_at: Option<String>,
    /// There when it is a pull request, which GitHub counts among the issues.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Milestone {
    number: u64,
}

impl From<Issue> for GitHubIssue {
    fn from(issue: Issue) -> Self {
        Self {
            number: issue.number,
            title: issue.title,
            body: issue.body,
            state: issue.state,
            // A reason newer than this host is left out.
            state_reason: issue
                .state_reason
                .and_then(|reason| serde_json::from_value(reason).ok()),
            author: login(issue.user),
            labels: label_names(issue.labels),
            assignees: logins(issue.assignees),
            milestone: issue.milestone.map(|milestone| milestone.number),
            comments: issue.comments,
            url: issue.html_url,
            created_at: issue.created_at,
            updated_at: issue.updated_at,
            closed_at: issue.closed_at,
        }
    }
}

/// An issue's fields to set; absent ones are not sent.
#[derive(Default, Serialize)]
struct IssueBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<OpenState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<IssueCloseReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignees: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestone: Option<u64>,
}

impl Endpoint for GitHubListIssues {
    type Reply = Vec<Issue>;
    type Answer = GitHubIssues;

    fn request(&self) -> Result<ApiRequest, String> {
        if let Some(label) = self.labels.iter().find(|label| label.contains(',')) {
            return Err(format!(
                "{label:?} has a comma, which GitHub takes for the end of a label; name labels without"
            ));
        }
        let since: Option<Timestamp> = match &self.since {
            Some(text) => Some(text.parse().map_err(|_| {
                format!("`since` is {text:?}, which is no time; write it like 2026-01-31T12:00:00Z")
            })?),
            None => None,
        };
        let labels = (!self.labels.is_empty()).then(|| self.labels.join(","));
        Ok(ApiRequest::get(&self.repo, &[&"issues"])
            .query("state", filter(self.state))
            .query("sort", "created")
            .query("direction", "desc")
            .maybe("labels", labels.as_deref())
            .maybe("assignee", self.assignee.as_deref())
            .maybe("creator", self.creator.as_deref())
            .maybe("since", since.map(|since| since.to_string()).as_deref())
            .page(self.page, self.per_page))
    }

    fn answer(&self, issues: Vec<Issue>, has_next: bool) -> GitHubIssues {
        GitHubIssues {
            issues: issues
                .into_iter()
                .filter(|issue| issue.pull_request.is_none())
                .map(GitHubIssue::from)
                .collect(),
            next_page: next_page(self.page, has_next),
        }
    }
}

/// The states to list, in GitHub's words.
pub(super) fn filter(state: StateFilter) -> &'static str {
    match state {
        StateFilter::Open => "open",
        StateFilter::Closed => "closed",
        StateFilter::All => "all",
    }
}

impl Endpoint for GitHubGetIssue {
    type Reply = Issue;
    type Answer = GitHubIssue;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(ApiRequest::get(&self.repo, &[&"issues", &self.number])
            .about(format_args!("issue {}", self.number)))
    }

    fn answer(&self, issue: Issue, _: bool) -> GitHubIssue {
        issue.into()
    }
}

impl Endpoint for GitHubCreateIssue {
    type Reply = Issue;
    type Answer = GitHubIssue;

    fn request(&self) -> Result<ApiRequest, String> {
        let content = IssueBody {
            title: Some(&self.title),
            body: self.body.as_deref(),
            labels: filled(&self.labels),
            assignees: filled(&self.assignees),
            milestone: self.milestone,
            ..IssueBody::default()
        };
        ApiRequest::change(Method::POST, &self.repo, &[&"issues"], &content)
    }

    fn answer(&self, issue: Issue, _: bool) -> GitHubIssue {
        issue.into()
    }
}

fn filled(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}

impl Endpoint for GitHubUpdateIssue {
    type Reply = Issue;
    type Answer = GitHubIssue;

    fn request(&self) -> Result<ApiRequest, String> {
        let content = IssueBody {
            title: self.title.as_deref(),
            body: self.body.as_deref(),
            state: self.state,
            state_reason: self.state_reason,
            labels: self.labels.as_deref(),
            assignees: self.assignees.as_deref(),
            milestone: None,
        };
        let parts: [&dyn Display; 2] = [&"issues", &self.number];
        Ok(
            ApiRequest::change(Method::PATCH, &self.repo, &parts, &content)?
                .about(format_args!("issue {}", self.number)),
        )
    }

    fn answer(&self, issue: Issue, _: bool) -> GitHubIssue {
        issue.into()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    id: u64,
    body: Option<String>,
    user: Option<Account>,
    html_url: String,
    created_at: String,
    updated_at: String,
}

impl Endpoint for GitHubCommentIssue {
    type Reply = Comment;
    type Answer = GitHubComment;

    fn request(&self) -> Result<ApiRequest, String> {
        let content = IssueBody {
            body: Some(&self.body),
            ..IssueBody::default()
        };
        let parts: [&dyn Display; 3] = [&"issues", &self.number, &"comments"];
        Ok(
            ApiRequest::change(Method::POST, &self.repo, &parts, &content)?
                .about(format_args!("issue or pull request {}", self.number)),
        )
    }

    fn answer(&self, comment: Comment, _: bool) -> GitHubComment {
        GitHubComment {
            id: comment.id,
            body: comment.body.unwrap_or_default(),
            author: login(comment.user),
            url: comment.html_url,
            created_at: comment.created_at,
            updated_at: comment.updated_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(json: &str) -> GitHubIssue {
        serde_json::from_str::<Issue>(json).unwrap().into()
    }

    const BARE: &str = r#"{"number":7,"title":"t","body":null,"state":"closed","state_reason":"melted",
        "user":null,"labels":["bug",{"name":"ui"},{"name":null}],"assignees":[null,{"login":"a"}],
        "milestone":null,"html_url":"u","created_at":"c","updated_at":"d","closed_at":null}"#;

    #[test]
    fn an_issue_is_read_with_missing_and_unknown_fields() {
        let issue = issue(BARE);
        assert_eq!(issue.labels, ["bug", "ui"]);
        assert_eq!(issue.assignees, ["a"]);
        assert_eq!(
            (issue.author, issue.state_reason, issue.comments),
            (None, None, 0)
        );
    }

    #[test]
    fn pull_requests_are_left_out_of_a_list_and_do_not_end_it() {
        let request: GitHubListIssues = serde_json::from_str(r#"{"repo":"a/b","page":2}"#).unwrap();
        let pull = BARE.replace(
            "\"number\":7",
            "\"pull_request\":{\"url\":\"x\"},\"number\":8",
        );
        let both = serde_json::from_str(&format!("[{BARE},{pull}]")).unwrap();
        let answer = request.answer(both, true);
        assert_eq!(answer.issues.len(), 1);
        assert_eq!(answer.next_page, Some(3));
    }

    #[test]
    fn labels_and_times_that_github_would_misread_are_refused() {
        let bad = [
            r#"{"repo":"a/b","labels":["x,y"]}"#,
            r#"{"repo":"a/b","since":"yesterday"}"#,
        ];
        for json in bad {
            let request: GitHubListIssues = serde_json::from_str(json).unwrap();
            assert!(request.request().is_err(), "{json}");
        }
        let since = r#"{"repo":"a/b","since":"2026-01-31T14:00:00+02:00","labels":["x","y z"]}"#;
        let request: GitHubListIssues = serde_json::from_str(since).unwrap();
        let sent = request.request().unwrap().path_and_query;
        assert!(sent.contains("&since=2026-01-31T12%3A00%3A00Z&"), "{sent}");
        assert!(sent.contains("&labels=x%2Cy%20z&"), "{sent}");
    }

    #[test]
    fn absent_fields_are_not_sent_and_empty_lists_are() {
        let json =
            r#"{"repo":"a/b","number":7,"labels":[],"state":"closed","stateReason":"not_planned"}"#;
        let request: GitHubUpdateIssue = serde_json::from_str(json).unwrap();
        let body = request.request().unwrap().body.unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"state":"closed","state_reason":"not_planned","labels":[]}"#
        );
    }
}
