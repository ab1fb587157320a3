//! One request with its redirects.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use exomonad_core::aside;
use exomonad_schema::ErrorCode;
use reqwest::{Client, Method, RequestBuilder, Response, Url, header, redirect};

use super::address::{PrivateAddressError, PublicResolver};
use super::placeholder::Placeholders;
use super::policy::{HttpBounds, Target};
use super::redact::Redactor;
use super::{Http, HttpConfig, HttpConfigError, HttpError, IncomingResponse, OutgoingRequest};

/// Bytes of a response up to which it is searched for secrets on the thread that serves the request.
const SHORT_BODY: usize = 64 << 10;

/// A client that speaks TLS by rustls with ring, follows no redirects and uses no proxy.
pub(super) fn client(
    config: &HttpConfig,
    resolver: Option<PublicResolver>,
) -> Result<Client, HttpConfigError> {
    // A second installation is refused; the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(config.connect_timeout)
        .user_agent(concat!("exomonad/", env!("CARGO_PKG_VERSION")));
    if let Some(resolver) = resolver {
        builder = builder.dns_resolver(Arc::new(resolver));
    }
    builder
        .build()
        .map_err(|error| HttpConfigError::Client(chain(&error)))
}

/// Sends the request, follows its redirects and reads the response.
pub(super) async fn run(
    http: &Http,
    bounds: &HttpBounds,
    request: OutgoingRequest,
) -> Result<IncomingResponse, HttpError> {
    let placeholders = Placeholders::new(&http.secrets, bounds);
    let redactor = Arc::new(placeholders.redactor());
    let OutgoingRequest {
        mut method,
        url,
        mut headers,
        mut body,
        max_redirects,
        max_response,
        ..
    } = request;
    let max_response = max_response.min(http.config.max_response_bytes);
    // As the guest knows it: inserted, a secret in it could be spelled in other ways.
    let mut shown = url.clone();
    let mut url = parse(&url, bounds, &placeholders)?;
    let mut redirects = 0;
    loop {
        let target = allowed(&url, bounds)?;
        let has_secrets = placeholders.are_for(&target);
        if has_secrets {
            // These would hide a secret from the search that redacts it, one that the server has kept, too.
            headers.retain(|name, _| !alters_body(name));
            headers.insert("accept-encoding".to_owned(), "identity".to_owned());
        }
        let client = if bounds.may_be_private(&target) {
            &http.any
        } else {
            &http.public
        };
        let sent = compose(
            client,
            &method,
            &url,
            &headers,
            &body,
            &target,
            &placeholders,
        )?;
        let response = sent
            .send()
            .await
            .map_err(|error| transport_error(error, &target.host))?;
        let next = next_hop(&response, &url);
        let Some(next) = next.filter(|_| max_redirects > 0) else {
            if has_secrets {
                is_whole(&response, &target.host)?;
            }
            return read(response, shown, max_response, &target.host, redactor).await;
        };
        if redirects == max_redirects {
            return Err(HttpError::new(
                ErrorCode::Unavailable,
                format!("{} redirects more than {max_redirects} times", target.host),
            ));
        }
        redirects += 1;
        // As browsers do: a body is not posted again elsewhere.
        if matches!(response.status().as_u16(), 301..=303) && method != Method::HEAD {
            method = Method::GET;
            body.clear();
            headers.retain(|name, _| !name.to_ascii_lowercase().starts_with("content-"));
        }
        if next.origin() != url.origin() {
            headers.retain(|name, value| !is_credential(name) && !Placeholders::occurs_in(value));
        }
        shown = redactor.text(next.to_string());
        url = next;
    }
}

/// Parses the address and inserts its secrets.
fn parse(
    text: &str,
    bounds: &HttpBounds,
    placeholders: &Placeholders<'_>,
) -> Result<Url, HttpError> {
    let invalid = |what: &dyn std::fmt::Display| {
        HttpError::new(
            ErrorCode::InvalidInput,
            format!("the URL is not one: {what}"),
        )
    };
    let parsed = Url::parse(text).map_err(|error| invalid(&error))?;
    if !Placeholders::occurs_in(text) {
        return Ok(parsed);
    }
    // It would be sent as `Authorization: Basic`, and is kept and shown by much that handles addresses.
    let user = [parsed.username(), parsed.password().unwrap_or_default()];
    if user
        .iter()
        .any(|part| part.contains("%7B%7B") || part.contains("%7D%7D"))
    {
        return Err(invalid(
            &"a secret cannot be its user or password; send it in the header `authorization`",
        ));
    }
    // Inserted as text, so that a secret could change what the text means: the host has to stay.
    let target = allowed(&parsed, bounds)?;
    let filled = placeholders.fill(text, &target)?;
    let filled = Url::parse(&filled).map_err(|error| invalid(&error))?;
    if filled.origin() != parsed.origin() {
        return Err(invalid(&"a secret in it would change its host"));
    }
    Ok(filled)
}

