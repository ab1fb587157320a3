//! Changed files: `git status --porcelain=v2 -z`.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{
    ChangeKind, GitChange, GitDirtyFiles, GitStatusReport, GitUpstream,
};

use super::git_error;
use super::repo_info::RepoInfo;
use super::script::{Script, Step, StepOutput};
use crate::effect_context::EffectContext;
use crate::status::too_many;

/// The output of `git status`.
#[derive(Debug, Default)]
pub(super) struct Status {
    upstream: Option<GitUpstream>,
    changed: Vec<Changed>,
}

/// A changed file, with all of its changes.
#[derive(Debug, Default)]
struct Changed {
    path: Vec<u8>,
    old_path: Option<Vec<u8>>,
    conflicted: Option<ChangeKind>,
    staged: Option<ChangeKind>,
    unstaged: Option<ChangeKind>,
    untracked: Option<ChangeKind>,
}

pub(super) fn add_steps(script: &mut Script, submodules: Option<&str>) -> Step {
    let arguments = [
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--ahead-behind",
        "--untracked-files=normal",
        "--find-renames",
    ];
    script.git(arguments.into_iter().chain(submodules))
}

/// Reads the step's output.
///
/// # Errors
/// `limit_exceeded` for too many files, `unsupported` when the repository is
/// bare or damaged.
pub(super) fn read(
    context: &EffectContext,
    repo_info: &RepoInfo,
    output: &StepOutput,
    max_files: usize,
) -> Result<Status, EffectError> {
    repo_info.work_dir(context)?;
    if !output.is_success() {
        return Err(git_error::from_output(context, output));
    }
    let mut status = parse(output)
        .ok_or_else(|| context.damaged("`git status` answers with what it should not"))?;
    status
        .changed
        .sort_by(|one, other| one.path.cmp(&other.path));
    // A file that was removed from the index alone is listed as deleted and as untracked.
    status.changed.dedup_by(|later, file| {
        let is_same = later.path == file.path;
        if is_same {
            file.untracked = file.untracked.or(later.untracked);
            file.staged = file.staged.or(later.staged);
            file.unstaged = file.unstaged.or(later.unstaged);
        }
        is_same
    });
    if status.changed.len() > max_files {
        return Err(too_many(context, status.changed.len(), max_files));
    }
    Ok(status)
}

/// `None` for anything unexpected.
fn parse(output: &StepOutput) -> Option<Status> {
    let mut status = Status::default();
    let (mut upstream, mut distance) = (None, None);
    let mut records = output.records();
    while let Some(record) = records.next() {
        let (kind, rest) = (record.first()?, record.get(2..)?);
        // The fields never hold a blank; the last of them, the path, may.
        let last_of = |fields: usize| rest.splitn(fields, |byte| *byte == b' ').nth(fields - 1);
        let mut changed = Changed::default();
        match kind {
            b'#' => {
                let line = String::from_utf8_lossy(rest).into_owned();
                if let Some(name) = line.strip_prefix("branch.upstream ") {
                    upstream = Some(name.to_owned());
                } else if let Some(counts) = line.strip_prefix("branch.ab ") {
                    distance = Some(ahead_behind(counts)?);
                }
                continue;
            }
            b'?' => {
                changed.path = rest.to_vec();
                changed.untracked = Some(ChangeKind::Untracked);
            }
            b'u' => {
                changed.path = last_of(10)?.to_vec();
                changed.conflicted = Some(ChangeKind::Conflicted);
            }
            b'1' | b'2' => {
                let is_renamed = *kind == b'2';
                changed.path = last_of(if is_renamed { 9 } else { 8 })?.to_vec();
                changed.staged = kind_of(*rest.first()?)?;
                // Renames are reported between HEAD and the index only.
                changed.unstaged = match kind_of(*rest.get(1)?)? {
                    Some(ChangeKind::Renamed | ChangeKind::Copied) => Some(ChangeKind::Modified),
                    other => other,
                };
                if is_renamed {
                    changed.old_path = Some(records.next()?.to_vec());
                }
            }
            _ => return None,
        }
        if changed.path.is_empty() {
            return None;
        }
        status.changed.push(changed);
    }
    status.upstream = upstream.map(|name| GitUpstream {
        name,
        ahead: distance.map(|(ahead, _)| ahead),
        behind: distance.map(|(_, behind)| behind),
    });
    Some(status)
}

