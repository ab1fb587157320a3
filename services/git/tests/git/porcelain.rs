//! The output of `git status`, in the words of the contract.

use std::path::Path;

use exomonad_schema::effects::git::{ChangeKind, GitChange, GitStatusReport};

use crate::area::try_git;

/// The four lists of a status.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lists {
    pub staged: Vec<GitChange>,
    pub unstaged: Vec<GitChange>,
    pub untracked: Vec<GitChange>,
    pub conflicted: Vec<GitChange>,
}

impl From<GitStatusReport> for Lists {
    fn from(report: GitStatusReport) -> Self {
        Self {
            staged: report.staged,
            unstaged: report.unstaged,
            untracked: report.untracked,
            conflicted: report.conflicted,
        }
    }
}

/// Runs `git status --porcelain=v2 -z` and reads it
/// (<https://git-scm.com/docs/git-status#_porcelain_format_version_2>).
pub fn status(folder: &Path) -> Lists {
    let output = try_git(folder, ["status", "--porcelain=v2", "-z"]);
    assert!(output.status.success(), "{output:?}");
    let mut lists = Lists::default();
    let mut records = output.stdout.split(|byte| *byte == 0);
    while let Some(record) = records.next() {
        // Of the fields only the two letters and the path matter here.
        let path_after = |fields: usize| {
            record
                .splitn(fields + 1, |byte| *byte == b' ')
                .last()
                .unwrap()
        };
        match record.first() {
            Some(b'1') => lists.add(record[2], record[3], path_after(8), None),
            Some(b'2') => {
                let old_path = records.next().unwrap();
                lists.add(record[2], record[3], path_after(9), Some(old_path));
            }
            Some(b'u') => lists
                .conflicted
                .push(GitChange::new(path_after(10), ChangeKind::Conflicted)),
            Some(b'?') => lists
                .untracked
                .push(GitChange::new(path_after(1), ChangeKind::Untracked)),
            _ => assert!(record.is_empty(), "{record:?}"),
        }
    }
    for list in [
        &mut lists.staged,
        &mut lists.unstaged,
        &mut lists.untracked,
        &mut lists.conflicted,
    ] {
        list.sort_by(|one, other| one.path.cmp(&other.path));
    }
    lists
}

impl Lists {
    fn add(&mut self, staged: u8, unstaged: u8, path: &[u8], old_path: Option<&[u8]>) {
        if let Some(kind) = kind(staged) {
            let change = GitChange::new(path, kind);
            self.staged.push(match old_path {
                Some(old_path) => change.from_path(old_path),
                None => change,
            });
        }
        if let Some(kind) = kind(unstaged) {
            self.unstaged.push(GitChange::new(path, kind));
        }
    }
}

fn kind(letter: u8) -> Option<ChangeKind> {
    match letter {
        b'.' => None,
        b'A' => Some(ChangeKind::Added),
        b'M' => Some(ChangeKind::Modified),
        b'D' => Some(ChangeKind::Deleted),
        b'R' => Some(ChangeKind::Renamed),
        b'T' => Some(ChangeKind::TypeChanged),
        other => panic!("git status says {:?}", other as char),
    }
}
