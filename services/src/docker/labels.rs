//! Which containers a role reaches: those that carry all of its labels.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use exomonad_core::Bounds;
use exomonad_schema::EffectError;

use super::task::Task;

/// How the labels begin that the host alone gives.
const HOST_PREFIX: &str = "exomonad.";

/// The labels of a role, at least one.
#[derive(Clone, Debug)]
pub(super) struct Labels(Vec<Wanted>);

/// One label, of one value or any.
#[derive(Clone, Debug)]
struct Wanted {
    key: String,
    value: Option<String>,
}

impl Labels {
    /// The role's labels.
    ///
    /// # Errors
    /// `forbidden` when it has none: no label means no container.
    pub(super) fn of(task: &Task, bounds: &Bounds) -> Result<Self, EffectError> {
        if bounds.labels.is_empty() {
            return Err(task.forbidden(format_args!(
                "role `{role}` has no labels, and so reaches no container; set \
                 `role.{role}.labels` in exomonad.toml",
                role = task.role()
            )));
        }
        let wanted = bounds.labels.iter().map(|text| match text.split_once('=') {
            Some((key, value)) => Wanted {
                key: key.to_owned(),
                value: Some(value.to_owned()),
            },
            None => Wanted {
                key: text.clone(),
                value: None,
            },
        });
        Ok(Self(wanted.collect()))
    }

    /// Whether something with these labels is the role's own.
    pub(super) fn are_carried_by(&self, labels: Option<&HashMap<String, String>>) -> bool {
        self.0.iter().all(|wanted| {
            labels
                .and_then(|labels| labels.get(&wanted.key))
                .is_some_and(|value| wanted.value.as_ref().is_none_or(|wanted| wanted == value))
        })
    }

    /// As the engine's `label` filter has them.
    pub(super) fn filters(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(Wanted::to_string)
    }

    /// The labels of something new: those asked for and the role's own. One that may have any
    /// value has none unless it is asked for.
    ///
    /// # Errors
    /// `forbidden` when another value is asked for than the role's, or a label by which another role
    /// would reach it.
    pub(super) fn with(
        &self,
        task: &Task,
        asked: BTreeMap<String, String>,
        reserved: &BTreeSet<String>,
    ) -> Result<HashMap<String, String>, EffectError> {
        if asked.keys().any(|key| key.is_empty() || key.contains('=')) {
            return Err(task.invalid("a label's key is empty or holds `=`; give it a name"));
        }
        let is_own = |key: &str| self.0.iter().any(|wanted| wanted.key == key);
        let is_reserved = |key: &&String| {
            !is_own(key) && (reserved.contains(*key) || key.starts_with(HOST_PREFIX))
        };
        if let Some(key) = asked.keys().find(is_reserved) {
            return Err(task.forbidden(format_args!(
                "label `{key}` says whose container it is, and is not this role's to give; leave it out"
            )));
        }
        let mut labels: HashMap<_, _> = asked.into_iter().collect();
        for Wanted { key, value } in &self.0 {
            let own = value.as_deref().unwrap_or_default();
            let given = labels.entry(key.clone()).or_insert_with(|| own.to_owned());
            if value.is_some() && given != own {
                return Err(task.forbidden(format_args!(
                    "label `{key}` is the role's own and has the value {own:?}; leave it out"
                )));
            }
        }
        Ok(labels)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wanted) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}`{wanted}`")?;
        }
        Ok(())
    }
}

impl fmt::Display for Wanted {
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

    fn task() -> Task {
        Task::new(EffectKind::DockerSpawn, &call("tl"), "web")
    }

    fn labels(texts: &[&str]) -> Result<Labels, EffectError> {
        let bounds = Bounds {
            labels: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..Bounds::default()
        };
        Labels::of(&task(), &bounds)
    }

    fn map<M: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> M {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_container_must_carry_all_of_them() {
        let labels = labels(&["team=web", "agent"]).unwrap();
        for (carried, reached) in [
            (vec![("team", "web"), ("agent", "")], true),
            (vec![("team", "web"), ("agent", "7"), ("more", "x")], true),
            (vec![("team", "web")], false),
            (vec![("team", "ops"), ("agent", "")], false),
            (vec![("Team", "web"), ("agent", "")], false),
            (vec![], false),
        ] {
            assert_eq!(
                labels.are_carried_by(Some(&map(&carried))),
                reached,
                "{carried:?}"
            );
        }
        assert!(!labels.are_carried_by(None));
    }

    #[test]
    fn a_role_without_labels_reaches_nothing() {
        let error = labels(&[]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden);
        assert!(error.message.contains("role.tl.labels"), "{error}");
    }

    #[test]
    fn what_is_new_gets_them_and_a_request_cannot_change_one() {
        let labels = labels(&["team=web", "agent", "none="]).unwrap();
        let none = BTreeSet::new();
        let given = labels
            .with(&task(), map(&[("agent", "7"), ("x", "y")]), &none)
            .unwrap();
        let expected: HashMap<_, _> =
            map(&[("team", "web"), ("agent", "7"), ("none", ""), ("x", "y")]);
        assert_eq!(given, expected);
        assert_eq!(labels.with(&task(), map(&[]), &none).unwrap()["agent"], "");
        for wrong in [("team", "ops"), ("none", "some")] {
            let error = labels.with(&task(), map(&[wrong]), &none).unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden, "{wrong:?}");
        }
        assert!(labels.with(&task(), map(&[("team", "web")]), &none).is_ok());
    }

    #[test]
    fn a_label_that_another_role_goes_by_is_not_given() {
        let labels = labels(&["team=web"]).unwrap();
        let reserved = BTreeSet::from(["team".to_owned(), "ops".to_owned()]);
        for foreign in [("ops", ""), ("exomonad.user", "0:0")] {
            let error = labels
                .with(&task(), map(&[foreign]), &reserved)
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden, "{foreign:?}");
        }
        assert!(
            labels
                .with(&task(), map(&[("team", "web"), ("x", "")]), &reserved)
                .is_ok()
        );
    }
}
