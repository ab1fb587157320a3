//! Kills a command from outside its container: on the host, where its processes are ordinary ones.
//!
//! Only processes of the container are ever signalled: each is held by a descriptor first, so that
//! its number cannot come to mean another process, and then its control group must name the
//! container. Where the numbers of the engine mean nothing, because this host runs in a container
//! itself, no control group does, and nothing happens.

use std::collections::HashSet;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Number of searches: a process may start others while it is looked for.
const MAX_SEARCHES: u32 = 20;

/// Kills processes of the container that have the marker or belong to the session of the command,
/// whose process id on the host is `leader`, or 0. True if nothing was left in the end.
///
/// Reads all of `/proc`: to be called off the async threads.
pub(super) fn kill(container: &str, mark: &str, leader: i64) -> bool {
    let mut sessions: HashSet<i64> = Some(leader)
        .into_iter()
        .filter(|leader| *leader > 1)
        .collect();
    let mut known = HashSet::new();
    for _ in 0..MAX_SEARCHES {
        let mut is_left = false;
        for process in processes() {
            // Who may not read an environment may not signal its process either.
            let environment =
                fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            let is_marked = contains(&environment, mark.as_bytes());
            let is_related = sessions.contains(&process.session)
                || known.contains(&process.parent)
                || known.contains(&process.pid);
            if (is_marked || is_related) && signal(process.pid, container) {
                is_left = true;
                known.insert(process.pid);
                if is_marked && process.session > 1 {
                    sessions.insert(process.session);
                }
            }
        }
        if !is_left {
            // That nothing was found says something only where the container can be seen.
            return sees(container);
        }
    }
    false
}

/// A living process, as proc_pid_stat(5) has it.
struct Process {
    pid: i32,
    parent: i32,
    session: i64,
}

fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
}

/// A process, unless it has ended. The fields are those after its name, which may hold anything.
fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    match fields.next()? {
        "Z" | "X" => None,
        _ => Some(Process {
            pid,
            parent: fields.next()?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
        }),
    }
}

/// Kills a process if it is the container's; true if it was.
fn signal(pid: i32, container: &str) -> bool {
    let Some(process) = Pid::from_raw(pid) else {
        return false;
    };
    let Ok(held) = pidfd_open(process, PidfdFlags::empty()) else {
        return false;
    };
    is_of(pid, container) && pidfd_send_signal(held, Signal::KILL).is_ok()
}

/// True if a process's control group is the container's: Docker names it by the full id.
fn is_of(pid: i32, container: &str) -> bool {
    container.len() == 64
        && fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .is_ok_and(|groups| groups.contains(container))
}

fn sees(container: &str) -> bool {
    processes().any(|process| is_of(process.pid, container))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_outside_the_container_survives_even_with_the_marker() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env("EXOMONAD_EXEC", "on-host-test")
            .spawn()
            .unwrap();
        let nothing_left = kill(&"0".repeat(64), "EXOMONAD_EXEC=on-host-test", 0);
        assert!(!nothing_left, "a container nobody sees was called clean");
        assert!(child.try_wait().unwrap().is_none(), "it was killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_living_process_is_found_with_its_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = processes().find(|process| process.pid == own).unwrap();
        assert!(found.session >= 0 && found.parent > 0);
    }
}
