//! A plugin and what its host grants it, for both engines.

use std::collections::BTreeMap;
use std::time::Duration;

use exomonad_engine::Limits;
use extism_manifest as extism;

const PAGE: u64 = 64 << 10;

/// A plugin and what its host grants it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The modules with their names in the manifest.
    pub modules: Vec<(Option<&'static str>, String)>,
    pub wasi: bool,
    pub config: BTreeMap<String, String>,
    pub allowed_hosts: Vec<String>,
    pub timeout: Option<Duration>,
    pub memory_pages: Option<u32>,
    pub var_bytes: Option<u64>,
    /// The digest of the first module in the manifest.
    pub digest: Option<String>,
    /// A module in the binary format, instead of `modules`.
    pub binary: Option<Vec<u8>>,
}

impl Setup {
    /// One module in WAT.
    pub fn of(wat: impl Into<String>) -> Self {
        Self {
            modules: vec![(None, wat.into())],
            ..Self::default()
        }
    }

    /// One module with the whole ABI imported and these functions.
    pub fn with_abi(body: &str) -> Self {
        Self::of(include_str!("abi.wat").replace("BODY", body))
    }

    /// The manifest that says all of it to Extism, and the modules to ours.
    pub fn manifest(&self) -> extism::Manifest {
        let module = |(name, wat): &(Option<&'static str>, String)| {
            let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
            let data = extism::Wasm::data(wasm);
            if let Some(name) = name {
                data.with_name(*name)
            } else {
                data
            }
        };
        let mut wasm: Vec<_> = match &self.binary {
            Some(binary) => vec![extism::Wasm::data(binary.clone())],
            None => self.modules.iter().map(module).collect(),
        };
        if let (Some(digest), Some(first)) = (&self.digest, wasm.first_mut()) {
            *first = first.clone().with_hash(digest);
        }
        let mut manifest = extism::Manifest::new(wasm)
            .with_config(self.config.iter())
            .with_allowed_hosts(self.allowed_hosts.iter().cloned());
        manifest.timeout_ms = self.timeout.map(|timeout| timeout.as_millis() as u64);
        manifest.memory.max_pages = self.memory_pages;
        manifest.memory.max_var_bytes = self.var_bytes;
        manifest
    }

    /// The limits of the manifest, as ours.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.wall_time = self.timeout.unwrap_or(limits.wall_time);
        limits.memory = self
            .memory_pages
            .map_or(limits.memory, |pages| u64::from(pages) * PAGE);
        limits.vars = self.var_bytes.unwrap_or(limits.vars);
        limits
    }
}
