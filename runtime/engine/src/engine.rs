//! The engine: the compiler, the sandbox pool, and the epoch ticker that makes guests interruptible.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Inlining, InstanceAllocationStrategy, Module, PoolingAllocationConfig};

use crate::LoadError;
use crate::compile::{self, CompileLimits};

/// The time that a guest runs before it yields to others.
const TICK: Duration = Duration::from_millis(5);
/// The size of a fiber's stack beyond the guest's own, for the host functions that run on it.
const HOST_STACK: usize = 512 << 10;
/// Memories and tables that one plugin may have, the kernel's memory included.
pub(crate) const MEMORIES_PER_PLUGIN: u32 = 8;
pub(crate) const TABLES_PER_PLUGIN: u32 = 8;
/// Bytes for an instance's globals, imports and bookkeeping; a large Haskell module needs some hundred KiB.
const INSTANCE_BYTES: usize = 4 << 20;

/// The size of a linked module from which it is compiled without inlining. To inline, the compiler keeps the
/// intermediate code of all functions at once: 450 MiB for a module of 640 KB, 8 GiB for one of 4.5 MB.
const INLINING_LIMIT: usize = 1 << 20;

/// The configuration of an [`Engine`]. All sizes are reserved address space, not used memory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct EngineConfig {
    /// Sandboxes that may exist at once.
    pub sandboxes: u32,
    /// Bytes that one memory of a sandbox can grow to: the largest limit of any role.
    pub memory: u64,
    /// Elements that one table can grow to: the largest limit of any role.
    pub table_elements: u64,
    /// Bytes of stack that a guest has. Fixed per engine, since the pool's stacks all have this
    /// size: a role with another limit needs another engine.
    pub stack: u64,
    /// Bytes of a used memory that are zeroed in place instead of being returned to the kernel.
    pub keep_resident: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            sandboxes: 12_000,
            memory: 64 << 20,
            table_elements: 100_000,
            stack: 512 << 10,
            keep_resident: 256 << 10,
        }
    }
}

/// Compiles plugins and runs their calls. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inlining: EngineVariant,
    /// Created when the first module needs it: a module runs in the engine that it was compiled for. It has no
    /// pool, since a second pool would need more mappings than Linux gives a process.
    without_inlining: Arc<OnceLock<EngineVariant>>,
    pub(crate) config: EngineConfig,
}

/// A wasmtime engine with its sandbox pool and its epoch ticker.
#[derive(Clone)]
pub(crate) struct EngineVariant {
    pub engine: wasmtime::Engine,
    pub ticker: Arc<EpochTicker>,
    config: EngineConfig,
    inlining: Inlining,
}

impl EngineVariant {
    fn new(config: &EngineConfig, inlining: Inlining) -> Result<Self, LoadError> {
        let prepare = |error: wasmtime::Error| {
            LoadError::Prepare(format!("the engine cannot start: {error:#}"))
        };
        let mut settings = settings(config, inlining);
        if inlining == Inlining::Yes {
            settings.allocation_strategy(pool(config));
        }
        let engine = wasmtime::Engine::new(&settings).map_err(prepare)?;
        let ticker = EpochTicker::start(&engine)
            .map_err(|error| LoadError::Prepare(format!("no thread: {error}")))?;
        Ok(Self {
            engine,
            ticker,
            config: *config,
            inlining,
        })
    }

    /// Compiles a linked module for this engine.
    #[expect(
        unsafe_code,
        reason = "deserialising is unsafe for bytes that wasmtime did not write"
    )]
    pub async fn compile(&self, linked: &[u8], limits: CompileLimits) -> Result<Module, LoadError> {
        let compiled = compile::compile(&self.config, self.inlining, linked, limits).await?;
        // SAFETY: Wasmtime has just compiled these bytes, in this process or in the same binary, and nobody
        // else had access to them.
        unsafe { Module::deserialize(&self.engine, compiled) }
            .map_err(|error| LoadError::Prepare(format!("{error:#}")))
    }
}

