//! Sets up all services of a host.

use std::sync::Arc;

use exomonad_core::Services;

use crate::{Clock, Docker, Git, GitHub, Http, Kv, Log, Random, ServicesConfig};
use exomonad_basic::log::LogConfigError;
use exomonad_docker::DockerConfigError;
use exomonad_git::GitConfigError;
use exomonad_github::GitHubConfigError;
use exomonad_http::HttpConfigError;
use exomonad_kv::KvOpenError;

/// The services of a host, an [`EffectHandler`](exomonad_core::EffectHandler).
/// `services.log.subscribe()` is the stream of events.
pub type HostServices = Services<Log, Git, Kv, Clock, Random, Arc<Http>, GitHub, Docker>;

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
        secrets,
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
        http: Arc::new(Http::new(http, secrets)?),
        github: GitHub::new(github)?,
        docker,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use exomonad_core::bounds::BoundsMap;
    use exomonad_core::{CallContext, EffectHandler, RepoBounds};
    use exomonad_schema::{CallId, EffectKind, ErrorCode};

    use super::*;

    #[tokio::test]
    async fn every_effect_of_the_table_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let services = open(ServicesConfig::with_state_in(dir.path().join("state"))).unwrap();
        let mut call = CallContext::new("tl".parse().unwrap(), CallId::from(7));
        for kind in EffectKind::ALL {
            let answer = services.handle(&call, *kind, b"{}").await;
            assert_ne!(answer.error_code(), Some(ErrorCode::Internal), "{kind}");
        }
        call.bounds = Arc::new(BoundsMap::default().with(RepoBounds {
            repos: vec!["a/*".parse().unwrap()],
        }));
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
