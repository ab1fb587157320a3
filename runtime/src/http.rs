//! HTTP for guests that use Extism's `http_request`: only to the hosts that are on the role's list.

use std::sync::OnceLock;
use std::time::Duration;

use exomonad_engine::{HttpError, HttpRequest, HttpResponse};
use reqwest::{Method, Url, redirect};

/// A redirect is followed by hand, so that each hop is checked: this many at most.
const REDIRECTS: usize = 10;
/// A connection that does not come about is given up; the call's own wall time ends the rest.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends guests' requests.
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// The client that all calls share, with its connections.
    pub fn shared() -> Result<&'static Self, HttpError> {
        static SHARED: OnceLock<Result<HttpClient, String>> = OnceLock::new();
        let client = SHARED.get_or_init(|| client(redirect::Policy::none()).map(HttpClient));
        client
            .as_ref()
            .map_err(|error| HttpError::Failed(error.clone()))
    }

    /// Sends a request if `allowed` says so of its host, and of each host it is redirected to.
    pub async fn send(
        &self,
        request: HttpRequest,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<HttpResponse, HttpError> {
        let failed = |reason: String| HttpError::Failed(reason);
        let mut url = Url::parse(&request.url)
            .map_err(|error| failed(format!("the URL is not one: {error}")))?;
        let method = request
            .method
            .as_deref()
            .unwrap_or("GET")
            .to_ascii_uppercase();
        let mut method = Method::from_bytes(method.as_bytes())
            .map_err(|_| failed(format!("`{method}` is not an HTTP method")))?;
        let mut body = Some(request.body);
        let mut headers = request.headers;
        for _ in 0..=REDIRECTS {
            check(&url, &allowed)?;
            let mut sent = self.0.request(method.clone(), url.clone());
            for (name, value) in &headers {
                sent = sent.header(name, value);
            }
            if let Some(body) = body.as_ref().filter(|body| !body.is_empty()) {
                sent = sent.body(body.clone());
            }
            let response = sent
                .send()
                .await
                .map_err(|error| failed(explain(&error.without_url(), &url)))?;
            let status = response.status();
            let location = response.headers().get(reqwest::header::LOCATION);
            let next = location.and_then(|location| url.join(location.to_str().ok()?).ok());
            match (status.is_redirection(), next) {
                (true, Some(next)) => {
                    // As browsers do: what was posted is not posted again elsewhere.
                    if matches!(status.as_u16(), 301..=303) && method != Method::HEAD {
                        method = Method::GET;
                        body = None;
                    }
                    if next.origin() != url.origin() {
                        headers.retain(|name, _| !is_credential(name));
                    }
                    url = next;
                }
                _ => return read(response, request.max_response, &url).await,
            }
        }
        let host = url.host_str().unwrap_or_default();
        Err(failed(format!(
            "{host} redirects more than {REDIRECTS} times"
        )))
    }
}

/// Whether a header is for the server it was sent to alone.
fn is_credential(header: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .any(|name| header.eq_ignore_ascii_case(name))
}

/// A client that speaks TLS by rustls with ring.
pub fn client(redirects: redirect::Policy) -> Result<reqwest::Client, String> {
    // A second installation is refused; the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(redirects)
        .connect_timeout(CONNECT)
        .user_agent(concat!("exomonad/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("the HTTP client cannot start: {error}"))
}

fn check(url: &Url, allowed: impl Fn(&str) -> bool) -> Result<(), HttpError> {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpError::Failed(format!(
            "the scheme `{}` is not allowed: use http or https",
            url.scheme()
        )));
    }
    if allowed(host) {
        return Ok(());
    }
    Err(HttpError::Failed(format!(
        "HTTP request to {host} is not allowed; add \"{host}\" to `hosts` of this role in exomonad.toml"
    )))
}

async fn read(
    mut response: reqwest::Response,
    limit: u64,
    url: &Url,
) -> Result<HttpResponse, HttpError> {
    let mut headers = std::collections::BTreeMap::<String, String>::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert(value);
    }
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        match chunk.map_err(|error| HttpError::Failed(explain(&error.without_url(), url)))? {
            Some(chunk) if body.len() as u64 + chunk.len() as u64 > limit => {
                return Err(HttpError::TooLarge);
            }
            Some(chunk) => body.extend_from_slice(&chunk),
            None => {
                return Ok(HttpResponse {
                    status,
                    headers,
                    body,
                });
            }
        }
    }
}

/// An error with its causes. Of the URL only the host is named: the rest may hold secrets.
fn explain(error: &reqwest::Error, url: &Url) -> String {
    let mut message = format!(
        "HTTP request to {} failed: {error}",
        url.host_str().unwrap_or_default()
    );
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        message.push_str(&format!(": {next}"));
        cause = next.source();
    }
    message
}
