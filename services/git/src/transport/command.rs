//! Runs the host's `git`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use exomonad_schema::{EffectError, ErrorCode};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tracing::Instrument;

use super::address::RemoteAddress;
use super::environment;
use super::reach::{self, Pinned};
use super::scratch_repo::ScratchRepo;
use super::token;
use crate::GitConfig;
use crate::effect_context::EffectContext;
use exomonad_core::span;

/// Bytes kept of each of git's two outputs.
const MAX_OUTPUT: usize = 256 << 10;

/// Time git has to clean up after itself when it is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

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
        .envs(environment::of(config, scratch, address.as_ref()))
        .stdin(match stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    limit_memory(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(context, config, &error))?;
    let group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let input = child.stdin.take();
    let feed = async {
        if let (Some(mut input), Some(bytes)) = (input, stdin) {
            // Git says why when it does not read all of it.
            let _ = input.write_all(&bytes).await;
        }
    };
    let talk = async {
        let (stdout, stderr, (), status) = tokio::join!(
            read(stdout, max_stdout),
            read(stderr, MAX_OUTPUT),
            feed,
            child.wait()
        );
        status.map(|status| (status, stdout, stderr))
    };
    tokio::pin!(talk);
    let outcome = match tokio::time::timeout(config.remote_time_limit.get(), &mut talk).await {
        Ok(outcome) => outcome,
        Err(_) => {
            // Asked politely, git removes the files it has begun.
            group.signal(Signal::TERM);
            let _ = tokio::time::timeout(GRACE, &mut talk).await;
            return Err(context.error(
                ErrorCode::Timeout,
                format_args!(
                    "the remote did not answer in {:?} (`git.remote_time_limit`); try again",
                    config.remote_time_limit.get()
                ),
            ));
        }
    };
    let (status, (stdout, is_cut), (stderr, _)) = outcome.map_err(|error| {
        EffectError::internal(format!("{}: git was lost: {error}", context.kind()))
    })?;
    group.has_ended();
    Ok(RawOutput {
        is_success: status.success(),
        stdout,
        is_cut,
        stderr,
    })
}

/// Bounds the memory of git and all it starts: objects of a repository, small as they are on disk, can
/// take any amount when they are read.
#[allow(
    unsafe_code,
    reason = "the standard library has no other way to set a child's limits"
)]
fn limit_memory(command: &mut Command) {
    const MAX: u64 = 2 << 30;
    let limit = Rlimit {
        current: Some(MAX),
        maximum: Some(MAX),
    };
    let set = move || setrlimit(Resource::Data, limit).map_err(io::Error::from);
    // SAFETY: between fork and exec this makes one system call, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

/// Reads to the end and keeps the beginning; true if there was more.
async fn read(stream: Option<impl AsyncRead + Unpin>, max: usize) -> (Vec<u8>, bool) {
    let (mut kept, mut is_cut) = (Vec::new(), false);
    let Some(mut stream) = stream else {
        return (kept, is_cut);
    };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = max.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
        is_cut |= room < count;
    }
    (kept, is_cut)
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
            format_args!("the program `{program}` is not installed on the host, which push and fetch need; install git"),
        ),
        _ => context.error(
            ErrorCode::Unavailable,
            format_args!("the program `{program}` cannot be started: {error}"),
        ),
    }
}

/// The process group of git and all it has started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        let pid = leader.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Self(pid)
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }

    /// All have ended: the group's id may soon be another's.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
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
