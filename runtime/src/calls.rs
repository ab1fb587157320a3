//! A call, from the role's name to the answer: the one way from every door of the house to a guest.

use std::sync::Arc;

use exomonad_config::InstanceMode;
use exomonad_engine::{CallError, Output};
use exomonad_schema::common::{
    CallToolResult, HANDLE_MCP_CALL, HookEvent, HookInput, HookOutput, ToolCallInput,
};
use exomonad_schema::{CallContext, CallId, RawJson};
use serde_json::{Value, json};
use tracing::{Instrument, Span};

use crate::failure::{Failure, Violation};
use crate::gate::{QueueFull, Turn};
use crate::guest::CallHost;
use crate::json::Distinct;
use crate::plugins::tool::CheckedTool;
use crate::plugins::version::Version;
use crate::role::Role;
use crate::telemetry::spans;

/// Who asks, as the door it came through knows it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// A name for logs and for the guest.
    pub name: Option<String>,
    /// The W3C trace that the call belongs to.
    pub traceparent: Option<String>,
}

/// A call id that nothing else has.
pub fn fresh_call_id() -> CallId {
    let mut bytes = [0; 16];
    // Ids need to differ, not to be secret: without randomness the clock has to do.
    if getrandom::fill(&mut bytes).is_err() {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        return CallId::from(since.as_nanos());
    }
    CallId::from(u128::from_le_bytes(bytes))
}

/// A tool's answer: a JSON `CallToolResult`, as the guest wrote it where it wrote one.
pub struct ToolAnswer {
    /// The JSON.
    pub json: Vec<u8>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// How it ended: `ok`, `tool_error` if the guest says so, or the code of the guest's failure.
    pub outcome: &'static str,
}

/// One call of a role, with the version of the plugin that it began with.
pub struct Call<'r> {
    role: &'r Role,
    version: Arc<Version>,
    /// What services and the guest know of it.
    pub context: CallContext,
}

impl<'r> Call<'r> {
    /// Begins a call.
    pub fn new(role: &'r Role, id: CallId, caller: Caller) -> Result<Self, Failure> {
        Ok(Self {
            role,
            version: role.serving()?,
            context: role.settings.call(id, caller.name, caller.traceparent),
        })
    }

    /// Calls a tool with these arguments, after they have been held against its schema.
    ///
    /// Whatever the guest does wrong from there on is the tool's failure, hence an answer.
    pub async fn tool(self, name: &str, arguments: RawJson) -> Result<ToolAnswer, Failure> {
        let span = spans::call(&self.context, spans::TOOLS_CALL);
        let called = self.known_tool(&span, name, arguments);
        let result = called.instrument(span.clone()).await;
        match &result {
            Ok(answer) if answer.is_error => spans::failed(&span, answer.outcome),
            Ok(_) => {}
            Err(failure) => spans::failed(&span, failure.code().0),
        }
        result
    }

    async fn known_tool(
        self,
        span: &Span,
        name: &str,
        arguments: RawJson,
    ) -> Result<ToolAnswer, Failure> {
        let version = self.version.clone();
        let (tool, series) = version.tool(name).map_err(|near| Failure::ToolNotFound {
            role: self.role.name().to_string(),
            tool: name.to_owned(),
            near: near.map(str::to_owned),
        })?;
        // Not before it is known: what a request says is no name for a span or a series.
        spans::is_of_tool(span, name);
        let mark = series.begin();
        let result = self.checked_tool(tool, arguments).await;
        mark.ended(match &result {
            Ok(answer) => answer.outcome,
            Err(failure) => failure.code().0,
        });
        result
    }

