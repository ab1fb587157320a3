//! The modules of a plugin: a single one, or an Extism manifest that names several.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use extism_manifest::{Wasm, WasmMetadata};
use sha2::{Digest, Sha256};

use crate::LoadError;
use crate::link::{HOST_ENV, HOST_USER, RESERVED, SourceModule, WASI};

/// The name of the module whose exports become the plugin's.
const MAIN: &str = "main";
/// The size limit of a module file, in bytes.
const MAX_MODULE_BYTES: u64 = 512 << 20;

/// The modules of a plugin.
///
/// The manifest has Extism's own format, in JSON or TOML. The engine uses only its modules; its
/// configuration, allowed hosts and limits are requests, which the host may grant.
#[derive(Clone, Debug)]
pub struct Manifest {
    manifest: extism_manifest::Manifest,
    /// The folder that relative paths start from.
    folder: PathBuf,
}

impl Manifest {
    /// A plugin of one module, in the binary format or as text.
    #[must_use]
    pub fn of_module(wasm: Vec<u8>) -> Self {
        Self {
            manifest: extism_manifest::Manifest::new([Wasm::data(wasm)]),
            folder: PathBuf::from("."),
        }
    }

    /// Reads a file: a `.json` or `.toml` manifest, or a module in the binary format or as text.
    ///
    /// # Errors
    /// If the file cannot be read or the manifest is not one.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let content = read(path)?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "toml") => {
                let text = String::from_utf8(content).map_err(|error| {
                    LoadError::Manifest(format!("{} is not UTF-8: {error}", path.display()))
                })?;
                Self::parse(&text, folder)
                    .map_err(|error| LoadError::Manifest(format!("{}: {error}", path.display())))
            }
            _ => Ok(Self {
                folder,
                ..Self::of_module(content)
            }),
        }
    }

    /// Parses a manifest, JSON or TOML; relative paths in it start at `folder`.
    fn parse(text: &str, folder: PathBuf) -> Result<Self, String> {
        let manifest = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            toml_edit::de::from_str(text).map_err(|error| error.to_string())?
        };
        Ok(Self { manifest, folder })
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
            Wasm::File { path, .. } => Some(self.folder.join(path)),
            _ => None,
        });
        files.collect()
    }

    /// Reads all modules, checks their digests and determines the main one; it comes last.
    pub(crate) fn modules(&self) -> Result<Vec<SourceModule>, LoadError> {
        let count = self.manifest.wasm.len();
        let mut modules = Vec::with_capacity(count);
        for (nth, wasm) in self.manifest.wasm.iter().enumerate() {
            let (bytes, meta) = self.content(wasm)?;
            let name = match &meta.name {
                _ if count == 1 => MAIN.to_owned(),
                Some(name) => name.clone(),
                None if nth + 1 == count => MAIN.to_owned(),
                None => format!("module {nth}"),
            };
            check_digest(&name, &bytes, meta.hash.as_deref())?;
            let wasm = wat::parse_bytes(&bytes)
                .map_err(|error| LoadError::Invalid {
                    module: name.clone(),
                    reason: error.to_string(),
                })?
                .into_owned();
            modules.push(SourceModule { name, wasm });
        }
        check_names(&modules)?;
        // Without a module of that name, the last one is the main one, as in Extism.
        if let Some(main) = modules.iter().position(|module| module.name == MAIN) {
            let main = modules.remove(main);
            modules.push(main);
        }
        Ok(modules)
    }

    fn content<'m>(&'m self, wasm: &'m Wasm) -> Result<(Vec<u8>, &'m WasmMetadata), LoadError> {
        match wasm {
            Wasm::File { path, meta } => Ok((read(&self.folder.join(path))?, meta)),
            Wasm::Data { data, meta } => Ok((data.clone(), meta)),
            Wasm::Url { req, .. } => Err(LoadError::Manifest(format!(
                "the module {} would be fetched from the network; download it and name it by `path`",
                req.url
            ))),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(failed(std::io::Error::other("it is not a file")));
    }
    if about.len() > MAX_MODULE_BYTES {
        return Err(failed(std::io::Error::other(format!(
            "it is larger than {MAX_MODULE_BYTES} bytes"
        ))));
    }
    fs::read(path).map_err(failed)
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

fn check_names(modules: &[SourceModule]) -> Result<(), LoadError> {
    if modules.is_empty() {
        return Err(LoadError::Manifest(
            "it names no module: `wasm` is empty".to_owned(),
        ));
    }
    for (nth, module) in modules.iter().enumerate() {
        let name = module.name.as_str();
        if [HOST_ENV, HOST_USER, WASI].contains(&name) || name.starts_with(RESERVED) {
            return Err(LoadError::Manifest(format!(
                "`{name}` is the host's name, no module can have it"
            )));
        }
        if modules[..nth].iter().any(|other| other.name == name) {
            return Err(LoadError::Manifest(format!(
                "two modules have the name `{name}`"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let manifest = Manifest::parse(text, PathBuf::from("."))?;
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
}
