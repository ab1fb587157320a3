//! Runs a command in a container until it has ended.
//!
//! The command runs as it is, without a wrapper, so that its exit code, its input and its image's
//! lack of a shell do not matter. It is marked by an environment variable, by which it and everything
//! it has started are found when they are to be [killed](super::kill).
//!
//! **When its outputs end before it does**, it either closed them or the connection was lost; the
//! two look the same. It is waited for, and its output counts as cut off if that takes more
//! than a moment.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use exomonad_core::CallContext;
use exomonad_schema::effects::docker::{DockerExec, DockerExecResult};
use exomonad_schema::{EffectError, ErrorCode};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::engine::EngineSession;
use super::kill::{KillOnDrop, Running};
use super::mount_owner;
use super::names;
use super::output::{Keep, Output};

/// The buffer for what the engine sends; it sends up to 32 KiB at once.
const READ_BUFFER: usize = 32 << 10;

/// Time a command may outlive its outputs before they count as cut off.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// Longest interval between two looks at a command that runs.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Time to wait for the exit code of a command that does not run any more.
const EXIT_CODE_TIMEOUT: Duration = Duration::from_secs(5);

type OutputStream = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;
type InputStream = Pin<Box<dyn AsyncWrite + Send>>;

/// Error details of a command that did not end well: its output until then.
#[derive(Serialize)]
struct PartialOutput {
    output: exomonad_schema::effects::docker::DockerOutput,
}

/// A command that was checked.
#[derive(Debug)]
pub(super) struct Command {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// `NAME=value`, on top of the container's own environment.
    pub(super) env: Vec<String>,
    /// The user that runs it; the container's own when absent.
    pub(super) user: Option<String>,
    /// The working directory; the container's own when absent.
    pub(super) workdir: Option<String>,
    /// Standard input; empty when absent.
    pub(super) stdin: Option<Vec<u8>>,
    /// Time limit.
    pub(super) time_limit: Option<Duration>,
}

/// Runs a guest's command.
pub(super) async fn run(
    session: EngineSession,
    call: &CallContext,
    request: DockerExec,
) -> Result<DockerExecResult, EffectError> {
    let found = session.container(call, &request.container).await?;
    let limit = request
        .max_output_bytes
        .get()
        .min(session.engine.config.max_output_bytes);
    let only = found
        .inspected
        .config
        .as_ref()
        .and_then(|config| config.labels.as_ref());
    let only = only.and_then(|labels| labels.get(mount_owner::LABEL));
    mount_owner::check_user(
        &session.context,
        only.map(String::as_str),
        request.user.as_deref(),
    )?;
    let command = command(&session, request)?;
    let mut output = Output::new(Keep::Beginning, limit);
    match perform(&session, &found.id, command, &mut output).await {
        Ok(exit_code) => Ok(DockerExecResult {
            exit_code,
            output: output.finish(),
        }),
        Err(error) => Err(error.with_details(&PartialOutput {
            output: output.finish(),
        })),
    }
}

/// Runs a command to its end and gives its exit code. It is killed when it takes longer than its
/// time, and when this future is dropped.
pub(super) async fn perform(
    session: &EngineSession,
    container: &str,
    command: Command,
    output: &mut Output,
) -> Result<i32, EffectError> {
    let mark = mark()?;
    let Command {
        words,
        mut env,
        user,
        workdir,
        stdin,
        time_limit,
    } = command;
    env.push(mark.clone());
    let options = CreateExecOptions {
        attach_stdin: Some(stdin.is_some()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(env),
        cmd: Some(words),
        privileged: Some(false),
        user: user.clone(),
        working_dir: workdir,
        ..CreateExecOptions::default()
    };
    let exec = session
        .request(session.client.create_exec(container, options))
        .await?
        .id;
    // From here on it may run, whatever the engine answers.
    let running = KillOnDrop::new(Running {
        session: session.clone(),
        container: container.to_owned(),
        exec: exec.clone(),
        mark,
        user,
    });
    let ended = within(time_limit, async {
        let (written, input) = start(session, &exec).await?;
        exchange(session, written, input, stdin, output).await?;
        code(session, container, &exec, output).await
    })
    .await;
    match ended {
        Some(Ok(exit_code)) => {
            running.release();
            Ok(exit_code)
        }
        // Whether it still runs is not known: dropping `running` sees to that.
        Some(Err(error)) => Err(error),
        None => {
            let is_gone = match running.kill() {
                Some(killed) => killed.await.unwrap_or(false),
                None => false,
            };
            let outcome = if is_gone {
                "was killed"
            } else {
                "may still run, since killing it failed (the host's log says more)"
            };
            Err(session.context.error(
                ErrorCode::Timeout,
                format_args!(
                    "the command took longer than its {:?} and {outcome}; give it more time or \
                     less to do (`details.output` has what it wrote)",
                    time_limit.unwrap_or_default()
                ),
            ))
        }
    }
}

/// `None` when it took longer.
async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

/// A marker that no other exec has in its environment.
fn mark() -> Result<String, EffectError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        EffectError::internal(format!("the operating system gives no randomness: {error}"))
    })?;
    Ok(format!(
        "{}={:032x}",
        names::EXEC_MARKER,
        u128::from_ne_bytes(bytes)
    ))
}

