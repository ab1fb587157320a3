//! The call that an effect belongs to, and the bounds of its role.

use std::sync::Arc;

use exomonad_schema::effects::Done;
use exomonad_schema::effects::kv::{KvDelete, KvDeleted, KvSet};
use exomonad_schema::{CallId, Context, EffectError, RoleName};

use crate::bounds::BoundsMap;
use crate::handler::BoxFuture;
use crate::mcp::CallClient;
use crate::principal::Principal;
use crate::role_keys::RoleKeys;

/// A call, as the services see it.
#[derive(Clone)]
pub struct CallContext {
    /// The role whose plugin is running.
    pub role: RoleName,
    /// The call, unique on this host.
    pub call_id: CallId,
    /// The caller's name: the principal's if it has one, else as the caller calls itself.
    pub caller: Option<String>,
    /// The caller, as its token proves; `None` where no token is asked for.
    pub principal: Option<Arc<Principal>>,
    /// The W3C trace context of the call (<https://www.w3.org/TR/trace-context/>).
    pub traceparent: Option<String>,
    /// The bounds of the role's effects.
    pub bounds: Arc<BoundsMap>,
    /// Writes to the key-value store in the store's place: for a step of a workflow.
    pub kv_writer: Option<Arc<dyn KvWriter>>,
    /// The client that made the call, if it came by the Model Context Protocol.
    pub client: Option<Arc<dyn CallClient>>,
}

/// Writes to the key-value store, in one transaction with something else: the entry of a workflow's history.
pub trait KvWriter: Send + Sync {
    /// Writes the value under a key.
    fn set(&self, request: KvSet) -> BoxFuture<'_, Result<Done, EffectError>>;

    /// Removes a key.
    fn delete(&self, request: KvDelete) -> BoxFuture<'_, Result<KvDeleted, EffectError>>;
}

impl std::fmt::Debug for CallContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallContext")
            .field("role", &self.role)
            .field("call_id", &self.call_id)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl CallContext {
    /// A call of a role that may touch nothing.
    pub fn new(role: RoleName, call_id: CallId) -> Self {
        Self {
            role,
            call_id,
            caller: None,
            principal: None,
            traceparent: None,
            bounds: Arc::default(),
            kv_writer: None,
            client: None,
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
            principal: self
                .principal
                .as_ref()
                .map(|principal| principal.id.to_string()),
            traceparent: self.traceparent.clone(),
        }
    }
}
