//! The version that the binary says it is: that of the package, with the commit it is built from where that is
//! known. `EXOMONAD_COMMIT` says so where there is no repository, as in the image.
//!
//! And the projects that `plugin new` writes: each SDK of `guest-sdk` that has a `template`, as an archive.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use miniz_oxide::deflate::compress_to_vec_zlib;

/// What an SDK's folder holds that a project does not need.
const LEFT_OUT: [&str; 7] = [
    "tests",
    "tools",
    "target",
    "node_modules",
    "dist-newstyle",
    "zig-out",
    "kernel-sources",
];

/// The level of compression: best for its time.
const BEST: u8 = 9;

fn main() {
    version();
    if let Err(error) = templates() {
        println!("cargo::error=the templates of guest-sdk cannot be packed: {error}");
    }
}

/// Packs the SDKs, and writes `templates.rs`: a list of languages and archives.
fn templates() -> io::Result<()> {
    let sdks = Path::new("../guest-sdk");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed={}", sdks.display());
    let mut list = String::from("&[\n");
    for folder in sorted(sdks)? {
        if !folder.join("template").is_dir() {
            continue;
        }
        let language = folder.file_name().unwrap_or_default().to_string_lossy();
        let archive = out.join(format!("{language}.tar.zlib"));
        let mut tar = tar::Builder::new(Vec::new());
        // The same files give the same bytes.
        tar.mode(tar::HeaderMode::Deterministic);
        pack(&mut tar, &folder, &folder)?;
        fs::write(&archive, compress_to_vec_zlib(&tar.into_inner()?, BEST))?;
        list.push_str(&format!("({language:?}, include_bytes!({archive:?})),\n"));
    }
    list.push(']');
    fs::write(out.join("templates.rs"), list)
}

fn pack(tar: &mut tar::Builder<impl io::Write>, root: &Path, folder: &Path) -> io::Result<()> {
    for path in sorted(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let is_of_template = inside.starts_with("template");
        if path.is_dir() {
            let is_hidden = name.starts_with('.') && !is_of_template;
            // A template may have tests.
            let is_left_out = LEFT_OUT.contains(&&*name) && (!is_of_template || name != "tests");
            if !is_hidden && !is_left_out {
                pack(tar, root, &path)?;
            }
        } else {
            tar.append_path_with_name(&path, inside)?;
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn version() {
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
