//! The values that are written as text: each parses at the edge, once, and is valid ever after.
//!
//! Every type here has one textual form, which is also its form in JSON and TOML, and names that
//! form by a `format` in the JSON Schema. [`check`] finds the parser by that name, which is how the
//! checker reports a bad value with its position before anything is deserialised.

mod address;
mod attribute;
mod endpoint;
mod label;
mod pattern;
mod plugin_ref;
mod quantity;
mod ratio;
mod scope;
mod size;
mod time_span;

pub use address::{ListenAddress, Origin};
pub use attribute::Attribute;
pub use endpoint::Endpoint;
pub use label::Label;
pub use pattern::{EffectPattern, HostPattern, RepoPattern};
pub use plugin_ref::PluginRef;
pub use ratio::Ratio;
pub use scope::{Area, Scope};
pub use size::ByteSize;
pub use time_span::TimeSpan;

use std::str::FromStr;

pub use exomonad_schema::RoleName;
use exomonad_schema::identity::InvalidRoleName;

/// A text that is not a value of the type it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {help}")]
pub struct FormatError {
    /// The problem with the text, as a clause that ends a sentence.
    pub problem: String,
    /// The text to write instead.
    pub help: String,
}

impl FormatError {
    /// An error of these two parts.
    pub fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            help: help.into(),
        }
    }
}

impl From<InvalidRoleName> for FormatError {
    fn from(error: InvalidRoleName) -> Self {
        Self::new(error.problem, InvalidRoleName::HELP)
    }
}

/// Implements serde and schemars for a type through its `Display` and `FromStr`.
macro_rules! written_as_text {
    ($type:ty, $format:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}
pub(crate) use written_as_text;

/// Checks a text against the format a schema names. A format that is not ours says nothing.
pub fn check(format: &str, text: &str) -> Result<(), FormatError> {
    fn parses<T: FromStr<Err = FormatError>>(text: &str) -> Result<(), FormatError> {
        text.parse::<T>().map(drop)
    }
    match format {
        "attribute" => parses::<Attribute>(text),
        "byte-size" => parses::<ByteSize>(text),
        "effect-pattern" => parses::<EffectPattern>(text),
        "endpoint" => parses::<Endpoint>(text),
        "environment-variable" => check_variable(text),
        "host-pattern" => parses::<HostPattern>(text),
        "label" => parses::<Label>(text),
        "listen-address" => parses::<ListenAddress>(text),
        "network-name" => check_network_name(text),
        "origin" => parses::<Origin>(text),
        "path" => check_path(text),
        "plugin" => parses::<PluginRef>(text),
        "ratio" => parses::<Ratio>(text),
        "repo-pattern" => parses::<RepoPattern>(text),
        "role-name" => Ok(text.parse::<RoleName>().map(drop)?),
        "scope" => parses::<Scope>(text),
        "secret-name" => check_secret_name(text),
        "time-span" => parses::<TimeSpan>(text),
        _ => Ok(()),
    }
}

/// A description of a format's values, to complete "expected …".
pub fn describe(format: &str) -> Option<&'static str> {
    Some(match format {
        "attribute" => "an attribute such as \"deployment.environment.name=production\"",
        "byte-size" => "a size such as \"64MiB\", or a number of bytes",
        "effect-pattern" => "an effect pattern such as \"git.get_*\"",
        "endpoint" => "an address such as \"http://localhost:4317\"",
        "environment-variable" => "the name of an environment variable",
        "host-pattern" => "a host name such as \"example.com\" or \"*.example.com\"",
        "label" => "a container label such as \"team=web\"",
        "listen-address" => "an address with a port, such as \"127.0.0.1:7432\"",
        "network-name" => "the name of a Docker network such as \"bridge\"",
        "origin" => "an origin such as \"https://example.com\"",
        "path" => "a path",
        "plugin" => "a plugin's name or the path of its .wasm file",
        "ratio" => "a part such as \"0.1\" or \"10%\"",
        "repo-pattern" => "a repository such as \"owner/name\" or \"owner/*\"",
        "role-name" => "a role name",
        "scope" => "a scope such as \"tools:repo_*\" or \"hooks\"",
        "secret-name" => "the name of a secret",
        "time-span" => "a duration such as \"30s\" or \"250ms\"",
        _ => return None,
    })
}

fn check_path(text: &str) -> Result<(), FormatError> {
    if text.is_empty() {
        return Err(FormatError::new(
            "the path is empty",
            "name a file or folder, `.` for this one",
        ));
    }
    if text.contains('\0') {
        return Err(FormatError::new(
            "the path holds a NUL character",
            "remove it",
        ));
    }
    Ok(())
}

/// Letters, digits and `_`, beginning with none of the digits.
fn is_identifier(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn check_secret_name(text: &str) -> Result<(), FormatError> {
    if is_identifier(text) && text.len() <= 64 {
        return Ok(());
    }
    Err(FormatError::new(
        "this is not the name of a secret",
        "name it with up to 64 letters, digits and `_`, such as WEATHER_KEY; the secret itself is in a file or a variable",
    ))
}

fn check_network_name(text: &str) -> Result<(), FormatError> {
    let is_name = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if is_name {
        return Ok(());
    }
    Err(FormatError::new(
        format!(
            "`{}` is not the name of a Docker network",
            text.escape_debug()
        ),
        "write a name that `docker network ls` shows; there are no patterns",
    ))
}

fn check_variable(text: &str) -> Result<(), FormatError> {
    if is_identifier(text) {
        return Ok(());
    }
    // Someone who pastes the token itself here must not find it in a log: the text is not repeated.
    Err(FormatError::new(
        "this is not the name of an environment variable",
        "write the variable's name (letters, digits, `_`), not the token itself",
    ))
}
