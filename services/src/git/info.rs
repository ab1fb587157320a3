//! The repository as a whole.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitRepository;
use git2::Repository;

use super::open::Opened;
use super::{head, remote, small_file, submodule, worktree};

/// Describes the repository.
pub(super) fn read(opened: &Opened) -> Result<GitRepository, EffectError> {
    let main = opened.open_main()?;
    let main_path = main
        .workdir()
        .map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    Ok(GitRepository {
        git_dir: text(opened.common_dir()),
        work_dir: main_path.as_deref().map(text),
        is_bare: main.is_bare(),
        is_empty: is_empty(opened)?,
        is_shallow: small_file::read(&opened.common_dir().join("shallow"))
            .is_some_and(|commits| !commits.is_empty()),
        head: head::read(opened)?,
        default_branch: default_branch(&main),
        remotes: remote::all(opened)?,
        worktrees: worktree::all(opened, main_path.as_deref()),
        submodules: submodule::paths(opened)?
            .iter()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect(),
    })
}

/// No branch, no tag, nothing: libgit2's own answer depends on what a first
/// branch is called by default.
fn is_empty(opened: &Opened) -> Result<bool, EffectError> {
    if head::find(opened)?.commit.is_some() {
        return Ok(false);
    }
    let mut references = opened
        .repository()
        .references()
        .map_err(|error| opened.git_error(&error))?;
    Ok(references.next().is_none())
}

/// `refs/remotes/origin/HEAD` → `refs/remotes/origin/main` → `main`.
fn default_branch(repository: &Repository) -> Option<String> {
    let head = repository.find_reference("refs/remotes/origin/HEAD").ok()?;
    let target = head.symbolic_target_bytes()?;
    let branch = target.strip_prefix(b"refs/remotes/origin/")?;
    Some(String::from_utf8_lossy(branch).into_owned())
}
