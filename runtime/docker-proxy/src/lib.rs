//! `exomonad docker-proxy`: a filter in front of a Docker engine that passes the requests of the Docker
//! service and no others.
//!
//! Access to the engine's socket is root on the machine. So a host in a container does not get it; this
//! process does, in a container of its own. It passes
//! - the requests that the Docker service makes ([`rules`]);
//! - with bodies that it writes anew of what it has judged, and empty ones elsewhere;
//! - to containers that carry one of its labels: it looks each up itself, by whatever name it is asked, and
//!   goes on by the container's id;
//! - new containers, if starting is turned on, confined as the service confines them ([`body`]).
//!
//! A proxy that knows paths alone would pass an exec into *any* container, this one included. And common
//! proxies drop the `Upgrade` of a request with a body (HAProxy since 2.4), with which every exec begins.

mod body;
mod json;
mod names;
mod rules;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, header, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixStream};

use rules::{Condition, RuleMatch, has_label, match_rule};

/// The largest request, in bytes: a command line is below 2 MiB on Linux.
const LARGEST_REQUEST: usize = 4 << 20;
/// The largest answer that is looked into, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// Labels, `key` or `key=value`, of which a container has_label one.
#[derive(Debug)]
pub struct Labels(pub Vec<String>);

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

/// The proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The engine's socket.
    pub socket: PathBuf,
    /// The labels of which a container must carry one.
    pub labels: Labels,
    /// True if containers may be started.
    pub spawning: bool,
    /// Names, besides those that no web page can have ([`names`]), by which clients may call it.
    pub allowed_hosts: Vec<String>,
}

type ProxyResponse = Response<Either<Incoming, Full<Bytes>>>;

/// A request that is refused, or that the engine does not answer.
struct ProxyError(StatusCode, String);

impl ProxyError {
    fn forbidden(why: impl Into<String>) -> Self {
        Self(StatusCode::FORBIDDEN, why.into())
    }

    fn bad_gateway(error: impl std::fmt::Display) -> Self {
        Self(
            StatusCode::BAD_GATEWAY,
            format!("docker-proxy: the engine does not answer: {error}"),
        )
    }

    /// As the engine says that something is not there.
    fn not_found(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("No such thing: {what}"))
    }
}

impl Proxy {
    /// Connects to the engine, to see that it can be reached.
    ///
    /// # Errors
    /// The system's error.
    pub async fn ping(&self) -> std::io::Result<()> {
        UnixStream::connect(&self.socket).await.map(|_| ())
    }

