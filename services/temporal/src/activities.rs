//! The effects of a workflow that runs on the server: its worker turns them into commands. Whoever else asks for them
//! hears why there is nothing to do.

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::Temporal;
use crate::effect_context::EffectContext;
use crate::perform::Perform;
use crate::policy::Scope;

impl Perform for TemporalExecuteActivity {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalActivityResult, EffectError> {
        let context = service.begin(
            Self::KIND,
            call,
            format_args!("activity {:?}", &*self.activity_type),
            Scope {
                task_queue: Some(&self.task_queue),
                ..Scope::default()
            },
        )?;
        Err(only_on_the_server(&context))
    }
}

impl Perform for TemporalSetAttributes {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let context = service.begin(Self::KIND, call, "this workflow", Scope::default())?;
        Err(only_on_the_server(&context))
    }
}

fn only_on_the_server(context: &EffectContext<'_>) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        "only a workflow that runs on the Temporal server can ask for it: one of a role with \
         `workflow_backend = \"temporal\"`",
    )
}
