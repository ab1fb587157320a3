//! Resources, and a template of them.

use exomonad_guest::prelude::*;
use serde_json::json;

use crate::content::red_pixel;

/// The resource that clients may subscribe to.
pub const WATCHED: &str = "test://watched-resource";

/// A text.
#[resource(
    "test://static-text",
    title = "Static text",
    mime_type = "text/plain",
    icon = red_pixel
)]
pub fn static_text() -> Result<&'static str, ToolError> {
    Ok("This is the content of the static text resource.")
}

/// A picture.
#[resource("test://static-binary", mime_type = "image/png")]
pub fn static_binary() -> Result<Vec<u8>, ToolError> {
    Ok(crate::content::PNG.to_vec())
}

/// A text that `touch_watched_resource` says has changed.
#[resource("test://watched-resource", mime_type = "text/plain")]
pub fn watched() -> Result<&'static str, ToolError> {
    Ok("It is watched.")
}

/// The variables of the template.
#[derive(Deserialize)]
pub struct Id {
    id: String,
}

/// The data of an id.
#[resource(
    "test://template/{id}/data",
    mime_type = "application/json",
    complete(id = ids)
)]
pub fn by_id(variables: Id) -> Result<Json, ToolError> {
    let id = variables.id;
    let data = format!("Data for ID: {id}");
    Ok(json!({"id": id, "templateTest": true, "data": data}).into())
}

fn ids(value: &str) -> Vec<String> {
    ["1", "12", "123"]
        .into_iter()
        .filter(|id| id.starts_with(value))
        .map(str::to_owned)
        .collect()
}