impl Engine {
    /// Reserves the pool.
    ///
    /// # Errors
    /// If the machine refuses the address space or a value is out of range.
    pub fn new(config: EngineConfig) -> Result<Self, LoadError> {
        Ok(Self {
            inlining: EngineVariant::new(&config, Inlining::Yes)?,
            without_inlining: Arc::default(),
            config,
        })
    }

    /// The variant that compiles and runs this linked module.
    pub(crate) fn variant_for(&self, linked: &[u8]) -> Result<&EngineVariant, LoadError> {
        match linked.len() < INLINING_LIMIT {
            true => Ok(&self.inlining),
            false => self.without_inlining(),
        }
    }

    /// The variant that compiles without inlining, with less memory and time.
    pub(crate) fn without_inlining(&self) -> Result<&EngineVariant, LoadError> {
        if let Some(variant) = self.without_inlining.get() {
            return Ok(variant);
        }
        let variant = EngineVariant::new(&self.config, Inlining::No)?;
        // Another thread may have been faster.
        Ok(self.without_inlining.get_or_init(|| variant))
    }

    /// The configuration of this engine.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        self.config
    }
}

/// Returns free memory to the system, which glibc's allocator otherwise keeps in fragments.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a function of the C library")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The compiler's configuration, and everything else except the pool.
pub(crate) fn settings(config: &EngineConfig, inlining: Inlining) -> Config {
    let mut settings = Config::new();
    settings
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(config.memory)
        .memory_guard_size(64 << 10)
        .epoch_interruption(true)
        .max_wasm_stack(size(config.stack))
        .async_stack_size(size(config.stack).saturating_add(HOST_STACK))
        .compiler_inlining(inlining)
        .wasm_features(crate::link::linked_features(), true);
    settings
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(config.sandboxes)
        .total_stacks(config.sandboxes)
        .total_memories(config.sandboxes.saturating_mul(2))
        .total_tables(config.sandboxes.saturating_mul(2))
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memories_per_module(MEMORIES_PER_PLUGIN)
        .max_tables_per_module(TABLES_PER_PLUGIN)
        .max_memory_size(size(config.memory))
        .table_elements(size(config.table_elements))
        .linear_memory_keep_resident(size(config.keep_resident))
        .table_keep_resident(size(config.keep_resident))
        .pagemap_scan(wasmtime::Enabled::Auto)
        .async_stack_keep_resident(0);
    pool
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Advances the engine's epoch while calls are running, and sleeps while none is.
pub(crate) struct EpochTicker {
    running: AtomicUsize,
    thread: Thread,
}

/// Guard of a running call, which needs the epoch to advance.
pub(crate) struct RunningCall<'t>(&'t EpochTicker);

impl EpochTicker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Arc<Self>> {
        let engine = engine.weak();
        let (sender, receiver) = std::sync::mpsc::channel::<Weak<Self>>();
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                let Ok(ticker) = receiver.recv() else { return };
                loop {
                    let Some(running) = ticker
                        .upgrade()
                        .map(|ticker| ticker.running.load(Ordering::SeqCst))
                    else {
                        return;
                    };
                    if running == 0 {
                        std::thread::park();
                        continue;
                    }
                    std::thread::sleep(TICK);
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })?;
        let ticker = Arc::new(Self {
            running: AtomicUsize::new(0),
            thread: thread.thread().clone(),
        });
        // The thread waits for exactly this message.
        let _ = sender.send(Arc::downgrade(&ticker));
        Ok(ticker)
    }

    /// Counts a call as running until the returned value is dropped.
    pub fn running(&self) -> RunningCall<'_> {
        if self.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        RunningCall(self)
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_modules_are_inlined_and_the_other_variant_is_created_once() {
        let engine = Engine::new(EngineConfig {
            sandboxes: 2,
            ..EngineConfig::default()
        });
        let engine = engine.unwrap();
        let same = |one: &EngineVariant, other: &EngineVariant| {
            wasmtime::Engine::same(&one.engine, &other.engine)
        };
        let small = engine.variant_for(&[0; 100]).unwrap();
        let large = engine.variant_for(&vec![0; INLINING_LIMIT]).unwrap();
        assert!(same(small, &engine.inlining) && !same(small, large));
        assert!(same(large, engine.clone().without_inlining().unwrap()));
    }
}
