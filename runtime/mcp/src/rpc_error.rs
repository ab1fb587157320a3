//! [`RpcError`]: why a message is refused, with its JSON-RPC code and the HTTP status that goes with it.

use std::borrow::Cow;

use exomonad_host::HostError;
use exomonad_schema::EffectError;
use serde_json::{Value, json};

use crate::message::Id;
use crate::revision::Era;

/// The kinds of errors, as the specification tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The body is no JSON.
    Parse,
    /// It is no message, or none that may come here.
    Invalid,
    /// The method is not there.
    Method,
    /// The parameters are not those of the method.
    Params,
    /// The parameters lack what each request of the stateless era carries.
    Envelope,
    /// A header says otherwise than the body, or is missing.
    Header,
    /// The revision is none that is spoken here.
    Version,
    /// There is no such session (any more).
    Session,
    /// There is no such resource, in the sessionful era.
    Resource,
    /// The client lacks a capability that the request takes.
    Capability,
    /// The caller's token does not open this.
    Scope,
    /// The host cannot answer now.
    Server,
    /// The client has cancelled it.
    Cancelled,
    /// A bug in the host.
    Internal,
}

/// The code of the error that there is no such session.
pub const NO_SESSION: i32 = -32001;

/// The JSON-RPC code of each kind, and the HTTP status in the sessionful and in the stateless era. An error
/// of the method's own is an answer like any other, hence 200.
const KINDS: &[(Kind, i32, u16, u16)] = &[
    (Kind::Parse, -32700, 400, 400),
    (Kind::Invalid, -32600, 400, 400),
    (Kind::Method, -32601, 200, 404),
    (Kind::Params, -32602, 200, 200),
    (Kind::Envelope, -32602, 400, 400),
    (Kind::Header, -32020, 400, 400),
    (Kind::Version, -32022, 400, 400),
    (Kind::Session, NO_SESSION, 404, 404),
    (Kind::Resource, -32002, 200, 200),
    (Kind::Capability, -32021, 200, 400),
    // The specification has the status, and no code of JSON-RPC.
    (Kind::Scope, -32003, 403, 403),
    (Kind::Server, -32000, 200, 200),
    (Kind::Cancelled, -32800, 200, 200),
    (Kind::Internal, -32603, 200, 200),
];

/// The kind of each of the host's codes; of those that are not listed, [`Kind::Server`].
const HOST: &[(&str, Kind)] = &[
    ("tool_not_found", Kind::Params),
    ("invalid_request", Kind::Params),
    ("invalid_arguments", Kind::Params),
    ("insufficient_scope", Kind::Scope),
    ("client_answer", Kind::Params),
    ("internal", Kind::Internal),
];

/// The error that answers a message.
#[derive(Clone, Debug)]
pub struct RpcError {
    kind: Kind,
    message: Cow<'static, str>,
    data: Option<Value>,
    id: Option<Id>,
}

