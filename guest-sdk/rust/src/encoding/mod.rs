//! Encodings that are too small for a dependency.

pub mod base64;
