//! The effects of a workflow that runs on the server: its worker turns them into commands. Whoever else asks for them
//! hears why there is nothing to do.

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{EffectError, ErrorCode, RawJson};
use temporalio_protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_protos::temporal::api::operatorservice::v1::ListSearchAttributesRequest;

use crate::Temporal;
use crate::effect_context::{EffectContext, rpc};
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

/// Bytes of a search attribute, and of all of one request, at most: the server's limits by default, with some room.
const LARGEST: usize = 2_000;
const LARGEST_ALL: usize = 32 << 10;

/// The beginning of names that are the host's own.
const OWN: &str = "exomonad-";

impl Temporal {
    /// Checks that the namespace has the search attributes that a workflow sets, for values of their types, and that
    /// no name is the host's or the server's: the server fails the task of a workflow that sets others, again and
    /// again.
    ///
    /// # Errors
    /// If one cannot be set, or the server does not answer.
    pub async fn check_attributes(
        &self,
        call: &CallContext,
        attributes: &TemporalSetAttributes,
    ) -> Result<Done, EffectError> {
        let kind = TemporalSetAttributes::KIND;
        let context = self.begin(kind, call, "this workflow", Scope::default())?;
        let refused = |why: String| context.error(ErrorCode::Validation, why);
        if let Some(name) = attributes.memo.keys().find(|name| name.starts_with(OWN)) {
            return Err(refused(format!(
                "the field {name:?} of the memo is the host's own; use another name"
            )));
        }
        if attributes.search_attributes.is_empty() {
            return Ok(Done {});
        }
        let mut request = ListSearchAttributesRequest::default();
        request.namespace = context.namespace.clone();
        let known = rpc!(&context, operator_service, list_search_attributes(request))?;
        let sizes = attributes.search_attributes.values();
        let sizes: Vec<usize> = sizes.map(|value| value.get().len()).collect();
        // The server ends a workflow that goes beyond.
        if sizes.iter().any(|size| *size > LARGEST) || sizes.iter().sum::<usize>() > LARGEST_ALL {
            return Err(refused(format!(
                "a search attribute has {LARGEST} bytes at most, and all of them {LARGEST_ALL}"
            )));
        }
        for (name, value) in &attributes.search_attributes {
            let kind = known.custom_attributes.get(name);
            let kind = kind.and_then(|kind| IndexedValueType::try_from(*kind).ok());
            let Some(kind) = kind.filter(|_| !name.starts_with("Temporal") && name != "BuildIds")
            else {
                return Err(refused(format!(
                    "the namespace has no search attribute {name:?} that a workflow sets; `temporal operator \
                     search-attribute create` makes one"
                )));
            };
            if !fits(value, kind) {
                let kind = kind.as_str_name().trim_start_matches("INDEXED_VALUE_TYPE_");
                return Err(refused(format!(
                    "the search attribute {name:?} takes values of the type {kind}"
                )));
            }
        }
        Ok(Done {})
    }
}

/// True if a search attribute of this type takes the value; `null` removes one of any.
fn fits(value: &RawJson, kind: IndexedValueType) -> bool {
    use IndexedValueType as Kind;
    let value: serde_json::Value = value.parse().unwrap_or_default();
    // As RFC 3339 has them, and nothing else of what else is read as a time.
    let is_time = |text: &str| {
        let shape: String = text
            .chars()
            .take(20)
            .map(|character| match character.is_ascii_digit() {
                true => '0',
                false => character,
            })
            .collect();
        let is_zoned = text.ends_with('Z')
            || text.get(text.len().wrapping_sub(6)..).is_some_and(|zone| {
                zone.starts_with(['+', '-']) && zone.as_bytes().get(3) == Some(&b':')
            });
        shape.starts_with("0000-00-00T00:00:00")
            && is_zoned
            && text.parse::<jiff::Timestamp>().is_ok()
    };
    value.is_null()
        || match kind {
            Kind::Text | Kind::Keyword => value.is_string(),
            Kind::Int => value.is_i64(),
            Kind::Double => value.is_number(),
            Kind::Bool => value.is_boolean(),
            Kind::Datetime => value.as_str().is_some_and(is_time),
            Kind::KeywordList => {
                let list = value.as_array();
                list.is_some_and(|list| list.iter().all(serde_json::Value::is_string))
            }
            Kind::Unspecified => false,
        }
}

fn only_on_the_server(context: &EffectContext<'_>) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        "only a workflow that runs on the Temporal server can ask for it: one of a role with \
         `workflow_backend = \"temporal\"`",
    )
}
