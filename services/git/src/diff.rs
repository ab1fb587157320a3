//! Diffs.

use exomonad_schema::effects::git::{
    ChangeKind, DiffAgainst, DiffBetween, DiffFile, DiffTarget, GitDiff, GitDiffReport,
};
use exomonad_schema::{Base64, EffectError, ErrorCode};
use git2::{Delta, Diff, DiffDelta, DiffFindOptions, DiffOptions, FileMode, Patch};

use super::blocking::Job;
use super::content::{self, Conversion};
use super::effect_context::EffectContext;
use super::open::OpenRepo;
use super::patch::PatchReport;
use super::small_file::path_from;
use super::{head, revision, status, submodule};

/// Largest number of candidates among which renames are detected: the work grows with its square.
pub(super) const RENAME_LIMIT: usize = 400;

/// Limits of a diff.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiffLimits {
    /// Number of files that may differ.
    pub(super) max_files: usize,
    /// A larger file is treated as binary, and keeps renames from being looked for.
    pub(super) max_file_bytes: u64,
}

/// Makes the diff of a request; `None` where git has to.
pub(super) fn report(
    repo: &OpenRepo,
    job: &Job,
    request: &GitDiff,
    limits: DiffLimits,
) -> Result<Option<GitDiffReport>, EffectError> {
    let fail = |error: git2::Error| match error.code() {
        git2::ErrorCode::NotFound => repo.context().damaged(format_args!(
            "an object or the content of a file is missing ({})",
            error.message()
        )),
        _ => repo.git_error(&error),
    };
    if needs_git(repo, &request.target)? {
        return Ok(None);
    }
    let mut diff = compare(repo, &request.target, &mut options(request, limits))?;
    job.check(repo.context())?;
    // Looking for renames reads the candidates whole, however large they are.
    let has_large_file = diff
        .deltas()
        .any(|delta| is_large_candidate(repo, &delta, limits));
    if !has_large_file {
        diff.find_similar(Some(
            DiffFindOptions::new()
                .renames(true)
                .rename_limit(RENAME_LIMIT),
        ))
        .map_err(fail)?;
    }
    let wanted = wanted_files(repo, &diff, request, limits)?;
    // Attributes decide how each file is compared.
    repo.check_above(
        wanted
            .iter()
            .filter_map(|(position, _)| diff.get_delta(*position))
            .flat_map(|delta| [old_path(&delta), new_path(&delta)]),
    )?;

    let max_bytes = usize::try_from(request.max_bytes.get()).unwrap_or(usize::MAX);
    let mut report = PatchReport::new(max_bytes);
    // File by file, so that there is never more than one file's content in memory.
    for (position, file) in wanted {
        job.check(repo.context())?;
        let delta = diff.get_delta(position);
        let in_work_dir = delta.filter(|_| reads_work_dir(&request.target));
        let pointer = match &in_work_dir {
            Some(delta) => lfs_in_work_dir(repo, delta)?,
            None => None,
        };
        let has_one_mode = in_work_dir
            .as_ref()
            .is_some_and(|delta| delta.old_file().mode() == delta.new_file().mode());
        let made = match &pointer {
            Some((old, new)) if old == new && has_one_mode => continue,
            Some((old, new)) => {
                let path = path_from(in_work_dir.as_ref().map_or(b"", new_path));
                let mut options = options(request, limits);
                Patch::from_buffers(old, Some(path), new, Some(path), Some(&mut options)).map(Some)
            }
            None => Patch::from_diff(&diff, position),
        };
        let patch = made.map_err(fail)?;
        // Ends of lines that git converts make no difference.
        let is_same = patch.as_ref().is_some_and(|patch| {
            has_one_mode && patch.num_hunks() == 0 && !patch.delta().flags().is_binary()
        });
        let is_modified = in_work_dir
            .as_ref()
            .is_some_and(|delta| delta.status() == Delta::Modified);
        if is_same && is_modified {
            continue;
        }
        let is_dirty_submodule = in_work_dir.as_ref().is_some_and(|delta| {
            let (old, new) = (delta.old_file(), delta.new_file());
            old.mode() == FileMode::Commit && new.mode() == FileMode::Commit && old.id() == new.id()
        });
        report.begin(file, is_dirty_submodule);
        let Some(mut patch) = patch else {
            continue;
        };
        let mut stopped = Ok(());
        let printed = patch.print(&mut |_, _, line| {
            stopped = job.check(repo.context());
            report.take(&line);
            stopped.is_ok()
        });
        stopped?;
        printed.map_err(fail)?;
    }
    Ok(Some(report.finish()))
}

