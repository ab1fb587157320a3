//! Patterns with `*`: which effects, hosts and repositories a role may reach.

use std::fmt;
use std::str::FromStr;

use crate::patterns::{matches, matches_host, matches_repo};

use super::{FormatError, written_as_text};

macro_rules! pattern {
    ($(#[$doc:meta])* $type:ident, $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $type(String);

        impl $type {
            /// The pattern as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        written_as_text!($type, $format);
    };
}

pattern! {
    /// Which effects are granted: an effect's capability such as `git.status`, where `*` stands for
    /// any run of characters: `git.get_*`, `log.*`, `*`.
    EffectPattern, "effect-pattern"
}

impl EffectPattern {
    /// True if the pattern grants the capability.
    pub fn matches(&self, capability: &str) -> bool {
        matches(&self.0, capability)
    }
}

impl FromStr for EffectPattern {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._*".contains(&byte);
        if !text.is_empty() && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(FormatError::new(
            format!("`{}` is not an effect pattern", text.escape_debug()),
            "write an effect's name, or a part of it with `*`, such as \"git.status\" or \"log.*\"",
        ))
    }
}

pattern! {
    /// Which hosts are meant: a host name or IP address without port, where `*` stands for any run
    /// of characters: `api.github.com`, `*.example.com`. Kept in lower case.
    HostPattern, "host-pattern"
}

impl HostPattern {
    /// True if the host, given without port, is meant; case does not matter, nor a final dot.
    pub fn matches(&self, host: &str) -> bool {
        matches_host(&self.0, host)
    }

    /// True if every host is meant.
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }
}

impl FromStr for HostPattern {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let shown = text.escape_debug();
        let is_name = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b))
        };
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let (problem, help) = if text.is_empty() {
            (
                "a host name can't be empty".to_owned(),
                "remove it, or name a host such as \"example.com\"",
            )
        } else if bare.parse::<std::net::Ipv6Addr>().is_ok() || is_name(text) {
            return Ok(Self(bare.to_ascii_lowercase()));
        } else if text.contains('/') {
            (
                format!("`{shown}` is more than a host name"),
                "write the host only, without scheme and path: \"example.com\"",
            )
        } else if text.split_once(':').is_some_and(|(host, _)| is_name(host)) {
            (
                format!("`{shown}` has a port"),
                "write the host only: every port of it is meant",
            )
        } else {
            (
                format!("`{shown}` is not a host name"),
                "write one such as \"example.com\" or \"*.example.com\"",
            )
        };
        Err(FormatError::new(problem, help))
    }
}

pattern! {
    /// Which repositories are meant: `owner/name`, where `*` stands for any run of characters other
    /// than `/`: `acme/web`, `acme/*`. Case does not matter, as on GitHub.
    RepoPattern, "repo-pattern"
}

impl RepoPattern {
    /// True if the repository, given as `owner/name`, is meant.
    pub fn matches(&self, repository: &str) -> bool {
        matches_repo(&self.0, repository)
    }
}

impl FromStr for RepoPattern {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b))
        };
        match text.split_once('/') {
            Some((owner, name)) if is_part(owner) && is_part(name) => Ok(Self(text.to_owned())),
            _ => Err(FormatError::new(
                format!("`{}` is not a repository", text.escape_debug()),
                "write \"owner/name\", or \"owner/*\" for all of an owner's",
            )),
        }
    }
}

pattern! {
    /// Which names of another system's are meant: any text, where `*` stands for any run of characters:
    /// `default`, `team-*`, `*`.
    NamePattern, "name-pattern"
}

impl NamePattern {
    /// True if the name is meant; case matters.
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }

    /// True if every name is meant.
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    /// The pattern that means every name.
    pub fn any() -> Self {
        Self("*".to_owned())
    }
}

impl FromStr for NamePattern {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let problem = if text.is_empty() {
            "the name is empty".to_owned()
        } else if text.len() > 1000 || text.chars().any(char::is_control) {
            format!("`{}` is not a name", text.escape_debug())
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(FormatError::new(
            problem,
            "write a name, or a part of it with `*`, such as \"orders\" or \"orders-*\"",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(pattern: &str, capability: &str) -> bool {
        pattern
            .parse::<EffectPattern>()
            .is_ok_and(|pattern| pattern.matches(capability))
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters_and_nothing_else_is_special() {
        assert!(effect("git.get_*", "git.get_branch"));
        assert!(effect("*", "log.write"));
        assert!(effect("*.get_*", "git.get_branch"));
        assert!(!effect("git.get_*", "git.status"));
        assert!(!effect("git.status", "git.status2"));
        assert!(!effect("git.status", "git_status"));
        assert!(!effect("log", "log.write"));
        assert!("Git.*".parse::<EffectPattern>().is_err());
        assert!("".parse::<EffectPattern>().is_err());
    }

    #[test]
    fn a_host_is_a_name_without_scheme_port_or_path() {
        let host = |text: &str| text.parse::<HostPattern>().map_err(|error| error.problem);
        assert!(
            host("*.Example.com")
                .is_ok_and(|p| p.matches("A.example.COM.") && !p.matches("example.com"))
        );
        assert!(host("[::1]").is_ok_and(|p| p.matches("::1")));
        assert!(host("example.com").is_ok_and(|p| !p.matches("example.com.evil.org")));
        assert_eq!(
            host("https://x").unwrap_err(),
            "`https://x` is more than a host name"
        );
        assert_eq!(host("x:80").unwrap_err(), "`x:80` has a port");
        assert_eq!(host("a b").unwrap_err(), "`a b` is not a host name");
    }

    #[test]
    fn a_name_is_matched_with_its_case_and_may_hold_anything_printable() {
        let name = |pattern: &str, text: &str| {
            pattern
                .parse::<NamePattern>()
                .is_ok_and(|p| p.matches(text))
        };
        assert!(name("team-*", "team-a/b c"));
        assert!(!name("Orders", "orders"));
        assert!("".parse::<NamePattern>().is_err());
        assert!("a\nb".parse::<NamePattern>().is_err());
        assert!(NamePattern::any().is_any() && !"a*".parse::<NamePattern>().unwrap().is_any());
    }

    #[test]
    fn a_repository_pattern_never_crosses_the_slash() {
        let repo = |pattern: &str, text: &str| {
            pattern
                .parse::<RepoPattern>()
                .is_ok_and(|p| p.matches(text))
        };
        assert!(repo("acme/*", "Acme/web"));
        assert!(!repo("acme/*", "acme/web/x"));
        assert!(!repo("a*/web", "a/b/web"));
        assert!("acme".parse::<RepoPattern>().is_err());
        assert!("acme/a/b".parse::<RepoPattern>().is_err());
    }
}
