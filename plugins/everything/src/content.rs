//! Tools that answer: text, images, sounds, resources, failures, schemas.

use exomonad_guest::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

/// A picture of one red pixel.
pub const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x06, 0x00, 0x00, 0x00, 0x1f, 0x15, 0xc4,
    0x89, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xfc, 0xcf, 0xc0, 0x50,
    0x0f, 0x00, 0x04, 0x85, 0x01, 0x80, 0x84, 0xa9, 0x8c, 0x21, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45,
    0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// A sound of no length: the header of a WAV file.
const WAV: &[u8] = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00";

/// The picture, as an icon.
pub fn red_pixel() -> Icon {
    Icon {
        mime_type: Some("image/png".to_owned()),
        sizes: vec!["1x1".to_owned()],
        theme: Some(IconTheme::Light),
        ..Icon::new(
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
        )
    }
}

/// The picture, as a part of a message.
pub fn image() -> Content {
    Content::Image {
        data: Base64(PNG.to_vec()),
        mime_type: "image/png".to_owned(),
    }
}

/// A resource with its text, as a part of a message.
pub fn embedded(uri: &str, mime_type: &str, text: &str) -> Content {
    Content::Resource {
        resource: EmbeddedResource {
            uri: uri.to_owned(),
            mime_type: Some(mime_type.to_owned()),
            text: Some(text.to_owned()),
            blob: None,
        },
    }
}

fn result(content: Vec<Content>) -> Result<CallToolResult, ToolError> {
    Ok(CallToolResult {
        content,
        ..CallToolResult::default()
    })
}

/// Answers with a text.
#[tool(name = "test_simple_text", icon = "https://exomonad.example/text.svg", icon = red_pixel, read_only)]
pub fn simple_text() -> Result<String, ToolError> {
    Ok("This is a simple text response for testing.".to_owned())
}

/// Answers with a picture.
#[tool(name = "test_image_content", read_only)]
pub fn image_content() -> Result<CallToolResult, ToolError> {
    result(vec![image()])
}

/// Answers with a sound.
#[tool(name = "test_audio_content", read_only)]
pub fn audio_content() -> Result<CallToolResult, ToolError> {
    result(vec![Content::Audio {
        data: Base64(WAV.to_vec()),
        mime_type: "audio/wav".to_owned(),
    }])
}

/// Answers with a resource.
#[tool(name = "test_embedded_resource", read_only)]
pub fn embedded_resource() -> Result<CallToolResult, ToolError> {
    let text = "This is an embedded resource content.";
    result(vec![embedded(
        "test://embedded-resource",
        "text/plain",
        text,
    )])
}

/// Answers with a text, a picture and a resource.
#[tool(name = "test_multiple_content_types", read_only)]
pub fn multiple_content_types() -> Result<CallToolResult, ToolError> {
    let json = r#"{"test":"data","value":123}"#;
    result(vec![
        Content::text("Multiple content types test:"),
        image(),
        embedded("test://mixed-content-resource", "application/json", json),
    ])
}

/// Fails.
#[tool(name = "test_error_handling")]
pub fn error_handling() -> Result<String, ToolError> {
    Err(ToolError::new(
        "This tool intentionally returns an error for testing",
    ))
}

/// The person to greet.
#[derive(Deserialize, JsonSchema)]
pub struct GreetArgs {
    /// The name.
    name: String,
}

/// Greets someone, at once.
#[tool(read_only)]
pub fn greet(args: GreetArgs) -> Result<String, ToolError> {
    Ok(format!("Hello, {}!", args.name))
}

/// An argument that clients repeat in a header, where proxies can read it.
#[derive(Deserialize, JsonSchema)]
pub struct CustomHeaderArgs {
    /// The region, as the header `Mcp-Param-Region`.
    #[schemars(extend("x-mcp-header" = "Region"))]
    #[serde(default)]
    region: String,
}

/// Tells the region, which the client repeats in a header.
#[tool(name = "test_custom_header", read_only)]
pub fn custom_header(args: CustomHeaderArgs) -> Result<String, ToolError> {
    Ok(args.region)
}

/// Arguments with a schema written by hand.
#[derive(Deserialize)]
pub struct Contact {
    name: Option<String>,
}

impl JsonSchema for Contact {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Contact".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"address": {
                "$anchor": "addressDef", "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
            }},
            "properties": {
                "name": {"type": "string"},
                "address": {"$ref": "#/$defs/address"},
                "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                "phone": {"type": "string"},
                "email": {"type": "string"}
            },
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
            "additionalProperties": false
        })
    }
}

/// Takes arguments with the keywords of JSON Schema 2020-12.
#[tool(name = "json_schema_2020_12_tool", read_only)]
pub fn json_schema_2020_12(args: Contact) -> Result<String, ToolError> {
    Ok(args.name.unwrap_or_else(|| "it fits".to_owned()))
}
