//! The one rule for tests that need a tool.

use std::fmt::Display;
use std::io::Write as _;

/// Gives the tool, or `None` where it cannot be had: the test is then to return. Under `CI=true` nothing is
/// skipped.
///
/// A skipped test is named on standard error and, for `scripts/test`, in the file `$EXOMONAD_SKIPPED`.
///
/// # Panics
/// Under `CI=true`, if the tool is missing.
pub fn required_or_skip<T>(tool: &str, found: Result<T, impl Display>) -> Option<T> {
    let error = match found {
        Ok(found) => return Some(found),
        Err(error) => error,
    };
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "under CI nothing is skipped, and {tool} is missing: {error}"
    );
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    eprintln!("SKIPPED: {test}: {tool} is missing: {error}");
    if let Some(path) = std::env::var_os("EXOMONAD_SKIPPED") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        let _ = file.and_then(|mut file| writeln!(file, "SKIPPED: {test}: {tool} is missing"));
    }
    None
}

/// Runs a script of this repository that installs a tool, and gives what it prints.
///
/// # Errors
/// The script's error output, if it fails.
pub fn installed_by(script: &str) -> Result<String, String> {
    installed_by_with(script, &[])
}

/// As [`installed_by`], with arguments.
///
/// # Errors
/// The script's error output, if it fails.
pub fn installed_by_with(script: &str, arguments: &[&str]) -> Result<String, String> {
    let path = crate::repository().join("scripts").join(script);
    let output = std::process::Command::new(&path)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