/// True where libgit2 compares otherwise than git: with conflicts, files that are only meant to be
/// added, and files that are left out of the working tree.
fn needs_git(repo: &OpenRepo, target: &DiffTarget) -> Result<bool, EffectError> {
    if matches!(target, DiffTarget::Between(_)) {
        return Ok(false);
    }
    if reads_work_dir(target) {
        repo.work_dir()?;
        submodule::authorize_all(repo)?;
    }
    let marks = status::Marks::of(repo)?;
    let has_tree = !matches!(target, DiffTarget::Unstaged | DiffTarget::Staged);
    Ok(marks.conflicted || marks.intended || (marks.left_out && has_tree))
}

/// A file's text in the index, and in the working tree.
type TextPair = (Vec<u8>, Vec<u8>);

/// The texts that git compares for a modified file of Git LFS in the working tree; `None` for another file.
///
/// # Errors
/// `unsupported` for text that git converts.
fn lfs_in_work_dir(
    repo: &OpenRepo,
    delta: &DiffDelta<'_>,
) -> Result<Option<TextPair>, EffectError> {
    if !matches!(
        delta.status(),
        Delta::Modified | Delta::Untracked | Delta::Added
    ) {
        return Ok(None);
    }
    let path = new_path(delta);
    match content::conversion(repo.context(), repo.git2(), path)? {
        Conversion::None | Conversion::Filter => return Ok(None),
        Conversion::Encoding => return Err(content::has_encoding(repo.context(), path)),
        Conversion::Lfs => {}
    }
    if delta.status() != Delta::Modified {
        return Ok(None);
    }
    let Some(old) = content::small_blob(repo.git2(), delta.old_file().id()) else {
        return Ok(None);
    };
    let file = repo.work_dir()?.join(path_from(path));
    let new = content::lfs_pointer(repo.context(), repo.job(), &file)?;
    Ok(new.map(|new| (old.content().to_vec(), new)))
}

/// True if looking for renames would read a file beyond the limit. The size of one that is only in
/// the object store has to be asked for.
fn is_large_candidate(repo: &OpenRepo, delta: &DiffDelta<'_>, limits: DiffLimits) -> bool {
    let size = |file: git2::DiffFile<'_>| match file.size() {
        0 if !file.id().is_zero() => {
            let header = repo.git2().odb().and_then(|odb| odb.read_header(file.id()));
            header.map_or(0, |(size, _)| size as u64)
        }
        size => size,
    };
    let is_large = |file| size(file) > limits.max_file_bytes;
    match delta.status() {
        Delta::Added | Delta::Untracked => is_large(delta.new_file()),
        Delta::Deleted => is_large(delta.old_file()),
        _ => delta.new_file().size() > limits.max_file_bytes,
    }
}

fn options(request: &GitDiff, limits: DiffLimits) -> DiffOptions {
    let mut options = DiffOptions::new();
    options
        .context_lines(u32::try_from(request.context_lines.get()).unwrap_or(u32::MAX))
        .indent_heuristic(true)
        .max_size(i64::try_from(limits.max_file_bytes).unwrap_or(i64::MAX));
    options
}

fn compare<'r>(
    repo: &'r OpenRepo,
    target: &DiffTarget,
    options: &mut DiffOptions,
) -> Result<Diff<'r>, EffectError> {
    let repository = repo.git2();
    let diff = match target {
        DiffTarget::Unstaged => repository.diff_index_to_workdir(None, Some(options)),
        DiffTarget::Staged => {
            let head = head::tree(repo)?;
            repository.diff_tree_to_index(head.as_ref(), None, Some(options))
        }
        DiffTarget::WorkingTree => {
            let head = head::tree(repo)?;
            repository.diff_tree_to_workdir_with_index(head.as_ref(), Some(options))
        }
        DiffTarget::Against(DiffAgainst { reference }) => {
            let tree = revision::tree(repo, reference)?;
            repository.diff_tree_to_workdir_with_index(Some(&tree), Some(options))
        }
        DiffTarget::Between(between) => {
            let from = older_tree(repo, between)?;
            let to = revision::tree(repo, &between.to)?;
            repository.diff_tree_to_tree(Some(&from), Some(&to), Some(options))
        }
    };
    diff.map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => repo
            .context()
            .damaged(format_args!("an object is missing ({})", error.message())),
        _ => repo.git_error(&error),
    })
}

fn older_tree<'r>(
    repo: &'r OpenRepo,
    between: &DiffBetween,
) -> Result<git2::Tree<'r>, EffectError> {
    if !between.merge_base {
        return revision::tree(repo, &between.from);
    }
    let from = revision::commit(repo, &between.from)?.id();
    let to = revision::commit(repo, &between.to)?.id();
    let base = repo
        .history()
        .merge_base(from, to)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => no_common(repo.context(), between),
            _ => repo.git_error(&error),
        })?;
    revision::tree(repo, &base.to_string())
}

