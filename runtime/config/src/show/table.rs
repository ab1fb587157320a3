//! One table of the configuration as lines of TOML.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, TableLike};

use crate::key::quoted_if_needed;
use crate::model::Config;
use crate::schema::Shape;

/// The width that comments are wrapped at.
const WIDTH: usize = 98;

/// The configuration as TOML values in the order of the model's fields.
pub(super) fn to_document(config: &Config) -> DocumentMut {
    // The model is structs, maps with text keys, lists and scalars: TOML can hold all of it.
    toml_edit::ser::to_document(config).unwrap_or_default()
}

/// A key's line without comment: `listen = "127.0.0.1:7432"`.
pub(super) fn assignment(key: &str, value: &toml_edit::Item) -> String {
    let value = value
        .clone()
        .into_value()
        .map(|value| value.to_string())
        .unwrap_or_default();
    format!("{} = {}", quoted_if_needed(key), value.trim())
}

/// The text as comment lines.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push_str(&line);
                lines.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

/// The keys of a table that hold values, in order; `config` counts as one, other tables do not.
pub(super) fn values(table: &dyn TableLike, shape: Shape) -> Vec<(&str, &toml_edit::Item)> {
    let is_section = |key: &str| {
        shape
            .key(key)
            .is_some_and(|shape| shape.keys().next().is_some())
    };
    table.iter().filter(|(key, _)| !is_section(key)).collect()
}

/// The keys that a table could have and has not, with their shapes.
pub(super) fn absent(table: &dyn TableLike, shape: Shape) -> BTreeMap<&'static str, Shape> {
    shape
        .keys()
        .filter(|(key, _)| !table.contains_key(key))
        .collect()
}
