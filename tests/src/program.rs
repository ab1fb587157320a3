//! The binary under test, and what a run of it leaves.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::PATIENCE;

/// The binary under test.
///
/// # Panics
/// If it isn't there, with what to do.
#[must_use]
pub fn binary() -> PathBuf {
    let path = match std::env::var_os("EXOMONAD_BIN") {
        Some(path) => PathBuf::from(path),
        None => beside_the_tests(),
    };
    assert!(
        path.is_file(),
        "there is no {}: `cargo build --release` makes it, or EXOMONAD_BIN names another",
        path.display()
    );
    path
}

/// Test binaries lie in `<target>/<profile>/deps`, the binary in `<target>/<profile>`.
fn beside_the_tests() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    test.ancestors()
        .nth(2)
        .map(|profile| profile.join("exomonad"))
        .unwrap_or_default()
}

/// What a command that ended has left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Both outputs, for what may stand in either.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// Runs a command to its end, with this on its standard input.
///
/// # Panics
/// If it can't be run, or does not end.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = child.id();
    // A command that doesn't read its input closes it: that is no failure.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let output = match end.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap_or_else(|error| panic!("{command:?}: {error}")),
        Err(_) => {
            signal(pid, libc::SIGKILL);
            panic!("{command:?} does not end");
        }
    };
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal to a process that this test started.
#[expect(
    unsafe_code,
    reason = "the standard library sends no signal but SIGKILL"
)]
pub(crate) fn signal(pid: u32, signal: i32) {
    // SAFETY: `kill` reads nothing of this process's memory.
    unsafe {
        libc::kill(pid.cast_signed(), signal);
    }
}

/// Whether the child has ended, with its exit code; `None` inside if a signal ended it.
pub(crate) fn ended(child: &mut Child) -> Option<Option<i32>> {
    child.try_wait().ok().flatten().map(|status| status.code())
}
