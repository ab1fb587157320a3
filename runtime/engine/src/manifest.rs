//! The modules of a plugin: a single one, or an Extism manifest that names several.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use extism_manifest::{Wasm, WasmMetadata};
use sha2::{Digest, Sha256};

use crate::file_kind::not_webassembly;
use crate::link::{HOST_ENV, HOST_USER, RESERVED, SourceModule, WASI};
use crate::{CompileCache, LoadError, manifest_error, units};

/// The name of the module whose exports become the plugin's.
const MAIN: &str = "main";
/// The manifest's name in a folder of saved modules.
const SAVED_MANIFEST: &str = "plugin.json";
/// The size limit of all modules of a plugin together, in bytes.
const MAX_MODULE_BYTES: u64 = 512 << 20;
/// The size limit of a manifest, in bytes; it may hold modules itself.
const MAX_MANIFEST_BYTES: u64 = 128 << 20;
/// The modules that a manifest names at most.
const MAX_MODULES: usize = 64;

/// The modules of a plugin.
///
/// The manifest has Extism's own format, in JSON or TOML. The engine uses only its modules; its
/// configuration, allowed hosts and limits are requests, which the host may grant.
#[derive(Clone, Debug)]
pub struct Manifest {
    manifest: extism_manifest::Manifest,
    /// The folder that relative paths start from.
    folder: PathBuf,
    /// The manifest's file; none for a plugin of one module.
    file: Option<PathBuf>,
}

impl Manifest {
    /// A plugin of one module, in the binary format or as text.
    #[must_use]
    pub fn of_module(wasm: Vec<u8>) -> Self {
        Self {
            manifest: extism_manifest::Manifest::new([Wasm::data(wasm)]),
            folder: PathBuf::from("."),
            file: None,
        }
    }

