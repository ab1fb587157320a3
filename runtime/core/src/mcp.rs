//! The client of a call that comes by the Model Context Protocol, and the changes that a role's clients are told of.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use exomonad_schema::effects::mcp::{McpClient, McpLog, McpNotify, McpProgress};
use exomonad_schema::{EffectError, RawJson, RoleName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::handler::BoxFuture;

/// The client that made a call.
pub trait CallClient: Send + Sync {
    /// Describes it.
    fn describe(&self) -> McpClient;

    /// Reports progress, if the client has asked for it.
    fn progress(&self, progress: McpProgress) -> BoxFuture<'_, ()>;

    /// Sends a line of the log, if the client wants lines of its level.
    fn log(&self, line: McpLog) -> BoxFuture<'_, ()>;

    /// Asks, and gives the client's results in the order of the questions. The guest may never get them in this
    /// run: then it is run again.
    fn ask(&self, questions: Vec<Question>) -> BoxFuture<'_, Result<Vec<RawJson>, EffectError>>;
}

/// A request to a client.
#[derive(Clone, Debug)]
pub struct Question {
    /// The guest's name for it.
    pub key: Option<String>,
    /// The capability that the client needs for it.
    pub capability: ClientCapability,
    /// The method's parameters.
    pub params: RawJson,
}

/// A capability of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCapability {
    /// It shows forms.
    ElicitForms,
    /// It opens addresses.
    ElicitUrls,
    /// It samples its model.
    Sample,
    /// Its model may call tools in that.
    SampleWithTools,
    /// It lists its folders.
    ListRoots,
}

impl ClientCapability {
    /// The method that it is needed for.
    pub fn method(self) -> &'static str {
        match self {
            Self::ElicitForms | Self::ElicitUrls => "elicitation/create",
            Self::Sample | Self::SampleWithTools => "sampling/createMessage",
            Self::ListRoots => "roots/list",
        }
    }

    /// True if the client has it.
    pub fn is_of(self, client: &McpClient) -> bool {
        match self {
            Self::ElicitForms => client.elicits_forms,
            Self::ElicitUrls => client.elicits_urls,
            Self::Sample => client.samples,
            Self::SampleWithTools => client.samples_with_tools,
            Self::ListRoots => client.lists_roots,
        }
    }

    /// It as a client declares it.
    pub fn declared(self) -> Value {
        match self {
            Self::ElicitForms => json!({"elicitation": {"form": {}}}),
            Self::ElicitUrls => json!({"elicitation": {"url": {}}}),
            Self::Sample => json!({"sampling": {}}),
            Self::SampleWithTools => json!({"sampling": {"tools": {}}}),
            Self::ListRoots => json!({"roots": {}}),
        }
    }
}

/// Resources whose updates are remembered, of each role.
const UPDATES: usize = 256;

/// The news for the clients of all roles. Cheap to clone; the clones are one.
///
/// Nothing is queued for anybody: whoever tells a client compares what it has seen with what is here.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<HashMap<RoleName, watch::Sender<RoleChanges>>>>);

/// The changes of one role, as far as anybody may not have seen them.
#[derive(Clone, Debug, Default)]
pub struct RoleChanges {
    /// The number of times that the tools, the prompts and the resources were said to have changed.
    pub lists: [u64; 3],
    last: u64,
    updated: VecDeque<(u64, Arc<str>)>,
}

impl Changes {
    /// The changes of a role, which can be waited for.
    pub fn of(&self, role: &RoleName) -> watch::Receiver<RoleChanges> {
        self.with(role, watch::Sender::subscribe)
    }

    /// Notes changes of a role.
    pub fn note(&self, role: &RoleName, notified: &McpNotify) {
        let changed = [
            notified.tools_changed,
            notified.prompts_changed,
            notified.resources_changed,
        ];
        self.with(role, |sender| {
            sender.send_modify(|changes| {
                for (count, changed) in changes.lists.iter_mut().zip(changed) {
                    *count += u64::from(changed);
                }
                for uri in &notified.updated_resources {
                    changes.last += 1;
                    if changes.updated.len() == UPDATES {
                        changes.updated.pop_front();
                    }
                    let uri: &str = uri;
                    changes.updated.push_back((changes.last, uri.into()));
                }
            });
        });
    }

    fn with<T>(&self, role: &RoleName, act: impl FnOnce(&watch::Sender<RoleChanges>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(role.clone()).or_default())
    }
}

impl RoleChanges {
    /// The number of the last update.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// True if a resource was updated after this number, or if that is not known any more.
    pub fn has_updated(&self, uri: &str, seen: u64) -> bool {
        let oldest = self.updated.front().map_or(self.last, |(nth, _)| nth - 1);
        let new = self.updated.iter().rev().take_while(|(nth, _)| *nth > seen);
        seen < oldest || new.into_iter().any(|(_, updated)| **updated == *uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_seen_once_and_too_many_are_any() {
        let (changes, role) = (Changes::default(), "tl".parse().unwrap());
        let update = |uri: String| McpNotify {
            updated_resources: vec![uri.try_into().unwrap()],
            ..McpNotify::default()
        };
        let seen = changes.of(&role);
        changes.note(&role, &update("a".to_owned()));
        assert!(seen.borrow().has_updated("a", 0));
        assert!(!seen.borrow().has_updated("b", 0));
        assert!(!seen.borrow().has_updated("a", 1));
        for nth in 0..=UPDATES {
            changes.note(&role, &update(nth.to_string()));
        }
        assert!(seen.borrow().has_updated("b", 0), "nobody knows any more");
        let last = seen.borrow().last();
        assert!(!seen.borrow().has_updated("b", last - 1));
        assert!(seen.borrow().has_updated(&UPDATES.to_string(), last - 1));
        assert_eq!(seen.borrow().lists, [0, 0, 0]);
    }
}
