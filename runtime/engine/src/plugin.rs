//! A loaded plugin: compiled, linked with the host, with its entry points.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport, ValType};

use crate::engine::{EngineVariant, EpochTicker};
use crate::link::{self, HOST_ENV, HOST_USER, HostFunctions, SourceModule};
use crate::sandbox::{self, Sandbox, with_time_limit};
use crate::state::StoreState;
use crate::{
    CallError, CompileCache, CompileLimits, Engine, Host, Limits, LoadError, Manifest, Output, abi,
    initial, snapshot, wasi,
};

/// The options for loading a plugin.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The effects: the names of their functions in `extism:host/user`. [`Host::effect`] gets their
    /// positions in this list.
    pub effects: &'static [&'static str],
    /// Allows imports of WASI preview 1.
    pub wasi: bool,
    /// The plugins that are initialised only once.
    pub snapshot: SnapshotPolicy,
    /// The cache of compiled modules, which outlives the host's process.
    pub cache: Option<CompileCache>,
    /// The limits of the calls that will be made, if they are known: a plugin that begins with more memory
    /// or table elements is refused as [`LoadError::InitialSize`].
    pub limits: Option<Limits>,
    /// The limits of the compiler.
    pub compile: CompileLimits,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            effects: &[],
            wasi: true,
            snapshot: SnapshotPolicy::WhenSafe,
            cache: None,
            limits: None,
            compile: CompileLimits::default(),
        }
    }
}

/// The plugins that are initialised only once, and kept as a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotPolicy {
    /// None.
    Never,
    /// Those whose sandboxes share nothing by it that they would not share otherwise.
    WhenSafe,
    /// Those that draw randomness or read the time of day while they are initialised, too.
    Always,
}

/// The status of the plugin's initialisation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotStatus {
    /// The plugin has no initialisation.
    NotNeeded,
    /// It ran once; each sandbox starts from the snapshot.
    Taken,
    /// It ran once, as configured, although sandboxes may draw the same numbers, for this reason.
    Accepted(String),
    /// It runs in each sandbox, as configured.
    Off,
    /// It runs in each sandbox, for this reason.
    Refused(String),
}

/// The result type of an entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReturnType {
    Nothing,
    I32,
    I64,
}

/// A function of the plugin without parameters that returns at most its return code.
#[derive(Clone)]
pub(crate) struct EntryPoint {
    /// Its position among the module's exports, which identifies it.
    pub export_index: usize,
    pub export: ModuleExport,
    pub return_type: ReturnType,
}

pub(crate) struct LoadedPlugin {
    pub engine: wasmtime::Engine,
    pub ticker: Arc<EpochTicker>,
    pub pre: InstancePre<StoreState>,
    pub kernel: ModuleExport,
    pub initialize: Option<EntryPoint>,
    /// Renews what the initialisation drew, in each sandbox that begins after it.
    pub reseed: Option<EntryPoint>,
    entry_points: BTreeMap<String, EntryPoint>,
    /// Exported functions that are not entry points, with their types.
    other_functions: BTreeMap<String, String>,
    imports: Vec<String>,
    snapshot: SnapshotStatus,
    digest: String,
    stack: u64,
}

/// A plugin that can be called. Cheap to clone; calls in flight keep it alive.
#[derive(Clone)]
pub struct Plugin(Arc<LoadedPlugin>);

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({})", self.0.digest)
    }
}

/// The host functions that a plugin may import.
struct AvailableFunctions<'a>(&'a LoadOptions);

impl HostFunctions for AvailableFunctions<'_> {
    fn names(&self, module: &str) -> Vec<&str> {
        match module {
            HOST_ENV => abi::FUNCTIONS.to_vec(),
            HOST_USER => self.0.effects.to_vec(),
            link::WASI if self.0.wasi => wasi::FUNCTIONS.to_vec(),
            _ => Vec::new(),
        }
    }
}

impl Engine {
    /// Links, compiles and checks a plugin, all on a thread for blocking work.
    ///
    /// # Errors
    /// Any reason why the plugin is unusable; nothing of it remains.
    pub async fn load(
        &self,
        manifest: &Manifest,
        options: &LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let (engine, manifest, options) = (self.clone(), manifest.clone(), options.clone());
        let runtime = tokio::runtime::Handle::current();
        // The initialisation of a guest for a snapshot runs there too.
        let work = move || runtime.block_on(engine.load_modules(manifest.modules()?, &options));
        match tokio::task::spawn_blocking(work).await {
            Ok(loaded) => loaded,
            Err(error) => Err(LoadError::Prepare(format!(
                "the loading did not finish: {error}"
            ))),
        }
    }

