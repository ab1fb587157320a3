//! The folders that a host needs, before it serves.
//!
//! One that somebody has named has to be usable: a host in a container whose plugins or state were meant to
//! be mounted, and are not, would serve without them. One that is a default may be missing: a repository can
//! be read-only, and most roles need neither folder.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use exomonad_config::{Config, Source, Sources};

use super::CommandError;

/// Makes the folders that are missing.
///
/// # Errors
/// If one that the configuration names cannot be used, with the key that names it.
pub fn prepare(config: &Config, sources: &Sources) -> Result<(), CommandError> {
    let plugins = &config.plugins.dir;
    judge(
        "plugin",
        plugins,
        make_plugin_folder(plugins),
        sources,
        ["plugins", "dir"],
    )?;
    let state = &config.state.dir;
    if sources.of(["state", "dir"]) == Source::Default {
        // Made when it is first needed.
        return Ok(());
    }
    match try_to_write(state) {
        // A full disk is full for a while: effects say so until it is not.
        Err(error) if !is_lasting(&error) => Ok(()),
        tried => judge("state", state, tried, sources, ["state", "dir"]),
    }
}

fn judge(
    what: &str,
    folder: &Path,
    tried: io::Result<()>,
    sources: &Sources,
    key: [&'static str; 2],
) -> Result<(), CommandError> {
    let Err(error) = tried else { return Ok(()) };
    let by = match sources.of(key) {
        Source::Default => {
            tracing::warn!(folder = %folder.display(), %error, "the {what} folder cannot be made");
            return Ok(());
        }
        Source::Variable(name) => name.to_owned(),
        Source::File { line } => format!("{}:{line}", sources.file().display()),
    };
    Err(CommandError::Unavailable(format!(
        "the {what} folder {} cannot be used: {error}; mount a folder there that {}, or name another one (`{}`, \
         set by {by})",
        folder.display(),
        match what {
            "state" => format!("user {} may write", rustix::process::getuid().as_raw()),
            _ => format!("user {} may read", rustix::process::getuid().as_raw()),
        },
        key.join("."),
    )))
}

/// Makes the plugin folder, so that there is one to drop plugins into. A `.gitignore` beside it keeps the
/// host's own files out of the repository it is started in.
fn make_plugin_folder(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return fs::read_dir(folder).map(|_| ());
    }
    fs::create_dir_all(folder)?;
    match folder.parent() {
        Some(own) if own.ends_with(".exomonad") && !own.join(".gitignore").exists() => {
            fs::write(own.join(".gitignore"), "*\n")
        }
        _ => Ok(()),
    }
}

fn try_to_write(folder: &Path) -> io::Result<()> {
    // What roles keep is nobody's business but the host's.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let probe = folder.join(format!(".exomonad-{}", std::process::id()));
    fs::write(&probe, b"x")?;
    fs::remove_file(&probe)
}

/// True if it will be the same the next time.
fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    [
        NotADirectory,
        NotFound,
        PermissionDenied,
        ReadOnlyFilesystem,
    ]
    .contains(&error.kind())
}
