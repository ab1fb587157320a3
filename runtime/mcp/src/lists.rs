//! The lists of a role that may change, and how clients come to know it.

use std::sync::Arc;

use bytes::Bytes;
use exomonad_core::mcp::RoleChanges;
use exomonad_host::Role;
use exomonad_schema::common::{HANDLE_LIST_PROMPTS, HANDLE_LIST_RESOURCES};

/// A list that clients ask for, and ask for again when it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`, and the templates.
    Resources,
}

impl List {
    /// All of them, in the order of [`RoleChanges::lists`].
    pub const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// The capability that it belongs to.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }

    /// The notification that it is another one.
    pub fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
        }
    }

    /// The list as it is now: of tools the JSON that the plugin listed, of the others the plugin that lists them, and
    /// how often it has said that they changed. `None` while no version serves, or it has no such list.
    fn now(self, role: Option<&Arc<Role>>, changes: &RoleChanges) -> Listed {
        let version = role?.version()?;
        let plugin = &version.plugin;
        let content = match self {
            Self::Tools => Some(version.tools_json.clone()),
            Self::Prompts => plugin
                .has(HANDLE_LIST_PROMPTS)
                .then(|| digest(plugin.digest())),
            Self::Resources => plugin
                .has(HANDLE_LIST_RESOURCES)
                .then(|| digest(plugin.digest())),
        };
        Some((content?, changes.lists[self as usize]))
    }
}

fn digest(digest: &str) -> Bytes {
    Bytes::copy_from_slice(digest.as_bytes())
}

/// The state of a list by which a change is seen.
pub type Listed = Option<(Bytes, u64)>;

/// All lists as they are now.
pub fn lists_of(role: Option<&Arc<Role>>, changes: &RoleChanges) -> [Listed; 3] {
    List::ALL.map(|list| list.now(role, changes))
}

/// A list as a client knows it. While no version has served yet, it knows nothing.
#[derive(Default)]
pub struct KnownList(Option<Listed>);

impl KnownList {
    /// Takes up the list as it is now, and tells if it differs from what the client knows.
    pub fn update(&mut self, listed: Listed) -> bool {
        match &self.0 {
            None => {
                self.0 = listed.is_some().then_some(listed);
                false
            }
            Some(known) => {
                let differs = *known != listed;
                self.0 = Some(listed);
                differs
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_loads_is_no_change_and_one_that_goes_is() {
        let mut known = KnownList::default();
        let tools = |json: &'static str, said| Some((Bytes::from_static(json.as_bytes()), said));
        assert!(!known.update(None));
        assert!(!known.update(tools("a", 0)));
        assert!(!known.update(tools("a", 0)));
        assert!(known.update(tools("a", 1)));
        assert!(known.update(None));
        assert!(!known.update(None));
        assert!(known.update(tools("a", 1)));
        assert!(known.update(tools("b", 1)));
    }
}
