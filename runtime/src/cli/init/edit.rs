//! An entry in a file's text. Everything else in it, comments and order included, stays as it is.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table};

use super::agents::{AgentFile, Entry, Format, SERVER_PREFIX};

/// The key of the table of hooks.
const HOOKS: &str = "hooks";

/// A change of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Something that was not there.
    Added(String),
    /// Something of ours that was different.
    Replaced(String),
    /// Something of ours that is gone.
    Removed(String),
}

/// A file's new text, `None` for no file; and the changes.
pub type Edited = Result<(Option<String>, Vec<Change>), String>;

/// Puts a file's entries into its text.
pub fn add(file: &AgentFile, before: Option<&str>) -> Edited {
    if file.entries.is_empty() {
        return Ok((before.map(str::to_owned), Vec::new()));
    }
    match file.format {
        Format::Json => {
            let root = parse(before)?;
            let object = root
                .object_value_or_create()
                .ok_or("it is no JSON object")?;
            let changes = file.entries.iter().map(|entry| add_json(&object, entry));
            let changes = changes.collect::<Result<Vec<_>, _>>()?;
            let mut text = root.to_string();
            if before.is_none() {
                text.push('\n');
            }
            Ok((Some(text), changes.into_iter().flatten().collect()))
        }
        Format::Toml => {
            let mut document: DocumentMut = before
                .unwrap_or_default()
                .parse()
                .map_err(|error| format!("it is no TOML: {error}"))?;
            let mut changes = Vec::new();
            for entry in &file.entries {
                changes.extend(add_toml(&mut document, entry)?);
            }
            Ok((Some(document.to_string()), changes))
        }
        Format::Whole => {
            let text = file.entries.iter().find_map(|entry| match entry {
                Entry::Text(text) => Some(text.clone()),
                _ => None,
            });
            let change = match before {
                None => Change::Added("the file".to_owned()),
                Some(before) if !is_ours(before) => {
                    return Err(
                        "it was not written by `exomonad init`: move it away, or remove it"
                            .to_owned(),
                    );
                }
                Some(_) => Change::Replaced("the file".to_owned()),
            };
            Ok((text, vec![change]))
        }
    }
}

/// True for a whole file that `init` has written.
fn is_ours(text: &str) -> bool {
    text.starts_with("// Written by `exomonad init`")
}

/// Removes what is ours from a file's text: the entries of a role, or of all.
pub fn remove(file: &AgentFile, before: Option<&str>, role: Option<&str>) -> Edited {
    let Some(text) = before else {
        return Ok((None, Vec::new()));
    };
    let tables = file.entries.iter().filter_map(|entry| match entry {
        Entry::Server { table, .. } => Some(*table),
        _ => None,
    });
    let mut changes = Vec::new();
    match file.format {
        Format::Json => {
            let root = parse(before)?;
            let object = root.object_value().ok_or("it is no JSON object")?;
            for table in tables {
                remove_servers(&object, table, role, &mut changes);
            }
            remove_hooks(&object, role, &mut changes);
            // What is left of a file that we have made.
            let rest = object.to_serde_value().unwrap_or_default();
            let is_empty =
                rest == serde_json::json!({}) || rest == serde_json::json!({"version": 1});
            let after = (!is_empty || changes.is_empty()).then(|| root.to_string());
            Ok((after, changes))
        }
        Format::Toml => {
            let mut document: DocumentMut = text
                .parse()
                .map_err(|error| format!("it is no TOML: {error}"))?;
            for table in tables {
                let Some(servers) = document.get_mut(table).and_then(Item::as_table_like_mut)
                else {
                    continue;
                };
                let ours: Vec<String> = servers
                    .iter()
                    .map(|(name, _)| name.to_owned())
                    .filter(|name| is_our_server(name, role))
                    .collect();
                for name in ours {
                    servers.remove(&name);
                    changes.push(Change::Removed(format!("{table}.{name}")));
                }
                if servers.is_empty() {
                    document.remove(table);
                }
            }
            let rest = document.to_string();
            let after = (!rest.trim().is_empty() || changes.is_empty()).then_some(rest);
            Ok((after, changes))
        }
        Format::Whole => {
            let is_of_role =
                role.is_none_or(|role| text.contains(&format!("const ROLE = {role:?};")));
            match is_of_role && is_ours(text) {
                true => Ok((None, vec![Change::Removed("the file".to_owned())])),
                false => Ok((before.map(str::to_owned), Vec::new())),
            }
        }
    }
}

fn parse(text: Option<&str>) -> Result<CstRootNode, String> {
    let text = text
        .filter(|text| !text.trim().is_empty())
        .unwrap_or("{\n}");
    CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|error| format!("it is no JSON: {error}"))
}

