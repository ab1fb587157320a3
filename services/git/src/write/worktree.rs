//! Adds and removes worktrees.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use exomonad_schema::effects::git::{GitAddWorktree, GitRemoveWorktree, GitWorktree};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;
use git2::build::CheckoutBuilder;

use super::index::{self, LockedIndex};
use super::refs::{self, ExpectedOld};
use super::{RepoWriter, branch, head_file, target_tree};
use crate::open::{self, OpenRepo};
use crate::{small_file, status, worktree};
use exomonad_core::roots::Location;

/// Adds a worktree.
///
/// # Errors
/// `conflict` when the folder or the branch is there already, or the branch is
/// checked out elsewhere; `forbidden` outside the role's paths.
pub(crate) fn add(
    writer: &RepoWriter<'_>,
    request: &GitAddWorktree,
) -> Result<GitWorktree, EffectError> {
    let name = refs::full_name(writer, "refs/heads/", &request.branch)?;
    let folder = new_folder(writer, &request.path)?;
    check_not_sparse(writer)?;
    let there = refs::current(writer, &name)?;
    let commit = match (there, request.create_branch) {
        (Some(id), false) => id,
        (None, true) => branch::start_commit(writer, request.reference.as_deref())?,
        (Some(id), true) => {
            return Err(writer.context().error(
                ErrorCode::Conflict,
                format_args!("the branch {:?} exists already, at {id}", &*request.branch),
            ));
        }
        (None, false) => {
            return Err(writer.context().error(
                ErrorCode::NotFound,
                format_args!(
                    "there is no branch {:?}; set `createBranch` to make it",
                    &*request.branch
                ),
            ));
        }
    };
    let elsewhere = head_file::worktree_of(writer, &name).or_else(|| {
        let head = small_file::read(&writer.repo.git_dir().join("HEAD"))?;
        let is_here = head.strip_prefix(b"ref:")?.trim_ascii() == name.as_bytes();
        (is_here && writer.repo.work_dir().is_ok()).then(|| "this worktree".to_owned())
    });
    if let Some(other) = elsewhere.filter(|_| there.is_some()) {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            format_args!(
                "the branch {:?} is checked out in {other}",
                &*request.branch
            ),
        ));
    }
    let git_dir = new_git_dir(writer, &folder)?;
    let made = fs::create_dir(&folder)
        .map_err(|error| failed(writer, &error))
        .and_then(|()| fill(writer, &folder, &git_dir, &name, commit))
        .and_then(|()| {
            if there.is_none() {
                let from = request.reference.as_deref().unwrap_or("HEAD");
                let message = format!("branch: Created from {from}");
                refs::set(writer, &name, ExpectedOld::Absent, commit, &message)?;
            }
            Ok(())
        });
    if let Err(error) = made {
        // Both were made just now, and nobody knows of them yet.
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::remove_dir_all(&git_dir);
        return Err(error);
    }
    Ok(worktree::linked(&git_dir, writer.repo.roots()))
}

/// Refuses where the new worktree would have to be as sparse as this one: libgit2 would write all.
fn check_not_sparse(writer: &RepoWriter<'_>) -> Result<(), EffectError> {
    let config = writer.git2().config();
    let is_sparse = config.and_then(|config| config.get_bool("core.sparseCheckout"));
    if !is_sparse.unwrap_or(false) {
        return Ok(());
    }
    Err(writer.context().error(
        ErrorCode::Unsupported,
        "this is a sparse checkout, and git makes a new worktree as sparse, which the host cannot: it would          write out every file; use `git worktree add` itself",
    ))
}

/// Checks the folder to create: in an allowed one, and not there yet.
fn new_folder(writer: &RepoWriter<'_>, path: &str) -> Result<PathBuf, EffectError> {
    let (parent, name) = split(writer, path)?;
    let folder = parent.join(name);
    let git_dir = writer.repo.common_dir();
    let is_in_git_dir = parent.starts_with(git_dir)
        || parent
            .components()
            .any(|part| part.as_os_str().eq_ignore_ascii_case(".git"));
    if is_in_git_dir {
        return Err(EffectError::invalid_input(format!(
            "{}: {path:?} lies in a git folder; choose another place",
            writer.context().kind()
        )));
    }
    if folder.symlink_metadata().is_ok() {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            format_args!("{path:?} exists already; name a folder that does not"),
        ));
    }
    Ok(folder)
}

