//! Resources: functions with `#[resource]`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::effect::error_of;
use crate::prompt::CompletionEntry;
use crate::types::{
    Context, EffectError, EmbeddedResource, ErrorCode, Icon, ListResourceTemplatesResult,
    ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate,
};
use crate::{Base64, Json, ToolError};

/// A function with `#[resource]`.
pub trait ResourceFunction {
    /// The plugin's entry for it.
    const ENTRY: ResourceEntry;
}

/// The variables of a template, by name.
pub type Variables = BTreeMap<String, String>;

/// Lists resources.
pub type ListResources = fn() -> Result<Vec<Resource>, ToolError>;

/// A plugin's entry for a resource, or for all resources of a template.
pub struct ResourceEntry {
    /// The address, or the template of addresses.
    pub uri: &'static str,
    /// The name.
    pub name: &'static str,
    /// A display name for people.
    pub title: Option<&'static str>,
    /// The content.
    pub description: &'static str,
    /// Pictures of it, the best first.
    pub icons: fn() -> Vec<Icon>,
    /// The media type.
    pub mime_type: Option<&'static str>,
    /// Lists the resources of a template that there are.
    pub list: Option<ListResources>,
    /// The functions that complete variables.
    pub complete: &'static [CompletionEntry],
    /// The function, from an address and its variables to the content.
    pub read: fn(&str, &Variables, &Context) -> Result<ReadResourceResult, ToolError>,
}

impl ResourceEntry {
    /// True if it is a template.
    pub fn is_template(&self) -> bool {
        self.uri.contains('{')
    }

    fn resource(&self) -> Resource {
        Resource {
            uri: self.uri.to_owned(),
            name: self.name.to_owned(),
            title: self.title.map(str::to_owned),
            description: Some(self.description.to_owned()),
            mime_type: self.mime_type.map(str::to_owned),
            size: None,
            icons: (self.icons)(),
        }
    }

    fn template(&self) -> ResourceTemplate {
        ResourceTemplate {
            uri_template: self.uri.to_owned(),
            name: self.name.to_owned(),
            title: self.title.map(str::to_owned),
            description: Some(self.description.to_owned()),
            mime_type: self.mime_type.map(str::to_owned),
            icons: (self.icons)(),
        }
    }
}

/// The resources of a plugin, in one page.
pub(crate) fn list(entries: &[ResourceEntry]) -> ListResourcesResult {
    let mut result = ListResourcesResult::default();
    for entry in entries {
        match entry.list {
            None if entry.is_template() => {}
            None => result.resources.push(entry.resource()),
            Some(list) => match list() {
                Ok(listed) => result.resources.extend(listed),
                Err(error) => {
                    return ListResourcesResult {
                        error: Some(error_of(&error)),
                        ..ListResourcesResult::default()
                    };
                }
            },
        }
    }
    result
}

/// The templates of a plugin, in one page.
pub(crate) fn list_templates(entries: &[ResourceEntry]) -> ListResourceTemplatesResult {
    let templates = entries.iter().filter(|entry| entry.is_template());
    ListResourceTemplatesResult {
        resource_templates: templates.map(ResourceEntry::template).collect(),
        ..ListResourceTemplatesResult::default()
    }
}

/// Reads a resource: by its own entry, or else by the first template that fits.
pub(crate) fn read(entries: &[ResourceEntry], uri: &str, context: &Context) -> ReadResourceResult {
    let (own, templates): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| !entry.is_template());
    let found = own.into_iter().chain(templates);
    for entry in found {
        if let Some(variables) = variables(entry.uri, uri) {
            let read = (entry.read)(uri, &variables, context);
            return read.unwrap_or_else(|error| ReadResourceResult {
                error: Some(error_of(&error)),
                ..ReadResourceResult::default()
            });
        }
    }
    not_found(uri)
}

fn not_found(uri: &str) -> ReadResourceResult {
    ReadResourceResult {
        contents: Vec::new(),
        error: Some(EffectError {
            code: ErrorCode::NotFound,
            message: format!("there is no resource `{uri}`"),
            details: None,
        }),
    }
}

/// The variables by which a template (RFC 6570, `{name}` and `{+name}`) becomes this address.
fn variables(template: &str, uri: &str) -> Option<Variables> {
    let mut variables = Variables::new();
    let (mut template, mut uri) = (template, uri);
    while let Some(begin) = template.find('{') {
        uri = uri.strip_prefix(template.get(..begin)?)?;
        let end = begin + template.get(begin..)?.find('}')?;
        let expression = template.get(begin + 1..end)?;
        template = template.get(end + 1..)?;
        // The text that comes next ends the variable.
        let next = template.split('{').next().filter(|text| !text.is_empty());
        let length = match next {
            Some(next) => uri.find(next)?,
            None => uri.len(),
        };
        let (value, rest) = (uri.get(..length)?, uri.get(length..)?);
        let (name, may_have_parts) = match expression.strip_prefix('+') {
            Some(name) => (name, true),
            None => (expression, false),
        };
        if value.is_empty() || (!may_have_parts && value.contains('/')) {
            return None;
        }
        variables.insert(name.to_owned(), percent_decoded(value)?);
        uri = rest;
    }
    (template == uri).then_some(variables)
}

