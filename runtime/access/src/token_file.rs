//! [`TokenFile`]: the tokens that the host has given out to callers by name.
//!
//! The file has the SHA-256 of each token and never the token. A slow hash, as passwords take, would add nothing: a
//! token is 256 random bits, so nobody finds it by trying, and each request would pay for the slowness.
//!
//! A host that runs looks at the file's times at each request and reads it again when they differ, so a token that is
//! revoked opens nothing from the next request on. A file that is there and cannot be read opens nothing: the roles
//! that it guards are not known then, so all are guarded. A role that a host has once found guarded stays so until the
//! host ends, whatever becomes of the file: removing it opens nothing.
//!
//! On a full disk there is no room for a new file. A token is revoked then by overwriting its hash where it stands,
//! with as many zeros: that takes no room, and whatever part of it a crash leaves is the hash of no token.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_core::values::Scope;
use exomonad_core::{Principal, regular_file, replace_file};
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
/// The time for which an expired token is listed; it goes when the next one is made.
const KEPT_EXPIRED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of a caller's name.
const LONGEST_NAME: usize = 64;
/// A name that would pass for whoever has the operator's token.
const RESERVED_NAME: &str = Principal::OPERATOR;
/// The name of the file in the state folder.
const NAME: &str = "tokens.json";
/// The version of its form.
const VERSION: u32 = 1;

/// True for a text of the form that callers' tokens have, whether one was given out or not.
pub fn is_callers(token: &str) -> bool {
    let random = token.strip_prefix(PREFIX);
    random.is_some_and(|random| {
        random.len() == 2 * RANDOM && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

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
    /// Tokens could not be revoked.
    #[error(
        "{}: {source}: `{name}` is NOT revoked and still opens what it did; make room on the disk and revoke it again, or stop the host",
        path.display()
    )]
    NotRevoked {
        /// The file.
        path: PathBuf,
        /// The name or id that was to be revoked.
        name: String,
        /// The system's error.
        source: io::Error,
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

/// The reason why the tokens of a host that runs are not those of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensProblem {
    /// The file is gone: none of its tokens opens anything, and the roles that it guarded stay guarded.
    Missing(String),
    /// The file cannot be read: none of its tokens opens anything, and every role is guarded.
    Unreadable(String),
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
#[derive(Default)]
struct Known {
    /// `None` where there is no file.
    stamp: Option<Stamp>,
    /// `None` if it cannot be used.
    content: Option<Arc<Content>>,
    /// The roles that were ever found guarded: an empty list of tokens, and those roles.
    guarded: Content,
    problem: Option<TokensProblem>,
    /// True once there was a file.
    was_there: bool,
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
                content: Some(Arc::default()),
                ..Known::default()
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
    /// If the name or the expiry cannot be, there are too many tokens, or the file cannot be used. No token was made
    /// then.
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
            let ended = now.checked_sub(KEPT_EXPIRED);
            content
                .tokens
                .retain(|token| !ended.is_some_and(|ended| token.info.has_expired(ended)));
            if content.tokens.len() >= MOST {
                content.tokens.retain(|token| !token.info.has_expired(now));
            }
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
        let not_revoked = |source| TokenError::NotRevoked {
            path: self.path.clone(),
            name: name_or_id.to_owned(),
            source,
        };
        let _one_at_a_time = self.lock().map_err(not_revoked)?;
        let mut content = read(&self.path)?.unwrap_or_default();
        let tokens = std::mem::take(&mut content.tokens).into_iter();
        let (revoked, kept): (Vec<_>, Vec<_>) =
            tokens.partition(|token| token.info.id == name_or_id || token.info.name == name_or_id);
        if revoked.is_empty() {
            return Err(TokenError::Unknown(name_or_id.to_owned()));
        }
        content.tokens = kept;
        if let Err(error) = write(&self.path, &mut content) {
            let hashes: Vec<&str> = revoked.iter().map(|token| &*token.sha256).collect();
            overwrite(&self.path, &hashes).map_err(|_| not_revoked(error))?;
        }
        Ok(revoked.into_iter().map(|token| token.info).collect())
    }

    /// The tokens, oldest first.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn list(&self) -> Result<Vec<TokenInfo>, TokenError> {
        let content = read(&self.path)?.unwrap_or_default();
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

    /// The reason why the tokens are not those of the file, if there is one.
    pub fn problem(&self) -> Option<TokensProblem> {
        // A file that has changed is looked at.
        self.content();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.problem.clone()
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
        // A file that was replaced while it was read has another stamp at the next look.
        known.look(&self.path, stamp);
        known.content.clone()
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
        let _one_at_a_time = self.lock().map_err(failed)?;
        let mut content = read(&self.path)?.unwrap_or_default();
        change(&mut content)?;
        write(&self.path, &mut content).map_err(failed)
    }

    /// Waits until no other process changes the file. None does while the result is there.
    fn lock(&self) -> io::Result<File> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}

impl Known {
    /// Reads the file, which has this stamp.
    fn look(&mut self, path: &Path, stamp: Option<Stamp>) {
        let read = read(path);
        // It may have gone since it had a stamp.
        self.stamp = stamp.filter(|_| !matches!(read, Ok(None)));
        let problem = match read {
            Ok(Some(mut content)) => {
                let guarded = &mut self.guarded;
                guarded.guards_all |= content.guards_all;
                guarded.guarded.extend(content.guarded.iter().cloned());
                content.guards_all = guarded.guards_all;
                content.guarded.clone_from(&guarded.guarded);
                self.content = Some(Arc::new(content));
                self.was_there = true;
                None
            }
            Ok(None) if !self.was_there => None,
            Ok(None) => {
                // If it could not be read before, the roles that it guarded are not known now either.
                if self.content.is_some() {
                    self.content = Some(Arc::new(self.guarded.clone()));
                }
                Some(TokensProblem::Missing(format!(
                    "{} is gone: none of its tokens opens anything, and the roles that it guarded stay closed until this host ends; put it back, or give out new tokens",
                    path.display()
                )))
            }
            Err(error) => {
                self.content = None;
                self.was_there = true;
                Some(TokensProblem::Unreadable(format!(
                    "{error}: the tokens cannot be read: until they can, roles open to the tokens of the configuration alone"
                )))
            }
        };
        match &problem {
            Some(TokensProblem::Missing(why) | TokensProblem::Unreadable(why)) => {
                tracing::error!("{why}");
            }
            None if self.problem.is_some() => tracing::info!("the tokens can be read again"),
            None => {}
        }
        self.problem = problem;
    }
}

/// The content of the file; `None` if there is none. Tokens that were overwritten are left out.
fn read(path: &Path) -> Result<Option<Content>, TokenError> {
    let failed = |source| TokenError::Io {
        path: path.to_owned(),
        source,
    };
    let unusable = |problem: String| TokenError::Unusable {
        path: path.to_owned(),
        problem,
    };
    let file = match regular_file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
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
    let mut content: Content = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("it is no file of tokens: {error}")))?;
    if content.version != VERSION {
        let version = content.version;
        return Err(unusable(format!(
            "version {version} of its form is not known here"
        )));
    }
    let revoked = no_hash();
    content.tokens.retain(|token| token.sha256 != revoked);
    Ok(Some(content))
}

