//! `exomonad docker-proxy`: a door to a Docker engine that is as wide as the Docker service, and no wider.
//!
//! Whoever holds the engine's socket holds the machine. So the host in a container does not get it: this
//! process does, which runs in a container of its own, and lets through
//! - the requests that the Docker service makes ([`rules`]);
//! - on containers that carry one of its labels, whatever name they are asked by: it looks them up itself
//!   and goes on by their id;
//! - what is started, if starting is turned on, confined as the service confines it ([`body`]).
//!
//! A proxy that knows paths alone would let an exec into *any* container pass, this one included. And those
//! that are common drop the `Upgrade` of a request that has a body (HAProxy since 2.4), with which every
//! exec begins.

mod body;
mod rules;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, header, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixStream};

use rules::{Condition, Verdict, carries, judge};

/// The largest request, in bytes: a command line is below 2 MiB on Linux.
const LARGEST_REQUEST: usize = 4 << 20;
/// The largest answer that is looked into, in bytes.
const LARGEST_ANSWER: usize = 64 << 20;

/// Labels, `key` or `key=value`, of which a container carries one.
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
    /// What a container has to carry.
    pub labels: Labels,
    /// Whether containers may be started.
    pub spawning: bool,
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// What does not pass, or does not work.
struct Refused(StatusCode, String);

impl Refused {
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
    /// Whether the engine can be reached.
    ///
    /// # Errors
    /// What the system says.
    pub async fn knock(&self) -> std::io::Result<()> {
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

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let line = format!("{} {}", request.method(), request.uri().path());
        match self.pass(request).await {
            Ok(answer) => answer,
            Err(Refused(status, message)) => {
                if status != StatusCode::NOT_FOUND {
                    tracing::warn!(request = line, %status, message, "refused");
                }
                told(status, &json!({ "message": message }))
            }
        }
    }

    /// Sends a request on, if it may pass.
    async fn pass(&self, request: Request<Incoming>) -> Result<Answer, Refused> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        // For `exomonad doctor --quick`.
        if path == "/ready" {
            return match self.knock().await {
                Ok(()) => Ok(told(StatusCode::OK, &json!({"ready": true}))),
                Err(error) => Err(Refused::bad_gateway(error)),
            };
        }
        let (condition, name) = match judge(parts.method.as_str(), &path, self.spawning) {
            Verdict::If(condition, name) => (condition, name),
            Verdict::NoSpawning => {
                return Err(Refused::forbidden(
                    "docker-proxy starts no containers; DOCKER_PROXY_SPAWN=true turns that on",
                ));
            }
            Verdict::Never => {
                return Err(Refused::forbidden(
                    "docker-proxy lets no such request through",
                ));
            }
        };
        let body = Limited::new(body, LARGEST_REQUEST)
            .collect()
            .await
            .map_err(|error| {
                Refused(
                    StatusCode::BAD_REQUEST,
                    format!("docker-proxy: the request's body: {error}"),
                )
            })?;
        let mut body = body.to_bytes();
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
                let exec = self.look(&format!("/exec/{name}/json")).await?;
                self.container(exec["ContainerID"].as_str().unwrap_or_default())
                    .await?;
            }
            Condition::Network => {
                self.labelled(&path).await?;
            }
            Condition::Pull if !rules::is_pull(parts.uri.query().unwrap_or_default()) => {
                return Err(Refused::forbidden(
                    "docker-proxy pulls images from registries only",
                ));
            }
            Condition::CreateContainer | Condition::CreateVolume | Condition::Pull => {}
        }
        if let Condition::CreateExec | Condition::CreateContainer | Condition::CreateVolume =
            condition
        {
            let mut json: Value = serde_json::from_slice(&body)
                .map_err(|error| Refused::forbidden(format!("docker-proxy: no JSON: {error}")))?;
            body::without_nulls(&mut json);
            match condition {
                Condition::CreateExec => body::exec(&json),
                Condition::CreateVolume => body::volume(&json, &self.labels),
                _ => body::container(&json, &self.labels),
            }
            .map_err(|why| Refused::forbidden(format!("docker-proxy: {why}")))?;
            if condition == Condition::CreateContainer {
                for used in body::uses(&json) {
                    self.labelled(&used).await?;
                }
            }
            body = json.to_string().into();
        }

        let wants_upgrade = parts.headers.contains_key(header::UPGRADE);
        let on_upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let target = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let mut onward = Request::builder().method(parts.method.clone()).uri(target);
        onward = onward.header(header::HOST, "docker");
        if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
            onward = onward.header(header::CONTENT_TYPE, kind);
        }
        if wants_upgrade {
            onward = onward
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, "tcp");
        }
        let onward = onward.body(Full::new(body)).map_err(Refused::bad_gateway)?;
        let mut answer = self.send(onward).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let upstream = hyper::upgrade::on(&mut answer);
            tokio::spawn(join(on_upgrade, upstream));
        }
        if condition == Condition::List && answer.status() == StatusCode::OK {
            let mut all = json_of(answer).await?;
            if let Some(all) = all.as_array_mut() {
                all.retain(|container| carries(&self.labels, &container["Labels"]));
            }
            return Ok(told(StatusCode::OK, &all));
        }
        Ok(answer.map(Either::Left))
    }

    /// The id of a container that carries a label.
    async fn container(&self, name: &str) -> Result<String, Refused> {
        let found = self.look(&format!("/containers/{name}/json")).await?;
        match found["Id"].as_str() {
            Some(id) if carries(&self.labels, &found["Config"]["Labels"]) => Ok(id.to_owned()),
            _ => Err(Refused::not_found(name)),
        }
    }

    /// Makes sure that a network or a volume carries a label.
    async fn labelled(&self, path: &str) -> Result<(), Refused> {
        let found = self.look(path).await?;
        match carries(&self.labels, &found["Labels"]) {
            true => Ok(()),
            false => Err(Refused::not_found(path)),
        }
    }

    /// What the engine says of something that is there.
    async fn look(&self, path: &str) -> Result<Value, Refused> {
        let request = Request::get(path).header(header::HOST, "docker");
        let request = request
            .body(Full::default())
            .map_err(Refused::bad_gateway)?;
        let answer = self.send(request).await?;
        let status = answer.status();
        let told = json_of(answer).await?;
        match status {
            StatusCode::OK => Ok(told),
            _ => Err(Refused(
                status,
                told["message"].as_str().unwrap_or_default().to_owned(),
            )),
        }
    }

    /// Asks the engine, over a connection of its own.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Refused> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(Refused::bad_gateway)?;
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(Refused::bad_gateway)?;
        // It ends with the answer, or with whoever has asked.
        tokio::spawn(connection.with_upgrades());
        sender
            .send_request(request)
            .await
            .map_err(Refused::bad_gateway)
    }
}

async fn json_of(answer: Response<Incoming>) -> Result<Value, Refused> {
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
        .collect()
        .await;
    let body = body.map_err(Refused::bad_gateway)?.to_bytes();
    serde_json::from_slice(&body).map_err(Refused::bad_gateway)
}

fn told(status: StatusCode, json: &Value) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(json.to_string())));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// Carries bytes both ways until both ends are done.
async fn join(client: Option<hyper::upgrade::OnUpgrade>, engine: hyper::upgrade::OnUpgrade) {
    let Some(client) = client else { return };
    let (client, engine) = tokio::join!(client, engine);
    let (Ok(client), Ok(engine)) = (client, engine) else {
        return;
    };
    let (mut client, mut engine) = (TokioIo::new(client), TokioIo::new(engine));
    // That one end goes away ends the other: there is nobody to tell.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
}
