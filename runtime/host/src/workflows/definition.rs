//! A workflow of a plugin: its schemas, checked when it is listed, and what comes, checked against them.

use exomonad_schema::RawJson;
use exomonad_schema::common::{Tool, WorkflowDefinition, WorkflowMessage};
use serde_json::Value;

use crate::error::Violation;
use crate::json::UniqueKeys;
use crate::schema::work::Work;
use crate::schema::{Schema, SchemaFault};

/// Steps that a check of an input, a state or a signal may take: some tenths of a second.
const STEPS: u64 = 50_000_000;

/// A workflow with its schemas, ready to check.
pub struct CheckedWorkflow {
    /// As the plugin lists it.
    pub definition: WorkflowDefinition,
    input: Option<Schema>,
    output: Option<Schema>,
    state: Option<Schema>,
    signals: Vec<(String, Option<Schema>)>,
    queries: Vec<(String, Option<Schema>)>,
}

impl CheckedWorkflow {
    /// Checks the workflow's name and schemas. `states` is what the patterns of the plugin may still take.
    ///
    /// # Errors
    /// The reason why it cannot be offered.
    pub fn new(definition: WorkflowDefinition, states: &mut usize) -> Result<Self, String> {
        let name = &definition.name;
        let is_name = |letter: char| {
            letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/')
        };
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_name) {
            return Err(
                "a workflow's name is 1 to 128 letters, digits, `_`, `-`, `.` and `/`".to_owned(),
            );
        }
        let mut schema = |what: &str, schema: Option<&RawJson>| {
            let Some(schema) = schema else {
                return Ok(None);
            };
            let root: Value = schema
                .parse()
                .map_err(|error| format!("its {what} is not JSON that can be read: {error}"))?;
            Schema::new(root, states)
                .map(Some)
                .map_err(|fault: SchemaFault| format!("its {what} {fault}"))
        };
        let input = schema("inputSchema", definition.input_schema.as_ref())?;
        let output = schema("outputSchema", definition.output_schema.as_ref())?;
        let state = schema("stateSchema", definition.state_schema.as_ref())?;
        let mut messages = |kind: &str, messages: &[WorkflowMessage]| {
            let checked = messages.iter().map(|message| {
                let what = format!("schema of the {kind} `{}`", message.name);
                let schema = schema(&what, message.schema.as_ref())?;
                Ok((message.name.clone(), schema))
            });
            checked.collect::<Result<Vec<_>, String>>()
        };
        let signals = messages("signal", &definition.signals)?;
        let queries = messages("query", &definition.queries)?;
        Ok(Self {
            definition,
            input,
            output,
            state,
            signals,
            queries,
        })
    }

    /// The tool by which MCP clients start it, if they may. Its answer describes the run.
    pub fn as_tool(&self) -> Option<Tool> {
        let definition = &self.definition;
        let any = || RawJson::from_text(r#"{"type":"object"}"#.to_owned()).unwrap_or_default();
        definition.is_tool.then(|| Tool {
            name: definition.name.clone(),
            title: definition.title.clone(),
            description: definition.description.clone(),
            input_schema: definition.input_schema.clone().unwrap_or_else(any),
            output_schema: None,
            annotations: None,
            icons: definition.icons.clone(),
            meta: None,
        })
    }

    /// The violations of an input.
    pub fn check_input(&self, input: &str) -> Vec<Violation> {
        check(self.input.as_ref(), input)
    }

    /// The input as the workflow takes it.
    ///
    /// # Errors
    /// Its violations.
    pub fn accept_input<'a>(&self, input: &'a str) -> Result<&'a str, Vec<Violation>> {
        let violations = self.check_input(input);
        if violations.is_empty() {
            return Ok(input);
        }
        // No input is an empty object to some languages.
        match input == "null" && self.check_input("{}").is_empty() {
            true => Ok("{}"),
            false => Err(violations),
        }
    }

    /// The violations of an output.
    pub fn check_output(&self, output: &str) -> Vec<Violation> {
        check(self.output.as_ref(), output)
    }

    /// The violations of a state.
    pub fn check_state(&self, state: &str) -> Vec<Violation> {
        check(self.state.as_ref(), state)
    }

    /// The violations of a signal's payload.
    ///
    /// # Errors
    /// If the workflow does not take such a signal: the names of those it takes.
    pub fn check_signal(&self, name: &str, payload: &str) -> Result<Vec<Violation>, Vec<&str>> {
        if self.signals.is_empty() {
            return Ok(Vec::new());
        }
        Self::check_message(&self.signals, name, payload)
    }

    /// The violations of a query's arguments.
    ///
    /// # Errors
    /// If the workflow does not answer such a query: the names of those it answers.
    pub fn check_query(&self, name: &str, arguments: &str) -> Result<Vec<Violation>, Vec<&str>> {
        Self::check_message(&self.queries, name, arguments)
    }

    fn check_message<'a>(
        messages: &'a [(String, Option<Schema>)],
        name: &str,
        payload: &str,
    ) -> Result<Vec<Violation>, Vec<&'a str>> {
        match messages.iter().find(|(known, _)| known == name) {
            Some((_, schema)) => Ok(check(schema.as_ref(), payload)),
            None => Err(messages.iter().map(|(known, _)| known.as_str()).collect()),
        }
    }
}

fn check(schema: Option<&Schema>, json: &str) -> Vec<Violation> {
    let Some(schema) = schema else {
        return Vec::new();
    };
    let violation = |message: String| {
        let pointer = String::new();
        vec![Violation { pointer, message }]
    };
    match serde_json::from_str::<UniqueKeys>(json) {
        Ok(UniqueKeys(value)) => schema
            .violations(&value, &mut Work::new(STEPS))
            .unwrap_or_else(|_| violation("it is too much to check against its schema".to_owned())),
        Err(error) => violation(format!("it cannot be read: {error}")),
    }
}
