//! The way to the engine: one connection a request, so many effects at once, so long.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::models::ContainerInspectResponse;
use bollard::{API_DEFAULT_VERSION, Docker as Client};
use exomonad_core::CallContext;
use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::Instrument;

use super::config::{DockerConfig, DockerConfigError, Endpoint};
use super::labels::Labels;
use super::names;
use super::task::Task;
use exomonad_core::span;

/// The client has a limit of its own for the head of an answer, in seconds. Ours are shorter or, for
/// a `stop` with its grace, meant to be longer than what it would choose.
const CLIENT_TIME_LIMIT: u64 = 2 * 24 * 60 * 60;

/// The engine, and who is asking it.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: DockerConfig,
    pub(super) endpoint: Endpoint,
    /// Made at the first use; given up when the engine could not be reached, so that certificates
    /// are read anew.
    client: Mutex<Option<Client>>,
    permits: Arc<Semaphore>,
}

impl Engine {
    pub(super) fn new(config: DockerConfig) -> Result<Self, DockerConfigError> {
        config.check()?;
        Ok(Self {
            endpoint: config.endpoint()?,
            client: Mutex::new(None),
            permits: Arc::new(Semaphore::new(
                config.max_concurrent.min(Semaphore::MAX_PERMITS),
            )),
            config,
        })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        // A client is whole or not there: nothing is left half done by a panic.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client. Requests connect for themselves, so that one that is kept outlives the engine.
    async fn client(&self) -> Result<Client, EngineError> {
        if let Some(client) = self.kept().clone() {
            return Ok(client);
        }
        let config = self.config.clone();
        let endpoint = self.endpoint.clone();
        // Looks at the socket or reads certificates.
        let client = tokio::task::spawn_blocking(move || connect(&config.host, &endpoint))
            .await
            .map_err(|error| EngineError::IOError {
                err: std::io::Error::other(error),
            })??;
        *self.kept() = Some(client.clone());
        Ok(client)
    }
}

fn connect(host: &str, endpoint: &Endpoint) -> Result<Client, EngineError> {
    // The client sends no version, whatever it is told: the engine answers by its newest one.
    let version = API_DEFAULT_VERSION;
    match endpoint {
        Endpoint::Unix(_) => Client::connect_with_unix(host, CLIENT_TIME_LIMIT, version),
        Endpoint::Tcp => Client::connect_with_http(host, CLIENT_TIME_LIMIT, version),
        Endpoint::Tls(dir) => {
            // Without a provider for the process the client would panic in its first handshake;
            // one that is there already is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let file = |name: &str| dir.join(name);
            let readable = |path: &Path| {
                std::fs::File::open(path)
                    .map(|_| ())
                    .map_err(|_| EngineError::CertPathError {
                        path: path.to_owned(),
                    })
            };
            let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            readable(&key)?;
            readable(&cert)?;
            Client::connect_with_ssl(host, &key, &cert, &ca, CLIENT_TIME_LIMIT, version)
        }
    }
}

/// An effect under way: it has its place and its way to the engine.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) task: Task,
    pub(super) client: Client,
    pub(super) engine: Arc<Engine>,
    /// The effect's place, kept until the last copy is gone: also while what it left is cleaned up.
    _permit: Arc<OwnedSemaphorePermit>,
}

/// A container of the role's own.
#[derive(Debug)]
pub(super) struct Found {
    /// Its full id, used from here on: a name may mean another container the next moment.
    pub(super) id: String,
    /// What the engine says of it.
    pub(super) inspected: ContainerInspectResponse,
}

impl Session {
    /// Takes a place for an effect on `subject`.
    pub(super) async fn begin(
        engine: &Arc<Engine>,
        kind: EffectKind,
        call: &CallContext,
        subject: &str,
    ) -> Result<Self, EffectError> {
        let task = Task::new(kind, call, subject);
        let permit = engine
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| EffectError::internal(format!("{kind}: the host is stopping")))?;
        let client = engine
            .client()
            .await
            .map_err(|error| task.engine(&engine.config.host, &error))?;
        Ok(Self {
            task,
            client,
            engine: engine.clone(),
            _permit: Arc::new(permit),
        })
    }

    /// Asks the engine for something it can answer at once.
    pub(super) async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EffectError> {
        self.ask_within(self.engine.config.time_limit, answer).await
    }

    /// Asks the engine for something that takes up to `limit`.
    pub(super) async fn ask_within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EffectError> {
        let span = self.task.span();
        let result = match timeout(limit, answer.instrument(span.clone())).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.told(&error)),
            Err(_) => {
                *self.engine.kept() = None;
                Err(self.task.silent(&self.engine.config.host))
            }
        };
        if let Err(error) = &result {
            span::failed(&span, error.code.name());
        }
        result
    }

    /// What the engine could not do, as an error of the contract.
    pub(super) fn told(&self, error: &EngineError) -> EffectError {
        let told = self.task.engine(&self.engine.config.host, error);
        if matches!(
            told.code,
            ErrorCode::Unavailable | ErrorCode::Unauthenticated
        ) {
            *self.engine.kept() = None;
        }
        told
    }

    /// Finds the container a guest named, if it is the role's own.
    ///
    /// One that is not is answered exactly as one that does not exist: what else runs on the engine
    /// is none of the role's business, and a name tells a lot. Nor is it told that a beginning of
    /// an id fits several.
    pub(super) async fn container(
        &self,
        call: &CallContext,
        name: &str,
    ) -> Result<Found, EffectError> {
        let labels = Labels::of(&self.task, &call.bounds)?;
        names::container(&self.task, name)?;
        let inspected = match self.ask(self.client.inspect_container(name, None)).await {
            Ok(inspected) => inspected,
            Err(error) if is_about_the_name(&error) => return Err(self.no_container(&labels)),
            Err(error) => return Err(error),
        };
        let carried = inspected
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        match &inspected.id {
            Some(id) if labels.are_carried_by(carried) => Ok(Found {
                id: id.clone(),
                inspected,
            }),
            _ => Err(self.no_container(&labels)),
        }
    }

    fn no_container(&self, labels: &Labels) -> EffectError {
        self.task.error(
            ErrorCode::NotFound,
            format_args!(
                "there is no such container with the labels of role `{}`, which are {labels}; \
                 `docker.list` shows those there are",
                self.task.role()
            ),
        )
    }
}

/// Whether the engine found none or several, rather than failing.
fn is_about_the_name(error: &EffectError) -> bool {
    error.code == ErrorCode::NotFound || error.message.contains("provided prefix")
}
