//! The host's token for GitHub.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt, io};

use http::HeaderValue;

/// What stands in a text where the token stood.
const IN_PLACE_OF_TOKEN: &str = "[token]";

/// A file longer than this many bytes holds no token.
const MAX_FILE_BYTES: u64 = 16 << 10;

/// A token for GitHub: a personal access token, classic or fine-grained, or one
/// of an app's installation. Only requests to GitHub carry it; no `Debug` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

/// Why there is no token. Never quotes what was found.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The text is no token.
    #[error("{0} holds no GitHub token: a token is one line of visible ASCII characters")]
    Malformed(TokenPlace),
    /// There is no such environment variable.
    #[error("{0}, which `github.token_env` names, is not set; set it to a GitHub token")]
    NotSet(TokenPlace),
    /// The file cannot be read.
    #[error("{0}, which `github.token_file` names, cannot be read: {1}")]
    Unreadable(TokenPlace, io::Error),
}

/// Where a token was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a text of the configuration or a caller.
    Text,
    /// In an environment variable.
    Variable(String),
    /// In a file.
    File(PathBuf),
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => formatter.write_str("the text given"),
            Self::Variable(name) => write!(formatter, "the environment variable `{name}`"),
            Self::File(path) => write!(formatter, "the file {}", path.display()),
        }
    }
}

impl Token {
    /// A token from a text; white space around it does not count.
    ///
    /// # Errors
    /// When nothing else is there, or something that cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        Self::found(text, TokenPlace::Text)
    }

    /// The token in an environment variable.
    ///
    /// # Errors
    /// When it is not set, or holds no token.
    pub fn from_env(name: &str) -> Result<Self, TokenError> {
        let place = TokenPlace::Variable(name.to_owned());
        match env::var(name) {
            Ok(text) => Self::found(&text, place),
            Err(env::VarError::NotPresent) => Err(TokenError::NotSet(place)),
            Err(env::VarError::NotUnicode(_)) => Err(TokenError::Malformed(place)),
        }
    }

    /// The token in a file, which is read once.
    ///
    /// # Errors
    /// When it cannot be read, or holds no token.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let place = TokenPlace::File(path.to_owned());
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => Self::found(&String::from_utf8_lossy(&bytes), place),
            Err(error) => Err(TokenError::Unreadable(place, error)),
        }
    }

    fn found(text: &str, place: TokenPlace) -> Result<Self, TokenError> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(TokenError::Malformed(place))
        }
    }

    /// The `Authorization` header, marked so that nothing prints it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// `text` without the token, should a server have sent it back.
    pub(super) fn redact(&self, text: &str) -> String {
        text.replace(&*self.0, IN_PLACE_OF_TOKEN)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_read_from_a_file_and_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "ghp_planted\n").unwrap();
        let token = Token::from_file(&file).unwrap();
        assert_eq!(token, Token::new(" ghp_planted ").unwrap());
        let shown = format!("{token:?} {:?}", token.header().unwrap());
        assert!(!shown.contains("planted"), "{shown}");
        assert_eq!(token.redact("x ghp_planted y"), "x [token] y");
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_with_its_place_and_without_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        for bad in [
            "",
            " \n",
            "ghp_planted\nAuthorization: x",
            "ghp_planted\u{e9}",
        ] {
            fs::write(&file, bad).unwrap();
            let error = Token::from_file(&file).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(file.to_str().unwrap()), "{told}");
            assert!(!told.contains("planted"), "{told}");
        }
        let missing = Token::from_file(&dir.path().join("none")).unwrap_err();
        assert!(
            missing.to_string().contains("`github.token_file`"),
            "{missing}"
        );
        let unset = Token::from_env("EXOMONAD_TEST_NO_SUCH_VARIABLE").unwrap_err();
        assert!(unset.to_string().contains("`github.token_env`"), "{unset}");
    }
}
