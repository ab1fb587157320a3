//! The log service: lines and events, with the role and the call attached.
//!
//! Neither waits for anyone. A line is a `tracing` event with the target
//! [`TARGET`] and the fields `role`, `call_id` and `fields` (the guest's own, as
//! JSON). An event is such a line too, with `event` and `payload`, and goes to
//! everyone who has [subscribed](Log::subscribe).
//!
//! Text of a guest's is untrusted, on its way to a terminal or a file of lines:
//! see `one_line`.

mod event;
mod one_line;

use std::sync::Arc;
use std::time::SystemTime;

use exomonad_core::{CallContext, LogService};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::log::{EmitEvent, Log as Line, LogLevel};
use exomonad_schema::{EffectError, ErrorCode, RawJson};
use tokio::sync::broadcast;

pub use event::Event;

/// The `tracing` target of everything a guest logs, for filters:
/// `exomonad::guest=debug`.
pub const TARGET: &str = "exomonad::guest";

/// Configuration of the log service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Number of events kept for a subscriber that lags behind; it loses
    /// older ones and learns how many.
    pub event_backlog: usize,
    /// Longest payload of an event, in bytes of JSON. With the backlog it bounds
    /// the memory that a subscriber that lags behind takes.
    pub max_event_bytes: usize,
}

impl Default for LogConfig {
    /// 1024 events of 64 KiB at most.
    fn default() -> Self {
        Self {
            event_backlog: 1024,
            max_event_bytes: 64 << 10,
        }
    }
}

/// An error in the log service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum LogConfigError {
    /// No backlog, or more than there can be.
    #[error("the log service's `event_backlog` is {0}; set it to a number from 1 to 1,000,000")]
    Backlog(usize),
}

/// The log service.
#[derive(Debug)]
pub struct Log {
    events: broadcast::Sender<Arc<Event>>,
    max_event_bytes: usize,
}

impl Log {
    /// Prepares the service.
    ///
    /// # Errors
    /// When the backlog is zero or absurdly large.
    pub fn new(config: &LogConfig) -> Result<Self, LogConfigError> {
        if !(1..=1_000_000).contains(&config.event_backlog) {
            return Err(LogConfigError::Backlog(config.event_backlog));
        }
        Ok(Self {
            events: broadcast::Sender::new(config.event_backlog),
            max_event_bytes: config.max_event_bytes,
        })
    }

    /// Every event from now on. A receiver that falls behind loses events, never
    /// slows a guest.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }
}

/// `tracing::event!` with a level known only at run time.
macro_rules! at_level {
    ($level:expr, $($arguments:tt)*) => {
        match $level {
            LogLevel::Trace => tracing::trace!(target: TARGET, $($arguments)*),
            LogLevel::Debug => tracing::debug!(target: TARGET, $($arguments)*),
            LogLevel::Info => tracing::info!(target: TARGET, $($arguments)*),
            LogLevel::Warn => tracing::warn!(target: TARGET, $($arguments)*),
            LogLevel::Error => tracing::error!(target: TARGET, $($arguments)*),
        }
    };
}

/// Writes one line of a guest's to the host's log, with its role and call.
pub fn record(call: &CallContext, level: LogLevel, message: &str) {
    let (role, call_id) = (&call.role, &call.call_id);
    at_level!(level, %role, %call_id, "{}", one_line::text(message));
}

impl LogService for Log {
    async fn write(&self, call: &CallContext, request: Line) -> Result<Done, EffectError> {
        let Line {
            level,
            message,
            fields,
        } = request;
        if fields.is_empty() {
            record(call, level, &message);
        } else {
            let (role, call_id) = (&call.role, &call.call_id);
            let json = RawJson::new(&fields).unwrap_or_default();
            let fields = one_line::json(json.get());
            at_level!(level, %role, %call_id, %fields, "{}", one_line::text(&message));
        }
        Ok(Done {})
    }

    async fn emit_event(
        &self,
        call: &CallContext,
        request: EmitEvent,
    ) -> Result<Done, EffectError> {
        let bytes = request.payload.get().len();
        if bytes > self.max_event_bytes {
            return Err(EffectError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "log.emit_event: the payload of {:?} has {bytes} bytes, and the limit is {} \
                     (`max_event_bytes` of the host's log service); keep the rest under a key and send the key",
                    &*request.name, self.max_event_bytes
                ),
            ));
        }
        let event = Event {
            role: call.role.clone(),
            call_id: call.call_id.clone(),
            name: request.name.into(),
            payload: request.payload,
            at: SystemTime::now(),
        };
        tracing::info!(
            target: TARGET,
            role = %event.role,
            call_id = %event.call_id,
            event = %one_line::text(&event.name),
            payload = %one_line::json(event.payload.get()),
            "event"
        );
        // Fails only when nobody has subscribed, which is fine.
        let _ = self.events.send(Arc::new(event));
        Ok(Done {})
    }
}

#[cfg(test)]
mod tests;
