//! The key-value store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedInt, BoundedText, RawJson};

/// A key: 1 to 1024 characters.
pub type KvKey = BoundedText<1, 1024>;

/// Names the key to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvGet {
    /// The key.
    pub key: KvKey,
}

/// The value under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KvEntry {
    /// True if the key has a value; distinguishes an absent value from a stored `null`.
    pub found: bool,
    /// The value; `null` when there is none.
    pub value: RawJson,
}

/// Names the key to write, and the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvSet {
    /// The key.
    pub key: KvKey,
    /// The value: any JSON, kept as it is written.
    pub value: RawJson,
}

/// Names the key to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvDelete {
    /// The key.
    pub key: KvKey,
}

/// The result of removing a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KvDeleted {
    /// True if the key had a value.
    pub existed: bool,
}

/// Selects the keys to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KvList {
    /// Only keys that begin with this.
    pub prefix: BoundedText<0, 1024>,
    /// The number of keys at most.
    pub limit: BoundedInt<1, 1000>,
    /// Only keys after this one: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<KvKey>,
}

impl Default for KvList {
    fn default() -> Self {
        Self {
            prefix: BoundedText::default(),
            limit: BoundedInt::constant::<100>(),
            after: None,
        }
    }
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KvKeys {
    /// The keys, in byte order.
    pub keys: Vec<String>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
