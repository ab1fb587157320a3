//! [`Serving`]: what answers requests under one configuration, and its replacement by another.

use std::sync::Arc;

use exomonad_access::Authenticator;
use exomonad_config::{Config, Tokens};
use exomonad_host::Runtime;
use exomonad_host::plugins::reload::{ReloadHandle, Reloader};
use exomonad_host::plugins::watch::FolderWatch;
use reqwest::Client;

use super::guard::Guard;

/// Everything that follows from one configuration. Requests in flight keep the one they began with.
pub struct Serving {
    /// Engines, services, roles.
    pub runtime: Arc<Runtime>,
    /// The task that loads plugins.
    pub reload: ReloadHandle,
    /// Checks names and tokens.
    pub guard: Guard,
    _watch: Option<FolderWatch>,
}

impl Serving {
    /// Starts loading the plugins of a runtime and watching its folder. Without `tokens` nobody is asked for one: for a
    /// process that serves its own client alone. `client` fetches the keys of authorization servers. Call it inside a tokio runtime.
    pub fn start(runtime: Arc<Runtime>, tokens: Option<Tokens>, client: &Client) -> Self {
        let authenticator = Authenticator::new(&runtime.config, tokens, client);
        Self::with(runtime, authenticator)
    }

    /// As [`start`](Self::start), for another configuration of the same host.
    pub fn start_after(
        &self,
        runtime: Arc<Runtime>,
        tokens: Option<Tokens>,
        client: &Client,
    ) -> Self {
        let authenticator = self.guard.reconfigured(&runtime.config, tokens, client);
        Self::with(runtime, authenticator)
    }

    fn with(runtime: Arc<Runtime>, authenticator: Authenticator) -> Self {
        let reload = Reloader::start(runtime.clone());
        runtime.workflows.serve(&runtime);
        Self {
            guard: Guard::new(runtime.config.server.clone(), authenticator),
            _watch: FolderWatch::start(&runtime.config, reload.clone()),
            reload,
            runtime,
        }
    }
}

/// Reads the configuration again, each time it is called; the error is for an operator.
pub type ReadConfig = Box<dyn Fn() -> Result<(Config, Option<Tokens>), String> + Send + Sync>;

/// The keys of `new` that differ from `old` and belong to the process: they hold from the next start on.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("server.listen", old.server.listen != new.server.listen),
        ("log", old.log != new.log),
        ("audit", old.audit != new.audit),
        ("telemetry", old.telemetry != new.telemetry),
        ("engine", old.engine != new.engine),
        ("state", old.state != new.state),
    ];
    let named = differs.into_iter().filter(|(_, differs)| *differs);
    named.map(|(key, _)| key).collect()
}
