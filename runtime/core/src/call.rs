//! The call that an effect belongs to, and the bounds of its role.

use std::sync::Arc;

use exomonad_schema::{CallId, Context, RoleName};

use crate::bounds::BoundsMap;
use crate::role_keys::RoleKeys;

/// A call, as the services see it.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The role whose plugin is running.
    pub role: RoleName,
    /// The call, unique on this host.
    pub call_id: CallId,
    /// The caller, as far as it was said.
    pub caller: Option<String>,
    /// The W3C trace context of the call (<https://www.w3.org/TR/trace-context/>).
    pub traceparent: Option<String>,
    /// The bounds of the role's effects.
    pub bounds: Arc<BoundsMap>,
}

impl CallContext {
    /// A call of a role that may touch nothing.
    pub fn new(role: RoleName, call_id: CallId) -> Self {
        Self {
            role,
            call_id,
            caller: None,
            traceparent: None,
            bounds: Arc::default(),
        }
    }

    /// The key that sets a field of the role, for messages.
    pub fn key(&self, field: &str) -> String {
        self.bounds.get::<RoleKeys>().key(&self.role, field)
    }

    /// The part of it that the guest sees.
    pub fn guest_view(&self) -> Context {
        Context {
            role: self.role.clone(),
            call_id: self.call_id.clone(),
            caller: self.caller.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}
