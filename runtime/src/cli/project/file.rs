//! `plugin-project.toml`: how a plugin's project is built and tested.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use exomonad_core::regular_file;
use exomonad_schema::RoleName;
use serde::Deserialize;

use crate::cli::CommandError;

/// The file's name.
pub const FILE: &str = "plugin-project.toml";

/// A file longer than this is no project file.
const MAX_BYTES: u64 = 1 << 20;

/// A project, as its file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectFile {
    /// The language, for people.
    pub language: String,
    /// The plugin's name, which its role will have; otherwise that of the module's file.
    pub name: Option<RoleName>,
    /// The module that the build makes, relative to the project's folder.
    pub output: PathBuf,
    /// The files and folders whose changes matter, relative to the project's folder.
    #[serde(default = "here")]
    pub sources: Vec<PathBuf>,
    /// Makes the module.
    pub build: CommandSpec,
    /// Runs the project's own tests.
    pub test: Option<CommandSpec>,
    /// The programs that the commands need.
    #[serde(default)]
    pub needs: Vec<Need>,
}

fn here() -> Vec<PathBuf> {
    vec![PathBuf::from(".")]
}

/// A command that runs in the project's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables, beside those that there are.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// A program that has to be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Its name, which is looked for in `PATH`.
    pub program: String,
    /// A command that prints its version: the first `x.y` counts.
    #[serde(default)]
    pub version: Vec<String>,
    /// The oldest version that will do.
    pub at_least: Option<String>,
    /// How to install it.
    pub install: String,
}

/// A project in its folder.
#[derive(Debug)]
pub struct Project {
    /// The folder.
    pub folder: PathBuf,
    /// What its file says.
    pub file: ProjectFile,
}

impl Project {
    /// Reads the project of a folder.
    pub fn open(folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(FILE);
        let usage = |reason: String| CommandError::Usage(format!("{}: {reason}", path.display()));
        let text = read(&path, MAX_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        let text = text.map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    ": this folder has no plugin's project; `exomonad plugin new` writes one"
                }
                _ => "",
            };
            usage(format!("{error}{hint}"))
        })?;
        let file: ProjectFile =
            toml_edit::de::from_str(&text).map_err(|error| usage(error.to_string()))?;
        let commands = std::iter::once(&file.build).chain(&file.test);
        if commands.into_iter().any(|one| one.command.is_empty()) {
            return Err(usage("a `command` is empty".to_owned()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            file,
        })
    }

    /// The module that the build makes.
    pub fn output(&self) -> PathBuf {
        self.folder.join(&self.file.output)
    }

    /// The plugin's name.
    pub fn name(&self) -> String {
        match &self.file.name {
            Some(name) => name.to_string(),
            None => {
                let stem = self.file.output.file_stem().unwrap_or_default();
                stem.to_string_lossy().into_owned()
            }
        }
    }

    /// Runs one of its commands, whose output goes to the terminal.
    pub fn run(&self, what: &str, spec: &CommandSpec) -> Result<(), CommandError> {
        self.check_needs()?;
        let (program, arguments) = spec
            .command
            .split_first()
            .ok_or_else(|| CommandError::Usage(format!("there is no command to {what} it")))?;
        let shown = spec.command.join(" ");
        let status = Command::new(self.in_folder(program))
            .args(arguments)
            .envs(&spec.environment)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| CommandError::Unavailable(format!("`{shown}`: {error}")))?;
        match status.success() {
            true => Ok(()),
            false => {
                errln!("exomonad: `{shown}` failed: {status}");
                Err(CommandError::Failed)
            }
        }
    }

    /// A program that is named by its path, from the project's folder on.
    fn in_folder(&self, program: &str) -> PathBuf {
        let is_path = program.contains('/');
        let path = match is_path {
            true => std::path::absolute(self.folder.join(program)),
            false => Ok(PathBuf::from(program)),
        };
        path.unwrap_or_else(|_| PathBuf::from(program))
    }

    /// An error that names every program that is missing or too old, and how to install it.
    fn check_needs(&self) -> Result<(), CommandError> {
        let problems = self.file.needs.iter();
        let problems: Vec<String> = problems.filter_map(|need| need.problem(self)).collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(CommandError::Unavailable(problems.join("\n"))),
        }
    }
}

/// Reads a regular file of a bounded length.
pub fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    regular_file::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(std::io::Error::other(format!(
            "it is longer than {most} bytes"
        ))),
        false => Ok(bytes),
    }
}

impl Need {
    fn problem(&self, project: &Project) -> Option<String> {
        let Self {
            program, install, ..
        } = self;
        if !is_in_path(&project.in_folder(program)) {
            return Some(format!("`{program}` is not installed: {install}"));
        }
        let wanted = self.at_least.as_deref()?;
        let (first, arguments) = self.version.split_first()?;
        let asked = Command::new(first)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let printed = match asked {
            Ok(output) => [output.stdout, output.stderr].concat(),
            Err(error) => return Some(format!("`{}`: {error}", self.version.join(" "))),
        };
        let printed = String::from_utf8_lossy(&printed);
        let found = version_in(&printed);
        match (found, version_in(wanted)) {
            (Some(found), Some(wanted)) if found >= wanted => None,
            (Some(found), _) => {
                let found: Vec<String> = found.iter().map(u64::to_string).collect();
                let found = found.join(".");
                Some(format!(
                    "`{program}` is version {found}, and {wanted} or newer is needed: {install}"
                ))
            }
            (None, _) => Some(format!(
                "`{}` printed no version: {wanted} or newer of `{program}` is needed: {install}",
                self.version.join(" ")
            )),
        }
    }
}

/// True if a program can be started by this name.
fn is_in_path(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    let is_program = |path: &Path| {
        std::fs::metadata(path)
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if program.components().count() > 1 {
        return is_program(program);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| is_program(&folder.join(program)))
}

/// The first `x.y` or `x.y.z` in a text.
fn version_in(text: &str) -> Option<Vec<u64>> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    text.split(|c| !is_part(c)).find_map(|word| {
        let parts: Option<Vec<u64>> = word
            .trim_end_matches('.')
            .split('.')
            .map(|part| part.parse().ok())
            .collect();
        parts.filter(|parts| parts.len() > 1)
    })
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn the_first_version_in_a_text_counts() {
        for (text, version) in [
            ("go version go1.26.6 linux/amd64", Some(vec![1, 26, 6])),
            ("0.15.2", Some(vec![0, 15, 2])),
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some(vec![1, 95, 0])),
            ("Version 3", None),
            ("", None),
            ("v20.20.", Some(vec![20, 20])),
        ] {
            assert_eq!(version_in(text), version, "{text}");
        }
        assert!(version_in("1.9.9") < version_in("1.26"));
    }
}
