//! What subscribers receive.

use std::time::SystemTime;

use exomonad_schema::{CallId, RawJson, RoleName};

/// An event a guest has emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The role whose plugin emitted it.
    pub role: RoleName,
    /// The call during which it did.
    pub call_id: CallId,
    /// What kind of event; text of the guest's, to be escaped where it is shown.
    pub name: String,
    /// What is to be known about it.
    pub payload: RawJson,
    /// When the host received it.
    pub at: SystemTime,
}
