//! The services that perform the effects, set up together.
//!
//! Each is a crate of its own, and all have one shape: its section of the configuration, the bounds that a
//! role may have for it, a function that decides about a request by these bounds, a constructor that refuses
//! invalid settings, and the service's trait from `exomonad-core`, one `async fn` per effect. To add an
//! effect, add its line to the contract's table and the method that the compiler then asks for. To add a
//! service, add its crate to the types and functions of this file, which say what the host needs of each.
//!
//! | service | purpose | implementation |
//! |---|---|---|
//! | [`git`] | reads and writes repositories within a role's paths, pushes and fetches | libgit2, on blocking threads; `git` for remotes |
//! | [`github`] | reads and writes issues, pull requests, reviews and checks | octocrab over rustls |
//! | [`docker`] | runs commands and containers that carry a role's labels | bollard, one connection per request |
//! | [`kv`] | stores JSON values, separately for each role | SQLite, on blocking threads |
//! | [`http`] | sends requests to the hosts a role is granted | reqwest, rustls |
//! | [`log`] | writes lines, publishes events | `tracing`, a broadcast channel |
//! | [`clock`] | reads the time, sleeps | the host's clock, tokio's timers |
//! | [`random`] | generates random bytes | the operating system |
//! | [`temporal`] | drives workflows of a Temporal server | Temporal's client for Rust |
//! | [`mcp`] | talks back to the client of a call | the call's own line to it |
//! | [`workflow`] | starts, signals and describes durable workflows | the host |
//!
//! Errors reach a guest as an [`EffectError`](exomonad_schema::EffectError) with
//! one of the contract's codes. Its message says what was tried, on what, what
//! went wrong and what to do, and holds neither secrets nor anything outside
//! the role's bounds; details for the operator go to the log.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_basic::log::LogConfigError;
use exomonad_core::bounds::BoundsMap;
use exomonad_core::policy::Verdict;
use exomonad_core::{PathBounds, RepoBounds, SecretError, Services};
use exomonad_docker::{DockerBounds, DockerConfigError};
use exomonad_git::GitConfigError;
use exomonad_github::GitHubConfigError;
use exomonad_http::{HttpBounds, HttpConfigError, Secrets};
use exomonad_kv::KvOpenError;
use exomonad_schema::{Effect, EffectKind, Service};
use exomonad_temporal::{TemporalBounds, TemporalConfigError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use exomonad_basic::{
    Clock, Event, Log, LogConfig, Mcp, Random, Workflow, WorkflowBackend, clock, log, mcp, random,
    workflow,
};
pub use exomonad_docker::{self as docker, Docker, DockerConfig};
pub use exomonad_git::{self as git, Git, GitConfig};
pub use exomonad_github::{self as github, GitHub, GitHubConfig};
pub use exomonad_http::{self as http, Http, HttpConfig, SecretConfig};
pub use exomonad_kv::{self as kv, Kv, KvConfig};
pub use exomonad_temporal::{self as temporal, Temporal, TemporalConfig};

/// The configuration of all services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServicesConfig {
    /// Git repositories: who commits, where pushes and fetches may go, how much one answer may hold.
    pub git: GitConfig,
    /// GitHub: where its API is, and the host's token for it.
    pub github: GitHubConfig,
    /// The Docker engine, and what a container that a guest starts may have at most.
    pub docker: DockerConfig,
    /// HTTP requests of guests.
    pub http: HttpConfig,
    /// The Temporal server that the host is a client of.
    pub temporal: TemporalConfig,
    /// Secrets that HTTP requests of guests may carry, by name.
    #[serde(rename = "secret")]
    #[schemars(extend("x-key-format" = "secret-name"))]
    pub secrets: Secrets,
    /// The log service.
    #[serde(skip)]
    pub log: LogConfig,
    /// The key-value service.
    #[serde(skip)]
    pub kv: KvConfig,
}

impl ServicesConfig {
    /// The defaults, with state stored in `state_dir`.
    pub fn with_state_in(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            kv: KvConfig::in_dir(state_dir),
            ..Self::default()
        }
    }

    /// Adds what the services have to know of all roles: labels by which one reaches its containers are
    /// reserved for it.
    #[must_use]
    pub fn with_roles<'a>(mut self, roles: impl IntoIterator<Item = &'a RoleBounds>) -> Self {
        let labels = roles.into_iter().flat_map(|role| &role.docker.labels);
        self.docker.reserved_labels = labels.map(|label| label.key.clone()).collect();
        self
    }

    /// Reads the tokens and secrets that the sections name.
    ///
    /// # Errors
    /// If one cannot be read or used.
    pub fn read_secrets(
        &mut self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SecretError> {
        if let Some(source) = self.github.token_source() {
            self.github.token = Some(source.resolve(&env)?);
        }
        self.git.github_host = self.github.repository_host();
        match self.git.token_source() {
            Some(source) => self.git.token = Some(source.resolve(&env)?),
            None => {
                // GitHub's token is for GitHub alone, wherever that is.
                self.git.token = self.github.token.clone();
                self.git.token_hosts = self.git.github_host.iter().cloned().collect();
            }
        }
        self.temporal.read_secrets(&env)?;
        for secret in self.secrets.values_mut() {
            if let Some(source) = secret.source() {
                secret.value = Some(source.resolve_text(&env)?);
            }
        }
        Ok(())
    }
}

