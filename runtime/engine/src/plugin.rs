//! A plugin that is loaded: compiled, linked with the host, its entry points known.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::{ExternType, InstancePre, Linker, Module, ModuleExport, ValType};

use crate::engine::{Core, Ticker};
use crate::link::{self, HOST_ENV, HOST_USER, HostFunctions, SourceModule};
use crate::sandbox::{self, Sandbox, within};
use crate::state::State;
use crate::{
    CallError, CompileCache, Engine, Host, Limits, LoadError, Manifest, Output, abi, snapshot, wasi,
};

/// How a plugin is loaded.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The effects that exist: the names of their functions in `extism:host/user`. Their positions are
    /// what [`Host::effect`] is given.
    pub effects: &'static [&'static str],
    /// Whether WASI preview 1 can be imported at all.
    pub wasi: bool,
    /// Whether an initialised module is kept as a snapshot, so that its start-up is paid once.
    pub snapshot: bool,
    /// Where compiled modules are kept from one start of the host to the next.
    pub cache: Option<CompileCache>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            effects: &[],
            wasi: true,
            snapshot: true,
            cache: None,
        }
    }
}

/// What became of the plugin's initialisation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// The plugin has nothing to initialise.
    NotNeeded,
    /// It ran once; each sandbox begins after it.
    Taken,
    /// It runs in each sandbox, because it was asked for so.
    Off,
    /// It runs in each sandbox, because this stood in the way.
    Refused(String),
}

/// What an entry point returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    Nothing,
    I32,
    I64,
}

/// A function of the plugin that takes nothing and returns at most its return code.
#[derive(Clone)]
pub(crate) struct EntryPoint {
    /// Its place among the module's exports, which tells it from others.
    pub number: usize,
    pub export: ModuleExport,
    pub returns: Returns,
}

pub(crate) struct Loaded {
    pub engine: wasmtime::Engine,
    pub ticker: Arc<Ticker>,
    pub pre: InstancePre<State>,
    pub kernel: ModuleExport,
    pub initialize: Option<EntryPoint>,
    entry_points: BTreeMap<String, EntryPoint>,
    /// Functions that are exported but cannot be called from outside, with their types.
    other_functions: BTreeMap<String, String>,
    imports: Vec<String>,
    snapshot: Snapshot,
    digest: String,
    stack: u64,
}

/// A plugin that is ready to be called. Cheap to clone; calls in flight keep it alive.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({})", self.0.digest)
    }
}

/// The host functions that a plugin may import.
struct Provided<'a>(&'a LoadOptions);

