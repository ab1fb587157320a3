//! The compile cache: compiled modules on disk, by the hash of what they were compiled from.
//!
//! Machine code that is read back is run, so the cache trusts only what this user wrote: its folder is
//! closed to others, every file must be the user's own, and carries a checksum that a torn or damaged one
//! fails. A file is mapped, not read: what a plugin does not use takes no memory. It only ever appears
//! whole, under its name, and is never written to again.
//!
//! When the cache outgrows its bound, what was not used for longest goes. A cache that cannot be used
//! costs time and nothing else.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Module;

use crate::Snapshot;
use crate::link::SourceModule;

/// What a file of the cache ends with; the number changes when the layout or the linker does. Before it
/// come, from the front: the compiled module, what became of its initialisation as JSON, the length of
/// that (`u16`, little-endian), and the SHA-256 of all this.
const MAGIC: &[u8] = b"exomonad compiled 2\n";
const CHECKSUM: usize = 32;
/// The bytes that all files together may have: some hundred plugins.
const MOST_BYTES: u64 = 1 << 30;
/// Half-written files of a host that was killed are removed when they are this old.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How compiled modules are named, and while they are written.
const COMPILED: &str = "cwasm";
const PART: &str = "part";

/// A folder of compiled modules.
#[derive(Clone, Debug)]
pub struct CompileCache {
    folder: PathBuf,
    owner: u32,
    lookups: Arc<Lookups>,
}

/// How often something was found, and how often not.
#[derive(Debug, Default)]
struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

pub(crate) struct Found {
    pub module: Module,
    pub snapshot: Snapshot,
}

