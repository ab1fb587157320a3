//! What every effect has, and what can be asked of an [`EffectKind`].

use std::fmt;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::table::{Effect, EffectKind, Service};

/// A request for an effect; its type names the effect and the answer's type.
pub trait EffectRequest: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The effect it asks for.
    const KIND: EffectKind;

    /// What a successful answer carries.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// Whether an effect changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Changes nothing but the host's own record of what happened: reading,
    /// waiting, and also logging.
    Read,
    /// Changes something that outlives the call or that others see.
    Write,
}

impl EffectKind {
    /// Its place in [`EffectKind::ALL`], for tables indexed by effect.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The effect with this host function, such as `git_get_branch`.
    pub fn from_function(function: &str) -> Option<Self> {
        Self::find(|kind| kind.function() == function)
    }

    /// The effect with this name, such as `GitGetBranch`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::find(|kind| kind.name() == name)
    }

    /// The effect with this capability, such as `git.get_branch`.
    pub fn from_capability(capability: &str) -> Option<Self> {
        Self::find(|kind| kind.capability() == capability)
    }

    /// Whether a role has it without a configuration file: what reads, of the
    /// services that need no setting up.
    pub const fn in_default_grant(self) -> bool {
        matches!(self.access(), Access::Read) && !self.service().is_optional()
    }

    /// The effect whose function, name or capability is spelled most like
    /// `misspelled`: for "did you mean". `None` when nothing is near.
    pub fn closest(misspelled: &str) -> Option<Self> {
        const NEAR: f64 = 0.75;
        let likeness = |kind: &Self| {
            [kind.function(), kind.name(), kind.capability()]
                .into_iter()
                .map(|known| strsim::normalized_damerau_levenshtein(known, misspelled))
                .fold(0.0, f64::max)
        };
        Self::ALL
            .iter()
            .map(|kind| (likeness(kind), *kind))
            .filter(|(likeness, _)| *likeness >= NEAR)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, kind)| kind)
    }

    fn find(wanted: impl Fn(Self) -> bool) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| wanted(*kind))
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

// By hand rather than derived: a derived adjacently tagged enum buffers a payload
// that stands before its kind, and raw JSON does not survive the buffer.
impl<'de> Deserialize<'de> for Effect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Tagged {
            kind: EffectKind,
            payload: Box<RawValue>,
        }
        let Tagged { kind, payload } = Tagged::deserialize(deserializer)?;
        Self::decode(kind, payload.get().as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `GitHubListIssues` → `github_list_issues`.
    fn snake_case(name: &str) -> String {
        let mut snake = String::new();
        for letter in name.replace("GitHub", "Github").chars() {
            if letter.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }

    #[test]
    fn a_host_function_is_the_snake_case_name_of_its_effect() {
        for kind in EffectKind::ALL {
            assert_eq!(kind.function(), snake_case(kind.name()));
        }
    }

    #[test]
    fn every_effect_is_found_by_each_of_its_spellings_and_by_index() {
        for (index, kind) in EffectKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(EffectKind::from_function(kind.function()), Some(*kind));
            assert_eq!(EffectKind::from_name(kind.name()), Some(*kind));
            assert_eq!(EffectKind::from_capability(kind.capability()), Some(*kind));
        }
    }

    #[test]
    fn a_misspelling_finds_its_effect_and_nonsense_finds_none() {
        assert_eq!(
            EffectKind::closest("git_get_brnach"),
            Some(EffectKind::GitGetBranch)
        );
        assert_eq!(
            EffectKind::closest("GitGetBranches"),
            Some(EffectKind::GitGetBranch)
        );
        assert_eq!(
            EffectKind::closest("github.list_isues"),
            Some(EffectKind::GitHubListIssues)
        );
        assert_eq!(EffectKind::closest("launch_rocket"), None);
    }

    #[test]
    fn nothing_that_writes_and_nothing_that_needs_setting_up_is_granted_by_default() {
        let granted = |capability: &str| {
            EffectKind::from_capability(capability).is_some_and(EffectKind::in_default_grant)
        };
        for yes in [
            "log.write",
            "log.emit_event",
            "git.diff",
            "kv.get",
            "clock.sleep",
            "random.bytes",
        ] {
            assert!(granted(yes), "{yes}");
        }
        for no in [
            "kv.set",
            "kv.delete",
            "github.list_issues",
            "docker.logs",
            "docker.exec",
        ] {
            assert!(!granted(no), "{no}");
        }
    }

    #[test]
    fn an_effect_is_read_whichever_of_kind_and_payload_comes_first() {
        let written = r#"{"kind":"KvSet","payload":{"key":"k","value":[1,{"b":2,"a":1e400}]}}"#;
        let swapped = r#"{"payload":{"key":"k","value":[1,{"b":2,"a":1e400}]},"kind":"KvSet"}"#;
        let one: Effect = serde_json::from_str(written).unwrap();
        let other: Effect = serde_json::from_str(swapped).unwrap();
        assert_eq!(one, other);
        assert_eq!(serde_json::to_string(&other).unwrap(), written);
    }
}
