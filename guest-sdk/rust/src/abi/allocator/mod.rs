//! The plugin's memory allocator.
//!
//! Most sandboxes live for one call: they allocate a little, and are dropped. The
//! cost is then not in allocating but in touching memory: each first write to a
//! page is a page fault, and each `memory.grow` a system call or two. So blocks
//! are allocated one after the other from the memory that exists from the start
//! (Rust's own allocator grows the memory first and never uses it), freed blocks
//! are reused before new ones are allocated, and the last block grows and shrinks
//! in place, so that a buffer being written is not copied each time it doubles.
//!
//! Sizes are rounded up to size classes, by at most a quarter, and a freed block
//! is reused only within its own class. A pooled sandbox thus holds the peak of
//! each class.

#![allow(unsafe_code, reason = "an allocator deals in raw memory")]

mod classes;

#[cfg(target_family = "wasm")]
mod global;

use std::alloc::Layout;
use std::ptr::null_mut;

use classes::{CLASSES, class_of, class_size};

/// The alignment of every block, which no type of Rust's exceeds.
const ALIGNMENT: usize = 16;

/// The source of an allocator's memory.
///
/// # Safety
/// The range must be memory that nothing else uses, also after it grows.
pub unsafe trait Memory {
    /// The initial range: start and end, as addresses.
    fn initial(&mut self) -> (usize, usize);

    /// Extends the range by at least `bytes`, without moving it; returns its
    /// new end, or `None` if there is no more memory.
    fn grow(&mut self, bytes: usize) -> Option<usize>;
}

/// An allocator over a range of memory.
///
/// Its functions are not inlined: a plugin allocates in a thousand places.
pub struct Allocator<M> {
    memory: M,
    /// The start of the next new block.
    top: usize,
    /// The end of the memory; 0 before the first block.
    end: usize,
    /// The first free block of each class, whose first word is the address of the next.
    free: [usize; CLASSES],
}

impl<M: Memory> Allocator<M> {
    /// An allocator that has not used its memory yet.
    pub const fn new(memory: M) -> Self {
        Self {
            memory,
            top: 0,
            end: 0,
            free: [0; CLASSES],
        }
    }

    /// A block for `layout`; null when there is no memory left.
    #[inline(never)]
    pub fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout.size()) else {
            return null_mut();
        };
        if layout.align() > ALIGNMENT {
            return self.cut(class_size(class), layout.align());
        }
        let block = self.free[class];
        if block == 0 {
            return self.cut(class_size(class), ALIGNMENT);
        }
        // SAFETY: a block in the list is free, and its first word is the address of the next.
        self.free[class] = unsafe { (block as *const usize).read() };
        block as *mut u8
    }

    /// Frees a block.
    ///
    /// # Safety
    /// `block` came from this allocator for `layout`, and is not used again.
    #[inline(never)]
    pub unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        let Some(class) = class_of(layout.size()) else {
            return;
        };
        if block as usize + class_size(class) == self.top {
            self.top = block as usize;
        } else if layout.align() <= ALIGNMENT {
            // SAFETY: the block is free, aligned, and at least 16 bytes long.
            unsafe { block.cast::<usize>().write(self.free[class]) };
            self.free[class] = block as usize;
        }
        // Otherwise it is lost: blocks of a class are alike, and this one has a larger alignment.
    }

    /// Grows or shrinks a block, in place if possible.
    ///
    /// # Safety
    /// As [`release`](Self::release) when the result is not null.
    #[inline(never)]
    pub unsafe fn resize(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(old), Some(new)) = (class_of(layout.size()), class_of(size)) else {
            return null_mut();
        };
        if new == old {
            return block;
        }
        let is_last = block as usize + class_size(old) == self.top;
        if is_last && self.reserve(block as usize, class_size(new)) {
            self.top = block as usize + class_size(new);
            return block;
        }
        // A block that shrinks is moved too: in place it would later be freed as one
        // of a smaller class, and be lost to its own.
        // SAFETY: a layout's alignment stays valid, and `size` has a class, so it is not too large.
        let moved =
            self.allocate(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
        if !moved.is_null() {
            // SAFETY: two blocks never overlap, and both have the shorter one's length.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.release(block, layout);
            }
        }
        moved
    }

    fn cut(&mut self, size: usize, alignment: usize) -> *mut u8 {
        if self.end == 0 {
            (self.top, self.end) = self.memory.initial();
            self.top = self.top.next_multiple_of(ALIGNMENT);
        }
        let block = self.top.next_multiple_of(alignment);
        if !self.reserve(block, size) {
            return null_mut();
        }
        self.top = block + size;
        block as *mut u8
    }

    /// Extends the memory to at least `size` bytes beyond `block`.
    fn reserve(&mut self, block: usize, size: usize) -> bool {
        let Some(needed) = block.checked_add(size) else {
            return false;
        };
        if needed > self.end {
            match self.memory.grow(needed - self.end) {
                Some(end) => self.end = end,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
