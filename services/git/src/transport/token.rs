//! The host's token, as git servers are sent it.

use exomonad_core::Secret;
use exomonad_schema::Base64;

/// The value of an `Authorization` header (RFC 7617).
pub(super) fn basic(token: &Secret, user: &str) -> String {
    format!("Basic {}", base64(&format!("{user}:{}", token.expose())))
}

/// Every text to redact: the token as it is and as it is sent.
pub(super) fn traces(token: &Secret, user: &str) -> Vec<String> {
    let sent = basic(token, user).trim_start_matches("Basic ").to_owned();
    vec![token.expose().to_owned(), base64(token.expose()), sent]
}

fn base64(text: &str) -> String {
    Base64(text.as_bytes().to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_as_basic_authentication() {
        let token = Secret::new("hunter2");
        assert_eq!(basic(&token, "x"), "Basic eDpodW50ZXIy");
        assert_eq!(
            traces(&token, "x"),
            ["hunter2", "aHVudGVyMg==", "eDpodW50ZXIy"]
        );
    }
}
