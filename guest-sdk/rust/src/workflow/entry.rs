//! A plugin's entries for its workflows, and the calls that the host makes to them.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tool::schema_of;
use crate::types::{Icon, WorkflowDefinition, WorkflowEnd, WorkflowInput, WorkflowOutcome};
use crate::workflow::error::Reason;
use crate::workflow::{QueryEntry, Run, SignalEntry, WorkflowError};
use crate::{Json, ToolError};

/// A function with `#[workflow]`.
pub trait WorkflowFunction {
    /// Its input; `()` if it takes none.
    type Input;
    /// Its output.
    type Output;
    /// The state that it publishes; `()` if it publishes none.
    type State;
    /// The plugin's entry for it.
    const ENTRY: WorkflowEntry;
}

/// From the version of a state and the state to that of the current version.
pub type Migrate = fn(u32, &Json) -> Result<Json, ToolError>;

/// A plugin's entry for a workflow.
pub struct WorkflowEntry {
    /// The name by which it is started.
    pub name: &'static str,
    /// A display name for people.
    pub title: Option<&'static str>,
    /// Its description.
    pub description: &'static str,
    /// Pictures of it, the best first.
    pub icons: fn() -> Vec<Icon>,
    /// The JSON Schema of its input; none if it takes none.
    pub input_schema: fn() -> Option<Json>,
    /// The JSON Schema of its output; none if it has none.
    pub output_schema: fn() -> Option<Json>,
    /// The JSON Schema of its state; none if it publishes none.
    pub state_schema: fn() -> Option<Json>,
    /// The version of its state.
    pub state_version: u32,
    /// The signals that it takes; any, if none is declared.
    pub signals: &'static [SignalEntry],
    /// The queries that it answers.
    pub queries: &'static [QueryEntry],
    /// True if MCP clients may start it as a tool.
    pub is_tool: bool,
    /// True if that tool is for clients that have tasks.
    pub needs_task: bool,
    /// The function, from its input's JSON to the end of the run.
    pub call: fn(WorkflowInput) -> Result<WorkflowOutcome, ToolError>,
    /// The function that brings a state of an older version to its current one.
    pub migrate: Option<Migrate>,
}

impl WorkflowEntry {
    /// The workflow as listed.
    pub fn listing(&self) -> WorkflowDefinition {
        WorkflowDefinition {
            name: self.name.to_owned(),
            title: self.title.map(str::to_owned),
            description: Some(self.description.to_owned()),
            input_schema: (self.input_schema)(),
            output_schema: (self.output_schema)(),
            state_schema: (self.state_schema)(),
            state_version: self.state_version,
            signals: self.signals.iter().map(SignalEntry::listing).collect(),
            queries: self.queries.iter().map(QueryEntry::listing).collect(),
            icons: (self.icons)(),
            is_tool: self.is_tool,
            needs_task: self.needs_task,
        }
    }
}

/// The return type of a workflow's function: a `Result` of a serializable output and any error.
pub trait WorkflowReturn {
    /// The output.
    type Output: Serialize + JsonSchema;

    /// The output, or the reason why there is none.
    ///
    /// # Errors
    /// The workflow's own failure, its cancellation, or its going on as a new run.
    fn into_result(self) -> Result<Self::Output, WorkflowError>;
}

impl<T: Serialize + JsonSchema, E: Into<WorkflowError>> WorkflowReturn for Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T, WorkflowError> {
        self.map_err(Into::into)
    }
}

/// The JSON Schema of a workflow's input.
pub fn input_schema<T: JsonSchema>() -> Option<Json> {
    schema_of_value::<T>()
}

/// The JSON Schema of a workflow's output.
pub fn output_schema<R: WorkflowReturn>() -> Option<Json> {
    schema_of_value::<R::Output>()
}

/// The JSON Schema of a workflow's state.
pub fn state_schema<T: JsonSchema>() -> Option<Json> {
    schema_of_value::<T>()
}

/// None for `()`, which stands for a value that is not there.
fn schema_of_value<T: JsonSchema>() -> Option<Json> {
    let schema = schema_of::<T>();
    let is_null = schema.get("type").is_some_and(|ty| ty == "null");
    (!is_null).then(|| Json::new(&schema).unwrap_or_default())
}

/// Runs the function of a workflow, and the compensations of its steps if it fails.
///
/// # Errors
/// If the output has no JSON, or the state of the run before does not fit the state's type.
pub fn run_body<I: DeserializeOwned, S: DeserializeOwned, R: WorkflowReturn>(
    input: WorkflowInput,
    body: impl FnOnce(I, &Run<S>) -> R,
) -> Result<WorkflowOutcome, ToolError> {
    let arguments: I = match decode_input(&input.input) {
        Ok(arguments) => arguments,
        Err(problem) => {
            let message = format!("the input does not fit: {problem}");
            return Ok(outcome(Err(WorkflowError::new("invalid_input", message))));
        }
    };
    let run = Run::new(input)?;
    let result = body(arguments, &run)
        .into_result()
        .map_err(|error| run.compensate(error));
    Ok(match result {
        Ok(output) => outcome(Ok(Json::new(&output)?)),
        Err(error) => outcome(Err(error)),
    })
}

/// No input is `{}` for a type whose fields are all optional.
fn decode_input<I: DeserializeOwned>(input: &Json) -> serde_json::Result<I> {
    input.parse().or_else(|problem| match input.get() {
        "null" => serde_json::from_str("{}").map_err(|_| problem),
        // A workflow without input is started with any.
        _ => serde_json::from_str("null").map_err(|_| problem),
    })
}

fn outcome(result: Result<Json, WorkflowError>) -> WorkflowOutcome {
    let ended = |end| WorkflowOutcome {
        end,
        output: Json::default(),
        failure: None,
        input: Json::default(),
    };
    match result.map_err(WorkflowError::into_reason) {
        Ok(output) => WorkflowOutcome {
            output,
            ..ended(WorkflowEnd::Completed)
        },
        Err(Reason::Failed(failure)) => WorkflowOutcome {
            failure: Some(failure),
            ..ended(WorkflowEnd::Failed)
        },
        Err(Reason::Cancelled(_)) => ended(WorkflowEnd::Cancelled),
        Err(Reason::ContinueAsNew(input)) => WorkflowOutcome {
            input,
            ..ended(WorkflowEnd::ContinueAsNew)
        },
    }
}

/// Brings a state to the current version by the author's function.
///
/// # Errors
/// Its own, or if the new state has no JSON.
pub fn migrate<S: Serialize>(
    function: impl FnOnce(u32, &Json) -> Result<S, ToolError>,
    from_version: u32,
    state: &Json,
) -> Result<Json, ToolError> {
    Ok(Json::new(&function(from_version, state)?)?)
}
