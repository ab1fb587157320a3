//! The HTTP service: sends guests' requests to the hosts that their role is granted.
//!
//! Checks between a guest's request and the first byte on the wire:
//!
//! 1. the role's list of hosts, held against the URL's host, and again at each redirect, which is
//!    followed by hand;
//! 2. the address that the name has at that moment: loopback, private and other addresses that are not
//!    on the public internet are refused unless the role is granted them by name (`private_hosts`). The
//!    name is resolved once, and the connection goes to the address that was checked;
//! 3. secrets: `{{secret:NAME}}` is filled in here, only for a role that is granted the secret, only
//!    towards the hosts the secret is for, only over TLS (or to a granted private host). Every
//!    response to a role with secrets is searched for them, in all usual encodings, so that a server that
//!    repeats or has kept one reveals nothing; where such a secret is for the server, the response comes whole
//!    and unencoded.
//!
//! The environment's proxies are not used: a proxy would resolve names by itself.
//!
//! | module | subject |
//! |---|---|
//! | `config` | configuration |
//! | `address` | public addresses; name resolution |
//! | `placeholder` | secrets, inserted |
//! | `redact` | secrets, found in responses |
//! | `policy` | decisions by a role's bounds |
//! | `exchange` | one request with its redirects |

mod address;
mod config;
mod exchange;
mod placeholder;
mod policy;
mod redact;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use exomonad_core::bounds::BoundsMap;
use exomonad_core::{CallContext, HttpService};
use exomonad_schema::effects::http::{HttpMethod, HttpRequest, HttpResponse};
use exomonad_schema::{Base64, EffectError, EffectKind, ErrorCode};
use reqwest::{Client, Method};
use tracing::field::Empty;
use tracing::{Instrument, Span};

pub use address::is_public;
pub use config::{HttpConfig, HttpConfigError, SecretConfig, Secrets};
pub use policy::{HttpBounds, decide};

use exomonad_core::span;

/// Sends guests' requests. Cheap to share behind an `Arc`; connections are kept and shared.
#[derive(Debug)]
pub struct Http {
    config: HttpConfig,
    secrets: Secrets,
    /// Reaches public addresses only.
    public: Client,
    /// Reaches any, for hosts that are granted as private.
    any: Client,
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: String,
    /// Header fields by name.
    pub headers: BTreeMap<String, String>,
    /// The body, empty for none.
    pub body: Vec<u8>,
    /// Number of redirects to follow.
    pub max_redirects: u64,
    /// Time limit, the reading of the body included; at most the configured one.
    pub time_limit: Option<Duration>,
    /// Bytes of the response's body to keep.
    pub max_response: u64,
}

/// A response, its secrets redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingResponse {
    /// The status code.
    pub status: u16,
    /// The address that answered.
    pub url: String,
    /// Header fields in lower case; those that came more than once are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
    /// True if the body was cut off at the limit.
    pub truncated: bool,
}

/// An error in place of a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    /// The contract's code for it.
    pub code: ErrorCode,
    /// The message for the guest; of the address it names the host alone.
    pub message: String,
}

impl HttpError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Http {
    /// Prepares the service. Nothing is sent yet.
    ///
    /// # Errors
    /// When a setting is invalid, or TLS cannot be set up.
    pub fn new(config: HttpConfig, secrets: Secrets) -> Result<Self, HttpConfigError> {
        config.check(&secrets)?;
        Ok(Self {
            public: exchange::client(&config, Some(address::PublicResolver))?,
            any: exchange::client(&config, None)?,
            config,
            secrets,
        })
    }

    /// Sends a request within a role's bounds.
    ///
    /// # Errors
    /// When the bounds forbid it, or no response came.
    pub async fn send(
        &self,
        bounds: &BoundsMap,
        traceparent: Option<&str>,
        mut request: OutgoingRequest,
    ) -> Result<IncomingResponse, HttpError> {
        let limit = self.config.time_limit.get();
        let limit = request.time_limit.map_or(limit, |own| own.min(limit));
        let host = host_of(&request.url);
        let span = client_span(&request.method, &host);
        let has_own_trace = request
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("traceparent"));
        if !has_own_trace {
            let mut set =
                |name: &str, value: String| request.headers.insert(name.to_owned(), value);
            if let Some(traceparent) = traceparent {
                set("traceparent", traceparent.to_owned());
            }
            span::propagate(&span, |name, value| {
                set(name, value);
            });
        }
        let exchange = exchange::run(self, bounds.get(), request).instrument(span.clone());
        let result = match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::new(
                ErrorCode::Timeout,
                format!("HTTP request to {host}: no whole answer within {limit:?}"),
            )),
        };
        match &result {
            Ok(incoming) => {
                span.record("http.response.status_code", i64::from(incoming.status));
                if incoming.status >= 400 {
                    span::failed(&span, &incoming.status.to_string());
                }
            }
            Err(error) => span::failed(&span, error.code.name()),
        }
        result
    }
}

/// A client for the host's own requests, which no role bounds: rustls with ring, no redirects, no proxy.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client() -> Result<Client, HttpConfigError> {
    exchange::client(&HttpConfig::default(), None)
}

/// The trace span of a request. Of the address it has the host alone: the rest may hold secrets.
fn client_span(method: &Method, host: &str) -> Span {
    let is_known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ]
    .contains(method);
    // A guest may make one up.
    let method = if is_known { method.as_str() } else { "_OTHER" };
    tracing::info_span!(
        target: span::TARGET,
        "http",
        otel.name = if is_known { method } else { "HTTP" },
        otel.kind = "client",
        http.request.method = method,
        server.address = host,
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// The host of an address, for messages.
fn host_of(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "an address that is none".to_owned())
}

impl HttpService for Http {
    async fn request(
        &self,
        call: &CallContext,
        request: HttpRequest,
    ) -> Result<HttpResponse, EffectError> {
        let body = match (request.body, request.body_bytes) {
            (Some(_), Some(_)) => {
                return Err(EffectError::invalid_input(format!(
                    "{}: `body` and `bodyBytes` exclude each other",
                    EffectKind::HttpRequest
                )));
            }
            (Some(text), None) => text.into_bytes(),
            (None, Some(bytes)) => bytes.0,
            (None, None) => Vec::new(),
        };
        let outgoing = OutgoingRequest {
            method: match request.method {
                HttpMethod::Get => Method::GET,
                HttpMethod::Head => Method::HEAD,
                HttpMethod::Post => Method::POST,
                HttpMethod::Put => Method::PUT,
                HttpMethod::Patch => Method::PATCH,
                HttpMethod::Delete => Method::DELETE,
                HttpMethod::Options => Method::OPTIONS,
            },
            url: request.url.to_string(),
            headers: request.headers,
            body,
            max_redirects: request.max_redirects.get(),
            time_limit: request
                .timeout_millis
                .map(|millis| Duration::from_millis(millis.get())),
            max_response: request.max_response_bytes.get(),
        };
        let incoming = self
            .send(&call.bounds, call.traceparent.as_deref(), outgoing)
            .await
            .map_err(|error| EffectError::new(error.code, error.message))?;
        let (body, body_bytes) = Base64::lossy_text(&incoming.body);
        Ok(HttpResponse {
            status: incoming.status,
            url: incoming.url,
            headers: incoming.headers,
            body,
            body_bytes,
            truncated: incoming.truncated,
        })
    }
}
