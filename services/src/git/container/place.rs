//! Where an effect works: a container of the role's own, and a folder in it.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::{CallContext, EffectError, ErrorCode};

use super::InContainer;
use super::facts::{AskedFacts, Facts};
use super::script::{Answers, NO_FOLDER, NO_GIT, NOT_A_FOLDER, Script};
use super::settings::Settings;
use crate::docker::{Inside, Program};
use crate::git::task::Task;
use crate::git::{Author, GitConfig};

/// A folder in a container, for one effect. Clones share the container.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) task: Task,
    pub(super) config: Arc<GitConfig>,
    inside: Arc<Inside>,
    folder: String,
    settings: Settings,
}

impl Place {
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
        let task = Task::new(R::KIND, call, working_dir).in_container(name);
        if working_dir.0.contains('\0') {
            return Err(EffectError::invalid_input(format!(
                "{}: workingDir holds a NUL character; give the path of a folder",
                task.kind()
            )));
        }
        let Some(docker) = &service.docker else {
            return Err(EffectError::not_configured(R::KIND));
        };
        let inside = docker.inside(R::KIND, call, name).await?;
        let folder = PathBuf::from(inside.workdir()).join(working_dir.as_path());
        let folder = folder.to_string_lossy().into_owned();
        let settings = Settings {
            reads: true,
            max_file_bytes: service.config.max_file_bytes,
            author: service.config.author.clone(),
        };
        Ok(Self {
            task,
            config: service.config.clone(),
            inside: Arc::new(inside),
            folder,
            settings,
        })
    }

    /// The same place, to write to, in somebody's name.
    pub(super) fn to_write(&self, author: Option<Author>) -> Self {
        let mut place = self.clone();
        place.settings.reads = false;
        place.settings.author = author;
        place
    }

    /// The same place for another folder of the container, an absolute path.
    pub(super) fn in_folder(&self, folder: &str) -> Self {
        let mut place = self.clone();
        folder.clone_into(&mut place.folder);
        place
    }

    /// What names a repository of this container among all.
    pub(super) fn key(&self, facts: &Facts) -> PathBuf {
        // No path of the host begins so.
        PathBuf::from(format!(
            "container:{}:{}",
            self.inside.id(),
            facts.common_dir
        ))
    }

    pub(super) fn script(&self) -> Result<Script, EffectError> {
        Script::new(&self.folder, &self.settings)
    }

    /// Runs a script and tells what its steps said.
    ///
    /// # Errors
    /// `not_found` without the folder, `unavailable` without `git`,
    /// `limit_exceeded` when they said too much, `timeout`.
    pub(super) async fn run(&self, script: Script) -> Result<Answers, EffectError> {
        let time_limit = self.config.time_limit;
        self.run_within(script, time_limit).await
    }

    pub(super) async fn run_within(
        &self,
        mut script: Script,
        time_limit: std::time::Duration,
    ) -> Result<Answers, EffectError> {
        let program = Program {
            words: ["sh", "-c", script.text(), "git"].map(str::to_owned).into(),
            stdin: script.stdin.take(),
            time_limit,
            max_output: script.max_output,
        };
        let ran = self.inside.run(program).await.map_err(|error| match error.code {
            ErrorCode::Timeout => self.task.error(
                ErrorCode::Timeout,
                format_args!("git took longer than {time_limit:?} in the container; ask for less, such as fewer paths"),
            ),
            _ => self.no_shell(&error.message).unwrap_or(error),
        })?;
        match ran.exit_code {
            NO_GIT => return Err(self.no_git()),
            NO_FOLDER => {
                return Err(self.task.error(
                    ErrorCode::NotFound,
                    "there is no such folder in the container, or its user may not enter it; a relative \
                     one is taken from the container's own working directory",
                ));
            }
            NOT_A_FOLDER => {
                return Err(self.task.error(
                    ErrorCode::NotFound,
                    "this is a file; give the folder it is in",
                ));
            }
            _ => {}
        }
        if let Some(answers) = script.read(&ran.stdout, &ran.stderr) {
            return Ok(answers);
        }
        if ran.is_cut {
            return Err(self.task.error(
                ErrorCode::LimitExceeded,
                format_args!(
                    "git in the container answers with more than {} bytes; ask for less, such as fewer paths",
                    script.max_output
                ),
            ));
        }
        let words = String::from_utf8_lossy(&ran.stderr).into_owned()
            + &String::from_utf8_lossy(&ran.stdout);
        Err(self.no_shell(&words).unwrap_or_else(|| {
            self.task.error(
                ErrorCode::Unavailable,
                format_args!(
                    "the container's shell broke off or does not do as one (exit code {}); try again",
                    ran.exit_code
                ),
            )
        }))
    }

    /// What the engine, or its runtime, says where there is no program.
    fn no_shell(&self, words: &str) -> Option<EffectError> {
        (words.contains("executable file not found") || words.contains("no such file or directory"))
            .then(|| self.no_git())
    }

    fn no_git(&self) -> EffectError {
        self.task.error(
            ErrorCode::Unavailable,
            "the container has no `git` and `sh`, which do the work there; install them in its image",
        )
    }

    /// Asks about the repository.
    pub(super) fn ask_facts(&self, script: &mut Script) -> AskedFacts {
        AskedFacts::ask(script)
    }

    /// The repository, asked about alone.
    pub(super) async fn facts(&self) -> Result<Facts, EffectError> {
        let mut script = self.script()?;
        let asked = self.ask_facts(&mut script);
        let answers = self.run(script).await?;
        asked.read(&self.task, &answers)
    }
}
