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
    /// True if the request presented a token.
    pub had_token: bool,
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
        if options.url.is_none() {
            let address = reachable(config.server.listen.get());
            let connected =
                tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(address))
                    .await;
            if !matches!(connected, Ok(Ok(_))) {
                return Ok(None);
            }
        }
        let http = exomonad_services::http::client()
            .map_err(|error| CommandError::Unavailable(error.to_string()))?;
        Ok(Some(Self {
            base: base_url(options, config),
            http,
            token: token(options, config, role),
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
            had_token: self.token.is_some(),
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
        let mut response = self
            .open(self.http.get(format!("{}{path}", self.base)))
            .await?;
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

    /// Sends a request whose answer comes in bit by bit, and gives it when it is none of a problem.
    async fn open(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, CommandError> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await;
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if status < 400 {
            return Ok(response);
        }
        let body = response.bytes().await;
        let body = body.map_err(|error| self.unreachable(&error))?.to_vec();
        let answer = Answer {
            status,
            body,
            call_id: None,
            had_token: self.token.is_some(),
        };
        Err(answer.problem())
    }

    /// Opens a stream of events, after the one with this id.
    pub async fn events(&self, path: &str, last: Option<u64>) -> Result<EventReader, CommandError> {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = self.open(request).await?;
        Ok(EventReader {
            response,
            rest: Vec::new(),
        })
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

/// Bytes of one event at most.
const LARGEST_EVENT: usize = 4 << 20;

/// A stream of server-sent events.
pub struct EventReader {
    response: reqwest::Response,
    rest: Vec<u8>,
}

/// An event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its id.
    pub id: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: String,
}

impl EventReader {
    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, CommandError> {
        loop {
            while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(event) = StreamEvent::read(&String::from_utf8_lossy(&frame)) {
                    return Ok(Some(event));
                }
            }
            let broken = |reason: String| {
                CommandError::Unavailable(format!("the stream of events has broken off: {reason}"))
            };
            if self.rest.len() > LARGEST_EVENT {
                return Err(broken("an event is too large".to_owned()));
            }
            // Dropping this future loses nothing: what has come in is in `rest`.
            let part = self.response.chunk().await;
            match part.map_err(|error| broken(error.to_string()))? {
                Some(part) => self.rest.extend_from_slice(&part),
                None => return Ok(None),
            }
        }
    }
}

impl StreamEvent {
    /// The event of a frame; `None` for a comment.
    fn read(frame: &str) -> Option<Self> {
        let mut event = Self::default();
        let mut has_data = false;
        for line in frame.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => event.id = value.parse().ok(),
                "event" => event.name = value.to_owned(),
                "data" => {
                    if std::mem::replace(&mut has_data, true) {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                }
                // A comment, or something that a later host sends.
                _ => {}
            }
        }
        has_data.then_some(event)
    }
}

impl Answer {
    /// The problem that the host reports, if it does.
    pub fn check(&self) -> Result<(), CommandError> {
        match self.status {
            ..400 => Ok(()),
            _ => Err(self.problem()),
        }
    }

    /// The code of the problem that the host reports, if it does.
    pub fn code(&self) -> Option<String> {
        if self.status < 400 {
            return None;
        }
        let problem: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        problem["code"].as_str().map(str::to_owned)
    }

    /// The problem that the host reports.
    fn problem(&self) -> CommandError {
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
        let detail = match (code, self.had_token) {
            ("unauthorized", true) => {
                "the token that was presented does not open this: it is wrong, has ended or was revoked, or it opens a role, and this takes another one's or the operator's (--token, EXOMONAD_TOKEN or the configuration gave it)".to_owned()
            }
            ("unauthorized", false) => format!("{detail} (--token or EXOMONAD_TOKEN gives one)"),
            _ => detail,
        };
        of_code(code, detail)
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

/// The address of the host that the options name, or of the configured one, without a slash at its end.
pub fn base_url(options: &Options, config: &Config) -> String {
    match &options.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", reachable(config.server.listen.get())),
    }
}

/// The token to present: the given one, that of the environment, else the role's own, else the operator's.
pub fn token(options: &Options, config: &Config, role: Option<&str>) -> Option<String> {
    let of_environment = || env("EXOMONAD_TOKEN").filter(|token| !token.is_empty());
    let given = options.token.clone().or_else(of_environment);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_an_event_and_a_comment_is_none() {
        let read = StreamEvent::read("event: run\nid: 7\ndata: {\ndata:  }\n\n");
        let event = StreamEvent {
            id: Some(7),
            name: "run".to_owned(),
            data: "{\n }".to_owned(),
        };
        assert_eq!(read, Some(event));
        assert_eq!(StreamEvent::read(": keep-alive\n\n"), None);
    }
}