/// The target of a request, if the role may reach it.
fn allowed(url: &Url, bounds: &HttpBounds) -> Result<Target, HttpError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpError::new(
            ErrorCode::InvalidInput,
            format!(
                "the scheme `{}` is not allowed: use http or https",
                url.scheme()
            ),
        ));
    }
    let target = Target::of(url);
    if bounds.decide_hosts(Some(&target)).is_refusal() {
        let host = &target.host;
        return Err(HttpError::new(
            ErrorCode::Forbidden,
            format!(
                "HTTP request to {host} is not allowed; add \"{host}\" to `hosts` of this role in exomonad.toml"
            ),
        ));
    }
    match bounds.decide_address(&target) {
        Some(verdict) if verdict.is_refusal() => Err(private_address(&target.host)),
        _ => Ok(target),
    }
}

fn private_address(host: &str) -> HttpError {
    HttpError::new(
        ErrorCode::Forbidden,
        format!(
            "{host} is no public address; if it is meant, add \"{host}\" to `private_hosts` of this role in exomonad.toml"
        ),
    )
}

fn compose(
    client: &Client,
    method: &Method,
    url: &Url,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    target: &Target,
    placeholders: &Placeholders<'_>,
) -> Result<RequestBuilder, HttpError> {
    let mut request = client.request(method.clone(), url.clone());
    for (name, value) in headers {
        if is_reserved_header(name) {
            return Err(HttpError::new(
                ErrorCode::InvalidInput,
                format!("the header `{name}` is set by the host: leave it out"),
            ));
        }
        let value = placeholders.fill(value, target)?;
        let parsed = header::HeaderName::from_bytes(name.as_bytes())
            .ok()
            .zip(header::HeaderValue::from_str(&value).ok());
        let Some((name, mut value)) = parsed else {
            return Err(HttpError::new(
                ErrorCode::InvalidInput,
                format!(
                    "the header `{}` has a name or a value that cannot be sent",
                    name.escape_debug()
                ),
            ));
        };
        value.set_sensitive(is_credential(name.as_str()));
        request = request.header(name, value);
    }
    if body.is_empty() {
        return Ok(request);
    }
    // Bytes that are no text are sent as they are.
    let filled = match std::str::from_utf8(body) {
        Ok(text) => placeholders.fill(text, target)?.into_owned().into_bytes(),
        Err(_) => body.to_vec(),
    };
    Ok(request.body(filled))
}

/// The target of a redirect; `None` for any other response.
fn next_hop(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    url.join(location.to_str().ok()?).ok()
}

/// True for headers that route or frame a message. With one that a guest chose, the next request
/// on the same connection could be taken for a part.
fn is_reserved_header(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    header.starts_with("proxy-")
        || [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "upgrade",
            "expect",
        ]
        .contains(&header.as_str())
}

/// True for headers that ask for the body in another form than as it is, in which a secret would not be found.
fn alters_body(header: &str) -> bool {
    [
        "accept-encoding",
        "range",
        "if-range",
        "request-range",
        "a-im",
        "want-digest",
        "want-repr-digest",
        "want-content-digest",
    ]
    .iter()
    .any(|name| header.eq_ignore_ascii_case(name))
}

/// Refuses a response of which a secret could be hidden or cut in two.
fn is_whole(response: &Response, host: &str) -> Result<(), HttpError> {
    let encodings = response.headers().get_all(header::CONTENT_ENCODING).iter();
    let is_plain = |value: &header::HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    };
    let what = if !encodings.into_iter().all(is_plain) {
        "is encoded, though it was asked for as it is"
    } else if response.status() == 206 {
        "is a part, though the whole was asked for"
    } else {
        return Ok(());
    };
    Err(HttpError::new(
        ErrorCode::Unavailable,
        format!(
            "HTTP request to {host}: the response {what}; a secret of the role could not be found in it"
        ),
    ))
}

/// True for headers that are for the first server alone.
fn is_credential(header: &str) -> bool {
    ["authorization", "cookie"]
        .iter()
        .any(|name| header.eq_ignore_ascii_case(name))
}

async fn read(
    mut response: Response,
    url: String,
    limit: u64,
    host: &str,
    redactor: Arc<Redactor>,
) -> Result<IncomingResponse, HttpError> {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let value = redactor.text(value);
        headers
            .entry(redactor.text(name.as_str().to_owned()))
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert(value);
    }
    let status = response.status().as_u16();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut body, whole) = (Vec::new(), limit.saturating_add(redactor.overhang()));
    let mut truncated = false;
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport_error(error, host))?
    {
        let room = whole - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        truncated = body.len() > limit;
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    let is_long = !redactor.is_empty() && body.len() > SHORT_BODY;
    let body = aside(is_long, move || redactor.bytes(body, limit)).await;
    let body = body.map_err(|_| {
        HttpError::new(ErrorCode::Internal, "reading a response failed in the host")
    })?;
    Ok(IncomingResponse {
        status,
        url,
        headers,
        body,
        truncated,
    })
}

/// An error of reqwest. Of the address only the host is named: the rest may hold secrets.
fn transport_error(error: reqwest::Error, host: &str) -> HttpError {
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(next) = cause {
        if next.is::<PrivateAddressError>() {
            return private_address(host);
        }
        cause = next.source();
    }
    let code = if error.is_timeout() {
        ErrorCode::Timeout
    } else if error.is_builder() {
        ErrorCode::InvalidInput
    } else {
        ErrorCode::Unavailable
    };
    HttpError::new(
        code,
        format!("HTTP request to {host} failed: {}", chain(&error)),
    )
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        message.push_str(&format!(": {next}"));
        cause = next.source();
    }
    message
}
