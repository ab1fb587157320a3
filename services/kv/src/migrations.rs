//! Migrations of the file's tables.
//!
//! The version is SQLite's `user_version`: the number of entries of
//! [`MIGRATIONS`] that have been applied. An entry that has been released is
//! never changed; what comes after it is a new entry.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// The migrations. Keys are blobs, so that they order by their bytes and may hold NUL.
///
/// Those after the first are of the durable workflows (`runtime/workflow`): a `kv.set` of a workflow and the entry of
/// its history are one transaction, so they are in one file.
///
/// `usage` has the sums of a role's entries, so that a quota is checked by
/// reading one row; [`store`](super::store) writes both in one transaction.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE entry (
        role  TEXT NOT NULL,
        key   BLOB NOT NULL,
        value TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX entry_by_key ON entry (role, key);
    CREATE TABLE usage (
        role  TEXT NOT NULL PRIMARY KEY,
        keys  INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    include_str!("workflows.sql"),
    include_str!("workflows_2.sql"),
    include_str!("workflows_3.sql"),
    include_str!("workflows_4.sql"),
];

/// Migrates the file to the newest version in one transaction.
pub(super) fn apply(connection: &mut Connection) -> Result<(), StoreError> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for the lock.
    let applied = version(&transaction)?;
    let missing = MIGRATIONS.get(applied..).ok_or(StoreError::TooNew {
        found: applied,
        known: MIGRATIONS.len(),
    })?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    Ok(transaction.commit()?)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_twice_changes_nothing_and_a_newer_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply(&mut connection).unwrap();
        apply(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), MIGRATIONS.len());

        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = apply(&mut connection).unwrap_err();
        assert!(
            matches!(error, StoreError::TooNew { found: 99, .. }),
            "{error:?}"
        );
    }
}
