//! Where the effects of this suite work: on the host. `git_in_container` has the other.

use std::path::PathBuf;

use exomonad_core::CallContext;
use exomonad_git::{Git, GitConfig};
use exomonad_schema::effects::git::RepositoryRequest;

/// True if the effects work on the host.
pub const IS_HOST: bool = true;

/// A test of what only the host has, and why a container has not.
macro_rules! host_only {
    ($reason:literal, $($test:tt)*) => { $($test)* };
}
pub(crate) use host_only;

/// Of how many repositories of a long table one is tried.
pub fn one_of(_: usize) -> usize {
    1
}

/// The folder that the tests' own folders are made in.
pub fn folder() -> PathBuf {
    std::env::temp_dir()
}

/// The labels of a role that may work there.
pub fn labels() -> Vec<exomonad_core::values::Label> {
    Vec::new()
}

pub fn service(config: GitConfig) -> Git {
    Git::new(config).unwrap()
}

/// The request for the same folder there.
pub fn place<R: RepositoryRequest>(_: &CallContext, request: R) -> R {
    request
}
