//! The host's side of the kernel: the state of `link/kernel.wat`, accessed as plain bytes.
//!
//! The host writes the input before a call and reads the output after it, without calling into the
//! guest. A guest can forge everything that is read here, so every range is checked against the memory.

use wasmtime::{AsContext, AsContextMut, Memory};

const HEAP_END: usize = 0;
const INPUT: usize = 4;
const OUTPUT: usize = 12;
const ERROR: usize = 20;
const FREE_LISTS: usize = 24;
const HEAP_BASE: u32 = 160;
const HEADER: u32 = 16;
const LIVE: u32 = 0x4556_494c;
const FREE: u32 = 0x4545_5246;
/// The granularity of memory growth, in bytes.
const GROWTH: u64 = 64 << 10;

/// The kernel's memory cannot grow: the sandbox's memory limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory;

/// The kernel of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    memory: Memory,
}

impl Kernel {
    pub fn new(memory: Memory) -> Self {
        Self { memory }
    }

    /// Resets the kernel to its empty state and clears the bytes in use.
    pub fn reset(self, mut store: impl AsContextMut) {
        let bytes = self.memory.data_mut(&mut store);
        let end = (load_u32(bytes, HEAP_END) as usize)
            .max(HEAP_BASE as usize)
            .min(bytes.len());
        bytes[..end].fill(0);
    }

    /// Sets the guest's input. An empty input has the offset 0, as `alloc(0)` has.
    pub fn set_input(self, mut store: impl AsContextMut, input: &[u8]) -> Result<(), OutOfMemory> {
        let offset = self.put(&mut store, input)?;
        let bytes = self.memory.data_mut(&mut store);
        store_u32(bytes, INPUT, offset as u32);
        store_u32(bytes, INPUT + 4, input.len() as u32);
        Ok(())
    }

    /// Writes `content` into a new block and returns its offset, 0 for empty content.
    ///
    /// The host always allocates at the end of the heap; the guest reuses freed blocks.
    pub fn put(self, mut store: impl AsContextMut, content: &[u8]) -> Result<u64, OutOfMemory> {
        if content.is_empty() {
            return Ok(0);
        }
        let used = u32::try_from(content.len()).map_err(|_| OutOfMemory)?;
        let capacity = used.checked_next_multiple_of(16).ok_or(OutOfMemory)?;
        let top = load_u32(self.memory.data(&store), HEAP_END).max(HEAP_BASE);
        let offset = top.checked_add(HEADER).ok_or(OutOfMemory)?;
        let end = offset.checked_add(capacity).ok_or(OutOfMemory)?;
        let size = self.memory.data_size(&store) as u64;
        if u64::from(end) > size {
            let more = u64::from(end).next_multiple_of(GROWTH) - size;
            self.memory
                .grow(&mut store, more)
                .map_err(|_| OutOfMemory)?;
        }
        let bytes = self.memory.data_mut(&mut store);
        let header = (offset - HEADER) as usize;
        store_u32(bytes, header, offset ^ LIVE);
        store_u32(bytes, header + 4, capacity);
        store_u32(bytes, header + 8, used);
        store_u32(bytes, HEAP_END, end);
        let start = offset as usize;
        bytes[start..start + content.len()].copy_from_slice(content);
        Ok(u64::from(offset))
    }

    /// The bytes of the block at `offset`; `None` if there is no such block. Offset 0 is the empty block.
    pub fn block(self, store: &impl AsContext, offset: u64) -> Option<&[u8]> {
        if offset == 0 {
            return Some(&[]);
        }
        let bytes = self.memory.data(store);
        let start = usize::try_from(offset)
            .ok()
            .filter(|start| *start >= (HEAP_BASE + HEADER) as usize)?;
        if start > bytes.len() || load_u32(bytes, start - 16) != (start as u32) ^ LIVE {
            return None;
        }
        bytes.get(start..start.checked_add(load_u32(bytes, start - 8) as usize)?)
    }

    /// Frees the block at `offset` and returns its content, for functions of the ABI that own their
    /// arguments: the guest must not free it again, and its `length` is 0 from here on.
    pub fn take(self, mut store: impl AsContextMut, offset: u64) -> Option<Vec<u8>> {
        let content = self.block(&store, offset)?.to_vec();
        if offset != 0 {
            let start = offset as usize;
            let bytes = self.memory.data_mut(&mut store);
            if load_u32(bytes, INPUT) as usize == start {
                store_u32(bytes, INPUT, 0);
                store_u32(bytes, INPUT + 4, 0);
            }
            let capacity = load_u32(bytes, start - 12);
            if load_u32(bytes, HEAP_END) as usize == start + capacity as usize {
                store_u32(bytes, start - 16, 0);
                store_u32(bytes, HEAP_END, (start - 16) as u32);
            } else if let Some(class) = capacity.checked_ilog2() {
                let list = FREE_LISTS + 4 * class as usize;
                store_u32(bytes, start - 16, (start as u32) ^ FREE);
                store_u32(bytes, start - 4, load_u32(bytes, list));
                store_u32(bytes, list, start as u32);
            }
        }
        Some(content)
    }

    /// The guest's output. A forged range outside the memory counts as empty.
    pub fn output(self, store: &impl AsContext) -> &[u8] {
        let bytes = self.memory.data(store);
        let (offset, length) = (
            load_u32(bytes, OUTPUT) as usize,
            load_u32(bytes, OUTPUT + 4) as usize,
        );
        bytes.get(offset..offset + length).unwrap_or_default()
    }

    /// The argument of the guest's `error_set`, if it called it.
    pub fn error(self, store: &impl AsContext) -> Option<&[u8]> {
        let offset = load_u32(self.memory.data(store), ERROR);
        (offset != 0).then(|| self.block(store, u64::from(offset)).unwrap_or_default())
    }
}

/// The u32 at `at`, which is within the first page or was checked by the caller.
fn load_u32(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|word| word.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn store_u32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(word) = bytes.get_mut(at..at + 4) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}