    /// Serves until it is dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            };
            let proxy = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let proxy = proxy.clone();
                    async move { Ok::<_, std::convert::Infallible>(proxy.answer(request).await) }
                });
                let connection = server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .with_upgrades();
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> ProxyResponse {
        let line = format!("{} {}", request.method(), request.uri().path());
        match self.pass(request).await {
            Ok(answer) => answer,
            Err(ProxyError(status, message)) => {
                if status != StatusCode::NOT_FOUND {
                    tracing::warn!(request = line, %status, message, "refused");
                }
                json_response(status, &json!({ "message": message }))
            }
        }
    }

    /// Sends a request on, if it may pass.
    async fn pass(&self, request: Request<Incoming>) -> Result<ProxyResponse, ProxyError> {
        let (mut parts, body) = request.into_parts();
        names::check(&parts, &self.allowed_hosts).map_err(ProxyError::forbidden)?;
        let path = parts.uri.path().to_owned();
        // For `exomonad doctor --quick`.
        if path == "/ready" {
            return match self.ping().await {
                Ok(()) => Ok(json_response(StatusCode::OK, &json!({"ready": true}))),
                Err(error) => Err(ProxyError::bad_gateway(error)),
            };
        }
        let (condition, name) = match match_rule(parts.method.as_str(), &path, self.spawning) {
            RuleMatch::If(condition, name) => (condition, name),
            RuleMatch::NoSpawning => {
                return Err(ProxyError::forbidden(
                    "docker-proxy starts no containers; DOCKER_PROXY_SPAWN=true turns that on",
                ));
            }
            RuleMatch::Never => {
                return Err(ProxyError::forbidden(
                    "docker-proxy lets no such request through",
                ));
            }
        };
        let body = Limited::new(body, LARGEST_REQUEST)
            .collect()
            .await
            .map_err(|error| {
                ProxyError(
                    StatusCode::BAD_REQUEST,
                    format!("docker-proxy: the request's body: {error}"),
                )
            })?;
        let body = body.to_bytes();
        let mut path = path.clone();
        match condition {
            Condition::None | Condition::List => {}
            Condition::Container | Condition::CreateExec => {
                let id = self.container(name).await?;
                let after = path
                    .strip_prefix("/containers/")
                    .and_then(|rest| rest.strip_prefix(name));
                path = format!("/containers/{id}{}", after.unwrap_or_default());
            }
            Condition::Exec => {
                let exec = self.inspect(&format!("/exec/{name}/json")).await?;
                self.container(exec["ContainerID"].as_str().unwrap_or_default())
                    .await?;
            }
            Condition::Network => {
                self.require_label(&path).await?;
            }
            Condition::Pull if !rules::is_pull(parts.uri.query().unwrap_or_default()) => {
                return Err(ProxyError::forbidden(
                    "docker-proxy pulls images from registries only",
                ));
            }
            Condition::CreateContainer | Condition::CreateVolume | Condition::Pull => {}
        }
        let judge: fn(&Value, &Labels) -> Result<Value, String> = match condition {
            Condition::CreateExec => |body, _| body::exec(body),
            Condition::Exec if parts.method == hyper::Method::POST => {
                |body, _| body::exec_start(body)
            }
            Condition::CreateContainer => body::container,
            Condition::CreateVolume => body::volume,
            // The engine reads no body here; older ones took a container's configuration at its start.
            _ => |body, _| match body {
                Value::Null => Ok(Value::Null),
                Value::Object(members) if members.is_empty() => Ok(Value::Null),
                _ => Err("this request has no body".to_owned()),
            },
        };
        let json = match body.trim_ascii() {
            [] => Ok(json!({})),
            text => json::parse(text),
        };
        let json = json.and_then(|json| judge(&json, &self.labels));
        let json = json.map_err(|why| ProxyError::forbidden(format!("docker-proxy: {why}")))?;
        if condition == Condition::CreateContainer {
            if !rules::is_creation(parts.uri.query().unwrap_or_default()) {
                return Err(ProxyError::forbidden(
                    "docker-proxy creates a container with a `name` and a `platform` only",
                ));
            }
            for used in body::referenced_resources(&json) {
                self.require_label(&used).await?;
            }
        }
        let body: Bytes = match json {
            Value::Null => Bytes::new(),
            json => json.to_string().into(),
        };

        let wants_upgrade = parts.headers.contains_key(header::UPGRADE);
        let on_upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let target = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut onward = Request::builder().method(parts.method.clone()).uri(target);
        onward = onward.header(header::HOST, "docker");
        if !body.is_empty() {
            onward = onward.header(header::CONTENT_TYPE, "application/json");
        }
        if wants_upgrade {
            onward = onward
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, "tcp");
        }
        let onward = onward
            .body(Full::new(body))
            .map_err(ProxyError::bad_gateway)?;
        let mut answer = self.send(onward).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream = hyper::upgrade::on(&mut answer);
            tokio::spawn(forward_upgraded(on_upgrade, upstream));
        }
        if condition == Condition::List && answer.status() == StatusCode::OK {
            let mut all = read_json(answer).await?;
            if let Some(all) = all.as_array_mut() {
                all.retain(|container| has_label(&self.labels, &container["Labels"]));
            }
            return Ok(json_response(StatusCode::OK, &all));
        }
        Ok(answer.map(Either::Left))
    }

    /// The id of a container that has_label a label.
    async fn container(&self, name: &str) -> Result<String, ProxyError> {
        let found = self.inspect(&format!("/containers/{name}/json")).await?;
        match found["Id"].as_str() {
            Some(id) if has_label(&self.labels, &found["Config"]["Labels"]) => Ok(id.to_owned()),
            _ => Err(ProxyError::not_found(name)),
        }
    }

    /// Makes sure that a network or a volume has_label a label.
    async fn require_label(&self, path: &str) -> Result<(), ProxyError> {
        let found = self.inspect(path).await?;
        match has_label(&self.labels, &found["Labels"]) {
            true => Ok(()),
            false => Err(ProxyError::not_found(path)),
        }
    }

    /// The engine's description of an object.
    async fn inspect(&self, path: &str) -> Result<Value, ProxyError> {
        let request = Request::get(path).header(header::HOST, "docker");
        let request = request
            .body(Full::default())
            .map_err(ProxyError::bad_gateway)?;
        let answer = self.send(request).await?;
        let status = answer.status();
        let json_response = read_json(answer).await?;
        match status {
            StatusCode::OK => Ok(json_response),
            _ => Err(ProxyError(
                status,
                json_response["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )),
        }
    }

    /// Asks the engine, over a connection of its own.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ProxyError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(ProxyError::bad_gateway)?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ProxyError::bad_gateway)?;
        // It ends with the answer, or with whoever has asked.
        tokio::spawn(connection.with_upgrades());
        sender
            .send_request(request)
            .await
            .map_err(ProxyError::bad_gateway)
    }
}

async fn read_json(answer: Response<Incoming>) -> Result<Value, ProxyError> {
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
        .collect()
        .await;
    let body = body.map_err(ProxyError::bad_gateway)?.to_bytes();
    serde_json::from_slice(&body).map_err(ProxyError::bad_gateway)
}

fn json_response(status: StatusCode, json: &Value) -> ProxyResponse {
    let mut answer = Response::new(Either::Right(Full::from(json.to_string())));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Carries bytes both ways until both ends are done.
async fn forward_upgraded(
    client: Option<hyper::upgrade::OnUpgrade>,
    engine: hyper::upgrade::OnUpgrade,
) {
    let Some(client) = client else { return };
    let (client, engine) = tokio::join!(client, engine);
    let (Ok(client), Ok(engine)) = (client, engine) else {
        return;
    };
    let (mut client, mut engine) = (TokioIo::new(client), TokioIo::new(engine));
    // That one end goes away ends the other: there is nobody to tell.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
}
