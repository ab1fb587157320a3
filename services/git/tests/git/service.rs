//! The service under test, for the place this suite is about.

use exomonad_core::{CallContext, GitService};
use exomonad_git::{Git, GitConfig};
use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;

use crate::target;

/// Passes each effect on, for the place this suite is about.
pub struct Service(Git);

pub fn service() -> Service {
    service_with(GitConfig::default())
}

pub fn service_with(config: GitConfig) -> Service {
    Service(target::service(config))
}

macro_rules! pass_on {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl GitService for Service {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                self.0.$method(call, target::place(call, request)).await
            })*
        }
    };
}

exomonad_schema::methods!(git pass_on);