/// `+2 -1`
fn ahead_behind(counts: &str) -> Option<(u32, u32)> {
    let (ahead, behind) = counts.split_once(' ')?;
    let count = |text: &str, sign| text.strip_prefix(sign)?.parse().ok();
    Some((count(ahead, '+')?, count(behind, '-')?))
}

/// The outer `None` for a letter that is none.
fn kind_of(letter: u8) -> Option<Option<ChangeKind>> {
    Some(Some(match letter {
        b'.' => return Some(None),
        b'M' => ChangeKind::Modified,
        b'T' => ChangeKind::TypeChanged,
        b'A' => ChangeKind::Added,
        b'D' => ChangeKind::Deleted,
        b'R' => ChangeKind::Renamed,
        b'C' => ChangeKind::Copied,
        _ => return None,
    }))
}

impl Status {
    pub(super) fn report(self, repo_info: &RepoInfo) -> GitStatusReport {
        let list = |kind_of: fn(&Changed) -> Option<ChangeKind>| -> Vec<GitChange> {
            self.changed
                .iter()
                .filter_map(|file| Some(file.as_change(kind_of(file)?)))
                .collect()
        };
        GitStatusReport {
            head: repo_info.head(),
            staged: list(|file| file.staged),
            unstaged: list(|file| file.unstaged),
            untracked: list(|file| file.untracked),
            conflicted: list(|file| file.conflicted),
            is_clean: self.changed.is_empty(),
            upstream: self.upstream,
        }
    }

    /// Each file once: by its change between HEAD and the index, or else the one since.
    pub(super) fn dirty_files(&self) -> GitDirtyFiles {
        let files = self
            .changed
            .iter()
            .filter_map(|file| {
                let kind = file.conflicted.or(file.staged).or(file.unstaged);
                Some(file.as_change(kind.or(file.untracked)?))
            })
            .collect();
        GitDirtyFiles { files }
    }
}

impl Changed {
    fn as_change(&self, kind: ChangeKind) -> GitChange {
        let change = GitChange::new(&self.path, kind);
        match &self.old_path {
            Some(old_path) if matches!(kind, ChangeKind::Renamed | ChangeKind::Copied) => {
                change.from_path(old_path)
            }
            _ => change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Status> {
        parse(&StepOutput {
            stdout: text.replace('|', "\0").into_bytes(),
            ..StepOutput::default()
        })
    }

    #[test]
    fn a_status_is_read_completely_or_refused() {
        let status = parsed(
            "# branch.oid x|# branch.upstream origin/main|# branch.ab +2 -1|\
             1 .M N... 100644 100644 100644 a b a file|2 R. N... 1 1 1 a b R100 new|old|? x/|",
        )
        .unwrap();
        assert_eq!(status.changed.len(), 3);
        assert_eq!(status.changed[0].path, b"a file");
        assert_eq!(status.changed[1].old_path.as_deref(), Some(&b"old"[..]));
        assert_eq!(status.upstream.unwrap().ahead, Some(2));
        for bad in [
            "1 .M N... 1|",
            "2 R. N... 1 1 1 a b R100 new|",
            "1 .X N... 1 1 1 a b file|",
            "# branch.ab 2 1|",
            "? |",
            "fatal: what|",
            "||",
        ] {
            assert!(parsed(bad).is_none(), "{bad}");
        }
        assert!(parsed("").unwrap().changed.is_empty());
    }
}
