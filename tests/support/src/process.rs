//! Processes that end with the test that starts them.

use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

/// A process that is killed when this is dropped, and also when the thread that started it ends otherwise.
#[derive(Debug)]
pub struct ChildGuard(Child);

impl ChildGuard {
    /// Starts the process.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let child = end_with_parent(command).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn wait_for_end(mut self) -> std::process::ExitStatus {
        self.0.wait().expect("a child can be waited for")
    }
}

impl Deref for ChildGuard {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for ChildGuard {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has the kernel kill the process when the thread that starts it ends: a test that is killed drops nothing.
#[expect(
    unsafe_code,
    reason = "the standard library has no word for PR_SET_PDEATHSIG"
)]
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: `prctl` may be called between fork and exec.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        )
    }
}

/// Sends a signal to a process that this test started.
#[expect(
    unsafe_code,
    reason = "the standard library sends no signal but SIGKILL"
)]
pub fn signal(pid: u32, signal: i32) {
    // SAFETY: `kill` reads nothing of this process's memory.
    unsafe {
        libc::kill(pid.cast_signed(), signal);
    }
}

/// The exit code of a child that has ended; `None` inside if a signal ended it.
pub(crate) fn exit_code(child: &mut Child) -> Option<Option<i32>> {
    child.try_wait().ok().flatten().map(|status| status.code())
}
