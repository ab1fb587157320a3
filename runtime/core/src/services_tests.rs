use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use exomonad_schema::{Base64, CallId, ErrorCode};

use super::*;

/// Fails each effect with the method, the role and the request that reached it.
struct Recorder;

macro_rules! record {
    ($Trait:ident, $($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl $Trait for Recorder {
            $(async fn $method(&self, call: &CallContext, request: $Request) -> Result<$Answer, EffectError> {
                Err(EffectError::new(
                    ErrorCode::Conflict,
                    format!("{} for {}: {request:?}", stringify!($method), call.role),
                ))
            })*
        }
    };
}

macro_rules! record_git { ($($methods:tt)*) => { record!(GitService, $($methods)*); } }
macro_rules! record_log { ($($methods:tt)*) => { record!(LogService, $($methods)*); } }
macro_rules! record_kv { ($($methods:tt)*) => { record!(KvService, $($methods)*); } }
macro_rules! record_clock { ($($methods:tt)*) => { record!(ClockService, $($methods)*); } }
macro_rules! record_http { ($($methods:tt)*) => { record!(HttpService, $($methods)*); } }
macro_rules! record_github { ($($methods:tt)*) => { record!(GitHubService, $($methods)*); } }
macro_rules! record_docker { ($($methods:tt)*) => { record!(DockerService, $($methods)*); } }

exomonad_schema::methods!(git record_git);
exomonad_schema::methods!(log record_log);
exomonad_schema::methods!(kv record_kv);
exomonad_schema::methods!(clock record_clock);
exomonad_schema::methods!(http record_http);
exomonad_schema::methods!(github record_github);
exomonad_schema::methods!(docker record_docker);

impl RandomService for Recorder {
    async fn bytes(
        &self,
        _: &CallContext,
        request: RandomBytes,
    ) -> Result<RandomBytesAnswer, EffectError> {
        Ok(RandomBytesAnswer {
            bytes: Base64(vec![4; request.length.get() as usize]),
        })
    }
}

fn perform(effect: EffectKind, request: &str) -> EncodedAnswer {
    let services = Services {
        log: Recorder,
        git: Arc::new(Recorder),
        kv: Recorder,
        clock: Recorder,
        random: Recorder,
        http: Recorder,
        github: Recorder,
        docker: Recorder,
    };
    let call = CallContext::new("tl".parse().unwrap(), CallId::from(7));
    // Nothing here ever waits, so that one poll is enough.
    let mut answer = services.handle(&call, effect, request.as_bytes());
    match answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("{effect} waits"),
    }
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
            Some(code) => assert_eq!(code, ErrorCode::InvalidInput, "{kind}: {text}"),
            None => assert_eq!(*kind, EffectKind::RandomBytes),
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
    let answer = perform(EffectKind::RandomBytes, r#"{"length":3}"#);
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
