//! Queries and changes of the store.

use exomonad_schema::effects::Done;
use exomonad_schema::effects::kv::{KvDeleted, KvEntry, KvKeys};
use exomonad_schema::{RawJson, RoleName};
use rusqlite::{Connection, OptionalExtension, params};

use super::KvConfig;
use super::error::StoreError;

/// Sums over a role's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    keys: u64,
    bytes: u64,
}

pub(super) fn get(
    connection: &Connection,
    role: &RoleName,
    key: &str,
) -> Result<KvEntry, StoreError> {
    let json: Option<String> = connection
        .prepare_cached("SELECT value FROM entry WHERE role = ?1 AND key = ?2")?
        .query_row(params![role.as_str(), key.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(json) = json else {
        return Ok(KvEntry::default());
    };
    let value = RawJson::from_text(json).map_err(|_| StoreError::NotJson {
        role: role.to_string(),
        key: key.to_owned(),
    })?;
    Ok(KvEntry { found: true, value })
}

pub(super) fn set(
    connection: &Connection,
    config: &KvConfig,
    role: &RoleName,
    key: &str,
    value: &str,
) -> Result<Done, StoreError> {
    check(
        "the value's bytes",
        value.len() as u64,
        config.max_value_bytes,
        "max_value_bytes",
    )?;
    let before = usage(connection, role)?;
    let replaced = entry_bytes(connection, role, key)?;
    let after = Usage {
        keys: before.keys + u64::from(replaced.is_none()),
        bytes: before.bytes.saturating_sub(replaced.unwrap_or(0))
            + (key.len() + value.len()) as u64,
    };
    // Over a limit that was lowered since, a role may still replace and shrink.
    if after.keys > before.keys {
        check(
            "the role's keys",
            after.keys,
            config.max_keys_per_role,
            "max_keys_per_role",
        )?;
    }
    if after.bytes > before.bytes {
        check(
            "the role's bytes",
            after.bytes,
            config.max_bytes_per_role,
            "max_bytes_per_role",
        )?;
    }
    connection
        .prepare_cached(
            "INSERT INTO entry (role, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (role, key) DO UPDATE SET value = excluded.value",
        )?
        .execute(params![role.as_str(), key.as_bytes(), value])?;
    write_usage(connection, role, after)?;
    Ok(Done {})
}

pub(super) fn delete(
    connection: &Connection,
    role: &RoleName,
    key: &str,
) -> Result<KvDeleted, StoreError> {
    let Some(bytes) = entry_bytes(connection, role, key)? else {
        return Ok(KvDeleted { existed: false });
    };
    connection
        .prepare_cached("DELETE FROM entry WHERE role = ?1 AND key = ?2")?
        .execute(params![role.as_str(), key.as_bytes()])?;
    let before = usage(connection, role)?;
    let after = Usage {
        keys: before.keys.saturating_sub(1),
        bytes: before.bytes.saturating_sub(bytes),
    };
    write_usage(connection, role, after)?;
    Ok(KvDeleted { existed: true })
}

pub(super) fn list(
    connection: &Connection,
    role: &RoleName,
    prefix: &str,
    after: Option<&str>,
    limit: u64,
) -> Result<KvKeys, StoreError> {
    // Both bounds always, so that the index is walked from one to the other.
    let mut statement = connection.prepare_cached(
        "SELECT key FROM entry
         WHERE role = ?1 AND key >= ?2 AND key < ?3 AND key > ?4
         ORDER BY key LIMIT ?5",
    )?;
    let from = prefix.max(after.unwrap_or_default());
    let rows = statement.query_map(
        params![
            role.as_str(),
            from.as_bytes(),
            end_of_prefix(prefix),
            after.unwrap_or_default().as_bytes(),
            // One more shows if there is another page.
            limit.saturating_add(1),
        ],
        |row| row.get::<_, Vec<u8>>(0),
    )?;
    let mut keys = Vec::new();
    for key in rows {
        keys.push(String::from_utf8_lossy(&key?).into_owned());
    }
    let has_more = keys.len() as u64 > limit;
    if has_more {
        keys.pop();
    }
    let next = if has_more { keys.last().cloned() } else { None };
    Ok(KvKeys { keys, next })
}

/// The first bytes that come after everything with this prefix.
fn end_of_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        // No byte of UTF-8 is above 0xF4.
        Some(last) => *last += 1,
        None => end.push(0xFF),
    }
    end
}

fn check(
    what: &'static str,
    would_be: u64,
    limit: u64,
    name: &'static str,
) -> Result<(), StoreError> {
    if would_be > limit {
        return Err(StoreError::Quota {
            what,
            would_be,
            limit,
            name,
        });
    }
    Ok(())
}

/// The bytes of a key and its value; `None` when the key is absent.
fn entry_bytes(
    connection: &Connection,
    role: &RoleName,
    key: &str,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(
            "SELECT octet_length(key) + octet_length(value) FROM entry WHERE role = ?1 AND key = ?2",
        )?
        .query_row(params![role.as_str(), key.as_bytes()], |row| row.get(0))
        .optional()
}

fn usage(connection: &Connection, role: &RoleName) -> rusqlite::Result<Usage> {
    let usage = connection
        .prepare_cached("SELECT keys, bytes FROM usage WHERE role = ?1")?
        .query_row([role.as_str()], |row| {
            Ok(Usage {
                keys: row.get(0)?,
                bytes: row.get(1)?,
            })
        })
        .optional()?;
    Ok(usage.unwrap_or_default())
}

fn write_usage(connection: &Connection, role: &RoleName, usage: Usage) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO usage (role, keys, bytes) VALUES (?1, ?2, ?3)
             ON CONFLICT (role) DO UPDATE SET keys = excluded.keys, bytes = excluded.bytes",
        )?
        .execute(params![role.as_str(), usage.keys, usage.bytes])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;

    #[test]
    fn usage_is_the_sum_of_the_entries_after_any_change() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::apply(&mut connection).unwrap();
        let config = KvConfig::in_dir("unused");
        let role: RoleName = "tl".parse().unwrap();
        let transaction = connection.transaction().unwrap();
        for (key, value) in [
            ("a", "1"),
            ("é", "\"日本\""),
            ("a", "[1,2,3]"),
            ("n\0l", "null"),
        ] {
            set(&transaction, &config, &role, key, value).unwrap();
        }
        assert!(delete(&transaction, &role, "a").unwrap().existed);
        assert!(!delete(&transaction, &role, "a").unwrap().existed);
        let expected = Usage {
            keys: 2,
            bytes: ("é".len() + "\"日本\"".len() + "n\0l".len() + "null".len()) as u64,
        };
        assert_eq!(usage(&transaction, &role).unwrap(), expected);
    }

    #[test]
    fn the_end_of_a_prefix_comes_right_after_its_last_key() {
        let end = end_of_prefix("a/");
        assert!(&b"a/\xf4\x8f\xbf\xbf"[..] < end.as_slice());
        assert!(end.as_slice() <= &b"a0"[..]);
        assert!("\u{10ffff}".as_bytes() < end_of_prefix("").as_slice());
        assert!("\u{10ffff}z".as_bytes() < end_of_prefix("\u{10ffff}").as_slice());
    }
}
