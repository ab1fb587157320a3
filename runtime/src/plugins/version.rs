//! One version of a role's plugin, checked from end to end before it serves.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use exomonad_engine::{
    CompileCache, Host, LoadError, LoadOptions, Manifest, Plugin, Sandbox, closest,
};
use exomonad_schema::common::{
    DESCRIBE, HANDLE_LIST_TOOLS, HANDLE_MCP_CALL, HookEvent, ListToolsInput, ListToolsResult,
    PluginDescription, Tool,
};
use exomonad_schema::{EffectKind, RawJson};
use jsonschema::Validator;
use serde_json::Value;

use super::folder::Source;
use crate::calls::fresh_call_id;
use crate::failure::Violation;
use crate::guest::{CallHost, effect_functions};
use crate::role::RoleSettings;

/// Violations that one answer lists; arguments can break a schema in thousands of places.
const VIOLATIONS: usize = 20;
/// Characters of what is said about one of them.
const VIOLATION: usize = 500;

/// Why a plugin file does not become a version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The engine refuses it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It has no entry point that a role could use.
    #[error(
        "it is no role plugin: it exports neither `{HANDLE_LIST_TOOLS}` and `{HANDLE_MCP_CALL}` nor a hook such as `{}`; it exports {}",
        HookEvent::PreToolUse.export(),
        if .0.is_empty() { "nothing" } else { .0 }
    )]
    NoEntryPoint(String),
    /// It has one half of the tool interface.
    #[error("it exports `{0}` but not `{1}`: tools need both")]
    HalfOfTools(&'static str, &'static str),
    /// A call to one of its describing exports failed.
    #[error("`{export}` failed: {reason}")]
    Describe {
        /// The export.
        export: &'static str,
        /// What it did.
        reason: String,
    },
    /// A tool cannot be offered.
    #[error("tool `{tool}`: {reason}")]
    Tool {
        /// Its name.
        tool: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Warm sandboxes that a version keeps for its next calls.
pub const WARM: u32 = 64;
/// Parts that a tool's schema may have, references replaced by what they name: a small schema can unfold
/// to more than anybody could check.
const MOST_PARTS: u64 = 20_000;
/// References that may lie behind each other.
const DEEPEST: u32 = 64;
/// Parts of arguments times parts of their schema up to which every violation is listed.
const MOST_CHECKS: u64 = 1_000_000;

/// A tool with its arguments' schema, ready to check.
pub struct CheckedTool {
    /// As the plugin lists it.
    pub tool: Tool,
    validator: Validator,
    /// How many parts the schema has once every reference is replaced by what it names.
    schema_parts: u64,
}

/// One version of a role's plugin.
pub struct Version {
    /// Compiled and connected.
    pub plugin: Plugin,
    /// Where it came from.
    pub source: Source,
    /// When it began to serve.
    pub loaded_at: SystemTime,
    /// Its tools in the order it lists them.
    pub tools: Vec<CheckedTool>,
    /// The list as JSON: `{"tools":[…]}`.
    pub tools_json: Vec<u8>,
    /// What it says about itself.
    pub description: Option<PluginDescription>,
    /// The capabilities that it needs and the role does not have.
    pub missing_grants: Vec<String>,
    by_name: HashMap<String, usize>,
    /// Warm sandboxes that wait for a call, if the role asks for those.
    warm: Mutex<Vec<Sandbox>>,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version")
            .field("source", &self.source)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Version {
    /// Loads the plugin and asks it for its tools, without effects.
    ///
    /// # Errors
    /// Everything that keeps it from serving.
    pub async fn load(
        role: &Arc<RoleSettings>,
        source: Source,
        snapshot: bool,
        cache: Option<&CompileCache>,
    ) -> Result<Self, VersionError> {
        let opened = source.clone();
        let manifest = tokio::task::spawn_blocking(move || open(&opened));
        let manifest = manifest
            .await
            .map_err(|error| LoadError::Prepare(error.to_string()))??;
        let options = LoadOptions {
            effects: effect_functions(),
            wasi: true,
            snapshot,
            cache: cache.cloned(),
        };
        let plugin = role.engine.load(&manifest, &options).await?;
        check_entry_points(&plugin)?;
        let tools = if plugin.has(HANDLE_LIST_TOOLS) {
            list_tools(role, &plugin).await?
        } else {
            Vec::new()
        };
        let description = if plugin.has(DESCRIBE) {
            Some(describe(role, &plugin).await?)
        } else {
            None
        };
        let needs = needs(&plugin, description.as_ref());
        let missing = needs
            .into_iter()
            .filter(|needed| !role.granted.contains(&needed.as_str()));
        let listed: Vec<&Tool> = tools.iter().map(|tool| &tool.tool).collect();
        Ok(Self {
            tools_json: serde_json::to_vec(&BTreeMap::from([("tools", listed)]))
                .unwrap_or_default(),
            missing_grants: missing.collect(),
            by_name: tools
                .iter()
                .enumerate()
                .map(|(nth, tool)| (tool.tool.name.clone(), nth))
                .collect(),
            plugin,
            source,
            loaded_at: SystemTime::now(),
            tools,
            description,
            warm: Mutex::new(Vec::new()),
        })
    }

    /// The tool of this name, or the name that was probably meant.
    pub fn tool(&self, name: &str) -> Result<&CheckedTool, Option<&str>> {
        match self.by_name.get(name).and_then(|nth| self.tools.get(*nth)) {
            Some(tool) => Ok(tool),
            None => Err(closest(
                name,
                self.tools.iter().map(|tool| tool.tool.name.as_str()),
            )),
        }
    }

    /// The events that the plugin handles.
    pub fn hooks(&self) -> impl Iterator<Item = HookEvent> {
        HookEvent::ALL
            .iter()
            .copied()
            .filter(|event| self.plugin.has(event.export()))
    }

    /// A warm sandbox that waits, if there is one.
    pub fn take_warm(&self) -> Option<Sandbox> {
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    /// Keeps a warm sandbox for the next call, unless its guest was left in the middle of something.
    pub fn keep_warm(&self, sandbox: Sandbox) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if sandbox.is_usable() && warm.len() < WARM as usize {
            warm.push(sandbox);
        }
    }
}

impl CheckedTool {
    /// Where these arguments break the tool's schema; nowhere if they fit.
    pub fn violations(&self, arguments: &serde_json::Value) -> Vec<Violation> {
        let violation = |error: jsonschema::ValidationError<'_>| Violation {
            pointer: error.instance_path().to_string(),
            message: shortened(error.to_string()),
        };
        let Err(first) = self.validator.validate(arguments) else {
            return Vec::new();
        };
        // The validator collects all violations before it gives the first: as many as the schema has
        // parts for each part of the arguments.
        if parts(arguments, &|_| 1).saturating_mul(self.schema_parts) > MOST_CHECKS {
            return vec![violation(first)];
        }
        let errors = self.validator.iter_errors(arguments).take(VIOLATIONS);
        errors.map(violation).collect()
    }
}

/// The parts of a schema once every local reference is replaced by what it names. A reference into
/// itself counts once.
fn unfolded(schema: &RawJson) -> u64 {
    fn of(root: &Value, at: &Value, depth: u32, known: &RefCell<HashMap<String, u64>>) -> u64 {
        if depth > DEEPEST {
            return MOST_PARTS + 1;
        }
        parts(at, &|object| {
            let Some(pointer) = object.get("$ref").and_then(Value::as_str) else {
                return 1;
            };
            if let Some(count) = known.borrow().get(pointer) {
                return *count;
            }
            known.borrow_mut().insert(pointer.to_owned(), 1);
            let target = pointer
                .strip_prefix('#')
                .and_then(|path| root.pointer(path));
            let count = target.map_or(1, |target| of(root, target, depth + 1, known));
            known.borrow_mut().insert(pointer.to_owned(), count);
            count
        })
    }
    let root: Value = schema.parse().unwrap_or_default();
    of(&root, &root, 0, &RefCell::default())
}

/// The parts of a value, with `object` counting what an object stands for beside its members.
fn parts(value: &Value, object: &dyn Fn(&serde_json::Map<String, Value>) -> u64) -> u64 {
    let total = |parts: &mut dyn Iterator<Item = u64>| parts.fold(1, u64::saturating_add);
    match value {
        Value::Array(items) => total(&mut items.iter().map(|item| parts(item, object))),
        Value::Object(members) => total(&mut members.values().map(|member| parts(member, object)))
            .saturating_add(object(members)),
        _ => 1,
    }
}

/// A message that repeats large arguments is of no use to anybody.
fn shortened(message: String) -> String {
    match message.char_indices().nth(VIOLATION) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

fn open(source: &Source) -> Result<Manifest, LoadError> {
    match source {
        Source::File(path) => Manifest::open(path),
        Source::Embedded(name) => match super::embedded::find(name) {
            Some(wasm) => Ok(Manifest::of_module(wasm.to_vec())),
            None => Err(LoadError::Manifest(format!(
                "there is no embedded plugin `{name}`"
            ))),
        },
    }
}

fn check_entry_points(plugin: &Plugin) -> Result<(), VersionError> {
    match (plugin.has(HANDLE_LIST_TOOLS), plugin.has(HANDLE_MCP_CALL)) {
        (true, true) => Ok(()),
        (true, false) => Err(VersionError::HalfOfTools(
            HANDLE_LIST_TOOLS,
            HANDLE_MCP_CALL,
        )),
        (false, true) => Err(VersionError::HalfOfTools(
            HANDLE_MCP_CALL,
            HANDLE_LIST_TOOLS,
        )),
        (false, false)
            if HookEvent::ALL
                .iter()
                .any(|event| plugin.has(event.export())) =>
        {
            Ok(())
        }
        (false, false) => {
            let exports: Vec<&str> = plugin.entry_points().collect();
            Err(VersionError::NoEntryPoint(exports.join(", ")))
        }
    }
}

/// The capabilities that a plugin needs: of the effects it imports, and those it says itself.
fn needs(plugin: &Plugin, description: Option<&PluginDescription>) -> BTreeSet<String> {
    let imported = plugin
        .imports()
        .iter()
        .filter_map(|import| EffectKind::from_function(import.strip_prefix("extism:host/user::")?))
        .map(|kind| kind.capability().to_owned());
    let described = description
        .into_iter()
        .flat_map(|description| description.effects.iter().cloned());
    imported.chain(described).collect()
}

/// Calls an export that describes the plugin, and reads its answer.
async fn ask<T: serde::de::DeserializeOwned>(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
    export: &'static str,
) -> Result<T, VersionError> {
    let failed = |reason: String| VersionError::Describe { export, reason };
    let call = role.call(fresh_call_id(), None, None);
    let input = serde_json::to_vec(&ListToolsInput {
        context: call.guest_view(),
    })
    .map_err(|error| failed(error.to_string()))?;
    let host: Arc<dyn Host> = Arc::new(CallHost::of_description(call, role.clone()));
    let output = plugin
        .call(host, role.limits, export, &input)
        .await
        .map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&output.bytes)
        .map_err(|error| failed(format!("its answer does not fit the contract: {error}")))
}

async fn describe(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
) -> Result<PluginDescription, VersionError> {
    ask(role, plugin, DESCRIBE).await
}

async fn list_tools(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
) -> Result<Vec<CheckedTool>, VersionError> {
    let listed: ListToolsResult = ask(role, plugin, HANDLE_LIST_TOOLS).await?;
    let mut checked: Vec<CheckedTool> = Vec::with_capacity(listed.tools.len());
    for tool in listed.tools {
        let wrong = |reason: String| VersionError::Tool {
            tool: tool.name.clone(),
            reason,
        };
        if tool.name.is_empty() || tool.name.len() > 128 || !tool.name.chars().all(is_name) {
            return Err(wrong(
                "a name is 1 to 128 letters, digits, `_`, `-`, `.` and `/`".to_owned(),
            ));
        }
        if checked.iter().any(|other| other.tool.name == tool.name) {
            return Err(wrong("it is listed twice".to_owned()));
        }
        let validator = validator(&tool.input_schema)
            .map_err(|reason| wrong(format!("its inputSchema {reason}")))?;
        if let Some(schema) = &tool.output_schema {
            self::validator(schema)
                .map_err(|reason| wrong(format!("its outputSchema {reason}")))?;
        }
        let schema_parts = unfolded(&tool.input_schema);
        if schema_parts > MOST_PARTS {
            let reason = format!("its inputSchema unfolds to more than {MOST_PARTS} parts");
            return Err(wrong(reason));
        }
        checked.push(CheckedTool {
            tool,
            validator,
            schema_parts,
        });
    }
    Ok(checked)
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/')
}

/// A tool's arguments are an object, as MCP has it, so its schema must be one of an object.
fn validator(schema: &RawJson) -> Result<Validator, String> {
    let schema: serde_json::Value = schema
        .parse()
        .map_err(|error| format!("is not JSON that can be read: {error}"))?;
    if schema.get("type").and_then(serde_json::Value::as_str) != Some("object") {
        return Err("does not say `\"type\": \"object\"`".to_owned());
    }
    jsonschema::draft202012::meta::validate(&schema)
        .map_err(|error| format!("is no valid JSON Schema: {error}"))?;
    jsonschema::draft202012::new(&schema).map_err(|error| format!("cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: String) -> RawJson {
        RawJson::from_text(text).unwrap()
    }

    #[test]
    fn a_small_schema_that_unfolds_to_a_huge_one_is_recognised() {
        let doubled = (0..30).map(|nth| {
            let next = nth + 1;
            format!(r##""a{nth}":{{"allOf":[{{"$ref":"#/$defs/a{next}"}},{{"$ref":"#/$defs/a{next}"}}]}}"##)
        });
        let defs: Vec<String> = doubled
            .chain([r#""a30":{"required":["x"]}"#.to_owned()])
            .collect();
        let bomb = format!(
            r##"{{"type":"object","$ref":"#/$defs/a0","$defs":{{{}}}}}"##,
            defs.join(",")
        );
        assert!(unfolded(&schema(bomb)) > MOST_PARTS);
        let chain =
            (0..10_000).map(|nth| format!(r##""a{nth}":{{"$ref":"#/$defs/a{}"}}"##, nth + 1));
        let chain = format!(r#"{{"$defs":{{{}}}}}"#, chain.collect::<Vec<_>>().join(","));
        assert!(unfolded(&schema(chain)) > MOST_PARTS);
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_as_large_as_it_looks() {
        let tree = r##"{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}}}"##;
        assert!(unfolded(&schema(tree.to_owned())) < 40);
    }
}
