//! The octocrab client: one request, one response of bounded size.
//!
//! octocrab sends each request through its stack of layers: GitHub's headers, and the token for GitHub's own
//! host. Two parts of it are left out, since they would cost correctness:
//!
//! - **Its typed endpoints** give neither the `ETag` nor the rate limits of a response, read bodies of any
//!   size, retry writes, and fail where GitHub adds a value to an enumeration. Conditional requests, errors
//!   that say whether a write may have happened, and answers in the contract's types need the response itself.
//! - **Its default connection** has no limit for idle ones, on which GitHub loses a request, and no message
//!   for missing certificates.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exomonad_core::patterns::is_loopback;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use rustls::{ClientConfig, RootCertStore};

use super::base_url::BaseUrl;
use super::config::GitHubConfig;

/// Idle time after which a connection is closed. GitHub drops idle connections after a
/// minute or so, and a request that goes out on one just then fails.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// The version of the API that the requests are written for.
const API_VERSION: &str = "2022-11-28";

/// A response, read to its end.
#[derive(Debug)]
pub(super) struct RawResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An error in place of a response.
#[derive(Debug)]
pub(super) enum TransportError {
    /// No connection could be opened: GitHub has not seen the request.
    Unreachable(String),
    /// The connection ended before the whole answer was there.
    Broken(String),
    /// The response is larger than the limit.
    TooLarge,
}

impl TransportError {
    /// Its name in traces.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) => "broken",
            Self::TooLarge => "too_large",
        }
    }
}

/// Prepares the client. It has to happen inside a tokio runtime, where
/// octocrab starts a task of its own.
///
/// # Errors
/// When this machine has no certificates to know GitHub by.
pub(super) fn prepare(config: &GitHubConfig, base: &BaseUrl) -> io::Result<Octocrab> {
    let tls =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
    let tls = if base.is_https() {
        tls.with_native_roots()?
    } else {
        tls.with_root_certificates(RootCertStore::empty())
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.connect_timeout));
    let origin: Uri = base.origin().parse().map_err(io::Error::other)?;
    let tls = tls.with_no_client_auth();
    match proxy_of(&origin, base.host())? {
        None => build(config, origin, tls, tcp),
        Some(proxy) => {
            let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            let tunnel = match proxy.basic_auth() {
                Some(auth) => tunnel.with_auth(auth.clone()),
                None => tunnel,
            };
            build(config, origin, tls, tunnel)
        }
    }
}

/// The proxy that the environment has for GitHub: `HTTPS_PROXY` and `ALL_PROXY`, but for the hosts of
/// `NO_PROXY`, each also in lower case, as `git` and `curl` take them. This machine is reached directly.
///
/// # Errors
/// When it is of a kind that is not taken.
fn proxy_of(origin: &Uri, host: &str) -> io::Result<Option<Intercept>> {
    if is_loopback(host) {
        return Ok(None);
    }
    let Some(proxy) = Matcher::from_env().intercept(origin) else {
        return Ok(None);
    };
    match proxy.uri().scheme_str() {
        Some("http") => Ok(Some(proxy)),
        scheme => Err(io::Error::other(format!(
            "the proxy of the environment for {host} is one of {}, and proxies of http alone are taken; set HTTPS_PROXY to such a one, or name {host} in NO_PROXY",
            scheme.unwrap_or("no known kind")
        ))),
    }
}

/// The client over these connections.
fn build<T>(
    config: &GitHubConfig,
    origin: Uri,
    tls: ClientConfig,
    transport: T,
) -> io::Result<Octocrab>
where
    HttpsConnector<T>: Connect + Clone + Send + Sync + 'static,
{
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(transport);
    let client: legacy::Client<_, OctoBody> = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_LIMIT)
        .build(connector);
    let token = config.token.as_ref().and_then(|token| {
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
        header.set_sensitive(true);
        Some(header)
    });
    let headers: Vec<(HeaderName, HeaderValue)> = vec![
        (
            header::USER_AGENT,
            HeaderValue::from_static(concat!("exomonad/", env!("CARGO_PKG_VERSION"))),
        ),
        (
            header::ACCEPT,
            HeaderValue::from_static("application/vnd.github+json, application/json;q=0.9"),
        ),
        (
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static(API_VERSION),
        ),
    ];
    let built = OctocrabBuilder::new_empty()
        .with_service(client)
        .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
        // It gives the token to requests for GitHub's host and to no other.
        .with_layer(&AuthHeaderLayer::new(token, origin.clone(), origin))
        .with_auth(AuthState::None)
        .build();
    match built {
        Ok(octocrab) => Ok(octocrab),
        Err(never) => match never {},
    }
}

/// Sends `request` once, and reads the response up to `max_bytes`.
pub(super) async fn exchange(
    octocrab: &Octocrab,
    request: Request<OctoBody>,
    max_bytes: usize,
) -> Result<RawResponse, TransportError> {
    let response = octocrab.send(request).await.map_err(|error| {
        let cause = root_cause(&error);
        if is_connect(&error) {
            TransportError::Unreachable(cause)
        } else {
            TransportError::Broken(cause)
        }
    })?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, max_bytes)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                TransportError::TooLarge
            } else {
                TransportError::Broken(root_cause(&*error))
            }
        })?;
    Ok(RawResponse {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}

fn is_connect(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<legacy::Error>()
            .is_some_and(legacy::Error::is_connect)
    })
}

/// The innermost cause of an error: "Connection refused (os error 111)".
fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
