//! Methods that an export of the guest answers: resources, prompts, completion. What it writes goes out as it is.

use std::collections::BTreeMap;

use exomonad_core::values::Area;
use exomonad_host::HostError;
use exomonad_schema::common::{
    CompleteInput, CompleteResult, GetPromptInput, GetPromptResult, HANDLE_COMPLETE,
    HANDLE_GET_PROMPT, HANDLE_LIST_PROMPTS, HANDLE_LIST_RESOURCE_TEMPLATES, HANDLE_LIST_RESOURCES,
    HANDLE_READ_RESOURCE, ListPromptsInput, ListPromptsResult, ListResourceTemplatesInput,
    ListResourceTemplatesResult, ListResourcesInput, ListResourcesResult, ReadResourceInput,
    ReadResourceResult,
};
use exomonad_schema::{EffectError, ErrorCode};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kept_answers::{self, may_keep};
use crate::message::{Params, object, text};
use crate::methods::{Answer, Context, answer, version_with};
use crate::rpc_error::RpcError;

/// The most values of one completion.
const VALUES: usize = 100;

/// The output of an export, as far as all have it.
trait GuestResult: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The failure in place of the result.
    fn failure(&mut self) -> Option<EffectError>;
}

macro_rules! guest_results {
    ($($Result:ident)*) => {
        $(impl GuestResult for $Result {
            fn failure(&mut self) -> Option<EffectError> {
                self.error.take()
            }
        })*
    };
}

guest_results! {
    ListResourcesResult ListResourceTemplatesResult ReadResourceResult ListPromptsResult GetPromptResult CompleteResult
}

/// Calls an export, if the plugin has it.
async fn call<I: Serialize, T: GuestResult>(
    context: &Context,
    method: &'static str,
    export: &'static str,
    input: impl FnOnce(exomonad_schema::Context) -> I + Send,
) -> Result<Result<(T, Answer), EffectError>, CallError> {
    version_with(context, export, method)
        .await
        .map_err(CallError::Rpc)?;
    let execution = context.execution().map_err(CallError::Host)?;
    let called = execution.export::<I, T>(method, export, input).await;
    let mut called = called.map_err(CallError::Host)?;
    if let Some(failure) = called.value.failure() {
        return Ok(Err(failure));
    }
    let mut answered = answer(&()).map_err(CallError::Rpc)?;
    answered.json = called.json;
    answered.call_id = Some(context.call_id.clone());
    Ok(Ok((called.value, answered)))
}

/// Why a call gave no result.
enum CallError {
    /// The host's.
    Host(HostError),
    /// The protocol's.
    Rpc(RpcError),
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Host(error) => error.into(),
            CallError::Rpc(error) => error,
        }
    }
}

/// The failure that a guest has told.
fn failed(failure: EffectError) -> RpcError {
    match failure.code {
        ErrorCode::InvalidInput | ErrorCode::NotFound => RpcError::params(failure.message),
        _ => RpcError::guest(&failure),
    }
}

/// The place in a list, as the guest has given it; none at the beginning.
fn cursor(params: &Params) -> Result<Option<String>, RpcError> {
    let cursor = match &params.cursor {
        None => return Ok(None),
        cursor => {
            text(cursor.as_ref()).ok_or_else(|| RpcError::params("`cursor` has to be a text"))?
        }
    };
    Ok((!cursor.is_empty()).then_some(cursor))
}

/// The address of a resource.
pub fn uri(params: &Params) -> Result<String, RpcError> {
    text(params.uri.as_ref())
        .filter(|uri| !uri.is_empty() && uri.len() <= 8192)
        .ok_or_else(|| RpcError::params("`uri` has to be a resource's address"))
}

/// The texts by name that an object has.
fn texts(json: Option<&exomonad_schema::RawJson>) -> Result<BTreeMap<String, String>, RpcError> {
    let Some(json) = json else {
        return Ok(BTreeMap::new());
    };
    object(json).ok_or_else(|| RpcError::params("`arguments` have to be an object of texts"))
}

/// `resources/list`.
pub async fn list_resources(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let cursor = cursor(&params)?;
    let input = |context| ListResourcesInput { cursor, context };
    let (method, export) = ("resources/list", HANDLE_LIST_RESOURCES);
    if may_keep(context) && !context.role.settled().await?.plugin.has(export) {
        // What the host keeps is linked where it is missing, and not listed.
        return answer(&ListResourcesResult::default());
    }
    let listed = call::<_, ListResourcesResult>(context, method, export, input).await?;
    Ok(listed.map_err(failed)?.1)
}

/// `resources/templates/list`. A plugin that lists resources and no templates has none.
pub async fn list_resource_templates(
    context: &Context,
    params: Params,
) -> Result<Answer, RpcError> {
    let cursor = cursor(&params)?;
    let input = |context| ListResourceTemplatesInput { cursor, context };
    let (method, export) = ("resources/templates/list", HANDLE_LIST_RESOURCE_TEMPLATES);
    let version = context.role.settled().await?;
    let has_resources = may_keep(context)
        || version.plugin.has(HANDLE_LIST_RESOURCES)
        || version.plugin.has(HANDLE_READ_RESOURCE);
    if has_resources && !version.plugin.has(export) {
        return answer(&ListResourceTemplatesResult::default());
    }
    let listed = call::<_, ListResourceTemplatesResult>(context, method, export, input).await?;
    Ok(listed.map_err(failed)?.1)
}