impl CompileCache {
    /// Opens the folder, making it if it isn't there.
    ///
    /// # Errors
    /// If it cannot be made, or others can write to it.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        let about = fs::metadata(&folder)?;
        // The owner of one's own entry in /proc is the user that the process acts as.
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
            lookups: Arc::default(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes and the number of files that the cache holds.
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

    /// How often a compiled module was found since the cache was opened, and how often not.
    #[must_use]
    pub fn lookups(&self) -> (u64, u64) {
        let count = |lookups: &AtomicU64| lookups.load(Ordering::Relaxed);
        (count(&self.lookups.hits), count(&self.lookups.misses))
    }

    /// The SHA-256 over all modules of a plugin, in hexadecimal; of a single module, its own.
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

    /// The key of what these linked bytes compile to under this engine.
    pub(crate) fn key(linked: &[u8], snapshot: bool, engine: &wasmtime::Engine) -> String {
        use std::hash::{Hash, Hasher};

        /// Feeds what the engine says about itself to SHA-256.
        struct Feed(Sha256);
        impl Hasher for Feed {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut hash = Feed(Sha256::new_with_prefix(MAGIC));
        engine.precompile_compatibility_hash().hash(&mut hash);
        snapshot.hash(&mut hash);
        hash.0.update(linked);
        hex(&hash.0.finalize())
    }

    /// What is kept under this key. A file that is damaged, or of another engine, is as good as none.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, key: &str) -> Option<Found> {
        let found = self.look_up(engine, key);
        let count = match &found {
            Some(_) => &self.lookups.hits,
            None => &self.lookups.misses,
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn look_up(&self, engine: &wasmtime::Engine, key: &str) -> Option<Found> {
        let path = self.path(key);
        let file = fs::File::open(&path).ok()?;
        match self.read(file, engine) {
            Ok(found) => Some(found),
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
    fn read(&self, mut file: fs::File, engine: &wasmtime::Engine) -> Result<Found, String> {
        let says = |error: io::Error| error.to_string();
        let about = file.metadata().map_err(says)?;
        if about.uid() != self.owner || about.permissions().mode() & 0o022 != 0 {
            return Err("it belongs to another user, or others may write to it".to_owned());
        }
        let snapshot = checked(&file, about.len())
            .map_err(says)?
            .ok_or("it is damaged")?;
        // What is used stays. A file system that keeps no times loses the oldest instead.
        let _ = file.set_modified(SystemTime::now());
        // SAFETY: `put` wrote this file from a module of wasmtime's: it is this user's and nobody else may
        // write to it, its checksum shows that it is whole, and it was renamed into place, which never
        // changes it afterwards. Wasmtime itself refuses what another version or configuration compiled.
        let mapped = file.try_clone().map_err(says)?;
        let module = unsafe { Module::deserialize_open_file(engine, mapped) };
        let module = module.or_else(|_| {
            // Nothing can be run from a file system mounted `noexec`; from a copy of it, it can.
            let mut content = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut content)?;
            // SAFETY: as above.
            unsafe { Module::deserialize(engine, content) }
        });
        let module = module.map_err(|error: wasmtime::Error| format!("{error:#}"))?;
        Ok(Found { module, snapshot })
    }

    /// Keeps a compiled module. Failing (a full disk) costs the next start its time, nothing else.
    pub(crate) fn put(&self, key: &str, module: &Module, snapshot: &Snapshot) {
        let path = self.path(key);
        let written = module
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|compiled| self.write(&path, compiled, snapshot))
            .and_then(|()| self.sweep(MOST_BYTES));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin could not be cached");
        }
    }

    fn write(&self, path: &Path, mut content: Vec<u8>, snapshot: &Snapshot) -> io::Result<()> {
        let about = serde_json::to_vec(snapshot)?;
        let length = u16::try_from(about.len()).map_err(io::Error::other)?;
        content.extend_from_slice(&about);
        content.extend_from_slice(&length.to_le_bytes());
        let checksum = Sha256::digest(&content);
        // Two roles may load the same plugin at once.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let part = path.with_extension(format!("{}-{number}.{PART}", std::process::id()));
        let mut open = fs::OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        let written = open.open(&part).and_then(|mut file| {
            file.write_all(&content)?;
            file.write_all(checksum.as_slice())?;
            file.write_all(MAGIC)?;
            file.sync_all()?;
            fs::rename(&part, path)
        });
        if written.is_err() {
            // What was half written is of no use; that it is gone is all that can be wished for here.
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Removes what was not used for longest until the cache has at most `most` bytes, and half-written
    /// files that nobody writes any more.
    fn sweep(&self, most: u64) -> io::Result<()> {
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            // Another host may have removed it meanwhile.
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
            // What is mapped stays until it is not any more.
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{COMPILED}"))
    }
}

/// What a whole file of this length says about its module; nothing if a single bit of it is not as it was
/// written. Large files do not go through memory in one piece.
fn checked(file: &fs::File, length: u64) -> io::Result<Option<Snapshot>> {
    let Some(body) = length.checked_sub((CHECKSUM + MAGIC.len()) as u64) else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    while at < body {
        let wanted = buffer
            .len()
            .min(usize::try_from(body - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut buffer[..wanted], at)?;
        hash.update(&buffer[..wanted]);
        at += wanted as u64;
    }
    let mut end = vec![0; CHECKSUM + MAGIC.len()];
    file.read_exact_at(&mut end, body)?;
    if end.strip_suffix(MAGIC) != Some(hash.finalize().as_slice()) {
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
    fn what_was_not_used_for_longest_goes_first_and_abandoned_parts_go_too() {
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
        cache.sweep(250).unwrap();
        assert!(!older.exists() && old.exists() && new.exists());
        assert!(!left.exists() && writing.exists() && strange.exists());
        cache.sweep(100).unwrap();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn a_module_comes_back_as_it_was_and_any_damage_is_noticed() {
        let (_folder, cache) = opened();
        let engine = wasmtime::Engine::default();
        let wasm = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let module = Module::new(&engine, wasm);
        let refused = Snapshot::Refused("it reads the clock".to_owned());
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
