//! The compile cache: compiled modules on disk, keyed by the hash of their source.
//!
//! Cached machine code is executed, so the cache trusts only files that this user wrote: its folder is
//! closed to others, every file must belong to the user and carries a code made with the user's key
//! ([`UserKey`]), which incomplete, damaged and foreign files fail: a folder that was cloned or unpacked has
//! files that are the user's own and were written by somebody else. A file is mapped, not read, so that unused
//! code takes no memory. Files appear atomically, under their final name, and are never modified.
//!
//! When the cache exceeds its size limit, the least recently used files are removed. An unusable cache
//! costs time and nothing else.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hmac::Mac;
use sha2::{Digest, Sha256};
use wasmtime::Module;

use crate::link::SourceModule;
use crate::user_key::UserKey;
use crate::{SnapshotPolicy, SnapshotStatus};

/// The end of each cache file; the number changes when the layout, the linker or what a snapshot may hold does. Before it
/// come, from the front: the compiled module, the snapshot status as JSON, the length of
/// that JSON (`u16`, little-endian), and the HMAC-SHA-256 of the file's key and all this.
const MAGIC: &[u8] = b"exomonad compiled 5\n";
const CODE: usize = 32;
/// The maximum size of all files together: some hundred plugins.
const MAX_BYTES: u64 = 1 << 30;
/// The age from which partial files are removed, which a killed host left behind.
const ABANDONED: Duration = Duration::from_secs(3600);
const FOREIGN: &str = "it is damaged, or this user's host did not write it";
/// The extensions of compiled modules and of partial files.
const COMPILED: &str = "cwasm";
const PART: &str = "part";

/// A folder of compiled modules.
#[derive(Clone, Debug)]
pub struct CompileCache {
    folder: PathBuf,
    owner: u32,
    key: UserKey,
    lookups: Arc<Lookups>,
}

/// Counters of hits and misses.
#[derive(Debug, Default)]
struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

pub(crate) struct CachedModule {
    pub module: Module,
    pub snapshot: SnapshotStatus,
}

