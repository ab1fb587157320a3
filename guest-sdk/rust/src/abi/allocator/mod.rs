//! The plugin's memory allocator.
//!
//! Most sandboxes live for one call: they allocate a little, and are thrown away.
//! What costs there is not the allocating but what it touches: each page of
//! memory that is written for the first time is a page fault, and each
//! `memory.grow` a system call or two. So blocks are cut one after the other
//! from the memory that is there from the beginning (Rust's own allocator never
//! uses that, it grows first), what is freed is used again before more is cut,
//! and the last block grows and shrinks where it is, so that a buffer being
//! written is not copied each time it doubles.
//!
//! Sizes are rounded up to classes, at most a quarter more than asked for, and a
//! freed block is used again for its own class only. A sandbox that is kept warm
//! thus holds what each class needed at its peak.

#![allow(unsafe_code, reason = "an allocator deals in raw memory")]

mod classes;

#[cfg(target_family = "wasm")]
mod global;

use std::alloc::Layout;
use std::ptr::null_mut;

use classes::{CLASSES, class_of, class_size};

/// Every block begins at a multiple of this, which no type of Rust's exceeds.
const ALIGNMENT: usize = 16;

/// Where an allocator gets its memory.
///
/// # Safety
/// The range has to be memory that nobody else uses, and stays so as it grows.
pub unsafe trait Memory {
    /// The first range: begin and end, as addresses.
    fn initial(&mut self) -> (usize, usize);

    /// Makes the range longer by at least `bytes`, without moving it; gives its
    /// new end, or `None` when there is no more.
    fn grow(&mut self, bytes: usize) -> Option<usize>;
}

/// An allocator over some memory.
///
/// Its functions are not inlined: a plugin allocates in a thousand places.
pub struct Allocator<M> {
    memory: M,
    /// Where the next block is cut.
    top: usize,
    /// Where the memory ends; 0 before the first block.
    end: usize,
    /// The first freed block of each class, whose first word is the next's address.
    free: [usize; CLASSES],
}

impl<M: Memory> Allocator<M> {
    /// An allocator that has not touched its memory yet.
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
        // SAFETY: a block in the list is ours, and its first word is the next's address.
        self.free[class] = unsafe { (block as *const usize).read() };
        block as *mut u8
    }

    /// Takes a block back.
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
            // SAFETY: the block is ours again, aligned, and at least 16 bytes long.
            unsafe { block.cast::<usize>().write(self.free[class]) };
            self.free[class] = block as usize;
        }
        // Else it is lost: blocks of a class are alike, and this is aligned to more.
    }

    /// Makes a block longer or shorter, where it is if it can be.
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
        // A block that gets shorter moves as well: kept where it is, it would be
        // freed as what it has become, and its class would have lost it.
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

    /// Makes sure that the memory reaches `size` bytes beyond `block`.
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
