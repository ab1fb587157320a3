//! Writing to a repository in a container.
//!
//! Its `git` takes its own locks, as any other program in the container does,
//! and waits a moment for theirs. In this host there is a lock for each container
//! and git folder. A cancelled call does not stop a write that has begun: a killed
//! `git` would leave its lock behind.

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

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::{EffectError, ErrorCode};

use super::ByGit;
use super::git_error::summary;
use super::repo_info::RepoInfo;
use super::script::{Script, Step, StepOutput, StepOutputs, quoted};
use super::shell::GitShell;
use crate::Author;
use crate::effect_context::EffectContext;
use crate::write::author;
use crate::write::index::undecided;

/// A repository in a container, locked for writing.
#[derive(Debug)]
pub(super) struct ContainerWriter {
    pub(super) shell: GitShell,
    pub(super) repo_info: RepoInfo,
    /// The author of commits, where one is known.
    pub(super) author: Option<Author>,
}

impl ByGit {
    /// Works on a repository under its lock, to the end.
    pub(super) async fn write<R, T, W>(
        &self,
        call: &CallContext,
        request: R,
        work: impl FnOnce(ContainerWriter, R) -> W + Send + 'static,
    ) -> Result<T, EffectError>
    where
        R: EffectRequest + RepositoryRequest,
        T: Send + 'static,
        W: Future<Output = Result<T, EffectError>> + Send + 'static,
    {
        let shell = GitShell::find(self, call, &request).await?;
        shell.check_may_write()?;
        let repo_info = shell.repo_info().await?;
        let guard = self.repo_locks.lock(shell.key(&repo_info)).await;
        let kind = shell.context.kind();
        let written = tokio::spawn(async move {
            let _guard = guard;
            work(ContainerWriter::begin(shell).await?, request).await
        });
        written.await.unwrap_or_else(|error| {
            tracing::error!(%kind, %error, "a git effect failed in the host");
            Err(EffectError::internal(format!(
                "{kind}: working on the repository failed in the host; its log says more"
            )))
        })
    }
}

impl ContainerWriter {
    /// Reads the repository once more, since another effect had the lock before.
    async fn begin(shell: GitShell) -> Result<Self, EffectError> {
        let mut script = shell.script()?;
        let query = shell.query_repo_info(&mut script);
        let [name, email] =
            ["user.name", "user.email"].map(|key| script.git(["config", "--get", key]));
        let outputs = shell.run(script).await?;
        let repo_info = query.read(&shell.context, &outputs)?;
        let in_repository = Author {
            name: outputs[name].line(),
            email: outputs[email].line(),
        };
        let author = shell
            .config
            .author()
            .or_else(|| Some(in_repository).filter(Author::is_valid))
            .or_else(|| author::of_home(&shell.config));
        Ok(Self {
            shell: shell.to_write(author.clone()),
            repo_info,
            author,
        })
    }

    pub(super) fn context(&self) -> &EffectContext {
        &self.shell.context
    }

    /// # Errors
    /// `not_configured` when nobody is known to commit as.
    fn check_author(&self) -> Result<&Author, EffectError> {
        self.author
            .as_ref()
            .ok_or_else(|| author::no_author(self.context()))
    }

    /// A script that begins at the root of the working tree, or the git folder,
    /// once nobody else holds the index or a moment has passed.
    pub(super) fn script(&self) -> Result<Script, EffectError> {
        let folder = self
            .repo_info
            .work_dir
            .as_deref()
            .unwrap_or(&self.repo_info.git_dir);
        let mut script = self.shell.in_folder(folder).script()?;
        let lock = quoted(&format!("{}/index.lock", self.repo_info.git_dir));
        script.line(&format!(
            "n=0; while [ -e {lock} ] && [ \"$n\" -lt 30 ]; do sleep 0.05; n=$((n + 1)); done"
        ));
        Ok(script)
    }

    pub(super) async fn run(&self, script: Script) -> Result<StepOutputs, EffectError> {
        self.shell.run(script).await
    }

    /// The paths with merge conflicts, each once.
    fn conflicts(output: &StepOutput) -> Vec<String> {
        let mut paths: Vec<_> = output
            .records()
            .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        paths.dedup();
        paths
    }

    /// Refuses while there are merge conflicts.
    async fn check_no_conflicts(&self) -> Result<(), EffectError> {
        let mut script = self.script()?;
        let step = add_conflicts_step(&mut script);
        let outputs = self.run(script).await?;
        match Self::conflicts(&outputs[step]) {
            paths if paths.is_empty() => Ok(()),
            paths => Err(undecided(self.context(), &paths)),
        }
    }
}

fn add_conflicts_step(script: &mut Script) -> Step {
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

/// The error for what git refuses for a reason of its own.
fn conflict(context: &EffectContext, output: &StepOutput) -> EffectError {
    context.error(
        ErrorCode::Conflict,
        format_args!("git says: {}", summary(&output.stderr)),
    )
}
