//! `plugin build` and `plugin test` of a project.

use std::path::{Path, PathBuf};

use exomonad_core::replace_file::{Mode, replace};

use super::file::Project;
use crate::cli::CommandError;

/// The first bytes of every WebAssembly binary, module or component.
const MAGIC: &[u8] = b"\0asm";

/// A longer module than this is none that a host loads.
const MAX_MODULE: u64 = 512 << 20;

/// Runs `plugin build`: builds a project, and puts the module into a folder if one is named.
pub fn build(folder: &Path, out: Option<&Path>) -> Result<(), CommandError> {
    let project = Project::open(folder)?;
    let module = make(&project)?;
    let placed = match out {
        Some(out) => place(&project, &module, out)?,
        None => module,
    };
    let size = std::fs::metadata(&placed).map_or(0, |about| about.len());
    outln!(
        "{}: {size} bytes, made from {}",
        placed.display(),
        project.file.language
    );
    Ok(())
}

/// Runs a project's own tests.
pub fn test(folder: &Path) -> Result<(), CommandError> {
    let project = Project::open(folder)?;
    match &project.file.test {
        Some(test) => project.run("test", test),
        None => Err(CommandError::Usage(format!(
            "{} names no command that tests it",
            folder.join(super::FILE).display()
        ))),
    }
}

/// Builds a project; gives the path of its module.
pub fn make(project: &Project) -> Result<PathBuf, CommandError> {
    let module = project.output();
    project.run("build", &project.file.build)?;
    let content = read(&module)?;
    match content.starts_with(MAGIC) {
        true => Ok(module),
        false => Err(CommandError::Refused(format!(
            "{} is no WebAssembly: `output` has to name what the build makes",
            module.display()
        ))),
    }
}

/// Puts a project's module into a folder under the plugin's name, in one step: a host may be watching.
pub fn place(project: &Project, module: &Path, folder: &Path) -> Result<PathBuf, CommandError> {
    let failed = |path: &Path, error: std::io::Error| {
        CommandError::Unavailable(format!("{}: {error}", path.display()))
    };
    let to = folder.join(format!("{}.wasm", project.name()));
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    replace(&to, &read(module)?, Mode::Kept).map_err(|error| failed(&to, error))?;
    Ok(to)
}

fn read(module: &Path) -> Result<Vec<u8>, CommandError> {
    super::file::read(module, MAX_MODULE).map_err(|error| {
        CommandError::Refused(format!(
            "{}: {error}: `output` in the project's file has to name what the build makes",
            module.display()
        ))
    })
}
