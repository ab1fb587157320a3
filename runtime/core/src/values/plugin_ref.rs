//! [`PluginRef`]: which plugin a role runs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use exomonad_schema::identity::InvalidRoleName;

use super::{FormatError, RoleName, written_as_text};

/// A plugin, by its name in the plugin folder or by the path of its file.
///
/// Text with a `/` or ending in `.wasm` is a path, anything else a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PluginRef {
    /// `<dir>/<name>.wasm`, `<dir>/<name>/` or the embedded plugin of that name.
    Named(RoleName),
    /// A file of its own.
    File(PathBuf),
}

impl PluginRef {
    /// True if text names a path rather than a plugin of the folder.
    pub fn is_path(text: &str) -> bool {
        text.contains('/') || text.ends_with(".wasm")
    }
}

impl fmt::Display for PluginRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(formatter),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl FromStr for PluginRef {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if Self::is_path(text) {
            super::check_path(text)?;
            return Ok(Self::File(PathBuf::from(text)));
        }
        text.parse().map(Self::Named).map_err(|error: InvalidRoleName| {
            FormatError::new(
                error.problem.replace("role name", "plugin name"),
                "name a plugin of the folder such as \"tl\", or a file such as \"./build/tl.wasm\"",
            )
        })
    }
}

written_as_text!(PluginRef, "plugin");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_or_a_wasm_ending_makes_it_a_path() {
        let parse = |text: &str| text.parse::<PluginRef>();
        assert!(matches!(parse("tl"), Ok(PluginRef::Named(_))));
        assert!(matches!(parse("tl.wasm"), Ok(PluginRef::File(_))));
        assert!(matches!(parse("./TL"), Ok(PluginRef::File(_))));
        assert!(parse("TL").is_err());
        assert!(parse("").is_err());
    }
}
