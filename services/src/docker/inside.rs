//! Programs that other services of the host run in a role's container.
//!
//! The container is looked up as for an effect of this service, with the role's labels, and a
//! program is run and killed as a guest's is. Only who asks, and for what, is different.

use std::time::Duration;

use exomonad_core::CallContext;
use exomonad_schema::{EffectError, EffectKind};

use super::Docker;
use super::engine::Session;
use super::exec::{self, Command};
use super::output::{Keep, Output};

/// A container of the role's own.
#[derive(Debug)]
pub(crate) struct Inside {
    session: Session,
    id: String,
    workdir: String,
}

/// A program to run.
#[derive(Debug)]
pub(crate) struct Program {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// What it reads; nothing when absent.
    pub(crate) stdin: Option<Vec<u8>>,
    /// How long it may take.
    pub(crate) time_limit: Duration,
    /// How much of each of its outputs is kept, in bytes.
    pub(crate) max_output: u64,
}

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit_code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Whether either was cut off.
    pub(crate) is_cut: bool,
}

impl Docker {
    /// Finds a container of the role's own, for an effect of another service.
    ///
    /// # Errors
    /// `not_found` for one that is not there or another role's, `forbidden` for a role without labels.
    pub(crate) async fn inside(
        &self,
        kind: EffectKind,
        call: &CallContext,
        container: &str,
    ) -> Result<Inside, EffectError> {
        let session = Session::begin(&self.engine, kind, call, container).await?;
        let found = session.container(call, container).await?;
        let workdir = found
            .inspected
            .config
            .and_then(|config| config.working_dir)
            .filter(|workdir| workdir.starts_with('/'))
            .unwrap_or_else(|| "/".to_owned());
        Ok(Inside {
            session,
            id: found.id,
            workdir,
        })
    }
}

impl Inside {
    /// The container's full id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The folder its programs start in: absolute.
    pub(crate) fn workdir(&self) -> &str {
        &self.workdir
    }

    /// Runs a program as the container's own user, in `/`.
    ///
    /// # Errors
    /// As `docker.exec` has them.
    pub(crate) async fn run(&self, program: Program) -> Result<Ran, EffectError> {
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
        let (stdout, stderr, is_cut) = output.into_bytes();
        Ok(Ran {
            exit_code,
            stdout,
            stderr,
            is_cut,
        })
    }
}
