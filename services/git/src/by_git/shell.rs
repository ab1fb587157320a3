//! A shell in which an effect works: in a folder of a role's container, or on the host.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::{EffectError, ErrorCode};
use tokio::process::Command;

use super::git_settings::GitSettings;
use super::info::{SUBMODULES, submodule_paths};
use super::repo_info::{RepoInfo, RepoInfoQuery};
use super::revision::{RevisionQuery, Wanted};
use super::script::{NO_FOLDER, NO_GIT, NOT_A_FOLDER, Script, StepOutputs};
use super::{ByGit, Place};
use crate::child_process::{self, ProcessError, ProcessLimits};
use crate::effect_context::EffectContext;
use crate::memory::MemoryLimits;
use crate::only_git::OnlyGit;
use crate::permits::Permit;
use crate::revision::check_is_read;
use crate::small_file::path_from;
use crate::{Author, GitConfig};
use exomonad_docker::{ContainerExec, ExecOutput, ExecRequest};

/// A shell in a folder, for one effect. Clones share the container.
#[derive(Clone, Debug)]
pub(super) struct GitShell {
    pub(super) context: EffectContext,
    pub(super) config: Arc<GitConfig>,
    runner: Runner,
    folder: String,
    settings: GitSettings,
    /// For a process of the host.
    _permit: Option<Arc<Permit>>,
}

/// The place where the shell runs.
#[derive(Clone, Debug)]
enum Runner {
    Container(Arc<ContainerExec>),
    Host(Arc<OnlyGit>),
}