    async fn checked_tool(
        mut self,
        tool: &CheckedTool,
        arguments: RawJson,
    ) -> Result<ToolAnswer, Failure> {
        // Checking large arguments is work, too.
        let role = self.role;
        let _turn = turn(role).await?;
        let Distinct(values) = arguments.parse().map_err(|error| {
            Failure::InvalidRequest(format!("the arguments cannot be read: {error}"))
        })?;
        let violations = match tool.is_long_work(&values) {
            false => tool.violations(&values),
            true => self.check_aside(&tool.tool.name, values).await?,
        };
        if !violations.is_empty() {
            return Err(Failure::InvalidArguments {
                tool: tool.tool.name.clone(),
                violations,
            });
        }
        let guest = self.guest(HANDLE_MCP_CALL);
        let input = ToolCallInput {
            name: tool.tool.name.clone(),
            arguments,
            context: self.context.guest_view(),
        };
        let input = encode(&input)?;
        match self.enter(guest, HANDLE_MCP_CALL, &input).await {
            Ok(output) => Ok(self.answer(output)),
            Err(error) => Ok(self.failed_tool(code(&error), &self.explain(&error))),
        }
    }

    /// Checks arguments on a thread that may be busy for a while.
    async fn check_aside(&self, tool: &str, arguments: Value) -> Result<Vec<Violation>, Failure> {
        let (version, tool) = (self.version.clone(), tool.to_owned());
        let check = move || match version.tool(&tool) {
            Ok((tool, _)) => tool.violations(&arguments),
            Err(_) => Vec::new(),
        };
        tokio::task::spawn_blocking(check)
            .await
            .map_err(|_| Failure::Internal("checking the arguments failed in the host".to_owned()))
    }

    /// Asks the plugin to decide on an event. A guest that fails has decided nothing: that is an error.
    pub async fn hook(self, event: HookEvent, payload: RawJson) -> Result<HookOutput, Failure> {
        let version = self.version.clone();
        let Some(series) = version.hook(event) else {
            let handled: Vec<&str> = version.hooks().map(HookEvent::name).collect();
            return Err(Failure::HookNotFound {
                role: self.role.name().to_string(),
                event: event.name().to_owned(),
                handled: handled.join(", "),
            });
        };
        let span = spans::call(&self.context, "hook");
        span.record("exomonad.hook", event.name());
        let mark = series.begin();
        let decided = self.decided(event, payload);
        let result = decided.instrument(span.clone()).await;
        if let Err(failure) = &result {
            spans::failed(&span, failure.code().0);
        }
        mark.ended(
            result
                .as_ref()
                .map_or_else(|failure| failure.code().0, |_| "ok"),
        );
        result
    }

    async fn decided(mut self, event: HookEvent, payload: RawJson) -> Result<HookOutput, Failure> {
        let _turn = turn(self.role).await?;
        let guest = self.guest(event.export());
        let input = encode(&HookInput {
            event,
            payload,
            context: self.context.guest_view(),
        })?;
        let entered = self.enter(guest, event.export(), &input).await;
        let output = entered.map_err(|error| self.failure(&error))?;
        serde_json::from_slice(&output.bytes).map_err(|error| Failure::Guest {
            code: "invalid_answer",
            message: format!(
                "the answer of `{}` does not fit the contract: {error}",
                event.export()
            ),
        })
    }

    /// Calls any export with any bytes.
    pub async fn raw(mut self, export: &str, input: &[u8]) -> Result<Output, Failure> {
        let span = spans::call(&self.context, "raw call");
        let called = async {
            let _turn = turn(self.role).await?;
            let guest = self.guest(export);
            let entered = self.enter(guest, export, input).await;
            entered.map_err(|error| self.failure(&error))
        };
        let result = called.instrument(span.clone()).await;
        if let Err(failure) = &result {
            spans::failed(&span, failure.code().0);
        }
        result
    }

    /// The span of the guest's work. From here on the trace goes on from it, for the guest, too.
    fn guest(&mut self, export: &str) -> Span {
        let span = spans::guest(&self.context, export, self.version.plugin.digest());
        if let Some(traceparent) = spans::traceparent(&span) {
            self.context.traceparent = Some(traceparent);
        }
        span
    }