/// A text without `%20` and the like; `None` if what they stand for is no text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Decodes variables, or the arguments of a prompt.
///
/// # Errors
/// If one is missing, or does not fit.
pub fn decode_texts<T: DeserializeOwned>(texts: &Variables) -> Result<T, ToolError> {
    let decoded = Json::new(texts).and_then(|json| json.parse());
    decoded.map_err(|problem| {
        ToolError::from(EffectError {
            code: ErrorCode::InvalidInput,
            message: format!("the arguments do not fit: {problem}"),
            details: None,
        })
    })
}

/// A resource's content: a text, bytes, JSON, an `Option` of one, or a result built by hand.
pub trait ResourceOutput {
    /// The content as the host gets it, of this address and media type.
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult;
}

fn content(uri: &str, mime_type: Option<&str>) -> EmbeddedResource {
    EmbeddedResource {
        uri: uri.to_owned(),
        mime_type: mime_type.map(str::to_owned),
        text: None,
        blob: None,
    }
}

fn whole(content: EmbeddedResource) -> ReadResourceResult {
    ReadResourceResult {
        contents: vec![content],
        error: None,
    }
}

impl ResourceOutput for String {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        whole(EmbeddedResource {
            text: Some(self),
            ..content(uri, mime_type.or(Some("text/plain")))
        })
    }
}

impl ResourceOutput for &str {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        self.to_owned().into_result(uri, mime_type)
    }
}

impl ResourceOutput for Base64 {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        whole(EmbeddedResource {
            blob: Some(self),
            ..content(uri, mime_type.or(Some("application/octet-stream")))
        })
    }
}

impl ResourceOutput for Vec<u8> {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        Base64(self).into_result(uri, mime_type)
    }
}

impl ResourceOutput for Json {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        let text = self.get().to_owned();
        text.into_result(uri, mime_type.or(Some("application/json")))
    }
}

impl<T: ResourceOutput> ResourceOutput for Option<T> {
    fn into_result(self, uri: &str, mime_type: Option<&str>) -> ReadResourceResult {
        match self {
            Some(output) => output.into_result(uri, mime_type),
            None => not_found(uri),
        }
    }
}

impl ResourceOutput for ReadResourceResult {
    fn into_result(self, _: &str, _: Option<&str>) -> ReadResourceResult {
        self
    }
}

/// The return type of a resource's function: a `Result` of a [`ResourceOutput`] and any error.
pub trait ResourceReturn {
    /// The content as the host gets it.
    ///
    /// # Errors
    /// The function's own failure.
    fn into_result(
        self,
        uri: &str,
        mime_type: Option<&str>,
    ) -> Result<ReadResourceResult, ToolError>;
}

impl<T: ResourceOutput, E: Into<ToolError>> ResourceReturn for Result<T, E> {
    fn into_result(
        self,
        uri: &str,
        mime_type: Option<&str>,
    ) -> Result<ReadResourceResult, ToolError> {
        Ok(self.map_err(Into::into)?.into_result(uri, mime_type))
    }
}

/// The list of a template's function.
#[doc(hidden)]
pub fn listed<E: Into<ToolError>>(
    list: Result<Vec<Resource>, E>,
) -> Result<Vec<Resource>, ToolError> {
    list.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_what_stands_between_its_texts() {
        let fits = |template, uri| {
            let variables = variables(template, uri)?;
            let shown = variables
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            Some(shown.collect::<Vec<_>>().join(","))
        };
        for (template, uri, found) in [
            ("a://b", "a://b", Some("")),
            ("a://b", "a://c", None),
            ("a://{x}", "a://1", Some("x=1")),
            ("a://{x}", "a://", None),
            ("a://{x}", "a://1/2", None),
            ("a://{+x}", "a://1/2", Some("x=1/2")),
            ("a://{x}/data", "a://1/data", Some("x=1")),
            ("a://{x}/data", "a://1/date", None),
            ("a://{x}/{y}", "a://1/2", Some("x=1,y=2")),
            ("a://{x}-{y}", "a://1-2-3", Some("x=1,y=2-3")),
            ("a://{x}", "a://d%C3%A9j%C3%A0%20vu", Some("x=déjà vu")),
            ("a://{x}", "a://%ff", None),
            ("a://{x}", "a://%2", None),
            ("a://{x", "a://1", None),
        ] {
            assert_eq!(fits(template, uri).as_deref(), found, "{template} {uri}");
        }
    }
}