/// The canonical parent of a path, which the role may reach, and the path's last part.
fn split<'p>(
    writer: &RepoWriter<'_>,
    path: &'p str,
) -> Result<(PathBuf, &'p std::ffi::OsStr), EffectError> {
    let refuse = || {
        EffectError::invalid_input(format!(
            "{}: {path:?} is no path of a folder that can be made or removed",
            writer.context().kind()
        ))
    };
    let named = Path::new(path);
    let name = named.file_name().ok_or_else(refuse)?;
    // A line's end would end the one-line files that hold the path.
    if path.contains(['\0', '\n', '\r']) || name.eq_ignore_ascii_case(".git") {
        return Err(refuse());
    }
    let parent = match named.parent() {
        Some(parent) => writer.folder.join(parent),
        None => writer.folder.clone(),
    };
    match writer.role_roots.locate(&parent) {
        Location::Inside(parent) if parent.is_dir() => Ok((parent, name)),
        Location::Inside(_) | Location::Missing => Err(writer.context().error(
            ErrorCode::NotFound,
            format_args!("the folder that {path:?} is to be in does not exist"),
        )),
        Location::Outside => Err(writer.context().forbidden(format_args!("{path:?} is"))),
    }
}

/// Creates the worktree's own git folder, under a free name.
fn new_git_dir(writer: &RepoWriter<'_>, folder: &Path) -> Result<PathBuf, EffectError> {
    let worktrees = writer.repo.common_dir().join("worktrees");
    if worktrees.is_symlink() {
        return Err(writer
            .context()
            .forbidden("`worktrees` in the git folder is a link, which may lead"));
    }
    fs::create_dir_all(&worktrees).map_err(|error| failed(writer, &error))?;
    let name: String = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
            _ => '-',
        })
        .collect();
    for number in 0..10_000 {
        let git_dir = match number {
            0 => worktrees.join(&name),
            number => worktrees.join(format!("{name}{number}")),
        };
        match fs::create_dir(&git_dir) {
            Ok(()) => return Ok(git_dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(writer, &error)),
        }
    }
    Err(writer.context().error(
        ErrorCode::LimitExceeded,
        format_args!("there are 10,000 worktrees called {name:?}; run `git worktree prune`"),
    ))
}

/// Writes git's one-line files and checks the commit out.
fn fill(
    writer: &RepoWriter<'_>,
    folder: &Path,
    git_dir: &Path,
    branch: &str,
    commit: Oid,
) -> Result<(), EffectError> {
    let write = |path: PathBuf, before: &[u8], content: &[u8]| {
        fs::write(path, [before, content, b"\n"].concat()).map_err(|error| failed(writer, &error))
    };
    let dot_git = folder.join(".git");
    write(git_dir.join("commondir"), b"", b"../..")?;
    write(git_dir.join("gitdir"), b"", dot_git.as_os_str().as_bytes())?;
    write(git_dir.join("HEAD"), b"ref: ", branch.as_bytes())?;
    write(dot_git, b"gitdir: ", git_dir.as_os_str().as_bytes())?;
    let repository = open::exactly(writer.context(), folder)?;
    let mut locked = LockedIndex::take(writer, git_dir, &repository)?;
    let fail = |error: git2::Error| writer.git_error(&error);
    let found = repository.find_commit(commit).map_err(fail)?;
    let tree = found.tree().map_err(fail)?;
    let may_convert = target_tree::check(writer, &repository, None, &tree)?;
    // An empty folder has nothing to lose.
    repository
        .checkout_tree(found.as_object(), Some(CheckoutBuilder::new().force()))
        .map_err(fail)?;
    if may_convert {
        target_tree::check_paths(writer, &repository, None, &tree)?;
    }
    locked.finish(writer)
}

