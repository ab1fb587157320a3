//! Calls for tests.

use std::sync::Arc;

use exomonad_core::{Bounds, CallContext};
use exomonad_schema::CallId;

/// A call of `role`, which may touch nothing.
pub(crate) fn call(role: &str) -> CallContext {
    CallContext {
        role: role.parse().unwrap(),
        call_id: CallId::from(7),
        caller: None,
        traceparent: None,
        bounds: Arc::new(Bounds::default()),
    }
}