fn add_json(object: &CstObject, entry: &Entry) -> Result<Option<Change>, String> {
    match entry {
        Entry::Server { table, name, value } => {
            let servers = object
                .object_value_or_create(table)
                .ok_or_else(|| format!("`{table}` is no object"))?;
            Ok(set(&servers, name, value, &format!("{table}.{name}")))
        }
        Entry::Hook {
            event,
            command,
            value,
        } => {
            let hooks = object
                .object_value_or_create(HOOKS)
                .ok_or("`hooks` is no object")?;
            let of_event = hooks
                .array_value_or_create(event)
                .ok_or_else(|| format!("`hooks.{event}` is no list"))?;
            let what = format!("{HOOKS}.{event}");
            let role = role_of(command);
            let ours = of_event.elements().into_iter().find(|element| {
                commands(element)
                    .iter()
                    .any(|command| is_our_command(command, role))
            });
            Ok(match ours {
                Some(element) if element.to_serde_value().as_ref() == Some(value) => None,
                Some(element) => {
                    let index = element.element_index().unwrap_or(0);
                    element.remove();
                    of_event.insert(index, input(value));
                    Some(Change::Replaced(what))
                }
                None => {
                    of_event.append(input(value));
                    Some(Change::Added(what))
                }
            })
        }
        Entry::Key { name, value } => Ok(match object.get(name) {
            Some(_) => None,
            None => set(object, name, value, name),
        }),
        Entry::Text(_) => Ok(None),
    }
}

fn set(object: &CstObject, name: &str, value: &Value, what: &str) -> Option<Change> {
    match object.get(name) {
        Some(property) if property.to_serde_value().as_ref() == Some(value) => None,
        Some(property) => {
            property.set_value(input(value));
            Some(Change::Replaced(what.to_owned()))
        }
        None => {
            object.append(name, input(value));
            Some(Change::Added(what.to_owned()))
        }
    }
}

fn add_toml(document: &mut DocumentMut, entry: &Entry) -> Result<Option<Change>, String> {
    let Entry::Server { table, name, value } = entry else {
        return Ok(None);
    };
    let server = toml_edit::ser::to_document(value).map_err(|error| error.to_string())?;
    let mut wanted = Item::Table(server.as_table().clone());
    if let Item::Table(table) = &mut wanted {
        table.set_implicit(false);
    }
    let servers = document.entry(table).or_insert_with(|| {
        let mut servers = Table::new();
        servers.set_implicit(true);
        Item::Table(servers)
    });
    let servers = servers
        .as_table_like_mut()
        .ok_or_else(|| format!("`{table}` is no table"))?;
    let what = format!("{table}.{name}");
    let before = servers
        .get(name)
        .map(|item| item.to_string().trim().to_owned());
    Ok(match before {
        Some(before) if before == wanted.to_string().trim() => None,
        Some(_) => {
            servers.insert(name, wanted);
            Some(Change::Replaced(what))
        }
        None => {
            servers.insert(name, wanted);
            Some(Change::Added(what))
        }
    })
}

fn remove_servers(object: &CstObject, table: &str, role: Option<&str>, changes: &mut Vec<Change>) {
    let Some(servers) = object.object_value(table) else {
        return;
    };
    for property in servers.properties() {
        let name = property.decoded_name().unwrap_or_default();
        if is_our_server(&name, role) {
            property.remove();
            changes.push(Change::Removed(format!("{table}.{name}")));
        }
    }
    if servers.properties().is_empty()
        && let Some(property) = object.get(table)
    {
        property.remove();
    }
}

fn remove_hooks(object: &CstObject, role: Option<&str>, changes: &mut Vec<Change>) {
    let Some(hooks) = object.object_value(HOOKS) else {
        return;
    };
    for property in hooks.properties() {
        let event = property.decoded_name().unwrap_or_default();
        let Some(of_event) = property.array_value() else {
            continue;
        };
        remove_ours(&of_event, role, &event, changes);
        if of_event.elements().is_empty() {
            property.remove();
        }
    }
    if hooks.properties().is_empty()
        && let Some(property) = object.get(HOOKS)
    {
        property.remove();
    }
}

fn remove_ours(of_event: &CstArray, role: Option<&str>, event: &str, changes: &mut Vec<Change>) {
    for element in of_event.elements() {
        let ours = commands(&element);
        if ours.iter().any(|command| is_our_command(command, role)) {
            element.remove();
            changes.push(Change::Removed(format!("{HOOKS}.{event}")));
        }
    }
}

fn is_our_server(name: &str, role: Option<&str>) -> bool {
    match (name.strip_prefix(SERVER_PREFIX), role) {
        (Some(of), Some(role)) => of == role,
        (of, None) => of.is_some(),
        (None, _) => false,
    }
}

/// The commands of an element in a list of hooks.
fn commands(element: &CstNode) -> Vec<String> {
    let value = element.to_serde_value().unwrap_or_default();
    let nested = value["hooks"].as_array().into_iter().flatten();
    let all = nested.chain([&value]);
    all.filter_map(|hook| hook["command"].as_str().map(str::to_owned))
        .collect()
}

fn is_our_command(command: &str, role: Option<&str>) -> bool {
    let mut words = command.split_whitespace();
    words.next() == Some("exomonad")
        && words.any(|word| word == "hook")
        && role.is_none_or(|role| role_of(command) == Some(role))
}

