//! Resources, in the shapes of the Model Context Protocol
//! (<https://modelcontextprotocol.io/specification/2025-11-25/server/resources>).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Context, EmbeddedResource, Icon};
use crate::error::EffectError;

/// The input of the export `handle_list_resources`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResourcesInput {
    /// The `nextCursor` of the page before; absent for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_list_resources`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResourcesResult {
    /// A page of resources.
    pub resources: Vec<Resource>,
    /// The place where the next page begins, in any form that the plugin reads again; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The failure in place of the list: `invalid_input` for a cursor that the plugin did not give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}

/// A resource that a plugin offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// The URI by which it is read.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// A display name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its content, described for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its media type, such as `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Pictures of it for people, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
}

/// The input of the export `handle_list_resource_templates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResourceTemplatesInput {
    /// The `nextCursor` of the page before; absent for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_list_resource_templates`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResourceTemplatesResult {
    /// A page of templates.
    pub resource_templates: Vec<ResourceTemplate>,
    /// The place where the next page begins, in any form that the plugin reads again; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The failure in place of the list: `invalid_input` for a cursor that the plugin did not give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}

/// A family of resources, whose URIs are made from a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplate {
    /// The template of the URIs, such as `notes://{name}` (RFC 6570).
    pub uri_template: String,
    /// Its name.
    pub name: String,
    /// A display name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The resources, described for a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The media type of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Pictures of them for people, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
}

/// The input of the export `handle_read_resource`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadResourceInput {
    /// The URI of the resource.
    pub uri: String,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_read_resource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadResourceResult {
    /// The contents; none if there is no such resource.
    #[serde(default)]
    pub contents: Vec<EmbeddedResource>,
    /// The failure in place of the contents: `not_found` if there is no such resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}
