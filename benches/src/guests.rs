//! The guests that are measured and compared.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A guest in text form that copies as PDKs do: eight bytes at a time, by calls into the kernel.
///
/// `echo` answers its input, `effect` what the host function `reverse` makes of it, and `wait` what the
/// host function `wait` answers.
pub const COPYING: &str = include_str!("copying.wat");

/// A guest to measure.
pub struct Guest {
    /// The tools it was made with.
    pub name: &'static str,
    /// The module.
    pub wasm: Vec<u8>,
    /// The functions that answer with as much as they are given.
    pub exports: &'static [&'static str],
}

/// All guests there are; those that cannot be had here are named on standard error.
///
/// # Errors
/// If the one in text form is not valid.
pub fn all() -> Result<Vec<Guest>, String> {
    let wasm = wat::parse_str(COPYING).map_err(|error| error.to_string())?;
    let mut guests = vec![Guest {
        name: "WAT",
        wasm,
        exports: &["echo", "effect"],
    }];
    match pdk_plugin() {
        Ok(wasm) => guests.push(Guest {
            name: "Rust PDK",
            wasm,
            exports: &["echo", "effect"],
        }),
        Err(reason) => eprintln!("without the PDK's guest: {reason}"),
    }
    match shipped_echo() {
        Some(wasm) => guests.push(Guest {
            name: "our SDK",
            wasm,
            exports: &["echo"],
        }),
        None => eprintln!("without our SDK's guest: there is no plugins/dist/echo.wasm"),
    }
    Ok(guests)
}

/// The host functions that a guest imports from `extism:host/user`.
///
/// # Errors
/// If it is no module.
pub fn effects_of(wasm: &[u8]) -> Result<Vec<String>, String> {
    let mut effects = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::ImportSection(imports) =
            payload.map_err(|error| error.to_string())?
        {
            let imports = imports.into_imports().flatten();
            effects.extend(
                imports
                    .filter(|import| import.module == "extism:host/user")
                    .map(|import| import.name.to_owned()),
            );
        }
    }
    Ok(effects)
}

/// The plugin in `pdk-plugin`, built from its source with Extism's Rust PDK.
///
/// # Errors
/// The build's error output, if there is no toolchain or it failed.
pub fn pdk_plugin() -> Result<Vec<u8>, String> {
    let build = root().join("benches/pdk-plugin/build");
    let output = Command::new(&build)
        .output()
        .map_err(|error| format!("{}: {error}", build.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let module = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    std::fs::read(&module).map_err(|error| format!("{module}: {error}"))
}

/// The plugin `echo` of this project as it is shipped, if it has been built.
#[must_use]
pub fn shipped_echo() -> Option<Vec<u8>> {
    shipped("echo").ok()
}

/// A plugin of this project as it is shipped; one in Haskell from `$EXOMONAD_HASKELL_PLUGINS`, if that is set.
///
/// # Errors
/// If it has not been built.
pub fn shipped(name: &str) -> Result<Vec<u8>, String> {
    let built = std::env::var_os("EXOMONAD_HASKELL_PLUGINS").filter(|_| name.ends_with("-haskell"));
    let folder = built.map_or_else(|| root().join("plugins/dist"), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The languages of guests, each with its plugin for the contract suite.
pub const LANGUAGES: [&str; 7] = [
    "rust",
    "go",
    "c",
    "cpp",
    "zig",
    "assemblyscript",
    "javascript",
];

/// A language's plugin for the contract suite, from `$EXOMONAD_CONTRACT_PLUGINS` or `target/contract-plugins`.
///
/// # Errors
/// If it has not been built, by `scripts/build-plugins --contract`.
pub fn contract_plugin(language: &str) -> Result<Vec<u8>, String> {
    let folder = std::env::var_os("EXOMONAD_CONTRACT_PLUGINS")
        .map_or_else(|| root().join("target/contract-plugins"), PathBuf::from);
    let path = folder.join(format!("contract-{language}.wasm"));
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned()
}
