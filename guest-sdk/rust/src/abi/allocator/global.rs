//! The allocator of a WebAssembly module.

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::UnsafeCell;

use super::{Allocator, Memory};

const PAGE: usize = 65_536;

/// The amount to allocate beyond the need: 1 MiB. Untouched memory costs nothing.
const AHEAD: usize = 16 * PAGE;

unsafe extern "C" {
    /// The end of the linker's data and stack.
    static __heap_base: u8;
}

/// The module's own memory, from the end of the linker's data.
struct ModuleMemory;

// SAFETY: memory beyond `__heap_base` is unused, and only this allocator grows the memory.
unsafe impl Memory for ModuleMemory {
    fn initial(&mut self) -> (usize, usize) {
        (&raw const __heap_base as usize, memory_size(0) * PAGE)
    }

    fn grow(&mut self, bytes: usize) -> Option<usize> {
        let wanted = [(bytes + AHEAD).div_ceil(PAGE), bytes.div_ceil(PAGE)];
        // The sandbox's limit may allow less than this.
        let granted = wanted
            .into_iter()
            .find(|pages| memory_grow(0, *pages) != usize::MAX);
        granted.map(|_| memory_size(0) * PAGE)
    }
}

struct Global(UnsafeCell<Allocator<ModuleMemory>>);

// SAFETY: a module has one thread.
unsafe impl Sync for Global {}

// SAFETY: blocks are distinct, as long and as aligned as requested; see `Allocator`.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and the allocator does not call itself.
        unsafe { (*self.0.get()).allocate(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the caller vouches for the block.
        unsafe { (*self.0.get()).release(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the caller vouches for the block.
        unsafe { (*self.0.get()).resize(block, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Global = Global(UnsafeCell::new(Allocator::new(ModuleMemory)));
