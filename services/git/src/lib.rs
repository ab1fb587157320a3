//! The git service: reads and writes repositories within a role's allowed paths,
//! and in the containers that carry its labels.
//!
//! **On the host** libgit2 does the reading and the writing, inside this process and off the
//! async threads. No hook, filter, credential helper or other program runs,
//! whatever a repository's configuration says: libgit2 as built here has none
//! of the code that would start one. Only push and fetch run the host's `git`,
//! and what reads kinds of repositories that libgit2 does not know,
//! both kept away from that configuration: see `transport` and `only_git`.
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
//! `by_git`. Requests and answers are the same.
//!
//! | module | subject |
//! |---|---|
//! | `on_host` | the effects on the host, by libgit2 |
//! | `by_git`, `only_git` | the effects in containers by their `git`, and on repositories of the host that only git knows |
//! | `child_process` | a program with bounds on its time, its memory and its outputs |
//! | `config` | configuration |
//! | `policy` | decisions by a role's bounds |
//! | `library` | process-wide settings of libgit2 |
//! | `blocking`, `permits`, `memory` | bounded blocking pool with timeout and cancellation; fair shares; bounds on memory |
//! | `effect_context` | one effect, and its errors |
//! | `open`, `discover`, `authorize`, `working_dir` | opening the repository of a request |
//! | `head`, `worktree`, `info`, `remote`, `url` | the repository itself |
//! | `status`, `submodule`, `content` | changed files; those that git converts |
//! | `diff`, `patch` | their differences |
//! | `history`, `encoding`, `revision`, `object_size` | commits, their text and names, bounds on objects |
//! | `write` | changes to repositories |
//! | `transport` | push and fetch |
//! | `remote`, `github` | remotes, and the repositories on GitHub that they lead to |

mod authorize;
mod blocking;
mod by_git;
mod child_process;
mod config;
mod content;
mod diff;
mod discover;
mod effect_context;
mod encoding;
mod github;
mod head;
mod history;
mod info;
mod library;
mod memory;
mod object_size;
mod on_host;
mod only_git;
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
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;
use exomonad_schema::{Access, EffectError, ErrorCode};

pub use config::{GitConfig, GitConfigError};
pub use policy::decide;
pub use write::Author;

use by_git::ByGit;
use exomonad_docker::Docker;
use on_host::OnHost;
use permits::Permits;

/// The git service. Cheap to share behind an `Arc`; keeps no repository open
/// between effects, so that answers show what is on disk now.
#[derive(Debug)]
pub struct Git {
    on_host: OnHost,
    in_containers: ByGit,
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
            in_containers: ByGit::in_containers(config, process_limit),
        })
    }

    /// The same service, also for repositories in containers of this engine.
    #[must_use]
    pub fn with_containers(mut self, docker: Docker) -> Self {
        self.in_containers.connect(docker);
        self
    }
}

/// Dispatches each effect to the host or to a container; on the host, git reads what libgit2 does not know.
macro_rules! by_location {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl GitService for Git {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                // Boxed, so that the future of the other arm stays small.
                if request.container.is_some() {
                    return Box::pin(self.in_containers.$method(call, request)).await;
                }
                let again = ($Request::KIND.access() == Access::Read).then(|| request.clone());
                let error = match self.on_host.$method(call, request).await {
                    Err(error) if error.code == ErrorCode::Unsupported => error,
                    result => return result,
                };
                let Some(request) = again else {
                    return Err(error);
                };
                match self.on_host.by_git(call, &request).await? {
                    Some(by_git) => Box::pin(by_git.$method(call, request)).await,
                    None => Err(error),
                }
            })*
        }
    };
}

exomonad_schema::methods!(git by_location);
