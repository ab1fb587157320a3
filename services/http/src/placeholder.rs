//! Secrets: inserted in requests; [`redact`](super::redact) finds them in responses.

use std::borrow::Cow;

use exomonad_core::Secret;
use exomonad_core::policy::Ruling;
use exomonad_schema::ErrorCode;

use super::HttpError;
use super::config::Secrets;
use super::policy::{HttpBounds, Target};
use super::redact::Redactor;

const BEGIN: &str = "{{secret:";
const END: &str = "}}";

/// The secrets that the role of a request may use.
pub(super) struct Placeholders<'a> {
    secrets: &'a Secrets,
    bounds: &'a HttpBounds,
}

/// The names of the secrets that a text asks for.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(END)?.0))
}

impl<'a> Placeholders<'a> {
    pub fn new(secrets: &'a Secrets, bounds: &'a HttpBounds) -> Self {
        Self { secrets, bounds }
    }

    /// True if a text asks for a secret.
    pub fn occurs_in(text: &str) -> bool {
        text.contains(BEGIN)
    }

    /// Replaces placeholders by their secrets, for this host.
    ///
    /// # Errors
    /// If a secret is not granted, is not for this host, or would be sent in the open.
    pub fn fill<'t>(&self, text: &'t str, target: &Target) -> Result<Cow<'t, str>, HttpError> {
        if !Self::occurs_in(text) {
            return Ok(Cow::Borrowed(text));
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(BEGIN) {
            let Some((name, after)) = after.split_once(END) else {
                return Err(HttpError::new(
                    ErrorCode::InvalidInput,
                    format!("`{BEGIN}` without `{END}` after the secret's name"),
                ));
            };
            filled.push_str(before);
            filled.push_str(self.value(name, target)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(Cow::Owned(filled))
    }

    fn value(&self, name: &str, target: &Target) -> Result<&'a str, HttpError> {
        let forbidden = |message: String| HttpError::new(ErrorCode::Forbidden, message);
        let not_granted = || {
            forbidden(format!(
                "the secret `{}` is not granted; add it to `secrets` of this role in exomonad.toml",
                name.escape_debug()
            ))
        };
        match self.bounds.decide_secret(self.secrets, name, target).ruling {
            Ruling::Within => {}
            Ruling::Refused(reason) => return Err(forbidden(reason)),
            _ => return Err(not_granted()),
        }
        let secret = self
            .secrets
            .get(name)
            .and_then(|secret| secret.value.as_ref());
        secret.map(Secret::expose).ok_or_else(not_granted)
    }

    /// Finds the secrets that the role may use, to replace them by their placeholders.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(
            self.granted()
                .map(|(name, value)| (value, format!("{BEGIN}{name}{END}"))),
        )
    }

    /// True if a server may have a secret of the role: one that is for it.
    pub fn are_for(&self, target: &Target) -> bool {
        let all = self.secrets.iter();
        all.filter(|(name, _)| self.bounds.secrets.contains(name))
            .any(|(_, secret)| secret.hosts.iter().any(|host| host.matches(&target.host)))
    }

    fn granted(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (secrets, bounds) = (self.secrets, self.bounds);
        let granted = secrets
            .iter()
            .filter(|(name, _)| bounds.secrets.contains(name));
        granted.filter_map(|(name, secret)| Some((name.as_str(), secret.value.as_ref()?.expose())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::SecretConfig;
    use super::*;

    fn secrets() -> Secrets {
        let secret = |value: &str, host: &str| SecretConfig {
            value: Some(Secret::new(value)),
            hosts: vec![host.parse().unwrap()],
            ..SecretConfig::default()
        };
        Secrets::from([
            ("API".to_owned(), secret("hunter2", "*.example.com")),
            ("OTHER".to_owned(), secret("swordfish", "*")),
        ])
    }

    #[test]
    fn a_secret_is_inserted_for_its_own_hosts_only() {
        let (secrets, bounds) = (
            secrets(),
            HttpBounds {
                secrets: vec!["API".to_owned()],
                ..HttpBounds::default()
            },
        );
        let placeholders = Placeholders::new(&secrets, &bounds);
        let fill = |text: &str, host: &str, is_encrypted| {
            let scheme = if is_encrypted { "https" } else { "http" };
            let url = reqwest::Url::parse(&format!("{scheme}://{host}/")).unwrap();
            placeholders
                .fill(text, &Target::of(&url))
                .map(Cow::into_owned)
                .map_err(|error| (error.code, error.message))
        };
        let text = "Bearer {{secret:API}} and {{secret:API}}.";
        assert_eq!(
            fill(text, "a.example.com", true).unwrap(),
            "Bearer hunter2 and hunter2."
        );
        assert_eq!(
            fill("plain {{text}}", "x", false).unwrap(),
            "plain {{text}}"
        );
        for (text, host, is_encrypted, what) in [
            (text, "evil.com", true, "is not for evil.com"),
            (text, "a.example.com", false, "unencrypted"),
            ("{{secret:OTHER}}", "a.example.com", true, "is not granted"),
            ("{{secret:NONE}}", "a.example.com", true, "is not granted"),
        ] {
            let (code, message) = fill(text, host, is_encrypted).unwrap_err();
            assert_eq!(code, ErrorCode::Forbidden);
            assert!(
                message.contains(what) && !message.contains("hunter2"),
                "{message}"
            );
        }
        assert_eq!(
            fill("{{secret:API", "x", true).unwrap_err().0,
            ErrorCode::InvalidInput
        );
    }

    #[test]
    fn a_repeated_secret_is_redacted() {
        let (secrets, bounds) = (
            secrets(),
            HttpBounds {
                secrets: vec!["API".to_owned()],
                ..HttpBounds::default()
            },
        );
        let redactor = Placeholders::new(&secrets, &bounds).redactor();
        let body = b"hunter2\xffhunter2hunter swordfish";
        assert_eq!(
            redactor.bytes(body.to_vec(), 1000),
            b"{{secret:API}}\xff{{secret:API}}hunter swordfish"
        );
        assert_eq!(redactor.text("x=hunter2".to_owned()), "x={{secret:API}}");
    }
}
