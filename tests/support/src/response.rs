//! Responses over HTTP, with checks.

use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

/// A response with its whole body.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Sends a request and reads the answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request)
            .await
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// If there is none.
    pub async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// A header's value; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks that this is a problem document with this status and code, whole in itself, and gives its
    /// `detail`.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(
            self.header(CONTENT_TYPE.as_str()),
            "application/problem+json"
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:exomonad:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string(), "{problem}");
        problem["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("no detail: {problem}"))
            .to_owned()
    }

    /// The result of a tool.
    ///
    /// # Panics
    /// If this is none.
    #[must_use]
    #[track_caller]
    pub fn tool_result(&self) -> ToolResult {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header(CONTENT_TYPE.as_str()), "application/json");
        ToolResult(self.json())
    }
}

/// An MCP `CallToolResult`.
#[derive(Debug)]
pub struct ToolResult(pub Value);

impl ToolResult {
    /// True if the tool failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.0["isError"] == true
    }

    /// All its text.
    #[must_use]
    pub fn text(&self) -> String {
        let content = self.0["content"].as_array().into_iter().flatten();
        content.filter_map(|piece| piece["text"].as_str()).collect()
    }

    /// Its structured content.
    #[must_use]
    pub fn structured(&self) -> &Value {
        &self.0["structuredContent"]
    }

    /// Checks that the guest failed in this way, and gives the message.
    ///
    /// # Panics
    /// If it did otherwise.
    #[track_caller]
    pub fn guest_failure(&self, code: &str) -> String {
        assert!(self.is_error(), "{}", self.0);
        let error = &self.structured()["error"];
        assert_eq!(error["code"], code, "{}", self.0);
        assert!(
            error["callId"].as_str().is_some_and(|id| !id.is_empty()),
            "{}",
            self.0
        );
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!(message, self.text(), "a model and a program read the same");
        message.to_owned()
    }
}
