//! `plugin new`: writes a project, whole or not at all.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use exomonad_schema::RoleName;

use super::template::{TemplateFile, files};
use crate::cli::CommandError;
use crate::cli::args::NewPluginArgs;

/// Runs `plugin new`.
pub fn new(arguments: &NewPluginArgs) -> Result<(), CommandError> {
    let NewPluginArgs {
        name,
        language,
        directory,
    } = arguments;
    // The command line takes no other.
    let files = files(language, name.as_str())
        .ok_or_else(|| CommandError::Usage(format!("there is no language `{language}`")))?;
    let folder = directory
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let failed =
        |error: io::Error| CommandError::Unavailable(format!("{}: {error}", folder.display()));
    refuse_contents(&folder)?;
    write(&folder, &files.map_err(failed)?).map_err(failed)?;
    tell(name, language, &folder);
    Ok(())
}

/// An error if there is something that a project would mix with.
fn refuse_contents(folder: &Path) -> Result<(), CommandError> {
    let first = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let reason = format!("{}: {error}", folder.display());
            return Err(CommandError::Unavailable(reason));
        }
    };
    match first {
        None => Ok(()),
        Some(entry) => {
            let entry = entry.map(|entry| entry.file_name().to_string_lossy().into_owned());
            Err(CommandError::Refused(format!(
                "{} is not empty: it has `{}`. A project is written into a new or empty folder",
                folder.display(),
                entry.unwrap_or_default()
            )))
        }
    }
}

/// Writes all files into a folder beside, which then takes the place.
fn write(folder: &Path, files: &[TemplateFile]) -> io::Result<()> {
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let name = folder.file_name().map_or_else(
        || "plugin".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let beside = parent.join(format!(".{name}.new-{}", std::process::id()));
    let written = (|| {
        for file in files {
            let path = beside.join(&file.path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, &file.content)?;
            if file.is_executable {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        // An empty folder may be in the place.
        fs::rename(&beside, folder)
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    written
}

fn tell(name: &RoleName, language: &str, folder: &Path) {
    outln!("{} has a plugin in {language}. Next:", folder.display());
    let folder = folder.display();
    outln!("  exomonad plugin test {folder}     # its own tests, without a host");
    outln!("  exomonad plugin build {folder}    # makes the module of {name}");
    outln!(
        "  exomonad plugin dev {folder}      # builds at each change, into the host's plugin folder"
    );
}
