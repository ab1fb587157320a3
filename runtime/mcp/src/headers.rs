//! The headers of the stateless era, which repeat what a request's body says so that proxies can read it:
//! they have to agree with it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use exomonad_host::Role;
use exomonad_schema::{Base64, RawJson};
use serde::Deserialize;
use serde_json::Value;

use crate::capabilities::Capabilities;
use crate::client::SaidMeta;
use crate::message::{Implementation, Request, object, text};
use crate::methods::method;
use crate::revision::{Era, Revision};
use crate::rpc_error::RpcError;

/// The header that names the revision.
pub const VERSION: &str = "mcp-protocol-version";
/// The method whose parameters may be repeated, too.
const CALL_TOOL: &str = "tools/call";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
/// The beginning of the headers for parameters that a tool's schema marks with `x-mcp-header`.
const PARAMETER: &str = "mcp-param-";
/// Around a value that is written in base64.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// The metadata that each request of the stateless era carries.
#[derive(Default, Deserialize)]
pub struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<RawJson>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<RawJson>,
    #[serde(rename = "io.modelcontextprotocol/clientInfo")]
    client: Option<RawJson>,
    traceparent: Option<RawJson>,
    #[serde(rename = "progressToken")]
    progress_token: Option<RawJson>,
    #[serde(rename = "io.modelcontextprotocol/logLevel")]
    log_level: Option<RawJson>,
}

impl Meta {
    /// The metadata of a request; nothing where it is no object.
    pub fn of(request: &Request) -> Self {
        let meta = request.params.meta.as_ref();
        meta.and_then(object).unwrap_or_default()
    }

    /// True if the request says that it is one of the stateless era.
    pub fn names_revision(&self) -> bool {
        self.version.is_some()
    }

    /// The client's name.
    pub fn client(&self) -> Option<String> {
        Implementation::name_of(self.client.as_ref())
    }

    /// The client's capabilities.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::read(self.capabilities.as_ref())
    }

    /// The part about what is said to the client meanwhile.
    pub fn said(&self) -> SaidMeta {
        SaidMeta::new(self.progress_token.as_ref(), self.log_level.as_ref())
    }

    /// The W3C trace that the request belongs to.
    pub fn traceparent(&self) -> Option<String> {
        text(self.traceparent.as_ref())
    }
}

/// A header, if it is there once and text. Of two, somebody on the way may have read the other one.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok())?
}

/// The revision of a stateless request, once its metadata and headers are known to agree.
///
/// # Errors
/// If something is missing, or says otherwise.
pub fn check(
    headers: &HeaderMap,
    request: &Request,
    meta: &Meta,
    role: &Role,
) -> Result<Revision, RpcError> {
    let named = header(headers, VERSION);
    let Some(version) = text(meta.version.as_ref()) else {
        // Neither says a revision that is spoken here.
        return Err(
            match named.filter(|named| Revision::named(named).is_none()) {
                Some(unknown) => RpcError::version(unknown, &Revision::names()),
                None => missing("protocolVersion"),
            },
        );
    };
    if !meta
        .capabilities
        .as_ref()
        .is_some_and(|json| json.get().starts_with('{'))
    {
        return Err(missing("clientCapabilities"));
    }
    agree(VERSION, named, &version)?;
    let stateless = Revision::named(&version).filter(|revision| revision.era() == Era::Stateless);
    let revision = stateless.ok_or_else(|| RpcError::version(&version, &Revision::names()))?;
    agree(METHOD, header(headers, METHOD), &request.method)?;
    if let Some(name) = subject(request) {
        agree(NAME, header(headers, NAME), &name)?;
        if request.method == CALL_TOOL {
            check_parameters(headers, request, role, &name)?;
        }
    }
    Ok(revision)
}

fn missing(what: &str) -> RpcError {
    RpcError::envelope(format!(
        "`_meta` has to carry `io.modelcontextprotocol/{what}`"
    ))
}

