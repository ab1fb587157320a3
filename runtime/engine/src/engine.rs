//! The engine: compiler, pool of sandboxes, and the clock that keeps guests interruptible.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Inlining, InstanceAllocationStrategy, Module, PoolingAllocationConfig};

use crate::LoadError;

/// How long a guest runs before it yields to others.
const TICK: Duration = Duration::from_millis(5);
/// What the fiber of a call needs beside the guest's stack, for the host functions that run on it.
const HOST_STACK: usize = 512 << 10;
/// Memories and tables that one plugin may have, the kernel's memory included.
const MEMORIES_PER_PLUGIN: u32 = 8;
const TABLES_PER_PLUGIN: u32 = 8;
/// Bytes for an instance's globals, imports and bookkeeping; a large Haskell module needs some hundred KiB.
const INSTANCE_BYTES: usize = 4 << 20;

/// Bytes of a linked module from which on it is compiled without inlining. To inline, the compiler holds the
/// intermediate code of all functions at once: 450 MiB for a module of 640 KB, 8 GiB for one of 4.5 MB.
const LARGE: usize = 1 << 20;

/// What an [`Engine`] is made of. All of it is reserved address space, not memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EngineConfig {
    /// Sandboxes that may exist at once.
    pub sandboxes: u32,
    /// Bytes that one memory of a sandbox can grow to: the largest limit of any role.
    pub memory: u64,
    /// Elements that one table can grow to: the largest limit of any role.
    pub table_elements: u64,
    /// Bytes of stack that a guest has. It is the engine's, since the pool is made of stacks of this
    /// size: a role with another limit needs another engine.
    pub stack: u64,
    /// Bytes of a used memory that are cleaned by hand instead of being given back to the kernel.
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
    inlining: Core,
    /// Made when the first module needs it: a module runs in the engine that it was compiled for. It has no
    /// pool, since a second one would need more mappings than Linux gives a process.
    plain: Arc<OnceLock<Core>>,
    pub(crate) config: EngineConfig,
}

/// A compiler with its pool of sandboxes, and what makes their guests yield.
#[derive(Clone)]
pub(crate) struct Core {
    pub engine: wasmtime::Engine,
    pub ticker: Arc<Ticker>,
    /// What an engine is made of that compiles for this one.
    compiler: Config,
}

impl Core {
    fn new(config: &EngineConfig, inlining: Inlining) -> Result<Self, LoadError> {
        let prepare = |error: wasmtime::Error| {
            LoadError::Prepare(format!("the engine cannot start: {error:#}"))
        };
        let compiler = settings(config, inlining);
        let mut settings = compiler.clone();
        if inlining == Inlining::Yes {
            settings.allocation_strategy(pool(config));
        }
        let engine = wasmtime::Engine::new(&settings).map_err(prepare)?;
        let ticker = Ticker::start(&engine)
            .map_err(|error| LoadError::Prepare(format!("no thread: {error}")))?;
        Ok(Self {
            engine,
            ticker,
            compiler,
        })
    }

    /// Compiles a linked module, on all processors. One at a time in the whole process: several would be no
    /// sooner, and each holds some hundred MiB meanwhile.
    ///
    /// In an engine of its own: Wasmtime keeps what its compiler worked with, those hundred MiB, as long as
    /// the engine lives.
    #[allow(
        unsafe_code,
        reason = "deserialising is unsafe for bytes that wasmtime did not write"
    )]
    pub fn compile(&self, linked: &[u8]) -> wasmtime::Result<Module> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = wasmtime::Engine::new(&self.compiler)?.precompile_module(linked);
        give_back_memory();
        // SAFETY: Wasmtime has just compiled this, and nobody has had it since.
        unsafe { Module::deserialize(&self.engine, compiled?) }
    }
}

impl Engine {
    /// Reserves the pool.
    ///
    /// # Errors
    /// If the machine refuses the address space or a value is out of range.
    pub fn new(config: EngineConfig) -> Result<Self, LoadError> {
        Ok(Self {
            inlining: Core::new(&config, Inlining::Yes)?,
            plain: Arc::default(),
            config,
        })
    }

    /// What compiles and runs a linked module.
    pub(crate) fn core_for(&self, linked: &[u8]) -> Result<&Core, LoadError> {
        match linked.len() < LARGE {
            true => Ok(&self.inlining),
            false => self.plain(),
        }
    }

    /// What compiles without inlining: less memory, and sooner.
    pub(crate) fn plain(&self) -> Result<&Core, LoadError> {
        if let Some(core) = self.plain.get() {
            return Ok(core);
        }
        let core = Core::new(&self.config, Inlining::No)?;
        // Another thread may have been quicker.
        Ok(self.plain.get_or_init(|| core))
    }

    /// What this engine was made of.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        self.config
    }
}

/// Makes the allocator return what is free to the machine: glibc's keeps it all, in pieces.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a function of the C library")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What says how code is compiled, and all else but the pool.
fn settings(config: &EngineConfig, inlining: Inlining) -> Config {
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
pub(crate) struct Ticker {
    running: AtomicUsize,
    thread: Thread,
}

/// A call that wants the epoch to advance.
pub(crate) struct Running<'t>(&'t Ticker);

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> std::io::Result<Arc<Self>> {
        let engine = engine.weak();
        let (hand_over, take_over) = std::sync::mpsc::channel::<Weak<Self>>();
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                let Ok(ticker) = take_over.recv() else { return };
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
        let _ = hand_over.send(Arc::downgrade(&ticker));
        Ok(ticker)
    }

    /// Counts a call as running until the returned value is dropped.
    pub fn running(&self) -> Running<'_> {
        if self.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_modules_are_inlined_and_the_other_engine_is_made_once() {
        let engine = Engine::new(EngineConfig {
            sandboxes: 2,
            ..EngineConfig::default()
        });
        let engine = engine.unwrap();
        let same = |core: &Core, other: &Core| wasmtime::Engine::same(&core.engine, &other.engine);
        let small = engine.core_for(&[0; 100]).unwrap();
        let large = engine.core_for(&vec![0; LARGE]).unwrap();
        assert!(same(small, &engine.inlining) && !same(small, large));
        assert!(same(large, engine.clone().plain().unwrap()));
    }
}
