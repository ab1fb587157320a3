//! The version that the binary says it is: that of the package, with the commit it is built from where that is
//! known. `EXOMONAD_COMMIT` says so where there is no repository, as in the image.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=EXOMONAD_COMMIT");
    let package = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = env::var("EXOMONAD_COMMIT").ok();
    // What is built for development is not built anew for each commit.
    let is_for_users = env::var("PROFILE").is_ok_and(|profile| profile != "debug");
    let commit = given.or_else(|| is_for_users.then(head)?);
    let is_commit =
        |text: &String| text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let version = match commit.filter(is_commit) {
        Some(commit) => format!("{package} ({})", commit.get(..12).unwrap_or(&commit)),
        None => package,
    };
    println!("cargo::rustc-env=EXOMONAD_VERSION={version}");
}

/// The commit of the repository that this file is in.
fn head() -> Option<String> {
    // The sources may lie in another project's repository.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    // It changes with each commit and each switch.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let ran = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(ran.stdout).ok()?;
    ran.status.success().then(|| text.trim().to_owned())
}
