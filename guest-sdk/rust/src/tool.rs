//! Tools: what `#[tool]` makes of a function.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::types::{CallToolResult, Content, Context, Tool, ToolAnnotations};
use crate::{Json, ToolError};

/// A function with `#[tool]`.
pub trait ToolFunction {
    /// What a plugin knows of it.
    const ENTRY: ToolEntry;
}

/// What a plugin knows of a tool.
pub struct ToolEntry {
    /// What a call names.
    pub name: &'static str,
    /// The name for people.
    pub title: Option<&'static str>,
    /// What it does.
    pub description: &'static str,
    /// How it behaves.
    pub hints: Hints,
    /// Makes the JSON Schema of its arguments.
    pub input_schema: fn() -> Json,
    /// Makes the JSON Schema of its result, when that is an object.
    pub output_schema: fn() -> Option<Json>,
    /// Runs it with its arguments' JSON.
    pub call: fn(&str, &Context) -> Result<CallToolResult, ToolError>,
}

/// How a tool behaves, as far as its author says.
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Calling it twice does what calling it once does.
    pub idempotent: bool,
    /// It deals with things outside the host.
    pub open_world: bool,
}

impl ToolEntry {
    /// The tool as it is listed.
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
        }
    }
}

/// What a tool's function may give: anything that serialises and has a JSON
/// Schema, or a [`CallToolResult`] made by hand.
pub trait ToolOutput {
    /// The JSON Schema of the result, when that is an object.
    fn output_schema() -> Option<Json>;

    /// The result as the host gets it.
    ///
    /// # Errors
    /// The tool's own failure.
    fn into_result(self) -> Result<CallToolResult, ToolError>;
}

/// An object becomes `structuredContent` and, for models that read only text,
/// the same as text. A text becomes text.
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
            is_error: false,
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

/// What a tool's function returns: a `Result` of a [`ToolOutput`] and any error.
pub trait ToolReturn {
    /// The JSON Schema of the result, when that is an object.
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

/// The failure of a tool as a result, which is how MCP has it.
pub(crate) fn failure(error: &ToolError) -> CallToolResult {
    CallToolResult {
        content: vec![Content::Text {
            text: error.message().to_owned(),
        }],
        structured_content: None,
        is_error: true,
    }
}

/// Decodes a tool's arguments.
///
/// # Errors
/// When they do not fit, which the host has checked before against the schema.
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

fn schema_of<T: JsonSchema>() -> schemars::Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The Rust type's name, which means nothing to a caller.
    schema.remove("title");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Sum {
        total: u32,
    }

    #[test]
    fn an_object_is_structured_content_and_the_same_as_text() {
        let result = Sum { total: 3 }.into_result().unwrap();
        assert_eq!(result.structured_content.unwrap().get(), r#"{"total":3}"#);
        assert_eq!(
            result.content,
            [Content::Text {
                text: r#"{"total":3}"#.to_owned()
            }]
        );
        assert!(Sum::output_schema().unwrap().get().contains("total"));
    }

    #[test]
    fn a_text_is_text_without_quotes_and_has_no_schema() {
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
    fn arguments_that_do_not_fit_say_why() {
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
