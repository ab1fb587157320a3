//! Scalars with validation, so that a decoded request is always valid.
//!
//! Each is plain JSON on the wire; its JSON Schema states the rule, and decoding
//! refuses a value that breaks it.

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
pub use bounded::{BoundedInt, BoundedText, OutOfBoundsError};
pub use path::WorkingDir;
pub use raw_json::RawJson;
pub use repo::{RepoName, RepoNameError};
