//! [`SecretSource`]: where a token or another secret is kept, and how it is read.
//!
//! A configuration only says where a secret is. Its text exists in [`Secret`] alone, which is shown
//! nowhere: not in `Debug`, not in an error, not in JSON.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use exomonad_schema::Base64;

use crate::headers;
use crate::regular_file;
use crate::secret::Secret;

/// Checks and keeps a token, without the blanks around it.
///
/// # Errors
/// If nothing is left, or if it could not be sent as a bearer token (RFC 6750, section 2.1).
fn token(text: &str) -> Result<Secret, &'static str> {
    let token = text.trim();
    let sendable = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() {
        Err("is empty")
    } else if !token.bytes().all(sendable) {
        Err("holds characters that a bearer token can't have; use letters, digits and `-._~+/=`")
    } else {
        Ok(Secret::new(token))
    }
}

/// Checks and keeps any text, without the blanks around it.
///
/// # Errors
/// If nothing is left, or if it could not stand in a header or an address.
fn text(text: &str) -> Result<Secret, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("is empty")
    } else if text.chars().any(char::is_control) {
        Err("holds line breaks or other control characters; a secret is one line")
    } else {
        Ok(Secret::new(text))
    }
}

/// Checks and keeps headers: `name=value`, separated by commas, each value percent-encoded.
///
/// # Errors
/// If it is something else, or could not be sent.
fn headers(text: &str) -> Result<Secret, &'static str> {
    match headers::parse(text) {
        Some(_) => self::text(text),
        None => Err("holds something else than headers, `name=value` separated by commas"),
    }
}

/// The headers of a secret that holds some; see [`SecretSource::resolve_headers`].
pub fn header_pairs(secret: &Secret) -> Vec<(String, String)> {
    headers::parse(secret.expose()).unwrap_or_default()
}

/// A key for the encryption of data, with the name by which it is found again.
pub type NamedKey = (String, [u8; 32]);

/// Checks and keeps keys: `NAME=KEY`, separated by commas, each key 32 bytes in base64.
///
/// # Errors
/// If it is something else, or a name stands twice.
fn keys(text: &str) -> Result<Secret, &'static str> {
    match parse_keys(text) {
        Some(keys) if keys.is_empty() => Err("is empty"),
        Some(_) => self::text(text),
        None => Err(
            "holds something else than `NAME=KEY` separated by commas, each key 32 bytes in base64",
        ),
    }
}

fn parse_keys(text: &str) -> Option<Vec<NamedKey>> {
    let mut keys: Vec<NamedKey> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (name, key) = part.split_once('=')?;
        let (name, key) = (name.trim().to_owned(), key.trim().to_owned());
        let key: Base64 = serde_json::from_value(key.into()).ok()?;
        if name.is_empty() || keys.iter().any(|(known, _)| *known == name) {
            return None;
        }
        keys.push((name, key.0.try_into().ok()?));
    }
    Some(keys)
}

/// The keys of a secret that holds some, in their order; see [`SecretSource::resolve_keys`].
pub fn named_keys(secret: &Secret) -> Vec<NamedKey> {
    parse_keys(secret.expose()).unwrap_or_default()
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable of this name.
    Variable(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "the file {}", path.display()),
            Self::Variable(name) => write!(formatter, "the environment variable {name}"),
        }
    }
}

/// The reason why a secret can't be used. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("the token file {} can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// There is something, but it is no token.
    #[error("the token in {place} {problem}")]
    Unusable {
        /// The file or variable.
        place: String,
        /// The problem, as the rest of the sentence.
        problem: &'static str,
    },
}

/// The longest token file that is read, in bytes: a token is far shorter.
const LONGEST_FILE: u64 = 64 * 1024;

impl SecretSource {
    /// The source that a section names by one of its two keys; the file counts where both are set.
    pub fn of(file: Option<&Path>, variable: Option<&str>) -> Option<Self> {
        match (file, variable) {
            (Some(path), _) => Some(Self::File(path.to_owned())),
            (None, Some(name)) => Some(Self::Variable(name.to_owned())),
            (None, None) => None,
        }
    }

    /// Reads the token.
    ///
    /// # Errors
    /// If there is none, or none that can be used as a bearer token.
    pub fn resolve(&self, env: impl Fn(&str) -> Option<String>) -> Result<Secret, SecretError> {
        self.read(env, token)
    }

    /// Reads a secret that may be any line of text.
    ///
    /// # Errors
    /// If there is none, or more than a line.
    pub fn resolve_text(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretError> {
        self.read(env, text)
    }

    /// Reads headers; [`header_pairs`] has them.
    ///
    /// # Errors
    /// If there are none, or something that could not be sent.
    pub fn resolve_headers(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretError> {
        self.read(env, headers)
    }

    /// Reads keys for the encryption of data; [`named_keys`] has them.
    ///
    /// # Errors
    /// If there are none, or something else.
    pub fn resolve_keys(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretError> {
        self.read(env, keys)
    }

    fn read(
        &self,
        env: impl Fn(&str) -> Option<String>,
        check: fn(&str) -> Result<Secret, &'static str>,
    ) -> Result<Secret, SecretError> {
        let unusable = |place: String| move |problem| SecretError::Unusable { place, problem };
        match self {
            Self::Variable(name) => {
                let text = env(name).ok_or_else(|| SecretError::Unset(name.clone()))?;
                check(&text).map_err(unusable(format!("the environment variable {name}")))
            }
            Self::File(path) => {
                let text = read(path).map_err(|source| SecretError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
                check(&text).map_err(unusable(path.display().to_string()))
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    regular_file::open(path)?
        .take(LONGEST_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_variable(value: Option<&str>) -> Result<Secret, SecretError> {
        SecretSource::Variable("T".to_owned()).resolve(|_| value.map(str::to_owned))
    }

    #[test]
    fn a_token_is_trimmed_and_shown_to_nobody() {
        let secret = from_variable(Some("  s3cret\n")).unwrap();
        assert_eq!(secret.expose(), "s3cret");
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.matches("s3cret"));
        assert!(!secret.matches("s3cre"));
        assert!(!secret.matches("s3crets"));
        assert!(!secret.matches(""));
    }

    #[test]
    fn keys_have_names_and_32_bytes_each() {
        let read = |text: &str| {
            let source = SecretSource::Variable("K".to_owned());
            source.resolve_keys(|_| Some(text.to_owned()))
        };
        let key = |byte: u8| Base64(vec![byte; 32]).to_string();
        let secret = read(&format!("new={}, old={}\n", key(1), key(2))).unwrap();
        let expected = vec![("new".to_owned(), [1; 32]), ("old".to_owned(), [2; 32])];
        assert_eq!(named_keys(&secret), expected);
        for wrong in [
            key(1),
            "new=c2hvcnQ=".to_owned(),
            format!("={}", key(1)),
            format!("a={0},a={0}", key(1)),
        ] {
            let error = read(&wrong).unwrap_err().to_string();
            assert!(
                error.contains("32 bytes") && !error.contains(&wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unusable_token_is_refused_without_being_repeated() {
        let message = |value| from_variable(value).unwrap_err().to_string();
        assert_eq!(message(None), "the environment variable T is not set");
        assert_eq!(
            message(Some(" \n")),
            "the token in the environment variable T is empty"
        );
        assert!(message(Some("two words")).contains("can't have"));
        assert!(!message(Some("two words")).contains("words"));
    }
}
