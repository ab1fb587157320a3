//! The service under test, its calls, and its planted API key.

use std::fmt::Debug;
use std::sync::Arc;

use exomonad_core::values::TimeSpan;
use exomonad_core::{BoundsMap, CallContext, EffectHandler as _, Secret, Services};
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::{CallId, EffectError, ErrorCode};
use exomonad_temporal::{Temporal, TemporalBounds, TemporalConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub const API_KEY: &str = "PlantedKeyThatNobodyMaySee0123456789";

/// Settings that fail soon, for a server at `address`.
pub fn config(address: &str) -> TemporalConfig {
    TemporalConfig {
        address: address.to_owned(),
        time_limit: TimeSpan::secs(60),
        retry_time: TimeSpan::millis(200),
        ..TemporalConfig::default()
    }
}

/// The same with an API key.
pub fn config_with_key(address: &str, key: &str) -> TemporalConfig {
    TemporalConfig {
        api_key: Some(Secret::new(key)),
        ..config(address)
    }
}

pub fn temporal(config: TemporalConfig) -> Arc<Temporal> {
    Arc::new(Temporal::new(config).unwrap())
}

/// A call of role `tl`, which may reach everything.
pub fn call() -> CallContext {
    bounded(TemporalBounds::all())
}

pub fn bounded(bounds: TemporalBounds) -> CallContext {
    CallContext {
        bounds: Arc::new(BoundsMap::default().with(bounds)),
        ..CallContext::new("tl".parse().unwrap(), CallId::from(7))
    }
}

/// Performs the effect of a request in JSON, as a guest asks for it.
pub async fn ask<R: EffectRequest>(
    service: &Arc<Temporal>,
    call: &CallContext,
    request: Value,
) -> Result<Value, EffectError>
where
    R::Answer: serde::Serialize,
{
    let services = Services {
        log: Nothing,
        git: Nothing,
        kv: Nothing,
        clock: Nothing,
        random: Nothing,
        workflow: Nothing,
        mcp: Nothing,
        http: Nothing,
        github: Nothing,
        docker: Nothing,
        temporal: service.clone(),
    };
    let request = request.to_string();
    let answer = services.handle(call, R::KIND, request.as_bytes()).await;
    match serde_json::from_slice::<exomonad_schema::Answer<Value>>(answer.json()).unwrap() {
        exomonad_schema::Answer::Success(answer) => {
            // The answer is one of the contract's.
            let _: R::Answer = parsed(&answer);
            Ok(answer)
        }
        exomonad_schema::Answer::Error(error) => Err(error),
    }
}

fn parsed<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

/// A service that is asked for nothing.
#[derive(Debug)]
pub struct Nothing;

macro_rules! nothing {
    ($(
        $(#[doc = $service_doc:literal])*
        $service:ident = $Service:ident: $Trait:ident {
            $($(#[doc = $doc:literal])* $method:ident($Request:ident) -> $Answer:ident;)*
        }
    )*) => {
        $(
            #[allow(unused_imports)]
            mod $service {
                use exomonad_core::CallContext;
                use exomonad_core::services::$Trait;
                use exomonad_schema::EffectError;
                use exomonad_schema::effects::Done;
                use exomonad_schema::effects::$service::*;

                impl $Trait for super::Nothing {
                    $(async fn $method(
                        &self,
                        _: &CallContext,
                        _: $Request,
                    ) -> Result<$Answer, EffectError> {
                        Err(EffectError::internal("this service is asked for nothing"))
                    })*
                }
            }
        )*
    };
}

exomonad_schema::services!(nothing);

/// The error of an effect, after looking for the API key where it must not be.
pub fn failed<T: Debug>(outcome: Result<T, EffectError>, code: ErrorCode) -> EffectError {
    let error = outcome.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    let told = format!("{error:?} {}", serde_json::to_string(&error).unwrap());
    assert!(!told.contains("PlantedKey"), "{told}");
    assert!(error.message.contains("temporal."), "{error}");
    assert!(
        error.message.contains("; "),
        "it says nothing to do: {error}"
    );
    error
}

/// The details of an error, for programs.
pub fn details(error: &EffectError) -> Value {
    let details = error.details.as_ref();
    details.map_or(Value::Null, |details| details.parse().unwrap())
}