pub(super) fn reads_work_dir(target: &DiffTarget) -> bool {
    matches!(
        target,
        DiffTarget::Unstaged | DiffTarget::WorkingTree | DiffTarget::Against(_)
    )
}

/// The files to report, with their positions in the diff.
///
/// Paths are chosen here: to libgit2 they would be patterns, in which a blank
/// at the end, a `!` or a `#` has a meaning that cannot be turned off.
fn wanted_files(
    repo: &OpenRepo,
    diff: &Diff<'_>,
    request: &GitDiff,
    limits: DiffLimits,
) -> Result<Vec<(usize, DiffFile)>, EffectError> {
    let index = repo
        .git2()
        .index()
        .map_err(|error| repo.git_error(&error))?;
    let in_work_dir = reads_work_dir(&request.target);
    let is_wanted = |path: &[u8]| {
        request.paths.is_empty()
            || request
                .paths
                .iter()
                .any(|wanted| is_at_or_below(path, wanted))
    };
    let wanted: Vec<_> = diff
        .deltas()
        .enumerate()
        .filter(|(_, delta)| is_wanted(old_path(delta)) || is_wanted(new_path(delta)))
        .filter(|(_, delta)| {
            let is_left_out = in_work_dir
                && delta.status() == Delta::Deleted
                && status::is_left_out(&index, old_path(delta));
            !is_left_out
        })
        .filter_map(|(position, delta)| Some((position, file_of(&delta)?)))
        .collect();
    if wanted.len() > limits.max_files {
        return Err(too_many(repo.context(), wanted.len(), limits.max_files));
    }
    Ok(wanted)
}

/// More files differ than an answer may list.
pub(super) fn too_many(context: &EffectContext, count: usize, max_files: usize) -> EffectError {
    context.error(
        ErrorCode::LimitExceeded,
        format_args!(
            "{count} files differ, and an answer lists {max_files} at most (`max_files` of the host's \
             git service); name some with `paths`"
        ),
    )
}

/// Two commits have no history in common.
pub(super) fn no_common(context: &EffectContext, between: &DiffBetween) -> EffectError {
    context.error(
        ErrorCode::NotFound,
        format_args!(
            "{:?} and {:?} have no commit in common; compare them without `mergeBase`",
            &*between.from, &*between.to
        ),
    )
}

/// True if a path is the wanted one or below it; a `/` at its end changes nothing.
pub(super) fn is_at_or_below(path: &[u8], wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('/').as_bytes();
    path.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn old_path<'d>(delta: &DiffDelta<'d>) -> &'d [u8] {
    delta.old_file().path_bytes().unwrap_or_default()
}

fn new_path<'d>(delta: &DiffDelta<'d>) -> &'d [u8] {
    delta.new_file().path_bytes().unwrap_or_default()
}

fn file_of(delta: &DiffDelta<'_>) -> Option<DiffFile> {
    let change = match delta.status() {
        Delta::Added => ChangeKind::Added,
        Delta::Deleted => ChangeKind::Deleted,
        Delta::Modified | Delta::Unreadable => ChangeKind::Modified,
        Delta::Renamed => ChangeKind::Renamed,
        Delta::Copied => ChangeKind::Copied,
        Delta::Typechange => ChangeKind::TypeChanged,
        Delta::Conflicted => ChangeKind::Conflicted,
        Delta::Untracked => ChangeKind::Untracked,
        Delta::Unmodified | Delta::Ignored => return None,
    };
    let path = match new_path(delta) {
        b"" => old_path(delta),
        path => path,
    };
    let (path, path_bytes) = Base64::lossy_text(path);
    Some(DiffFile {
        path,
        path_bytes,
        old_path: matches!(change, ChangeKind::Renamed | ChangeKind::Copied)
            .then(|| String::from_utf8_lossy(old_path(delta)).into_owned()),
        change,
        is_binary: delta.flags().is_binary(),
        additions: 0,
        deletions: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_a_folder_and_not_below_one_with_the_same_prefix() {
        for (path, wanted, is_below) in [
            ("dir/a", "dir", true),
            ("dir/a", "dir/", true),
            ("dir", "dir", true),
            ("directory", "dir", false),
            ("a", "dir/a", false),
            ("dir/a", "*", false),
        ] {
            assert_eq!(
                is_at_or_below(path.as_bytes(), wanted),
                is_below,
                "{path} {wanted}"
            );
        }
    }
}
