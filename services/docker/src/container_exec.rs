//! Runs programs of other services of the host in a role's container.
//!
//! The container is looked up as for an effect of this service, with the role's labels, and a
//! program is run and killed as a guest's is.

use std::time::Duration;

use exomonad_core::CallContext;
use exomonad_schema::{EffectError, EffectKind};

use super::Docker;
use super::engine::EngineSession;
use super::exec::{self, Command};
use super::output::{Keep, Output};

/// A container of the role's own, to run programs in.
#[derive(Debug)]
pub struct ContainerExec {
    session: EngineSession,
    id: String,
    workdir: String,
}

/// A program to run.
#[derive(Debug)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Standard input; empty when absent.
    pub stdin: Option<Vec<u8>>,
    /// Time limit.
    pub time_limit: Duration,
    /// Bytes to keep of each of its outputs.
    pub max_output: u64,
}

/// The result of a program.
#[derive(Debug)]
pub struct ExecOutput {
    /// The exit code.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// True if either output was cut off.
    pub is_truncated: bool,
}

impl Docker {
    /// Finds a container of the role's own, for an effect of another service.
    ///
    /// # Errors
    /// `not_found` for one that is not there or another role's, `forbidden` for a role without labels.
    pub async fn container_exec(
        &self,
        kind: EffectKind,
        call: &CallContext,
        container: &str,
    ) -> Result<ContainerExec, EffectError> {
        let session = EngineSession::begin(&self.engine, kind, call, container).await?;
        let found = session.container(call, container).await?;
        let workdir = found
            .inspected
            .config
            .and_then(|config| config.working_dir)
            .filter(|workdir| workdir.starts_with('/'))
            .unwrap_or_else(|| "/".to_owned());
        Ok(ContainerExec {
            session,
            id: found.id,
            workdir,
        })
    }
}

impl ContainerExec {
    /// The container's full id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder its programs start in: absolute.
    pub fn workdir(&self) -> &str {
        &self.workdir
    }

    /// Runs a program as the container's own user, in `/`.
    ///
    /// # Errors
    /// As `docker.exec` has them.
    pub async fn run(&self, program: ExecRequest) -> Result<ExecOutput, EffectError> {
        let mut output = Output::new(Keep::Beginning, program.max_output);
        let command = Command {
            words: program.words,
            env: Vec::new(),
            user: None,
            workdir: Some("/".to_owned()),
            stdin: program.stdin,
            time_limit: Some(program.time_limit),
        };
        let exit_code = exec::perform(&self.session, &self.id, command, &mut output).await?;
        let (stdout, stderr, is_truncated) = output.into_bytes();
        Ok(ExecOutput {
            exit_code,
            stdout,
            stderr,
            is_truncated,
        })
    }
}