/// Removes a worktree and its folder.
///
/// # Errors
/// `conflict` when it has changes and they are not to be lost, or is locked;
/// `not_found` when the path is no worktree of the repository.
pub(crate) fn remove(
    writer: &RepoWriter<'_>,
    request: &GitRemoveWorktree,
) -> Result<(), EffectError> {
    let (parent, name) = split(writer, &request.path)?;
    let folder = parent.join(name);
    let git_dir = git_dir_of(writer, &folder).ok_or_else(|| {
        writer.context().error(
            ErrorCode::NotFound,
            format_args!(
                "{:?} is no worktree made by `git worktree add`",
                &*request.path
            ),
        )
    })?;
    if let Some(reason) = small_file::read(&git_dir.join("locked")) {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            format_args!(
                "the worktree is locked ({:?}); unlock it with `git worktree unlock`",
                String::from_utf8_lossy(&reason)
            ),
        ));
    }
    // Held to the end, so that nobody commits in it meanwhile.
    let lock = writer.lock(&git_dir.join("index"))?;
    let is_there = folder.symlink_metadata().is_ok();
    if is_there && !request.force {
        check_clean(writer, &folder)?;
    }
    if is_there {
        if folder.is_symlink() {
            return Err(writer
                .context()
                .forbidden("the worktree's folder is a link, which may lead"));
        }
        if !is_worktree_of(&folder, &git_dir) {
            return Err(writer.context().error(
                ErrorCode::Conflict,
                "the folder's own `.git` does not say that it is this worktree, so nothing was removed; \
                 look at it, and run `git worktree repair` or `git worktree prune`",
            ));
        }
        fs::remove_dir_all(&folder).map_err(|error| failed(writer, &error))?;
    }
    drop(lock);
    fs::remove_dir_all(&git_dir).map_err(|error| failed(writer, &error))?;
    // Gone when this was the last one, as git leaves it.
    let _ = fs::remove_dir(writer.repo.common_dir().join("worktrees"));
    Ok(())
}

/// True if a folder's own `.git` says that it is the worktree of a git
/// folder. What is registered there alone could name any folder.
fn is_worktree_of(folder: &Path, git_dir: &Path) -> bool {
    let dot_git = folder.join(".git");
    let named = small_file::read(&dot_git).filter(|_| !dot_git.is_symlink());
    named
        .as_deref()
        .and_then(|content| content.strip_prefix(b"gitdir:"))
        .map(|path| folder.join(small_file::path_from(path.trim_ascii())))
        .and_then(|path| path.canonicalize().ok())
        .is_some_and(|path| git_dir.canonicalize().is_ok_and(|git_dir| git_dir == path))
}

/// The git folder of the worktree registered at `folder`.
fn git_dir_of(writer: &RepoWriter<'_>, folder: &Path) -> Option<PathBuf> {
    fs::read_dir(writer.repo.common_dir().join("worktrees"))
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .find(|git_dir| {
            let dot_git = small_file::read_path(&git_dir.join("gitdir"), git_dir);
            let registered = dot_git.as_deref().and_then(Path::parent);
            registered.is_some_and(|registered| {
                registered == folder || registered.canonicalize().is_ok_and(|at| at == folder)
            })
        })
}

fn check_clean(writer: &RepoWriter<'_>, folder: &Path) -> Result<(), EffectError> {
    let there = OpenRepo::open_worktree(writer.context(), writer.job, folder, &writer.role_roots)?;
    if there.common_dir() != writer.repo.common_dir() {
        return Err(writer
            .context()
            .forbidden("the worktree's `.git` leads to another repository, which may lie"));
    }
    let names: Vec<_> = match status::dirty_files(&there, writer.config.max_files as usize)? {
        Some(dirty) if dirty.files.is_empty() => return Ok(()),
        Some(dirty) => dirty.files.into_iter().map(|file| file.path).collect(),
        None => vec!["files that are meant to be added".to_owned()],
    };
    Err(writer.context().error(
        ErrorCode::Conflict,
        format_args!(
            "the worktree has changes, which would be lost: {}; commit them, or set `force`",
            index::listed(&names)
        ),
    ))
}

fn failed(writer: &RepoWriter<'_>, error: &io::Error) -> EffectError {
    writer.context().error(
        ErrorCode::Unavailable,
        format_args!("the worktree's folders cannot be written: {error}; check who owns them and that the disk has room"),
    )
}
