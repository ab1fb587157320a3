//! [`RoleKeys`]: the keys that set what a role may do, for messages that say what to change.

use std::collections::BTreeSet;

use exomonad_schema::RoleName;

/// The keys of a role: its own, and those of `[defaults]` where only that table says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleKeys {
    /// True if the role has no table of its own.
    is_unlisted: bool,
    inherited: BTreeSet<String>,
}

crate::no_bounds!(RoleKeys);

impl RoleKeys {
    /// Of a role that is served without being listed: all are those of `[defaults]`.
    pub fn of_unlisted() -> Self {
        Self {
            is_unlisted: true,
            inherited: BTreeSet::new(),
        }
    }

    /// Of a role with a table, in which `[defaults]` sets these fields: `paths`, `limits.memory`.
    pub fn inheriting(fields: impl IntoIterator<Item = String>) -> Self {
        Self {
            is_unlisted: false,
            inherited: fields.into_iter().collect(),
        }
    }

    /// The full key of a field: `role.tl.paths`, or `defaults.paths`.
    pub fn key(&self, role: &RoleName, field: &str) -> String {
        match self.is_unlisted || self.inherited.contains(field) {
            true => format!("defaults.{field}"),
            false => format!("role.{role}.{field}"),
        }
    }
}