impl RpcError {
    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            data: None,
            id: None,
        }
    }

    /// The message is no JSON.
    pub fn parse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Parse, message)
    }

    /// It is no message, or none that may come here.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The method is not there.
    pub fn method(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        Self::new(Kind::Method, format!("there is no method `{shown}` here"))
    }

    /// The parameters are not those of the method.
    pub fn params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Params, message)
    }

    /// The metadata of a stateless request is missing.
    pub fn envelope(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Envelope, message)
    }

    /// A header says otherwise than the body, or is missing: this one, which was to have this value.
    pub fn header(message: String, name: &str, expected: &str) -> Self {
        Self {
            data: Some(json!({"header": name, "expected": expected})),
            ..Self::new(Kind::Header, message)
        }
    }

    /// The revision is none of those that are spoken here.
    pub fn version(requested: &str, supported: &[&str]) -> Self {
        let requested: String = requested.chars().take(100).collect();
        let message = format!(
            "revision `{requested}` is not spoken here; {} are",
            supported.join(", ")
        );
        Self {
            data: Some(json!({"requested": requested, "supported": supported})),
            ..Self::new(Kind::Version, message)
        }
    }

    /// There is no such session.
    pub fn session() -> Self {
        Self::new(
            Kind::Session,
            "there is no such session (any more): begin another by `initialize`",
        )
    }

    /// There is no such resource: one code with sessions, another without.
    pub fn resource(era: Era, uri: &str) -> Self {
        let kind = match era {
            Era::Sessionful => Kind::Resource,
            Era::Stateless => Kind::Params,
        };
        Self {
            data: Some(json!({"uri": uri})),
            ..Self::new(kind, "there is no such resource")
        }
    }

    /// The client lacks these capabilities.
    pub fn capabilities(required: &Value) -> Self {
        Self {
            data: Some(json!({"requiredCapabilities": required})),
            ..Self::new(
                Kind::Capability,
                "the client has not declared a capability that this takes",
            )
        }
    }

    /// The guest cannot answer, for a reason that it tells.
    pub fn guest(failure: &EffectError) -> Self {
        let mut data = json!({"code": failure.code});
        if let Some(details) = &failure.details {
            data["details"] = json!(details);
        }
        Self {
            data: Some(data),
            ..Self::new(Kind::Server, failure.message.clone())
        }
    }

    /// The host cannot answer now.
    pub fn server(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Server, message)
    }

    /// The client has cancelled the request.
    pub fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the client has cancelled this request")
    }

    /// The scope that the caller's token lacks.
    pub fn needed_scope(&self) -> Option<String> {
        let data = self.data.as_ref().filter(|_| self.kind == Kind::Scope)?;
        data["scope"].as_str().map(str::to_owned)
    }

    /// The same error as the answer to this id, unless it answers one already.
    #[must_use]
    pub fn answering(mut self, id: Id) -> Self {
        self.id.get_or_insert(id);
        self
    }

    /// The JSON-RPC code.
    pub fn code(&self) -> i32 {
        self.entry().1
    }

    /// The HTTP status.
    pub fn status(&self, era: Era) -> u16 {
        let (_, _, sessionful, stateless) = self.entry();
        match era {
            Era::Sessionful => *sessionful,
            Era::Stateless => *stateless,
        }
    }

    /// The id that it answers.
    pub fn id(&self) -> Id {
        self.id.clone().unwrap_or_else(Id::null)
    }

    fn entry(&self) -> &'static (Kind, i32, u16, u16) {
        const UNLISTED: (Kind, i32, u16, u16) = (Kind::Internal, -32603, 200, 200);
        let mut all = KINDS.iter();
        all.find(|(kind, ..)| *kind == self.kind)
            .unwrap_or(&UNLISTED)
    }

    /// As a JSON-RPC response.
    pub fn to_json(&self) -> Vec<u8> {
        let mut error = json!({"code": self.code(), "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
            self.id().as_json()
        )
        .into_bytes()
    }
}

impl From<HostError> for RpcError {
    fn from(error: HostError) -> Self {
        if let HostError::ClientIncapable(capability) = &error {
            return Self::capabilities(&capability.declared());
        }
        if let HostError::TaskRequired(_) = &error {
            return Self::capabilities(&crate::tasks::required());
        }
        let kind = HOST.iter().find(|(code, _)| *code == error.code());
        let mut data = json!({"code": error.code()});
        if !error.violations().is_empty() {
            data["errors"] = json!(error.violations());
        }
        if let HostError::CallerLimited { retry_after, .. } = &error {
            data["retryAfterSeconds"] = json!(retry_after);
        }
        if let HostError::OutOfScope(scope) = &error {
            data["scope"] = json!(scope);
        }
        Self {
            data: Some(data),
            ..Self::new(
                kind.map_or(Kind::Server, |(_, kind)| *kind),
                error.to_string(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_table() {
        use Kind::*;
        for kind in [
            Parse, Invalid, Method, Params, Envelope, Header, Version, Session, Resource,
            Capability, Scope, Server, Cancelled, Internal,
        ] {
            assert_eq!(RpcError::new(kind, "").entry().0, kind);
        }
    }
}
