//! How files differ.

use exomonad_schema::effects::git::{
    ChangeKind, DiffAgainst, DiffBetween, DiffFile, DiffTarget, GitDiff, GitDiffReport,
};
use exomonad_schema::{Base64, EffectError, ErrorCode};
use git2::{Delta, Diff, DiffDelta, DiffFindOptions, DiffOptions};

use super::job::Job;
use super::open::Opened;
use super::patch::Patch;
use super::{head, revision, status, submodule};

/// Beyond this many candidates renames are not looked for: the work grows with their square.
const RENAME_LIMIT: usize = 400;

/// What a diff may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiffLimits {
    /// How many files may differ.
    pub(super) max_files: usize,
    /// A larger file is treated as binary.
    pub(super) max_file_bytes: u64,
}

/// Gives the diff a request asks for.
pub(super) fn report(
    opened: &Opened,
    job: &Job,
    request: &GitDiff,
    limits: DiffLimits,
) -> Result<GitDiffReport, EffectError> {
    let mut options = options(opened, request, limits)?;
    let mut diff = compare(opened, &request.target, &mut options)?;
    job.check(opened.task())?;
    let count = diff.deltas().len();
    if count > limits.max_files {
        return Err(opened.task().error(
            ErrorCode::LimitExceeded,
            format_args!(
                "{count} files differ, and an answer lists {} at most (`max_files` of the host's \
                 git service); name some with `paths`",
                limits.max_files
            ),
        ));
    }
    diff.find_similar(Some(
        DiffFindOptions::new()
            .renames(true)
            .rename_limit(RENAME_LIMIT),
    ))
    .map_err(|error| opened.git_error(&error))?;
    job.check(opened.task())?;

    let listed = listed_files(opened, &diff, &request.target)?;
    let max_bytes = usize::try_from(request.max_bytes.get()).unwrap_or(usize::MAX);
    let mut patch = Patch::new(listed, max_bytes);
    let mut stopped = Ok(());
    let printed = diff.print(git2::DiffFormat::Patch, |delta, _, line| {
        stopped = job.check(opened.task());
        patch.take(&delta, &line);
        stopped.is_ok()
    });
    stopped?;
    printed.map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => opened.task().damaged(format_args!(
            "the content of a file is missing ({})",
            error.message()
        )),
        _ => opened.git_error(&error),
    })?;
    Ok(patch.finish())
}

fn options(
    opened: &Opened,
    request: &GitDiff,
    limits: DiffLimits,
) -> Result<DiffOptions, EffectError> {
    let mut options = DiffOptions::new();
    options
        .context_lines(u32::try_from(request.context_lines.get()).unwrap_or(u32::MAX))
        .indent_heuristic(true)
        .include_typechange(true)
        .disable_pathspec_match(true)
        .max_size(i64::try_from(limits.max_file_bytes).unwrap_or(i64::MAX));
    for path in &request.paths {
        if path.contains('\0') {
            return Err(opened.task().error(
                ErrorCode::InvalidInput,
                "a path in `paths` holds a NUL character; give paths as `GitStatus` lists them",
            ));
        }
        // As git does, take a folder with or without the `/` at its end.
        options.pathspec(path.trim_end_matches('/'));
    }
    Ok(options)
}

fn compare<'r>(
    opened: &'r Opened,
    target: &DiffTarget,
    options: &mut DiffOptions,
) -> Result<Diff<'r>, EffectError> {
    let repository = opened.repository();
    if reads_work_dir(target) {
        opened.work_dir()?;
        submodule::admit_all(opened)?;
    }
    let diff = match target {
        DiffTarget::Unstaged => repository.diff_index_to_workdir(None, Some(options)),
        DiffTarget::Staged => {
            let head = head::tree(opened)?;
            repository.diff_tree_to_index(head.as_ref(), None, Some(options))
        }
        DiffTarget::WorkingTree => {
            let head = head::tree(opened)?;
            repository.diff_tree_to_workdir_with_index(head.as_ref(), Some(options))
        }
        DiffTarget::Against(DiffAgainst { reference }) => {
            let tree = revision::tree(opened, reference)?;
            repository.diff_tree_to_workdir_with_index(Some(&tree), Some(options))
        }
        DiffTarget::Between(between) => {
            let from = older_tree(opened, between)?;
            let to = revision::tree(opened, &between.to)?;
            repository.diff_tree_to_tree(Some(&from), Some(&to), Some(options))
        }
    };
    diff.map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => opened
            .task()
            .damaged(format_args!("an object is missing ({})", error.message())),
        _ => opened.git_error(&error),
    })
}

fn older_tree<'r>(
    opened: &'r Opened,
    between: &DiffBetween,
) -> Result<git2::Tree<'r>, EffectError> {
    if !between.merge_base {
        return revision::tree(opened, &between.from);
    }
    let from = revision::commit(opened, &between.from)?.id();
    let to = revision::commit(opened, &between.to)?.id();
    let base = opened
        .history()
        .merge_base(from, to)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => opened.task().error(
                ErrorCode::NotFound,
                format_args!(
                    "{:?} and {:?} have no commit in common; compare them without `mergeBase`",
                    &*between.from, &*between.to
                ),
            ),
            _ => opened.git_error(&error),
        })?;
    revision::tree(opened, &base.to_string())
}

fn reads_work_dir(target: &DiffTarget) -> bool {
    matches!(
        target,
        DiffTarget::Unstaged | DiffTarget::WorkingTree | DiffTarget::Against(_)
    )
}

/// The files of a diff; `None` for one that is only missing because it is left
/// out of the working tree on purpose.
fn listed_files(
    opened: &Opened,
    diff: &Diff<'_>,
    target: &DiffTarget,
) -> Result<Vec<(FileKey, Option<DiffFile>)>, EffectError> {
    let index = opened
        .repository()
        .index()
        .map_err(|error| opened.git_error(&error))?;
    let in_work_dir = reads_work_dir(target);
    Ok(diff
        .deltas()
        .map(|delta| {
            let key = FileKey::of(&delta);
            let left_out = in_work_dir
                && delta.status() == Delta::Deleted
                && status::is_left_out(&index, &key.old);
            let file = if left_out {
                None
            } else {
                file_of(&delta, &key)
            };
            (key, file)
        })
        .collect())
}

/// Tells the files of a diff apart.
pub(super) struct FileKey {
    old: Vec<u8>,
    new: Vec<u8>,
}

impl FileKey {
    fn of(delta: &DiffDelta<'_>) -> Self {
        Self {
            old: path(delta.old_file()).to_vec(),
            new: path(delta.new_file()).to_vec(),
        }
    }

    /// Whether it is the file of this delta; asked for every line of a patch.
    pub(super) fn is_of(&self, delta: &DiffDelta<'_>) -> bool {
        self.old == path(delta.old_file()) && self.new == path(delta.new_file())
    }
}

fn path(file: git2::DiffFile<'_>) -> &[u8] {
    file.path_bytes().unwrap_or_default()
}

fn file_of(delta: &DiffDelta<'_>, key: &FileKey) -> Option<DiffFile> {
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
    let path = if key.new.is_empty() {
        &key.old
    } else {
        &key.new
    };
    let (path, path_bytes) = Base64::lossy_text(path);
    Some(DiffFile {
        path,
        path_bytes,
        old_path: matches!(change, ChangeKind::Renamed | ChangeKind::Copied)
            .then(|| String::from_utf8_lossy(&key.old).into_owned()),
        change,
        is_binary: delta.flags().is_binary(),
        additions: 0,
        deletions: 0,
    })
}