fn agree(name: &str, header: Option<&str>, body: &str) -> Result<(), RpcError> {
    let problem = match header.map(decoded) {
        Some(Some(decoded)) if decoded == body => return Ok(()),
        Some(Some(_)) => "says otherwise than the body",
        Some(None) => "is no base64 of text",
        None => "is missing, or there more than once",
    };
    let message = format!("the header `{name}` {problem}");
    Err(RpcError::header(message, name, &encoded(body)))
}

/// The subject of a request, which a header repeats.
fn subject(request: &Request) -> Option<String> {
    let method = method(&request.method, Era::Stateless)?;
    text((method.named)(&request.params))
}

/// The headers that repeat what a request says of itself.
pub fn mirrored(request: &Request) -> HeaderMap {
    let values = [
        (VERSION, text(Meta::of(request).version.as_ref())),
        (METHOD, Some(request.method.clone())),
        (NAME, subject(request)),
    ];
    let headers = values.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(&encoded(&value?)).ok()?;
        Some((HeaderName::from_static(name), value))
    });
    headers.collect()
}

/// A text as the value of a header.
fn encoded(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && text.trim() == text
        && !text.starts_with(ENCODED.0);
    if is_plain {
        return text.to_owned();
    }
    let base64 = serde_json::to_value(Base64(text.as_bytes().to_vec())).unwrap_or_default();
    format!(
        "{}{}{}",
        ENCODED.0,
        base64.as_str().unwrap_or_default(),
        ENCODED.1
    )
}

/// A header's value: as it is, or the text that is in it as `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    let encoded = value
        .strip_prefix(ENCODED.0)
        .and_then(|rest| rest.strip_suffix(ENCODED.1));
    let Some(encoded) = encoded else {
        return Some(value.to_owned());
    };
    let Base64(bytes) = serde_json::from_value(Value::from(encoded)).ok()?;
    String::from_utf8(bytes).ok()
}

/// The parameters that a tool's schema marks have to be repeated in headers.
fn check_parameters(
    headers: &HeaderMap,
    request: &Request,
    role: &Role,
    tool: &str,
) -> Result<(), RpcError> {
    let Some(version) = role.version() else {
        return Ok(());
    };
    let Ok((tool, _)) = version.tool(tool) else {
        return Ok(());
    };
    let properties = tool.schema.root()["properties"].as_object();
    let marked = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, property)| {
            let header = property.get("x-mcp-header")?.as_str()?;
            Some((name, format!("{PARAMETER}{}", header.to_ascii_lowercase())))
        });
    let mut arguments: Option<Value> = None;
    for (property, name) in marked {
        let read = || {
            request
                .params
                .arguments
                .as_ref()
                .and_then(|json| json.parse().ok())
        };
        let arguments = arguments.get_or_insert_with(|| read().unwrap_or_default());
        let header = header(headers, &name);
        match &arguments[property] {
            Value::String(text) => agree(&name, header, text)?,
            // 42 and 42.0 are the same number.
            Value::Number(number)
                if header.and_then(|text| text.parse().ok()) == number.as_f64() => {}
            value @ (Value::Number(_) | Value::Bool(_)) => {
                agree(&name, header, &value.to_string())?
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_hold_is_encoded_and_read_again() {
        for text in [
            "plain",
            "",
            " begins",
            "ends ",
            "déjà vu",
            "a\nb",
            "=?base64?x?=",
            "日本",
        ] {
            let value = encoded(text);
            assert!(HeaderValue::from_str(&value).is_ok(), "{value}");
            assert_eq!(decoded(&value).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_header_is_its_text_or_the_base64_of_it() {
        for (value, text) in [
            ("Hello", Some("Hello")),
            ("=?base64?SGVsbG8=?=", Some("Hello")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
            ("SGVsbG8=", Some("SGVsbG8=")),
            ("=?base64??=", Some("")),
            ("=?base64?SGVsbG8?=", None),
            ("=?base64?SGVs!!!bG8=?=", None),
            ("=?base64?/w==?=", None),
        ] {
            assert_eq!(decoded(value).as_deref(), text, "{value}");
        }
    }
}
