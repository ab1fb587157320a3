//! The call that an effect belongs to, and the bounds of its role.

use std::path::PathBuf;
use std::sync::Arc;

use exomonad_schema::{CallId, Context, RoleName};

/// A call, as the services see it.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The role whose plugin is running.
    pub role: RoleName,
    /// The call, unique on this host.
    pub call_id: CallId,
    /// Who made the call, as far as it was said.
    pub caller: Option<String>,
    /// The W3C trace context of the call (<https://www.w3.org/TR/trace-context/>).
    pub traceparent: Option<String>,
    /// What the role's effects may touch.
    pub bounds: Arc<Bounds>,
}

impl CallContext {
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

/// What a role's effects may touch. An empty list allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Absolute folders; a relative working directory is taken from the first.
    pub paths: Vec<PathBuf>,
    /// GitHub repositories as `owner/name`; `*` matches within one part.
    pub repos: Vec<String>,
    /// Host names an HTTP request may go to; `*` matches any text.
    pub hosts: Vec<String>,
    /// Those of them that may have private addresses: loopback, local networks, link-local.
    pub private_hosts: Vec<String>,
    /// The names of the secrets that its HTTP requests may use.
    pub secrets: Vec<String>,
    /// Labels as `key=value`, or `key` for any value, all of which a container has to carry; none
    /// means no container.
    pub labels: Vec<String>,
    /// Docker networks, by their names, that its containers may join besides those with its labels.
    pub networks: Vec<String>,
}
