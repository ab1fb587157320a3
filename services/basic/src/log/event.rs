//! Events, as subscribers receive them.

use std::time::SystemTime;

use exomonad_schema::{CallId, RawJson, RoleName};

/// An event a guest has emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The role whose plugin emitted it.
    pub role: RoleName,
    /// The call during which it did.
    pub call_id: CallId,
    /// The event's name; text of the guest's, to be escaped where it is shown.
    pub name: String,
    /// The event's data.
    pub payload: RawJson,
    /// When the host received it.
    pub at: SystemTime,
}
