//! Spans of requests, calls, guests and effects. Services have spans of their own.

use std::collections::HashMap;

use exomonad_core::CallContext;
use exomonad_core::span::TARGET;
use exomonad_schema::EffectKind;
use http::{HeaderMap, Method, Version};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use exomonad_core::span::{failed, traceparent};

use crate::requests::RouteLabels;

/// A request. It continues the trace that its headers name, if they name one.
pub fn request(
    route: Option<RouteLabels>,
    method: &Method,
    path: &str,
    version: Version,
    headers: &HeaderMap,
) -> Span {
    // What went to no endpoint is named by nobody.
    let method = route.map_or("_OTHER", |_| method.as_str());
    let name = route.map_or("HTTP", |route| route.path);
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = format_args!("{method} {name}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route.map(|route| route.path),
        url.scheme = "http",
        url.path = route.map(|_| path),
        network.protocol.version = if version == Version::HTTP_10 { "1.0" } else { "1.1" },
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    continues(&span, &HeaderExtractor(headers));
    span
}

/// Makes a span part of the trace that something names, if it does.
fn continues(span: &Span, fields: &dyn Extractor) {
    if span.is_disabled() {
        return;
    }
    let from = TraceContextPropagator::new().extract(fields);
    if from.span().span_context().is_valid() {
        // Fails where nothing is exported: then there is nothing to continue.
        let _ = span.set_parent(from);
    }
}

/// Makes a span part of the trace of this `traceparent`.
pub fn continues_trace(span: &Span, traceparent: &str) {
    let fields = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    continues(span, &fields);
}

/// An activity that a Temporal server asks for, within the trace of its workflow.
pub fn activity(name: &str, traceparent: Option<&str>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "activity",
        otel.name = format_args!("activity {name}"),
        otel.kind = "consumer",
    );
    if let Some(traceparent) = traceparent {
        continues_trace(&span, traceparent);
    }
    span
}

/// A call of a role: what it waits for, checks and answers.
pub fn call(context: &CallContext, what: &'static str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = what,
        otel.kind = "internal",
        mcp.method.name = (what == TOOLS_CALL).then_some(TOOLS_CALL),
        gen_ai.operation.name = (what == TOOLS_CALL).then_some("execute_tool"),
        gen_ai.tool.name = Empty,
        exomonad.hook = Empty,
        exomonad.role = context.role.as_str(),
        exomonad.call_id = context.call_id.as_str(),
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// MCP's name of a tool's call, for [`call`].
pub const TOOLS_CALL: &str = "tools/call";

/// Says which tool a call is of, once it is known to be one that the plugin lists.
pub fn is_of_tool(span: &Span, tool: &str) {
    if !span.is_disabled() {
        let name = format!("{TOOLS_CALL} {tool}");
        // Recorded as a field it would come too late: the span has begun.
        span.context().span().update_name(name);
        span.record("gen_ai.tool.name", tool);
    }
}

/// A guest at work in its sandbox.
pub fn guest(context: &CallContext, export: &str, digest: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "guest",
        otel.name = format_args!("guest {export}"),
        otel.kind = "internal",
        exomonad.role = context.role.as_str(),
        exomonad.export = export,
        exomonad.plugin.digest = digest,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// An effect that a guest asks for.
pub fn effect(kind: EffectKind) -> Span {
    tracing::info_span!(
        target: TARGET,
        "effect",
        otel.name = kind.capability(),
        otel.kind = "internal",
        exomonad.effect = kind.function(),
        error.type = Empty,
        otel.status_code = Empty,
    )
}
