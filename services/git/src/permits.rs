//! Permits for threads and processes, shared out among roles.
//!
//! Each role has one permit that nobody else can take, and up to half of the others. So
//! what one role lets hang keeps no other one waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use exomonad_schema::{EffectError, RoleName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::effect_context::EffectContext;

/// Permits; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The permits beyond each role's own.
    common: Arc<Semaphore>,
    /// How many of these one role may hold.
    share: usize,
    roles: Mutex<HashMap<RoleName, RolePermits>>,
}

#[derive(Clone, Debug)]
struct RolePermits {
    own: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// A permit, returned when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _held: Vec<OwnedSemaphorePermit>,
}

impl Permits {
    /// `max_concurrent` permits for one role alone, and one for each further role.
    pub(super) fn new(max_concurrent: usize) -> Self {
        let common = max_concurrent.saturating_sub(1).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            common: Arc::new(Semaphore::new(common)),
            share: common.div_ceil(2),
            roles: Mutex::default(),
        }))
    }

    /// Waits for a permit of the context's role.
    pub(super) async fn acquire(&self, context: &EffectContext) -> Result<Permit, EffectError> {
        let role = self.role(context.role());
        let common = async {
            let share = role.share.clone().acquire_owned().await?;
            let common = self.0.common.clone().acquire_owned().await?;
            Ok(vec![share, common])
        };
        let own = async { Ok(vec![role.own.clone().acquire_owned().await?]) };
        let permit: Result<_, tokio::sync::AcquireError> = tokio::select! {
            biased;
            permit = own => permit,
            permit = common => permit,
        };
        permit
            .map(|held| Permit { _held: held })
            .map_err(|_| EffectError::internal(format!("{}: the host is stopping", context.kind())))
    }

    fn role(&self, role: &RoleName) -> RolePermits {
        let mut roles = self.0.roles.lock().unwrap_or_else(PoisonError::into_inner);
        // Roles come and go with the configuration.
        roles.retain(|name, permits| name == role || Arc::strong_count(&permits.own) > 1);
        roles
            .entry(role.clone())
            .or_insert_with(|| RolePermits {
                own: Arc::new(Semaphore::new(1)),
                share: Arc::new(Semaphore::new(self.0.share)),
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::EffectKind;
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_role_that_holds_all_it_can_keeps_no_other_waiting() {
        let permits = Permits::new(8);
        let [greedy, second, third] = ["greedy", "second", "third"]
            .map(|role| EffectContext::of_role(EffectKind::GitFetch, role));
        let mut held = Vec::new();
        while let Some(permit) = permits.acquire(&greedy).now_or_never() {
            held.push(permit.unwrap());
        }
        assert_eq!(held.len(), 5);
        for other in [&second, &third] {
            held.push(permits.acquire(other).await.unwrap());
        }
        while let Some(permit) = permits.acquire(&second).now_or_never() {
            held.push(permit.unwrap());
        }
        // All of the common ones are taken; a role that comes now has its own.
        let last = EffectContext::of_role(EffectKind::GitFetch, "last");
        held.push(permits.acquire(&last).await.unwrap());
        assert!(permits.acquire(&last).now_or_never().is_none());
        drop(held);
        assert!(permits.acquire(&greedy).now_or_never().is_some());
    }
}
