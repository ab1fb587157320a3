//! Repositories and their labels.

use exomonad_schema::effects::github::{
    GitHubGetRepo, GitHubLabel, GitHubLabels, GitHubListLabels, GitHubRepo,
};
use serde::Deserialize;

use super::api_request::{ApiRequest, Endpoint, next_page};

#[derive(Debug, Deserialize)]
pub(super) struct Repo {
    full_name: String,
    description: Option<String>,
    default_branch: String,
    private: bool,
    fork: bool,
    #[serde(default)]
    archived: bool,
    html_url: String,
    clone_url: String,
}

impl Endpoint for GitHubGetRepo {
    type Reply = Repo;
    type Answer = GitHubRepo;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(ApiRequest::get(&self.repo, &[]))
    }

    fn answer(&self, repo: Repo, _: bool) -> GitHubRepo {
        GitHubRepo {
            full_name: repo.full_name,
            description: repo.description,
            default_branch: repo.default_branch,
            is_private: repo.private,
            is_fork: repo.fork,
            is_archived: repo.archived,
            url: repo.html_url,
            clone_url: repo.clone_url,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    name: String,
    color: String,
    description: Option<String>,
}

impl Endpoint for GitHubListLabels {
    type Reply = Vec<Label>;
    type Answer = GitHubLabels;

    fn request(&self) -> Result<ApiRequest, String> {
        Ok(ApiRequest::get(&self.repo, &[&"labels"]).page(self.page, self.per_page))
    }

    fn answer(&self, labels: Vec<Label>, has_next: bool) -> GitHubLabels {
        GitHubLabels {
            labels: labels
                .into_iter()
                .map(|label| GitHubLabel {
                    name: label.name,
                    color: label.color,
                    description: label.description,
                })
                .collect(),
            next_page: next_page(self.page, has_next),
        }
    }
}