    /// Reads a file: a `.json` or `.toml` manifest, or a module in the binary format or as text.
    ///
    /// # Errors
    /// If the file cannot be read or the manifest is not one.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "toml") => {
                let content = read(path, MAX_MANIFEST_BYTES, None)?;
                let parsed = String::from_utf8(content)
                    .map_err(|error| format!("the manifest is not UTF-8: {error}"))
                    .and_then(|text| parse(&text))
                    .and_then(|manifest| match manifest.wasm.len() {
                        0..=MAX_MODULES => Ok(manifest),
                        number => Err(format!(
                            "it names {number} modules; a plugin can have {MAX_MODULES}"
                        )),
                    });
                match parsed {
                    Ok(manifest) => Ok(Self {
                        manifest,
                        folder,
                        file: Some(path.to_owned()),
                    }),
                    Err(reason) => Err(error(Some(path), &reason)),
                }
            }
            _ => Ok(Self {
                folder,
                ..Self::of_module(read(path, MAX_MODULE_BYTES, None)?)
            }),
        }
    }

    /// The configuration that the manifest requests.
    #[must_use]
    pub fn config(&self) -> &BTreeMap<String, String> {
        &self.manifest.config
    }

    /// The hosts that the manifest requests HTTP access to.
    #[must_use]
    pub fn allowed_hosts(&self) -> &[String] {
        self.manifest.allowed_hosts.as_deref().unwrap_or_default()
    }

    /// The plugin's files, apart from the manifest itself.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.manifest.wasm.iter().filter_map(|wasm| match wasm {
            Wasm::File { path, .. } => inside(&self.folder, path),
            _ => None,
        });
        files.collect()
    }

    /// The SHA-256 of the modules, as [`Plugin::digest`](crate::Plugin::digest) of what is loaded from them.
    ///
    /// # Errors
    /// If a module cannot be read.
    pub fn digest(&self) -> Result<String, LoadError> {
        Ok(CompileCache::digest(&self.modules()?))
    }

    /// Writes the modules and a manifest that names them, `plugin.json`, into a folder that is new or has them
    /// already. Other processes see all of it or nothing.
    ///
    /// # Errors
    /// If a module cannot be read, or nothing can be written.
    pub fn save(&self, folder: &Path) -> Result<(), LoadError> {
        if folder.join(SAVED_MANIFEST).exists() {
            return Ok(());
        }
        let modules = self.modules()?;
        let failed = |source: io::Error| LoadError::Read {
            path: folder.to_owned(),
            source,
        };
        let parent = folder.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        // Several roles may have the same plugin, and several processes the same folder.
        static DRAFTS: AtomicU32 = AtomicU32::new(0);
        let nth = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let draft = parent.join(format!(".{name}.{}.{nth}", std::process::id()));
        let write = || {
            // One that was left by a host that was killed.
            let _ = fs::remove_dir_all(&draft);
            fs::create_dir(&draft)?;
            let mut wasm = Vec::with_capacity(modules.len());
            for (nth, module) in modules.iter().enumerate() {
                let file = format!("{nth}.wasm");
                let mut out = fs::File::create(draft.join(&file))?;
                out.write_all(&module.wasm)?;
                out.sync_all()?;
                wasm.push(serde_json::json!({"path": file, "name": module.name}));
            }
            let manifest = serde_json::json!({"wasm": wasm}).to_string();
            fs::write(draft.join(SAVED_MANIFEST), manifest)?;
            match fs::rename(&draft, folder) {
                // Another process was faster.
                Err(_) if folder.join(SAVED_MANIFEST).exists() => fs::remove_dir_all(&draft),
                renamed => renamed,
            }
        };
        write().map_err(failed)
    }

    /// Reads all modules, checks their digests and determines the main one; it comes last.
    pub(crate) fn modules(&self) -> Result<Vec<SourceModule>, LoadError> {
        let count = self.manifest.wasm.len();
        let mut modules = Vec::with_capacity(count);
        let mut left = MAX_MODULE_BYTES;
        for (nth, wasm) in self.manifest.wasm.iter().enumerate() {
            let (bytes, meta) = self.content(wasm, left)?;
            left = left.saturating_sub(bytes.len() as u64);
            let name = match &meta.name {
                _ if count == 1 => MAIN.to_owned(),
                Some(name) => name.clone(),
                None if nth + 1 == count => MAIN.to_owned(),
                None => format!("module {nth}"),
            };
            check_digest(&name, &bytes, meta.hash.as_deref())?;
            if let Some(content) = not_webassembly(&bytes) {
                return Err(LoadError::NotWebAssembly {
                    module: match count {
                        1 => "the module".to_owned(),
                        _ => format!("module `{name}`"),
                    },
                    content,
                });
            }
            let wasm = wat::parse_bytes(&bytes)
                .map_err(|error| LoadError::Invalid {
                    module: name.clone(),
                    reason: text_mistake(&error),
                })?
                .into_owned();
            modules.push(SourceModule { name, wasm });
        }
        check_names(&modules).map_err(|reason| error(self.file.as_deref(), &reason))?;
        // Without a module of that name, the last one is the main one, as in Extism.
        if let Some(main) = modules.iter().position(|module| module.name == MAIN) {
            let main = modules.remove(main);
            modules.push(main);
        }
        Ok(modules)
    }

    /// The content of a module, of at most `most` bytes.
    fn content<'m>(
        &'m self,
        wasm: &'m Wasm,
        most: u64,
    ) -> Result<(Cow<'m, [u8]>, &'m WasmMetadata), LoadError> {
        match wasm {
            Wasm::File { path, meta } => {
                let Some(file) = inside(&self.folder, path) else {
                    return Err(self.outside(path));
                };
                match read(&file, most, Some(&self.folder)) {
                    Ok(content) => Ok((content.into(), meta)),
                    Err(LoadError::Read { source, .. }) if source.kind() == LEADS_OUT => {
                        Err(self.outside(path))
                    }
                    Err(error) => Err(error),
                }
            }
            Wasm::Data { data, meta } => Ok((data.as_slice().into(), meta)),
            Wasm::Url { req, .. } => Err(error(
                self.file.as_deref(),
                &format!(
                    "the module {} would be fetched from the network; download it and name it by `path`",
                    req.url
                ),
            )),
        }
    }

    fn outside(&self, path: &Path) -> LoadError {
        error(
            self.file.as_deref(),
            &format!(
                "the module path `{}` leads out of the manifest's folder",
                path.display()
            ),
        )
    }
}

/// Parses a manifest, JSON or TOML.
fn parse(text: &str) -> Result<extism_manifest::Manifest, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| manifest_error::json(text, &error))
    } else {
        toml_edit::de::from_str(text).map_err(|error| manifest_error::toml(text, &error))
    }
}