impl CompileCache {
    /// Opens the folder, creating it if necessary.
    ///
    /// # Errors
    /// If it cannot be created, or others can write to it.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let about = fs::metadata(&folder)?;
        // The owner of the process's own entry in /proc is its effective user.
        let own = fs::metadata("/proc/self").map_or(about.uid(), |me| me.uid());
        if about.uid() != own {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} belongs to another user", folder.display()),
            ));
        }
        let permissions = about.permissions().mode();
        if permissions & 0o022 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "others may write to {} (mode {:o}): chmod 700 it",
                    folder.display(),
                    permissions & 0o777
                ),
            ));
        }
        Ok(Self {
            folder,
            owner: own,
            key: UserKey::of_user()?,
            lookups: Arc::default(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The size in bytes and the number of files.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn size(&self) -> io::Result<(u64, u64)> {
        let mut size = (0, 0);
        for entry in fs::read_dir(&self.folder)? {
            size = (size.0 + entry?.metadata()?.size(), size.1 + 1);
        }
        Ok(size)
    }

    /// The numbers of hits and of misses since the cache was opened.
    #[must_use]
    pub fn lookups(&self) -> (u64, u64) {
        let count = |lookups: &AtomicU64| lookups.load(Ordering::Relaxed);
        (count(&self.lookups.hits), count(&self.lookups.misses))
    }

    /// The SHA-256 of all modules of a plugin, in hexadecimal; of a single module, its own.
    pub(crate) fn digest(modules: &[SourceModule]) -> String {
        let mut hash = Sha256::new();
        for module in modules {
            if modules.len() > 1 {
                hash.update((module.name.len() as u64).to_le_bytes());
                hash.update(&module.name);
                hash.update((module.wasm.len() as u64).to_le_bytes());
            }
            hash.update(&module.wasm);
        }
        hex(&hash.finalize())
    }

    /// The key of a linked module under this engine.
    pub(crate) fn key(
        linked: &[u8],
        snapshot: SnapshotPolicy,
        engine: &wasmtime::Engine,
    ) -> String {
        use std::hash::{Hash, Hasher};

        /// Passes the engine's hash input on to SHA-256.
        struct HashAdapter(Sha256);
        impl Hasher for HashAdapter {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut hash = HashAdapter(Sha256::new_with_prefix(MAGIC));
        engine.precompile_compatibility_hash().hash(&mut hash);
        snapshot.hash(&mut hash);
        hash.0.update(linked);
        hex(&hash.0.finalize())
    }

    /// The module under this key. A file that is damaged, or of another engine, counts as missing.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, key: &str) -> Option<CachedModule> {
        let found = self.look_up(engine, key);
        let count = match &found {
            Some(_) => &self.lookups.hits,
            None => &self.lookups.misses,
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn look_up(&self, engine: &wasmtime::Engine, key: &str) -> Option<CachedModule> {
        let path = self.path(key);
        let file = fs::File::open(&path).ok()?;
        match self.read(file, key, engine) {
            Ok(found) => Some(found),
            // As of a folder that several users share, or of another machine.
            Err(reason) if reason == FOREIGN => {
                tracing::info!(path = %path.display(), reason, "a file in the compile cache is ignored");
                None
            }
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "a file in the compile cache is ignored");
                None
            }
        }
    }

    #[expect(
        unsafe_code,
        reason = "deserialising is unsafe for bytes that wasmtime did not write"
    )]
    fn read(
        &self,
        mut file: fs::File,
        key: &str,
        engine: &wasmtime::Engine,
    ) -> Result<CachedModule, String> {
        let message = |error: io::Error| error.to_string();
        let about = file.metadata().map_err(message)?;
        if about.uid() != self.owner || about.permissions().mode() & 0o022 != 0 {
            return Err("it belongs to another user, or others may write to it".to_owned());
        }
        let snapshot = self
            .verify(&file, key, about.len())
            .map_err(message)?
            .ok_or(FOREIGN)?;
        // Marks the file as recently used. Without modification times the oldest file is removed first.
        let _ = file.set_modified(SystemTime::now());
        // SAFETY: `put` wrote this file from a module of wasmtime's: it is this user's and nobody else may
        // write to it, its code shows that it is complete and was written by who has the user's key, and it
        // was renamed into place, after which nothing changes it. Wasmtime itself refuses modules of another
        // version or configuration.
        let mapped = file.try_clone().map_err(message)?;
        let module = unsafe { Module::deserialize_open_file(engine, mapped) };
        let module = module.or_else(|_| {
            // A file system mounted `noexec` allows no executable mapping; a copy in memory works.
            let mut content = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut content)?;
            // SAFETY: as above.
            unsafe { Module::deserialize(engine, content) }
        });
        let module = module.map_err(|error: wasmtime::Error| format!("{error:#}"))?;
        Ok(CachedModule { module, snapshot })
    }

    /// Stores a compiled module. A failure (such as a full disk) only costs the next start its time.
    pub(crate) fn put(&self, key: &str, module: &Module, snapshot: &SnapshotStatus) {
        let path = self.path(key);
        let written = module
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|compiled| self.write(&path, key, compiled, snapshot))
            .and_then(|()| self.evict(MAX_BYTES));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin could not be cached");
        }
    }

    fn write(
        &self,
        path: &Path,
        key: &str,
        mut content: Vec<u8>,
        snapshot: &SnapshotStatus,
    ) -> io::Result<()> {
        let about = serde_json::to_vec(snapshot)?;
        let length = u16::try_from(about.len()).map_err(io::Error::other)?;
        content.extend_from_slice(&about);
        content.extend_from_slice(&length.to_le_bytes());
        let mut code = self.key.begin();
        code.update(key.as_bytes());
        code.update(&content);
        let code = code.finalize().into_bytes();
        // Two roles may load the same plugin at the same time.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let part = path.with_extension(format!("{}-{number}.{PART}", std::process::id()));
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        let written = open.open(&part).and_then(|mut file| {
            file.write_all(&content)?;
            file.write_all(&code)?;
            file.write_all(MAGIC)?;
            file.sync_all()?;
            fs::rename(&part, path)
        });
        if written.is_err() {
            // A partial file is useless; if it cannot be removed either, there is nothing else to do.
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Removes the least recently used files until the cache has at most `most` bytes, and partial files
    /// that nobody writes any more.
    fn evict(&self, most: u64) -> io::Result<()> {
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            // Another host may have removed it in the meantime.
            let Ok(about) = entry.metadata() else {
                continue;
            };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match extension {
                Some(COMPILED) => {
                    bytes += about.len();
                    files.push((used, about.len(), path));
                }
                Some(PART) if used.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        files.sort();
        for (_, length, path) in files {
            if bytes <= most {
                break;
            }
            // A file that is mapped stays usable until it is unmapped.
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }

    /// The snapshot status of a complete file of this length; `None` if any bit of the file is damaged, or its
    /// code is of another key. Large files are not read into memory as a whole.
    fn verify(
        &self,
        file: &fs::File,
        key: &str,
        length: u64,
    ) -> io::Result<Option<SnapshotStatus>> {
        let Some(body) = length.checked_sub((CODE + MAGIC.len()) as u64) else {
            return Ok(None);
        };
        let mut code = self.key.begin();
        code.update(key.as_bytes());
        let mut buffer = vec![0; 64 << 10];
        let mut at = 0;
        while at < body {
            let wanted = buffer
                .len()
                .min(usize::try_from(body - at).unwrap_or(usize::MAX));
            file.read_exact_at(&mut buffer[..wanted], at)?;
            code.update(&buffer[..wanted]);
            at += wanted as u64;
        }
        let mut end = vec![0; CODE + MAGIC.len()];
        file.read_exact_at(&mut end, body)?;
        let is_own = end
            .strip_suffix(MAGIC)
            .is_some_and(|written| code.verify_slice(written).is_ok());
        if !is_own {
            return Ok(None);
        }
        let mut length = [0; 2];
        let about = |before: u64, bytes: &mut [u8]| match body.checked_sub(before) {
            Some(at) => file.read_exact_at(bytes, at),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        about(2, &mut length)?;
        let length = u16::from_le_bytes(length);
        let mut json = vec![0; usize::from(length)];
        about(2 + u64::from(length), &mut json)?;
        Ok(serde_json::from_slice(&json).ok())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{COMPILED}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> (tempfile::TempDir, CompileCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::open(folder.path().join("cache")).unwrap();
        (folder, cache)
    }

    #[test]
    fn the_least_recently_used_files_and_abandoned_parts_are_removed() {
        let (_folder, cache) = opened();
        let file = |name: &str, age: u64| {
            let path = cache.folder().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            let opened = fs::File::options().write(true).open(&path).unwrap();
            opened.set_modified(time).unwrap();
            path
        };
        let (old, older) = (file("b.cwasm", 20), file("a.cwasm", 30));
        let (new, strange) = (file("c.cwasm", 1), file("notes.txt", 99_999));
        let (left, writing) = (file("d.1.part", 7200), file("e.2.part", 5));
        cache.evict(250).unwrap();
        assert!(!older.exists() && old.exists() && new.exists());
        assert!(!left.exists() && writing.exists() && strange.exists());
        cache.evict(100).unwrap();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn a_file_of_another_key_or_under_another_name_is_not_taken() {
        let (folder, cache) = opened();
        let engine = wasmtime::Engine::default();
        let module = Module::new(&engine, wat::parse_str("(module)").unwrap()).unwrap();
        cache.put("key", &module, &SnapshotStatus::Off);
        assert!(cache.get(&engine, "key").is_some());
        fs::copy(cache.path("key"), cache.path("other")).unwrap();
        assert!(
            cache.get(&engine, "other").is_none(),
            "a file is of one module"
        );
        let foreign = CompileCache {
            key: UserKey::kept(&folder.path().join("elsewhere"), crate::user_key::CACHE).unwrap(),
            ..cache
        };
        assert!(foreign.get(&engine, "key").is_none());
    }

    #[test]
    fn a_cached_module_is_unchanged_and_any_damage_is_detected() {
        let (_folder, cache) = opened();
        let engine = wasmtime::Engine::default();
        let wasm = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let module = Module::new(&engine, wasm);
        let refused = SnapshotStatus::Refused("it reads the clock".to_owned());
        cache.put("key", &module.unwrap(), &refused);
        let found = cache.get(&engine, "key").unwrap();
        assert_eq!(found.snapshot, refused);
        assert_eq!(
            found
                .module
                .exports()
                .map(|export| export.name().to_owned())
                .collect::<Vec<_>>(),
            ["f"]
        );
        assert!(cache.get(&engine, "other").is_none());

        let path = cache.path("key");
        let whole = fs::read(&path).unwrap();
        let damaged = |content: &[u8]| {
            fs::remove_file(&path).unwrap();
            let mut open = fs::OpenOptions::new();
            let file = open.write(true).create(true).mode(0o600).open(&path);
            file.unwrap().write_all(content).unwrap();
            cache.get(&engine, "key").is_none()
        };
        for place in [0, 100, whole.len() / 2, whole.len() - 60, whole.len() - 1] {
            let mut content = whole.clone();
            content[place] ^= 1;
            assert!(damaged(&content), "byte {place}");
        }
        for length in [0, 1, MAGIC.len(), whole.len() - 1] {
            assert!(damaged(&whole[..length]), "{length} bytes");
        }
        assert!(!damaged(&whole));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(
            cache.get(&engine, "key").is_none(),
            "others may write to it"
        );
    }
}
