//! GitHub's error responses, mapped to the contract's codes.

use exomonad_core::Secret;
use exomonad_schema::{EffectKind, ErrorCode};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rate_limit::{self, RateLimit};

/// Limits on GitHub's own words that are passed on: characters of a text, entries of its list of errors.
const MAX_TEXT: usize = 1_000;
const MAX_ERRORS: usize = 20;

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// GitHub's message, or the status's name.
    pub(super) message: String,
    pub(super) errors: Vec<FieldError>,
    pub(super) documentation_url: Option<String>,
    pub(super) limit: Option<RateLimit>,
    /// The wait before the next try, as the response has it.
    pub(super) retry_after: Option<std::time::Duration>,
}

/// GitHub's error about one field of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// A text without the token, should a server have sent it back.
pub(super) fn redact(token: &Secret, text: &str) -> String {
    text.replace(token.expose(), "[token]")
}

/// The body of an error response. Its parts come in more shapes than GitHub documents.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Value,
    errors: Value,
    documentation_url: Value,
}

impl ApiError {
    pub(super) fn read(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        token: Option<&Secret>,
    ) -> Self {
        let body = String::from_utf8_lossy(body);
        let body = token.map_or_else(|| body.to_string(), |token| redact(token, &body));
        // A page of HTML, as proxies send it, says nothing that the status does not.
        let body: ErrorBody = serde_json::from_str(&body).unwrap_or_default();
        let message = text(&body.message).unwrap_or_else(|| {
            status
                .canonical_reason()
                .unwrap_or("no reason given")
                .to_owned()
        });
        let errors = match &body.errors {
            Value::Array(errors) => errors
                .iter()
                .take(MAX_ERRORS)
                .map(FieldError::read)
                .collect(),
            Value::Null => Vec::new(),
            other => vec![FieldError::read(other)],
        };
        Self {
            limit: RateLimit::from_response(status, headers, &message),
            retry_after: rate_limit::retry_after(headers),
            documentation_url: text(&body.documentation_url),
            status,
            message,
            errors,
        }
    }

    /// The code, and what to do about it. `about` is the request's subject.
    pub(super) fn meaning(&self, kind: EffectKind, about: &str) -> (ErrorCode, String) {
        let merging = kind == EffectKind::GitHubMergePr;
        let (code, remedy) = match self.status.as_u16() {
            401 => (
                ErrorCode::Unauthenticated,
                "the host's token is wrong, expired or revoked; put a valid one where `github.token_file` \
                 or `github.token_env` of exomonad.toml points, and restart the host",
            ),
            403 | 451 => (
                ErrorCode::Forbidden,
                "give the host's token access to the repository and permission for this",
            ),
            404 | 410 => {
                return (
                    ErrorCode::NotFound,
                    format!(
                        "the {about} does not exist, or the host's token may not see it; check the name \
                         and what the token has access to"
                    ),
                );
            }
            405 if merging => (
                ErrorCode::Conflict,
                "the pull request cannot be merged as it is; see `isMergeable` of GitHubGetPr, its checks \
                 and its reviews",
            ),
            409 if merging => (
                ErrorCode::Conflict,
                "the pull request's branch has moved or is in use; read the pull request again",
            ),
            409 | 412 => (ErrorCode::Conflict, "read it again and decide anew"),
            422 if self.begins("A pull request already exists") => (
                ErrorCode::Conflict,
                "use the pull request there is; GitHubGetPrForBranch finds it",
            ),
            422 if self.begins("No commit found") => (
                ErrorCode::NotFound,
                "check that the branch, tag or commit has been pushed",
            ),
            400 | 413 | 414 | 422 => (ErrorCode::Validation, "correct the request"),
            408 => (ErrorCode::Unavailable, "try again"),
            500..=599 => (
                ErrorCode::Unavailable,
                "GitHub has trouble; https://www.githubstatus.com may say more. Try again later",
            ),
            _ => (
                ErrorCode::Unsupported,
                "check that `github.base_url` of exomonad.toml is GitHub's API",
            ),
        };
        (code, remedy.to_owned())
    }

    fn begins(&self, words: &str) -> bool {
        let in_errors = self
            .errors
            .iter()
            .filter_map(|error| error.message.as_deref());
        in_errors
            .chain([self.message.as_str()])
            .any(|message| message.starts_with(words))
    }

