//! Runs the host's `git`.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use tokio::process::Command;
use tracing::Instrument;

use super::address::RemoteAddress;
use super::environment;
use super::reach::{self, Pinned};
use super::scratch_repo::ScratchRepo;
use super::token;
use crate::GitConfig;
use crate::child_process::{self, ProcessError, ProcessLimits};
use crate::effect_context::EffectContext;
use exomonad_core::span;

/// Bytes kept of each of git's two outputs.
const MAX_OUTPUT: usize = 256 << 10;

/// Bytes of memory that git may take.
const MAX_MEMORY: u64 = 2 << 30;

/// The output of git, as text without secrets.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) is_success: bool,
    pub(crate) stdout: String,
    /// Without secrets and control characters.
    pub(crate) stderr: String,
}

/// The output of git, as bytes.
#[derive(Debug)]
pub(crate) struct RawOutput {
    pub(crate) is_success: bool,
    pub(crate) stdout: Vec<u8>,
    /// True if there was more of it than asked for.
    pub(crate) is_cut: bool,
    pub(crate) stderr: Vec<u8>,
}

/// Runs `git` in a scratch repository, for `address`.
///
/// Dropping the future kills git and what it has started.
///
/// # Errors
/// `unavailable` when git cannot be started, `timeout` when it takes too long.
pub(crate) async fn run(
    context: &EffectContext,
    config: &GitConfig,
    scratch: &ScratchRepo,
    address: &RemoteAddress,
    arguments: Vec<OsString>,
) -> Result<CommandOutput, EffectError> {
    let span = context.span("git", "client");
    let pinned = reach::check(context, config, address).await?;
    let output = perform(
        context,
        config,
        scratch,
        Some((address, pinned)),
        arguments,
        None,
        MAX_OUTPUT,
    )
    .instrument(span.clone())
    .await;
    match &output {
        Ok(output) if output.is_success => {}
        Ok(_) => span::failed(&span, "git_failed"),
        Err(error) => span::failed(&span, error.code.name()),
    }
    let output = output?;
    let secrets = match &config.token {
        Some(token) => token::traces(token, &config.token_user),
        None => Vec::new(),
    };
    Ok(CommandOutput {
        is_success: output.is_success,
        stdout: redact(&output.stdout, &secrets),
        stderr: redact(&output.stderr, &secrets),
    })
}

/// Runs `git` in a scratch repository, with bytes in and out, without a remote or the token.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_offline(
    context: &EffectContext,
    config: &GitConfig,
    scratch: &ScratchRepo,
    arguments: Vec<OsString>,
    stdin: Vec<u8>,
    max_stdout: usize,
) -> Result<RawOutput, EffectError> {
    perform(
        context,
        config,
        scratch,
        None,
        arguments,
        Some(stdin),
        max_stdout,
    )
    .await
}

async fn perform(
    context: &EffectContext,
    config: &GitConfig,
    scratch: &ScratchRepo,
    address: Option<(&RemoteAddress, Pinned)>,
    arguments: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    max_stdout: usize,
) -> Result<RawOutput, EffectError> {
    let mut command = Command::new(&config.program);
    command
        .args(arguments)
        .current_dir(scratch.git_dir())
        .env_clear()
        .envs(environment::of(config, scratch, address.as_ref()));
    let time = config.remote_time_limit.get();
    let limits = ProcessLimits {
        time,
        memory: MAX_MEMORY,
        stdout: max_stdout,
        stderr: MAX_OUTPUT,
        file: None,
        ends_when_cut: false,
    };
    let output = child_process::run(command, stdin, limits)
        .await
        .map_err(|error| match error {
            ProcessError::Start(error) => cannot_start(context, config, &error),
            ProcessError::Lost(error) => {
                EffectError::internal(format!("{}: git was lost: {error}", context.kind()))
            }
        })?
        .ok_or_else(|| {
            context.error(
                ErrorCode::Timeout,
                format_args!(
                    "the remote did not answer in {time:?} (`git.remote_time_limit`); try again"
                ),
            )
        })?;
    Ok(RawOutput {
        is_success: output.status.success(),
        stdout: output.stdout,
        is_cut: output.is_cut,
        stderr: output.stderr,
    })
}

/// Removes secrets and control characters.
fn redact(output: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(output).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    text.chars()
        .map(|letter| if letter == '\r' { '\n' } else { letter })
        .filter(|letter| !letter.is_control() || *letter == '\n' || *letter == '\t')
        .collect()
}

fn cannot_start(context: &EffectContext, config: &GitConfig, error: &io::Error) -> EffectError {
    let program = config.program.display();
    match error.kind() {
        io::ErrorKind::NotFound => context.error(
            ErrorCode::Unavailable,
            format_args!("the program `{program}` is not installed on the host, which needs it for this; install git"),
        ),
        _ => context.error(
            ErrorCode::Unavailable,
            format_args!("the program `{program}` cannot be started: {error}"),
        ),
    }
}

/// A list of arguments.
pub(crate) fn arguments<const N: usize>(fixed: [&str; N]) -> Vec<OsString> {
    fixed.into_iter().map(OsString::from).collect()
}

/// The program that serves a local remote, with everything switched off that its
/// configuration could have it run.
pub(super) fn local_program(program: &Path, service: &str) -> OsString {
    let quoted = program.to_string_lossy().replace('\'', r"'\''");
    format!(
        "'{quoted}' -c core.hooksPath=/dev/null -c core.alternateRefsCommand= -c core.fsmonitor=false \
         -c receive.denyCurrentBranch=refuse -c receive.autogc=false -c receive.procReceiveRefs= \
         -c uploadpack.packObjectsHook= {service}"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_removed_from_git_s_output() {
        let text = redact(
            b"bad hunter2\x1b[31m aHVudGVyMg==\rnext\n",
            &["hunter2".into(), "aHVudGVyMg==".into(), String::new()],
        );
        assert_eq!(text, "bad ***[31m ***\nnext\n");
    }
}
