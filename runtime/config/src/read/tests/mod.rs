//! Loading as a whole, from text to configuration or mistakes.

mod files;
mod fuzz;
mod mistakes;
mod precedence;
mod properties;
mod rules;

use std::path::Path;

use super::{LoadContext, Loaded, load_text};
use crate::diagnostic::ConfigErrors;

/// Some effects, as the contract has them.
const EFFECTS: [&str; 17] = [
    "log.write",
    "log.emit_event",
    "git.get_branch",
    "git.status",
    "git.diff",
    "git.repo_info",
    "kv.get",
    "kv.set",
    "kv.list",
    "clock.now",
    "random.bytes",
    "mcp.get_client",
    "mcp.progress",
    "mcp.log",
    "mcp.notify",
    "github.list_issues",
    "docker.exec",
];

/// Loads a text that stands in `/repo/exomonad.toml`, with these variables set.
pub(crate) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    load_in(Path::new("/repo"), text, variables)
}

/// The same in another folder, for tests with real files.
fn load_in(folder: &Path, text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let env = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let context = LoadContext {
        cwd: folder,
        env: &env,
        known_effects: &EFFECTS,
        checks_machine: true,
    };
    load_text(text, Some(Path::new("exomonad.toml")), &context)
}

/// The diagnostics about a text that has mistakes.
fn mistakes(text: &str) -> String {
    match load(text, &[]) {
        Ok(_) => "no mistakes".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

/// The messages of the warnings about a text that has no mistakes.
fn warnings(text: &str) -> Vec<String> {
    let loaded = load(text, &[]).unwrap();
    loaded
        .warnings
        .into_iter()
        .map(|warning| warning.message)
        .collect()
}
