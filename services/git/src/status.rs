//! Changed files, as `git status` has them.
//!
//! As there, a folder git knows nothing of is one entry ending in `/`, however
//! much is in it, and renames are looked for between HEAD and the index only.
//! Content filters are not run: a file kept by one shows as modified once it has been touched. Git
//! LFS is the exception, see `content`.

use std::path::Component;

use exomonad_schema::effects::git::{
    ChangeKind, GitChange, GitDirtyFiles, GitStatusReport, GitUpstream,
};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{DiffDelta, Index, IndexEntry, Status, StatusEntry, StatusOptions};

use super::content::{self, Conversion};
use super::effect_context::EffectContext;
use super::head;
use super::open::OpenRepo;
use super::small_file::path_from;
use super::submodule;

const STAGED: Status = Status::INDEX_NEW
    .union(Status::INDEX_MODIFIED)
    .union(Status::INDEX_DELETED)
    .union(Status::INDEX_RENAMED)
    .union(Status::INDEX_TYPECHANGE);

const UNSTAGED: Status = Status::WT_MODIFIED
    .union(Status::WT_DELETED)
    .union(Status::WT_TYPECHANGE)
    .union(Status::WT_RENAMED)
    .union(Status::WT_UNREADABLE);

const REPORTED: Status = STAGED
    .union(UNSTAGED)
    .union(Status::WT_NEW)
    .union(Status::CONFLICTED);

/// A changed file, with all of its changes.
struct Changed {
    path: Vec<u8>,
    old_path: Option<Vec<u8>>,
    status: Status,
}

/// Reports branch, upstream and all changes; `None` where git has to.
pub(super) fn report(
    repo: &OpenRepo,
    max_files: usize,
) -> Result<Option<GitStatusReport>, EffectError> {
    let Some(changed) = changes(repo, max_files)? else {
        return Ok(None);
    };
    let list = |kind_of: fn(Status) -> Option<ChangeKind>| -> Vec<GitChange> {
        changed
            .iter()
            .filter_map(|file| Some(file.as_change(kind_of(file.status)?)))
            .collect()
    };
    Ok(Some(GitStatusReport {
        head: head::read(repo)?,
        upstream: upstream(repo)?,
        staged: list(staged_kind),
        unstaged: list(unstaged_kind),
        untracked: list(untracked_kind),
        conflicted: list(conflicted_kind),
        is_clean: changed.is_empty(),
    }))
}

/// Lists the files that differ from HEAD, each once: by its change between HEAD
/// and the index, or else the one since; `None` where git has to.
pub(super) fn dirty_files(
    repo: &OpenRepo,
    max_files: usize,
) -> Result<Option<GitDirtyFiles>, EffectError> {
    let kinds = [conflicted_kind, staged_kind, unstaged_kind, untracked_kind];
    let Some(changed) = changes(repo, max_files)? else {
        return Ok(None);
    };
    let files = changed
        .iter()
        .filter_map(|file| {
            let kind = kinds.iter().find_map(|kind_of| kind_of(file.status))?;
            Some(file.as_change(kind))
        })
        .collect();
    Ok(Some(GitDirtyFiles { files }))
}

impl Changed {
    fn as_change(&self, kind: ChangeKind) -> GitChange {
        let change = GitChange::new(&self.path, kind);
        match &self.old_path {
            Some(old_path) if kind == ChangeKind::Renamed => change.from_path(old_path),
            _ => change,
        }
    }
}

fn conflicted_kind(status: Status) -> Option<ChangeKind> {
    status.is_conflicted().then_some(ChangeKind::Conflicted)
}

fn staged_kind(status: Status) -> Option<ChangeKind> {
    match status {
        _ if status.is_conflicted() => None,
        _ if status.is_index_renamed() => Some(ChangeKind::Renamed),
        _ if status.is_index_new() => Some(ChangeKind::Added),
        _ if status.is_index_deleted() => Some(ChangeKind::Deleted),
        _ if status.is_index_typechange() => Some(ChangeKind::TypeChanged),
        _ if status.is_index_modified() => Some(ChangeKind::Modified),
        _ => None,
    }
}