/// Checks a guest's request.
fn command(session: &EngineSession, request: DockerExec) -> Result<Command, EffectError> {
    let context = &session.context;
    if request.command.first().is_none_or(String::is_empty) {
        return Err(context.invalid("`command` is empty; give a program and its arguments"));
    }
    names::command(context, &request.command)?;
    names::user_and_workdir(context, request.user.as_deref(), request.workdir.as_deref())?;
    Ok(Command {
        env: names::environment(context, &request.env)?,
        words: request.command,
        user: request.user,
        workdir: request.workdir,
        stdin: request.stdin.map(String::into_bytes),
        time_limit: request
            .timeout_millis
            .map(|millis| Duration::from_millis(millis.get())),
    })
}

async fn start(
    session: &EngineSession,
    exec: &str,
) -> Result<(OutputStream, InputStream), EffectError> {
    let options = StartExecOptions {
        output_capacity: Some(READ_BUFFER),
        ..StartExecOptions::default()
    };
    match session
        .request(session.client.start_exec(exec, Some(options)))
        .await?
    {
        StartExecResults::Attached { output, input } => Ok((output, input)),
        StartExecResults::Detached => Err(EffectError::internal(
            "the Docker engine did not give the command's output",
        )),
    }
}

/// Writes its input while its outputs are read, so that neither waits for the other; until its
/// outputs end.
async fn exchange(
    session: &EngineSession,
    mut written: OutputStream,
    mut input: InputStream,
    stdin: Option<Vec<u8>>,
    output: &mut Output,
) -> Result<(), EffectError> {
    let feed = async {
        if let Some(stdin) = stdin {
            // A command need not read all of its input.
            let _ = input.write_all(&stdin).await;
            let _ = input.shutdown().await;
        }
        std::future::pending::<()>().await;
    };
    let drain = async {
        while let Some(piece) = written.next().await {
            output.push(&piece?);
        }
        Ok(())
    };
    tokio::select! {
        drained = drain => drained.map_err(|error| session.effect_error(&error)),
        () = feed => Ok(()),
    }
}

/// Waits for the exit code. The engine has it a little after the end of the outputs.
async fn code(
    session: &EngineSession,
    container: &str,
    exec: &str,
    output: &mut Output,
) -> Result<i32, EffectError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let state = match session.request(session.client.inspect_exec(exec)).await {
            Ok(state) => state,
            Err(error) if error.code == ErrorCode::NotFound => {
                return Err(forgotten(session, container).await);
            }
            Err(error) => return Err(error),
        };
        let runs = state.running.unwrap_or(false);
        if let (false, Some(code)) = (runs, state.exit_code) {
            return Ok(i32::try_from(code).unwrap_or(i32::MAX));
        }
        if !runs && began.elapsed() > EXIT_CODE_TIMEOUT {
            return Err(session.context.error(
                ErrorCode::Unavailable,
                "the Docker engine does not tell how the command ended; look at what it was to do",
            ));
        }
        if runs && began.elapsed() > OUTPUT_GRACE {
            output.mark_truncated();
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_POLL_INTERVAL);
    }
}

/// The error when the engine does not know the command any more.
async fn forgotten(session: &EngineSession, container: &str) -> EffectError {
    let context = &session.context;
    match session
        .request(session.client.inspect_container(container, None))
        .await
    {
        Err(error) if error.code == ErrorCode::NotFound => context.error(
            ErrorCode::NotFound,
            "the container was removed while the command ran in it",
        ),
        Err(error) => error,
        Ok(_) => context.error(
            ErrorCode::Unavailable,
            "the Docker engine was restarted while the command ran, and does not know how it \
             ended; look at what it was to do",
        ),
    }
}
