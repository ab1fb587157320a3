//! Which file is read, and reading it.

use std::io::Read;
use std::path::{Path, PathBuf};

use exomonad_core::regular_file;

use super::LoadContext;
use crate::diagnostic::{Code, ConfigErrors, Diagnostic, Place, Severity, SourceText};

/// The name looked for in the current directory.
pub(super) const DEFAULT_NAME: &str = "exomonad.toml";
/// The largest file, in bytes: far beyond any configuration, far below what would hurt.
const LARGEST: u64 = 1024 * 1024;

const VARIABLE: &str = "EXOMONAD_CONFIG";

/// The file that the environment names.
pub(super) fn named(context: &LoadContext<'_>) -> Option<String> {
    (context.env)(VARIABLE).filter(|name| !name.is_empty())
}

/// The file to read and its text; `None` if none is named and there is none.
pub(super) fn find(
    argument: Option<&Path>,
    context: &LoadContext<'_>,
) -> Result<Option<(PathBuf, String)>, ConfigErrors> {
    let named = named(context);
    let (path, place) = match (argument, named) {
        (Some(path), _) => (path.to_owned(), Place::Nowhere {}),
        (None, Some(path)) => (PathBuf::from(path), Place::Variable { variable: VARIABLE }),
        (None, None) => {
            let path = PathBuf::from(DEFAULT_NAME);
            // A dangling link is there too: it is reported rather than passed over.
            if context.cwd.join(&path).symlink_metadata().is_err() {
                return Ok(None);
            }
            (path, Place::Nowhere {})
        }
    };
    let text = read(&context.cwd.join(&path), &path, place)?;
    Ok(Some((path, text)))
}

/// Reads the file at `location`, which messages call `path`.
fn read(location: &Path, path: &Path, place: Place) -> Result<String, ConfigErrors> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "name a file that exists, or leave it out to use `./exomonad.toml` or the defaults"
            }
            std::io::ErrorKind::IsADirectory => "name the file in it: `exomonad.toml`",
            std::io::ErrorKind::InvalidInput => "write the configuration into a file",
            _ => "see that the file can be read by the user who runs exomonad",
        };
        problem(
            format!("the configuration file {shown} can't be read: {error}"),
            Some(help),
            place.clone(),
        )
    };
    let mut bytes = Vec::new();
    let file = regular_file::open(location).map_err(&unreadable)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(&unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let help = "a configuration has at most 1MiB; is this the right file?";
        return Err(problem(
            format!("the configuration file {shown} is too large"),
            Some(help),
            place,
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        // Lossy conversion keeps what is before the first bad byte as it is.
        let source = SourceText::new(path, &text);
        problem(
            format!("the configuration file {shown} is not UTF-8 text"),
            Some("save it as UTF-8"),
            Place::File(source.place(&(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8()))),
        )
    })
}

/// An error about the file as a whole.
pub(super) fn problem(message: String, help: Option<&str>, place: Place) -> ConfigErrors {
    let problem = Diagnostic {
        severity: Severity::Error,
        code: Code::UnreadableFile,
        message,
        help: help.map(str::to_owned),
        key: None,
        place,
    };
    ConfigErrors {
        diagnostics: vec![problem],
    }
}
