//! The projects that `plugin new` writes. The build script packs the folders of `guest-sdk` for this: a language is
//! there if its SDK has a `template`.

use std::io::{self, Read as _};
use std::path::{Component, PathBuf};

use miniz_oxide::inflate::decompress_to_vec_zlib;

/// The folder of the SDK in a project.
const SDK: &str = "exomonad-sdk";

/// The languages, with their SDK and template as a compressed archive.
const LANGUAGES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// A file of a new project.
pub struct TemplateFile {
    /// Its path in the project.
    pub path: PathBuf,
    /// Its content.
    pub content: Vec<u8>,
    /// True if it is a program.
    pub is_executable: bool,
}

/// The languages that projects can be in.
pub fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|(language, _)| *language)
}

/// The files of a project of this name, with its SDK; `None` if there is no such language.
///
/// In the template's own files, and in their names, `{{name}}` stands for the plugin's name and `{{identifier}}` for
/// the name with `_` in the place of `-`.
pub fn files(language: &str, name: &str) -> Option<io::Result<Vec<TemplateFile>>> {
    let (_, archive) = LANGUAGES.iter().find(|(known, _)| *known == language)?;
    Some(unpack(archive, name))
}

fn unpack(archive: &[u8], name: &str) -> io::Result<Vec<TemplateFile>> {
    let identifier = name.replace('-', "_");
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{identifier}}", &identifier)
    };
    let mut files = Vec::new();
    let archive =
        decompress_to_vec_zlib(archive).map_err(|error| io::Error::other(error.to_string()))?;
    for entry in tar::Archive::new(archive.as_slice()).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let is_executable = entry.header().mode()? & 0o111 != 0;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let path = match path.strip_prefix("template") {
            Ok(path) => {
                content = match String::from_utf8(content) {
                    Ok(text) => filled(&text).into_bytes(),
                    Err(error) => error.into_bytes(),
                };
                PathBuf::from(filled(&path.to_string_lossy()))
            }
            Err(_) => PathBuf::from(SDK).join(path),
        };
        // The archive is our own; this holds that it stays in the project's folder.
        let is_inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_inside {
            let message = format!("{} leads out of the project", path.display());
            return Err(io::Error::other(message));
        }
        files.push(TemplateFile {
            path,
            content,
            is_executable,
        });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{files, languages};
    use crate::cli::project::FILE;

    #[test]
    fn every_language_has_a_project_file_an_sdk_and_no_place_that_is_not_filled() {
        assert!(languages().count() > 0);
        for language in languages() {
            let files = files(language, "some-name").unwrap().unwrap();
            let named = |wanted: &str| files.iter().any(|file| file.path.ends_with(wanted));
            assert!(named(FILE) && named(".gitignore"), "{language}");
            assert!(
                files
                    .iter()
                    .any(|file| file.path.starts_with("exomonad-sdk"))
            );
            for file in &files {
                let shown = file.path.display().to_string();
                assert!(!shown.contains("{{"), "{language}: {shown}");
                if !file.path.starts_with("exomonad-sdk") {
                    let text = String::from_utf8_lossy(&file.content);
                    assert!(
                        !text.contains("{{name}}") && !text.contains("{{identifier}}"),
                        "{language}: {shown}"
                    );
                }
            }
        }
        assert!(files("cobol", "some-name").is_none());
    }
}
