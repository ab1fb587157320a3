//! The JSON Schema of a tool's arguments (draft 2020-12), checked in bounded time.
//!
//! Schemas are a plugin's and arguments a model's, so both may be hostile: regular expressions run in linear
//! time ([`pattern`]), each step and byte is counted while a check is done ([`work`]), and a violation is
//! told without the arguments' text, which may be megabytes.
//!
//! `format` and `content…` are annotations, as the draft has them by default. References lead within the
//! schema; nothing is read from anywhere else.

mod check;
pub mod coerce;
mod nfa;
pub mod pattern;
mod shape;
pub mod work;

use std::collections::HashMap;

use serde_json::Value;

use self::pattern::Pattern;
pub use self::shape::SchemaFault;

/// States that the patterns of one plugin's tools may have together: some 16 bytes each.
pub const STATES: usize = 500_000;

/// A schema that has been checked, with its patterns ready to match.
#[derive(Debug)]
pub struct Schema {
    root: Value,
    patterns: HashMap<String, Pattern>,
    /// The JSON pointers of anchors.
    anchors: HashMap<String, String>,
}

impl Schema {
    /// Checks a schema itself. `states` is what the plugin's patterns may still take.
    ///
    /// # Errors
    /// If it is no JSON Schema, or one that is not taken here.
    pub fn new(root: Value, states: &mut usize) -> Result<Self, SchemaFault> {
        let found = shape::check(&root)?;
        let mut patterns = HashMap::new();
        for text in found.patterns {
            let pattern = Pattern::new(&text, states).map_err(|reason| {
                SchemaFault::NotTaken(format!(
                    "has the pattern `{}`, which is not taken: {reason}",
                    check::shortened(&text, 200)
                ))
            })?;
            patterns.insert(text, pattern);
        }
        Ok(Self {
            root,
            patterns,
            anchors: found.anchors,
        })
    }

    /// The schema as the plugin has it.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The schema that a reference names.
    fn target(&self, reference: &str) -> Option<&Value> {
        shape::target(&self.root, &self.anchors, reference)
    }
}

/// Checks a schema of which nothing is used but that it is one.
///
/// # Errors
/// If it is no JSON Schema, or one that is not taken here.
pub fn check_shape(root: &Value) -> Result<(), SchemaFault> {
    shape::check(root).map(drop)
}

#[cfg(test)]
mod tests;
