//! The contents of the plugin folder.
//!
//! `<name>.wasm` (or `.wat`) is a plugin of one module, `<name>/plugin.toml` (or `.json`) an Extism
//! manifest that names several. Two of them for one name are an error that names both.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use exomonad_engine::Manifest;
use exomonad_schema::RoleName;

/// The names of a manifest in a folder of its own.
const MANIFESTS: &[&str] = &["plugin.toml", "plugin.json"];
/// How a module's name may end.
const MODULES: &[&str] = &["wasm", "wat"];

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A module or a manifest.
    File(PathBuf),
    /// The binary itself.
    Embedded(&'static str),
}

impl Source {
    /// The file to look at when something is wrong with it.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::File(path) => vec![path.clone()],
            Self::Embedded(_) => Vec::new(),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Embedded(name) => write!(f, "embedded:{name}"),
        }
    }
}

/// The metadata by which a file is the same version of itself, as far as can be seen without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64, i64, i64, u64)>);

/// The plugins of a folder by name, more than one where they clash, and files that are none.
#[derive(Debug, Default)]
pub struct Contents {
    /// The files for each name.
    pub plugins: BTreeMap<RoleName, Vec<PathBuf>>,
    /// Files that look like plugins but cannot be one, with the reason.
    pub invalid: Vec<(PathBuf, String)>,
}

/// Lists the plugins of a folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn scan(folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some((name, path)) = plugin_of(&path) else {
            continue;
        };
        match name.parse::<RoleName>() {
            Ok(name) => contents.plugins.entry(name).or_default().push(path),
            Err(error) => contents.invalid.push((path, error.to_string())),
        }
    }
    for paths in contents.plugins.values_mut() {
        paths.sort();
    }
    contents.invalid.sort();
    Ok(contents)
}

/// The plugin's name and its file, if this entry of the folder is one. Hidden files are somebody's
/// half-written ones.
fn plugin_of(path: &Path) -> Option<(String, PathBuf)> {
    let file_name = path.file_name()?.to_string_lossy();
    if file_name.starts_with('.') {
        return None;
    }
    if path.is_dir() {
        let manifest = MANIFESTS
            .iter()
            .map(|manifest| path.join(manifest))
            .find(|manifest| manifest.is_file())?;
        return Some((file_name.into_owned(), manifest));
    }
    let extension = path.extension()?.to_str()?;
    MODULES.contains(&extension).then(|| {
        (
            path.file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            path.to_owned(),
        )
    })
}

/// The fingerprint of a plugin's file and of the modules its manifest names.
///
/// # Errors
/// If one of them is not there.
pub fn fingerprint(path: &Path) -> io::Result<Fingerprint> {
    let mut files = vec![path.to_owned()];
    if MANIFESTS
        .iter()
        .any(|manifest| path.file_name().is_some_and(|name| name == *manifest))
    {
        // A manifest that does not parse has no modules to watch: it is its own change that mends it.
        files.extend(
            Manifest::open(path)
                .map(|manifest| manifest.files())
                .unwrap_or_default(),
        );
    }
    let stamps = files.into_iter().map(|file| {
        let about = fs::metadata(&file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        Ok((
            file,
            about.size(),
            about.mtime(),
            about.mtime_nsec(),
            about.ino(),
        ))
    });
    stamps.collect::<io::Result<_>>().map(Fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_manifests_are_found_and_clashes_and_misfits_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for file in [
            "tl.wasm",
            "dev.wat",
            ".tl.wasm.part",
            "notes.txt",
            "Bad Name.wasm",
        ] {
            fs::write(at(file), "x").unwrap();
        }
        fs::create_dir(at("tl")).unwrap();
        fs::write(at("tl/plugin.toml"), "").unwrap();
        fs::create_dir(at("empty")).unwrap();
        let contents = scan(folder.path()).unwrap();
        let names: Vec<_> = contents
            .plugins
            .iter()
            .map(|(name, files)| (name.as_str(), files.len()))
            .collect();
        assert_eq!(names, [("dev", 1), ("tl", 2)]);
        assert_eq!(contents.invalid.len(), 1);
        assert!(
            contents.invalid[0]
                .1
                .contains("`Bad Name` is not a role name")
        );
    }

    #[test]
    fn a_stamp_changes_with_a_module_that_the_manifest_names() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("plugin.toml");
        fs::write(&manifest, "[[wasm]]\npath = \"code.wasm\"\n").unwrap();
        assert!(
            fingerprint(&manifest).is_err(),
            "the module is not there yet"
        );
        fs::write(folder.path().join("code.wasm"), "one").unwrap();
        let before = fingerprint(&manifest).unwrap();
        assert_eq!(fingerprint(&manifest).unwrap(), before);
        fs::write(folder.path().join("code.wasm"), "three").unwrap();
        assert_ne!(fingerprint(&manifest).unwrap(), before);
    }
}
