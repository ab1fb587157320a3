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

/// The bytes of a guest's output that an error quotes.
const MAX_QUOTED: usize = 2 << 10;

/// The data of a sandbox's store.
pub(crate) struct StoreState {
    pub host: Arc<dyn Host>,
    pub meter: Meter,
    pub vars: HashMap<String, Vec<u8>>,
    /// Bytes that the variables count as.
    pub vars_size: u64,
    pub http: LastHttpResponse,
    /// Incomplete lines of standard output and standard error.
    pub output_lines: [Vec<u8>; 2],
    /// The end of what this call has written to each of them.
    pub written: [Vec<u8>; 2],
    /// Set right after instantiation; only start functions run before.
    pub kernel: Option<Kernel>,
}

impl StoreState {
    pub fn new(host: Arc<dyn Host>, meter: Meter) -> Self {
        Self {
            host,
            meter,
            vars: HashMap::new(),
            vars_size: 0,
            http: LastHttpResponse::default(),
            output_lines: [Vec::new(), Vec::new()],
            written: [Vec::new(), Vec::new()],
            kernel: None,
        }
    }

    /// Remembers text written to a standard stream, as far as a message quotes it.
    pub fn remember_output(&mut self, stream: usize, text: &[u8]) {
        let written = &mut self.written[stream];
        written.extend_from_slice(&text[text.len().saturating_sub(MAX_QUOTED)..]);
        let surplus = written.len().saturating_sub(MAX_QUOTED);
        written.drain(..surplus);
    }

    /// The end of what the guest wrote to standard error, or else to standard output, where some languages
    /// write their panics; as the end of a message, empty if there is nothing.
    pub fn last_output(&self) -> String {
        let [output, error] = &self.written;
        // Without what would move a terminal's cursor or change its colours.
        let shown = |c: char| match c {
            '\n' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        let written = [error, output].map(|text| {
            let text: String = String::from_utf8_lossy(text).chars().map(shown).collect();
            text.trim().to_owned()
        });
        match written.into_iter().find(|text| !text.is_empty()) {
            Some(text) => format!("; before that it wrote: {text}"),
            None => String::new(),
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
    /// The contents of the blocks at these offsets, which are consumed: for functions that own their
    /// arguments. One call takes all of them at once.
    fn take<const N: usize>(&mut self, offsets: [i64; N]) -> Result<[Vec<u8>; N], HostCallError>;
    /// The offset of a new block with this content, for the guest. `taken` is the first argument that the
    /// function has taken, or 0.
    fn put(&mut self, content: &[u8], taken: i64) -> Result<i64, HostCallError>;
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

    fn take<const N: usize>(&mut self, offsets: [i64; N]) -> Result<[Vec<u8>; N], HostCallError> {
        let kernel = self.kernel()?;
        kernel
            .take(self, offsets.map(|offset| offset as u64))
            .map_err(|offset| no_block(offset as i64))
    }

    fn put(&mut self, content: &[u8], taken: i64) -> Result<i64, HostCallError> {
        let kernel = self.kernel()?;
        match kernel.put(&mut *self, content, taken as u64) {
            Ok(offset) => Ok(offset as i64),
            Err(OutOfMemory) => Err(self.data().meter.limits.exceeded(Limit::Memory).into()),
        }
    }
}
