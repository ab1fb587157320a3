//! Spans: what a trace shows of a call, and how the trace goes on in the requests that leave the host.
//!
//! All spans of the host have one target, which the log leaves out and the exporter of traces wants: where
//! nothing is exported none is made. Their names and fields follow OpenTelemetry's conventions where there
//! are some, and begin with `exomonad.` elsewhere. No field holds a secret, so none holds what a guest or a
//! remote has written freely: bodies, queries, header fields.

use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The `tracing` target of every span.
pub const TARGET: &str = "exomonad::span";

/// Hands over the headers that carry the trace on (<https://www.w3.org/TR/trace-context/>), by name and
/// value, `traceparent` first; none if the span is not part of a trace.
pub fn propagate(span: &Span, mut set: impl FnMut(&'static str, String)) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let span = context.span();
    let place = span.span_context();
    if !place.is_valid() {
        return;
    }
    let sampled = u8::from(place.is_sampled());
    let (trace, span) = (place.trace_id(), place.span_id());
    set("traceparent", format!("00-{trace}-{span}-{sampled:02x}"));
    let state = place.trace_state().header();
    if !state.is_empty() {
        set("tracestate", state);
    }
}

/// The `traceparent` of a span, if it is part of a trace.
pub fn traceparent(span: &Span) -> Option<String> {
    let mut found = None;
    propagate(span, |name, value| {
        if name == "traceparent" {
            found = Some(value);
        }
    });
    found
}

/// Notes in a span that it ended badly. The span has the fields `error.type` and `otel.status_code`.
pub fn failed(span: &Span, code: &str) {
    span.record("error.type", code);
    span.record("otel.status_code", "ERROR");
}
