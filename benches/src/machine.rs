//! The machine that the numbers are of, and the operating system's counters.

use std::fs;
use std::process::Command;

/// Cores, processor, kernel, compiler and commit in one line, for above a table.
#[must_use]
pub fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = line("/proc/cpuinfo", "model name").unwrap_or_default();
    let processor = processor.trim_start_matches([':', ' ']);
    let memory = kilobytes("/proc/meminfo", "MemTotal:") >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let changed = if output("git", &["status", "--porcelain", "runtime/engine/src"]).is_empty() {
        ""
    } else {
        " and changes"
    };
    format!(
        "{cores} cores of {processor}, {memory} GiB, Linux {}, {}, commit {}{changed}",
        kernel.trim(),
        output("rustc", &["--version"]),
        output("git", &["rev-parse", "--short", "HEAD"]),
    )
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(crate::guests::root())
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

fn line(file: &str, key: &str) -> Option<String> {
    let content = fs::read_to_string(file).ok()?;
    content
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .map(|rest| rest.trim().to_owned())
}

fn kilobytes(file: &str, key: &str) -> u64 {
    let value = line(file, key).unwrap_or_default();
    value
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// The most memory that this process ever had resident, in MiB.
#[must_use]
pub fn peak_resident_mib() -> u64 {
    kilobytes("/proc/self/status", "VmHWM:") >> 10
}

/// The threads that this process has now.
#[must_use]
pub fn threads() -> u64 {
    kilobytes("/proc/self/status", "Threads:")
}

/// The page faults of this process that needed no disk, so far.
#[must_use]
pub fn minor_faults() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The fields after the program's name, which may hold spaces; the eighth of them is `minflt`.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields
        .split_whitespace()
        .nth(7)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