    /// GitHub's own words, with those about fields.
    pub(super) fn words(&self) -> String {
        let mut words = format!("{:?} (HTTP {})", self.message, self.status.as_u16());
        for (index, error) in self.errors.iter().enumerate() {
            words.push_str(if index == 0 { ": " } else { ", " });
            words.push_str(&error.words());
        }
        words
    }
}

impl FieldError {
    /// An object as documented, or only a text.
    fn read(value: &Value) -> Self {
        match value {
            Value::Object(parts) => {
                let part = |name: &str| parts.get(name).and_then(text);
                Self {
                    resource: part("resource"),
                    field: part("field"),
                    code: part("code"),
                    message: part("message"),
                }
            }
            other => Self {
                message: text(other).or_else(|| Some(clipped(&other.to_string()))),
                ..Self::default()
            },
        }
    }

    fn words(&self) -> String {
        let place: Vec<&str> = [&self.resource, &self.field]
            .into_iter()
            .filter_map(|part| part.as_deref())
            .collect();
        let what = self.message.as_deref().or(self.code.as_deref());
        match (place.join("."), what) {
            (place, None) => place,
            (place, Some(what)) if place.is_empty() => what.to_owned(),
            (place, Some(what)) => format!("{place}: {what}"),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(clipped)
}

fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_error(status: u16, body: &str) -> ApiError {
        let status = StatusCode::from_u16(status).unwrap();
        let token = Secret::new("ghp_planted");
        ApiError::read(status, &HeaderMap::new(), body.as_bytes(), Some(&token))
    }

    fn code(kind: EffectKind, status: u16, body: &str) -> ErrorCode {
        api_error(status, body).meaning(kind, "issue 7").0
    }

    #[test]
    fn every_status_has_a_code_of_the_contract() {
        use EffectKind::{GitHubCreatePr, GitHubGetIssue, GitHubListCheckRuns, GitHubMergePr};
        let exists = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest",
            "code":"custom","message":"A pull request already exists for acme:x."}]}"#;
        let no_commit = r#"{"message":"No commit found for SHA: x"}"#;
        for (kind, status, body, wanted) in [
            (GitHubGetIssue, 401, "", ErrorCode::Unauthenticated),
            (GitHubGetIssue, 403, "", ErrorCode::Forbidden),
            (GitHubGetIssue, 404, "", ErrorCode::NotFound),
            (GitHubGetIssue, 410, "", ErrorCode::NotFound),
            (GitHubGetIssue, 405, "", ErrorCode::Unsupported),
            (GitHubMergePr, 405, "", ErrorCode::Conflict),
            (GitHubMergePr, 409, "", ErrorCode::Conflict),
            (GitHubGetIssue, 409, "", ErrorCode::Conflict),
            (GitHubCreatePr, 422, "{}", ErrorCode::Validation),
            (GitHubCreatePr, 422, exists, ErrorCode::Conflict),
            (GitHubListCheckRuns, 422, no_commit, ErrorCode::NotFound),
            (GitHubGetIssue, 500, "<html>", ErrorCode::Unavailable),
            (GitHubGetIssue, 418, "", ErrorCode::Unsupported),
        ] {
            assert_eq!(code(kind, status, body), wanted, "{kind} {status}");
        }
    }

    #[test]
    fn field_errors_are_read_in_every_shape() {
        let documented = api_error(
            422,
            r#"{"message":"Validation Failed","errors":[{"resource":"Issue","field":"title","code":"missing_field"},
               "labels is odd",{"message":"own words"}]}"#,
        );
        assert_eq!(
            documented.words(),
            "\"Validation Failed\" (HTTP 422): Issue.title: missing_field, labels is odd, own words"
        );
        assert_eq!(
            api_error(422, r#"{"errors":"no"}"#).words(),
            "\"Unprocessable Entity\" (HTTP 422): no"
        );
        assert_eq!(
            api_error(502, "<html>bad</html>").words(),
            "\"Bad Gateway\" (HTTP 502)"
        );
        assert_eq!(
            api_error(400, r#"{"message":7,"errors":{"a":1}}"#)
                .errors
                .len(),
            1
        );
    }

    #[test]
    fn a_token_in_a_response_is_redacted() {
        let error = api_error(
            401,
            r#"{"message":"Bearer ghp_planted is bad","errors":["ghp_planted"]}"#,
        );
        assert!(!format!("{error:?}").contains("planted"), "{error:?}");
    }
}
