//! Error messages for manifests, with the position of the mistake.

use toml_edit::TableLike;

use crate::suggest::closest;

/// The keys of a module in the manifest.
const KEYS: &[&str] = &["path", "data", "url", "headers", "method", "name", "hash"];
/// The keys of which a module has exactly one.
const SOURCES: &[&str] = &["path", "data", "url"];
/// The keys whose values are strings.
const STRINGS: &[&str] = &["path", "url", "method", "name", "hash"];

/// A mistake in a module's table.
struct Mistake {
    /// The key that is wrong; none if the whole table is.
    key: Option<String>,
    message: String,
}

/// The message for a TOML manifest: the position and the mistake, in one line.
pub(crate) fn toml(text: &str, error: &toml_edit::de::Error) -> String {
    if let Some((offset, message)) = module_in_toml(text) {
        return format!("{}: {message}", position(text, offset));
    }
    let message = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => format!("{}: {message}", position(text, span.start)),
        None => message,
    }
}

/// The message for a JSON manifest.
pub(crate) fn json(text: &str, error: &serde_json::Error) -> String {
    module_in_json(text).unwrap_or_else(|| error.to_string())
}

/// The first mistake in a module of a TOML manifest, and its offset. The deserializer itself only says
/// that a module matches none of its forms.
fn module_in_toml(text: &str) -> Option<(usize, String)> {
    let document = toml_edit::Document::parse(text).ok()?;
    let modules: Vec<(Option<usize>, &dyn TableLike)> = match document.get("wasm")? {
        toml_edit::Item::ArrayOfTables(tables) => tables
            .iter()
            .map(|table| {
                let start = table.span().map(|span| span.start);
                (start, table as &dyn TableLike)
            })
            .collect(),
        toml_edit::Item::Value(toml_edit::Value::Array(values)) => values
            .iter()
            .filter_map(|value| {
                let start = value.span().map(|span| span.start);
                Some((start, value.as_inline_table()? as &dyn TableLike))
            })
            .collect(),
        _ => return None,
    };
    modules.into_iter().find_map(|(start, module)| {
        let entries: Vec<(&str, bool)> = module
            .iter()
            .map(|(key, value)| (key, value.is_str()))
            .collect();
        let mistake = mistake(&entries)?;
        let key = mistake
            .key
            .and_then(|key| module.key(&key)?.span())
            .map(|span| span.start);
        Some((key.or(start).unwrap_or_default(), mistake.message))
    })
}

/// The first mistake in a module of a JSON manifest.
fn module_in_json(text: &str) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_str(text).ok()?;
    let modules = manifest.get("wasm")?.as_array()?;
    modules.iter().enumerate().find_map(|(index, module)| {
        let entries: Vec<(&str, bool)> = module
            .as_object()?
            .iter()
            .map(|(key, value)| (key.as_str(), value.is_string() || value.is_null()))
            .collect();
        let mistake = mistake(&entries)?;
        Some(format!("`wasm[{index}]`: {}", mistake.message))
    })
}

/// The first mistake in a module's keys, each with the information if its value is a string.
fn mistake(entries: &[(&str, bool)]) -> Option<Mistake> {
    if let Some((key, _)) = entries.iter().find(|(key, _)| !KEYS.contains(key)) {
        let hint = match closest(key, KEYS.iter().copied()) {
            Some(known) => format!(" (did you mean `{known}`?)"),
            None => String::new(),
        };
        return Some(Mistake {
            key: Some((*key).to_owned()),
            message: format!(
                "a module has no key `{key}`{hint}; its keys are `path`, `name` and `hash`"
            ),
        });
    }
    if let Some((key, _)) = entries
        .iter()
        .find(|(key, is_string)| STRINGS.contains(key) && !is_string)
    {
        return Some(Mistake {
            key: Some((*key).to_owned()),
            message: format!("`{key}` must be a string"),
        });
    }
    let mut sources = entries.iter().filter(|(key, _)| SOURCES.contains(key));
    match (sources.next(), sources.next()) {
        (None, _) => Some(Mistake {
            key: None,
            message: "a module needs `path`, its file".to_owned(),
        }),
        (Some((first, _)), Some((second, _))) => Some(Mistake {
            key: Some((*second).to_owned()),
            message: format!("a module cannot have both `{first}` and `{second}`"),
        }),
        (Some(_), None) => None,
    }
}

/// The line and the column of an offset, from 1.
fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars();
    format!("line {line}, column {}", column.count() + 1)
}
