//! What is checked out.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitBranch, GitHead};
use git2::{Oid, Repository};

use super::open::Opened;

/// What HEAD is.
pub(super) struct Head {
    /// The branch's full name, such as `refs/heads/main`; `None` when detached.
    pub(super) reference: Option<Vec<u8>>,
    /// Its commit; `None` when the branch has none yet.
    pub(super) commit: Option<Oid>,
}

/// Tells what is checked out.
pub(super) fn read(opened: &Opened) -> Result<GitBranch, EffectError> {
    find(opened).map(Head::into_answer)
}

/// Finds what is checked out in the worktree that was asked for.
pub(super) fn find(opened: &Opened) -> Result<Head, EffectError> {
    find_in(opened.repository()).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => opened.task().damaged("HEAD is missing"),
        _ => opened.git_error(&error),
    })
}

fn find_in(repository: &Repository) -> Result<Head, git2::Error> {
    let head = repository.find_reference("HEAD")?;
    let reference = head.symbolic_target_bytes().map(<[u8]>::to_vec);
    let commit = match head.resolve() {
        Ok(resolved) => resolved.target(),
        Err(error) if error.code() == git2::ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Head { reference, commit })
}

impl Head {
    fn into_answer(self) -> GitBranch {
        GitBranch {
            head: match (&self.reference, self.commit) {
                (None, _) => GitHead::Detached,
                (Some(_), Some(_)) => GitHead::Branch,
                (Some(_), None) => GitHead::Unborn,
            },
            branch: self.reference.as_deref().map(short_name),
            commit: self.commit.map(|id| id.to_string()),
        }
    }
}

/// `refs/heads/main` → `main`, for people; other names stay whole.
pub(super) fn short_name(reference: &[u8]) -> String {
    let short = [&b"refs/heads/"[..], b"refs/remotes/"]
        .iter()
        .find_map(|folder| reference.strip_prefix(*folder))
        .unwrap_or(reference);
    String::from_utf8_lossy(short).into_owned()
}

/// The tree of the commit that is checked out; `None` when there is none yet.
pub(super) fn tree(opened: &Opened) -> Result<Option<git2::Tree<'_>>, EffectError> {
    let Some(commit) = find(opened)?.commit else {
        return Ok(None);
    };
    opened
        .repository()
        .find_commit(commit)
        .and_then(|commit| commit.tree())
        .map(Some)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => opened
                .task()
                .damaged(format_args!("the commit {commit} or its tree is missing")),
            _ => opened.git_error(&error),
        })
}
