//! The labels of a role: it reaches the containers that carry all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use exomonad_core::bounds::BoundsMap;
use exomonad_core::values::Label;
use exomonad_schema::EffectError;

use super::effect_context::EffectContext;
use super::policy::DockerBounds;

/// Prefix of the labels that the host alone gives.
const HOST_PREFIX: &str = "exomonad.";

/// The labels of a role, at least one.
#[derive(Clone, Debug)]
pub(super) struct RoleLabels(Vec<Label>);

impl RoleLabels {
    /// The role's labels.
    ///
    /// # Errors
    /// `forbidden` when it has none: no label means no container.
    pub(super) fn of(context: &EffectContext, bounds: &BoundsMap) -> Result<Self, EffectError> {
        Self::new(&bounds.get::<DockerBounds>().labels).ok_or_else(|| {
            context.forbidden(format_args!(
                "role `{role}` has no labels, and so reaches no container; set \
                 `{key}` in exomonad.toml",
                role = context.role(),
                key = context.key("labels")
            ))
        })
    }

    /// These labels; `None` without any.
    pub(super) fn new(labels: &[Label]) -> Option<Self> {
        (!labels.is_empty()).then(|| Self(labels.to_vec()))
    }

    /// True for the labels of something that is the role's own.
    pub(super) fn matches(&self, labels: Option<&HashMap<String, String>>) -> bool {
        self.0.iter().all(|matcher| {
            labels
                .and_then(|labels| labels.get(&matcher.key))
                .is_some_and(|value| matcher.value.as_ref().is_none_or(|wanted| wanted == value))
        })
    }

    /// The labels as the engine's `label` filter has them.
    pub(super) fn filters(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(Label::to_string)
    }

    /// The labels of something new: those asked for and the role's own. One that may have any
    /// value has none unless it is asked for.
    ///
    /// # Errors
    /// When another value is asked for than the role's, or a label by which another role would reach it.
    pub(super) fn for_new(
        &self,
        asked: BTreeMap<String, String>,
        reserved: &BTreeSet<String>,
    ) -> Result<HashMap<String, String>, LabelError> {
        let is_own = |key: &str| self.0.iter().any(|matcher| matcher.key == key);
        let is_reserved = |key: &&String| {
            !is_own(key) && (reserved.contains(*key) || key.starts_with(HOST_PREFIX))
        };
        if let Some(key) = asked.keys().find(is_reserved) {
            return Err(LabelError {
                key: key.clone(),
                problem: "is reserved for another role".to_owned(),
            });
        }
        let mut labels: HashMap<_, _> = asked.into_iter().collect();
        for Label { key, value } in &self.0 {
            let own = value.as_deref().unwrap_or_default();
            let given = labels.entry(key.clone()).or_insert_with(|| own.to_owned());
            if value.is_some() && given != own {
                return Err(LabelError {
                    key: key.clone(),
                    problem: format!("is the role's own and has the value {own:?}"),
                });
            }
        }
        Ok(labels)
    }
}

impl fmt::Display for RoleLabels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, matcher) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}`{matcher}`")?;
        }
        Ok(())
    }
}

/// A label that a container may not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label `{key}` {problem}; leave it out")]
pub(super) struct LabelError {
    /// Its key.
    pub(super) key: String,
    problem: String,
}

#[cfg(test)]
mod tests {
    use exomonad_schema::{EffectKind, ErrorCode};

    use super::*;
    use crate::test_call::call;

    fn context() -> EffectContext {
        EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "web")
    }

    fn labels(texts: &[&str]) -> Result<RoleLabels, EffectError> {
        let bounds = BoundsMap::default().with(DockerBounds {
            labels: texts.iter().map(|text| text.parse().unwrap()).collect(),
            ..DockerBounds::default()
        });
        RoleLabels::of(&context(), &bounds)
    }

    fn map<M: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> M {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_container_must_carry_all_labels() {
        let labels = labels(&["team=web", "agent"]).unwrap();
        for (carried, reached) in [
            (vec![("team", "web"), ("agent", "")], true),
            (vec![("team", "web"), ("agent", "7"), ("more", "x")], true),
            (vec![("team", "web")], false),
            (vec![("team", "ops"), ("agent", "")], false),
            (vec![("Team", "web"), ("agent", "")], false),
            (vec![], false),
        ] {
            assert_eq!(labels.matches(Some(&map(&carried))), reached, "{carried:?}");
        }
        assert!(!labels.matches(None));
    }

    #[test]
    fn a_role_without_labels_reaches_no_container() {
        let error = labels(&[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden);
        assert!(error.message.contains("role.tl.labels"), "{error}");
    }

    #[test]
    fn new_containers_get_the_labels_and_a_request_cannot_change_one() {
        let labels = labels(&["team=web", "agent", "none="]).unwrap();
        let none = BTreeSet::new();
        let given = labels
            .for_new(map(&[("agent", "7"), ("x", "y")]), &none)
            .unwrap();
        let expected: HashMap<_, _> =
            map(&[("team", "web"), ("agent", "7"), ("none", ""), ("x", "y")]);
        assert_eq!(given, expected);
        assert_eq!(labels.for_new(map(&[]), &none).unwrap()["agent"], "");
        for wrong in [("team", "ops"), ("none", "some")] {
            let error = labels.for_new(map(&[wrong]), &none).unwrap_err();
            assert_eq!(error.key, wrong.0, "{wrong:?}");
        }
        assert!(labels.for_new(map(&[("team", "web")]), &none).is_ok());
    }

    #[test]
    fn a_label_of_another_role_is_refused() {
        let labels = labels(&["team=web"]).unwrap();
        let reserved = BTreeSet::from(["team".to_owned(), "ops".to_owned()]);
        for foreign in [("ops", ""), ("exomonad.user", "0:0")] {
            let error = labels.for_new(map(&[foreign]), &reserved).unwrap_err();
            assert_eq!(error.key, foreign.0, "{foreign:?}");
        }
        assert!(
            labels
                .for_new(map(&[("team", "web"), ("x", "")]), &reserved)
                .is_ok()
        );
    }
}
