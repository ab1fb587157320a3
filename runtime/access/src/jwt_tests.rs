//! Tokens, good and bad, held against keys: what opens nothing, whatever else is right with it.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exomonad_config::{Config, JwtAlgorithm};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::jwk::KeySet;
use crate::jwt::{Jwt, JwtError};
use crate::key_source;
use crate::oauth::OAuth;

/// An authorization server with two keys.
struct Server {
    edwards: Ed25519KeyPair,
    elliptic: EcdsaKeyPair,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims() -> Value {
    json!({
        "iss": "https://auth.example", "sub": "alice", "aud": "https://host.example",
        "exp": 2_000_000_000, "nbf": 1_000_000_000, "scope": "tools:read_* hooks"
    })
}

impl Server {
    fn new() -> Self {
        let random = SystemRandom::new();
        let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let elliptic = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            edwards: Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap(),
            elliptic: EcdsaKeyPair::from_pkcs8(algorithm, elliptic.as_ref(), &random).unwrap(),
        }
    }

    fn set(&self) -> Value {
        let point = self.elliptic.public_key().as_ref();
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": encoded(self.edwards.public_key())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kty": "oct", "kid": "shared", "k": encoded("a secret")},
            {"kty": "RSA", "kid": "broken"},
            "no key at all"
        ]})
    }

    fn keys(&self) -> KeySet {
        KeySet::read(self.set().to_string().as_bytes()).unwrap()
    }

    /// A token whose header and claims are these, signed with one of the keys.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let signature = match header["alg"].as_str() {
            Some("ES256") => {
                let random = SystemRandom::new();
                let signed = self.elliptic.sign(&random, message.as_bytes()).unwrap();
                signed.as_ref().to_vec()
            }
            _ => self.edwards.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encoded(signature))
    }
}

/// The whole check of a token, but for what the configuration says of its issuer and audience.
fn verify(keys: &KeySet, token: &str) -> Result<String, JwtError> {
    let jwt = Jwt::read(token, &JwtAlgorithm::ALL)?;
    let now = UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    jwt.claims.check_time(now, Duration::from_secs(60))?;
    let key = jwt.key.as_deref();
    match keys.verify(jwt.algorithm, key, jwt.message, &jwt.signature) {
        true => Ok(jwt.claims.subject),
        false => Err(JwtError::Signature),
    }
}

#[tokio::test]
async fn an_issuer_that_is_written_with_a_slash_has_the_same_principals_and_keys_outlast_a_reload()
{
    let (signer, server) = (Server::new(), key_source::tests::Server::start(1).await);
    server.answers(200, signer.set().to_string());
    let mut config = Config::default();
    config.oauth.issuers = vec![server.url.parse().unwrap()];
    config.oauth.jwks_url = Some(server.url.parse().unwrap());
    config.oauth.audience = vec!["https://host.example".to_owned()];
    let client = exomonad_services::http::client().unwrap();
    let oauth = OAuth::new(&config, &client, None).unwrap();
    let verify = async |oauth: &OAuth, issuer: String| {
        let mut claims = claims();
        claims["iss"] = json!(issuer);
        let token = signer.token(&json!({"alg": "ES256", "kid": "ec"}), &claims);
        let verified = oauth.verify(&token).await?;
        oauth.principal(&"tl".parse().unwrap(), &verified)
    };
    for slash in ["", "/"] {
        let principal = verify(&oauth, format!("{}{slash}", server.url))
            .await
            .unwrap();
        assert_eq!(*principal.id, format!("oauth:{}#alice", server.url));
    }
    for other in ["//", "/a", " "] {
        let refused = verify(&oauth, format!("{}{other}", server.url)).await;
        assert_eq!(refused.unwrap_err(), JwtError::Issuer);
    }
    // A reload of the configuration asks for no keys that are known: the server may be away.
    config.oauth.clock_skew = "5s".parse().unwrap();
    let reloaded = OAuth::new(&config, &client, Some(&oauth)).unwrap();
    verify(&reloaded, server.url.clone()).await.unwrap();
    assert_eq!(server.asked(), 1);
}

#[test]
fn a_token_of_each_key_is_taken_with_and_without_a_key_id() {
    let server = Server::new();
    let keys = server.keys();
    for header in [
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "EdDSA", "typ": "at+jwt"}),
        json!({"alg": "ES256", "kid": "ec", "typ": "JWT"}),
        json!({"alg": "ES256", "typ": "application/at+JWT"}),
    ] {
        let token = server.token(&header, &claims());
        assert_eq!(verify(&keys, &token).as_deref(), Ok("alice"), "{header}");
    }
}

