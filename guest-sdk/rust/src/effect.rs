//! Effects: requests to the host and their answers.

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

use crate::abi;
use crate::types::EffectError;

/// A request for an effect. Implemented by the contract's requests.
pub trait EffectRequest: Serialize + DeserializeOwned + 'static {
    /// The host function, such as `git_get_branch`.
    const FUNCTION: &'static str;

    /// The capability that the role needs, such as `git.get_branch`.
    const CAPABILITY: &'static str;

    /// The result of a successful effect.
    type Answer: Serialize + DeserializeOwned + 'static;

    /// The imported host function. One function per effect, so that a plugin
    /// imports only the effects that it uses.
    #[doc(hidden)]
    #[cfg(target_family = "wasm")]
    fn import() -> abi::Import;
}

/// Associates a generated request with its answer and its host function.
macro_rules! effect_request {
    ($Request:ident => $Answer:ident, $function:ident, $capability:literal) => {
        impl $crate::effect::EffectRequest for $Request {
            const FUNCTION: &'static str = stringify!($function);
            const CAPABILITY: &'static str = $capability;
            type Answer = $Answer;

            #[cfg(target_family = "wasm")]
            fn import() -> $crate::abi::Import {
                $crate::abi::import!($function)
            }
        }
    };
}

pub(crate) use effect_request;

/// Performs an effect, as the functions of the service modules do.
///
/// # Errors
/// The host's error, or `internal` if its answer is invalid.
pub fn perform<R: EffectRequest>(request: &R) -> crate::Result<R::Answer> {
    let encoded = serde_json::to_vec(request)
        .map_err(|problem| EffectError::unreadable(R::FUNCTION, &problem))?;
    #[cfg(target_family = "wasm")]
    let answer = abi::call(R::import(), &encoded);
    #[cfg(not(target_family = "wasm"))]
    let answer = abi::call(R::FUNCTION, &encoded);
    decode_answer(&answer)
        .map_err(|problem| EffectError::unreadable(R::FUNCTION, &problem))
        .flatten()
}

/// A failure of the plugin as the host takes it in the place of a result.
pub(crate) fn error_of(error: &crate::ToolError) -> EffectError {
    EffectError {
        code: error.code().unwrap_or(crate::types::ErrorCode::Internal),
        message: error.message().to_owned(),
        details: None,
    }
}

/// The beginning of a success as our host writes it, after which the payload
/// can be parsed directly.
const SUCCESS: &str = r#"{"kind":"Success","payload":"#;

// Everything is parsed from `&str`: serde_json instantiates each decoder anew for
// slices, and a plugin would contain both.
pub(crate) fn decode_answer<T: DeserializeOwned>(
    answer: &[u8],
) -> serde_json::Result<crate::Result<T>> {
    let answer = std::str::from_utf8(answer).map_err(serde_json::Error::custom)?;
    if let Some(payload) = answer
        .strip_prefix(SUCCESS)
        .and_then(|rest| rest.strip_suffix('}'))
        && let Ok(payload) = serde_json::from_str(payload)
    {
        return Ok(Ok(payload));
    }
    decode_envelope(answer)
}

/// An answer in any spelling, whatever its spacing and order.
fn decode_envelope<T: DeserializeOwned>(answer: &str) -> serde_json::Result<crate::Result<T>> {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        kind: Kind,
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    #[derive(serde::Deserialize)]
    enum Kind {
        Success,
        Error,
    }
    let Envelope { kind, payload } = serde_json::from_str(answer)?;
    match kind {
        Kind::Success => serde_json::from_str(payload.get()).map(Ok),
        Kind::Error => serde_json::from_str(payload.get()).map(Err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ErrorCode, KvEntry};

    fn decode(answer: &str) -> serde_json::Result<crate::Result<KvEntry>> {
        decode_answer(answer.as_bytes())
    }

    #[test]
    fn an_answer_decodes_with_any_spacing_and_order() {
        for answer in [
            r#"{"kind":"Success","payload":{"found":true,"value":{"a":"}"}}}"#,
            r#"{ "kind": "Success", "payload": {"found":true,"value":{"a":"}"}} }"#,
            r#"{"payload":{"found":true,"value":{"a":"}"}},"kind":"Success"}"#,
        ] {
            let entry = decode(answer).unwrap().unwrap();
            assert_eq!(entry.value.get(), r#"{"a":"}"}"#);
        }
    }

    #[test]
    fn a_failure_keeps_its_code_and_its_message() {
        let answer = r#"{"kind":"Error","payload":{"code":"not_found","message":"no key"}}"#;
        let error = decode(answer).unwrap().unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (ErrorCode::NotFound, "no key")
        );
    }

    #[test]
    fn an_invalid_answer_is_an_error_without_a_panic() {
        for answer in [
            "",
            "null",
            "{}",
            r#"{"kind":"Success","payload":7}"#,
            r#"{"kind":"Maybe","payload":{}}"#,
        ] {
            assert!(decode(answer).is_err(), "{answer}");
        }
    }
}
