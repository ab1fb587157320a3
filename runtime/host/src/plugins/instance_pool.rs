//! [`InstancePool`]: sandboxes that are used again, for roles that ask for it.

use std::sync::{Mutex, PoisonError};

use exomonad_engine::Sandbox;

/// Sandboxes of one version that wait for its next calls.
#[derive(Default)]
pub struct InstancePool(Mutex<Vec<Sandbox>>);

impl InstancePool {
    /// The most sandboxes that wait; further ones are dropped.
    pub const CAPACITY: u32 = 64;

    /// A sandbox that waits, if there is one.
    pub fn acquire(&self) -> Option<Sandbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a sandbox for the next call, unless its guest was interrupted.
    pub fn release(&self, sandbox: Sandbox) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sandbox.is_usable() && waiting.len() < Self::CAPACITY as usize {
            waiting.push(sandbox);
        }
    }
}
