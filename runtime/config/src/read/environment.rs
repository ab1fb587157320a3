//! The environment variables that override the file.

use serde_json::{Map, Value, json};

use super::LoadContext;
use super::check::check_value;
use super::diagnostic_sink::DiagnosticSink;
use super::document::{Content, Node, Origin};
use super::merge::{absolute, home_of};
use crate::key::KeyPath;
use crate::schema::{Kind, Shape};

/// A variable that overrides a key of the file. An empty one counts as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The section and the key it overrides.
    pub key: [&'static str; 2],
    /// Its content, for people.
    pub description: &'static str,
}

/// A variable that overrides a key of such a name holds the secret itself, instead of naming where it is.
const OF_SECRETS: &str = "_env";

/// Every variable that is read, besides `EXOMONAD_CONFIG`, which names the file.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "EXOMONAD_LISTEN",
        key: ["server", "listen"],
        description: "Address and port to listen on.",
    },
    Variable {
        name: "EXOMONAD_ALLOWED_HOSTS",
        key: ["server", "allowed_hosts"],
        description: "Host names accepted in requests, separated by commas.",
    },
    Variable {
        name: "EXOMONAD_ALLOWED_ORIGINS",
        key: ["server", "allowed_origins"],
        description: "Origins of web pages that may call, separated by commas.",
    },
    Variable {
        name: "EXOMONAD_TOKEN",
        key: ["server", "token_env"],
        description: "The operator token itself.",
    },
    Variable {
        name: "EXOMONAD_TOKEN_FILE",
        key: ["server", "token_file"],
        description: "File with the operator token.",
    },
    Variable {
        name: "EXOMONAD_PLUGINS_DIR",
        key: ["plugins", "dir"],
        description: "The plugin folder.",
    },
    Variable {
        name: "EXOMONAD_CACHE_DIR",
        key: ["plugins", "cache_dir"],
        description: "Where compiled plugins are kept.",
    },
    Variable {
        name: "EXOMONAD_STATE_DIR",
        key: ["state", "dir"],
        description: "The folder for the key-value store and the journal of calls.",
    },
    Variable {
        name: "GITHUB_TOKEN",
        key: ["github", "token_env"],
        description: "The token for GitHub itself.",
    },
    Variable {
        name: "GITHUB_TOKEN_FILE",
        key: ["github", "token_file"],
        description: "File with the token for GitHub.",
    },
    Variable {
        name: "EXOMONAD_LOG",
        key: ["log", "filter"],
        description: "What is logged.",
    },
    Variable {
        name: "EXOMONAD_LOG_FORMAT",
        key: ["log", "format"],
        description: "How it is written: `pretty` or `json`.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        key: ["telemetry", "endpoint"],
        description: "Where traces, logs and metrics are sent.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        key: ["telemetry", "protocol"],
        description: "How: `grpc` or `http/protobuf`.",
    },
    Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        key: ["telemetry", "headers_env"],
        description: "The headers that go with it, themselves.",
    },
    Variable {
        name: "OTEL_SERVICE_NAME",
        key: ["telemetry", "service_name"],
        description: "The name that the host goes by in them.",
    },
    Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        key: ["telemetry", "resource_attributes"],
        description: "What else is said of the host, as `name=value`, separated by commas.",
    },
    Variable {
        name: "OTEL_TRACES_SAMPLER_ARG",
        key: ["telemetry", "sampling"],
        description: "The part of all traces that is recorded.",
    },
];

/// Reads the variables that are set; gives them in the shape of the file, paths absolute.
pub(super) fn read(context: &LoadContext<'_>, sink: &mut DiagnosticSink<'_>) -> Value {
    let mut sections = Map::new();
    for variable in VARIABLES {
        let Some(text) = (context.env)(variable.name).filter(|text| !text.is_empty()) else {
            continue;
        };
        let [section, name] = variable.key;
        let key = KeyPath::of(variable.key);
        let Some(shape) = Shape::root()
            .key(section)
            .and_then(|section| section.key(name))
        else {
            continue;
        };
        let node = node(variable, shape, text);
        sink.note_origin(key.clone(), node.origin.clone());
        let Some(mut value) = check_value(shape, &node, &key, sink) else {
            continue;
        };
        if shape.format() == Some("path")
            && let Some(path) = value
                .as_str()
                .and_then(|path| absolute(path, context.cwd, home_of(context).as_deref()))
        {
            value = path.into();
        }
        let section = sections.entry(section).or_insert_with(|| json!({}));
        section[name] = value;
    }
    Value::Object(sections)
}

/// The variable's text as the value that the key takes.
fn node(variable: &Variable, shape: Shape, text: String) -> Node {
    let origin = Origin::Variable(variable.name);
    let content = if variable.key[1].ends_with(OF_SECRETS) {
        // The secret stays where it is; the configuration learns the place.
        Content::Text(variable.name.to_owned())
    } else if shape.allows(Kind::List) {
        let item = |text: &str| Node {
            origin: origin.clone(),
            content: Content::Text(text.to_owned()),
        };
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        Content::List(items.map(item).collect())
    } else {
        Content::Text(text)
    };
    Node { origin, content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_overrides_a_key_that_takes_text_or_a_list_of_it() {
        for variable in VARIABLES {
            let [section, key] = variable.key;
            let shape = Shape::root()
                .key(section)
                .and_then(|section| section.key(key));
            let takes_text = |shape: Shape| {
                shape.allows(Kind::Text) || shape.item().is_some_and(|item| item.allows(Kind::Text))
            };
            assert!(shape.is_some_and(takes_text), "{}", variable.name);
        }
    }
}
