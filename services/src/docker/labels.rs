//! The labels of a role: it reaches the containers that carry all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use exomonad_core::Bounds;
use exomonad_schema::EffectError;

use super::effect_context::EffectContext;

/// Prefix of the labels that the host alone gives.
const HOST_PREFIX: &str = "exomonad.";

/// The labels of a role, at least one.
#[derive(Clone, Debug)]
pub(super) struct RoleLabels(Vec<LabelMatcher>);

/// One label, with one value or any.
#[derive(Clone, Debug)]
struct LabelMatcher {
    key: String,
    value: Option<String>,
}

impl RoleLabels {
    /// The role's labels.
    ///
    /// # Errors
    /// `forbidden` when it has none: no label means no container.
    pub(super) fn of(context: &EffectContext, bounds: &Bounds) -> Result<Self, EffectError> {
        if bounds.labels.is_empty() {
            return Err(context.forbidden(format_args!(
                "role `{role}` has no labels, and so reaches no container; set \
                 `role.{role}.labels` in exomonad.toml",
                role = context.role()
            )));
        }
        let matcher = bounds.labels.iter().map(|text| match text.split_once('=') {
            Some((key, value)) => LabelMatcher {
                key: key.to_owned(),
                value: Some(value.to_owned()),
            },
            None => LabelMatcher {
                key: text.clone(),
                value: None,
            },
        });
        Ok(Self(matcher.collect()))
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
        self.0.iter().map(LabelMatcher::to_string)
    }

    /// The labels of something new: those asked for and the role's own. One that may have any
    /// value has none unless it is asked for.
    ///
    /// # Errors
    /// `forbidden` when another value is asked for than the role's, or a label by which another role
    /// would reach it.
    pub(super) fn with(
        &self,
        context: &EffectContext,
        asked: BTreeMap<String, String>,
        reserved: &BTreeSet<String>,
    ) -> Result<HashMap<String, String>, EffectError> {
        if asked.keys().any(|key| key.is_empty() || key.contains('=')) {
            return Err(context.invalid("a label's key is empty or holds `=`; give it a name"));
        }
        let is_own = |key: &str| self.0.iter().any(|matcher| matcher.key == key);
        let is_reserved = |key: &&String| {
            !is_own(key) && (reserved.contains(*key) || key.starts_with(HOST_PREFIX))
        };
        if let Some(key) = asked.keys().find(is_reserved) {
            return Err(context.forbidden(format_args!(
                "label `{key}` is reserved for another role; leave it out"
            )));
        }
        let mut labels: HashMap<_, _> = asked.into_iter().collect();
        for LabelMatcher { key, value } in &self.0 {
            let own = value.as_deref().unwrap_or_default();
            let given = labels.entry(key.clone()).or_insert_with(|| own.to_owned());
            if value.is_some() && given != own {
                return Err(context.forbidden(format_args!(
                    "label `{key}` is the role's own and has the value {own:?}; leave it out"
                )));
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

impl fmt::Display for LabelMatcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(formatter, "{}={value}", self.key),
            None => formatter.write_str(&self.key),
        }
    }
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
        let bounds = Bounds {
            labels: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..Bounds::default()
        };
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
            .with(&context(), map(&[("agent", "7"), ("x", "y")]), &none)
            .unwrap();
        let expected: HashMap<_, _> =
            map(&[("team", "web"), ("agent", "7"), ("none", ""), ("x", "y")]);
        assert_eq!(given, expected);
        assert_eq!(
            labels.with(&context(), map(&[]), &none).unwrap()["agent"],
            ""
        );
        for wrong in [("team", "ops"), ("none", "some")] {
            let error = labels.with(&context(), map(&[wrong]), &none).unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden, "{wrong:?}");
        }
        assert!(
            labels
                .with(&context(), map(&[("team", "web")]), &none)
                .is_ok()
        );
    }

    #[test]
    fn a_label_of_another_role_is_refused() {
        let labels = labels(&["team=web"]).unwrap();
        let reserved = BTreeSet::from(["team".to_owned(), "ops".to_owned()]);
        for foreign in [("ops", ""), ("exomonad.user", "0:0")] {
            let error = labels
                .with(&context(), map(&[foreign]), &reserved)
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden, "{foreign:?}");
        }
        assert!(
            labels
                .with(&context(), map(&[("team", "web"), ("x", "")]), &reserved)
                .is_ok()
        );
    }
}
