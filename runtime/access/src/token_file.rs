//! [`TokenFile`]: the tokens that the host has given out to callers by name.
//!
//! The file has the SHA-256 of each token and never the token. A slow hash, as passwords take, would add nothing: a
//! token is 256 random bits, so nobody finds it by trying, and each request would pay for the slowness.
//!
//! A host that runs looks at the file's times at each request and reads it again when they differ, so a token that is
//! revoked opens nothing from the next request on. A file that is there and cannot be read opens nothing: the roles
//! that it guards are not known then, so all are guarded.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_core::regular_file;
use exomonad_core::values::Scope;
use exomonad_schema::RoleName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The beginning of each token, by which people and scanners for secrets know it.
pub const PREFIX: &str = "exomonad_";
/// Random bytes of a token.
const RANDOM: usize = 32;
/// Tokens that there may be at once.
const MOST: usize = 1_000;
/// Bytes of the file, far more than so many tokens take.
const LARGEST: u64 = 4 << 20;
/// Bytes of a caller's name.
const LONGEST_NAME: usize = 64;
/// The name of the file in the state folder.
const NAME: &str = "tokens.json";
/// The version of its form.
const VERSION: u32 = 1;

/// The reason why the file of tokens cannot be used, or not as asked. Never holds a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not one of tokens, or other users can write it.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The request cannot be met.
    #[error("{0}")]
    Refused(String),
    /// No token has this name or id.
    #[error("there is no token `{0}`; `exomonad token list` shows those there are")]
    Unknown(String),
}

/// The roles that a token opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRoles {
    /// The whole host, as the operator's token does.
    Operator,
    /// Every role.
    All,
    /// These.
    Only(BTreeSet<RoleName>),
}

/// A token to make.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The caller's name.
    pub name: String,
    /// The roles that it opens.
    pub roles: TokenRoles,
    /// The parts of these roles; `None` for all.
    pub scopes: Option<Vec<Scope>>,
    /// When it ends.
    pub expires: Option<SystemTime>,
}

/// A token as it is listed: without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its id, by which it is told from others of the same caller.
    pub id: String,
    /// The caller's name.
    pub name: String,
    /// The roles that it opens.
    pub roles: TokenRoles,
    /// The parts of these roles; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    #[serde(with = "seconds")]
    pub created: SystemTime,
    /// When it ends.
    #[serde(
        default,
        with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<SystemTime>,
}

impl TokenInfo {
    /// True if it has ended.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// True if it opens this role.
    pub fn opens(&self, role: &RoleName) -> bool {
        match &self.roles {
            TokenRoles::Operator | TokenRoles::All => true,
            TokenRoles::Only(roles) => roles.contains(role),
        }
    }
}

/// A token in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    info: TokenInfo,
    /// The SHA-256 of the token, in hexadecimal.
    sha256: String,
}

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    tokens: Vec<Stored>,
    /// The roles that had a token once: they are not open again when the last one is revoked.
    guarded: BTreeSet<RoleName>,
    /// True if some token was for all roles.
    guards_all: bool,
}

impl Content {
    fn guards(&self, role: &RoleName) -> bool {
        self.guards_all || self.guarded.contains(role)
    }
}

