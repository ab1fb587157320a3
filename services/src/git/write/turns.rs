//! One writer at a time to a repository, in this host.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// Who writes to which repository. Holds an entry only while somebody writes or waits.
#[derive(Debug, Default)]
pub(in crate::git) struct Turns(Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>);

/// The turn to write; over when it is dropped.
pub(in crate::git) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the turn to write to the repository at a canonical common git
    /// folder, first come, first served.
    pub(in crate::git) async fn take(&self, common_dir: PathBuf) -> Turn {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let entry = turns.entry(common_dir).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let turn = Arc::default();
                *entry = Arc::downgrade(&turn);
                turn
            })
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_repository_has_one_turn_and_nothing_is_kept_of_those_gone_by() {
        let turns = Turns::default();
        let held = turns.take("/one".into()).await;
        let waited = std::time::Duration::from_millis(20);
        assert!(
            tokio::time::timeout(waited, turns.take("/one".into()))
                .await
                .is_err()
        );
        let other = turns.take("/two".into()).await;
        drop((held, other));
        drop(turns.take("/one".into()).await);
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
