//! Effects on repositories in containers, by the container's own `git`.
//!
//! A role reaches the containers that carry its labels, by the Docker service's
//! own check. In one of them any folder may be named: the role's `paths` are
//! about the host's file system, which is not touched here, and the container is
//! the boundary. `git` runs as the container's own user by way of the Docker
//! service's exec, with its limits, marks and kills.
//!
//! What comes out of a container is whatever its inhabitants want it to be. It
//! is read strictly, up to a limit, and only told to the guest that asked; where
//! the host itself acts on it, in `transport`, it is checked like anything from
//! the network. Nothing of the host goes in but the request, the author's name
//! and, in a fetch, what was fetched: no token, no URL with one.
//!
//! | module | subject |
//! |---|---|
//! | `place` | the container, the folder, and running there |
//! | `script`, `settings` | several commands in one exec, hardened |
//! | `failure` | what `git` says, as codes |
//! | `facts` | the repository around a folder |
//! | `effects` | the effects |
//! | `status`, `diff`, `history`, `revision`, `info` | what is read |
//! | `write` | what is changed |
//! | `transport` | push and fetch |

mod diff;
mod effects;
mod facts;
mod failure;
mod history;
mod info;
mod place;
mod revision;
mod script;
mod settings;
mod status;
mod transport;
mod write;

use std::sync::Arc;

use super::GitConfig;
use super::programs::Programs;
use super::write::turns::Turns;
use crate::docker::Docker;

/// How much an answer may hold besides a patch or a pack, in bytes.
const MAX_OUTPUT: u64 = 32 << 20;

/// Effects on repositories in containers.
#[derive(Debug)]
pub(super) struct InContainer {
    pub(super) docker: Option<Docker>,
    config: Arc<GitConfig>,
    programs: Programs,
    turns: Turns,
}

impl InContainer {
    pub(super) fn new(config: Arc<GitConfig>, programs: Programs) -> Self {
        Self {
            docker: None,
            config,
            programs,
            turns: Turns::default(),
        }
    }
}
