//! [`Jwt`]: a signed token (RFC 7519), and what may be wrong with one.
//!
//! Nothing that a token says of keys is followed: no key in it, no address of one. Its algorithm only chooses among
//! those that the configuration takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exomonad_config::JwtAlgorithm;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a key's id, an issuer, a subject.
const LONGEST_TEXT: usize = 1024;
/// Audiences, and scopes, of one token.
const MOST_TEXTS: usize = 256;

/// The reason why a token is refused. The text is for clients, and repeats nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// It is no JWT, or one that says what cannot be.
    #[error("it is no signed JWT")]
    Malformed,
    /// Its header names an algorithm that is not taken, such as `none`.
    #[error("its algorithm is not taken")]
    Algorithm,
    /// Its header asks for something that is not known here.
    #[error("its header has parameters or a type that are not taken")]
    Header,
    /// Its issuer is not one of those that are configured.
    #[error("its issuer is not known")]
    Issuer,
    /// The issuer has no such key, or the signature is not the key's.
    #[error("its signature is wrong, or its key is not known")]
    Signature,
    /// It has ended.
    #[error("it has expired")]
    Expired,
    /// It has not begun.
    #[error("it is not valid yet")]
    Early,
    /// It is for another resource.
    #[error("it is for another audience")]
    Audience,
    /// It is bound to a key of its holder's (RFC 7800), and there is no proof here that the sender has it.
    #[error("it is bound to a key (`cnf`), and this host takes bearer tokens alone")]
    Bound,
    /// It says nothing that it has to say.
    #[error("it lacks a claim: iss, sub, aud and exp have to be there")]
    Claims,
    /// The issuer's keys cannot be had.
    #[error("the keys of its issuer cannot be had now")]
    Unavailable,
}

/// A token that is taken apart, and not yet trusted.
#[derive(Debug)]
pub struct Jwt<'t> {
    /// The algorithm of its signature.
    pub algorithm: JwtAlgorithm,
    /// The id of its key.
    pub key: Option<String>,
    /// The text that is signed.
    pub message: &'t [u8],
    /// The signature.
    pub signature: Vec<u8>,
    /// The claims, not to be believed before the signature is checked.
    pub claims: Claims,
}

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The authorization server.
    pub issuer: String,
    /// Whoever it was given to.
    pub subject: String,
    /// The resources that it is for.
    pub audience: Vec<String>,
    /// When it ends.
    pub expires: SystemTime,
    /// When it begins.
    pub not_before: Option<SystemTime>,
    /// Its scopes.
    pub scopes: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Written {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Value>,
    exp: Option<f64>,
    nbf: Option<f64>,
    scope: Option<Value>,
    scp: Option<Value>,
    cnf: Option<Value>,
}

impl<'t> Jwt<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// If it is none that could be taken.
    pub fn read(token: &'t str, algorithms: &[JwtAlgorithm]) -> Result<Self, JwtError> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(JwtError::Malformed)?;
        let bytes = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| JwtError::Malformed)
        };
        let header: Header =
            serde_json::from_slice(&bytes(header)?).map_err(|_| JwtError::Malformed)?;
        let algorithm = algorithms
            .iter()
            .find(|algorithm| format!("{algorithm:?}") == header.alg);
        let algorithm = *algorithm.ok_or(JwtError::Algorithm)?;
        let is_type = |typ: &String| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            ["jwt", "at+jwt"].contains(&typ)
        };
        let is_short = |id: &String| id.len() <= LONGEST_TEXT;
        if header.crit.is_some()
            || !header.typ.as_ref().is_none_or(is_type)
            || !header.kid.as_ref().is_none_or(is_short)
        {
            return Err(JwtError::Header);
        }
        Ok(Self {
            algorithm,
            key: header.kid,
            message: message.as_bytes(),
            signature: bytes(signature)?,
            claims: Claims::read(&bytes(claims)?)?,
        })
    }
}

impl Claims {
    fn read(json: &[u8]) -> Result<Self, JwtError> {
        let written: Written = serde_json::from_slice(json).map_err(|_| JwtError::Malformed)?;
        if written.cnf.is_some() {
            return Err(JwtError::Bound);
        }
        // A subject is shown in logs, and to guests.
        let text = |text: Option<String>| {
            text.filter(|text| {
                (1..=LONGEST_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
            })
            .ok_or(JwtError::Claims)
        };
        let audience = texts(written.aud.as_ref(), false);
        Ok(Self {
            issuer: text(written.iss)?,
            subject: text(written.sub)?,
            audience: audience
                .filter(|all| !all.is_empty())
                .ok_or(JwtError::Claims)?,
            expires: moment(written.exp.ok_or(JwtError::Claims)?)?,
            not_before: written.nbf.map(moment).transpose()?,
            scopes: texts(written.scope.as_ref().or(written.scp.as_ref()), true)
                .unwrap_or_default(),
        })
    }

    /// Checks that it is valid now, for clocks that are so far apart.
    ///
    /// # Errors
    /// If it has expired or has not begun.
    pub fn check_time(&self, now: SystemTime, skew: Duration) -> Result<(), JwtError> {
        if now
            .duration_since(self.expires)
            .is_ok_and(|past| past >= skew)
        {
            return Err(JwtError::Expired);
        }
        let early = |begin: SystemTime| begin.duration_since(now).is_ok_and(|early| early > skew);
        match self.not_before.is_some_and(early) {
            true => Err(JwtError::Early),
            false => Ok(()),
        }
    }
}

/// One text or several; those of one text that blanks divide, where that is the form.
fn texts(value: Option<&Value>, are_words: bool) -> Option<Vec<String>> {
    match value? {
        Value::String(text) if are_words => Some(
            text.split(' ')
                .filter(|word| !word.is_empty())
                .take(MOST_TEXTS)
                .map(str::to_owned)
                .collect(),
        ),
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(all) => all
            .iter()
            .take(MOST_TEXTS)
            .map(|text| text.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// A `NumericDate`: seconds since 1970, which may have a fraction.
fn moment(seconds: f64) -> Result<SystemTime, JwtError> {
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| JwtError::Claims)?;
    UNIX_EPOCH.checked_add(since).ok_or(JwtError::Claims)
}
