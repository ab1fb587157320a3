//! Tools: functions with `#[tool]`.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::types::{CallToolResult, Content, Context, Icon, Tool, ToolAnnotations};
use crate::{Json, ToolError};

/// A function with `#[tool]`.
pub trait ToolFunction {
    /// The plugin's entry for it.
    const ENTRY: ToolEntry;
}

/// A plugin's entry for a tool.
pub struct ToolEntry {
    /// The name by which it is called.
    pub name: &'static str,
    /// A display name for people.
    pub title: Option<&'static str>,
    /// Its description.
    pub description: &'static str,
    /// Pictures of it, the best first.
    pub icons: fn() -> Vec<Icon>,
    /// Hints about its behaviour.
    pub hints: Hints,
    /// The JSON Schema of its arguments.
    pub input_schema: fn() -> Json,
    /// The JSON Schema of its result, if that is an object.
    pub output_schema: fn() -> Option<Json>,
    /// The function, from its arguments' JSON to its result.
    pub call: fn(&str, &Context) -> Result<CallToolResult, ToolError>,
}

/// Hints about a tool's behaviour, by its author.
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Calling it twice has the same effect as calling it once.
    pub idempotent: bool,
    /// It interacts with things outside the host.
    pub open_world: bool,
}

impl ToolEntry {
    /// The tool as listed.
    pub fn listing(&self) -> Tool {
        let hint = |given: bool| given.then_some(true);
        let hints = ToolAnnotations {
            read_only_hint: hint(self.hints.read_only),
            destructive_hint: hint(self.hints.destructive),
            idempotent_hint: hint(self.hints.idempotent),
            open_world_hint: hint(self.hints.open_world),
        };
        Tool {
            name: self.name.to_owned(),
            title: self.title.map(str::to_owned),
            description: Some(self.description.to_owned()),
            input_schema: (self.input_schema)(),
            output_schema: (self.output_schema)(),
            annotations: (hints != ToolAnnotations::default()).then_some(hints),
            icons: (self.icons)(),
            meta: None,
        }
    }
}

/// A tool's result: any type with `Serialize` and a JSON
/// Schema, or a [`CallToolResult`] built by hand.
pub trait ToolOutput {
    /// The JSON Schema of the result, if that is an object.
    fn output_schema() -> Option<Json>;

    /// The result as the host gets it.
    ///
    /// # Errors
    /// The tool's own failure.
    fn into_result(self) -> Result<CallToolResult, ToolError>;
}

/// An object becomes `structuredContent` and, for models that only read text,
/// text with the same content. A text becomes text.
impl<T: Serialize + JsonSchema> ToolOutput for T {
    fn output_schema() -> Option<Json> {
        let schema = schema_of::<T>();
        let is_object = schema.get("type").is_some_and(|ty| ty == "object");
        is_object.then(|| Json::new(&schema).unwrap_or_default())
    }

    fn into_result(self) -> Result<CallToolResult, ToolError> {
        let json = Json::new(&self)?;
        let text = match json.get().as_bytes().first() {
            Some(b'"') => json.parse()?,
            _ => json.get().to_owned(),
        };
        let is_object = json.get().starts_with('{');
        Ok(CallToolResult {
            content: vec![Content::Text { text }],
            structured_content: is_object.then_some(json),
            ..CallToolResult::default()
        })
    }
}

impl ToolOutput for CallToolResult {
    fn output_schema() -> Option<Json> {
        None
    }

    fn into_result(self) -> Result<CallToolResult, ToolError> {
        Ok(self)
    }
}

impl CallToolResult {
    /// The result that a run of a workflow will have: the host waits for its end, or gives the client a task.
    pub fn of_workflow(workflow_id: impl Into<String>) -> Self {
        Self {
            workflow_id: Some(workflow_id.into()),
            ..Self::default()
        }
    }
}

impl Icon {
    /// A picture at this address, `https:` or `data:`.
    pub fn new(src: impl Into<String>) -> Self {
        Self {
            src: src.into(),
            ..Self::default()
        }
    }
}

/// The return type of a tool's function: a `Result` of a [`ToolOutput`] and any error.
pub trait ToolReturn {
    /// The JSON Schema of the result, if that is an object.
    fn output_schema() -> Option<Json>;

    /// The result as the host gets it.
    ///
    /// # Errors
    /// The tool's own failure.
    fn into_result(self) -> Result<CallToolResult, ToolError>;
}

impl<T: ToolOutput, E: Into<ToolError>> ToolReturn for Result<T, E> {
    fn output_schema() -> Option<Json> {
        T::output_schema()
    }

    fn into_result(self) -> Result<CallToolResult, ToolError> {
        self.map_err(Into::into)?.into_result()
    }
}

/// A tool's failure as a result, as MCP defines it.
pub(crate) fn failure(error: &ToolError) -> CallToolResult {
    CallToolResult {
        content: vec![Content::Text {
            text: error.message().to_owned(),
        }],
        is_error: true,
        ..CallToolResult::default()
    }
}

/// Decodes a tool's arguments.
///
/// # Errors
/// If they do not match the schema, which the host has already checked.
pub fn decode_arguments<T: DeserializeOwned>(arguments: &str) -> Result<T, ToolError> {
    serde_json::from_str(arguments)
        .map_err(|problem| ToolError::new(format!("the arguments do not fit: {problem}")))
}

/// The JSON Schema of a tool's arguments.
pub fn input_schema<T: JsonSchema>() -> Json {
    Json::new(&schema_of::<T>()).unwrap_or_default()
}

/// The JSON Schema of a tool that takes no arguments.
pub fn no_input_schema() -> Json {
    let none = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    Json::from_text(none.to_owned()).unwrap_or_default()
}

pub(crate) fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        let transform = RecursiveTransform(without_format_of_rust);
        settings.transforms.push(Box::new(transform));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The title is the Rust type's name, which means nothing to a caller.
    schema.remove("title");
    schema
}

/// Removes the names of Rust's types of numbers: no standard has them, and clients warn of formats that they do not
/// know. The bounds of the numbers stay.
fn without_format_of_rust(schema: &mut Schema) {
    let format = schema.get("format").and_then(|format| format.as_str());
    if format.is_some_and(|format| format.starts_with("int") || format.starts_with("uint")) {
        schema.remove("format");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Sum {
        total: u32,
    }

    #[test]
    fn an_object_becomes_structured_content_and_the_same_text() {
        let result = Sum { total: 3 }.into_result().unwrap();
        assert_eq!(result.structured_content.unwrap().get(), r#"{"total":3}"#);
        assert_eq!(
            result.content,
            [Content::Text {
                text: r#"{"total":3}"#.to_owned()
            }]
        );
        let schema = Sum::output_schema().unwrap();
        assert!(schema.get().contains("total") && !schema.get().contains("format"));
    }

    #[test]
    fn a_text_becomes_text_without_quotes_and_schema() {
        let result = "a \"b\"".to_owned().into_result().unwrap();
        assert_eq!(
            result.content,
            [Content::Text {
                text: "a \"b\"".to_owned()
            }]
        );
        assert_eq!(result.structured_content, None);
        assert_eq!(String::output_schema(), None);
    }

    #[test]
    fn invalid_arguments_are_an_error_with_the_reason() {
        #[derive(serde::Deserialize, Debug)]
        struct Limit {
            #[allow(dead_code, reason = "only its decoding is of interest")]
            limit: u8,
        }
        let error = decode_arguments::<Limit>(r#"{"limit":"ten"}"#).unwrap_err();
        assert!(
            error.message().starts_with("the arguments do not fit: "),
            "{error}"
        );
    }
}
