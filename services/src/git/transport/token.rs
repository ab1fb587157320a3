//! The token with which the host speaks to its git servers.

use std::fmt;

/// A secret that is shown nowhere: not by `Debug`, not in an error, not in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct GitToken(String);

impl GitToken {
    /// A token, such as one of GitHub's; white space around it is no part of it.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(token.as_ref().trim().to_owned())
    }

    /// Whether it can stand in an HTTP header.
    pub(in crate::git) fn is_valid(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The value of an `Authorization` header (RFC 7617).
    pub(super) fn basic(&self, user: &str) -> String {
        format!("Basic {}", base64(format!("{user}:{}", self.0).as_bytes()))
    }

    /// Every text that must not be told: the token as it is and as it is sent.
    pub(super) fn traces(&self, user: &str) -> Vec<String> {
        let sent = self.basic(user).trim_start_matches("Basic ").to_owned();
        vec![self.0.clone(), base64(self.0.as_bytes()), sent]
    }
}

impl fmt::Debug for GitToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GitToken(…)")
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_and_is_sent_as_basic_authentication() {
        let token = GitToken::new(" hunter2\n");
        assert_eq!(format!("{token:?}"), "GitToken(…)");
        assert_eq!(token.basic("x"), "Basic eDpodW50ZXIy");
        assert!(
            token.is_valid() && !GitToken::new("a b").is_valid() && !GitToken::new("").is_valid()
        );
    }

    #[test]
    fn base64_pads_as_the_rfc_has_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
