//! HTTP requests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Base64, BoundedInt, BoundedText};

/// The request to send.
///
/// In the URL, in header values and in a text body, `{{secret:NAME}}` stands for a secret that the host
/// keeps. The host fills it in when it sends the request, only to the hosts that the secret is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRequest {
    /// The method.
    #[serde(default)]
    pub method: HttpMethod,
    /// The address, `http` or `https`.
    pub url: BoundedText<1, 8192>,
    /// Header fields by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body's bytes, instead of `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Base64>,
    /// The number of redirects to follow; each must lead to one of the role's hosts.
    #[serde(default = "default_redirects")]
    pub max_redirects: BoundedInt<0, 10>,
    /// The time limit in milliseconds; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<BoundedInt<1, 86_400_000>>,
    /// The most of the response's body to keep, in bytes.
    #[serde(default = "default_response")]
    pub max_response_bytes: BoundedInt<0, 16_777_216>,
}

const fn default_redirects() -> BoundedInt<0, 10> {
    BoundedInt::constant::<5>()
}

const fn default_response() -> BoundedInt<0, 16_777_216> {
    BoundedInt::constant::<1_048_576>()
}

/// An HTTP method (RFC 9110).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Reads the resource.
    #[default]
    Get,
    /// Reads the header fields only.
    Head,
    /// Submits data to the resource.
    Post,
    /// Replaces the resource.
    Put,
    /// Changes a part of the resource.
    Patch,
    /// Removes the resource.
    Delete,
    /// Asks which methods the resource supports.
    Options,
}

/// The HTTP response. A status of 400 or more is a success of the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The address that responded, after redirects.
    pub url: String,
    /// Header fields in lower case; repeated ones are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
    /// The body's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Base64>,
    /// True if the body was cut off at the limit.
    pub truncated: bool,
}
