//! A shell in a folder of a role's container, in which an effect works.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::{EffectError, ErrorCode};

use super::InContainer;
use super::git_settings::GitSettings;
use super::repo_info::{RepoInfo, RepoInfoQuery};
use super::script::{NO_FOLDER, NO_GIT, NOT_A_FOLDER, Script, StepOutputs};
use crate::effect_context::EffectContext;
use crate::{Author, GitConfig};
use exomonad_docker::{ContainerExec, ExecRequest};

/// A shell in a folder of a container, for one effect. Clones share the container.
#[derive(Clone, Debug)]
pub(super) struct ContainerShell {
    pub(super) context: EffectContext,
    pub(super) config: Arc<GitConfig>,
    exec: Arc<ContainerExec>,
    folder: String,
    settings: GitSettings,
}

impl ContainerShell {
    /// Finds the container a request names, if it is the role's own.
    ///
    /// # Errors
    /// Those of the Docker service; `not_configured` when there is none.
    pub(super) async fn find<R: EffectRequest + RepositoryRequest>(
        service: &InContainer,
        call: &CallContext,
        request: &R,
    ) -> Result<Self, EffectError> {
        let name = request.container().map(|name| &**name).unwrap_or_default();
        let working_dir = request.working_dir();
        let context = EffectContext::new(R::KIND, call, working_dir).in_container(name);
        if working_dir.0.contains('\0') {
            return Err(EffectError::invalid_input(format!(
                "{}: workingDir holds a NUL character; give the path of a folder",
                context.kind()
            )));
        }
        let Some(docker) = &service.docker else {
            return Err(EffectError::not_configured(R::KIND));
        };
        let exec = docker.container_exec(R::KIND, call, name).await?;
        let folder = PathBuf::from(exec.workdir()).join(working_dir.as_path());
        let folder = folder.to_string_lossy().into_owned();
        let settings = GitSettings {
            reads: true,
            max_file_bytes: service.config.max_file.get(),
            author: service.config.author(),
        };
        Ok(Self {
            context,
            config: service.config.clone(),
            exec: Arc::new(exec),
            folder,
            settings,
        })
    }

    /// The same shell for writing, as an author.
    pub(super) fn to_write(&self, author: Option<Author>) -> Self {
        let mut shell = self.clone();
        shell.settings.reads = false;
        shell.settings.author = author;
        shell
    }

    /// The same shell in another folder of the container, an absolute path.
    pub(super) fn in_folder(&self, folder: &str) -> Self {
        let mut shell = self.clone();
        folder.clone_into(&mut shell.folder);
        shell
    }

    /// The key of a repository of this container among all.
    pub(super) fn key(&self, repo_info: &RepoInfo) -> PathBuf {
        // No path of the host begins so.
        PathBuf::from(format!(
            "container:{}:{}",
            self.exec.id(),
            repo_info.common_dir
        ))
    }

    pub(super) fn script(&self) -> Result<Script, EffectError> {
        Script::new(&self.folder, &self.settings)
    }

    /// Runs a script and returns the outputs of its steps.
    ///
    /// # Errors
    /// `not_found` without the folder, `unavailable` without `git`,
    /// `limit_exceeded` when they wrote too much, `timeout`.
    pub(super) async fn run(&self, script: Script) -> Result<StepOutputs, EffectError> {
        let time_limit = self.config.time_limit.get();
        self.run_within(script, time_limit).await
    }

    pub(super) async fn run_within(
        &self,
        mut script: Script,
        time_limit: std::time::Duration,
    ) -> Result<StepOutputs, EffectError> {
        let program = ExecRequest {
            words: ["sh", "-c", script.text(), "git"].map(str::to_owned).into(),
            stdin: script.stdin.take(),
            time_limit,
            max_output: script.max_output,
        };
        let output = self.exec.run(program).await.map_err(|error| match error.code {
            ErrorCode::Timeout => self.context.error(
                ErrorCode::Timeout,
                format_args!("git took longer than {time_limit:?} in the container; ask for less, such as fewer paths"),
            ),
            _ => self.no_shell(&error.message).unwrap_or(error),
        })?;
        match output.exit_code {
            NO_GIT => return Err(self.no_git()),
            NO_FOLDER => {
                return Err(self.context.error(
                    ErrorCode::NotFound,
                    "there is no such folder in the container, or its user may not enter it; a relative \
                     one is taken from the container's own working directory",
                ));
            }
            NOT_A_FOLDER => {
                return Err(self.context.error(
                    ErrorCode::NotFound,
                    "this is a file; give the folder it is in",
                ));
            }
            _ => {}
        }
        if let Some(outputs) = script.read(&output.stdout, &output.stderr) {
            return Ok(outputs);
        }
        if output.is_truncated {
            return Err(self.context.error(
                ErrorCode::LimitExceeded,
                format_args!(
                    "git in the container answers with more than {} bytes; ask for less, such as fewer paths",
                    script.max_output
                ),
            ));
        }
        let words = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        Err(self.no_shell(&words).unwrap_or_else(|| {
            self.context.error(
                ErrorCode::Unavailable,
                format_args!(
                    "the container's shell broke off or does not do as one (exit code {}); try again",
                    output.exit_code
                ),
            )
        }))
    }

    /// The error for an engine's message that there is no such program.
    fn no_shell(&self, words: &str) -> Option<EffectError> {
        (words.contains("executable file not found") || words.contains("no such file or directory"))
            .then(|| self.no_git())
    }

    fn no_git(&self) -> EffectError {
        self.context.error(
            ErrorCode::Unavailable,
            "the container has no `git` and `sh`, which do the work there; install them in its image",
        )
    }

    /// Adds the steps that read the repository's folders and HEAD.
    pub(super) fn query_repo_info(&self, script: &mut Script) -> RepoInfoQuery {
        RepoInfoQuery::add_steps(script)
    }

    /// Reads the repository's folders and HEAD.
    pub(super) async fn repo_info(&self) -> Result<RepoInfo, EffectError> {
        let mut script = self.script()?;
        let query = self.query_repo_info(&mut script);
        let outputs = self.run(script).await?;
        query.read(&self.context, &outputs)
    }
}
