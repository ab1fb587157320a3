//! A running host, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header};
use exomonad_config::{Config, RoleName};
use serde::de::DeserializeOwned;

use super::args::Options;
use super::config::env;
use super::{CommandError, of_code};

/// A host on this machine answers a connection at once, or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// A running host.
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// An answer of the host: its status and its JSON.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The id of the call, if it was one.
    pub call_id: Option<String>,
}

impl Client {
    /// The host that the options name, or the configured one if it runs. `None`: do it in this process.
    pub async fn find(
        options: &Options,
        config: &Config,
        role: Option<&str>,
    ) -> Result<Option<Self>, CommandError> {
        if options.local {
            return Ok(None);
        }
        let base = match &options.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let address = reachable(config.server.listen.get());
                let connected =
                    tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(address))
                        .await;
                if !matches!(connected, Ok(Ok(_))) {
                    return Ok(None);
                }
                format!("http://{address}")
            }
        };
        let http = exomonad_services::http::client()
            .map_err(|error| CommandError::Unavailable(error.to_string()))?;
        Ok(Some(Self {
            base,
            http,
            token: options.token.clone().or_else(|| token(config, role)),
        }))
    }

    /// Sends a request. `body` is JSON.
    pub async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CommandError> {
        let unreachable = |error| self.unreachable(&error);
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let call_id = response.headers().get("x-exomonad-call-id");
        let call_id = call_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await.map_err(unreachable)?.to_vec();
        Ok(Answer {
            status,
            body,
            call_id,
        })
    }

    /// Gets a document, or the problem that the host has with that.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        let answer = self.send(reqwest::Method::GET, path, None).await?;
        answer.check()?;
        serde_json::from_slice(&answer.body).map_err(|error| self.foreign(&error))
    }

    /// The error for an answer that is not what was asked for.
    pub fn foreign(&self, error: &serde_json::Error) -> CommandError {
        CommandError::Unavailable(format!(
            "the answer of {} is not that of an exomonad host: {error}",
            self.base
        ))
    }

    /// Gets lines of JSON, and hands each over until `take` refuses one. They come in as they are taken.
    pub async fn get_lines(
        &self,
        path: &str,
        take: &mut (dyn FnMut(&[u8]) -> Result<bool, CommandError> + Send),
    ) -> Result<(), CommandError> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await;
        let mut response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if status >= 400 {
            let body = response.bytes().await;
            let body = body.map_err(|error| self.unreachable(&error))?.to_vec();
            let call_id = None;
            return Answer {
                status,
                body,
                call_id,
            }
            .check();
        }
        let mut rest = Vec::new();
        loop {
            let part = response.chunk().await.map_err(|error| {
                CommandError::Unavailable(format!(
                    "the host at {} has broken off its answer, its log may say why: {error}",
                    self.base
                ))
            })?;
            let Some(part) = part else {
                return Ok(());
            };
            let known = rest.len();
            rest.extend_from_slice(&part);
            let Some(last) = rest[known..].iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let end = known + last + 1;
            for line in rest[..end].split(|byte| *byte == b'\n') {
                if !line.is_empty() && !take(line)? {
                    return Ok(());
                }
            }
            rest.drain(..end);
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        CommandError::Unavailable(format!(
            "the host at {} cannot be reached: {error}",
            self.base
        ))
    }

    /// Passes a request on whose address is a path here. The answer may still come in.
    pub async fn pass(&self, request: Request<Bytes>) -> Result<reqwest::Response, String> {
        let (head, body) = request.into_parts();
        let mut sent = self
            .http
            .request(head.method, format!("{}{}", self.base, head.uri));
        let mut headers = head.headers;
        // It is that of the address.
        headers.remove(header::HOST);
        if let Some(token) = &self.token {
            sent = sent.bearer_auth(token);
        }
        let sent = sent.headers(headers).body(body).send().await;
        sent.map_err(|error| format!("the host at {} cannot be reached: {error}", self.base))
    }

    /// The address it is asked at.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl Answer {
    /// The problem that the host reports, if it does.
    pub fn check(&self) -> Result<(), CommandError> {
        if self.status < 400 {
            return Ok(());
        }
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let detail = problem["detail"].as_str().map_or_else(
            || {
                format!(
                    "the host answered {}: {}",
                    self.status,
                    String::from_utf8_lossy(&self.body)
                )
            },
            str::to_owned,
        );
        let code = problem["code"].as_str().unwrap_or_default();
        let detail = match code {
            "unauthorized" => format!("{detail} (--token or EXOMONAD_TOKEN gives one)"),
            _ => detail,
        };
        Err(of_code(code, detail))
    }
}

/// An address that listens everywhere is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if !ip.is_unspecified() => listen,
        std::net::IpAddr::V4(_) => SocketAddr::from(([127, 0, 0, 1], listen.port())),
        std::net::IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, listen.port())),
    }
}

/// The token to present: that of the environment, else the role's own, else the operator's.
fn token(config: &Config, role: Option<&str>) -> Option<String> {
    let given = env("EXOMONAD_TOKEN").filter(|token| !token.is_empty());
    given.or_else(|| {
        let role: Option<RoleName> = role.and_then(|role| role.parse().ok());
        let of_role = role.and_then(|role| config.role(&role)?.token_source());
        // Whoever may call a role need not be able to read the operator's, and the other way round.
        let mut sources = [of_role, config.server.token_source()]
            .into_iter()
            .flatten();
        let token = sources.find_map(|source| source.resolve(env).ok())?;
        Some(token.expose().to_owned())
    })
}
