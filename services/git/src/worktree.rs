//! Worktrees: the main one and those made by `git worktree add`.
//!
//! Git keeps a few one-line files about each, which are read here: that
//! opens no repository, and finds worktrees whose folder is gone.

use std::fs;
use std::path::Path;

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitWorktree;

use super::head;
use super::open::OpenRepo;
use super::small_file;
use exomonad_core::roots::{Location, Roots};

/// The worktree the working directory belongs to.
///
/// # Errors
/// `unsupported` when the repository is bare.
pub(super) fn current(repo: &OpenRepo) -> Result<GitWorktree, EffectError> {
    let path = repo.work_dir()?;
    Ok(if repo.is_linked() {
        GitWorktree {
            path: text(path),
            ..linked(repo.git_dir(), repo.roots())
        }
    } else {
        main(path, repo.common_dir())
    })
}

/// All worktrees of the repository: the main one, when there is one, then the
/// linked ones by name.
pub(super) fn all(repo: &OpenRepo, main_path: Option<&Path>) -> Vec<GitWorktree> {
    let mut registered: Vec<_> = fs::read_dir(repo.common_dir().join("worktrees"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        // As libgit2 and git have it; the rest is litter.
        .filter(|git_dir| git_dir.join("gitdir").is_file() && git_dir.join("HEAD").is_file())
        .collect();
    registered.sort();
    main_path
        .map(|path| main(path, repo.common_dir()))
        .into_iter()
        .chain(
            registered
                .iter()
                .map(|git_dir| linked(git_dir, repo.roots())),
        )
        .collect()
}

fn main(path: &Path, git_dir: &Path) -> GitWorktree {
    GitWorktree {
        path: text(path),
        name: None,
        is_main: true,
        locked: None,
        branch: branch_in(git_dir),
    }
}

/// A linked worktree by its git folder, `<common>/worktrees/<name>`.
///
/// Its folder is told without links where it is in reach; elsewhere it is as it was registered.
pub(super) fn linked(git_dir: &Path, roots: &Roots) -> GitWorktree {
    let dot_git = small_file::read_path(&git_dir.join("gitdir"), git_dir).unwrap_or_default();
    let folder = dot_git.parent().unwrap_or(&dot_git);
    GitWorktree {
        path: match roots.locate(folder) {
            Location::Inside(folder) => text(&folder),
            Location::Missing | Location::Outside => text(folder),
        },
        name: git_dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
        is_main: false,
        locked: small_file::read(&git_dir.join("locked"))
            .map(|reason| String::from_utf8_lossy(&reason).into_owned()),
        branch: branch_in(git_dir),
    }
}

fn branch_in(git_dir: &Path) -> Option<String> {
    let content = small_file::read(&git_dir.join("HEAD"))?;
    let reference = content.strip_prefix(b"ref:")?.trim_ascii();
    Some(head::short_name(reference))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
