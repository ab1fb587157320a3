//! The host's side of the kernel: the state of `link/kernel.wat`, accessed as plain bytes.
//!
//! The host writes the input before a call and reads the output after it, without calling into the
//! guest. A guest can forge everything that is read here, so every range is checked against the memory.

use wasmtime::{AsContext, AsContextMut, Memory};

const HEAP_END: usize = 0;
const INPUT: usize = 4;
const OUTPUT: usize = 12;
const ERROR: usize = 20;
const CONSUMED_BYTES: usize = 24;
const FIRST_CONSUMED: usize = 28;
const LAST_CONSUMED: usize = 32;
const FREE_LISTS: usize = 24;
const HEAP_BASE: u32 = 160;
const HEADER: u32 = 16;
const LIVE: u32 = 0x4556_494c;
const FREE: u32 = 0x4545_5246;
const CONSUMED: u32 = 0x534e_4f43;
/// The smallest capacity of a block, and what all capacities are multiples of.
const ALIGN: u32 = 16;
/// The bytes of consumed blocks that are kept from being used again.
const MAX_CONSUMED: u32 = 1 << 20;
/// The consumed blocks that one host call frees at most: a list that the guest forged may be long.
const MAX_RELEASED: usize = 1 << 16;
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
        let offset = self.put(&mut store, input, 0)?;
        let bytes = self.memory.data_mut(&mut store);
        store_u32(bytes, INPUT, offset as u32);
        store_u32(bytes, INPUT + 4, input.len() as u32);
        Ok(())
    }

    /// Writes `content` into a new block and returns its offset, 0 for empty content.
    ///
    /// The host always allocates at the end of the heap; the guest reuses freed blocks. If the memory cannot
    /// grow, consumed blocks make room, but not those from `kept` on, the first argument of this host call:
    /// the guest may still free them, and must not free the result with them.
    pub fn put(
        self,
        mut store: impl AsContextMut,
        content: &[u8],
        kept: u64,
    ) -> Result<u64, OutOfMemory> {
        if content.is_empty() {
            return Ok(0);
        }
        let placed = match self.put_at_end(&mut store, content) {
            Err(OutOfMemory) if self.release_consumed(&mut store, kept) => {
                self.put_at_end(&mut store, content)
            }
            placed => placed,
        };
        placed.map(u64::from)
    }

    fn put_at_end(self, mut store: impl AsContextMut, content: &[u8]) -> Result<u32, OutOfMemory> {
        let used = u32::try_from(content.len()).map_err(|_| OutOfMemory)?;
        let capacity = used.checked_next_multiple_of(ALIGN).ok_or(OutOfMemory)?;
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
        Ok(offset)
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

    /// Consumes the blocks at these offsets and returns their content, for functions of the ABI that own
    /// their arguments; the error is the offset that is no block. A consumed block has the length 0, as a
    /// freed one has, but nothing is laid in its place before [`MAX_CONSUMED`] bytes were consumed after it:
    /// PDKs free their arguments again, and would free whatever lies there.
    pub fn take<const N: usize>(
        self,
        mut store: impl AsContextMut,
        offsets: [u64; N],
    ) -> Result<[Vec<u8>; N], u64> {
        let mut contents = [const { Vec::new() }; N];
        // Those of this call stay, whatever their size.
        let bytes = self.memory.data_mut(&mut store);
        for _ in 0..MAX_RELEASED {
            if load_u32(bytes, CONSUMED_BYTES) <= MAX_CONSUMED || !release_first(bytes) {
                break;
            }
        }
        for (content, offset) in contents.iter_mut().zip(offsets) {
            *content = self.block(&store, offset).ok_or(offset)?.to_vec();
        }
        for offset in offsets {
            // One block may be two arguments.
            if offset != 0 && self.block(&store, offset).is_some() {
                consume(self.memory.data_mut(&mut store), offset as u32);
            }
        }
        Ok(contents)
    }

    /// Frees consumed blocks up to that at `kept`; false if there was none to free.
    fn release_consumed(self, mut store: impl AsContextMut, kept: u64) -> bool {
        let bytes = self.memory.data_mut(&mut store);
        let mut any = false;
        for _ in 0..MAX_RELEASED {
            if u64::from(load_u32(bytes, FIRST_CONSUMED)) == kept || !release_first(bytes) {
                break;
            }
            any = true;
        }
        any
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

/// Marks the live block at `start` as consumed, and puts it last in the list of those.
fn consume(bytes: &mut [u8], start: u32) {
    let at = start as usize;
    if load_u32(bytes, INPUT) == start {
        store_u32(bytes, INPUT, 0);
        store_u32(bytes, INPUT + 4, 0);
    }
    store_u32(bytes, at - 16, start ^ CONSUMED);
    store_u32(bytes, at - 4, 0);
    let last = load_u32(bytes, LAST_CONSUMED);
    match is_consumed(bytes, last) {
        true => store_u32(bytes, last as usize - 4, start),
        false => store_u32(bytes, FIRST_CONSUMED, start),
    }
    store_u32(bytes, LAST_CONSUMED, start);
    let size = load_u32(bytes, at - 12).saturating_add(HEADER);
    let all = load_u32(bytes, CONSUMED_BYTES).saturating_add(size);
    store_u32(bytes, CONSUMED_BYTES, all);
}

/// Frees the block that was consumed first; false if there is none, or the guest forged the list.
fn release_first(bytes: &mut [u8]) -> bool {
    let first = load_u32(bytes, FIRST_CONSUMED);
    if !is_consumed(bytes, first) {
        for word in [CONSUMED_BYTES, FIRST_CONSUMED, LAST_CONSUMED] {
            store_u32(bytes, word, 0);
        }
        return false;
    }
    let at = first as usize;
    let (capacity, next) = (load_u32(bytes, at - 12), load_u32(bytes, at - 4));
    let left = load_u32(bytes, CONSUMED_BYTES).saturating_sub(capacity.saturating_add(HEADER));
    store_u32(bytes, CONSUMED_BYTES, left);
    store_u32(bytes, FIRST_CONSUMED, next);
    if next == 0 {
        store_u32(bytes, LAST_CONSUMED, 0);
    }
    // The last block gives its bytes back to the heap; others wait in a list, as in `kernel.wat`.
    if first.checked_add(capacity) == Some(load_u32(bytes, HEAP_END)) {
        store_u32(bytes, at - 16, 0);
        store_u32(bytes, HEAP_END, first - HEADER);
    } else if let (true, Some(class)) = (capacity >= ALIGN, capacity.checked_ilog2()) {
        let list = FREE_LISTS + 4 * class as usize;
        store_u32(bytes, at - 16, first ^ FREE);
        store_u32(bytes, at - 4, load_u32(bytes, list));
        store_u32(bytes, list, first);
    } else {
        store_u32(bytes, at - 16, 0);
    }
    true
}

/// True if there is a consumed block at `start`.
fn is_consumed(bytes: &[u8], start: u32) -> bool {
    start >= HEAP_BASE + HEADER
        && start as usize <= bytes.len()
        && load_u32(bytes, start as usize - 16) == start ^ CONSUMED
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
