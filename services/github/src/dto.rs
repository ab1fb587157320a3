//! Parts that many of GitHub's responses have.

use serde::Deserialize;

/// An account; GitHub says `null` when it is gone.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    login: String,
}

/// A team.
#[derive(Debug, Deserialize)]
pub(super) struct Team {
    slug: String,
}

/// A label: an object, and here and there only its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    /// Only its name.
    Name(String),
    /// An object whose name may be missing.
    Object {
        /// Its name.
        name: Option<String>,
    },
}

pub(super) fn login(account: Option<Account>) -> Option<String> {
    account.map(|account| account.login)
}

pub(super) fn logins(accounts: Option<Vec<Option<Account>>>) -> Vec<String> {
    accounts
        .into_iter()
        .flatten()
        .flatten()
        .map(|account| account.login)
        .collect()
}

pub(super) fn slugs(teams: Option<Vec<Team>>) -> Vec<String> {
    teams.into_iter().flatten().map(|team| team.slug).collect()
}

pub(super) fn label_names(labels: Option<Vec<Label>>) -> Vec<String> {
    labels
        .into_iter()
        .flatten()
        .filter_map(|label| match label {
            Label::Name(name) => Some(name),
            Label::Object { name } => name,
        })
        .collect()
}
