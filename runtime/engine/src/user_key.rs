//! Keys of the user's own, kept in a state folder: that of the compile cache, without which nobody can write a file
//! that the cache takes, and whatever else a host has to recognize as its own later.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit};
use sha2::Sha256;

const KEY: usize = 32;
/// The file of the compile cache's key.
pub(crate) const CACHE: &str = "cache.key";
/// The block of SHA-256, which HMAC's keys fill.
const BLOCK: usize = 64;

/// A random key of this user, in a file that nobody else can read. The compile cache's is kept in the user's state
/// folder: a cache folder may come from somebody else, as in a cloned repository.
#[derive(Clone)]
pub struct UserKey([u8; KEY]);

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserKey")
    }
}

impl UserKey {
    /// The user's key, made at its first use. Where it cannot be kept, a key of this process: what it
    /// compiles is of no use to the next one, and nothing else is lost.
    pub(crate) fn of_user() -> io::Result<Self> {
        let kept = match state_folder() {
            Some(folder) => Self::kept(&folder.join("exomonad"), CACHE),
            None => Err(io::Error::other("neither XDG_STATE_HOME nor HOME is set")),
        };
        kept.or_else(|error| {
            tracing::warn!(
                %error,
                "the key of the compile cache cannot be kept, so plugins are compiled at each start; \
                 XDG_STATE_HOME names a folder that can be written"
            );
            Self::random()
        })
    }

    /// The key that is kept in this file of a folder, made at its first use.
    ///
    /// # Errors
    /// If it cannot be kept, or others could have read it.
    pub fn kept(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        loop {
            match Self::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                read => return read,
            }
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            let part = folder.join(format!("{name}.{}.{}", std::process::id(), random_name()?));
            let new = Self::random()?;
            let mut open = fs::OpenOptions::new();
            let opened = open.write(true).create_new(true).mode(0o600).open(&part);
            let written = opened.and_then(|mut file| {
                file.write_all(&new.0)?;
                file.sync_all()?;
                // Unlike a rename this leaves a key alone that another process has made meanwhile.
                match fs::hard_link(&part, &path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => Ok(()),
                }
            });
            let _ = fs::remove_file(&part);
            written?;
        }
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let about = file.metadata()?;
        let own = fs::metadata("/proc/self").map_or(about.uid(), |me| me.uid());
        if !about.is_file() || about.uid() != own || about.mode() & 0o077 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} has to be the user's own, with mode 600", path.display()),
            ));
        }
        let mut key = [0; KEY];
        file.read_exact(&mut key)?;
        Ok(Self(key))
    }

    /// A key of this process.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn random() -> io::Result<Self> {
        let mut key = [0; KEY];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(key))
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Begins a code over what is put into it (HMAC-SHA-256).
    pub(crate) fn begin(&self) -> Hmac<Sha256> {
        // A shorter key is filled up with zeros; by this length no key can be of a wrong one.
        let mut block = [0; BLOCK];
        block[..KEY].copy_from_slice(&self.0);
        Hmac::new(&block.into())
    }
}

fn random_name() -> io::Result<String> {
    let random = UserKey::random()?;
    Ok(random.0[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// `$XDG_STATE_HOME`, or the folder that the XDG specification has in its place.
fn state_folder() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use hmac::Mac;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        let keys: Vec<[u8; KEY]> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| UserKey::kept(&folder, CACHE).unwrap().0))
                .collect();
            all.into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        let path = folder.join("cache.key");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            UserKey::kept(&folder, CACHE).is_err(),
            "others have read it"
        );
    }

    #[test]
    fn the_code_is_that_of_rfc_4231() {
        let mut key = [0; KEY];
        key[..20].fill(0x0b);
        // HMAC fills a key up with zeros, so that this is the key of the RFC's first test.
        let key = UserKey(key);
        let mut code = key.begin();
        code.update(b"Hi There");
        let code: String = code
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            code,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
