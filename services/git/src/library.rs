//! Process-wide settings of libgit2.

use std::sync::OnceLock;

use git2::ConfigLevel;

use super::GitConfigError;

/// Sets libgit2 up; only the first call does.
///
/// - **Only a repository's own configuration counts.** The files of the machine
///   and of the user who runs the host are not read, so that an answer depends on the
///   repository alone and no secret in `~/.gitconfig` can surface. What they
///   ignore (`core.excludesFile`) is therefore not ignored here.
/// - **The owner of a repository does not matter.** In a container a mounted
///   repository mostly belongs to another user, and libgit2, as `git` does
///   (`safe.directory`), would refuse it. That check is there because `git` runs
///   the programs a repository's configuration names. Nothing here does, and
///   which folders may be read the operator says in `role.<name>.paths`.
/// - **Memory is bounded**, see [`memory`](super::memory).
/// - **Partial clones open.** An object that was never fetched is an error when
///   it is needed, not before.
pub(super) fn prepare() -> Result<(), GitConfigError> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    PREPARED
        .get_or_init(|| set_options().map_err(|error| error.message().to_owned()))
        .clone()
        .map_err(GitConfigError::Library)
}

#[allow(
    unsafe_code,
    reason = "libgit2 has no other way to set options that hold for the whole process"
)]
fn set_options() -> Result<(), git2::Error> {
    let levels = [
        ConfigLevel::ProgramData,
        ConfigLevel::System,
        ConfigLevel::XDG,
        ConfigLevel::Global,
    ];
    for level in levels {
        // SAFETY: libgit2 reads these settings without a lock. They are written
        // before the first `Git` exists, by one thread (the `OnceLock`), and
        // nothing else in the process calls libgit2.
        unsafe { git2::opts::set_search_path(level, "")? };
    }
    // SAFETY: as above.
    unsafe {
        if super::memory::install() < 0 {
            return Err(git2::Error::last_error(-1));
        }
        git2::opts::set_verify_owner_validation(false)?;
        git2::opts::set_extensions(&["partialclone"])
    }
}
