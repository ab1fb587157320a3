//! The data of a sandbox's store, and the errors by which host functions end a call.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wasmtime::Caller;

use crate::kernel::{Kernel, OutOfMemory};
use crate::limits::{LOG_LINE_OVERHEAD, Meter};
use crate::{Host, Limit, LimitExceeded, LogLevel};

/// The reason why a host function ends the call instead of returning to the guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostCallError {
    #[error("{0}")]
    Limit(LimitExceeded),
    #[error("exit with code {0}")]
    Exit(i32),
    /// The guest violated the ABI, or the host refused.
    #[error("{0}")]
    Refused(String),
}

impl From<LimitExceeded> for HostCallError {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::Limit(exceeded)
    }
}

/// The last HTTP response, for the functions that return its parts.
#[derive(Debug, Default)]
pub(crate) struct LastHttpResponse {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
}

/// The data of a sandbox's store.
pub(crate) struct StoreState {
    pub host: Arc<dyn Host>,
    pub meter: Meter,
    pub vars: HashMap<String, Vec<u8>>,
    pub http: LastHttpResponse,
    /// Incomplete lines of standard output and standard error.
    pub output_lines: [Vec<u8>; 2],
    /// Set right after instantiation; only start functions run before.
    pub kernel: Option<Kernel>,
}

impl StoreState {
    pub fn new(host: Arc<dyn Host>, meter: Meter) -> Self {
        Self {
            host,
            meter,
            vars: HashMap::new(),
            http: LastHttpResponse::default(),
            output_lines: [Vec::new(), Vec::new()],
            kernel: None,
        }
    }

    /// Passes a message to the host's log and counts it.
    pub fn log(&mut self, level: LogLevel, message: &[u8]) -> Result<(), HostCallError> {
        self.meter.count_log(message.len() + LOG_LINE_OVERHEAD)?;
        self.host.log(level, &String::from_utf8_lossy(message));
        Ok(())
    }
}

/// Access of host functions to the kernel of the calling instance.
pub(crate) trait KernelAccess {
    /// The kernel of the calling instance.
    fn kernel(&mut self) -> Result<Kernel, HostCallError>;
    /// A copy of the block at `offset`.
    fn block(&mut self, offset: i64) -> Result<Vec<u8>, HostCallError>;
    /// The content of the block at `offset`, which is freed: for functions that own their arguments.
    fn take(&mut self, offset: i64) -> Result<Vec<u8>, HostCallError>;
    /// The offset of a new block with this content, for the guest.
    fn put(&mut self, content: &[u8]) -> Result<i64, HostCallError>;
}

fn no_block(offset: i64) -> HostCallError {
    HostCallError::Refused(format!(
        "invalid handle offset: {} is not a block of this plugin's memory",
        offset as u64
    ))
}

impl KernelAccess for Caller<'_, StoreState> {
    fn kernel(&mut self) -> Result<Kernel, HostCallError> {
        if let Some(kernel) = self.data().kernel {
            return Ok(kernel);
        }
        // A start function may call before the instance is complete.
        let memory = self
            .get_export(crate::link::KERNEL_MEMORY)
            .and_then(wasmtime::Extern::into_memory);
        memory
            .map(Kernel::new)
            .ok_or_else(|| HostCallError::Refused("the instance has no kernel".to_owned()))
    }

    fn block(&mut self, offset: i64) -> Result<Vec<u8>, HostCallError> {
        let kernel = self.kernel()?;
        kernel
            .block(self, offset as u64)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| no_block(offset))
    }

    fn take(&mut self, offset: i64) -> Result<Vec<u8>, HostCallError> {
        let kernel = self.kernel()?;
        kernel
            .take(self, offset as u64)
            .ok_or_else(|| no_block(offset))
    }

    fn put(&mut self, content: &[u8]) -> Result<i64, HostCallError> {
        let kernel = self.kernel()?;
        match kernel.put(&mut *self, content) {
            Ok(offset) => Ok(offset as i64),
            Err(OutOfMemory) => Err(self.data().meter.limits.exceeded(Limit::Memory).into()),
        }
    }
}
