//! HEAD: the branch or commit that is checked out.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitBranch, GitHead};
use git2::{Oid, Repository};

use super::object_size;
use super::open::OpenRepo;

/// The value of HEAD.
pub(super) struct Head {
    /// The branch's full name, such as `refs/heads/main`; `None` when detached.
    pub(super) reference: Option<Vec<u8>>,
    /// Its commit; `None` when the branch has none yet.
    pub(super) commit: Option<Oid>,
}

/// Reads HEAD as an answer.
pub(super) fn read(repo: &OpenRepo) -> Result<GitBranch, EffectError> {
    find(repo).map(Head::into_answer)
}

/// Reads HEAD of the requested worktree.
pub(super) fn find(repo: &OpenRepo) -> Result<Head, EffectError> {
    find_in(repo.git2()).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => repo.context().damaged("HEAD is missing"),
        _ => repo.git_error(&error),
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
pub(super) fn tree(repo: &OpenRepo) -> Result<Option<git2::Tree<'_>>, EffectError> {
    let Some(commit) = find(repo)?.commit else {
        return Ok(None);
    };
    object_size::commit(repo, repo.git2(), commit)?
        .and_then(|commit| commit.tree())
        .map(Some)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => repo
                .context()
                .damaged(format_args!("the commit {commit} or its tree is missing")),
            _ => repo.git_error(&error),
        })
}
