//! The key-value service: stores JSON values under keys, separately for each role.
//!
//! One SQLite file, `state.sqlite3`, in the state folder. It is made by the
//! first write; until then every key is absent.
//!
//! **Durability.** When a write has been answered it is on disk:
//! the file is in WAL mode with `synchronous=FULL`, so each commit is synced and
//! survives a killed host as well as a power cut. A write that fails changes
//! nothing. A call dropped while its write is under way may or may not have
//! written, but never half.
//!
//! **Threads.** The work is done on blocking threads, over a few connections kept
//! open; reads go on while one write is under way. Other processes may use the
//! file at the same time.
//!
//! **Faults.** When something is wrong with the file (disk full, read-only, damaged) the
//! effect is `unavailable`, the host's log says which file and why, the
//! connection is closed and the next effect opens another. Nothing is ever
//! deleted or rebuilt automatically.
//!
//! | module | subject |
//! |---|---|
//! | `config` | location and quotas |
//! | `pool` | connections and threads |
//! | `connection` | opening the file |
//! | `migrations` | its tables, version by version |
//! | `store` | queries and changes |
//! | `error` | errors |

mod config;
mod connection;
mod error;
mod migrations;
mod pool;
mod store;

use exomonad_core::{CallContext, KvService};
use exomonad_schema::effects::Done;
use exomonad_schema::effects::kv::{KvDelete, KvDeleted, KvEntry, KvGet, KvKeys, KvList, KvSet};
use exomonad_schema::{EffectError, EffectKind, RoleName};
use rusqlite::Connection;

pub use config::{FILE_NAME, KvConfig};
pub use connection::{open_existing, open_or_create};
pub use error::{KvOpenError, StoreError};

use pool::Pool;

/// The key-value service.
#[derive(Debug)]
pub struct Kv {
    pool: Pool,
}

impl Kv {
    /// Prepares the service, and checks the file when there is one. Blocks
    /// for some milliseconds.
    ///
    /// A file that cannot be opened for now, because of a full disk or missing
    /// permissions, is no error here: effects are `unavailable` until it can be.
    ///
    /// # Errors
    /// When a limit is zero, or the file needs an operator: it is
    /// damaged, no SQLite database, or written by a newer exomonad.
    pub fn open(config: KvConfig) -> Result<Self, KvOpenError> {
        config.check()?;
        connection::inspect(&config)?;
        Ok(Self {
            pool: Pool::new(config),
        })
    }

    /// Closes the connections that no effect uses. With the last one SQLite writes its log into the file and
    /// removes it, so that the file can be copied, or replaced, alone. The next effect opens another
    /// connection. Blocks for some milliseconds.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Writes a value, within a transaction over the same file that somebody else has begun: a workflow's write and
/// the entry of its history are one.
///
/// # Errors
/// If a quota would be exceeded, or the file cannot be written.
pub fn set_within(
    connection: &Connection,
    config: &KvConfig,
    role: &RoleName,
    request: &KvSet,
) -> Result<Done, StoreError> {
    store::set(connection, config, role, &request.key, request.value.get())
}

/// Removes a key, within a transaction that somebody else has begun; see [`set_within`].
///
/// # Errors
/// If the file cannot be written.
pub fn delete_within(
    connection: &Connection,
    role: &RoleName,
    request: &KvDelete,
) -> Result<KvDeleted, StoreError> {
    store::delete(connection, role, &request.key)
}

impl KvService for Kv {
    async fn get(&self, call: &CallContext, request: KvGet) -> Result<KvEntry, EffectError> {
        let role = call.role.clone();
        self.pool
            .read(EffectKind::KvGet, move |connection| {
                store::get(connection, &role, &request.key)
            })
            .await
    }

    async fn set(&self, call: &CallContext, request: KvSet) -> Result<Done, EffectError> {
        if let Some(writer) = &call.kv_writer {
            return writer.set(request).await;
        }
        let role = call.role.clone();
        self.pool
            .write(EffectKind::KvSet, move |transaction, config| {
                store::set(
                    transaction,
                    config,
                    &role,
                    &request.key,
                    request.value.get(),
                )
            })
            .await
    }

    async fn delete(
        &self,
        call: &CallContext,
        request: KvDelete,
    ) -> Result<KvDeleted, EffectError> {
        if let Some(writer) = &call.kv_writer {
            return writer.delete(request).await;
        }
        let role = call.role.clone();
        self.pool
            .write(EffectKind::KvDelete, move |transaction, _| {
                store::delete(transaction, &role, &request.key)
            })
            .await
    }

    async fn list(&self, call: &CallContext, request: KvList) -> Result<KvKeys, EffectError> {
        let role = call.role.clone();
        self.pool
            .read(EffectKind::KvList, move |connection| {
                let after = request.after.as_deref();
                store::list(
                    connection,
                    &role,
                    &request.prefix,
                    after,
                    request.limit.get(),
                )
            })
            .await
    }
}
