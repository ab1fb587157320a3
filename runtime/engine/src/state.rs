//! What the store of a sandbox holds, and how a host function ends a call.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wasmtime::Caller;

use crate::kernel::{Kernel, OutOfMemory};
use crate::limits::{LINE_COST, Meter};
use crate::{Host, Limit, LimitHit, LogLevel};

/// Why a host function ends the call instead of answering the guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("{0}")]
    Limit(LimitHit),
    #[error("exit with code {0}")]
    Exit(i32),
    /// The guest broke the rules of the ABI, or the host refuses.
    #[error("{0}")]
    Refused(String),
}

impl From<LimitHit> for Stop {
    fn from(hit: LimitHit) -> Self {
        Self::Limit(hit)
    }
}

/// The last HTTP response, for the functions that ask for its parts.
#[derive(Debug, Default)]
pub(crate) struct LastHttp {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
}

/// What the store of a sandbox holds.
pub(crate) struct State {
    pub host: Arc<dyn Host>,
    pub meter: Meter,
    pub vars: HashMap<String, Vec<u8>>,
    pub http: LastHttp,
    /// Lines of standard output and standard error that have no end yet.
    pub output_lines: [Vec<u8>; 2],
    /// Set right after instantiation; only start functions run before.
    pub kernel: Option<Kernel>,
}

impl State {
    pub fn new(host: Arc<dyn Host>, meter: Meter) -> Self {
        Self {
            host,
            meter,
            vars: HashMap::new(),
            http: LastHttp::default(),
            output_lines: [Vec::new(), Vec::new()],
            kernel: None,
        }
    }

    /// Hands a message to the host's log and counts it.
    pub fn log(&mut self, level: LogLevel, message: &[u8]) -> Result<(), Stop> {
        self.meter.count_log(message.len() + LINE_COST)?;
        self.host.log(level, &String::from_utf8_lossy(message));
        Ok(())
    }
}

/// What host functions do with the kernel of the instance that calls them.
pub(crate) trait KernelAccess {
    /// The kernel of the calling instance.
    fn kernel(&mut self) -> Result<Kernel, Stop>;
    /// A copy of the block at `offset`.
    fn block(&mut self, offset: i64) -> Result<Vec<u8>, Stop>;
    /// The block at `offset`, taken from the guest: for functions that own their arguments.
    fn take(&mut self, offset: i64) -> Result<Vec<u8>, Stop>;
    /// A new block with this content, for the guest.
    fn put(&mut self, content: &[u8]) -> Result<i64, Stop>;
}

fn no_block(offset: i64) -> Stop {
    Stop::Refused(format!(
        "invalid handle offset: {} is not a block of this plugin's memory",
        offset as u64
    ))
}

impl KernelAccess for Caller<'_, State> {
    fn kernel(&mut self) -> Result<Kernel, Stop> {
        if let Some(kernel) = self.data().kernel {
            return Ok(kernel);
        }
        // A start function calls before the instance is complete.
        let memory = self
            .get_export(crate::link::KERNEL_MEMORY)
            .and_then(wasmtime::Extern::into_memory);
        memory
            .map(Kernel::new)
            .ok_or_else(|| Stop::Refused("the instance has no kernel".to_owned()))
    }

    fn block(&mut self, offset: i64) -> Result<Vec<u8>, Stop> {
        let kernel = self.kernel()?;
        kernel
            .block(self, offset as u64)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| no_block(offset))
    }

    fn take(&mut self, offset: i64) -> Result<Vec<u8>, Stop> {
        let kernel = self.kernel()?;
        kernel
            .take(self, offset as u64)
            .ok_or_else(|| no_block(offset))
    }

    fn put(&mut self, content: &[u8]) -> Result<i64, Stop> {
        let kernel = self.kernel()?;
        match kernel.put(&mut *self, content) {
            Ok(offset) => Ok(offset as i64),
            Err(OutOfMemory) => Err(self.data().meter.limits.hit(Limit::Memory).into()),
        }
    }
}