/// Replaces the file.
fn write(path: &Path, content: &mut Content) -> io::Result<()> {
    content.version = VERSION;
    let mut text = serde_json::to_vec_pretty(content).map_err(io::Error::other)?;
    text.push(b'\n');
    replace_file::replace(path, &text, replace_file::Mode::Private)
}

/// Revokes the tokens of these hashes where they stand in the file, which takes no room on its disk. A crash leaves
/// each hash as it was, or as one of no token: the file can be read at any time.
fn overwrite(path: &Path, hashes: &[&str]) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut text = Vec::new();
    Read::by_ref(&mut (&file).take(LARGEST)).read_to_end(&mut text)?;
    for hash in hashes {
        let places = text.windows(hash.len()).enumerate();
        let places = places.filter(|(_, found)| *found == hash.as_bytes());
        for (at, _) in places {
            file.write_all_at(
                no_hash().as_bytes(),
                u64::try_from(at).map_err(io::Error::other)?,
            )?;
        }
    }
    // The clock of the file system is too coarse for two changes right after each other, and hosts look at the time.
    file.set_modified(SystemTime::now())?;
    file.sync_all()?;
    let left = read(path).map_err(io::Error::other)?.unwrap_or_default();
    let is_left = |hash: &&str| left.tokens.iter().any(|token| token.sha256 == **hash);
    match hashes.iter().any(is_left) {
        true => Err(io::Error::other("the file is not as it is written here")),
        false => Ok(()),
    }
}

/// The text in the place of a hash that was overwritten.
fn no_hash() -> String {
    "0".repeat(2 * 32)
}

