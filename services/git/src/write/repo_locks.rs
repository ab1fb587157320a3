//! Locks of repositories, for one writer at a time in this host.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// Locks by repository. Holds an entry only while somebody writes or waits.
#[derive(Debug, Default)]
pub(crate) struct RepoLocks(Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>);

/// A repository's lock; released when it is dropped.
pub(crate) type RepoLockGuard = OwnedMutexGuard<()>;

impl RepoLocks {
    /// Locks the repository at a canonical common git folder, first come, first
    /// served.
    pub(crate) async fn lock(&self, common_dir: PathBuf) -> RepoLockGuard {
        let guard = {
            let mut repo_locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            repo_locks.retain(|_, guard| guard.strong_count() > 0);
            let entry = repo_locks.entry(common_dir).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let guard = Arc::default();
                *entry = Arc::downgrade(&guard);
                guard
            })
        };
        guard.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_repository_has_one_lock_and_unused_ones_are_dropped() {
        let repo_locks = RepoLocks::default();
        let held = repo_locks.lock("/one".into()).await;
        let waited = std::time::Duration::from_millis(20);
        assert!(
            tokio::time::timeout(waited, repo_locks.lock("/one".into()))
                .await
                .is_err()
        );
        let other = repo_locks.lock("/two".into()).await;
        drop((held, other));
        drop(repo_locks.lock("/one".into()).await);
        assert_eq!(repo_locks.0.lock().unwrap().len(), 1);
    }
}
