//! The git service: reads and writes repositories within a role's allowed paths,
//! and in the containers that carry its labels.
//!
//! **On the host** libgit2 does the reading and the writing, inside this process and off the
//! async threads. No hook, filter, credential helper or other program runs,
//! whatever a repository's configuration says: libgit2 as built here has none
//! of the code that would start one. Only push and fetch run the host's `git`,
//! kept away from that configuration: see `transport`.
//!
//! A guest names a folder. Before the first byte is read:
//!
//! 1. `working_dir`: the folder, without its links and `..`, has to be in an allowed path;
//! 2. `discover`: the repository is looked for there and above, up to the
//!    allowed path and no further;
//! 3. `authorize`: its git folder, the one it shares with other worktrees, its
//!    object stores and its working tree have to be allowed too, so that a planted
//!    `.git` file, link or `alternates` leads nowhere.
//!
//! A repository's configuration may name further files for libgit2 to read, by
//! `include.path` or `core.excludesFile`: these have to be allowed too. No error quotes them.
//!
//! The checks look at paths before libgit2 opens them. They do not hold
//! programs of the host that can swap folders between the two moments; a guest
//! cannot: it has no file access at all.
//!
//! **In a container** its own `git` does the work, started as a `docker.exec` is: see
//! [`container`]. Requests and answers are the same.
//!
//! | module | subject |
//! |---|---|
//! | `on_host`, `container` | the effects, on the host and in containers |
//! | `config` | configuration |
//! | `policy` | decisions by a role's bounds |
//! | `library` | process-wide settings of libgit2 |
//! | `blocking`, `permits`, `memory` | bounded blocking pool with timeout and cancellation; fair shares; bounds on memory |
//! | `effect_context` | one effect, and its errors |
//! | `open`, `discover`, `authorize`, `working_dir` | opening the repository of a request |
//! | `head`, `worktree`, `info`, `remote`, `url` | the repository itself |
//! | `status`, `submodule`, `content` | changed files; those that git converts |
//! | `diff`, `patch` | their differences |
//! | `history`, `revision`, `object_size` | commits, their names, bounds on objects |
//! | `write` | changes to repositories |
//! | `transport` | push and fetch |
//! | `remote`, `github` | remotes, and the repositories on GitHub that they lead to |

mod authorize;
mod blocking;
mod config;
mod container;
mod content;
mod diff;
mod discover;
mod effect_context;
mod github;
mod head;
mod history;
mod info;
mod library;
mod memory;
mod object_size;
mod on_host;
mod open;
mod patch;
mod permits;
mod policy;
mod remote;
mod revision;
mod small_file;
mod status;
mod submodule;
mod transport;
mod url;
mod working_dir;
mod worktree;
mod write;

use std::sync::Arc;

use exomonad_core::{CallContext, GitService};
use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;

pub use config::{GitConfig, GitConfigError};
pub use policy::decide;
pub use write::Author;

use container::InContainer;
use exomonad_docker::Docker;
use on_host::OnHost;
use permits::Permits;

/// The git service. Cheap to share behind an `Arc`; keeps no repository open
/// between effects, so that answers show what is on disk now.
#[derive(Debug)]
pub struct Git {
    on_host: OnHost,
    in_container: InContainer,
}

impl Git {
    /// Prepares the service, for repositories of the host alone.
    ///
    /// # Errors
    /// When a limit is zero, or libgit2 refuses its settings.
    pub fn new(config: GitConfig) -> Result<Self, GitConfigError> {
        config.check()?;
        library::prepare()?;
        for name in ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_PROXY_COMMAND"] {
            if std::env::var_os(name).is_some() {
                tracing::warn!(
                    "`{name}` is ignored: pushes and fetches run ssh with options of the host's own; see \
                     `known_hosts` in `[git]`, and have an ssh agent hold the key"
                );
            }
        }
        let config = Arc::new(config);
        let process_limit = Permits::new(config.max_concurrent);
        Ok(Self {
            on_host: OnHost::new(config.clone(), process_limit.clone()),
            in_container: InContainer::new(config, process_limit),
        })
    }

    /// The same service, also for repositories in containers of this engine.
    #[must_use]
    pub fn with_containers(mut self, docker: Docker) -> Self {
        self.in_container.docker = Some(docker);
        self
    }
}

/// Dispatches each effect to the host or to a container.
macro_rules! by_location {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl GitService for Git {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                match request.container {
                    None => self.on_host.$method(call, request).await,
                    // Boxed, so that the future of the other arm stays small.
                    Some(_) => Box::pin(self.in_container.$method(call, request)).await,
                }
            })*
        }
    };
}

exomonad_schema::methods!(git by_location);