    async fn load_modules(
        &self,
        modules: Vec<SourceModule>,
        options: &LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let linked = link::link(&modules, &AvailableFunctions(options))?;
        let check = |linked: &[u8]| initial::check(linked, &self.config, options.limits.as_ref());
        check(&linked)?;
        let variant = self.variant_for(&linked)?;
        let key = CompileCache::key(&linked, options.snapshot, &variant.engine);
        let digest = CompileCache::digest(&modules);
        if let Some(cached) = options
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&variant.engine, &key))
        {
            return self.prepare(variant, cached.module, cached.snapshot, digest, options);
        }
        let mut cacheable = true;
        let (wasm, snapshot) = match snapshot::without_attempt(&linked, options.snapshot) {
            Some(status) => (linked, status),
            None => match snapshot::take(self, &linked, &digest, options).await {
                Ok(initialised) => initialised,
                Err(error) => {
                    cacheable = !error.transient;
                    (linked, SnapshotStatus::Refused(error.reason))
                }
            },
        };
        // What it has allocated while it was initialised is there from the start now.
        check(&wasm)?;
        let module = variant.compile(&wasm, options.compile).await?;
        if let Some(cache) = options.cache.as_ref().filter(|_| cacheable) {
            cache.put(&key, &module, &snapshot);
        }
        self.prepare(variant, module, snapshot, digest, options)
    }

    /// Links a compiled module with the host functions and finds its entry points.
    pub(crate) fn prepare(
        &self,
        variant: &EngineVariant,
        module: Module,
        snapshot: SnapshotStatus,
        digest: String,
        options: &LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let prepare = |error: wasmtime::Error| LoadError::Prepare(format!("{error:#}"));
        let pre = link_host(&variant.engine, &module, options)
            .and_then(|linker| linker.instantiate_pre(&module));
        let pre = pre.map_err(prepare)?;
        let kernel = module.get_export_index(link::KERNEL_MEMORY);
        let kernel = kernel
            .ok_or_else(|| LoadError::Prepare("the linked module has no kernel".to_owned()))?;
        let (mut entry_points, mut other_functions) = (BTreeMap::new(), BTreeMap::new());
        for (export_index, export) in module.exports().enumerate() {
            let ExternType::Func(ty) = export.ty() else {
                continue;
            };
            let Some(index) = module.get_export_index(export.name()) else {
                continue;
            };
            let results: Vec<ValType> = ty.results().collect();
            let return_type = match (ty.params().len(), results.as_slice()) {
                (0, []) => ReturnType::Nothing,
                (0, [ValType::I32]) => ReturnType::I32,
                (0, [ValType::I64]) => ReturnType::I64,
                _ => {
                    other_functions.insert(export.name().to_owned(), ty.to_string());
                    continue;
                }
            };
            entry_points.insert(
                export.name().to_owned(),
                EntryPoint {
                    export_index,
                    export: index,
                    return_type,
                },
            );
        }
        let imports = module
            .imports()
            .map(|import| format!("{}::{}", import.module(), import.name()));
        Ok(Plugin(Arc::new(LoadedPlugin {
            engine: variant.engine.clone(),
            ticker: variant.ticker.clone(),
            imports: imports.collect(),
            pre,
            kernel,
            initialize: entry_points.remove(link::INITIALIZE),
            reseed: entry_points.remove(snapshot::RESEED),
            entry_points,
            other_functions,
            snapshot,
            digest,
            stack: self.config.stack,
        })))
    }
}

fn link_host(
    engine: &wasmtime::Engine,
    module: &Module,
    options: &LoadOptions,
) -> wasmtime::Result<Linker<StoreState>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        match (from, import.ty()) {
            (HOST_ENV, _) => abi::define(&mut linker, name)?,
            (HOST_USER, _) => match options.effects.iter().position(|effect| *effect == name) {
                Some(effect) => abi::define_effect(&mut linker, name, effect)?,
                None => wasmtime::bail!("there is no effect `{name}`"),
            },
            (_, ExternType::Func(ty)) => {
                let number = from.strip_prefix("exomonad:wasi:").unwrap_or_default();
                let memory = module.get_export_index(&link::memory_export(number));
                wasi::define(&mut linker, from, name, &ty, memory)?;
            }
            _ => wasmtime::bail!("`{from}::{name}` is not a function"),
        }
    }
    Ok(linker)
}

impl Plugin {
    pub(crate) fn loaded(&self) -> &LoadedPlugin {
        &self.0
    }

    pub(crate) fn entry_point(&self, export: &str) -> Result<&EntryPoint, CallError> {
        if let Some(entry) = self.0.entry_points.get(export) {
            return Ok(entry);
        }
        Err(match self.0.other_functions.get(export) {
            Some(signature) => CallError::Signature {
                export: export.to_owned(),
                signature: signature.clone(),
            },
            None => CallError::UnknownExport {
                export: export.to_owned(),
                exports: self.entry_points().map(str::to_owned).collect(),
            },
        })
    }

    pub(crate) fn call_error(&self, error: &wasmtime::Error, state: &StoreState) -> CallError {
        sandbox::call_error(error, state, self.0.stack)
    }

    /// Calls an entry point in a fresh sandbox.
    ///
    /// # Errors
    /// The reason why the call ended without a result.
    pub async fn call(
        &self,
        host: Arc<dyn Host>,
        limits: Limits,
        export: &str,
        input: &[u8],
    ) -> Result<Output, CallError> {
        with_time_limit(self, limits, async {
            let mut sandbox = Sandbox::new(self, host, limits).await?;
            sandbox.run(export, input).await
        })
        .await
    }

    /// A sandbox to keep, for a plugin that is configured to be pooled.
    ///
    /// # Errors
    /// If it cannot be created within the limits.
    pub async fn sandbox(&self, host: Arc<dyn Host>, limits: Limits) -> Result<Sandbox, CallError> {
        with_time_limit(self, limits, Sandbox::new(self, host, limits)).await
    }

    /// The entry points, sorted.
    pub fn entry_points(&self) -> impl Iterator<Item = &str> {
        self.0.entry_points.keys().map(String::as_str)
    }

    /// True if this entry point exists.
    #[must_use]
    pub fn has(&self, export: &str) -> bool {
        self.0.entry_points.contains_key(export)
    }

    /// The host functions that the plugin imports, as `module::name`, without the kernel's.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// The status of the initialisation.
    #[must_use]
    pub fn snapshot(&self) -> &SnapshotStatus {
        &self.0.snapshot
    }

    /// The SHA-256 of the plugin's modules, in hexadecimal, which identifies its version.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}