fn check_name(name: &str) -> Result<(), TokenError> {
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte));
    if name.eq_ignore_ascii_case(RESERVED_NAME) {
        return Err(TokenError::Refused(format!(
            "`{RESERVED_NAME}` is whoever has the operator's token: choose another name; --operator makes a token that opens as much"
        )));
    }
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

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
    fn a_role_stays_guarded_in_a_host_whose_file_is_gone_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let host = TokenFile::in_dir(folder.path());
        assert_eq!(host.problem(), None, "there is no file yet");
        let (token, _) = file.add(of_tl("ci")).unwrap();
        assert!(host.find(&token).is_some() && host.problem().is_none());
        let kept = fs::read(file.path()).unwrap();
        fs::remove_file(file.path()).unwrap();
        assert!(host.guards(&role("tl")) && host.guards_any() && !host.guards(&role("dev")));
        assert!(host.find(&token).is_none());
        assert!(matches!(host.problem(), Some(TokensProblem::Missing(_))));
        // Another file, which knows nothing of the role.
        let of_dev = NewToken {
            roles: TokenRoles::Only([role("dev")].into()),
            ..of_tl("dev")
        };
        file.add(of_dev).unwrap();
        assert!(host.guards(&role("tl")) && host.guards(&role("dev")));
        assert_eq!(host.problem(), None);
        fs::write(file.path(), kept).unwrap();
        assert!(host.find(&token).is_some() && host.problem().is_none());
        fs::write(file.path(), "{").unwrap();
        assert!(matches!(host.problem(), Some(TokensProblem::Unreadable(_))));
        fs::remove_file(file.path()).unwrap();
        assert!(host.guards(&role("other")), "nobody knows what it guarded");
        // A host that starts now knows of no token, and says so in the documentation.
        assert!(!TokenFile::in_dir(folder.path()).guards(&role("tl")));
    }

    #[test]
    fn a_token_is_revoked_without_room_for_a_new_file_and_a_crash_on_the_way_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let host = TokenFile::in_dir(folder.path());
        let (first, info) = file.add(of_tl("ci")).unwrap();
        let (second, _) = file.add(of_tl("dev")).unwrap();
        assert!(host.find(&first).is_some());
        let before = fs::read(file.path()).unwrap();
        let inode = fs::metadata(file.path()).unwrap().ino();
        overwrite(file.path(), &[&hash(&first)]).unwrap();
        let about = fs::metadata(file.path()).unwrap();
        assert_eq!((about.ino(), about.len()), (inode, before.len() as u64));
        assert!(host.find(&first).is_none() && host.find(&second).is_some());
        assert_eq!(file.list().unwrap().len(), 1);
        assert!(matches!(file.revoke(&info.id), Err(TokenError::Unknown(_))));
        assert!(host.guards(&role("tl")));
        // A crash leaves a part of the zeros, wherever it begins and ends.
        let at = before
            .windows(64)
            .position(|found| found == hash(&first).as_bytes())
            .unwrap();
        for (from, to) in [(0, 1), (0, 63), (20, 64), (63, 64)] {
            let mut torn = before.clone();
            torn[at + from..at + to].fill(b'0');
            fs::write(file.path(), &torn).unwrap();
            let found = TokenFile::in_dir(folder.path()).find(&first);
            assert!(found.is_none() || torn == before, "{from}..{to}");
            assert!(host.find(&second).is_some());
        }
        file.revoke("ci").unwrap();
        file.add(of_tl("new")).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&no_hash()), "{text}");
    }

    #[test]
    fn a_token_that_cannot_be_revoked_is_said_to_open_still_what_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let (token, _) = file.add(of_tl("ci")).unwrap();
        let lock = file.path().with_extension("lock");
        fs::remove_file(&lock).unwrap();
        fs::create_dir(&lock).unwrap();
        let error = file.revoke("ci").unwrap_err().to_string();
        assert!(error.contains("`ci` is NOT revoked"), "{error}");
        assert!(file.find(&token).is_some());
    }

    #[test]
    fn expired_tokens_make_room_and_are_forgotten_after_a_month() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let now = whole_seconds(SystemTime::now());
        let (_, info) = file.add(of_tl("first")).unwrap();
        let stored = |nth: usize, expires| Stored {
            info: TokenInfo {
                id: format!("{nth:08x}"),
                expires,
                ..info.clone()
            },
            sha256: hash(&nth.to_string()),
        };
        let ago = |days: u64| Some(now - Duration::from_secs(days * 24 * 3600));
        let put = |tokens: Vec<Stored>| {
            let mut content = Content {
                tokens,
                ..Content::default()
            };
            write(file.path(), &mut content).unwrap();
        };
        put(vec![
            stored(0, ago(31)),
            stored(1, ago(29)),
            stored(2, None),
        ]);
        file.add(of_tl("second")).unwrap();
        let ids = |file: &TokenFile| -> Vec<String> {
            let list = file.list().unwrap().into_iter();
            list.map(|token| token.id).collect()
        };
        assert_eq!(ids(&file)[..2], ["00000001", "00000002"]);
        let full = |expires: fn(usize) -> bool| {
            let tokens = (0..MOST).map(|nth| stored(nth, expires(nth).then(|| ago(1)).flatten()));
            tokens.collect()
        };
        put(full(|_| false));
        assert!(matches!(
            file.add(of_tl("more")),
            Err(TokenError::Refused(_))
        ));
        put(full(|nth| nth >= MOST - 2));
        file.add(of_tl("more")).unwrap();
        assert_eq!(ids(&file).len(), MOST - 1);
    }

    #[test]
    fn the_form_of_callers_tokens_is_known_and_nobody_is_called_operator() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let (token, _) = file.add(of_tl("ci")).unwrap();
        assert!(is_callers(&token));
        for other in [
            "",
            PREFIX,
            "exomonad_operator",
            &token[1..],
            &format!("{token}0"),
        ] {
            assert!(!is_callers(other), "{other}");
        }
        for name in ["operator", "Operator"] {
            assert!(matches!(file.add(of_tl(name)), Err(TokenError::Refused(_))));
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
