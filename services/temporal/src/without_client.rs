//! The service of a host that is built without the client: every effect says what is missing.

use exomonad_core::{CallContext, TemporalService};
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::Temporal;

impl Temporal {
    /// There is nothing to close.
    pub fn close(&self) {}

    /// As the effect.
    ///
    /// # Errors
    /// Those of the effect.
    pub async fn start_from(
        &self,
        call: &CallContext,
        asked: TemporalStartWorkflow,
        _: (&str, exomonad_schema::RawJson),
    ) -> Result<TemporalStarted, EffectError> {
        self.start_workflow(call, asked).await
    }

    /// As the effect that describes a workflow.
    ///
    /// # Errors
    /// Those of the effect.
    pub async fn close_event(
        &self,
        call: &CallContext,
        asked: TemporalDescribeWorkflow,
    ) -> Result<Option<exomonad_schema::RawJson>, EffectError> {
        self.describe_workflow(call, asked).await.map(|_| None)
    }
}

macro_rules! refuse {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl TemporalService for Temporal {
            $(async fn $method(
                &self,
                _: &CallContext,
                _: $Request,
            ) -> Result<$Answer, EffectError> {
                Err(EffectError::new(
                    ErrorCode::NotConfigured,
                    format!(
                        "{}: this host is built without its Temporal client; build it with the feature `temporal`",
                        $Request::KIND
                    ),
                ))
            })*
        }
    };
}

exomonad_schema::methods!(temporal refuse);