impl GitShell {
    /// Finds the container a request names, if it is the role's own; on the host the repository was found before.
    ///
    /// # Errors
    /// Those of the Docker service; `not_configured` when there is none.
    pub(super) async fn find<R: EffectRequest + RepositoryRequest>(
        service: &ByGit,
        call: &CallContext,
        request: &R,
    ) -> Result<Self, EffectError> {
        let working_dir = request.working_dir();
        let context = EffectContext::new(R::KIND, call, working_dir);
        let mut settings = GitSettings {
            reads: true,
            max_file_bytes: service.config.max_file.get(),
            author: service.config.author(),
            program: None,
        };
        let docker = match &service.place {
            Place::Host(repo) => {
                settings.program = Some(service.config.program.to_string_lossy().into_owned());
                let permit = service.process_limit.acquire(&context).await?;
                return Ok(Self {
                    context,
                    config: service.config.clone(),
                    runner: Runner::Host(repo.clone()),
                    folder: ".".to_owned(),
                    settings,
                    _permit: Some(Arc::new(permit)),
                });
            }
            Place::Containers(docker) => docker,
        };
        let name = request.container().map(|name| &**name).unwrap_or_default();
        let context = context.in_container(name);
        if working_dir.0.contains('\0') {
            return Err(EffectError::invalid_input(format!(
                "{}: workingDir holds a NUL character; give the path of a folder",
                context.kind()
            )));
        }
        let Some(docker) = docker else {
            return Err(EffectError::not_configured(R::KIND));
        };
        let exec = docker.container_exec(R::KIND, call, name).await?;
        let folder = PathBuf::from(exec.workdir()).join(working_dir.as_path());
        let folder = folder.to_string_lossy().into_owned();
        Ok(Self {
            context,
            config: service.config.clone(),
            runner: Runner::Container(Arc::new(exec)),
            folder,
            settings,
            _permit: None,
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

    /// The key of a repository among all.
    pub(super) fn key(&self, repo_info: &RepoInfo) -> PathBuf {
        match &self.runner {
            // No path of the host begins so.
            Runner::Container(exec) => {
                PathBuf::from(format!("container:{}:{}", exec.id(), repo_info.common_dir))
            }
            Runner::Host(repo) => repo.common_dir.clone(),
        }
    }

    /// # Errors
    /// `unsupported` on the host, where repositories are changed by libgit2 alone.
    pub(super) fn check_may_write(&self) -> Result<(), EffectError> {
        match &self.runner {
            Runner::Container(_) => Ok(()),
            Runner::Host(_) => Err(self.context.error(
                ErrorCode::Unsupported,
                "the host changes repositories by libgit2, a library that does not know this kind; work on \
                 it in a container",
            )),
        }
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
        let output = match &self.runner {
            Runner::Container(exec) => {
                let program = ExecRequest {
                    words: ["sh", "-c", script.text(), "git"].map(str::to_owned).into(),
                    stdin: script.stdin.take(),
                    time_limit,
                    max_output: script.max_output,
                };
                exec.run(program).await.map_err(|error| match error.code {
                    ErrorCode::Timeout => self.timeout(time_limit),
                    _ => self.no_shell(&error.message).unwrap_or(error),
                })?
            }
            Runner::Host(repo) => self.run_on_host(repo, &script, time_limit).await?,
        };
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
                    "git answers with more than {} bytes {}; ask for less, such as fewer paths",
                    script.max_output,
                    self.context.place()
                ),
            ));
        }
        let words = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        Err(self.no_shell(&words).unwrap_or_else(|| {
            self.context.error(
                ErrorCode::Unavailable,
                format_args!(
                    "the shell {} broke off or does not do as one (exit code {}); try again",
                    self.context.place(),
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
        let message = match &self.runner {
            Runner::Container(_) => {
                "the container has no `git` and `sh`, which do the work there; install them in its image"
            }
            Runner::Host(_) => {
                "the host has no `git` and `sh`, by which it reads this kind of repository; install git"
            }
        };
        self.context.error(ErrorCode::Unavailable, message)
    }

    fn timeout(&self, time_limit: std::time::Duration) -> EffectError {
        self.context.error(
            ErrorCode::Timeout,
            format_args!(
                "git took longer than {time_limit:?} {}; ask for less, such as fewer paths",
                self.context.place()
            ),
        )
    }

    /// Runs a script on the host, in the environment that the repository wants.
    async fn run_on_host(
        &self,
        repo: &OnlyGit,
        script: &Script,
        time_limit: std::time::Duration,
    ) -> Result<ExecOutput, EffectError> {
        let mut command = Command::new("sh");
        command
            .args(["-c", script.text(), "git"])
            .current_dir(repo.folder())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.settings.environment())
            .envs(repo.environment());
        let max_output = usize::try_from(script.max_output).unwrap_or(usize::MAX);
        let limits = ProcessLimits {
            time: time_limit,
            memory: MemoryLimits::reading(self.config.max_file.get()).total as u64 * 2,
            stdout: max_output,
            stderr: max_output,
            file: Some(repo.max_file()),
            ends_when_cut: true,
        };
        let output = child_process::run(command, None, limits)
            .await
            .map_err(|error| match error {
                ProcessError::Start(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.no_git()
                }
                error => self.context.error(
                    ErrorCode::Unavailable,
                    format_args!("git does not run on the host: {error}"),
                ),
            })?
            .ok_or_else(|| self.timeout(time_limit))?;
        Ok(ExecOutput {
            exit_code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
            is_truncated: output.is_cut,
        })
    }

    /// Adds the steps that resolve a revision's name.
    ///
    /// # Errors
    /// `invalid_input`, `unsupported` and `not_found` for names that git is not asked about.
    pub(super) fn query_revision(
        &self,
        script: &mut Script,
        name: &str,
        wanted: Wanted,
    ) -> Result<RevisionQuery, EffectError> {
        if let Runner::Host(repo) = &self.runner {
            check_is_read(&self.context, [&repo.git_dir, &repo.common_dir], name)?;
        }
        RevisionQuery::add_steps(&self.context, script, name, wanted)
    }

    /// A folder of a worktree, with its links followed; on the host where that stays in reach.
    pub(super) fn located(&self, folder: &str) -> String {
        match &self.runner {
            Runner::Container(_) => folder.to_owned(),
            Runner::Host(repo) => repo.located(folder),
        }
    }

    /// The option by which git opens no submodule on the host, where it would obey its configuration.
    pub(super) fn submodules_option(&self) -> Option<&'static str> {
        match &self.runner {
            Runner::Container(_) => None,
            Runner::Host(_) => Some("--ignore-submodules=dirty"),
        }
    }

    /// Checks that the state of submodules is no part of what is asked, on the host.
    ///
    /// # Errors
    /// `unsupported` when one is checked out.
    pub(super) async fn check_no_submodule(&self) -> Result<(), EffectError> {
        let Runner::Host(repo) = &self.runner else {
            return Ok(());
        };
        let mut script = self.script()?;
        let step = script.shell(SUBMODULES);
        let outputs = self.run(script).await?;
        let is_checked_out = |path: &&[u8]| {
            let folder = repo.folder().join(path_from(path));
            folder.join(".git").symlink_metadata().is_ok()
        };
        match submodule_paths(&outputs[step]).find(is_checked_out) {
            None => Ok(()),
            Some(path) => Err(self.context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "the submodule {:?} is checked out, whose changes the host does not look for in a \
                     repository of this kind; use git itself",
                    String::from_utf8_lossy(path)
                ),
            )),
        }
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
