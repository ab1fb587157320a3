//! The memory and the table elements that a plugin begins with, against the limits.
//!
//! The pool checks them too, but in the words of its own configuration, and only of plugins that it holds.

use wasmparser::{Parser, Payload};

use crate::engine::{MEMORIES_PER_PLUGIN, TABLES_PER_PLUGIN};
use crate::error::InitialSizeError;
use crate::{EngineConfig, Limit, Limits, LoadError};

/// The memories and tables of a linked module.
#[derive(Debug, Default, PartialEq, Eq)]
struct InitialSize {
    memories: u32,
    tables: u32,
    bytes: u64,
    elements: u64,
}

impl InitialSize {
    fn of(linked: &[u8]) -> wasmparser::Result<Self> {
        let mut size = Self::default();
        for payload in Parser::new(0).parse_all(linked) {
            match payload? {
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory?;
                        let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(63);
                        size.memories = size.memories.saturating_add(1);
                        size.bytes = size
                            .bytes
                            .saturating_add(memory.initial.saturating_mul(page));
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        size.tables = size.tables.saturating_add(1);
                        size.elements = size.elements.saturating_add(table?.ty.initial);
                    }
                }
                // All of them come before the code.
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(size)
    }
}

/// Refuses a linked module that begins with more than a sandbox, or the calls' limits, have.
pub(crate) fn check(
    linked: &[u8],
    config: &EngineConfig,
    limits: Option<&Limits>,
) -> Result<(), LoadError> {
    let size = InitialSize::of(linked).map_err(|error| LoadError::Prepare(error.to_string()))?;
    for (number, most, name) in [
        (size.memories, MEMORIES_PER_PLUGIN, "memories"),
        (size.tables, TABLES_PER_PLUGIN, "tables"),
    ] {
        if number > most {
            return Err(LoadError::Prepare(format!(
                "it has {number} {name}, the host's own included; a plugin can have {most}"
            )));
        }
    }
    for (needed, most, of_calls, limit) in [
        (
            size.bytes,
            config.memory,
            limits.map(|limits| limits.memory),
            Limit::Memory,
        ),
        (
            size.elements,
            config.table_elements,
            limits.map(|limits| limits.table_elements),
            Limit::TableElements,
        ),
    ] {
        let value = of_calls.unwrap_or(u64::MAX).min(most);
        if needed > value {
            let error = InitialSizeError {
                limit,
                needed,
                value,
            };
            return Err(match of_calls {
                Some(_) => LoadError::InitialSize(error),
                None => LoadError::Prepare(error.to_string()),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_of_all_page_sizes_and_tables_are_counted() {
        let wasm = wat::parse_str(
            "(module (memory 3) (memory i64 1 9) (memory 4096 (pagesize 1)) (table 7 funcref) (table i64 5 funcref)
               (func))",
        );
        let size = InitialSize {
            memories: 3,
            tables: 2,
            bytes: (4 << 16) + 4096,
            elements: 12,
        };
        assert_eq!(InitialSize::of(&wasm.unwrap()).unwrap(), size);
    }
}