/// A mistake in the manifest of this file.
fn error(file: Option<&Path>, reason: &str) -> LoadError {
    LoadError::Manifest(match file {
        Some(file) => format!("{}: {reason}", file.display()),
        None => format!("the manifest: {reason}"),
    })
}

/// The kind of the error for a file whose real path is outside.
const LEADS_OUT: io::ErrorKind = io::ErrorKind::CrossesDevices;

/// Reads a regular file of at most `most` bytes, which lies in `folder` whatever links lead to it.
fn read(path: &Path, most: u64, folder: Option<&Path>) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = open_regular(path, folder).map_err(failed)?;
    let mut content = Vec::new();
    let mut file = file.take(most.saturating_add(1));
    file.read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > most {
        return Err(failed(io::Error::other(match most {
            MAX_MODULE_BYTES | MAX_MANIFEST_BYTES => {
                format!("it is larger than {}", units::bytes(most))
            }
            _ => format!(
                "the modules together are larger than {}",
                units::bytes(MAX_MODULE_BYTES)
            ),
        })));
    }
    Ok(content)
}

/// Opens a file, without waiting for a writer of a pipe, and looks what it is once it is open: what lies
/// at its path may change.
fn open_regular(path: &Path, folder: Option<&Path>) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if let Some(folder) = folder {
        let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        if !real.starts_with(fs::canonicalize(folder)?) {
            return Err(LEADS_OUT.into());
        }
    }
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(file)
}

/// The path in the folder, unless its own words lead out of it.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        let below = path.strip_prefix(folder).ok()?;
        return inside(folder, below);
    }
    let mut depth = 0usize;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            _ => depth = depth.checked_sub(1)?,
        }
    }
    Some(folder.join(path))
}

/// The place of a mistake in WebAssembly text. The parser's own message shows the line, which a health
/// report must not: the file may be another than its author thinks.
fn text_mistake(error: &wat::Error) -> String {
    let message = error.to_string();
    let place = message.split("<anon>:").nth(1).and_then(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let column = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((line.parse::<u32>().ok()?, column.parse::<u32>().ok()?))
    });
    match place {
        Some((line, column)) => {
            format!("its text has a mistake at line {line}, column {column}")
        }
        None => "its text cannot be parsed".to_owned(),
    }
}

fn check_digest(module: &str, bytes: &[u8], expected: Option<&str>) -> Result<(), LoadError> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let actual: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(LoadError::Digest {
        module: module.to_owned(),
        expected: expected.to_owned(),
        actual,
    })
}

