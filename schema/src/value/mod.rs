//! Scalars that carry their rules, so that a decoded request cannot be wrong.
//!
//! Each is plain JSON on the wire, its rule stands in the JSON Schema, and
//! decoding refuses what breaks it.

mod base64_bytes;
mod bounded;
mod path;
mod raw_json;
mod repo;

pub use base64_bytes::Base64;
pub use bounded::{BoundedInt, BoundedText, OutOfBounds};
pub use path::WorkingDir;
pub use raw_json::RawJson;
pub use repo::{InvalidRepoName, RepoName};
