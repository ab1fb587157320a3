//! [`RequestState`]: what a call did until it asked its client, in the client's hands.
//!
//! In the stateless era a client that was asked calls again, with its answers and with what the call before has given
//! it. So that nobody else can make or read it, it is encrypted under a key of the host's own, and bound to the role,
//! the token, the method, its parameters, and a time.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_host::UserKey;
use exomonad_host::client::SuspendedState;
use exomonad_schema::Base64;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::Value;

use crate::rpc_error::RpcError;

/// The file of the key, in the state folder.
const KEY: &str = "mcp.key";
/// Bytes before what is encrypted: when it expires, and a nonce.
const HEAD: usize = 8 + NONCE_LEN;
/// Bytes that a state may have when it is read again.
const LARGEST: usize = 64 << 20;
/// The level of compression, from 0 to 10: a record is read again soon, and much in it repeats.
const EFFORT: u8 = 4;

/// The request that a state is bound to.
pub struct Bound<'a> {
    /// The role.
    pub role: &'a str,
    /// The caller's credentials, as they came.
    pub principal: &'a [u8],
    /// The method.
    pub method: &'a str,
    /// A hash of its parameters.
    pub params: &'a str,
}

impl Bound<'_> {
    /// It as associated data: each part after its length.
    fn to_bytes(&self, expires: u64) -> Vec<u8> {
        let mut bytes = expires.to_le_bytes().to_vec();
        let parts = [
            self.role.as_bytes(),
            self.principal,
            self.method.as_bytes(),
            self.params.as_bytes(),
        ];
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Seals and opens the states of calls.
pub struct RequestState(LessSafeKey);

impl RequestState {
    /// Seals under the key that is kept in this folder, or else under one of this process: what that has sealed is of
    /// no use to the next one.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn kept(folder: &Path) -> Result<Self, RpcError> {
        let key = UserKey::kept(folder, KEY).or_else(|error| {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "the key of clients' answers cannot be kept: they are lost at a restart");
            UserKey::random()
        });
        let key = key.map_err(|error| internal(&error.to_string()))?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.bytes())
            .map_err(|_| internal("the key has a wrong length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// A state as a text that only this host can read, for so long. `largest` is how many bytes it may have.
    ///
    /// # Errors
    /// If it is too large.
    pub fn seal(
        &self,
        state: &SuspendedState,
        bound: &Bound<'_>,
        valid: Duration,
        largest: u64,
    ) -> Result<String, RpcError> {
        let head = serde_json::to_vec(state).map_err(|error| internal(&error.to_string()))?;
        let length = u32::try_from(head.len()).map_err(|_| too_large(largest))?;
        let mut plain = length.to_le_bytes().to_vec();
        plain.extend_from_slice(&head);
        plain.extend_from_slice(&state.events);
        let mut sealed = compress_to_vec(&plain, EFFORT);
        let expires = now().saturating_add(valid.as_secs());
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| internal(&error.to_string()))?;
        let aad = Aad::from(bound.to_bytes(expires));
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| internal("it cannot be encrypted"))?;
        let text = base64(&[&expires.to_le_bytes()[..], &nonce, &sealed].concat());
        match text.len() as u64 > largest {
            true => Err(too_large(largest)),
            false => Ok(text),
        }
    }

    /// The state that a text is.
    ///
    /// # Errors
    /// If this host has not sealed it for this caller and this call, or it has expired.
    pub fn open(&self, text: &str, bound: &Bound<'_>) -> Result<SuspendedState, RpcError> {
        let Ok(Base64(bytes)) = serde_json::from_value(Value::from(text)) else {
            return Err(foreign());
        };
        let (head, sealed) = bytes.split_at_checked(HEAD).ok_or_else(foreign)?;
        let (expires, nonce) = head.split_at_checked(8).ok_or_else(foreign)?;
        let expires = u64::from_le_bytes(expires.try_into().map_err(|_| foreign())?);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| foreign())?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(bound.to_bytes(expires));
        let opened = self.0.open_in_place(nonce, aad, &mut sealed);
        let compressed = opened.map_err(|_| foreign())?;
        if expires < now() {
            return Err(RpcError::params(
                "`requestState` has expired: call again without it",
            ));
        }
        let broken = || internal("a request's state that was sealed here cannot be read");
        let plain = decompress_to_vec_with_limit(compressed, LARGEST).map_err(|_| broken())?;
        let (length, rest) = plain.split_at_checked(4).ok_or_else(broken)?;
        let length = u32::from_le_bytes(length.try_into().map_err(|_| broken())?);
        let (head, events) = rest.split_at_checked(length as usize).ok_or_else(broken)?;
        let state: SuspendedState = serde_json::from_slice(head).map_err(|_| broken())?;
        Ok(SuspendedState {
            events: events.to_vec(),
            ..state
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    match serde_json::to_value(Base64(bytes.to_vec())) {
        Ok(Value::String(text)) => text,
        // Bytes always have a text.
        _ => String::new(),
    }
}

fn now() -> u64 {
    UNIX_EPOCH
        .elapsed()
        .or_else(|_| SystemTime::now().duration_since(UNIX_EPOCH))
        .map_or(0, |since| since.as_secs())
}

fn foreign() -> RpcError {
    RpcError::params(
        "`requestState` is none that this host has given for this call: call again without it",
    )
}

fn too_large(largest: u64) -> RpcError {
    RpcError::server(format!(
        "the guest has done too much before it asked its client: what it takes to go on is larger than {largest} bytes; \
         `mcp.max_request_state` sets how large it may be"
    ))
}

fn internal(reason: &str) -> RpcError {
    RpcError::from(exomonad_host::HostError::Internal(format!(
        "the state of a request: {reason}"
    )))
}

#[cfg(test)]
mod tests {
    use exomonad_schema::RawJson;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn bound() -> Bound<'static> {
        Bound {
            role: "tl",
            principal: b"Bearer a",
            method: "tools/call",
            params: "hash",
        }
    }

    fn state() -> SuspendedState {
        SuspendedState {
            context: None,
            answers: [("k".to_owned(), RawJson::empty_object())].into(),
            asked: 3,
            run: None,
            events: vec![7; 10_000],
        }
    }

    #[test]
    fn a_state_comes_back_to_whom_it_was_given_and_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = RequestState::kept(folder.path()).unwrap();
        let text = sealer.seal(&state(), &bound(), HOUR, 1 << 20).unwrap();
        assert!(text.len() < 1000, "it is compressed: {}", text.len());
        // A host that was started again has the same key.
        let again = RequestState::kept(folder.path()).unwrap();
        let opened = again.open(&text, &bound()).unwrap();
        assert_eq!((opened.asked, opened.events), (3, state().events));
        let others = [
            Bound {
                role: "dev",
                ..bound()
            },
            Bound {
                principal: b"Bearer b",
                ..bound()
            },
            Bound {
                method: "prompts/get",
                ..bound()
            },
            Bound {
                params: "other",
                ..bound()
            },
        ];
        for other in others {
            assert_eq!(again.open(&text, &other).unwrap_err().code(), -32602);
        }
        let foreign = RequestState::kept(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(foreign.open(&text, &bound()).is_err());
    }

    #[test]
    fn what_was_tampered_with_or_has_expired_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = RequestState::kept(folder.path()).unwrap();
        let text = sealer.seal(&state(), &bound(), HOUR, 1 << 20).unwrap();
        for nth in 0..text.len() {
            let mut tampered = text.clone().into_bytes();
            tampered[nth] = if tampered[nth] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).unwrap();
            assert!(sealer.open(&tampered, &bound()).is_err(), "byte {nth}");
        }
        for other in [
            "",
            "AAAA",
            "-TAMPERED",
            &format!("{text}-TAMPERED"),
            &text[4..],
        ] {
            assert_eq!(sealer.open(other, &bound()).unwrap_err().code(), -32602);
        }
        let expires = u64::to_le_bytes(1);
        let mut sealed = b"x".to_vec();
        let aad = Aad::from(bound().to_bytes(1));
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        sealer
            .0
            .seal_in_place_append_tag(nonce, aad, &mut sealed)
            .unwrap();
        let old = base64(&[&expires[..], &[0; NONCE_LEN], &sealed].concat());
        let refused = sealer.open(&old, &bound()).unwrap_err().to_json();
        assert!(String::from_utf8(refused).unwrap().contains("expired"));
    }

    #[test]
    fn a_state_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = RequestState::kept(folder.path()).unwrap();
        let refused = sealer.seal(&state(), &bound(), HOUR, 64).unwrap_err();
        assert_eq!(refused.code(), -32000);
    }
}
