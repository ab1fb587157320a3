//! Effects by `git` itself: on repositories in containers, and on those of the host that libgit2 does not know.
//!
//! **In a container** `git` runs as the container's own user, by the Docker service's
//! exec, with its limits and its killing. A role reaches the containers that carry its labels, by
//! the Docker service's own check. In one of them any folder may be named: the role's `paths` are
//! about the host's file system, which is not touched here, and the container is
//! the boundary.
//!
//! Anything that comes out of a container may be a lie of its inhabitants. It
//! is read strictly, up to a limit, and goes only to the guest that asked; where
//! the host itself acts on it, in `transport`, it is checked like data from the
//! network. Nothing of the host goes in but the request, the author's name
//! and, in a fetch, what was fetched: no token, no URL with one.
//!
//! **On the host** `git` only reads, and none of the repository's configuration:
//! see [`only_git`](crate::only_git).
//!
//! | module | subject |
//! |---|---|
//! | `shell` | a shell in a folder of the container, or on the host |
//! | `script`, `git_settings` | several commands in one exec, with fixed settings |
//! | `git_error` | git's messages, mapped to codes |
//! | `repo_info` | the repository around a folder |
//! | `effects` | the effects |
//! | `status`, `diff`, `history`, `revision`, `info` | reading |
//! | `write` | writing, in containers |
//! | `transport` | push and fetch, in containers |

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
use super::only_git::OnlyGit;
use super::permits::Permits;
use super::write::repo_locks::RepoLocks;
use exomonad_docker::Docker;

/// Bytes an answer may hold besides a patch or a pack.
const MAX_OUTPUT: u64 = 32 << 20;

/// Effects by `git`.
#[derive(Debug)]
pub(super) struct ByGit {
    place: Place,
    config: Arc<GitConfig>,
    process_limit: Permits,
    repo_locks: RepoLocks,
}

/// Where `git` works.
#[derive(Debug)]
enum Place {
    /// In the containers of an engine, if there is one.
    Containers(Option<Docker>),
    /// On a repository of the host.
    Host(Arc<OnlyGit>),
}

impl ByGit {
    /// In containers, of which there are none yet.
    pub(super) fn in_containers(config: Arc<GitConfig>, process_limit: Permits) -> Self {
        Self {
            place: Place::Containers(None),
            config,
            process_limit,
            repo_locks: RepoLocks::default(),
        }
    }

    /// Has it work in the containers of this engine.
    pub(super) fn connect(&mut self, docker: Docker) {
        self.place = Place::Containers(Some(docker));
    }

    /// On a repository of the host, which it only reads.
    pub(super) fn on_host(repo: OnlyGit, config: Arc<GitConfig>, process_limit: Permits) -> Self {
        Self {
            place: Place::Host(Arc::new(repo)),
            config,
            process_limit,
            repo_locks: RepoLocks::default(),
        }
    }
}
