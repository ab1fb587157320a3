//! [`EffectHandler`]: from request JSON to answer JSON.
//!
//! A request is decoded straight into its type and an answer encoded straight from it; no tree of JSON
//! values is built between them.

use std::pin::Pin;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use exomonad_schema::{EffectError, EffectKind, EffectRequest, ErrorCode, decode};

use crate::call::CallContext;

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whatever answers effects: the services, or a layer around another handler.
///
/// An effect is a value with an answer, and grants, tracing, limits, a journal
/// are each a handler that wraps the next. A layer that needs the request as a
/// value decodes it with [`Effect::decode`](exomonad_schema::Effect::decode); one that
/// does not passes the bytes on untouched.
pub trait EffectHandler: Send + Sync {
    /// Answers the effect `kind`, whose request is JSON.
    fn handle<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer>;
}

impl<H: EffectHandler + ?Sized> EffectHandler for std::sync::Arc<H> {
    fn handle<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        H::handle(self, call, kind, request)
    }
}

/// An answer ready for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAnswer {
    json: Vec<u8>,
    error: Option<ErrorCode>,
}

impl EncodedAnswer {
    /// Encodes what a service gave.
    pub fn new<T: Serialize>(result: &Result<T, EffectError>) -> Self {
        match result {
            Ok(payload) => encode(&AnswerRef::Success(payload)).map_or_else(
                // No answer type of the table can fail here; a handler's own may.
                |error| {
                    Self::error(&EffectError::internal(format!(
                        "the answer is not JSON: {error}"
                    )))
                },
                |json| Self { json, error: None },
            ),
            Err(error) => Self::error(error),
        }
    }

    /// Encodes a failure.
    pub fn error(error: &EffectError) -> Self {
        let json = encode(&AnswerRef::<()>::Error(error)).unwrap_or_else(|_| {
            br#"{"kind":"Error","payload":{"code":"internal","message":"the error is not JSON"}}"#.to_vec()
        });
        Self {
            json,
            error: Some(error.code),
        }
    }

    /// An answer that was encoded before, and kept.
    pub fn recorded(json: Vec<u8>) -> Self {
        #[derive(Deserialize)]
        struct Failure {
            payload: FailureCode,
        }
        #[derive(Deserialize)]
        struct FailureCode {
            code: ErrorCode,
        }
        let failure = json
            .starts_with(FAILURE)
            .then(|| serde_json::from_slice::<Failure>(&json));
        let error = failure
            .and_then(Result::ok)
            .map(|failure| failure.payload.code);
        Self { json, error }
    }

    /// The answer's JSON, `{"kind":…,"payload":…}`.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// The answer's JSON, taken.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }

    /// The failure's code, `None` for a success: for metrics and traces, which
    /// need not read the JSON.
    pub fn error_code(&self) -> Option<ErrorCode> {
        self.error
    }
}

/// The beginning of a failure's JSON, as [`EncodedAnswer::error`] writes it.
const FAILURE: &[u8] = br#"{"kind":"Error""#;

/// [`Answer`](exomonad_schema::Answer) by reference.
#[derive(Serialize)]
#[serde(tag = "kind", content = "payload")]
enum AnswerRef<'a, T> {
    Success(&'a T),
    Error(&'a EffectError),
}

fn encode<T: Serialize>(answer: &AnswerRef<'_, T>) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(256);
    serde_json::to_writer(&mut json, answer)?;
    Ok(json)
}

/// Bytes of a request up to which it is decoded on the thread that serves the call.
const SMALL_REQUEST: usize = 64 << 10;
/// Large requests that are decoded at once.
static LARGE_REQUESTS: Semaphore = Semaphore::const_new(4);

/// Decodes a request; a large one on a thread that may be busy for a while.
async fn decoded<R: EffectRequest>(request: &[u8]) -> Result<R, EffectError> {
    if request.len() <= SMALL_REQUEST {
        return decode::<R>(request);
    }
    let _turn = LARGE_REQUESTS.acquire().await;
    let request = request.to_vec();
    let decoding = tokio::task::spawn_blocking(move || decode::<R>(&request));
    decoding.await.unwrap_or_else(|_| {
        Err(EffectError::internal(
            "reading the request failed in the host",
        ))
    })
}

/// Decodes, performs, encodes.
pub(crate) async fn answer<R, P, F>(request: &[u8], perform: P) -> EncodedAnswer
where
    R: EffectRequest,
    P: FnOnce(R) -> F,
    F: Future<Output = Result<R::Answer, EffectError>>,
{
    match decoded::<R>(request).await {
        Ok(request) => EncodedAnswer::new(&perform(request).await),
        Err(error) => EncodedAnswer::error(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_by_its_code_whether_it_failed() {
        let success = EncodedAnswer::new(&Ok::<_, EffectError>(7));
        assert_eq!(success.json(), br#"{"kind":"Success","payload":7}"#);
        assert_eq!(success.error_code(), None);
        let failure = EncodedAnswer::new::<()>(&Err(EffectError::internal("x")));
        assert_eq!(failure.error_code(), Some(ErrorCode::Internal));
        for answer in [success, failure] {
            assert_eq!(EncodedAnswer::recorded(answer.json().to_vec()), answer);
        }
    }
}
