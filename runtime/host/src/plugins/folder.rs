//! The contents of the plugin folder.
//!
//! `<name>.wasm` (or `.wat`) is a plugin of one module, `<name>/plugin.toml` (or `.json`) an Extism
//! manifest that names several. Two of them for one name are an error that names both.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
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
///
/// The change time is set by the kernel alone: tools that give all their files one time leave it, and so do
/// copies that keep the time of what they replace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    fn of(file: &Path) -> io::Result<Self> {
        let about = fs::metadata(file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        Ok(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

/// The stamps of a plugin's file and of the modules that its manifest names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, FileStamp)>);

/// Takes fingerprints, and remembers which modules each manifest names, so that it is only read when it
/// has changed.
#[derive(Debug, Default)]
pub struct Fingerprints(HashMap<PathBuf, (FileStamp, Vec<PathBuf>)>);

impl Fingerprints {
    /// The fingerprint of a plugin. Blocks on the file system.
    ///
    /// # Errors
    /// If one of its files is not there.
    pub fn take(&mut self, path: &Path) -> io::Result<Fingerprint> {
        let own = FileStamp::of(path)?;
        let mut stamps = vec![(path.to_owned(), own.clone())];
        if MANIFESTS
            .iter()
            .any(|manifest| path.file_name().is_some_and(|name| name == *manifest))
        {
            let known = self.0.get(path).filter(|(stamp, _)| *stamp == own);
            let modules = match known {
                Some((_, modules)) => modules.clone(),
                None => {
                    // A manifest that does not parse has no modules to watch: it is its own change that
                    // mends it.
                    let modules = Manifest::open(path)
                        .map(|manifest| manifest.files())
                        .unwrap_or_default();
                    self.0.insert(path.to_owned(), (own, modules.clone()));
                    modules
                }
            };
            for module in modules {
                let stamp = FileStamp::of(&module)?;
                stamps.push((module, stamp));
            }
        }
        Ok(Fingerprint(stamps))
    }

    /// Forgets all plugins but these.
    pub fn retain(&mut self, paths: &[PathBuf]) {
        self.0.retain(|path, _| paths.contains(path));
    }
}

/// The plugins of a folder by name, more than one where they clash, and files that are none.
#[derive(Debug, Default)]
pub struct Contents {
    /// The files for each name.
    pub plugins: BTreeMap<RoleName, Vec<PathBuf>>,
    /// Files that look like plugins but cannot be one, with the reason.
    pub invalid: Vec<(PathBuf, String)>,
    /// Files and folders that do not look like plugins.
    pub others: Vec<PathBuf>,
}

/// Lists the plugins of a folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn scan(folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents::default();
    let real = fs::canonicalize(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match entry_kind(&path, &real) {
            EntryKind::Hidden => {}
            EntryKind::Other => contents.others.push(path),
            EntryKind::Invalid(path, reason) => contents.invalid.push((path, reason)),
            EntryKind::Plugin(name, path) => match name.parse::<RoleName>() {
                Ok(name) => contents.plugins.entry(name).or_default().push(path),
                Err(error) => contents.invalid.push((path, error.to_string())),
            },
        }
    }
    for paths in contents.plugins.values_mut() {
        paths.sort();
    }
    contents.invalid.sort();
    contents.others.sort();
    Ok(contents)
}

/// An entry of the plugin folder.
enum EntryKind {
    /// Somebody's half-written file.
    Hidden,
    /// The plugin's name and its file.
    Plugin(String, PathBuf),
    Invalid(PathBuf, String),
    Other,
}

/// The kind of an entry, by its name and by where it leads; `real` is the folder without links.
fn entry_kind(path: &Path, real: &Path) -> EntryKind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') {
        return EntryKind::Hidden;
    }
    let invalid =
        |path: &Path, reason: &str| EntryKind::Invalid(path.to_owned(), reason.to_owned());
    if path.is_dir() {
        if !leads_into(path, real) {
            return match has_plugin_files(path) {
                true => invalid(path, OUTSIDE),
                false => EntryKind::Other,
            };
        }
        let manifests = MANIFESTS.iter().map(|manifest| path.join(manifest));
        return match manifests.into_iter().find(|manifest| manifest.is_file()) {
            Some(manifest) if !leads_into(&manifest, real) => invalid(&manifest, OUTSIDE),
            Some(manifest) => EntryKind::Plugin(name.into_owned(), manifest),
            None if has_plugin_files(path) => invalid(
                path,
                "a plugin's folder has its manifest in `plugin.toml` or `plugin.json`, and this one has neither",
            ),
            None => EntryKind::Other,
        };
    }
    match path.extension().and_then(OsStr::to_str) {
        Some(extension) if MODULES.contains(&extension) => {
            if !path.is_file() {
                return invalid(path, "it leads to no regular file");
            }
            if !leads_into(path, real) && !is_binary_module(path) {
                return invalid(path, OUTSIDE_MODULE);
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            EntryKind::Plugin(stem.into_owned(), path.to_owned())
        }
        Some(extension)
            if MODULES
                .iter()
                .any(|module| module.eq_ignore_ascii_case(extension)) =>
        {
            invalid(
                path,
                "a module's name ends in `.wasm` or `.wat`, in lower case",
            )
        }
        Some(_) if MANIFESTS.contains(&name.as_ref()) => invalid(
            path,
            "a manifest lies in a folder of its own, whose name is the plugin's",
        ),
        _ => EntryKind::Other,
    }
}