fn unstaged_kind(status: Status) -> Option<ChangeKind> {
    match status {
        _ if status.is_conflicted() => None,
        _ if status.is_wt_deleted() => Some(ChangeKind::Deleted),
        _ if status.is_wt_typechange() => Some(ChangeKind::TypeChanged),
        _ if status.intersects(UNSTAGED) => Some(ChangeKind::Modified),
        _ => None,
    }
}

fn untracked_kind(status: Status) -> Option<ChangeKind> {
    status.is_wt_new().then_some(ChangeKind::Untracked)
}

fn changes(repo: &OpenRepo, max_files: usize) -> Result<Option<Vec<Changed>>, EffectError> {
    repo.work_dir()?;
    submodule::authorize_all(repo)?;
    if Marks::of(repo)?.intended {
        return Ok(None);
    }
    // libgit2 takes a missing commit or tree for a branch without commits, and
    // would call every file added.
    head::tree(repo)?;
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(false)
        .include_ignored(false)
        .include_unreadable(true)
        .renames_head_to_index(true)
        // Reading changes nothing on disk, not even the index's cached times,
        // so a lock held by another git is no obstacle.
        .update_index(false);
    let fail = |error: git2::Error| repo.git_error(&error);
    let statuses = repo.git2().statuses(Some(&mut options)).map_err(fail)?;
    if statuses.len() > max_files {
        return Err(too_many(repo.context(), statuses.len(), max_files));
    }
    let index = repo.git2().index().map_err(fail)?;
    let mut changed = Vec::new();
    for entry in statuses.iter() {
        let Some(mut file) = read_entry(&entry, &index) else {
            continue;
        };
        if file.status.is_wt_modified() && is_unchanged(repo, &index, &file.path)? {
            file.status.remove(Status::WT_MODIFIED);
        }
        if file.status.intersects(REPORTED) {
            changed.push(file);
        }
    }
    changed.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Some(changed))
}

/// Marks of an index's entries by which libgit2 compares otherwise than git.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// Some have a merge conflict.
    pub(super) conflicted: bool,
    /// Some are only meant to be added (`git add -N`).
    pub(super) intended: bool,
    /// Some are [left out](is_left_out).
    pub(super) left_out: bool,
}

impl Marks {
    pub(super) fn of(repo: &OpenRepo) -> Result<Self, EffectError> {
        const STAGE: u16 = 3 << 12;
        const INTENT_TO_ADD: u16 = 1 << 13;
        let index = repo.git2().index();
        let index = index.map_err(|error| repo.git_error(&error))?;
        let mut marks = Self::default();
        for entry in index.iter() {
            if !is_path_of_file(&entry.path) {
                return Err(repo.context().damaged(format_args!(
                    "its index has the path {:?}, which no file has",
                    String::from_utf8_lossy(&entry.path)
                )));
            }
            marks.conflicted |= entry.flags & STAGE != 0;
            marks.intended |= entry.flags_extended & INTENT_TO_ADD != 0;
            marks.left_out |= has_left_out_mark(&entry);
        }
        Ok(marks)
    }
}

/// More files have changed than an answer may list.
pub(super) fn too_many(context: &EffectContext, count: usize, max_files: usize) -> EffectError {
    context.error(
        ErrorCode::LimitExceeded,
        format_args!(
            "{count} files have changed, and an answer lists {max_files} at most (`max_files` of the \
             host's git service); commit some, or have `.gitignore` name what git is not to see"
        ),
    )
}

fn read_entry(entry: &StatusEntry<'_>, index: &Index) -> Option<Changed> {
    let mut status = entry.status();
    let staged = entry.head_to_index();
    let path = staged
        .as_ref()
        .and_then(|delta| delta.new_file().path_bytes())
        .unwrap_or_else(|| entry.path_bytes());
    if status.is_wt_deleted() && is_left_out(index, path) {
        status.remove(Status::WT_DELETED);
    }
    // git does not tell of a folder in place of a file that it knows.
    if status.is_wt_new()
        && let Some(file) = path.strip_suffix(b"/")
        && entry_at(index, file).is_some()
    {
        status.remove(Status::WT_NEW);
    }
    status.intersects(REPORTED).then(|| Changed {
        path: path.to_vec(),
        old_path: staged.as_ref().and_then(old_path),
        status,
    })
}

