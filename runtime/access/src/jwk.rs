//! [`KeySet`]: the public keys of an authorization server (RFC 7517), and signatures held against them.
//!
//! A key has one kind, by which it fits some algorithms and no other: what an RSA key checks is never taken for
//! a secret that both sides share, and there is no algorithm with such secrets here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exomonad_config::JwtAlgorithm;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// Keys of a set that are looked at.
const MOST_KEYS: usize = 64;

/// The public keys of an authorization server.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

/// A public key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<String>,
    public: PublicKey,
}

#[derive(Debug)]
enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key as it is written.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds, and for other purposes, are left out.
    ///
    /// # Errors
    /// If it is no set of keys.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json)?;
        let keys = set.keys.into_iter().take(MOST_KEYS);
        // One that cannot be read must not take the others away.
        let keys = keys.filter_map(|key| Key::of(serde_json::from_value(key).ok()?));
        Ok(Self(keys.collect()))
    }

    /// The number of keys.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// True if some key may have made a signature with this algorithm and key id.
    pub fn has(&self, algorithm: JwtAlgorithm, id: Option<&str>) -> bool {
        self.find(algorithm, id).is_some()
    }

    /// True if the signature is one of the key of this id. A token without an id is of the only key that fits its
    /// algorithm.
    pub fn verify(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let key = self.find(algorithm, id);
        key.is_some_and(|key| key.public.verify(algorithm, message, signature))
    }

    fn find(&self, algorithm: JwtAlgorithm, id: Option<&str>) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| id.is_none_or(|id| key.id.as_deref() == Some(id)))
            .filter(|key| key.fits(algorithm));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

impl Key {
    fn of(written: Written) -> Option<Self> {
        let is_to_verify = written
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig")
            && written
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !is_to_verify {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |size: usize| {
            let (x, y) = (bytes(&written.x)?, bytes(&written.y)?);
            let fits = x.len() == size && y.len() == size;
            fits.then(|| [&[4][..], &x, &y].concat())
        };
        let public = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (bytes(&written.n)?, bytes(&written.e)?);
                // Some write the sign's zero before it, which ring does not take.
                let first = n.iter().position(|byte| *byte != 0)?;
                PublicKey::Rsa {
                    n: n.get(first..)?.to_vec(),
                    e,
                }
            }
            ("EC", Some("P-256")) => PublicKey::P256(point(32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(48)?),
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(bytes(&written.x)?),
            _ => return None,
        };
        Some(Self {
            id: written.kid,
            algorithm: written.alg,
            public,
        })
    }

    fn fits(&self, algorithm: JwtAlgorithm) -> bool {
        let named = self.algorithm.as_deref();
        let is_named = named.is_none_or(|named| named == format!("{algorithm:?}"));
        is_named && self.public.check(algorithm).is_some()
    }
}

/// The check of a signature.
enum Check {
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm),
}

impl PublicKey {
    fn check(&self, algorithm: JwtAlgorithm) -> Option<Check> {
        use JwtAlgorithm::*;
        Some(match (self, algorithm) {
            (Self::Rsa { .. }, RS256) => Check::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            (Self::Rsa { .. }, RS384) => Check::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            (Self::Rsa { .. }, RS512) => Check::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            (Self::Rsa { .. }, PS256) => Check::Rsa(&RSA_PSS_2048_8192_SHA256),
            (Self::Rsa { .. }, PS384) => Check::Rsa(&RSA_PSS_2048_8192_SHA384),
            (Self::Rsa { .. }, PS512) => Check::Rsa(&RSA_PSS_2048_8192_SHA512),
            (Self::P256(_), ES256) => Check::Other(&ECDSA_P256_SHA256_FIXED),
            (Self::P384(_), ES384) => Check::Other(&ECDSA_P384_SHA384_FIXED),
            (Self::Ed25519(_), EdDSA) => Check::Other(&ED25519),
            _ => return None,
        })
    }

    fn verify(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (self, self.check(algorithm)) {
            (Self::Rsa { n, e }, Some(Check::Rsa(parameters))) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (
                Self::P256(public) | Self::P384(public) | Self::Ed25519(public),
                Some(Check::Other(algorithm)),
            ) => UnparsedPublicKey::new(algorithm, public).verify(message, signature),
            _ => return false,
        };
        verified.is_ok()
    }
}