/// A moment as seconds since 1970, in RFC 3339.
mod seconds {
    use std::time::SystemTime;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_seconds(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

/// [`seconds`], where there may be none.
mod optional_seconds {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::seconds::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        #[derive(Deserialize)]
        struct At(#[serde(with = "super::seconds")] SystemTime);
        Ok(Option::<At>::deserialize(from)?.map(|At(at)| at))
    }
}

/// By these another content of the file is told from the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The file as it was last read.
struct Known {
    stamp: Option<Stamp>,
    /// `None` if it cannot be used.
    content: Option<Arc<Content>>,
}

/// The tokens that the host has given out. Cheap to look into: the file is read when it has changed.
pub struct TokenFile {
    path: PathBuf,
    known: RwLock<Known>,
}

impl TokenFile {
    /// The file in the host's state folder; it need not be there.
    pub fn in_dir(state: &Path) -> Self {
        Self {
            path: state.join(NAME),
            known: RwLock::new(Known {
                stamp: None,
                content: Some(Arc::default()),
            }),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a token. Gives it, for the only time, and what is listed of it.
    ///
    /// # Errors
    /// If the name or the expiry cannot be, there are too many tokens, or the file cannot be used.
    pub fn add(&self, new: NewToken) -> Result<(String, TokenInfo), TokenError> {
        check_name(&new.name)?;
        let now = SystemTime::now();
        if new.expires.is_some_and(|expires| expires <= now) {
            return Err(TokenError::Refused(
                "a token that expires before it is made opens nothing".to_owned(),
            ));
        }
        let mut bytes = [0; RANDOM + 4];
        getrandom::fill(&mut bytes)
            .map_err(|_| TokenError::Refused("the system gives no random bytes".to_owned()))?;
        let (secret, id) = bytes.split_at(RANDOM);
        let token = format!("{PREFIX}{}", hex(secret));
        let info = TokenInfo {
            id: hex(id),
            name: new.name,
            roles: new.roles,
            scopes: new.scopes,
            created: whole_seconds(now),
            expires: new.expires.map(whole_seconds),
        };
        let stored = Stored {
            info: info.clone(),
            sha256: hash(&token),
        };
        self.change(|content| {
            if content.tokens.len() >= MOST {
                return Err(TokenError::Refused(format!(
                    "there are {MOST} tokens already; `exomonad token revoke` removes one"
                )));
            }
            match &stored.info.roles {
                TokenRoles::Operator | TokenRoles::All => content.guards_all = true,
                TokenRoles::Only(roles) => content.guarded.extend(roles.iter().cloned()),
            }
            content.tokens.push(stored);
            Ok(())
        })?;
        Ok((token, info))
    }

    /// Revokes the token of this id, or all of the caller of this name. Gives what they were.
    ///
    /// # Errors
    /// If there is none, or the file cannot be used.
    pub fn revoke(&self, name_or_id: &str) -> Result<Vec<TokenInfo>, TokenError> {
        let mut revoked = Vec::new();
        self.change(|content| {
            content.tokens.retain(|token| {
                let is_meant = token.info.id == name_or_id || token.info.name == name_or_id;
                if is_meant {
                    revoked.push(token.info.clone());
                }
                !is_meant
            });
            match revoked.is_empty() {
                true => Err(TokenError::Unknown(name_or_id.to_owned())),
                false => Ok(()),
            }
        })?;
        Ok(revoked)
    }

    /// The tokens, oldest first.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn list(&self) -> Result<Vec<TokenInfo>, TokenError> {
        let content = read(&self.path)?;
        Ok(content.tokens.into_iter().map(|token| token.info).collect())
    }

    /// True if the role is not served without a token, as far as this file is concerned.
    pub fn guards(&self, role: &RoleName) -> bool {
        self.content().is_none_or(|content| content.guards(role))
    }

    /// True if any role is guarded by it.
    pub fn guards_any(&self) -> bool {
        self.content()
            .is_none_or(|content| content.guards_all || !content.guarded.is_empty())
    }

    /// The token that a request presents, if it is one of these and has not expired. Compares all of them in constant
    /// time.
    pub fn find(&self, presented: &str) -> Option<TokenInfo> {
        if !presented.starts_with(PREFIX) {
            return None;
        }
        let content = self.content()?;
        let presented = hash(presented);
        let mut found = None;
        for token in &content.tokens {
            if bool::from(token.sha256.as_bytes().ct_eq(presented.as_bytes())) {
                found = Some(&token.info);
            }
        }
        found
            .filter(|info| !info.has_expired(SystemTime::now()))
            .cloned()
    }

    /// The content as it is now; `None` if it cannot be used.
    fn content(&self) -> Option<Arc<Content>> {
        let stamp = fs::metadata(&self.path);
        let stamp = match &stamp {
            Ok(metadata) => Some(Stamp::of(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Whatever else it is, reading says so.
            Err(_) => Some(Stamp {
                file: (0, 0),
                size: 0,
                modified: (0, 0),
                changed: (0, 0),
            }),
        };
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == stamp {
                return known.content.clone();
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let content = match read(&self.path) {
            Ok(content) => Some(Arc::new(content)),
            Err(error) => {
                tracing::error!(%error, "the tokens cannot be read: until they can, roles open to the tokens of the configuration alone");
                None
            }
        };
        // A file that was replaced while it was read has another stamp at the next look.
        *known = Known {
            stamp,
            content: content.clone(),
        };
        content
    }

    /// Changes the file, one process after the other.
    fn change(
        &self,
        change: impl FnOnce(&mut Content) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let failed = |source| TokenError::Io {
            path: self.path.clone(),
            source,
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.with_extension("lock"))
            .map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut content = read(&self.path)?;
        change(&mut content)?;
        content.version = VERSION;
        write(&self.path, &content).map_err(failed)
    }
}

fn read(path: &Path) -> Result<Content, TokenError> {
    let failed = |source| TokenError::Io {
        path: path.to_owned(),
        source,
    };
    let unusable = |problem: String| TokenError::Unusable {
        path: path.to_owned(),
        problem,
    };
    let file = match regular_file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        opened => opened.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.mode() & 0o022 != 0 {
        return Err(unusable(format!(
            "other users can write it, and so let themselves in: chmod 600 {}",
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let content: Content = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("it is no file of tokens: {error}")))?;
    match content.version {
        VERSION => Ok(content),
        version => Err(unusable(format!(
            "version {version} of its form is not known here"
        ))),
    }
}

/// Writes the file under another name first, so that a reader finds the old content or the new one, and a crash
/// leaves either.
fn write(path: &Path, content: &Content) -> io::Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut text = serde_json::to_vec_pretty(content).map_err(io::Error::other)?;
    text.push(b'\n');
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    // One that lay there before keeps its mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    match is_name {
        true => Ok(()),
        false => Err(TokenError::Refused(format!(
            "a caller's name has up to {LONGEST_NAME} letters, digits and `._@-`"
        ))),
    }
}

/// A moment as the file has it.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    fn of_tl(name: &str) -> NewToken {
        NewToken {
            name: name.to_owned(),
            roles: TokenRoles::Only([role("tl")].into()),
            scopes: Some(vec!["tools:repo_*".parse().unwrap()]),
            expires: None,
        }
    }

    #[test]
    fn a_token_is_found_until_it_is_revoked_and_its_role_stays_guarded() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        // A host that runs, which was there before any token.
        let host = TokenFile::in_dir(folder.path());
        assert!(!host.guards(&role("tl")) && !host.guards_any());
        let (first, info) = file.add(of_tl("ci")).unwrap();
        let (second, _) = file.add(of_tl("ci")).unwrap();
        assert!(first.starts_with(PREFIX) && first.len() == PREFIX.len() + 64);
        assert_eq!(host.find(&first), Some(info.clone()));
        assert!(host.find(&second).is_some());
        assert!(host.guards(&role("tl")) && !host.guards(&role("dev")));
        for wrong in [
            &first[..first.len() - 1],
            &format!("{first}0"),
            &first.to_uppercase(),
            "",
            PREFIX,
        ] {
            assert_eq!(host.find(wrong), None);
        }
        assert_eq!(file.revoke(&info.id).unwrap(), [info]);
        assert!(host.find(&first).is_none() && host.find(&second).is_some());
        assert_eq!(file.revoke("ci").unwrap().len(), 1);
        assert!(host.find(&second).is_none());
        assert!(host.guards(&role("tl")), "revoking opens nothing");
        assert!(matches!(file.revoke("ci"), Err(TokenError::Unknown(_))));
    }

    #[test]
    fn the_file_is_closed_to_others_and_holds_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let file = TokenFile::in_dir(&state);
        let (token, _) = file.add(of_tl("ci")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&state), mode(file.path())), (0o700, 0o600));
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&token[PREFIX.len()..]), "{text}");
        assert!(text.contains(&hash(&token)), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_read_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let (token, _) = file.add(of_tl("ci")).unwrap();
        let good = fs::read(file.path()).unwrap();
        for bad in [
            &b""[..],
            b"{",
            b"[]",
            b"{\"version\":2,\"tokens\":[],\"guarded\":[],\"guards_all\":false}",
        ] {
            fs::write(file.path(), bad).unwrap();
            assert!(file.find(&token).is_none() && file.guards(&role("dev")));
            assert!(file.list().is_err() && file.add(of_tl("b")).is_err());
        }
        fs::write(file.path(), &good).unwrap();
        assert!(file.find(&token).is_some());
        fs::set_permissions(file.path(), Permissions::from_mode(0o622)).unwrap();
        assert!(file.find(&token).is_none());
    }

    #[test]
    fn an_expired_token_opens_nothing_and_names_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let soon = whole_seconds(SystemTime::now() + Duration::from_secs(3600));
        let expiring = NewToken {
            expires: Some(soon),
            ..of_tl("ci")
        };
        let (token, info) = file.add(expiring).unwrap();
        assert!(file.find(&token).is_some());
        assert!(!info.has_expired(SystemTime::now()) && info.has_expired(soon));
        let text = fs::read_to_string(file.path()).unwrap();
        let at = humantime::format_rfc3339_seconds(soon).to_string();
        fs::write(file.path(), text.replace(&at, "2020-01-01T00:00:00Z")).unwrap();
        assert!(file.find(&token).is_none());
        let past = NewToken {
            expires: Some(SystemTime::UNIX_EPOCH),
            ..of_tl("ci")
        };
        assert!(file.add(past).is_err());
        for wrong in ["", "a b", "a\n", "é", &"x".repeat(65)] {
            assert!(file.add(of_tl(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_made_at_once_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::thread::scope(|scope| {
            for nth in 0..8 {
                scope.spawn(move || {
                    let file = TokenFile::in_dir(path);
                    file.add(of_tl(&format!("caller-{nth}"))).unwrap()
                });
            }
        });
        assert_eq!(TokenFile::in_dir(path).list().unwrap().len(), 8);
    }
}
