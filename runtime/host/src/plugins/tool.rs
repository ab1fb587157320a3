//! A tool of a plugin: its schemas, checked when it is listed, and its arguments, checked at each call.

use std::sync::Arc;

use exomonad_schema::RawJson;
use exomonad_schema::common::Tool;
use serde_json::Value;

use crate::schema::{Schema, SchemaFault};

/// A tool with its arguments' schema, ready to check.
pub struct CheckedTool {
    /// As the plugin lists it.
    pub tool: Tool,
    /// The schema of its arguments.
    pub schema: Arc<Schema>,
    /// True if a call of it starts a workflow.
    pub is_workflow: bool,
    /// True if it is for clients that have tasks: it takes too long for a call that waits.
    pub needs_task: bool,
}

/// A tool that a plugin lists and its role does not offer, while it offers the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTool {
    /// Its name.
    pub name: String,
    /// The reason.
    pub reason: String,
}

/// The reason why a tool is not offered.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolFault {
    /// It is a mistake of the plugin, which therefore does not serve.
    Plugin(String),
    /// Its schema uses what this host does not take; the plugin's other tools are offered.
    Tool(String),
}

impl CheckedTool {
    /// Checks the tool's name and schemas. `states` is what the patterns of the plugin may still take.
    ///
    /// # Errors
    /// The reason why it cannot be offered.
    pub fn new(tool: Tool, states: &mut usize) -> Result<Self, ToolFault> {
        if tool.name.is_empty() || tool.name.len() > 128 || !tool.name.chars().all(is_name) {
            return Err(ToolFault::Plugin(
                "a name is 1 to 128 letters, digits, `_`, `-`, `.` and `/`".to_owned(),
            ));
        }
        let fault = |which: &str, fault: SchemaFault| {
            let reason = format!("its {which} {fault}");
            match fault {
                SchemaFault::Invalid(_) => ToolFault::Plugin(reason),
                SchemaFault::NotTaken(_) => ToolFault::Tool(reason),
            }
        };
        let schema = of_object(&tool.input_schema).and_then(|root| Schema::new(root, states));
        let schema = schema.map_err(|reason| fault("inputSchema", reason))?;
        if let Some(output) = &tool.output_schema {
            // Nothing is held against it here.
            let checked = of_object(output).and_then(|root| crate::schema::check_shape(&root));
            match checked {
                Ok(()) | Err(SchemaFault::NotTaken(_)) => {}
                Err(reason) => return Err(fault("outputSchema", reason)),
            }
        }
        Ok(Self {
            tool,
            schema: Arc::new(schema),
            is_workflow: false,
            needs_task: false,
        })
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/')
}

/// A tool's arguments are an object, as MCP has it, so its schema must be one of an object.
fn of_object(schema: &RawJson) -> Result<Value, SchemaFault> {
    let schema: Value = schema.parse().map_err(|error| {
        SchemaFault::Invalid(format!("it is not JSON that can be read: {error}"))
    })?;
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => Ok(schema),
        _ => Err(SchemaFault::Invalid(
            "it does not say `\"type\": \"object\"`".to_owned(),
        )),
    }
}
