//! Scalars that carry their rules, so that a decoded request cannot be wrong.
//!
//! Each is plain JSON on the wire, its rule stands in the JSON Schema, and
//! decoding refuses what breaks it.

/// Gives a text type the inline JSON Schema of its pattern.
///
/// schemars itself takes a `try_from = "String"` type for any text.
macro_rules! pattern_schema {
    ($Text:ident, $pattern:literal) => {
        impl schemars::JsonSchema for $Text {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Text).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

pub(crate) use pattern_schema;

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
