//! A model of the kernel in a few maps, and the check of a run against it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::script::{Operation, Step};

/// Below this offset is the kernel's own state.
const HEAP: u64 = 160;
/// The header before each block.
const HEADER: u64 = 16;
/// The most that can be asked for.
const MOST: u64 = 0xFFFF_0000;

/// The promises about one kernel.
pub struct Model {
    /// Live blocks with their lengths.
    live: BTreeMap<u64, u64>,
    /// The bytes stored into live blocks.
    bytes: BTreeMap<u64, u8>,
    memory: u64,
    input: (u64, u64),
    output: (u64, u64),
    error: u64,
}

impl Model {
    /// A kernel that holds nothing but its input.
    pub fn new(input_offset: u64, input: &[u8], memory: u64) -> Self {
        let stored = (input_offset..).zip(input.iter().copied());
        Self {
            live: BTreeMap::from([(input_offset, input.len() as u64)]),
            bytes: stored.collect(),
            memory,
            input: (input_offset, input.len() as u64),
            output: (0, 0),
            error: 0,
        }
    }

    /// Checks what a step answered, given the offset it worked on, and follows it.
    pub fn follow(
        &mut self,
        step: &Step,
        offset: u64,
        result: u64,
        memory: u64,
    ) -> Result<(), TestCaseError> {
        let before = self.memory;
        self.memory = memory;
        prop_assert!(
            memory == before || memory > before && memory.is_multiple_of(65_536),
            "memory went from {before} to {memory}"
        );
        prop_assert!(memory == before || step.operation == Operation::Alloc);
        match step.operation {
            Operation::Alloc => self.allocated(step.operand, result)?,
            Operation::Free => self.freed(offset),
            Operation::Length => {
                prop_assert_eq!(result, self.live.get(&offset).copied().unwrap_or(0))
            }
            Operation::LoadByte => self.loaded(offset, 1, result)?,
            Operation::LoadWord => self.loaded(offset, 8, result)?,
            Operation::StoreByte => self.stored(offset, &step.operand.to_le_bytes()[..1]),
            Operation::StoreWord => self.stored(offset, &step.operand.to_le_bytes()),
            Operation::InputByte => self.input_loaded(step.operand, 1, result)?,
            Operation::InputWord => self.input_loaded(step.operand, 8, result)?,
            Operation::Reset => {
                *self = Self {
                    live: BTreeMap::new(),
                    input: (0, 0),
                    ..Self::new(0, &[], memory)
                }
            }
            Operation::InputSet if self.in_heap(offset, step.operand) => {
                self.input = (offset, step.operand)
            }
            Operation::OutputSet if self.in_heap(offset, step.operand) => {
                self.output = (offset, step.operand)
            }
            Operation::ErrorSet if offset == 0 || self.in_heap(offset, 0) => self.error = offset,
            Operation::InputSet | Operation::OutputSet | Operation::ErrorSet => {}
            Operation::InputLength => prop_assert_eq!(result, self.input.1),
            Operation::OutputOffset => prop_assert_eq!(result, self.output.0),
            Operation::OutputLength => prop_assert_eq!(result, self.output.1),
            Operation::ErrorGet => prop_assert_eq!(result, self.error),
        }
        Ok(())
    }

    fn in_heap(&self, offset: u64, length: u64) -> bool {
        offset >= HEAP && offset < self.memory && length <= self.memory - offset
    }

    fn allocated(&mut self, length: u64, offset: u64) -> Result<(), TestCaseError> {
        if offset == 0 {
            prop_assert!(
                length == 0 || length > 1 << 20,
                "{length} bytes were refused"
            );
            return Ok(());
        }
        prop_assert!(length != 0 && length <= MOST);
        prop_assert!(
            offset >= HEAP + HEADER && offset + length <= self.memory,
            "{length} bytes at {offset}"
        );
        let before = self.live.range(..offset).next_back();
        if let Some((other, size)) = before {
            prop_assert!(
                other + size <= offset - HEADER,
                "{offset} lies in the block at {other}"
            );
        }
        if let Some((other, _)) = self.live.range(offset..).next() {
            prop_assert!(
                offset + length <= other - HEADER,
                "{length} bytes at {offset} reach the block at {other}"
            );
        }
        self.live.insert(offset, length);
        self.forget(offset, length);
        Ok(())
    }

    fn freed(&mut self, offset: u64) {
        if let Some(length) = self.live.remove(&offset) {
            self.forget(offset, length);
            if self.input.0 == offset {
                self.input = (0, 0);
            }
        }
    }

    fn forget(&mut self, offset: u64, length: u64) {
        self.bytes
            .retain(|at, _| !(offset..offset + length).contains(at));
    }

    fn loaded(&self, offset: u64, width: u64, result: u64) -> Result<(), TestCaseError> {
        if offset < HEAP || offset > self.memory - width {
            prop_assert_eq!(result, 0, "there is no memory at {}", offset);
        } else {
            self.compare(offset, width, result)?;
        }
        Ok(())
    }

    fn input_loaded(&self, at: u64, width: u64, result: u64) -> Result<(), TestCaseError> {
        let (offset, length) = self.input;
        if at.checked_add(width).is_none_or(|end| end > length) {
            prop_assert_eq!(result, 0, "there is no input at {}", at);
        } else {
            self.compare(offset + at, width, result)?;
        }
        Ok(())
    }

    /// Compares as far as it is known what is there.
    fn compare(&self, offset: u64, width: u64, result: u64) -> Result<(), TestCaseError> {
        for (nth, loaded) in (0..width).zip(result.to_le_bytes()) {
            if let Some(stored) = self.bytes.get(&(offset + nth)) {
                prop_assert_eq!(loaded, *stored, "at {}", offset + nth);
            }
        }
        Ok(())
    }

    fn stored(&mut self, offset: u64, bytes: &[u8]) {
        let inside = self.live.range(..=offset).next_back();
        if inside.is_some_and(|(block, length)| offset + bytes.len() as u64 <= block + length) {
            self.bytes.extend((offset..).zip(bytes.iter().copied()));
        }
    }
}
