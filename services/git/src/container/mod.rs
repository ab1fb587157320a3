//! Effects on repositories in containers, by the container's own `git`.
//!
//! A role reaches the containers that carry its labels, by the Docker service's
//! own check. In one of them any folder may be named: the role's `paths` are
//! about the host's file system, which is not touched here, and the container is
//! the boundary. `git` runs as the container's own user, by the Docker service's
//! exec, with its limits and its killing.
//!
//! Anything that comes out of a container may be a lie of its inhabitants. It
//! is read strictly, up to a limit, and goes only to the guest that asked; where
//! the host itself acts on it, in `transport`, it is checked like data from the
//! network. Nothing of the host goes in but the request, the author's name
//! and, in a fetch, what was fetched: no token, no URL with one.
//!
//! | module | subject |
//! |---|---|
//! | `shell` | a shell in a folder of the container |
//! | `script`, `git_settings` | several commands in one exec, with fixed settings |
//! | `git_error` | git's messages, mapped to codes |
//! | `repo_info` | the repository around a folder |
//! | `effects` | the effects |
//! | `status`, `diff`, `history`, `revision`, `info` | reading |
//! | `write` | writing |
//! | `transport` | push and fetch |

mod diff;
mod effects;
mod git_error;
mod git_settings;
mod history;
mod info;
mod repo_info;
mod revision;
mod script;
mod shell;
mod status;
mod transport;
mod write;

use std::sync::Arc;

use super::GitConfig;
use super::permits::Permits;
use super::write::repo_locks::RepoLocks;
use exomonad_docker::Docker;

/// Bytes an answer may hold besides a patch or a pack.
const MAX_OUTPUT: u64 = 32 << 20;

/// Effects on repositories in containers.
#[derive(Debug)]
pub(super) struct InContainer {
    pub(super) docker: Option<Docker>,
    config: Arc<GitConfig>,
    process_limit: Permits,
    repo_locks: RepoLocks,
}

impl InContainer {
    pub(super) fn new(config: Arc<GitConfig>, process_limit: Permits) -> Self {
        Self {
            docker: None,
            config,
            process_limit,
            repo_locks: RepoLocks::default(),
        }
    }
}