impl HostFunctions for Provided<'_> {
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
    /// Links, compiles and checks a plugin, all of it on a thread for blocking work.
    ///
    /// # Errors
    /// Everything that makes the plugin unusable; nothing of it stays.
    pub async fn load(
        &self,
        manifest: &Manifest,
        options: &LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let (engine, manifest, options) = (self.clone(), manifest.clone(), options.clone());
        let runtime = tokio::runtime::Handle::current();
        // A guest that is initialised for a snapshot runs there, too.
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
        let linked = link::link(&modules, &Provided(options))?;
        let core = self.core_for(&linked)?;
        let key = CompileCache::key(&linked, options.snapshot, &core.engine);
        let digest = CompileCache::digest(&modules);
        if let Some(found) = options
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&core.engine, &key))
        {
            return self.prepare(core, found.module, found.snapshot, digest, options);
        }
        let mut lasting = true;
        let (wasm, snapshot) = match snapshot::needed(&linked, options.snapshot) {
            Some(decided) => (linked, decided),
            None => match snapshot::take(self, &linked, &digest, options).await {
                Ok(initialised) => (initialised, Snapshot::Taken),
                Err(refusal) => {
                    lasting = !refusal.passing;
                    (linked, Snapshot::Refused(refusal.reason))
                }
            },
        };
        let module = core.compile(&wasm);
        let module = module.map_err(|error| LoadError::Prepare(format!("{error:#}")))?;
        if let Some(cache) = options.cache.as_ref().filter(|_| lasting) {
            cache.put(&key, &module, &snapshot);
        }
        self.prepare(core, module, snapshot, digest, options)
    }

    /// Connects a compiled module with the host functions and finds its entry points.
    pub(crate) fn prepare(
        &self,
        core: &Core,
        module: Module,
        snapshot: Snapshot,
        digest: String,
        options: &LoadOptions,
    ) -> Result<Plugin, LoadError> {
        let prepare = |error: wasmtime::Error| LoadError::Prepare(format!("{error:#}"));
        let pre = link_host(&core.engine, &module, options)
            .and_then(|linker| linker.instantiate_pre(&module));
        let pre = pre.map_err(prepare)?;
        let kernel = module.get_export_index(link::KERNEL_MEMORY);
        let kernel = kernel
            .ok_or_else(|| LoadError::Prepare("the linked module has no kernel".to_owned()))?;
        let (mut entry_points, mut other_functions) = (BTreeMap::new(), BTreeMap::new());
        for (number, export) in module.exports().enumerate() {
            let ExternType::Func(ty) = export.ty() else {
                continue;
            };
            let Some(index) = module.get_export_index(export.name()) else {
                continue;
            };
            let results: Vec<ValType> = ty.results().collect();
            let returns = match (ty.params().len(), results.as_slice()) {
                (0, []) => Returns::Nothing,
                (0, [ValType::I32]) => Returns::I32,
                (0, [ValType::I64]) => Returns::I64,
                _ => {
                    other_functions.insert(export.name().to_owned(), ty.to_string());
                    continue;
                }
            };
            entry_points.insert(
                export.name().to_owned(),
                EntryPoint {
                    number,
                    export: index,
                    returns,
                },
            );
        }
        let imports = module
            .imports()
            .map(|import| format!("{}::{}", import.module(), import.name()));
        Ok(Plugin(Arc::new(Loaded {
            engine: core.engine.clone(),
            ticker: core.ticker.clone(),
            imports: imports.collect(),
            pre,
            kernel,
            initialize: entry_points.remove(link::INITIALIZE),
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
) -> wasmtime::Result<Linker<State>> {
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
                let unit = from.strip_prefix("exomonad:wasi:").unwrap_or_default();
                let memory = module.get_export_index(&link::memory_export(unit));
                wasi::define(&mut linker, from, name, &ty, memory)?;
            }
            _ => wasmtime::bail!("`{from}::{name}` is not a function"),
        }
    }
    Ok(linker)
}

impl Plugin {
    pub(crate) fn loaded(&self) -> &Loaded {
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

    pub(crate) fn explain(&self, error: &wasmtime::Error, state: &State) -> CallError {
        sandbox::explain(error, state, self.0.stack)
    }

    /// Calls an entry point in a fresh sandbox.
    ///
    /// # Errors
    /// Whatever ended the call without an answer.
    pub async fn call(
        &self,
        host: Arc<dyn Host>,
        limits: Limits,
        export: &str,
        input: &[u8],
    ) -> Result<Output, CallError> {
        within(self, limits, async {
            let mut sandbox = Sandbox::new(self, host, limits).await?;
            sandbox.run(export, input).await
        })
        .await
    }

    /// A sandbox to keep, for a plugin that asks for warm ones.
    ///
    /// # Errors
    /// If it cannot be made within the limits.
    pub async fn sandbox(&self, host: Arc<dyn Host>, limits: Limits) -> Result<Sandbox, CallError> {
        within(self, limits, Sandbox::new(self, host, limits)).await
    }

    /// The functions that can be called, sorted.
    pub fn entry_points(&self) -> impl Iterator<Item = &str> {
        self.0.entry_points.keys().map(String::as_str)
    }

    /// Whether this entry point exists.
    #[must_use]
    pub fn has(&self, export: &str) -> bool {
        self.0.entry_points.contains_key(export)
    }

    /// The host functions that the plugin imports, as `module::name`; the kernel's are not among them.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// What became of the initialisation.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    /// The SHA-256 of the plugin's modules, in hexadecimal: what version this is.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}
