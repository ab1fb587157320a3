//! The git service: reads and writes repositories within a role's allowed paths,
//! and in the containers that carry its labels.
//!
//! **On the host** libgit2 does the reading and the writing, inside this process and off the
//! async threads. No hook, filter, credential helper or other program runs,
//! whatever a repository's configuration says: libgit2 as built here has none
//! of the code that would start one. Only push and fetch run the host's `git`,
//! kept away from that configuration: see `transport`.
//!
//! A guest names a folder; between that and the first byte read stand
//!
//! 1. `roots`: the folder, without its links and `..`, lies in an allowed path;
//! 2. `discover`: the repository is looked for there and above, up to the
//!    allowed path and no further;
//! 3. `admit`: its git folder, the one it shares with other worktrees, its
//!    object stores and its working tree are allowed too, so that a planted
//!    `.git` file, link or `alternates` leads nowhere.
//!
//! A repository's configuration may name further files for libgit2 to read, by
//! `include.path` or `core.excludesFile`. Of these a guest learns what they say
//! about remotes (without credentials) and upstream branches, and which files
//! are ignored; no error quotes them.
//!
//! The checks look at paths before libgit2 opens them. Whoever can swap folders
//! on the host's own file system between the two moments is not held by them;
//! a guest cannot: it has no file access at all.
//!
//! **In a container** its own `git` does, started as a `docker.exec` is: see
//! [`container`]. Requests and answers are the same.
//!
//! | module | subject |
//! |---|---|
//! | `on_host`, `container` | the effects, by where they work |
//! | `config` | what can be set |
//! | `library` | settings of libgit2 for the whole process |
//! | `job` | blocking work: how much at once, how long, until when |
//! | `task` | which effect, for which role, and its errors |
//! | `open` | from a request to an opened repository |
//! | `head`, `worktree`, `info`, `remote`, `url` | the repository itself |
//! | `status`, `submodule` | what has changed |
//! | `diff`, `patch` | how it has changed |
//! | `history`, `revision` | commits and their names |
//! | `write` | whatever changes a repository |
//! | `transport`, `programs` | push and fetch |

mod admit;
mod config;
mod container;
mod diff;
mod discover;
mod head;
mod history;
mod info;
mod job;
mod library;
mod on_host;
mod open;
mod patch;
mod programs;
mod remote;
mod revision;
mod roots;
mod small_file;
mod status;
mod submodule;
mod task;
mod transport;
mod url;
mod worktree;
mod write;

use std::sync::Arc;

use exomonad_core::{CallContext, GitService};
use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;

pub use config::{GitConfig, GitConfigError};
pub use write::Author;

use crate::docker::Docker;
use container::InContainer;
use on_host::OnHost;
use programs::Programs;

/// The git service. Cheap to share behind an `Arc`; keeps no repository open
/// between effects, so that what it tells is what is on disk now.
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
        let config = Arc::new(config);
        let programs = Programs::new(config.max_concurrent);
        Ok(Self {
            on_host: OnHost::new(config.clone(), programs.clone()),
            in_container: InContainer::new(config, programs),
        })
    }

    /// The same service, also for repositories in containers of this engine.
    #[must_use]
    pub fn with_containers(mut self, docker: Docker) -> Self {
        self.in_container.docker = Some(docker);
        self
    }
}

/// Hands each effect to the one that works where it is to be performed.
macro_rules! by_place {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl GitService for Git {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                match request.container {
                    None => self.on_host.$method(call, request).await,
                    // In a box, so that the other way stays as small as it is.
                    Some(_) => Box::pin(self.in_container.$method(call, request)).await,
                }
            })*
        }
    };
}

exomonad_schema::methods!(git by_place);
