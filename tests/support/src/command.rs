//! The binary under test, and commands that run to their end.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::{PATIENCE, process};

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
        "there is no {}: `cargo build` in the tests' profile makes it, or EXOMONAD_BIN names another",
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

/// Cargo's target folder, which the tests lie in.
pub(crate) fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    test.ancestors()
        .nth(3)
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// Exit code and output of a command that has ended.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl CommandOutput {
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
pub(crate) fn run(command: &mut Command, input: &[u8]) -> CommandOutput {
    let mut child = process::end_with_parent(command)
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
            process::signal(pid, libc::SIGKILL);
            panic!("{command:?} does not end");
        }
    };
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
