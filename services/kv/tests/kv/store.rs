//! The service as a test sees it.

use std::path::Path;
use std::sync::Arc;

use exomonad_core::{CallContext, KvService};
use exomonad_kv::{Kv, KvConfig};
use exomonad_schema::effects::kv::*;
use exomonad_schema::{CallId, EffectError, RawJson};

/// The service, asked by one role.
pub struct Store {
    kv: Arc<Kv>,
    call: CallContext,
}

impl Store {
    /// Role `tl`'s view of the file in `dir`.
    pub fn open(dir: &Path) -> Self {
        Self::with(KvConfig::in_dir(dir))
    }

    pub fn with(config: KvConfig) -> Self {
        Self {
            kv: Arc::new(Kv::open(config).unwrap()),
            call: call("tl"),
        }
    }

    /// The same service, asked by another role.
    pub fn of_role(&self, role: &str) -> Self {
        Self {
            kv: self.kv.clone(),
            call: call(role),
        }
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, EffectError> {
        let key = key.try_into().unwrap();
        let entry = self.kv.get(&self.call, KvGet { key }).await?;
        Ok(entry.found.then(|| entry.value.get().to_owned()))
    }

    pub async fn set(&self, key: &str, json: &str) -> Result<(), EffectError> {
        let request = KvSet {
            key: key.try_into().unwrap(),
            value: RawJson::from_text(json.to_owned()).unwrap(),
        };
        self.kv.set(&self.call, request).await.map(|_| ())
    }

    pub async fn delete(&self, key: &str) -> Result<bool, EffectError> {
        let key = key.try_into().unwrap();
        let deleted = self.kv.delete(&self.call, KvDelete { key }).await?;
        Ok(deleted.existed)
    }

    pub async fn page(&self, prefix: &str, after: Option<&str>, limit: u64) -> KvKeys {
        let request = KvList {
            prefix: prefix.try_into().unwrap(),
            limit: limit.try_into().unwrap(),
            after: after.map(|key| key.try_into().unwrap()),
        };
        self.kv.list(&self.call, request).await.unwrap()
    }

    /// All keys, page by page.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(prefix, after.as_deref(), 100).await;
            keys.extend(page.keys);
            match page.next {
                Some(next) => after = Some(next),
                None => return keys,
            }
        }
    }
}

fn call(role: &str) -> CallContext {
    CallContext::new(role.parse().unwrap(), CallId::from(7))
}

/// The result of SQLite's own check of the whole file.
pub fn integrity(dir: &Path) -> String {
    let connection = rusqlite::Connection::open(dir.join("state.sqlite3")).unwrap();
    connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap()
}

/// True if each role's quota counts are the sums over its entries.
pub fn usage_adds_up(dir: &Path) -> bool {
    let connection = rusqlite::Connection::open(dir.join("state.sqlite3")).unwrap();
    let query = "SELECT count(*) FROM usage JOIN (
                     SELECT role, count(*) AS keys,
                            sum(octet_length(key) + octet_length(value)) AS bytes
                     FROM entry GROUP BY role
                 ) AS actual USING (role)
                 WHERE usage.keys != actual.keys OR usage.bytes != actual.bytes";
    let wrong: i64 = connection.query_row(query, [], |row| row.get(0)).unwrap();
    wrong == 0
}
