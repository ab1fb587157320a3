//! Reviews of pull requests.

use exomonad_schema::effects::github::{
    DiffSide, GitHubListReviewComments, GitHubListReviews, GitHubRequestReviewers, GitHubReview,
    GitHubReviewComment, GitHubReviewComments, GitHubReviewers, GitHubReviews, ReviewState,
};
use http::Method;
use serde::{Deserialize, Serialize};

use super::api_request::{ApiRequest, Endpoint, next_page};
use super::dto::{Account, Team, login, logins, slugs};

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    id: u64,
    in_reply_to_id: Option<u64>,
    body: String,
    user: Option<Account>,
    path: String,
    line: Option<u32>,
    start_line: Option<u32>,
    side: Option<String>,
    /// Absent from a comment on a whole file.
    diff_hunk: Option<String>,
    commit_id: String,
    html_url: String,
    created_at: String,
    updated_at: String,
}

impl Endpoint for GitHubListReviewComments {
    type Reply = Vec<Comment>;
    type Answer = GitHubReviewComments;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(
            ApiRequest::get(&self.repo, &[&"pulls", &self.number, &"comments"])
                .page(self.page, self.per_page)
                .about(format_args!("pull request {}", self.number)),
        )
    }

    fn answer(&self, comments: Vec<Comment>, has_next: bool) -> GitHubReviewComments {
        GitHubReviewComments {
            comments: comments
                .into_iter()
                .map(|comment| GitHubReviewComment {
                    id: comment.id,
                    in_reply_to: comment.in_reply_to_id,
                    body: comment.body,
                    author: login(comment.user),
                    path: comment.path,
                    line: comment.line,
                    start_line: comment.start_line,
                    side: match comment.side.as_deref() {
                        Some("LEFT") => Some(DiffSide::Left),
                        Some("RIGHT") => Some(DiffSide::Right),
                        _ => None,
                    },
                    diff_hunk: comment.diff_hunk.unwrap_or_default(),
                    commit_id: comment.commit_id,
                    url: comment.html_url,
                    created_at: comment.created_at,
                    updated_at: comment.updated_at,
                })
                .collect(),
            next_page: next_page(self.page, has_next),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    id: u64,
    user: Option<Account>,
    state: String,
    body: Option<String>,
    commit_id: Option<String>,
    submitted_at: Option<String>,
    html_url: String,
}

/// A state in GitHub's words. One it has come up with since approves nothing
/// and asks for nothing.
fn state(name: &str) -> ReviewState {
    match name {
        "APPROVED" => ReviewState::Approved,
        "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
        "DISMISSED" => ReviewState::Dismissed,
        "PENDING" => ReviewState::Pending,
        _ => ReviewState::Commented,
    }
}

impl Endpoint for GitHubListReviews {
    type Reply = Vec<Review>;
    type Answer = GitHubReviews;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(
            ApiRequest::get(&self.repo, &[&"pulls", &self.number, &"reviews"])
                .page(self.page, self.per_page)
                .about(format_args!("pull request {}", self.number)),
        )
    }

    fn answer(&self, reviews: Vec<Review>, has_next: bool) -> GitHubReviews {
        GitHubReviews {
            reviews: reviews
                .into_iter()
                .map(|review| GitHubReview {
                    id: review.id,
                    author: login(review.user),
                    state: state(&review.state),
                    body: review.body.unwrap_or_default(),
                    commit_id: review.commit_id,
                    submitted_at: review.submitted_at,
                    url: review.html_url,
                })
                .collect(),
            next_page: next_page(self.page, has_next),
        }
    }
}

#[derive(Serialize)]
struct ReviewersBody<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reviewers: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    team_reviewers: &'a [String],
}

/// The pull request, of which only this is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct RequestedReviewers {
    requested_reviewers: Option<Vec<Option<Account>>>,
    requested_teams: Option<Vec<Team>>,
}

impl Endpoint for GitHubRequestReviewers {
    type Reply = RequestedReviewers;
    type Answer = GitHubReviewers;

    fn request(&self) -> Result<ApiRequest, String> {
        if self.reviewers.is_empty() && self.team_reviewers.is_empty() {
            return Err(
                "nobody is named; name logins in `reviewers` or slugs in `teamReviewers`"
                    .to_owned(),
            );
        }
        let asked = ReviewersBody {
            reviewers: &self.reviewers,
            team_reviewers: &self.team_reviewers,
        };
        let api_request = ApiRequest::change(
            Method::POST,
            &self.repo,
            &[&"pulls", &self.number, &"requested_reviewers"],
            &asked,
        )?;
        Ok(api_request.about(format_args!("pull request {}", self.number)))
    }

    fn answer(&self, awaited: RequestedReviewers, _: bool) -> GitHubReviewers {
        GitHubReviewers {
            reviewers: logins(awaited.requested_reviewers),
            team_reviewers: slugs(awaited.requested_teams),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_on_a_removed_line_has_no_line() {
        let request: GitHubListReviewComments =
            serde_json::from_str(r#"{"repo":"a/b","number":7}"#).unwrap();
        let json = r#"[{"id":1,"body":"b","user":null,"path":"p","line":null,"side":"LEFT","diff_hunk":"@@",
            "commit_id":"c","html_url":"u","created_at":"c","updated_at":"d","original_line":3}]"#;
        let answer = request.answer(serde_json::from_str(json).unwrap(), false);
        assert_eq!(answer.comments[0].line, None);
        assert_eq!(answer.comments[0].side, Some(DiffSide::Left));
    }

    #[test]
    fn a_review_of_a_new_kind_approves_nothing() {
        assert_eq!(state("APPROVED"), ReviewState::Approved);
        assert_eq!(state("ACCLAIMED"), ReviewState::Commented);
    }

    #[test]
    fn a_request_without_reviewers_is_refused() {
        let nobody: GitHubRequestReviewers =
            serde_json::from_str(r#"{"repo":"a/b","number":7}"#).unwrap();
        assert!(nobody.request().is_err());
    }
}
