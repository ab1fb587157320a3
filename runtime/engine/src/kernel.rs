//! The host's side of the kernel: the same state as `link/kernel.wat`, by plain bytes.
//!
//! The host puts the input in before a call and takes the output after it without calling into the
//! guest. Everything read here is the guest's to forge, so every range is checked against the memory.

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
/// The memory, which is counted in bytes, grows to a multiple of this.
const STEP: u64 = 64 << 10;

/// The kernel's memory refused to grow: the sandbox's memory limit.
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

    /// Everything back to the state of an empty kernel, the bytes in use too.
    pub fn reset(self, mut store: impl AsContextMut) {
        let bytes = self.memory.data_mut(&mut store);
        let end = (load(bytes, HEAP_END) as usize)
            .max(HEAP_BASE as usize)
            .min(bytes.len());
        bytes[..end].fill(0);
    }

    /// Gives the guest its input. An empty one has the offset 0, as `alloc(0)` has.
    pub fn set_input(self, mut store: impl AsContextMut, input: &[u8]) -> Result<(), OutOfMemory> {
        let offset = self.put(&mut store, input)?;
        let bytes = self.memory.data_mut(&mut store);
        save(bytes, INPUT, offset as u32);
        save(bytes, INPUT + 4, input.len() as u32);
        Ok(())
    }

    /// Puts `content` into a new block and returns its offset, 0 for nothing.
    ///
    /// New blocks of the host always come from the end of the heap; the guest reuses what is freed.
    pub fn put(self, mut store: impl AsContextMut, content: &[u8]) -> Result<u64, OutOfMemory> {
        if content.is_empty() {
            return Ok(0);
        }
        let used = u32::try_from(content.len()).map_err(|_| OutOfMemory)?;
        let capacity = used.checked_next_multiple_of(16).ok_or(OutOfMemory)?;
        let top = load(self.memory.data(&store), HEAP_END).max(HEAP_BASE);
        let offset = top.checked_add(HEADER).ok_or(OutOfMemory)?;
        let end = offset.checked_add(capacity).ok_or(OutOfMemory)?;
        let size = self.memory.data_size(&store) as u64;
        if u64::from(end) > size {
            let more = u64::from(end).next_multiple_of(STEP) - size;
            self.memory
                .grow(&mut store, more)
                .map_err(|_| OutOfMemory)?;
        }
        let bytes = self.memory.data_mut(&mut store);
        let header = (offset - HEADER) as usize;
        save(bytes, header, offset ^ LIVE);
        save(bytes, header + 4, capacity);
        save(bytes, header + 8, used);
        save(bytes, HEAP_END, end);
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
        if start > bytes.len() || load(bytes, start - 16) != (start as u32) ^ LIVE {
            return None;
        }
        bytes.get(start..start.checked_add(load(bytes, start - 8) as usize)?)
    }

    /// Takes the block at `offset` away from the guest, as functions of the ABI do that own their
    /// arguments: the guest must not free it again, and `length` of it is 0 from here on.
    pub fn take(self, mut store: impl AsContextMut, offset: u64) -> Option<Vec<u8>> {
        let content = self.block(&store, offset)?.to_vec();
        if offset != 0 {
            let start = offset as usize;
            let bytes = self.memory.data_mut(&mut store);
            if load(bytes, INPUT) as usize == start {
                save(bytes, INPUT, 0);
                save(bytes, INPUT + 4, 0);
            }
            let capacity = load(bytes, start - 12);
            if load(bytes, HEAP_END) as usize == start + capacity as usize {
                save(bytes, start - 16, 0);
                save(bytes, HEAP_END, (start - 16) as u32);
            } else if let Some(class) = capacity.checked_ilog2() {
                let list = FREE_LISTS + 4 * class as usize;
                save(bytes, start - 16, (start as u32) ^ FREE);
                save(bytes, start - 4, load(bytes, list));
                save(bytes, list, start as u32);
            }
        }
        Some(content)
    }

    /// What the guest set as its output. A range that was forged past the memory is empty.
    pub fn output(self, store: &impl AsContext) -> &[u8] {
        let bytes = self.memory.data(store);
        let (offset, length) = (
            load(bytes, OUTPUT) as usize,
            load(bytes, OUTPUT + 4) as usize,
        );
        bytes.get(offset..offset + length).unwrap_or_default()
    }

    /// What the guest passed to `error_set`, if anything.
    pub fn error(self, store: &impl AsContext) -> Option<&[u8]> {
        let offset = load(self.memory.data(store), ERROR);
        (offset != 0).then(|| self.block(store, u64::from(offset)).unwrap_or_default())
    }
}

/// The u32 at `at`, which is within the first page or was checked by the caller.
fn load(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|word| word.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn save(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(word) = bytes.get_mut(at..at + 4) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}
