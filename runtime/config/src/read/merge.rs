//! Defaults, file and environment laid over each other, as JSON in the shape of the file.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};

use super::LoadContext;
use super::other_tools;
use crate::model::{Config, Role};
use crate::schema::Shape;
use exomonad_core::values::PluginRef;

/// The sections that are laid over each other in a way of their own.
const OF_ROLES: [&str; 2] = ["defaults", "role"];

/// The effective configuration. `file` and `environment` have passed the schema; the paths of
/// `environment` are absolute already.
pub(super) fn merge(
    file: Value,
    environment: Value,
    path: Option<&Path>,
    context: &LoadContext<'_>,
) -> Value {
    let mut merged = serde_json::to_value(Config::default()).unwrap_or_default();
    merged["plugins"]["unlisted_roles"] = (!lists_roles(&file)).into();
    if let Some(cache) = variable(context, "XDG_CACHE_HOME") {
        merged["plugins"]["cache_dir"] = format!("{cache}/exomonad").into();
    }
    other_tools::defaults(&mut merged, &file, context);
    for layer in [&file, &environment] {
        let sections = layer.as_object().into_iter().flatten();
        for (section, layer) in sections.filter(|(name, _)| !OF_ROLES.contains(&name.as_str())) {
            lay_over(&mut merged[section], layer);
        }
    }

    other_tools::overrides(&mut merged, context);

    let mut defaults = serde_json::to_value(Role::default()).unwrap_or_default();
    defaults["limits"]["concurrent_calls"] = merged["engine"]["sandboxes"].clone();
    if let Some(layer) = file.get("defaults") {
        lay_over(&mut defaults, layer);
    }
    let roles = file
        .get("role")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let roles = roles.map(|(name, layer)| {
        let mut role = defaults.clone();
        lay_over(&mut role, layer);
        (name.clone(), role)
    });
    merged["role"] = Value::Object(roles.collect());
    merged["defaults"] = defaults;

    let folder = path.and_then(Path::parent);
    let base = folder.map_or_else(|| context.cwd.to_owned(), |folder| context.cwd.join(folder));
    make_absolute(
        &mut merged,
        Shape::root(),
        &base,
        home_of(context).as_deref(),
    );
    merged
}

fn lists_roles(file: &Value) -> bool {
    file.get("role")
        .and_then(Value::as_object)
        .is_some_and(|roles| !roles.is_empty())
}

/// Replaces in `base` what `layer` says: tables key by key, anything else as a whole.
fn lay_over(base: &mut Value, layer: &Value) {
    let (Value::Object(base), Value::Object(layer)) = (&mut *base, layer) else {
        *base = layer.clone();
        return;
    };
    // One token takes the place of another, wherever each of them is.
    const PLACES: [[&str; 2]; 4] = [
        ["token_file", "token_env"],
        ["headers_file", "headers_env"],
        ["api_key_file", "api_key_env"],
        ["payload_keys_file", "payload_keys_env"],
    ];
    for places in PLACES {
        if places.iter().any(|key| layer.contains_key(*key)) {
            base.retain(|key, _| !places.contains(&key.as_str()));
        }
    }
    for (key, value) in layer {
        lay_over(base.entry(key).or_insert_with(|| empty_like(value)), value);
    }
}

fn empty_like(value: &Value) -> Value {
    if value.is_object() {
        Value::Object(Map::new())
    } else {
        json!(null)
    }
}

fn make_absolute(value: &mut Value, shape: Shape, base: &Path, home: Option<&Path>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if let Some(shape) = shape.key(key) {
                    make_absolute(value, shape, base, home);
                }
            }
        }
        Value::Array(items) => {
            if let Some(shape) = shape.item() {
                items
                    .iter_mut()
                    .for_each(|item| make_absolute(item, shape, base, home));
            }
        }
        Value::String(text) => {
            let is_path = match shape.format() {
                Some("path") => true,
                Some("plugin") => PluginRef::is_path(text),
                _ => false,
            };
            if is_path && let Some(path) = absolute(text, base, home) {
                *text = path;
            }
        }
        _ => {}
    }
}

/// The path from `base`, `~/` taken as the home directory, without `.` in it. `..` stays: it can't
/// be resolved without looking at links. `None` if `base` is not UTF-8, which JSON can't hold.
pub(super) fn absolute(path: &str, base: &Path, home: Option<&Path>) -> Option<String> {
    let full = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => base.join(path),
    };
    let tidy: PathBuf = full
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    tidy.into_os_string().into_string().ok()
}

/// The user's home directory.
pub(super) fn home_of(context: &LoadContext<'_>) -> Option<PathBuf> {
    variable(context, "HOME").map(PathBuf::from)
}

/// An absolute path in a variable; the XDG specification has relative ones ignored.
fn variable(context: &LoadContext<'_>, name: &str) -> Option<String> {
    (context.env)(name).filter(|value| value.starts_with('/'))
}
