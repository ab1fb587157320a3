//! A pool of connections, and the threads that use them.

use std::sync::{Arc, Mutex, PoisonError};

use exomonad_schema::{EffectError, EffectKind};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::StoreError;
use super::{KvConfig, connection};

/// A few connections to one file, opened when they are needed.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    /// One permit per connection.
    connections: Arc<Semaphore>,
    /// SQLite has one writer at a time. Writers queue here, in order and holding
    /// no thread, rather than in its busy handler.
    writer: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    config: KvConfig,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(config: KvConfig) -> Self {
        let connections = config.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                config,
                idle: Mutex::new(Vec::new()),
            }),
            connections: Arc::new(Semaphore::new(connections)),
            writer: Arc::new(Semaphore::new(1)),
        }
    }

    /// Closes the idle connections.
    pub(super) fn close(&self) {
        let idle = std::mem::take(&mut *self.shared.lock_idle());
        drop(idle);
    }

    /// Reads; without a file the result is the empty one.
    pub(super) async fn read<T: Default + Send + 'static>(
        &self,
        kind: EffectKind,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EffectError> {
        self.run(kind, None, |shared| {
            let connection = match shared.take_idle() {
                Some(connection) => connection,
                None => match connection::open_existing(&shared.config)? {
                    Some(connection) => connection,
                    None => return Ok(T::default()),
                },
            };
            let result = work(&connection);
            shared.give_back(connection, &result);
            result
        })
        .await
    }

    /// Writes in one transaction.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        kind: EffectKind,
        work: impl FnOnce(&Transaction<'_>, &KvConfig) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EffectError> {
        let writer_permit = acquire(&self.writer, kind).await?;
        self.run(kind, Some(writer_permit), |shared| {
            let mut connection = match shared.take_idle() {
                Some(connection) => connection,
                None => connection::open_or_create(&shared.config)?,
            };
            let result = commit(&mut connection, |transaction| {
                work(transaction, &shared.config)
            });
            shared.give_back(connection, &result);
            result
        })
        .await
    }

    /// Works on a blocking thread. Dropping the future while the work is under
    /// way does not stop it; the permits stay with it to its end.
    async fn run<T: Send + 'static>(
        &self,
        kind: EffectKind,
        writer_permit: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EffectError> {
        let permit = acquire(&self.connections, kind).await?;
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || {
            let _held = (permit, writer_permit);
            work(&shared).map_err(|error| {
                if error.is_host_fault() {
                    let file = shared.config.file();
                    tracing::error!(%kind, file = %file.display(), %error, "the key-value store failed");
                }
                error.into_effect_error(kind)
            })
        })
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%kind, %error, "a kv effect failed in the host");
            Err(EffectError::internal(format!(
                "{kind}: the key-value store failed in the host; its log says more"
            )))
        })
    }
}

impl Shared {
    fn take_idle(&self) -> Option<Connection> {
        self.lock_idle().pop()
    }

    /// Returns a connection to the pool, unless its last error makes it doubtful.
    fn give_back<T>(&self, connection: Connection, result: &Result<T, StoreError>) {
        if result
            .as_ref()
            .err()
            .is_none_or(|error| !error.is_host_fault())
        {
            self.lock_idle().push(connection);
        }
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections is whole whatever panicked beside it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

async fn acquire(
    semaphore: &Arc<Semaphore>,
    kind: EffectKind,
) -> Result<OwnedSemaphorePermit, EffectError> {
    semaphore
        .clone()
        .acquire_owned()
        .await
        .map_err(|_| EffectError::internal(format!("{kind}: the host is stopping")))
}
