//! The capabilities that a client declares.

use exomonad_schema::RawJson;
use exomonad_schema::effects::mcp::McpClient;
use serde::Deserialize;
use serde_json::Value;

use crate::message::object;

/// The extension by which long work is a task.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The capabilities of a client, as far as they matter here. What cannot be read is not declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    elicits_forms: bool,
    elicits_urls: bool,
    samples: bool,
    samples_with_tools: bool,
    lists_roots: bool,
    /// True if it takes a task as the result of a call.
    pub has_tasks: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Declared {
    elicitation: Value,
    sampling: Value,
    roots: Value,
    extensions: Value,
}

impl Capabilities {
    /// The capabilities that JSON declares.
    pub fn read(json: Option<&RawJson>) -> Self {
        let declared: Declared = json.and_then(object).unwrap_or_default();
        let elicitation = declared.elicitation.as_object();
        let sampling = declared.sampling.as_object();
        Self {
            // Before there were addresses, an empty object stood for forms.
            elicits_forms: elicitation
                .is_some_and(|modes| modes.contains_key("form") || !modes.contains_key("url")),
            elicits_urls: elicitation.is_some_and(|modes| modes.contains_key("url")),
            samples: sampling.is_some(),
            samples_with_tools: sampling.is_some_and(|sampling| sampling.contains_key("tools")),
            lists_roots: declared.roots.is_object(),
            has_tasks: declared.extensions.get(TASKS).is_some_and(Value::is_object),
        }
    }

    /// The client, as a guest sees it.
    pub fn describe(&self, name: Option<String>, revision: &str) -> McpClient {
        McpClient {
            connected: true,
            name,
            revision: Some(revision.to_owned()),
            elicits_forms: self.elicits_forms,
            elicits_urls: self.elicits_urls,
            samples: self.samples,
            samples_with_tools: self.samples_with_tools,
            lists_roots: self.lists_roots,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms_are_declared_by_name_or_by_an_empty_object() {
        let read = |declared: Value| Capabilities::read(Some(&declared.into()));
        let modes = |declared| {
            let read = read(declared);
            (read.elicits_forms, read.elicits_urls)
        };
        assert_eq!(modes(json!({"elicitation": {}})), (true, false));
        assert_eq!(modes(json!({"elicitation": {"url": {}}})), (false, true));
        assert_eq!(
            modes(json!({"elicitation": {"url": {}, "form": {}}})),
            (true, true)
        );
        for nothing in [json!({}), json!({"elicitation": 7}), json!([]), json!(null)] {
            assert_eq!(read(nothing), Capabilities::default());
        }
        assert_eq!(Capabilities::read(None), Capabilities::default());
        let tasks = read(json!({"extensions": {TASKS: {}}, "sampling": {"tools": {}}}));
        assert!(tasks.has_tasks && tasks.samples && tasks.samples_with_tools);
    }
}
