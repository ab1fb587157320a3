//! The service under test, its calls, and its planted token.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use exomonad_core::Secret;
use exomonad_core::values::TimeSpan;
use exomonad_core::{BoundsMap, CallContext, RepoBounds};
use exomonad_github::{GitHub, GitHubConfig};
use exomonad_schema::effects::github::*;
use exomonad_schema::{CallId, EffectError, ErrorCode};
use serde_json::Value;

use crate::log;

pub const TOKEN: &str = "ghp_PlantedTokenThatNobodyMaySee0123456789";
pub const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Settings that fail fast, for a server at `url`.
pub fn config(url: &str) -> GitHubConfig {
    GitHubConfig {
        base_url: url.to_owned(),
        token: Some(Secret::new(TOKEN)),
        time_limit: TimeSpan::secs(5),
        max_response_bytes: 64 << 10,
        retry_delay: Duration::from_millis(10),
        ..GitHubConfig::default()
    }
}

pub fn github(url: &str) -> GitHub {
    github_with(config(url))
}

pub fn github_with(config: GitHubConfig) -> GitHub {
    log::keep();
    GitHub::new(config).unwrap()
}

/// A call of role `tl`, which may reach what `acme` has.
pub fn call() -> CallContext {
    CallContext {
        traceparent: Some(TRACEPARENT.to_owned()),
        bounds: Arc::new(BoundsMap::default().with(RepoBounds {
            repos: vec!["acme/*".parse().unwrap()],
        })),
        ..CallContext::new("tl".parse().unwrap(), CallId::from(7))
    }
}

/// A request from its JSON.
pub fn request<R: serde::de::DeserializeOwned>(json: &str) -> R {
    serde_json::from_str(json).unwrap()
}

pub fn get_issue() -> GitHubGetIssue {
    request(r#"{"repo":"acme/web","number":7}"#)
}

pub fn create_issue() -> GitHubCreateIssue {
    request(r#"{"repo":"acme/web","title":"It rains"}"#)
}

pub fn merge_pr() -> GitHubMergePr {
    request(r#"{"repo":"acme/web","number":7}"#)
}

/// An issue as GitHub tells it.
pub fn issue_json(title: &str) -> String {
    format!(
        r#"{{"number":7,"title":"{title}","state":"open","html_url":"u","created_at":"c","updated_at":"d"}}"#
    )
}

/// The error of an effect, after looking for the token where it must not be.
pub fn failed<T: Debug>(outcome: Result<T, EffectError>, code: ErrorCode) -> EffectError {
    let error = outcome.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    let told = format!(
        "{error} {error:?} {}",
        serde_json::to_string(&error).unwrap()
    );
    assert!(!told.contains("PlantedToken"), "{told}");
    assert!(error.message.contains(" on acme/web: "), "{error}");
    assert!(
        !log::text().contains("PlantedToken"),
        "the log shows the token"
    );
    error
}

/// The details of an error, for programs.
pub fn details(error: &EffectError) -> Value {
    let details = error.details.as_ref();
    details.map_or(Value::Null, |details| details.parse().unwrap())
}
