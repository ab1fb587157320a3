//! [`Perform`]: an effect is performed by its request.

use exomonad_core::{CallContext, TemporalService};
use exomonad_schema::EffectError;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;

use crate::Temporal;

/// A request that can be performed; `workflows`, `schedules` and `namespaces` have them.
pub(crate) trait Perform: EffectRequest {
    /// Performs the effect.
    fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> impl Future<Output = Result<Self::Answer, EffectError>> + Send;
}

macro_rules! perform_all {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl TemporalService for Temporal {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                request.perform(self, call).await
            })*
        }
    };
}

exomonad_schema::methods!(temporal perform_all);
