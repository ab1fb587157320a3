//! Running git.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use exomonad_schema::{EffectError, ErrorCode};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tracing::Instrument;

use super::address::Address;
use super::environment;
use super::shadow::Shadow;
use super::token;
use crate::git::GitConfig;
use crate::git::task::Task;
use exomonad_core::span;

/// How much of what git says is kept, of each of its two streams.
const MAX_OUTPUT: usize = 256 << 10;

/// How long git has to clean up after itself when it is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// What git said.
#[derive(Debug)]
pub(in crate::git) struct Said {
    pub(in crate::git) is_success: bool,
    pub(in crate::git) stdout: String,
    /// Without secrets and control characters.
    pub(in crate::git) stderr: String,
}

/// What git wrote, as it wrote it.
#[derive(Debug)]
pub(in crate::git) struct Wrote {
    pub(in crate::git) is_success: bool,
    pub(in crate::git) stdout: Vec<u8>,
    /// Whether there was more of it than asked for.
    pub(in crate::git) is_cut: bool,
    pub(in crate::git) stderr: Vec<u8>,
}

/// Runs `git` in a shadow, for `address`.
///
/// Dropping the future kills git and what it has started.
///
/// # Errors
/// `unavailable` when git cannot be started, `timeout` when it takes too long.
pub(in crate::git) async fn run(
    task: &Task,
    config: &GitConfig,
    shadow: &Shadow,
    address: &Address,
    arguments: Vec<OsString>,
) -> Result<Said, EffectError> {
    let span = task.span("git", "client");
    let wrote = perform(
        task,
        config,
        shadow,
        Some(address),
        arguments,
        None,
        MAX_OUTPUT,
    )
    .instrument(span.clone())
    .await;
    match &wrote {
        Ok(wrote) if wrote.is_success => {}
        Ok(_) => span::failed(&span, "git_failed"),
        Err(error) => span::failed(&span, error.code.name()),
    }
    let wrote = wrote?;
    let secrets = match &config.token {
        Some(token) => token::traces(token, &config.token_user),
        None => Vec::new(),
    };
    Ok(Said {
        is_success: wrote.is_success,
        stdout: scrub(&wrote.stdout, &secrets),
        stderr: scrub(&wrote.stderr, &secrets),
    })
}

/// Runs `git` in a shadow, with bytes in and out, without a remote or the token.
///
/// # Errors
/// As [`run`].
pub(in crate::git) async fn run_offline(
    task: &Task,
    config: &GitConfig,
    shadow: &Shadow,
    arguments: Vec<OsString>,
    stdin: Vec<u8>,
    max_stdout: usize,
) -> Result<Wrote, EffectError> {
    perform(
        task,
        config,
        shadow,
        None,
        arguments,
        Some(stdin),
        max_stdout,
    )
    .await
}

async fn perform(
    task: &Task,
    config: &GitConfig,
    shadow: &Shadow,
    address: Option<&Address>,
    arguments: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    max_stdout: usize,
) -> Result<Wrote, EffectError> {
    let mut command = Command::new(&config.program);
    command
        .args(arguments)
        .current_dir(shadow.git_dir())
        .env_clear()
        .envs(environment::of(config, shadow, address))
        .stdin(match stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(task, config, &error))?;
    let group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let input = child.stdin.take();
    let feed = async {
        if let (Some(mut input), Some(bytes)) = (input, stdin) {
            // One that does not read all of it says why.
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
    let outcome = match tokio::time::timeout(config.remote_time_limit, &mut talk).await {
        Ok(outcome) => outcome,
        Err(_) => {
            // Asked politely, git removes the files it has begun.
            group.signal(Signal::TERM);
            let _ = tokio::time::timeout(GRACE, &mut talk).await;
            return Err(task.error(
                ErrorCode::Timeout,
                format_args!(
                    "the remote did not answer in {:?} (`git.remote_time_limit`); try again",
                    config.remote_time_limit
                ),
            ));
        }
    };
    let (status, (stdout, is_cut), (stderr, _)) = outcome.map_err(|error| {
        EffectError::internal(format!("{}: git was lost: {error}", task.kind()))
    })?;
    group.has_ended();
    Ok(Wrote {
        is_success: status.success(),
        stdout,
        is_cut,
        stderr,
    })
}

/// Reads to the end and keeps the beginning; whether there was more.
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

/// Text for people: no secrets, and nothing that would move a terminal's cursor.
fn scrub(output: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(output).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    text.chars()
        .map(|letter| if letter == '\r' { '\n' } else { letter })
        .filter(|letter| !letter.is_control() || *letter == '\n' || *letter == '\t')
        .collect()
}

fn cannot_start(task: &Task, config: &GitConfig, error: &io::Error) -> EffectError {
    let program = config.program.display();
    match error.kind() {
        io::ErrorKind::NotFound => task.error(
            ErrorCode::Unavailable,
            format_args!("the program `{program}` is not installed on the host, which push and fetch need; install git"),
        ),
        _ => task.error(
            ErrorCode::Unavailable,
            format_args!("the program `{program}` cannot be started: {error}"),
        ),
    }
}

/// git and all it has started; killed when nobody waits for it any more.
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

    /// All have ended: the number may soon be another's.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// An argument list.
pub(in crate::git) fn arguments<const N: usize>(fixed: [&str; N]) -> Vec<OsString> {
    fixed.into_iter().map(OsString::from).collect()
}

/// The two programs a local remote is reached by, with what its configuration
/// could have them run switched off.
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
    fn neither_a_secret_nor_a_control_character_is_left_in_what_git_said() {
        let said = scrub(
            b"bad hunter2\x1b[31m aHVudGVyMg==\rnext\n",
            &["hunter2".into(), "aHVudGVyMg==".into(), String::new()],
        );
        assert_eq!(said, "bad ***[31m ***\nnext\n");
    }
}