#[test]
fn a_token_that_is_not_signed_by_a_key_of_the_set_is_refused() {
    let server = Server::new();
    let keys = server.keys();
    let good = server.token(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = Server::new().token(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    let changed = {
        let mut claims = claims();
        claims["sub"] = json!("operator");
        let (header, _) = message.split_once('.').unwrap();
        format!("{header}.{}.{signature}", encoded(claims.to_string()))
    };
    // The key of one algorithm, named by a token of another; the secret of both sides that is no key here.
    let confused = |alg: &str, kid: &str| server.token(&json!({"alg": alg, "kid": kid}), &claims());
    for (token, error) in [
        (other, JwtError::Signature),
        (changed, JwtError::Signature),
        (format!("{message}."), JwtError::Signature),
        (confused("EdDSA", "unknown"), JwtError::Signature),
        (confused("EdDSA", "ec"), JwtError::Signature),
        (confused("ES256", "ed"), JwtError::Signature),
        (confused("RS256", "broken"), JwtError::Signature),
        (confused("EdDSA", "shared"), JwtError::Signature),
        (confused("HS256", "shared"), JwtError::Algorithm),
        (confused("HS256", "ed"), JwtError::Algorithm),
        (confused("none", "ed"), JwtError::Algorithm),
        (confused("None", "ed"), JwtError::Algorithm),
        (confused("", "ed"), JwtError::Algorithm),
    ] {
        assert_eq!(verify(&keys, &token), Err(error), "{token}");
    }
    let only = Jwt::read(&good, &[JwtAlgorithm::RS256]);
    assert_eq!(only.err(), Some(JwtError::Algorithm), "the list decides");
}

#[test]
fn a_token_with_two_keys_that_fit_and_no_id_is_refused() {
    let (server, other) = (Server::new(), Server::new());
    let mut set = server.set();
    let more = other.set()["keys"][0].clone();
    set["keys"].as_array_mut().unwrap().push(more);
    let keys = KeySet::read(set.to_string().as_bytes()).unwrap();
    let token = server.token(&json!({"alg": "EdDSA"}), &claims());
    assert_eq!(verify(&keys, &token), Err(JwtError::Signature));
    let to_encrypt = {
        let mut set = server.set();
        set["keys"][0]["use"] = json!("enc");
        KeySet::read(set.to_string().as_bytes()).unwrap()
    };
    let token = server.token(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    assert_eq!(verify(&to_encrypt, &token), Err(JwtError::Signature));
}

#[test]
fn what_a_token_says_has_to_be_there_and_to_hold_now() {
    let server = Server::new();
    let keys = server.keys();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        verify(&keys, &server.token(&json!({"alg": "EdDSA"}), &claims))
    };
    for (name, value, expected) in [
        ("exp", json!(1_499_999_000), Err(JwtError::Expired)),
        ("exp", json!(1_499_999_940), Err(JwtError::Expired)),
        ("exp", json!(1_499_999_950.5), Ok(())),
        ("nbf", json!(1_500_000_061), Err(JwtError::Early)),
        ("nbf", json!(1_500_000_060), Ok(())),
        ("nbf", Value::Null, Ok(())),
        ("exp", Value::Null, Err(JwtError::Claims)),
        ("exp", json!(-1), Err(JwtError::Claims)),
        ("exp", json!(1e300), Err(JwtError::Claims)),
        ("exp", json!("2000000000"), Err(JwtError::Malformed)),
        ("sub", Value::Null, Err(JwtError::Claims)),
        ("sub", json!(""), Err(JwtError::Claims)),
        ("sub", json!("a\nb"), Err(JwtError::Claims)),
        ("sub", json!("x".repeat(2000)), Err(JwtError::Claims)),
        ("iss", Value::Null, Err(JwtError::Claims)),
        ("aud", Value::Null, Err(JwtError::Claims)),
        ("aud", json!([]), Err(JwtError::Claims)),
        ("aud", json!([1]), Err(JwtError::Claims)),
        ("aud", json!(["a", "b"]), Ok(())),
        ("scope", json!(["a"]), Ok(())),
        ("cnf", json!({"jkt": "0ZcOCORZNYy"}), Err(JwtError::Bound)),
        ("cnf", Value::Null, Ok(())),
    ] {
        assert_eq!(
            with(name, value.clone()).map(drop),
            expected,
            "{name}: {value}"
        );
    }
}

#[test]
fn a_header_that_asks_for_more_is_refused_and_one_that_names_keys_is_not_followed() {
    let server = Server::new();
    let keys = server.keys();
    let taken = |header: Value| verify(&keys, &server.token(&header, &claims())).map(drop);
    for more in [
        json!({"crit": ["b64"], "b64": false}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "logout+jwt"}),
        json!({"kid": "x".repeat(2000)}),
    ] {
        let mut header = more.clone();
        header["alg"] = json!("EdDSA");
        assert_eq!(taken(header), Err(JwtError::Header), "{more}");
    }
    let other = Server::new();
    let own = other.set()["keys"][0].clone();
    let header = json!({"alg": "EdDSA", "kid": "ed", "jwk": own, "jku": "http://127.0.0.1:1/"});
    assert_eq!(taken(header.clone()), Ok(()));
    let token = other.token(&header, &claims());
    assert_eq!(verify(&keys, &token), Err(JwtError::Signature));
}

#[test]
fn any_bytes_are_refused_or_read_and_never_end_the_host() {
    let server = Server::new();
    let keys = server.keys();
    let good = server.token(&json!({"alg": "EdDSA", "kid": "ed"}), &claims());
    for end in 0..good.len() {
        assert!(verify(&keys, &good[..end]).is_err(), "{end}");
        let mut changed = good.clone().into_bytes();
        changed[end] = if changed[end] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&keys, &changed).is_err(), "{end}");
    }
    let deep = format!("{}1{}", "[".repeat(6000), "]".repeat(6000));
    for text in ["", ".", "..", "...", "a.b.c", "e30.e30.", "!.!.!"] {
        assert!(verify(&keys, text).is_err(), "{text}");
    }
    let header = encoded(r#"{"alg":"EdDSA","alg":"ES256"}"#);
    let twice = format!("{header}.{}.x", encoded(claims().to_string()));
    assert_eq!(verify(&keys, &twice), Err(JwtError::Malformed));
    let deep = format!("{}.{}.", encoded(r#"{"alg":"EdDSA"}"#), encoded(deep));
    assert_eq!(verify(&keys, &deep), Err(JwtError::Malformed));
    for set in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(KeySet::read(set.as_bytes()).is_err(), "{set}");
    }
}
