//! [`Scope`]: a part of a role that a caller may use, as tokens have it.

use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};
use crate::patterns::matches;

/// A part of a role: the tools whose names a pattern matches, or all of an [`Area`].
///
/// The forms are `tools:repo_*` (`*` stands for any run of characters), `tools` for all of them, and the areas'
/// names. Each is one word in the sense of OAuth (RFC 6749, section 3.3), so that an authorization server can give
/// it out as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The tools that this pattern matches.
    Tools(String),
    /// Whatever belongs to an area.
    Area(Area),
}

/// A part of a role other than its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Asking for decisions on events.
    Hooks,
    /// MCP's resources.
    Resources,
    /// MCP's prompts.
    Prompts,
    /// Runs of workflows, schedules, live events.
    Workflows,
    /// The journal of calls.
    Calls,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Hooks,
        Self::Resources,
        Self::Prompts,
        Self::Workflows,
        Self::Calls,
    ];

    /// Its name, which is its scope, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hooks => "hooks",
            Self::Resources => "resources",
            Self::Prompts => "prompts",
            Self::Workflows => "workflows",
            Self::Calls => "calls",
        }
    }
}

/// The prefix of a pattern of tools.
const TOOLS: &str = "tools";
/// Bytes of a pattern.
const LONGEST: usize = 128;

impl Scope {
    /// The scope that takes in this tool alone, as messages name it.
    pub fn of_tool(name: &str) -> String {
        format!("{TOOLS}:{name}")
    }

    /// True if the tool is part of it.
    pub fn allows_tool(&self, name: &str) -> bool {
        matches!(self, Self::Tools(pattern) if matches(pattern, name))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tools(pattern) if pattern == "*" => formatter.write_str(TOOLS),
            Self::Tools(pattern) => write!(formatter, "{TOOLS}:{pattern}"),
            Self::Area(area) => formatter.write_str(area.name()),
        }
    }
}

impl FromStr for Scope {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if text == TOOLS {
            return Ok(Self::Tools("*".to_owned()));
        }
        if let Some(area) = Area::ALL.into_iter().find(|area| area.name() == text) {
            return Ok(Self::Area(area));
        }
        let pattern = text
            .strip_prefix(TOOLS)
            .and_then(|rest| rest.strip_prefix(':'));
        // The characters of a scope in OAuth.
        let is_word = |pattern: &&str| {
            (1..=LONGEST).contains(&pattern.len())
                && pattern
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        };
        match pattern.filter(is_word) {
            Some(pattern) => Ok(Self::Tools(pattern.to_owned())),
            None => Err(FormatError::new(
                format!("`{}` is not a scope", text.escape_debug()),
                "write `tools`, a pattern of tools such as `tools:repo_*`, or one of `hooks`, `resources`, `prompts`, \
                 `workflows`, `calls`",
            )),
        }
    }
}

written_as_text!(Scope, "scope");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for text in [
            "tools",
            "tools:repo_*",
            "tools:a",
            "hooks",
            "resources",
            "prompts",
            "workflows",
            "calls",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "tools:",
            "tool:a",
            "tools:a b",
            "tools:\"",
            "hook",
            "*",
            &format!("tools:{}", "x".repeat(129)),
        ] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
