//! The engine beside Extism's own.
//!
//! `tests/conformance` runs the same plugins under both and compares what comes back; `src/bin/engine`
//! times both, in turns, in one run. What the two need in common is here, and the suite that a plugin of each
//! guest language has to pass.

pub mod contract;
pub mod guests;
pub mod libextism;
pub mod machine;
pub mod measure;
