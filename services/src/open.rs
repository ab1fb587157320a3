//! Sets up all services of a host.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_core::Services;

use crate::docker::DockerConfigError;
use crate::git::GitConfigError;
use crate::github::GitHubConfigError;
use crate::http::HttpConfigError;
use crate::kv::KvOpenError;
use crate::log::LogConfigError;
use crate::{
    Clock, Docker, DockerConfig, Git, GitConfig, GitHub, GitHubConfig, Http, HttpConfig, Kv,
    KvConfig, Log, LogConfig, Random,
};

/// The services of a host, an [`EffectHandler`](exomonad_core::EffectHandler).
/// `services.log.subscribe()` is the stream of events.
pub type HostServices = Services<Log, Git, Kv, Clock, Random, Arc<Http>, GitHub, Docker>;

/// Configuration of all services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicesConfig {
    /// The log service.
    pub log: LogConfig,
    /// The git service.
    pub git: GitConfig,
    /// The key-value service.
    pub kv: KvConfig,
    /// The HTTP service.
    pub http: HttpConfig,
    /// The GitHub service.
    pub github: GitHubConfig,
    /// The Docker service.
    pub docker: DockerConfig,
}

impl ServicesConfig {
    /// The defaults, with state kept in `state_dir`.
    pub fn with_state_in(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            log: LogConfig::default(),
            git: GitConfig::default(),
            kv: KvConfig::in_dir(state_dir),
            http: HttpConfig::default(),
            github: GitHubConfig::default(),
            docker: DockerConfig::default(),
        }
    }
}

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
        github,
        docker,
    } = config;
    let docker = Docker::new(docker)?;
    Ok(Services {
        log: Log::new(&log)?,
        git: Git::new(git)?.with_containers(docker.clone()),
        kv: Kv::open(kv)?,
        clock: Clock::default(),
        random: Random,
        http: Arc::new(Http::new(http)?),
        github: GitHub::new(github)?,
        docker,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use exomonad_core::{Bounds, EffectHandler};
    use exomonad_schema::{EffectKind, ErrorCode};

    use super::*;
    use crate::test_call::call;

    #[tokio::test]
    async fn every_effect_of_the_table_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let services = open(ServicesConfig::with_state_in(dir.path().join("state"))).unwrap();
        for kind in EffectKind::ALL {
            let answer = services.handle(&call("tl"), *kind, b"{}").await;
            assert_ne!(answer.error_code(), Some(ErrorCode::Internal), "{kind}");
        }
        let mut call = call("tl");
        call.bounds = Arc::new(Bounds {
            repos: vec!["a/*".to_owned()],
            ..Bounds::default()
        });
        let answer = services
            .handle(&call, EffectKind::GitHubGetRepo, br#"{"repo":"a/b"}"#)
            .await;
        assert_eq!(answer.error_code(), Some(ErrorCode::Unauthenticated));
        assert!(
            !dir.path().join("state").exists(),
            "reading made the folder"
        );
    }

    #[test]
    fn a_damaged_state_file_is_named_with_what_to_do_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state.sqlite3");
        fs::write(&file, "this is no database, but somebody may want it").unwrap();
        let error = open(ServicesConfig::with_state_in(dir.path())).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(file.to_str().unwrap()), "{message}");
        assert!(message.contains("restore it from a backup"), "{message}");
        assert!(fs::read_to_string(&file).unwrap().starts_with("this is"));
    }
}
