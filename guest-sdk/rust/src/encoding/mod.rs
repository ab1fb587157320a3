//! Encodings small enough to write rather than to depend on.

pub mod base64;
