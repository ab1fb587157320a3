//! Calls for tests.

use exomonad_core::CallContext;
use exomonad_schema::CallId;

/// A call of `role`, which may touch nothing.
pub(crate) fn call(role: &str) -> CallContext {
    CallContext::new(role.parse().unwrap(), CallId::from(7))
}
