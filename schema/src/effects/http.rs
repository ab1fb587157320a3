//! HTTP requests of guests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Base64, BoundedInt, BoundedText};

/// The request to send.
///
/// In the URL, in header values and in a text body, `{{secret:NAME}}` stands for a secret that the host
/// keeps: it is filled in on the way out, only towards the hosts that the secret is for.
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
    /// How many redirects to follow; each is held to the role's hosts.
    #[serde(default = "default_redirects")]
    pub max_redirects: BoundedInt<0, 10>,
    /// How long it may take, in milliseconds; the host's own limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<BoundedInt<1, 86_400_000>>,
    /// How much of the response's body to keep, in bytes.
    #[serde(default = "default_response")]
    pub max_response_bytes: BoundedInt<0, 16_777_216>,
}

const fn default_redirects() -> BoundedInt<0, 10> {
    BoundedInt::constant::<5>()
}

const fn default_response() -> BoundedInt<0, 16_777_216> {
    BoundedInt::constant::<1_048_576>()
}

/// What is wanted of the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// To read it.
    #[default]
    Get,
    /// To read its header fields alone.
    Head,
    /// To hand it something.
    Post,
    /// To put something in its place.
    Put,
    /// To change a part of it.
    Patch,
    /// To remove it.
    Delete,
    /// To ask what it can do.
    Options,
}

/// What came back. A status of 400 or more is an answer, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The address that answered, after redirects.
    pub url: String,
    /// Header fields in lower case; those that came more than once are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
    /// The body's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<Base64>,
    /// Whether the body was cut off at the limit.
    pub truncated: bool,
}