    /// Runs the export in a sandbox.
    async fn enter(&self, span: Span, export: &str, input: &[u8]) -> Result<Output, CallError> {
        let settings = &self.role.settings;
        let host = Arc::new(CallHost::new(self.context.clone(), settings.clone()));
        let plugin = &self.version.plugin;
        let running = async {
            match settings.instance {
                InstanceMode::Fresh => plugin.call(host, settings.limits, export, input).await,
                InstanceMode::Pooled => self.enter_warm(host, export, input).await,
            }
        };
        let result = running.instrument(span.clone()).await;
        if let Err(error) = &result {
            spans::failed(&span, code(error));
            if let CallError::Limit(hit) = error {
                settings.metrics.hit(self.role.name(), hit.limit.key());
            }
            tracing::debug!(
                role = %self.role.name(), call_id = %self.context.call_id, export, code = code(error), %error,
                "the guest failed"
            );
        }
        result
    }

    async fn enter_warm(
        &self,
        host: Arc<CallHost>,
        export: &str,
        input: &[u8],
    ) -> Result<Output, CallError> {
        let limits = self.role.settings.limits;
        let mut sandbox = match self.version.take_warm() {
            Some(sandbox) => sandbox,
            None => self.version.plugin.sandbox(host.clone(), limits).await?,
        };
        let result = sandbox.call(host, limits, export, input).await;
        self.version.keep_warm(sandbox);
        result
    }

    /// What a guest's failure is where only an answer will do.
    fn failure(&self, error: &CallError) -> Failure {
        match error {
            CallError::UnknownExport { .. } | CallError::Signature { .. } => {
                Failure::ExportNotFound(error.to_string())
            }
            _ => Failure::Guest {
                code: code(error),
                message: self.explain(error),
            },
        }
    }

    fn explain(&self, error: &CallError) -> String {
        match error {
            // The engine names the limit; which role it is set for is known here.
            CallError::Limit(hit) => hit.set_by(&self.role.settings.limit_key(hit.limit.key())),
            _ => error.to_string(),
        }
    }

    /// Holds the guest's output against the contract; what fits goes out as it came.
    fn answer(&self, output: Output) -> ToolAnswer {
        match serde_json::from_slice::<CallToolResult>(&output.bytes) {
            Ok(result) => ToolAnswer {
                is_error: result.is_error,
                outcome: if result.is_error { "tool_error" } else { "ok" },
                json: output.bytes,
            },
            Err(error) => {
                let message = format!("the plugin's answer is not a CallToolResult: {error}");
                self.failed_tool("invalid_answer", &message)
            }
        }
    }

    /// A failed guest as the result of its tool.
    fn failed_tool(&self, code: &'static str, message: &str) -> ToolAnswer {
        let call_id = self.context.call_id.as_str();
        let details = json!({"error": {"code": code, "message": message, "callId": call_id}});
        let result = CallToolResult {
            structured_content: Some(details.into()),
            ..CallToolResult::error(message)
        };
        ToolAnswer {
            json: serde_json::to_vec(&result).unwrap_or_default(),
            is_error: true,
            outcome: code,
        }
    }
}

/// Waits for a turn of this role.
async fn turn(role: &Role) -> Result<Turn<'_>, Failure> {
    let settings = &role.settings;
    role.gate
        .enter()
        .await
        .map_err(|QueueFull { running, queue }| {
            settings.metrics.hit(role.name(), "queue");
            Failure::QueueFull {
                role: role.name().to_string(),
                running,
                queue,
                running_key: settings.limit_key("concurrent_calls"),
                queue_key: settings.limit_key("queue"),
            }
        })
}

/// The stable code of a guest's failure.
fn code(error: &CallError) -> &'static str {
    match error {
        CallError::Limit(_) => "limit_exceeded",
        CallError::Guest { .. } | CallError::Exit(_) => "guest_failed",
        CallError::Busy(_) => "no_sandbox",
        _ => "guest_trapped",
    }
}

fn encode(input: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(input)
        .map_err(|error| Failure::Internal(format!("the guest's input is not JSON: {error}")))
}