/// The first mistake in the modules' names.
fn check_names(modules: &[SourceModule]) -> Result<(), String> {
    if modules.is_empty() {
        return Err("it names no module: `wasm` is empty".to_owned());
    }
    for (nth, module) in modules.iter().enumerate() {
        let name = module.name.as_str();
        if [HOST_ENV, HOST_USER, WASI].contains(&name) || name.starts_with(RESERVED) {
            return Err(format!(
                "`{name}` is the host's name, no module can have it"
            ));
        }
        if modules[..nth].iter().any(|other| other.name == name) {
            return Err(format!("two modules have the name `{name}`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let manifest = Manifest {
            manifest: parse(text)?,
            folder: PathBuf::from("."),
            file: None,
        };
        let modules = manifest.modules().map_err(|error| error.to_string())?;
        Ok(modules.into_iter().map(|module| module.name).collect())
    }

    // `(module)` in base64.
    const EMPTY: &str = "AGFzbQEAAAA=";

    #[test]
    fn the_main_module_comes_last_wherever_the_manifest_names_it() {
        let named = format!(
            r#"{{"wasm":[{{"data":"{EMPTY}","name":"main"}},{{"data":"{EMPTY}","name":"lib"}}]}}"#
        );
        assert_eq!(names(&named).unwrap(), ["lib", "main"]);
        let unnamed =
            format!("[[wasm]]\ndata = \"{EMPTY}\"\nname = \"lib\"\n[[wasm]]\ndata = \"{EMPTY}\"\n");
        assert_eq!(names(&unnamed).unwrap(), ["lib", "main"]);
        let alone = format!(r#"{{"wasm":[{{"data":"{EMPTY}","name":"anything"}}]}}"#);
        assert_eq!(names(&alone).unwrap(), ["main"]);
    }

    #[test]
    fn mistakes_in_a_manifest_are_errors_that_name_them() {
        let twice = format!(
            r#"{{"wasm":[{{"data":"{EMPTY}","name":"a"}},{{"data":"{EMPTY}","name":"a"}}]}}"#
        );
        assert!(
            names(&twice)
                .unwrap_err()
                .contains("two modules have the name `a`")
        );
        let host = format!(
            r#"{{"wasm":[{{"data":"{EMPTY}","name":"extism:host/env"}},{{"data":"{EMPTY}"}}]}}"#
        );
        assert!(names(&host).unwrap_err().contains("the host's name"));
        assert!(
            names(r#"{"wasm":[]}"#)
                .unwrap_err()
                .contains("names no module")
        );
        assert!(
            names(r#"{"wasm":[{"url":"https://example.com/a.wasm"}]}"#)
                .unwrap_err()
                .contains("download it")
        );
        let digest = format!(r#"{{"wasm":[{{"data":"{EMPTY}","hash":"00"}}]}}"#);
        assert!(names(&digest).unwrap_err().contains("the manifest says 00"));
        assert!(
            names(r#"{"wasm":[{"path":"/nonexistent.wasm"}]}"#)
                .unwrap_err()
                .contains("/nonexistent.wasm")
        );
    }

    #[test]
    fn a_mistake_in_a_module_has_the_position_of_its_key() {
        for (text, message) in [
            (
                "[[wasm]]\nname = 'lib'\npth = 'a.wasm'\n",
                "line 3, column 1: a module has no key `pth` (did you mean `path`?); \
                 its keys are `path`, `name` and `hash`",
            ),
            (
                "[[wasm]]\npath = 3\n",
                "line 2, column 1: `path` must be a string",
            ),
            (
                "wasm = [{ name = 'lib' }]\n",
                "line 1, column 9: a module needs `path`, its file",
            ),
            (
                "[[wasm]]\npath = 'a'\nurl = 'b'\n",
                "line 3, column 1: a module cannot have both `path` and `url`",
            ),
            (
                r#"{"wasm":[{"path":"a"},{"pth":"b"}]}"#,
                "`wasm[1]`: a module has no key `pth` (did you mean `path`?); \
                 its keys are `path`, `name` and `hash`",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }

    #[test]
    fn other_mistakes_have_their_position_in_one_line() {
        for (text, parts) in [
            (
                "[[wasm]]\npath = 'a'\n[confg]\n",
                ["line 3, column 2: ", "unknown field `confg`"],
            ),
            ("[[wasm]\n", ["line 1, column ", "expected"]),
            ("memory = { max_pages = -1 }\n", ["line 1, column ", "-1"]),
        ] {
            let message = parse(text).unwrap_err();
            assert!(
                parts.iter().all(|part| message.contains(part)) && !message.contains('\n'),
                "{message}"
            );
        }
    }

    #[test]
    fn a_manifests_path_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.toml");
        for content in [
            "wasm = 1",
            "wasm = []",
            "[[wasm]]\nurl = 'https://example.com/a.wasm'",
        ] {
            fs::write(&file, content).unwrap();
            let loaded = Manifest::open(&file).and_then(|manifest| manifest.modules());
            let Err(LoadError::Manifest(message)) = loaded else {
                panic!("{content}")
            };
            assert_eq!(message.matches("plugin.toml").count(), 1, "{message}");
        }
    }

    #[test]
    fn a_file_that_is_not_webassembly_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.wasm");
        fs::write(&file, "<!DOCTYPE html>").unwrap();
        let loaded = Manifest::open(&file).and_then(|manifest| manifest.modules());
        assert_eq!(
            loaded.map(|_| ()).unwrap_err().to_string(),
            "the module is not valid WebAssembly: it is an HTML document"
        );
        fs::write(&file, "(module)").unwrap();
        assert!(Manifest::open(&file).unwrap().modules().is_ok());
    }

    #[test]
    fn the_example_manifest_is_valid_and_has_every_key() {
        let text = include_str!("../../../plugins/plugin.example.toml");
        let manifest = parse(text).unwrap();
        assert_eq!(manifest.wasm.len(), 2);
        let serde_json::Value::Object(keys) = serde_json::to_value(&manifest).unwrap() else {
            panic!("a manifest is a table");
        };
        for (key, value) in keys {
            let is_set = !value.is_null() && value != serde_json::json!({});
            assert!(is_set, "`{key}` is not in the example");
        }
    }
}
