//! [`Secret`]: texts that are used and never shown.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A token, a password, a key. `Debug` prints `***`; there is no `Display` and no serde.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps a text, without the white space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if `presented` is the secret; takes a time that depends on its length only.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// True if it is one word that can stand in an HTTP header.
    pub fn fits_header(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_from_others_and_shown_to_nobody() {
        let secret = Secret::new("  s3cret\n");
        assert_eq!(secret.expose(), "s3cret");
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.matches("s3cret") && secret.fits_header());
        for other in ["s3cre", "s3crets", "S3cret", ""] {
            assert!(!secret.matches(other), "{other}");
        }
        for bad in ["", "two words", "a\nb", "caf\u{e9}"] {
            assert!(!Secret::new(bad).fits_header(), "{bad:?}");
        }
    }
}