fn role_of(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace();
    words.find(|word| *word == "--role")?;
    words.next()
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(object) => {
            let fields = object
                .iter()
                .map(|(name, value)| (name.clone(), input(value)));
            CstInputValue::Object(fields.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use exomonad_host::agents::Agent;
    use exomonad_schema::common::HookEvent;

    use super::super::agents::{Settings, Transport, files};
    use super::*;

    fn settings(role: &str) -> Settings {
        Settings {
            role: Some(role.to_owned()),
            hooks: vec![HookEvent::PreToolUse, HookEvent::PostToolUse],
            program: vec!["exomonad".to_owned()],
            transport: Transport::Stdio,
        }
    }

    #[test]
    fn a_second_time_changes_nothing_and_removing_leaves_nothing() {
        let by_http = Settings {
            transport: Transport::Http {
                url: "http://127.0.0.1:7432/role/tl/mcp".to_owned(),
                has_token: true,
            },
            ..settings("tl")
        };
        let by_stdio = settings("tl");
        for (agent, settings) in Agent::ALL
            .iter()
            .flat_map(|agent| [(agent, &by_http), (agent, &by_stdio)])
        {
            for file in files(*agent, settings) {
                let (once, changes) = add(&file, None).unwrap();
                assert!(!changes.is_empty(), "{}", file.path);
                let (twice, _) = add(&file, once.as_deref()).unwrap();
                assert_eq!(once, twice, "{}", file.path);
                let (rest, changes) = remove(&file, once.as_deref(), Some("tl")).unwrap();
                assert_eq!(rest, None, "{}", file.path);
                assert!(!changes.is_empty());
            }
        }
    }

    #[test]
    fn what_somebody_else_has_written_stays_as_it_is() {
        let theirs = "{\n  // keep this\n  \"theme\": \"dark\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"./own.sh\"}]}\n    ]\n  }\n}\n";
        let [_, hooks] = &files(Agent::Claude, &settings("tl"))[..] else {
            panic!("two files");
        };
        let (ours, _) = add(hooks, Some(theirs)).unwrap();
        let ours = ours.unwrap();
        assert!(
            ours.contains("// keep this") && ours.contains("./own.sh"),
            "{ours}"
        );
        assert!(
            ours.contains("exomonad hook PreToolUse --agent claude --role tl"),
            "{ours}"
        );
        let (other, _) = add(&files(Agent::Claude, &settings("dev"))[1], Some(&ours)).unwrap();
        let (left, changes) = remove(hooks, other.as_deref(), Some("tl")).unwrap();
        assert_eq!(changes.len(), 3, "{changes:?}");
        let left = left.unwrap();
        assert!(
            left.contains("--role dev") && !left.contains("--role tl"),
            "{left}"
        );
        let (left, _) = remove(hooks, Some(&left), None).unwrap();
        let value = parse(left.as_deref()).unwrap().to_serde_value().unwrap();
        assert_eq!(value["hooks"]["PreToolUse"].as_array().unwrap().len(), 1);
        assert_eq!(value["theme"], "dark");
    }

    #[test]
    fn an_agent_that_talks_http_takes_its_token_from_the_environment() {
        let by_http = |has_token| Settings {
            transport: Transport::Http {
                url: "http://h/role/tl/mcp".to_owned(),
                has_token,
            },
            ..settings("tl")
        };
        for agent in Agent::ALL {
            let text = |has_token| add(&files(*agent, &by_http(has_token))[0], None).unwrap().0;
            let (open, closed) = (text(false).unwrap(), text(true).unwrap());
            assert!(open.contains("http://h/role/tl/mcp"), "{open}");
            assert!(!open.contains("EXOMONAD_TOKEN"), "{open}");
            assert!(closed.contains("EXOMONAD_TOKEN"), "{closed}");
        }
    }

    #[test]
    fn toml_keeps_its_comments() {
        let theirs = "# mine\nmodel = \"m\"\n\n[mcp_servers.other]\ncommand = \"x\"\n";
        let [config, _] = &files(Agent::Codex, &settings("tl"))[..] else {
            panic!("two files");
        };
        let (ours, _) = add(config, Some(theirs)).unwrap();
        let ours = ours.unwrap();
        assert!(ours.starts_with(theirs), "{ours}");
        assert!(ours.contains("[mcp_servers.exomonad-tl]\n"), "{ours}");
        let (left, _) = remove(config, Some(&ours), None).unwrap();
        assert_eq!(left.as_deref(), Some(theirs));
    }

    #[test]
    fn a_file_of_another_shape_is_refused_and_not_replaced() {
        let [servers, hooks] = &files(Agent::Claude, &settings("tl"))[..] else {
            panic!("two files");
        };
        for text in ["[]", "{", "{\"mcpServers\": 3}"] {
            assert!(add(servers, Some(text)).is_err(), "{text}");
        }
        for text in ["{\"hooks\": []}", "{\"hooks\": {\"PreToolUse\": {}}}"] {
            assert!(add(hooks, Some(text)).is_err(), "{text}");
        }
    }
}
