//! The compile cache: compiled modules on disk, by the hash of what they were compiled from.
//!
//! Machine code that is read back is run, so the cache trusts only what this user wrote: its folder is
//! closed to others, and every file carries a checksum that a torn or damaged one fails. A cache that
//! cannot be used costs time and nothing else.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Module;

use crate::Snapshot;
use crate::link::SourceModule;

/// What a file of the cache begins with; the number changes when the layout or the linker does.
const MAGIC: &[u8] = b"exomonad compiled 1\n";
const CHECKSUM: usize = 32;

/// A folder of compiled modules.
#[derive(Clone, Debug)]
pub struct CompileCache {
    folder: PathBuf,
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
        Ok(Self { folder })
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
    #[expect(
        unsafe_code,
        reason = "deserialising is unsafe for bytes that wasmtime did not write"
    )]
    pub(crate) fn get(&self, engine: &wasmtime::Engine, key: &str) -> Option<Found> {
        let path = self.path(key);
        let content = fs::read(&path).ok()?;
        let checked = content
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_at_checked(CHECKSUM));
        let checked =
            checked.filter(|(checksum, body)| Sha256::digest(body).as_slice() == *checksum);
        let Some((_, body)) = checked else {
            tracing::warn!(path = %path.display(), "a damaged file in the compile cache is ignored");
            return None;
        };
        let length = usize::from(u16::from_le_bytes([*body.first()?, *body.get(1)?]));
        let (about, compiled) = body.get(2..)?.split_at_checked(length)?;
        let snapshot = serde_json::from_slice(about).ok()?;
        // SAFETY: `put` wrote these bytes from a module of wasmtime's: the folder is closed to others
        // (`open`), the checksum shows that they are whole, and wasmtime itself refuses another version.
        let module = unsafe { Module::deserialize(engine, compiled) };
        match module {
            Ok(module) => Some(Found { module, snapshot }),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "the compile cache holds it for another engine");
                None
            }
        }
    }

    /// Keeps a compiled module. Failing (a full disk) costs the next start its time, nothing else.
    pub(crate) fn put(&self, key: &str, module: &Module, snapshot: &Snapshot) {
        let path = self.path(key);
        let written = module
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|compiled| self.write(&path, &compiled, snapshot));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin could not be cached");
        }
    }

    fn write(&self, path: &Path, compiled: &[u8], snapshot: &Snapshot) -> io::Result<()> {
        let about = serde_json::to_vec(snapshot)?;
        let length = u16::try_from(about.len()).map_err(io::Error::other)?;
        let mut body = length.to_le_bytes().to_vec();
        body.extend_from_slice(&about);
        body.extend_from_slice(compiled);
        let part = path.with_extension(format!("{}.part", std::process::id()));
        let written = fs::File::create(&part).and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(Sha256::digest(&body).as_slice())?;
            file.write_all(&body)?;
            file.sync_all()?;
            fs::rename(&part, path)
        });
        if written.is_err() {
            // What was half written is of no use; that it is gone is all that can be wished for here.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.cwasm"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
