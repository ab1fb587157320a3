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
pub use pattern::{EffectPattern, HostPattern, NamePattern, RepoPattern};
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
        "header-name" => check_header_name(text),
        "header-value" => check_header_value(text),
        "host-and-port" => check_host_and_port(text),
        "host-pattern" => parses::<HostPattern>(text),
        "label" => parses::<Label>(text),
        "listen-address" => parses::<ListenAddress>(text),
        "name-pattern" => parses::<NamePattern>(text),
        "network-name" => check_network_name(text),
        "origin" => parses::<Origin>(text),
        "path" => check_path(text),
        "plugin" => parses::<PluginRef>(text),
        "ratio" => parses::<Ratio>(text),
        "repo-pattern" => parses::<RepoPattern>(text),
        "role-name" => Ok(text.parse::<RoleName>().map(drop)?),
        "scope" => parses::<Scope>(text),
        "secret-name" => check_secret_name(text),
        "task-queue" => check_task_queue(text),
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
        "header-name" => "the name of a header",
        "header-value" => "the value of a header: printable ASCII",
        "host-and-port" => "a host with a port, such as \"localhost:7233\"",
        "host-pattern" => "a host name such as \"example.com\" or \"*.example.com\"",
        "label" => "a container label such as \"team=web\"",
        "listen-address" => "an address with a port, such as \"127.0.0.1:7432\"",
        "name-pattern" => "a name such as \"orders\" or \"orders-*\"",
        "network-name" => "the name of a Docker network such as \"bridge\"",
        "origin" => "an origin such as \"https://example.com\"",
        "path" => "a path",
        "plugin" => "a plugin's name or the path of its .wasm file",
        "ratio" => "a part such as \"0.1\" or \"10%\"",
        "repo-pattern" => "a repository such as \"owner/name\" or \"owner/*\"",
        "role-name" => "a role name",
        "scope" => "a scope such as \"tools:repo_*\" or \"hooks\"",
        "secret-name" => "the name of a secret",
        "task-queue" => "the name of a task queue",
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

fn check_task_queue(text: &str) -> Result<(), FormatError> {
    // The server's own queues begin so.
    let is_blank = text.trim() != text || text.is_empty() || text.starts_with("/_sys/");
    if !is_blank && text.len() <= 200 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(FormatError::new(
        "this is not the name of a task queue",
        "write up to 200 characters that do not begin with `/_sys/`, without blanks around them, such as \"orders\"",
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

/// The name of a header that a configuration may add to requests of gRPC: those of gRPC itself and binary ones
/// are left out.
fn check_header_name(text: &str) -> Result<(), FormatError> {
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if is_name && !text.ends_with("-bin") && !text.starts_with("grpc-") {
        return Ok(());
    }
    Err(FormatError::new(
        format!("`{}` is not the name of a header", text.escape_debug()),
        "use lower-case letters, digits and `-_.`; `grpc-*` are gRPC's own, and `*-bin` are binary",
    ))
}

/// Printable ASCII. The value is not repeated: it may be a secret.
fn check_header_value(text: &str) -> Result<(), FormatError> {
    let problem = if text.contains(['\n', '\r']) {
        "the value of a header holds a line break"
    } else if !text.is_ascii() {
        "the value of a header holds characters beyond ASCII"
    } else if text.chars().any(|c| c.is_ascii_control()) {
        "the value of a header holds control characters"
    } else {
        return Ok(());
    };
    Err(FormatError::new(
        problem,
        "write printable ASCII in one line",
    ))
}

/// True for a name that can stand in a header: of a namespace, say.
pub fn is_sendable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_host_and_port(text: &str) -> Result<(), FormatError> {
    let problem = |problem: &str| {
        Err(FormatError::new(
            format!("`{}` {problem}", text.escape_debug()),
            "write a host and a port, such as \"localhost:7233\" or \"[::1]:7233\"",
        ))
    };
    if text.contains("://") {
        return problem("is a URL");
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return problem("has no port");
    };
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    if !is_host {
        return problem("has no valid host");
    }
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return problem("has no valid port");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_of_ascii_and_its_value_is_not_repeated() {
        for good in ["x-tenant", "a.b_c", "authorization"] {
            assert_eq!(check("header-name", good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "X-Tenant",
            "a b",
            "a\n",
            "blob-bin",
            "grpc-timeout",
            "\u{e9}",
        ] {
            assert!(check("header-name", bad).is_err(), "{bad}");
        }
        assert_eq!(check("header-value", "a b=c, d"), Ok(()));
        for bad in ["hunter2\nx: y", "hunter2\u{e9}", "hunter2\0"] {
            let error = check("header-value", bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in [
            "localhost:7233",
            "127.0.0.1:1",
            "[::1]:7233",
            "a.b-c.tmprl.cloud:7233",
        ] {
            assert_eq!(check("host-and-port", good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":1",
            "a:0",
            "a:99999",
            "http://a:1",
            "::1:7233",
            "a b:1",
            "a/b:1",
        ] {
            assert!(check("host-and-port", bad).is_err(), "{bad}");
        }
    }
}
