//! The traits and properties of effects.

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

    /// The result of a successful effect.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// The access that an effect needs: reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Changes nothing but the host's own records: reading, waiting and logging.
    Read,
    /// Changes something that outlives the call or is visible to others.
    Write,
}

impl EffectKind {
    /// Its position in [`EffectKind::ALL`], for tables indexed by effect.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The effect with this host function, such as `git_get_branch`.
    pub fn from_function(function: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.function() == function)
    }
}

/// Its capability: the one spelling of an effect in messages.
impl fmt::Display for EffectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.capability())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

// Written by hand: a derived adjacently tagged enum buffers a payload that
// precedes its kind, and raw JSON does not survive the buffer.
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
    fn every_effect_is_found_by_its_host_function_and_by_its_index() {
        for (index, kind) in EffectKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(EffectKind::from_function(kind.function()), Some(*kind));
        }
        assert_eq!(EffectKind::from_function("launch_rocket"), None);
    }

    #[test]
    fn an_effect_decodes_with_kind_and_payload_in_either_order() {
        let written = r#"{"kind":"KvSet","payload":{"key":"k","value":[1,{"b":2,"a":1e400}]}}"#;
        let swapped = r#"{"payload":{"key":"k","value":[1,{"b":2,"a":1e400}]},"kind":"KvSet"}"#;
        let one: Effect = serde_json::from_str(written).unwrap();
        let other: Effect = serde_json::from_str(swapped).unwrap();
        assert_eq!(one, other);
        assert_eq!(serde_json::to_string(&other).unwrap(), written);
    }
}
