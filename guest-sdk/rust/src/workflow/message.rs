//! Signals and queries, as a workflow declares them.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tool::schema_of;
use crate::types::WorkflowMessage;
use crate::{Json, ToolError};

/// A signal that a workflow takes.
pub struct SignalEntry {
    /// Its name.
    pub name: &'static str,
    /// The JSON Schema of its payload; none for any.
    pub schema: fn() -> Option<Json>,
}

impl SignalEntry {
    pub(super) fn listing(&self) -> WorkflowMessage {
        WorkflowMessage {
            name: self.name.to_owned(),
            description: None,
            schema: (self.schema)(),
        }
    }
}

/// A query that a workflow answers.
pub struct QueryEntry {
    /// Its name.
    pub name: &'static str,
    /// The JSON Schema of its arguments; none for any.
    pub schema: fn() -> Option<Json>,
    /// The function, from the state and the arguments to the answer.
    pub call: fn(&Json, &Json) -> Result<Json, ToolError>,
}

impl QueryEntry {
    pub(super) fn listing(&self) -> WorkflowMessage {
        WorkflowMessage {
            name: self.name.to_owned(),
            description: None,
            schema: (self.schema)(),
        }
    }
}

/// A function that answers a query: `fn(&State) -> Answer` or `fn(&State, Arguments) -> Answer`.
///
/// It sees the state that the run has published, and has no effects.
pub trait Query<State, Signature> {
    /// The JSON Schema of its arguments; none if it takes none.
    fn schema() -> Option<Json>;

    /// The answer.
    ///
    /// # Errors
    /// If the arguments do not fit, or the answer has no JSON.
    fn answer(self, state: &State, arguments: &Json) -> Result<Json, ToolError>;
}

impl<F, State, Answer> Query<State, fn(&State) -> Answer> for F
where
    F: FnOnce(&State) -> Answer,
    Answer: Serialize,
{
    fn schema() -> Option<Json> {
        None
    }

    fn answer(self, state: &State, _arguments: &Json) -> Result<Json, ToolError> {
        Ok(Json::new(&self(state))?)
    }
}

impl<F, State, Arguments, Answer> Query<State, fn(&State, Arguments) -> Answer> for F
where
    F: FnOnce(&State, Arguments) -> Answer,
    Arguments: DeserializeOwned + JsonSchema,
    Answer: Serialize,
{
    fn schema() -> Option<Json> {
        Some(signal_schema::<Arguments>())
    }

    fn answer(self, state: &State, arguments: &Json) -> Result<Json, ToolError> {
        let arguments = arguments
            .parse()
            .map_err(|problem| ToolError::new(format!("the arguments do not fit: {problem}")))?;
        Ok(Json::new(&self(state, arguments))?)
    }
}

/// The JSON Schema of a signal's payload.
pub fn signal_schema<T: JsonSchema>() -> Json {
    Json::new(&schema_of::<T>()).unwrap_or_default()
}

/// The JSON Schema of the arguments of a query's function.
pub fn query_schema<State, Signature, Q: Query<State, Signature>>(_query: Q) -> Option<Json> {
    Q::schema()
}

/// Answers a query from the JSON of the state.
///
/// # Errors
/// If the run has published no state, or the state or the arguments do not fit.
pub fn answer_query<State: DeserializeOwned, Signature>(
    query: impl Query<State, Signature>,
    state: &Json,
    arguments: &Json,
) -> Result<Json, ToolError> {
    if state.get() == "null" {
        return Err(ToolError::new("the run has not published a state yet"));
    }
    let state = state.parse().map_err(|problem| {
        ToolError::new(format!("the published state does not fit: {problem}"))
    })?;
    query.answer(&state, arguments)
}