/// `resources/read`.
pub async fn read_resource(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let uri = uri(&params)?;
    let asked = uri.clone();
    let not_found = || RpcError::resource(context.revision.era(), &asked);
    let (method, export) = ("resources/read", HANDLE_READ_RESOURCE);
    if may_keep(context) {
        if uri.starts_with(kept_answers::PREFIX) {
            return kept_answers::read(context, &uri);
        }
        if !context.role.settled().await?.plugin.has(export) {
            return Err(not_found());
        }
    }
    let input = |context| ReadResourceInput { uri, context };
    match call::<_, ReadResourceResult>(context, method, export, input).await {
        Err(CallError::Host(HostError::InputRequired(suspended))) => {
            context.input_required(&suspended)
        }
        Err(error) => Err(error.into()),
        Ok(Err(failure)) if failure.code == ErrorCode::NotFound => Err(not_found()),
        Ok(Err(failure)) => Err(failed(failure)),
        Ok(Ok((read, _))) if read.contents.is_empty() => Err(not_found()),
        Ok(Ok((_, answer))) => Ok(answer),
    }
}

/// `prompts/list`.
pub async fn list_prompts(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let cursor = cursor(&params)?;
    let input = |context| ListPromptsInput { cursor, context };
    let (method, export) = ("prompts/list", HANDLE_LIST_PROMPTS);
    let listed = call::<_, ListPromptsResult>(context, method, export, input).await?;
    Ok(listed.map_err(failed)?.1)
}

/// `prompts/get`.
pub async fn get_prompt(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let name = text(params.name.as_ref())
        .ok_or_else(|| RpcError::params("`name` has to be a prompt's name"))?;
    let arguments = texts(params.arguments.as_ref())?;
    let shown: String = name.chars().take(100).collect();
    let input = |context| GetPromptInput {
        name,
        arguments,
        context,
    };
    let (method, export) = ("prompts/get", HANDLE_GET_PROMPT);
    match call::<_, GetPromptResult>(context, method, export, input).await {
        Err(CallError::Host(HostError::InputRequired(suspended))) => {
            context.input_required(&suspended)
        }
        Err(error) => Err(error.into()),
        Ok(Err(failure)) => Err(failed(failure)),
        Ok(Ok((got, _))) if got.messages.is_empty() => Err(RpcError::params(format!(
            "there is no prompt `{shown}` here"
        ))),
        Ok(Ok((_, answer))) => Ok(answer),
    }
}

/// Checks that an area is among the caller's scopes.
pub fn in_scope(context: &Context, area: Area) -> Result<(), RpcError> {
    match context.caller.scopes().allows(area) {
        true => Ok(()),
        false => Err(HostError::OutOfScope(area.name().to_owned()).into()),
    }
}

/// `completion/complete`.
pub async fn complete(context: &Context, params: Params) -> Result<Answer, RpcError> {
    #[derive(Deserialize)]
    #[serde(tag = "type")]
    enum Reference {
        #[serde(rename = "ref/prompt")]
        Prompt { name: String },
        #[serde(rename = "ref/resource")]
        Resource { uri: String },
    }
    #[derive(Deserialize)]
    struct Argument {
        name: String,
        value: String,
    }
    #[derive(Deserialize, Default)]
    struct Known {
        #[serde(default)]
        arguments: BTreeMap<String, String>,
    }
    let wrong = || {
        RpcError::params(
            "`ref` has to name a prompt or a resource template, `argument` the argument and its value",
        )
    };
    let reference = params.r#ref.as_ref().and_then(object).ok_or_else(wrong)?;
    let argument: Argument = params
        .argument
        .as_ref()
        .and_then(object)
        .ok_or_else(wrong)?;
    let known: Known = match &params.context {
        None => Known::default(),
        Some(json) => object(json).ok_or_else(wrong)?,
    };
    let (area, prompt, uri_template) = match reference {
        Reference::Prompt { name } => (Area::Prompts, Some(name), None),
        Reference::Resource { uri } => (Area::Resources, None, Some(uri)),
    };
    in_scope(context, area)?;
    let input = |context| CompleteInput {
        prompt,
        uri_template,
        argument: argument.name,
        value: argument.value,
        arguments: known.arguments,
        context,
    };
    let (method, export) = ("completion/complete", HANDLE_COMPLETE);
    let completed = call::<_, CompleteResult>(context, method, export, input).await?;
    let (mut completed, answered) = completed.map_err(failed)?;
    let values = completed.completion.values.len();
    if values > VALUES {
        // The protocol has a bound, which a guest need not know.
        completed.completion.total.get_or_insert(values as u64);
        completed.completion.values.truncate(VALUES);
        completed.completion.has_more = true;
    }
    // Written anew, since a guest may leave an empty list out, and the protocol does not.
    Ok(Answer {
        call_id: answered.call_id,
        ..answer(&completed)?
    })
}
