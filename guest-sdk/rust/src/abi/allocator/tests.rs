//! Tests of the allocator against a model, over memory of a fixed length.

use super::*;

/// Memory that grows by pages of 4 KiB up to a limit.
struct Arena {
    bytes: Vec<u128>,
    given: usize,
}

impl Arena {
    fn of(length: usize) -> Self {
        Self {
            bytes: vec![0; length / 16],
            given: 0,
        }
    }
}

// SAFETY: the vector is never resized.
unsafe impl Memory for Arena {
    fn initial(&mut self) -> (usize, usize) {
        self.given = 4096;
        let begin = self.bytes.as_ptr() as usize;
        (begin + 8, begin + self.given)
    }

    fn grow(&mut self, bytes: usize) -> Option<usize> {
        let given = self.given + bytes.next_multiple_of(4096);
        if given > self.bytes.len() * 16 {
            return None;
        }
        self.given = given;
        Some(self.bytes.as_ptr() as usize + given)
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// A block and the byte it is filled with.
struct Held {
    block: *mut u8,
    size: usize,
    mark: u8,
}

impl Held {
    fn fill(&self) {
        // SAFETY: the block has `size` bytes.
        unsafe { self.block.write_bytes(self.mark, self.size) };
    }

    fn check(&self, length: usize) {
        for index in 0..length {
            // SAFETY: the block has `length` bytes.
            assert_eq!(
                unsafe { self.block.add(index).read() },
                self.mark,
                "overwritten at {index}"
            );
        }
    }
}

#[test]
fn no_block_overlaps_another_whatever_the_order_of_calls() {
    let mut allocator = Allocator::new(Arena::of(8 << 20));
    let mut held: Vec<Held> = Vec::new();
    let mut random = 1_u64;
    let mut next = move |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for step in 0..20_000 {
        let size = 1 + if next(10) == 0 {
            next(20_000)
        } else {
            next(300)
        };
        match next(3) {
            0 if held.len() < 200 => {
                let block = allocator.allocate(layout(size));
                assert!(!block.is_null());
                assert_eq!(block as usize % ALIGNMENT, 0);
                held.push(Held {
                    block,
                    size,
                    mark: step as u8,
                });
                held.last().unwrap().fill();
            }
            1 if !held.is_empty() => {
                let gone = held.swap_remove(next(held.len()));
                gone.check(gone.size);
                // SAFETY: the block is the allocator's and not used again.
                unsafe { allocator.release(gone.block, layout(gone.size)) };
            }
            2 if !held.is_empty() => {
                let index = next(held.len());
                let one = &mut held[index];
                // SAFETY: the block is the allocator's.
                one.block = unsafe { allocator.resize(one.block, layout(one.size), size) };
                assert!(!one.block.is_null());
                one.check(one.size.min(size));
                one.size = size;
                one.fill();
            }
            _ => {}
        }
    }
    held.iter().for_each(|one| one.check(one.size));
}

#[test]
fn a_freed_block_is_used_again() {
    let mut allocator = Allocator::new(Arena::of(1 << 16));
    let first = allocator.allocate(layout(100));
    let second = allocator.allocate(layout(100));
    // SAFETY: the blocks are the allocator's and not used again.
    unsafe { allocator.release(first, layout(100)) };
    assert_eq!(allocator.allocate(layout(110)), first);
    // The last block is returned to the unallocated memory.
    unsafe { allocator.release(second, layout(100)) };
    assert_eq!(allocator.allocate(layout(3000)), second);
}

#[test]
fn the_last_block_grows_in_place() {
    let mut allocator = Allocator::new(Arena::of(1 << 20));
    allocator.allocate(layout(10));
    let buffer = allocator.allocate(layout(64));
    let mut size = 64;
    while size < 500_000 {
        // SAFETY: the block is the allocator's.
        assert_eq!(
            unsafe { allocator.resize(buffer, layout(size), size * 2) },
            buffer
        );
        size *= 2;
    }
}

#[test]
fn a_block_with_a_larger_alignment_is_aligned_and_separate() {
    let mut allocator = Allocator::new(Arena::of(1 << 16));
    let wide = Layout::from_size_align(100, 256).unwrap();
    let one = allocator.allocate(wide);
    let other = allocator.allocate(wide);
    assert!((one as usize).is_multiple_of(256) && (other as usize).is_multiple_of(256));
    assert_ne!(one, other);
}

#[test]
fn exhausted_memory_gives_null_and_stays_usable() {
    let mut allocator = Allocator::new(Arena::of(1 << 16));
    assert!(allocator.allocate(layout(1 << 20)).is_null());
    assert!(allocator.allocate(layout(usize::MAX / 4)).is_null());
    let block = allocator.allocate(layout(1000));
    assert!(!block.is_null());
    // SAFETY: the block is the allocator's.
    assert!(unsafe { allocator.resize(block, layout(1000), 1 << 20) }.is_null());
}

#[test]
fn a_pooled_sandbox_reuses_blocks_that_were_shrunk() {
    let mut allocator = Allocator::new(Arena::of(1 << 16));
    for _ in 0..1000 {
        let first = allocator.allocate(layout(5000));
        let second = allocator.allocate(layout(5000));
        assert!(!first.is_null() && !second.is_null());
        // SAFETY: the blocks are the allocator's, and not used after their release.
        unsafe {
            let first = allocator.resize(first, layout(5000), 40);
            let second = allocator.resize(second, layout(5000), 40);
            allocator.release(first, layout(40));
            allocator.release(second, layout(40));
        }
    }
}
