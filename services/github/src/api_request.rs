//! Requests to GitHub: a method, a path, a query, a body.

use std::fmt::{Display, Write};

use exomonad_schema::effects::github::{Page, PageSize};
use exomonad_schema::value::RepoName;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Builds a request and reads its response; each effect is one.
pub(super) trait Endpoint: Sync {
    /// GitHub's response, as far as it is read.
    type Reply: DeserializeOwned;
    /// The effect's answer.
    type Answer;

    /// The request to send.
    ///
    /// # Errors
    /// When the effect's request is invalid, with what is wrong and what to do.
    fn request(&self) -> Result<ApiRequest, String>;

    /// Makes the effect's answer. `has_next` is true if GitHub has a page after this one.
    fn answer(&self, reply: Self::Reply, has_next: bool) -> Self::Answer;
}

/// A request of GitHub's REST API.
#[derive(Clone, Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    /// The path within the API and the query, encoded.
    pub(super) path_and_query: String,
    /// The body, as JSON.
    pub(super) body: Option<Vec<u8>>,
    /// The subject of the path, for errors: "pull request 7".
    pub(super) about: String,
}

impl ApiRequest {
    /// Reads `/repos/OWNER/NAME/PARTS…`.
    pub(super) fn get(repo: &RepoName, parts: &[&dyn Display]) -> Self {
        let mut path = format!("/repos/{}/{}", encoded(repo.owner()), encoded(repo.name()));
        for part in parts {
            path.push('/');
            path.push_str(&encoded(&part.to_string()));
        }
        Self {
            method: Method::GET,
            path_and_query: path,
            body: None,
            about: "repository".to_owned(),
        }
    }

    /// Changes what is at `/repos/OWNER/NAME/PARTS…`.
    pub(super) fn change(
        method: Method,
        repo: &RepoName,
        parts: &[&dyn Display],
        body: &impl Serialize,
    ) -> Result<Self, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        Ok(Self {
            method,
            body: Some(body),
            ..Self::get(repo, parts)
        })
    }

    /// True if sending it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    pub(super) fn about(mut self, what: impl Display) -> Self {
        self.about = what.to_string();
        self
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        let before = if self.path_and_query.contains('?') {
            '&'
        } else {
            '?'
        };
        self.path_and_query.push(before);
        self.path_and_query.push_str(name);
        self.path_and_query.push('=');
        self.path_and_query.push_str(&encoded(value));
        self
    }

    pub(super) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(super) fn page(self, page: Page, per_page: PageSize) -> Self {
        self.query("per_page", &per_page.get().to_string())
            .query("page", &page.get().to_string())
    }
}

/// The number of the page after `page`.
pub(super) fn next_page(page: Page, has_next: bool) -> Option<u32> {
    has_next
        .then(|| u32::try_from(page.get().saturating_add(1)).ok())
        .flatten()
}

/// Checks the name of a branch, tag or commit for use in a path.
///
/// # Errors
/// When git has no such names: those with `..` or a part that is a dot could
/// climb in a URL.
pub(super) fn checked_ref(name: &str) -> Result<&str, String> {
    let climbs = name.contains("..") || name.split('/').any(|part| part == ".");
    if climbs || name.contains(|letter: char| letter.is_control()) {
        Err(format!(
            "{name:?} is no name of a branch, a tag or a commit; git has none like it"
        ))
    } else {
        Ok(name)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_a_path_or_a_query_are_encoded() {
        let repo: RepoName = "acme/web".parse().unwrap();
        let api_request = ApiRequest::get(&repo, &[&"commits", &"feat/ü?x#y", &7])
            .query("labels", "a b&c=d,e")
            .maybe("creator", None)
            .maybe("assignee", Some("*"));
        assert_eq!(
            api_request.path_and_query,
            "/repos/acme/web/commits/feat%2F%C3%BC%3Fx%23y/7?labels=a%20b%26c%3Dd%2Ce&assignee=%2A"
        );
    }

    #[test]
    fn a_ref_cannot_traverse_upwards() {
        for good in [
            "main",
            "feat/x.y",
            ".hidden",
            "v1.0",
            "0123abcd",
            "refs/heads/main",
        ] {
            assert!(checked_ref(good).is_ok(), "{good}");
        }
        for bad in [".", "..", "a/../b", "a/./b", "x..y", "a\nb"] {
            assert!(checked_ref(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_page_is_given_only_when_there_is_one() {
        let page = Page::try_from(3).unwrap();
        assert_eq!(next_page(page, true), Some(4));
        assert_eq!(next_page(page, false), None);
    }
}
