//! A cache of responses, which are requested again with their `ETag`: GitHub says 304
//! when they still hold, which costs nothing of the rate limit.
//!
//! Nothing is answered from here without GitHub confirming it first, so a token
//! that was revoked reads nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderValue;

/// A successful response, as far as it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// True if GitHub has a page after this one.
    pub(super) has_next: bool,
}

/// A cached response and its `ETag`.
#[derive(Clone, Debug)]
pub(super) struct CachedReply {
    pub(super) etag: HeaderValue,
    pub(super) reply: Reply,
}

/// Responses by URL, up to a number of bytes; the least recently used goes first.
pub(super) struct Cache {
    max_bytes: usize,
    kept: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_url: HashMap<String, Entry>,
    /// The URLs in the order of their last use.
    by_use: BTreeMap<u64, String>,
    uses: u64,
    bytes: usize,
}

struct Entry {
    cached: CachedReply,
    bytes: usize,
    used: u64,
}

/// Bytes an entry takes beside its texts, roughly.
const OVERHEAD: usize = 256;

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            kept: Mutex::default(),
        }
    }

    pub(super) fn get(&self, url: &str) -> Option<CachedReply> {
        let mut kept = self.lock();
        let Entries {
            by_url,
            by_use,
            uses,
            ..
        } = &mut *kept;
        let entry = by_url.get_mut(url)?;
        if let Some(url) = by_use.remove(&entry.used) {
            *uses += 1;
            entry.used = *uses;
            by_use.insert(entry.used, url);
        }
        Some(entry.cached.clone())
    }

    pub(super) fn put(&self, url: String, cached: CachedReply) {
        let bytes = OVERHEAD + 2 * url.len() + cached.etag.len() + cached.reply.body.len();
        let mut kept = self.lock();
        kept.remove(&url);
        // One large answer shall not push out all others.
        if bytes > self.max_bytes / 4 {
            return;
        }
        while kept.bytes + bytes > self.max_bytes && kept.remove_oldest() {}
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += bytes;
        kept.by_use.insert(used, url.clone());
        kept.by_url.insert(
            url,
            Entry {
                cached,
                bytes,
                used,
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, url: &str) {
        if let Some(entry) = self.by_url.remove(url) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    fn remove_oldest(&mut self) -> bool {
        match self.by_use.pop_first() {
            Some((_, url)) => {
                self.remove(&url);
                true
            }
            None => false,
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock();
        formatter
            .debug_struct("Cache")
            .field("answers", &kept.by_url.len())
            .field("bytes", &kept.bytes)
            .field("max_bytes", &self.max_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(length: usize) -> CachedReply {
        CachedReply {
            etag: HeaderValue::from_static("\"1\""),
            reply: Reply {
                body: Bytes::from(vec![b'x'; length]),
                has_next: true,
            },
        }
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_bound_holds() {
        let cache = Cache::new(8_000);
        for url in ["a", "b", "c", "d"] {
            cache.put(url.to_owned(), cached(1_500));
        }
        assert!(cache.get("a").is_some());
        cache.put("e".to_owned(), cached(1_500));
        assert!(cache.get("b").is_none(), "the oldest stayed");
        assert!(cache.get("a").is_some() && cache.get("e").is_some());
        assert!(cache.lock().bytes <= 8_000);
        let kept = cache.lock();
        assert_eq!(kept.by_use.len(), kept.by_url.len());
    }

    #[test]
    fn a_response_too_large_to_cache_evicts_only_the_one_it_replaces() {
        let cache = Cache::new(8_000);
        cache.put("a".to_owned(), cached(100));
        cache.put("b".to_owned(), cached(100));
        cache.put("a".to_owned(), cached(7_000));
        assert!(cache.get("a").is_none());
        assert!(cache.get("b").is_some());
        let none = Cache::new(0);
        none.put("a".to_owned(), cached(0));
        assert!(none.get("a").is_none());
    }
}
