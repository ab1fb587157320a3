//! Writing to a repository in a container.
//!
//! Its `git` takes its own locks, as any other program in the container does,
//! and waits for theirs a moment. In this host writers take turns by container
//! and git folder. Nobody who stops waiting stops a write that has begun: a
//! killed `git` would leave its lock behind.

mod branch;
mod commit;
mod stage;
mod stash;
mod worktree;

pub(super) use branch::{create as create_branch, switch as switch_branch, tag as create_tag};
pub(super) use commit::create as create_commit;
pub(super) use stage::stage;
pub(super) use stash::{list as list_stashes, pop as pop_stash, save as stash};
pub(super) use worktree::{add as add_worktree, remove as remove_worktree};

use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::{CallContext, EffectError, ErrorCode};

use super::InContainer;
use super::facts::Facts;
use super::failure::told;
use super::place::Place;
use super::script::{Answers, Said, Script, Step, quoted};
use crate::git::Author;
use crate::git::task::Task;
use crate::git::write::author;
use crate::git::write::index::undecided;

/// A null id: a reference that is not there.
pub(super) const ABSENT: &str = "0000000000000000000000000000000000000000";

/// A repository whose turn it is.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) place: Place,
    pub(super) facts: Facts,
    /// In whose name is committed, where somebody is known.
    pub(super) author: Option<Author>,
}

impl InContainer {
    /// Works on a repository when it is this effect's turn, to the end.
    pub(super) async fn write<R, T, W>(
        &self,
        call: &CallContext,
        request: R,
        work: impl FnOnce(Writing, R) -> W + Send + 'static,
    ) -> Result<T, EffectError>
    where
        R: EffectRequest + RepositoryRequest,
        T: Send + 'static,
        W: Future<Output = Result<T, EffectError>> + Send + 'static,
    {
        let place = Place::find(self, call, &request).await?;
        let facts = place.facts().await?;
        let turn = self.turns.take(place.key(&facts)).await;
        let kind = place.task.kind();
        let written = tokio::spawn(async move {
            let _turn = turn;
            work(Writing::begin(place).await?, request).await
        });
        written.await.unwrap_or_else(|error| {
            tracing::error!(%kind, %error, "a git effect failed in the host");
            Err(EffectError::internal(format!(
                "{kind}: working on the repository failed in the host; its log says more"
            )))
        })
    }
}

impl Writing {
    /// Looks at the repository once more, since it was another's turn before.
    async fn begin(place: Place) -> Result<Self, EffectError> {
        let mut script = place.script()?;
        let asked = place.ask_facts(&mut script);
        let [name, email] =
            ["user.name", "user.email"].map(|key| script.git(["config", "--get", key]));
        let answers = place.run(script).await?;
        let facts = asked.read(&place.task, &answers)?;
        let in_repository = Author {
            name: answers[name].line(),
            email: answers[email].line(),
        };
        let author = place
            .config
            .author
            .clone()
            .or_else(|| Some(in_repository).filter(Author::is_valid))
            .or_else(|| author::of_home(&place.config));
        Ok(Self {
            place: place.to_write(author.clone()),
            facts,
            author,
        })
    }

    pub(super) fn task(&self) -> &Task {
        &self.place.task
    }

    /// # Errors
    /// `not_configured` when nobody is known to commit as.
    fn check_author(&self) -> Result<&Author, EffectError> {
        self.author
            .as_ref()
            .ok_or_else(|| author::nobody(self.task()))
    }

    /// A script that begins at the root of the working tree, or the git folder,
    /// once nobody else holds the index or a moment has passed.
    pub(super) fn script(&self) -> Result<Script, EffectError> {
        let folder = self
            .facts
            .work_dir
            .as_deref()
            .unwrap_or(&self.facts.git_dir);
        let mut script = self.place.in_folder(folder).script()?;
        let lock = quoted(&format!("{}/index.lock", self.facts.git_dir));
        script.line(&format!(
            "n=0; while [ -e {lock} ] && [ \"$n\" -lt 30 ]; do sleep 0.05; n=$((n + 1)); done"
        ));
        Ok(script)
    }

    pub(super) async fn run(&self, script: Script) -> Result<Answers, EffectError> {
        self.place.run(script).await
    }

    /// The paths a merge could not decide, each once.
    fn conflicts(said: &Said) -> Vec<String> {
        let mut paths: Vec<_> = said
            .records()
            .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        paths.dedup();
        paths
    }

    /// Refuses while a merge has left files undecided.
    async fn check_no_conflicts(&self) -> Result<(), EffectError> {
        let mut script = self.script()?;
        let step = ask_conflicts(&mut script);
        let answers = self.run(script).await?;
        match Self::conflicts(&answers[step]) {
            paths if paths.is_empty() => Ok(()),
            paths => Err(undecided(self.task(), &paths)),
        }
    }
}

fn ask_conflicts(script: &mut Script) -> Step {
    script.git(["ls-files", "--unmerged", "-z"])
}

/// The files git lists, each on a line of its own that begins with a tab.
fn listed_files(stderr: &str) -> Vec<String> {
    let mut files: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix('\t'))
        .map(str::to_owned)
        .collect();
    files.sort();
    files
}

/// What git refuses for a reason of its own.
fn conflict(task: &Task, said: &Said) -> EffectError {
    task.error(
        ErrorCode::Conflict,
        format_args!("git says: {}", told(&said.stderr)),
    )
}
