//! `trust`: remembers a configuration file, so that it may set every key where it is found.

use std::path::Path;

use exomonad_config::{Config, trust};

use super::CommandError;
use super::config::env;
use exomonad_host::capabilities;

/// Runs `trust`.
pub fn run(file: &Path, revoke: bool) -> Result<(), CommandError> {
    let failed =
        |error: std::io::Error| CommandError::Unavailable(format!("{}: {error}", file.display()));
    if revoke {
        match trust::forget(file, env).map_err(failed)? {
            true => outln!("{} is trusted no longer", file.display()),
            false => {
                return Err(CommandError::Refused(format!(
                    "{} is not trusted: there is nothing to revoke",
                    file.display()
                )));
            }
        }
        return Ok(());
    }
    // A file with mistakes is not trusted: nobody can have meant it as it is.
    let loaded = Config::load(Some(file), env, &capabilities())
        .map_err(|errors| CommandError::Usage(format!("nothing is trusted\n{errors}")))?;
    let path = trust::remember(file, env).map_err(failed)?;
    outln!("{} is trusted as it is now", path.display());
    let folder = path.parent().unwrap_or(Path::new("/"));
    for key in trust::guarded_keys(&loaded.config, &loaded.sources, folder) {
        outln!("  it may set {key}");
    }
    Ok(())
}
