//! Secrets: inserted in requests, redacted in responses.

use std::borrow::Cow;
use std::collections::BTreeMap;

use exomonad_core::Bounds;
use exomonad_schema::ErrorCode;

use super::{HttpError, HttpSecret};
use exomonad_core::patterns::matches_host;

const BEGIN: &str = "{{secret:";
const END: &str = "}}";

/// The secrets that the role of a request may use.
pub(super) struct Placeholders<'a> {
    secrets: &'a BTreeMap<String, HttpSecret>,
    bounds: &'a Bounds,
}

impl<'a> Placeholders<'a> {
    pub fn new(secrets: &'a BTreeMap<String, HttpSecret>, bounds: &'a Bounds) -> Self {
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
    pub fn fill<'t>(
        &self,
        text: &'t str,
        host: &str,
        is_protected: bool,
    ) -> Result<Cow<'t, str>, HttpError> {
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
            filled.push_str(self.value(name, host, is_protected)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(Cow::Owned(filled))
    }

    fn value(&self, name: &str, host: &str, is_protected: bool) -> Result<&'a str, HttpError> {
        let forbidden = |what: String| HttpError::new(ErrorCode::Forbidden, what);
        // A secret that does not exist gives the same error as one that is not granted.
        let granted = self.bounds.secrets.iter().any(|granted| granted == name);
        let Some(secret) = self.secrets.get(name).filter(|_| granted) else {
            return Err(forbidden(format!(
                "the secret `{}` is not granted; add it to `secrets` of this role in exomonad.toml",
                name.escape_debug()
            )));
        };
        if !secret
            .hosts
            .iter()
            .any(|pattern| matches_host(pattern, host))
        {
            return Err(forbidden(format!(
                "the secret `{name}` is not for {host}; `secret.{name}.hosts` in exomonad.toml lists what it is for"
            )));
        }
        if !is_protected {
            return Err(forbidden(format!(
                "the secret `{name}` would go to {host} in the open: use https"
            )));
        }
        Ok(secret.value.expose())
    }

    /// Replaces the secrets that the role may use by their placeholders.
    pub fn redact_text(&self, text: String) -> String {
        self.by_length()
            .into_iter()
            .fold(text, |text, (name, value)| {
                if text.contains(value) {
                    text.replace(value, &format!("{BEGIN}{name}{END}"))
                } else {
                    text
                }
            })
    }

    /// Bytes beyond a limit that have to be read to find a secret that lies across it.
    pub fn overhang(&self) -> usize {
        self.granted()
            .map(|(_, value)| value.len() - 1)
            .max()
            .unwrap_or(0)
    }

    /// The first `limit` bytes, secrets replaced by their placeholders. One that lies across the
    /// limit is left out as a whole: half of it would reveal that half.
    pub fn redact(&self, mut bytes: Vec<u8>, limit: usize) -> Vec<u8> {
        let end = bytes.len().min(limit);
        let secrets = self.by_length();
        if secrets.is_empty() {
            bytes.truncate(end);
            return bytes;
        }
        let mut kept = Vec::with_capacity(end);
        let mut at = 0;
        while at < end {
            let here = &bytes[at..];
            let secret = secrets
                .iter()
                .find(|(_, value)| here.starts_with(value.as_bytes()));
            match secret {
                Some((_, value)) if at + value.len() > end => break,
                Some((name, value)) => {
                    kept.extend_from_slice(format!("{BEGIN}{name}{END}").as_bytes());
                    at += value.len();
                }
                None => {
                    kept.push(here[0]);
                    at += 1;
                }
            }
        }
        kept
    }

    /// Secrets, the longest first: one may begin with another.
    fn by_length(&self) -> Vec<(&'a str, &'a str)> {
        let mut secrets: Vec<_> = self.granted().collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        secrets
    }

    fn granted(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (secrets, bounds) = (self.secrets, self.bounds);
        let granted = secrets
            .iter()
            .filter(|(name, _)| bounds.secrets.contains(name));
        granted.map(|(name, secret)| (name.as_str(), secret.value.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exomonad_core::Secret;

    fn secrets() -> BTreeMap<String, HttpSecret> {
        let secret = |value: &str, host: &str| HttpSecret {
            value: Secret::new(value),
            hosts: vec![host.to_owned()],
        };
        BTreeMap::from([
            ("API".to_owned(), secret("hunter2", "*.example.com")),
            ("OTHER".to_owned(), secret("swordfish", "*")),
        ])
    }

    #[test]
    fn a_secret_is_inserted_for_its_own_hosts_only() {
        let (secrets, bounds) = (
            secrets(),
            Bounds {
                secrets: vec!["API".to_owned()],
                ..Bounds::default()
            },
        );
        let placeholders = Placeholders::new(&secrets, &bounds);
        let fill = |text: &str, host: &str, safe| {
            placeholders
                .fill(text, host, safe)
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
        for (text, host, safe, what) in [
            (text, "evil.com", true, "is not for evil.com"),
            (text, "a.example.com", false, "in the open"),
            ("{{secret:OTHER}}", "a.example.com", true, "is not granted"),
            ("{{secret:NONE}}", "a.example.com", true, "is not granted"),
        ] {
            let (code, message) = fill(text, host, safe).unwrap_err();
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
            Bounds {
                secrets: vec!["API".to_owned()],
                ..Bounds::default()
            },
        );
        let placeholders = Placeholders::new(&secrets, &bounds);
        let body = b"hunter2\xffhunter2hunter swordfish";
        assert_eq!(
            placeholders.redact(body.to_vec(), 1000),
            b"{{secret:API}}\xff{{secret:API}}hunter swordfish"
        );
        assert_eq!(placeholders.overhang(), 6);
        // However the limit is chosen, no part of the secret is seen.
        for limit in 0..body.len() {
            let kept = placeholders.redact(body[..(limit + 6).min(body.len())].to_vec(), limit);
            let kept = String::from_utf8_lossy(&kept).replace("{{secret:API}}", "");
            let end = kept.trim_end_matches("hunter swordfish");
            assert!(!end.contains("hun") || limit > 15, "{limit}: {kept}");
        }
        assert_eq!(
            placeholders.redact_text("x=hunter2".to_owned()),
            "x={{secret:API}}"
        );
    }
}
