//! Description of a repository.

use std::path::Path;

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitRepository;
use git2::Repository;

use super::open::OpenRepo;
use super::{head, remote, small_file, submodule, worktree};

/// Describes the repository.
pub(super) fn read(repo: &OpenRepo) -> Result<GitRepository, EffectError> {
    let main = repo.open_main()?;
    // Opened at its git folder, libgit2 would not find a working tree whose `.git` is a file.
    let main_path = match repo.is_linked() {
        true => main
            .workdir()
            .map(|path| path.canonicalize().unwrap_or_else(|_| path.to_owned())),
        false => repo.work_dir().ok().map(Path::to_owned),
    };
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    Ok(GitRepository {
        git_dir: text(repo.common_dir()),
        work_dir: main_path.as_deref().map(text),
        is_bare: main_path.is_none(),
        is_empty: is_empty(repo)?,
        is_shallow: small_file::read(&repo.common_dir().join("shallow"))
            .is_some_and(|commits| !commits.is_empty()),
        head: head::read(repo)?,
        default_branch: default_branch(&main),
        remotes: remote::all(repo)?,
        worktrees: worktree::all(repo, main_path.as_deref()),
        submodules: submodule::paths(repo)?
            .iter()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect(),
    })
}

/// No branch, no tag, nothing: libgit2's own answer depends on what a first
/// branch is called by default.
fn is_empty(repo: &OpenRepo) -> Result<bool, EffectError> {
    if head::find(repo)?.commit.is_some() {
        return Ok(false);
    }
    let mut references = repo
        .git2()
        .references()
        .map_err(|error| repo.git_error(&error))?;
    Ok(references.next().is_none())
}

/// `refs/remotes/origin/HEAD` → `refs/remotes/origin/main` → `main`.
fn default_branch(repository: &Repository) -> Option<String> {
    let head = repository.find_reference("refs/remotes/origin/HEAD").ok()?;
    let target = head.symbolic_target_bytes()?;
    let branch = target.strip_prefix(b"refs/remotes/origin/")?;
    Some(String::from_utf8_lossy(branch).into_owned())
}
