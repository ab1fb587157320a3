//! Running git.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use exomonad_schema::{EffectError, ErrorCode};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tracing::Instrument;

use super::address::Address;
use super::shadow::Shadow;
use super::token;
use crate::git::GitConfig;
use crate::git::task::Task;
use crate::span;

/// How much of what git says is kept, of each of its two streams.
const MAX_OUTPUT: usize = 256 << 10;

/// How long git has to clean up after itself when it is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// How ssh is run: with the host's keys and agent, asking nobody anything, and
/// never with a server that is not known.
const SSH: &str = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oForwardAgent=no \
                   -oClearAllForwardings=yes -oPermitLocalCommand=no";

/// What of the host's own environment git is given: where programs, the ssh
/// agent, a proxy and certificates are.
const PASSED_ON: &[&str] = &[
    "PATH",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What git said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) is_success: bool,
    pub(super) stdout: String,
    /// Without secrets and control characters.
    pub(super) stderr: String,
}

/// Runs `git` in a shadow, for `address`.
///
/// Dropping the future kills git and what it has started.
///
/// # Errors
/// `unavailable` when git cannot be started, `timeout` when it takes too long.
pub(super) async fn run(
    task: &Task,
    config: &GitConfig,
    shadow: &Shadow,
    address: &Address,
    arguments: Vec<OsString>,
) -> Result<Said, EffectError> {
    let span = task.span("git", "client");
    let said = talk(task, config, shadow, address, arguments)
        .instrument(span.clone())
        .await;
    match &said {
        Ok(said) if said.is_success => {}
        Ok(_) => span::failed(&span, "git_failed"),
        Err(error) => span::failed(&span, error.code.name()),
    }
    said
}

async fn talk(
    task: &Task,
    config: &GitConfig,
    shadow: &Shadow,
    address: &Address,
    arguments: Vec<OsString>,
) -> Result<Said, EffectError> {
    let mut command = Command::new(&config.program);
    command
        .args(arguments)
        .current_dir(shadow.git_dir())
        .env_clear()
        .envs(environment(config, shadow, address))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(task, config, &error))?;
    let group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let talk = async {
        let (stdout, stderr, status) = tokio::join!(read(stdout), read(stderr), child.wait());
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
    let (status, stdout, stderr) = outcome.map_err(|error| {
        EffectError::internal(format!("{}: git was lost: {error}", task.kind()))
    })?;
    group.has_ended();
    let secrets = match &config.token {
        Some(token) => token::traces(token, &config.token_user),
        None => Vec::new(),
    };
    Ok(Said {
        is_success: status.success(),
        stdout: scrub(&stdout, &secrets),
        stderr: scrub(&stderr, &secrets),
    })
}

fn environment(
    config: &GitConfig,
    shadow: &Shadow,
    address: &Address,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)))
        .collect();
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        variables.push((name.into(), value.as_ref().to_owned()));
    };
    // The user's home has a `.netrc`, whose passwords curl would send; ssh does
    // not look at this variable.
    set("HOME", &shadow.git_dir());
    set("LC_ALL", &"C");
    set("GIT_DIR", &shadow.git_dir());
    set("GIT_OBJECT_DIRECTORY", &shadow.objects());
    set("GIT_CONFIG_NOSYSTEM", &"1");
    set("GIT_CONFIG_GLOBAL", &"/dev/null");
    set("GIT_ATTR_NOSYSTEM", &"1");
    set("GIT_TERMINAL_PROMPT", &"0");
    set("GIT_ASKPASS", &"false");
    set("GIT_ALLOW_PROTOCOL", &address.protocol);
    set("GIT_SSH_COMMAND", &SSH);
    set("GIT_SSH_VARIANT", &"ssh");
    let settings = settings(config, address);
    set("GIT_CONFIG_COUNT", &settings.len().to_string());
    for (number, (key, value)) in settings.iter().enumerate() {
        set(&format!("GIT_CONFIG_KEY_{number}"), key);
        set(&format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    variables
}

/// The only configuration git has, handed over in its environment: a command
/// line could be read by anyone on the machine.
fn settings(config: &GitConfig, address: &Address) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        // A redirect could lead the token, or the host's reach, elsewhere.
        ("http.followRedirects", "false"),
        ("credential.helper", ""),
        ("core.hooksPath", "/dev/null"),
        ("core.abbrev", "40"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("fetch.recurseSubmodules", "false"),
        ("push.recurseSubmodules", "no"),
        ("transfer.bundleURI", "false"),
        ("advice.pushUpdateRejected", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if let (Some(base), Some(token)) = (&address.token_for, &config.token) {
        settings.push((
            format!("http.{base}.extraHeader"),
            format!("Authorization: {}", token::basic(token, &config.token_user)),
        ));
    }
    settings
}

/// Reads to the end and keeps the beginning.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else {
        return kept;
    };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = MAX_OUTPUT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    kept
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
pub(super) fn arguments<const N: usize>(fixed: [&str; N]) -> Vec<OsString> {
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