/// True for a file that libgit2 takes for changed, since it does not convert it as git does.
///
/// # Errors
/// `unsupported` where it cannot be said.
pub(super) fn is_unchanged(
    repo: &OpenRepo,
    index: &Index,
    path: &[u8],
) -> Result<bool, EffectError> {
    match content::conversion(repo.context(), repo.git2(), path)? {
        Conversion::None | Conversion::Filter => Ok(false),
        Conversion::Encoding => Err(content::has_encoding(repo.context(), path)),
        Conversion::Lfs => {
            let Some(entry) = entry_at(index, path) else {
                return Ok(false);
            };
            let Some(blob) = content::small_blob(repo.git2(), entry.id) else {
                return Ok(false);
            };
            let file = repo.work_dir()?.join(path_from(path));
            let pointer = content::lfs_pointer(repo.context(), repo.job(), &file)?;
            Ok(pointer.as_deref() == Some(blob.content()) && !has_other_mode(repo, &entry, &file))
        }
    }
}

/// True if a file can be executed and its entry says otherwise, or the other way round.
fn has_other_mode(repo: &OpenRepo, entry: &IndexEntry, file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let config = repo.git2().config();
    let counts = config.and_then(|config| config.get_bool("core.fileMode"));
    let is_program = file
        .metadata()
        .is_ok_and(|found| found.permissions().mode() & 0o100 != 0);
    counts.unwrap_or(true) && is_program != (entry.mode & 0o100 != 0)
}

fn old_path(delta: &DiffDelta<'_>) -> Option<Vec<u8>> {
    delta.old_file().path_bytes().map(<[u8]>::to_vec)
}

/// True for a file that is missing on purpose: left out by a sparse checkout, or one
/// that is marked as unchanged. libgit2 reports those as deleted.
pub(super) fn is_left_out(index: &Index, path: &[u8]) -> bool {
    let entry = entry_at(index, path);
    entry.is_some_and(|entry| has_left_out_mark(&entry))
}

/// The entry of a path, which may be one of a damaged tree.
fn entry_at(index: &Index, path: &[u8]) -> Option<IndexEntry> {
    is_path_of_file(path).then(|| index.get_path(path_from(path), 0))?
}

/// False for an empty path, an absolute one, and one that begins with `.` or `..` or has a NUL in it: libgit2's
/// binding panics on these.
fn is_path_of_file(path: &[u8]) -> bool {
    let first = path_from(path).components().next();
    matches!(first, Some(Component::Normal(_))) && !path.contains(&0)
}

fn has_left_out_mark(entry: &IndexEntry) -> bool {
    const ASSUME_UNCHANGED: u16 = 1 << 15;
    const SKIP_WORKTREE: u16 = 1 << 14;
    entry.flags & ASSUME_UNCHANGED != 0 || entry.flags_extended & SKIP_WORKTREE != 0
}

/// The branch the current one follows, by `branch.<name>.remote` and `.merge`.
fn upstream(repo: &OpenRepo) -> Result<Option<GitUpstream>, EffectError> {
    let head = head::find(repo)?;
    // libgit2 takes the name as text; a branch whose name is none follows nothing.
    let Some(Ok(branch)) = head.reference.as_deref().map(std::str::from_utf8) else {
        return Ok(None);
    };
    let repository = repo.git2();
    let Ok(upstream) = repository.branch_upstream_name(branch) else {
        return Ok(None);
    };
    // Any name can stand in the configuration; libgit2 would take it for a file's.
    if !upstream.starts_with(b"refs/") {
        return Ok(None);
    }
    let name = head::short_name(&upstream);
    let there = std::str::from_utf8(&upstream)
        .ok()
        .and_then(|upstream| repository.refname_to_id(upstream).ok());
    let (ahead, behind) = match (head.commit, there) {
        (Some(here), Some(there)) => {
            let (ahead, behind) = repo
                .history()
                .graph_ahead_behind(here, there)
                .map_err(|error| repo.git_error(&error))?;
            (Some(saturate(ahead)), Some(saturate(behind)))
        }
        _ => (None, None),
    };
    Ok(Some(GitUpstream {
        name,
        ahead,
        behind,
    }))
}

fn saturate(count: usize) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}
