//! Docker client: one connection per request, bounded concurrency, a timeout.

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
use super::effect_context::EffectContext;
use super::labels::RoleLabels;
use super::names;
use exomonad_core::span;

/// bollard's own time limit for the head of a response, in seconds. Ours are shorter or, for a
/// `stop` with its grace, meant to be longer than its default.
const CLIENT_TIME_LIMIT: u64 = 2 * 24 * 60 * 60;

/// The engine's client, shared by all effects.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: DockerConfig,
    pub(super) endpoint: Endpoint,
    /// Made at the first use; dropped when the engine could not be reached, so that certificates
    /// are read again.
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

    fn cached_client(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        // A client is whole or not there: nothing is left half done by a panic.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client. Each request opens its own connection, so that a cached client outlives the engine.
    async fn client(&self) -> Result<Client, EngineError> {
        if let Some(client) = self.cached_client().clone() {
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
        *self.cached_client() = Some(client.clone());
        Ok(client)
    }
}

fn connect(host: &str, endpoint: &Endpoint) -> Result<Client, EngineError> {
    // The client sends no version, whatever it is configured with: the engine answers by its newest one.
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

/// An effect under way, with its permit and the client.
#[derive(Clone, Debug)]
pub(super) struct EngineSession {
    pub(super) context: EffectContext,
    pub(super) client: Client,
    pub(super) engine: Arc<Engine>,
    /// Held until the last clone is gone: also while the effect is cleaned up after.
    _permit: Arc<OwnedSemaphorePermit>,
}

/// A container of the role's own.
#[derive(Debug)]
pub(super) struct OwnContainer {
    /// Its full id, used from here on: a name may mean another container the next moment.
    pub(super) id: String,
    /// The engine's description of it.
    pub(super) inspected: ContainerInspectResponse,
}

impl EngineSession {
    /// Waits for a permit for an effect on `subject`.
    pub(super) async fn begin(
        engine: &Arc<Engine>,
        kind: EffectKind,
        call: &CallContext,
        subject: &str,
    ) -> Result<Self, EffectError> {
        let context = EffectContext::new(kind, call, subject);
        let permit = engine
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| EffectError::internal(format!("{kind}: the host is stopping")))?;
        let client = engine
            .client()
            .await
            .map_err(|error| context.engine_error(&engine.config.host, &error))?;
        Ok(Self {
            context,
            client,
            engine: engine.clone(),
            _permit: Arc::new(permit),
        })
    }

    /// Awaits a response that the engine can give at once.
    pub(super) async fn request<T>(
        &self,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EffectError> {
        self.request_within(self.engine.config.time_limit.get(), answer)
            .await
    }

    /// Awaits a response that may take up to `limit`.
    pub(super) async fn request_within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EffectError> {
        let span = self.context.span();
        let result = match timeout(limit, answer.instrument(span.clone())).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.effect_error(&error)),
            Err(_) => {
                *self.engine.cached_client() = None;
                Err(self.context.no_answer(&self.engine.config.host))
            }
        };
        if let Err(error) = &result {
            span::failed(&span, error.code.name());
        }
        result
    }

    /// Maps an error of the engine to the contract's.
    pub(super) fn effect_error(&self, error: &EngineError) -> EffectError {
        let error = self.context.engine_error(&self.engine.config.host, error);
        if matches!(
            error.code,
            ErrorCode::Unavailable | ErrorCode::Unauthenticated
        ) {
            *self.engine.cached_client() = None;
        }
        error
    }

    /// Finds the container a guest named, if it is the role's own.
    ///
    /// Other roles' containers give exactly the error of ones that do not exist, and so does a
    /// prefix of several ids: what else runs on the engine is not the role's to know.
    pub(super) async fn container(
        &self,
        call: &CallContext,
        name: &str,
    ) -> Result<OwnContainer, EffectError> {
        let labels = RoleLabels::of(&self.context, &call.bounds)?;
        names::container(&self.context, name)?;
        let inspected = match self
            .request(self.client.inspect_container(name, None))
            .await
        {
            Ok(inspected) => inspected,
            Err(error) if is_about_the_name(&error) => return Err(self.no_container(&labels)),
            Err(error) => return Err(error),
        };
        let carried = inspected
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        match &inspected.id {
            Some(id) if labels.matches(carried) => Ok(OwnContainer {
                id: id.clone(),
                inspected,
            }),
            _ => Err(self.no_container(&labels)),
        }
    }

    fn no_container(&self, labels: &RoleLabels) -> EffectError {
        self.context.error(
            ErrorCode::NotFound,
            format_args!(
                "there is no such container with the labels of role `{}`, which are {labels}; \
                 `docker.list` shows those there are",
                self.context.role()
            ),
        )
    }
}

/// True if the engine found none or several, rather than failing.
fn is_about_the_name(error: &EffectError) -> bool {
    error.code == ErrorCode::NotFound || error.message.contains("provided prefix")
}
