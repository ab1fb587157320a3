//! The sections of the configuration that belong to services.

use std::path::PathBuf;

use exomonad_basic::LogConfig;
use exomonad_core::SecretError;
use exomonad_docker::DockerConfig;
use exomonad_git::GitConfig;
use exomonad_github::GitHubConfig;
use exomonad_http::{HttpConfig, Secrets};
use exomonad_kv::KvConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RoleBounds;

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
        for secret in self.secrets.values_mut() {
            if let Some(source) = secret.source() {
                secret.value = Some(source.resolve_text(&env)?);
            }
        }
        Ok(())
    }
}
