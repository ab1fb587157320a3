//! Kills the command of an exec, with everything it has started.
//!
//! Docker's API can start a command in a container and cannot end one. Two ways need nothing of the
//! command or its image:
//!
//! 1. **Inside the container**, by a second exec of the same user: every process whose environment
//!    holds the marker that [`exec`](super::exec) gives to each command, and the children and sessions
//!    of these, where those are that dropped their environment. It needs `sh` and `grep`, as Debian,
//!    Alpine and BusyBox have them, and works wherever the engine is.
//! 2. **On the host** ([`kill_on_host`](super::kill_on_host)), when the engine is on a socket of this machine
//!    and its processes can be seen and signalled: for images without a shell, containers that are
//!    out of processes, and commands that began by dropping their environment.
//!
//! Both are repeated until nothing is left, the engine says that the command has ended, or the time
//! for it is over, which the log then says. On an engine that is not of this machine, a process in
//! a container without a shell, a command that begins by dropping its environment, and one that
//! becomes another user are out of reach and go on. So is, anywhere, a process that has dropped its
//! environment, left its session and lost its parent before anyone looked.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::config::Endpoint;
use super::engine::EngineSession;
use super::kill_on_host;

/// Kills, in the container it runs in, processes with the marker `$1`: 0 when nothing is left. A process
/// may start others while it is looked for, hence the repetition. Of `stat`, the fields after the name
/// are state, parent, group and session (proc_pid_stat(5)).
const SWEEP: &str = r#"
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mark=$1 turn=0 sessions=' ' known=' '
while :; do
    left=
    for file in $(grep -lsF -e "$mark" /proc/[0-9]*/environ); do
        pid=${file#/proc/} pid=${pid%/environ}
        { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
        set -- ${stat##*) }
        [ "$1" = Z ] && continue
        known="$known$pid "
        [ "$4" -gt 1 ] && sessions="$sessions$4 "
    done
    for file in /proc/[0-9]*/stat; do
        { read -r stat <"$file"; } 2>/dev/null || continue
        pid=${stat%% *}
        set -- ${stat##*) }
        [ "$1" = Z ] && continue
        case "$known@$sessions" in
            *" $pid "*@* | *" $2 "*@* | *@*" $4 "*) left="$left $pid" known="$known$pid " ;;
        esac
    done
    [ -z "$left" ] && exit 0
    turn=$((turn + 1))
    [ "$turn" -gt 20 ] && exit 1
    kill -9 $left 2>/dev/null
    [ "$turn" -gt 3 ] && sleep 0.05
done
"#;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Number of times a command is found not to have begun before that is believed: its start may still be on
/// its way through the engine.
const TRIES_BEFORE_BEGINNING: u32 = 10;

/// A command that is killed when this is dropped, unless it is [released](Self::release).
#[derive(Debug)]
pub(super) struct KillOnDrop(Option<Running>);

/// A command in a container.
#[derive(Debug)]
pub(super) struct Running {
    /// Holds the effect's permit until the command is gone.
    pub(super) session: EngineSession,
    /// The container's full id.
    pub(super) container: String,
    /// The exec's id.
    pub(super) exec: String,
    /// The marker in the environment of the command and its children.
    pub(super) mark: String,
    /// The user that runs it, as the request has it.
    pub(super) user: Option<String>,
}

impl KillOnDrop {
    pub(super) fn new(running: Running) -> Self {
        Self(Some(running))
    }

    /// The command has ended by itself.
    pub(super) fn release(mut self) {
        self.0 = None;
    }

    /// Kills it now. The work goes on when its handle is dropped.
    pub(super) fn kill(mut self) -> Option<JoinHandle<bool>> {
        self.0.take().and_then(spawn_kill)
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            spawn_kill(running);
        }
    }
}

/// Kills in a task of its own, since nobody may be left to wait for it. Without a runtime the host
/// is at its end.
fn spawn_kill(running: Running) -> Option<JoinHandle<bool>> {
    let handle = Handle::try_current().ok()?;
    Some(handle.spawn(async move {
        let limit = running.session.engine.config.kill_time_limit;
        let is_gone = timeout(limit, running.kill()).await.is_ok();
        if !is_gone {
            tracing::warn!(
                container = %running.container,
                exec = %running.exec,
                role = %running.session.context.role(),
                limit = ?limit,
                "the command of a docker.exec could not be killed in time and may still run",
            );
        }
        is_gone
    }))
}

impl Running {
    /// Kills it; returns when nothing of it is left.
    async fn kill(&self) {
        let client = &self.session.client;
        let mut not_begun = 0;
        loop {
            match client.inspect_exec(&self.exec).await {
                Ok(state) if state.running == Some(true) || state.exit_code.is_some() => {
                    if self.is_gone_after_sweeping(state.pid.unwrap_or(0)).await {
                        return;
                    }
                }
                Ok(_) => {
                    not_begun += 1;
                    if not_begun >= TRIES_BEFORE_BEGINNING {
                        return;
                    }
                }
                Err(error) if is_gone(&error) => return,
                // The engine may be on its way back.
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Kills inside the container, and on the host what that has not reached; true if nothing is
    /// left. `pid` is the command's number on the host.
    async fn is_gone_after_sweeping(&self, pid: i64) -> bool {
        let is_clean = match self.sweep().await {
            Ok(is_clean) => is_clean,
            Err(error) if is_gone(&error) => return true,
            Err(error) => {
                tracing::debug!(container = %self.container, %error, "an exec is killed on the host");
                false
            }
        };
        if is_clean && !self.runs().await {
            return true;
        }
        let is_clean = self.sweep_on_host(pid).await;
        (is_clean && !self.runs().await) || self.has_ended().await
    }

    /// True if the engine says that the command runs, or cannot say.
    async fn runs(&self) -> bool {
        match self.session.client.inspect_exec(&self.exec).await {
            Ok(state) => state.running != Some(false),
            Err(error) => !is_gone(&error),
        }
    }

    /// Kills inside the container; true if nothing was left.
    async fn sweep(&self) -> Result<bool, EngineError> {
        let client = &self.session.client;
        let words = ["sh", "-c", SWEEP, "sh", &self.mark];
        let options = CreateExecOptions {
            cmd: Some(words.map(str::to_owned).to_vec()),
            user: self.user.clone(),
            working_dir: Some("/".to_owned()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let sweep = client.create_exec(&self.container, options).await?.id;
        let started = client.start_exec(&sweep, None::<StartExecOptions>).await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(written) = output.next().await {
                written?;
            }
        }
        loop {
            let state = client.inspect_exec(&sweep).await?;
            if state.running == Some(false)
                && let Some(code) = state.exit_code
            {
                return Ok(code == 0);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills on this machine, if the engine is here; true if nothing was left.
    async fn sweep_on_host(&self, pid: i64) -> bool {
        if !matches!(self.session.engine.endpoint, Endpoint::Unix(_)) {
            return false;
        }
        let container = self.container.clone();
        let mark = self.mark.clone();
        tokio::task::spawn_blocking(move || kill_on_host::kill(&container, &mark, pid))
            .await
            .unwrap_or(false)
    }

    /// True if the container runs no more.
    async fn has_ended(&self) -> bool {
        let inspected = self.session.client.inspect_container(&self.container, None);
        match inspected.await {
            Ok(inspected) => inspected
                .state
                .is_some_and(|state| state.running == Some(false)),
            Err(error) => is_gone(&error),
        }
    }
}

/// True if the engine knows no such thing: where the container is gone, no command of it runs.
fn is_gone(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}
