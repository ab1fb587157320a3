use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use exomonad_schema::{Base64, CallId, ErrorCode};

use super::*;

/// Fails each effect with the method, the role and the request that reached it.
struct Recorder;

macro_rules! record {
    ($(
        $(#[doc = $service_doc:literal])*
        $service:ident = $Service:ident: $Trait:ident {
            $($(#[doc = $doc:literal])* $method:ident($Request:ident) -> $Answer:ident;)*
        }
    )*) => {
        $(impl $Trait for Recorder {
            $(async fn $method(&self, call: &CallContext, request: $Request) -> Result<$Answer, EffectError> {
                Err(EffectError::new(
                    ErrorCode::Conflict,
                    format!("{} for {}: {request:?}", stringify!($method), call.role),
                ))
            })*
        })*

        fn recorders() -> impl EffectHandler {
            Services { $($service: Arc::new(Recorder),)* }
        }
    };
}

exomonad_schema::services!(record);

/// The output of a future that never waits, so that one poll is enough.
fn output<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn perform(effect: EffectKind, request: &str) -> EncodedAnswer {
    let call = CallContext::new("tl".parse().unwrap(), CallId::from(7));
    output(recorders().handle(&call, effect, request.as_bytes()))
}

#[test]
fn every_effect_reaches_the_method_of_its_name_with_its_call() {
    for kind in EffectKind::ALL {
        let answer = perform(*kind, "{}");
        let text = String::from_utf8_lossy(answer.json()).into_owned();
        match answer.error_code() {
            Some(ErrorCode::Conflict) => {
                let expected = format!("{} for tl: ", kind.method());
                assert!(text.contains(&expected), "{kind}: {text}");
            }
            // Its request has fields that cannot be left out.
            code => assert_eq!(code, Some(ErrorCode::InvalidInput), "{kind}: {text}"),
        }
    }
}

#[test]
fn a_request_is_filled_up_with_its_defaults() {
    let answer = perform(EffectKind::GitGetRemoteUrl, "{}");
    let text = String::from_utf8_lossy(answer.json()).into_owned();
    assert!(
        text.contains("origin") && text.contains(r#"WorkingDir(\".\")"#),
        "{text}"
    );
}

#[test]
fn a_success_is_encoded_with_its_payload() {
    let bytes = async |request: RandomBytes| {
        Ok(RandomBytesAnswer {
            bytes: Base64(vec![4; request.length.get() as usize]),
        })
    };
    let answer = output(answer(br#"{"length":3}"#, bytes));
    assert_eq!(
        std::str::from_utf8(answer.json()),
        Ok(r#"{"kind":"Success","payload":{"bytes":"BAQE"}}"#)
    );
}

#[test]
fn a_request_beyond_its_limits_never_reaches_the_service() {
    let answer = perform(EffectKind::RandomBytes, r#"{"length":65537}"#);
    assert_eq!(answer.error_code(), Some(ErrorCode::InvalidInput));
    let text = String::from_utf8(answer.into_json()).unwrap();
    assert!(text.contains("65537 is not within 0..=65536"), "{text}");
}