/// The bounds of a role, as keys of its table in the configuration. Each part belongs to the service that
/// names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoleBounds {
    /// The folders of the host.
    #[serde(flatten)]
    pub files: PathBounds,
    /// The repositories on GitHub.
    #[serde(flatten)]
    pub github: RepoBounds,
    /// The hosts of HTTP requests.
    #[serde(flatten)]
    pub http: HttpBounds,
    /// The containers and networks.
    #[serde(flatten)]
    pub docker: DockerBounds,
    /// The parts of a Temporal server that effects reach.
    pub temporal: TemporalBounds,
}

impl RoleBounds {
    /// The bounds, for a call's context.
    pub fn to_map(&self) -> BoundsMap {
        BoundsMap::default()
            .with(self.files.clone())
            .with(self.github.clone())
            .with(self.http.clone())
            .with(self.docker.clone())
            .with(self.temporal.clone())
    }
}

/// Decides about a request of an effect, in the order in which the service does; without a request, about
/// all of its kind. An empty list means that nothing bounds the effect.
///
/// These are the decisions that the services make when they are called. Where one needs more than the
/// request and the configuration, it is [`AtCall`](exomonad_core::policy::Ruling::AtCall).
pub fn decide(
    config: &ServicesConfig,
    bounds: &BoundsMap,
    kind: EffectKind,
    request: Option<&Effect>,
) -> Vec<Verdict> {
    match kind.service() {
        Service::Git => exomonad_git::decide(bounds, request),
        Service::GitHub => exomonad_github::decide(bounds, request),
        Service::Docker => exomonad_docker::decide(&config.docker, bounds, kind, request),
        Service::Http => exomonad_http::decide(&config.secrets, bounds, request),
        Service::Temporal => exomonad_temporal::decide(&config.temporal, bounds, kind, request),
        Service::Log
        | Service::Kv
        | Service::Clock
        | Service::Random
        | Service::Mcp
        | Service::Workflow => Vec::new(),
    }
}

/// The services of a host, an [`EffectHandler`](exomonad_core::EffectHandler).
/// `services.log.subscribe()` is the stream of events.
pub type HostServices = Services<
    Log,
    Git,
    Arc<Kv>,
    Clock,
    Random,
    Workflow,
    Mcp,
    Arc<Http>,
    GitHub,
    Docker,
    Arc<Temporal>,
>;

/// An error in setting the services up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log service.
    #[error(transparent)]
    Log(#[from] LogConfigError),
    /// The git service.
    #[error(transparent)]
    Git(#[from] GitConfigError),
    /// The key-value service.
    #[error(transparent)]
    Kv(#[from] KvOpenError),
    /// The HTTP service.
    #[error(transparent)]
    Http(#[from] HttpConfigError),
    /// The GitHub service.
    #[error(transparent)]
    GitHub(#[from] GitHubConfigError),
    /// The Docker service.
    #[error(transparent)]
    Docker(#[from] DockerConfigError),
    /// The Temporal service.
    #[error(transparent)]
    Temporal(#[from] TemporalConfigError),
}

/// Sets the services up. Blocks for some milliseconds where there is state to
/// check, and writes nothing where there is none.
///
/// # Errors
/// When a setting is invalid, or stored state needs an operator.
pub fn open(config: ServicesConfig) -> Result<HostServices, OpenError> {
    let ServicesConfig {
        log,
        git,
        kv,
        http,
        secrets,
        github,
        docker,
        temporal,
    } = config;
    let docker = Docker::new(docker)?;
    Ok(Services {
        log: Log::new(&log)?,
        git: Git::new(git)?.with_containers(docker.clone()),
        kv: Arc::new(Kv::open(kv)?),
        clock: Clock::default(),
        random: Random,
        workflow: Workflow::default(),
        mcp: Mcp::default(),
        http: Arc::new(Http::new(http, secrets)?),
        github: GitHub::new(github)?,
        docker,
        temporal: Arc::new(Temporal::new(temporal)?),
    })
}

#[cfg(test)]
mod tests;
