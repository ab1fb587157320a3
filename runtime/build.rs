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
const LEFT_OUT: [&str; 6] = [
    "tests",
    "target",
    "node_modules",
    "dist-newstyle",
    "zig-out",
    "kernel-sources",
];

/// The folder of a template in an SDK, and in the archive.
const TEMPLATE: &str = "template";
/// The folder of the SDK in the archive, and in a project.
const SDK: &str = "exomonad-sdk";

/// The level of compression: best for its time.
const BEST: u8 = 9;

fn main() {
    version();
    if let Err(error) = templates() {
        println!("cargo::error=the templates of guest-sdk cannot be packed: {error}");
    }
}

/// Packs the SDKs, and writes `templates.rs`: a list of languages and archives. The folder `template` of an SDK is for
/// the language that the SDK's folder is named after, `template-<language>` for one that shares the SDK.
fn templates() -> io::Result<()> {
    let sdks = Path::new("../guest-sdk");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed={}", sdks.display());
    let mut list = String::from("&[\n");
    let mut templates = Vec::new();
    for sdk in sorted(sdks)? {
        for folder in sorted(&sdk).unwrap_or_default() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if let Some(language) = name.strip_prefix(TEMPLATE) {
                let own = sdk.file_name().unwrap_or_default().to_string_lossy();
                let language = language.strip_prefix('-').unwrap_or(&own).to_owned();
                templates.push((language, sdk.clone(), folder));
            }
        }
    }
    for (language, sdk, template) in templates {
        let archive = out.join(format!("{language}.tar.zlib"));
        let mut tar = tar::Builder::new(Vec::new());
        // The same files give the same bytes.
        tar.mode(tar::HeaderMode::Deterministic);
        pack(&mut tar, &sdk, Path::new(SDK), &LEFT_OUT)?;
        pack(&mut tar, &template, Path::new(TEMPLATE), &[])?;
        fs::write(&archive, compress_to_vec_zlib(&tar.into_inner()?, BEST))?;
        list.push_str(&format!("({language:?}, include_bytes!({archive:?})),\n"));
    }
    list.push(']');
    fs::write(out.join("templates.rs"), list)
}

/// Packs a folder under another name.
fn pack(
    tar: &mut tar::Builder<impl io::Write>,
    folder: &Path,
    name: &Path,
    left_out: &[&str],
) -> io::Result<()> {
    for path in sorted(folder)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let is_left_out =
            left_out.contains(&&*file) || (!left_out.is_empty() && file.starts_with(TEMPLATE));
        let is_hidden = !left_out.is_empty() && file.starts_with('.');
        if is_left_out || is_hidden {
            continue;
        }
        let name = name.join(&*file);
        match path.is_dir() {
            true => pack(tar, &path, &name, left_out)?,
            false => tar.append_path_with_name(&path, &name)?,
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
