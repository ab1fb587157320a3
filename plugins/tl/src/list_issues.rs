//! `list_issues`.

use exomonad_guest::github;
use exomonad_guest::prelude::*;

use pull_request::target;

/// Selects issues.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListIssuesArgs {
    /// Open ones, closed ones, or all; open ones when absent.
    state: Option<State>,
    /// Only issues with every one of these labels.
    #[serde(default)]
    labels: Vec<String>,
    /// Only those assigned to this login; `none` for nobody, `*` for anybody.
    assignee: Option<String>,
    /// The largest number of issues; 30 when absent.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u64>,
    /// The repository on GitHub, `owner/name`; that of the remote `origin` when absent.
    repo: Option<String>,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// The state of an issue.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Open.
    Open,
    /// Closed.
    Closed,
    /// Open or closed.
    All,
}

/// Issues, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issues {
    /// The repository they are in, `owner/name`.
    repo: String,
    /// The issues.
    issues: Vec<Issue>,
    /// True if there are more.
    has_more: bool,
}

/// An issue.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// Its number.
    number: u64,
    /// Its title.
    title: String,
    /// True if it is open.
    is_open: bool,
    /// Its labels.
    labels: Vec<String>,
    /// The logins of those it is assigned to.
    assignees: Vec<String>,
    /// The number of comments.
    comments: u64,
    /// Its web page.
    url: String,
    /// When it last changed (RFC 3339).
    updated_at: String,
}

/// Lists a repository's issues, newest first.
#[tool(title = "List issues", read_only, open_world)]
pub fn list_issues(args: ListIssuesArgs) -> Result<Issues, ToolError> {
    let repo = target::repo(args.repo, args.working_dir)?;
    let limit = args.limit.unwrap_or(30) as usize;
    let mut issues = Vec::new();
    let mut page = Some(1);
    while let Some(next) = page.filter(|_| issues.len() <= limit) {
        let found = github::list_issues(&GitHubListIssues {
            state: args.state.map(|state| match state {
                State::Open => StateFilter::Open,
                State::Closed => StateFilter::Closed,
                State::All => StateFilter::All,
            }),
            labels: args.labels.clone(),
            assignee: args.assignee.clone(),
            page: Some(next),
            per_page: Some(100.min(limit as u64 + 1)),
            ..GitHubListIssues::new(&*repo)
        })?;
        issues.extend(found.issues);
        page = found.next_page.map(u64::from);
    }
    let has_more = issues.len() > limit || page.is_some();
    issues.truncate(limit);
    let shown = issues.into_iter().map(|issue| Issue {
        number: issue.number,
        title: issue.title,
        is_open: matches!(issue.state, OpenState::Open),
        labels: issue.labels,
        assignees: issue.assignees,
        comments: issue.comments,
        url: issue.url,
        updated_at: issue.updated_at,
    });
    Ok(Issues {
        repo,
        issues: shown.collect(),
        has_more,
    })
}