/// The reason against links that lead elsewhere: whoever can write a plugin could read any file with them.
const OUTSIDE: &str = "it is a symbolic link that leads out of the plugin folder";
/// A build's output may be linked to, and nothing else.
const OUTSIDE_MODULE: &str =
    "it is a symbolic link that leads out of the plugin folder, and not to a WebAssembly binary";

/// True if a regular file begins as a WebAssembly binary does.
fn is_binary_module(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read =
        fs::File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut magic));
    read.is_ok() && magic == *b"\0asm"
}

/// True if the path lies below `real` when all links are followed.
fn leads_into(path: &Path, real: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path.starts_with(real))
}

/// True if a folder has files like those of a plugin.
fn has_plugin_files(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let extension = Path::new(&name).extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| MODULES.contains(&extension))
            || MANIFESTS.iter().any(|manifest| name == *manifest)
    })
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
    fn links_out_of_the_folder_are_refused_and_links_within_it_are_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "(secret").unwrap();
        fs::write(outside.path().join("built"), b"\0asm\x01\0\0\0").unwrap();
        fs::write(outside.path().join("plugin.toml"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let link = |to: PathBuf, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        fs::create_dir(at("..data")).unwrap();
        fs::write(at("..data/tl.wasm"), "x").unwrap();
        link(PathBuf::from("..data/tl.wasm"), "tl.wasm");
        link(outside.path().join("secret"), "stolen.wasm");
        link(outside.path().join("built"), "built.wasm");
        link(outside.path().to_owned(), "folder");
        link(at("nowhere"), "dangling.wat");
        fs::create_dir(at("manifest")).unwrap();
        link(outside.path().join("plugin.toml"), "manifest/plugin.toml");
        let contents = scan(folder.path()).unwrap();
        let names: Vec<_> = contents.plugins.keys().map(RoleName::as_str).collect();
        assert_eq!(names, ["built", "tl"]);
        let invalid: Vec<_> = contents
            .invalid
            .iter()
            .map(|(path, reason)| (path.strip_prefix(folder.path()).unwrap(), reason.as_str()))
            .collect();
        assert_eq!(
            invalid,
            [
                (Path::new("dangling.wat"), "it leads to no regular file"),
                (Path::new("folder"), OUTSIDE),
                (Path::new("manifest/plugin.toml"), OUTSIDE),
                (Path::new("stolen.wasm"), OUTSIDE_MODULE),
            ]
        );
    }

    #[test]
    fn whatever_looks_like_a_plugin_and_is_none_has_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for file in [
            "greet-1.2.0.wasm",
            "UP.wasm",
            "x.WASM",
            "plugin.json",
            "README.md",
        ] {
            fs::write(at(file), "x").unwrap();
        }
        fs::create_dir(at("parts")).unwrap();
        fs::write(at("parts/code.wasm"), "x").unwrap();
        let contents = scan(folder.path()).unwrap();
        assert!(contents.plugins.is_empty());
        assert_eq!(contents.others, [at("README.md")]);
        for (name, word) in [
            ("greet-1.2.0.wasm", "lower-case letters, digits"),
            ("UP.wasm", "lower-case letters, digits"),
            ("x.WASM", "in lower case"),
            ("plugin.json", "in a folder of its own"),
            ("parts", "has neither"),
        ] {
            let reason = contents.invalid.iter().find(|(path, _)| *path == at(name));
            assert!(
                reason.is_some_and(|(_, reason)| reason.contains(word)),
                "{name}: {reason:?}"
            );
        }
    }

    #[test]
    fn a_file_that_is_written_over_with_its_old_size_and_time_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tl.wasm");
        let mut fingerprints = Fingerprints::default();
        let mut write = |content: &str| {
            fs::write(&path, content).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
            fingerprints.take(&path).unwrap()
        };
        let before = write("one");
        // The kernel's clock for such times ticks every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_ne!(write("two"), before);
    }

    #[test]
    fn a_stamp_changes_with_a_module_that_the_manifest_names() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("plugin.toml");
        let mut fingerprints = Fingerprints::default();
        let mut fingerprint = |path: &Path| fingerprints.take(path);
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
