//! Runs a program of the host with bounds on its time, its memory and its outputs.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Time that a program has to clean up after itself when it is asked to stop.
const GRACE: Duration = Duration::from_secs(1);

/// Time between two looks at whether anybody still waits.
const PAUSE: Duration = Duration::from_millis(50);

/// The bounds of a program and all it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessLimits {
    pub(crate) time: Duration,
    /// Bytes of memory of each process: objects of a repository, small as they are on disk, can take
    /// any amount when they are read.
    pub(crate) memory: u64,
    /// Bytes kept of each output.
    pub(crate) stdout: usize,
    pub(crate) stderr: usize,
    /// Bytes of each file that it may write; `None` for any.
    pub(crate) file: Option<u64>,
    /// If true, it ends when it says more than is kept.
    pub(crate) ends_when_cut: bool,
}

/// The outputs of a program.
#[derive(Debug)]
pub(crate) struct ProcessOutput {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// True if there was more of standard output, or of either where the program ends by that.
    pub(crate) is_cut: bool,
}

/// Runs a program to its end; `None` when its time is over.
///
/// Dropping the future kills it and what it has started.
///
/// # Errors
/// When it cannot be started, or is lost.
pub(crate) async fn run(
    mut command: Command,
    stdin: Option<Vec<u8>>,
    limits: ProcessLimits,
) -> Result<Option<ProcessOutput>, ProcessError> {
    command
        .stdin(match stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    set_limits(&mut command, limits);
    let mut child = command.spawn().map_err(ProcessError::Start)?;
    let group = Group::of(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let input = child.stdin.take();
    let feed = async {
        if let (Some(mut input), Some(bytes)) = (input, stdin) {
            // The program says why when it does not read all of it.
            let _ = input.write_all(&bytes).await;
        }
    };
    let outcome = {
        let ends_at_limit = limits.ends_when_cut.then_some(&group);
        let talk = async {
            let (stdout, stderr, (), status) = tokio::join!(
                read(stdout, limits.stdout, ends_at_limit),
                read(stderr, limits.stderr, ends_at_limit),
                feed,
                child.wait()
            );
            status.map(|status| (status, stdout, stderr))
        };
        tokio::pin!(talk);
        match tokio::time::timeout(limits.time, &mut talk).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // Asked politely, git removes the files it has begun.
                group.signal(Signal::TERM);
                let _ = tokio::time::timeout(GRACE, &mut talk).await;
                return Ok(None);
            }
        }
    };
    let (status, (stdout, is_cut), (stderr, is_cut_too)) = outcome.map_err(ProcessError::Lost)?;
    group.has_ended();
    Ok(Some(ProcessOutput {
        status,
        stdout,
        stderr,
        is_cut: is_cut || (limits.ends_when_cut && is_cut_too),
    }))
}

/// As [`run`], on a thread that may wait: until `check` fails.
///
/// # Errors
/// That of `check`; within it, why the program did not run to its end.
pub(crate) fn run_on_this_thread<E>(
    command: Command,
    stdin: Vec<u8>,
    limits: ProcessLimits,
    check: impl Fn() -> Result<(), E>,
) -> Result<Result<Option<ProcessOutput>, ProcessError>, E> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Ok(Err(ProcessError::Start(error))),
    };
    runtime.block_on(async {
        let running = run(command, Some(stdin), limits);
        tokio::pin!(running);
        loop {
            match tokio::time::timeout(PAUSE, &mut running).await {
                Ok(ran) => return Ok(ran),
                Err(_) => check()?,
            }
        }
    })
}

/// A program did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It cannot be started.
    #[error("it cannot be started: {0}")]
    Start(io::Error),
    /// Its end cannot be told.
    #[error("it was lost: {0}")]
    Lost(io::Error),
}

#[allow(
    unsafe_code,
    reason = "the standard library has no other way to set a child's limits"
)]
fn set_limits(command: &mut Command, limits: ProcessLimits) {
    let to = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let set = move || {
        setrlimit(Resource::Data, to(limits.memory))?;
        if let Some(file) = limits.file {
            setrlimit(Resource::Fsize, to(file))?;
            setrlimit(Resource::Core, to(0))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec this makes system calls, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

/// Reads to the end and keeps the beginning; true if there was more, for which a group may be killed.
async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    max: usize,
    ends_at_limit: Option<&Group>,
) -> (Vec<u8>, bool) {
    let (mut kept, mut is_cut) = (Vec::new(), false);
    let Some(mut stream) = stream else {
        return (kept, is_cut);
    };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = max.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
        is_cut |= room < count;
        if let Some(group) = ends_at_limit.filter(|_| is_cut) {
            group.signal(Signal::KILL);
            break;
        }
    }
    (kept, is_cut)
}

/// The process group of a program and all it has started; killed when dropped.
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
