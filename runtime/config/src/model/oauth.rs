//! `[oauth]`: authorization servers whose tokens open roles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{Endpoint, Scope, TimeSpan};

/// Authorization servers whose tokens open roles: the host is a resource server of OAuth 2.1, as MCP has it. Tokens are
/// JWTs, checked by the servers' public keys. With an issuer here no role is served without a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OauthConfig {
    /// The servers, by the address that their tokens have as `iss`: https, or on this machine. Their keys are found
    /// by their metadata (RFC 8414, or OpenID Connect's).
    pub issuers: Vec<Endpoint>,
    /// Address of the keys of the one issuer, if its metadata does not name it.
    #[schemars(example = &"https://auth.example/keys")]
    pub jwks_url: Option<Endpoint>,
    /// Address by which clients reach this host, without a path of its own: for the metadata that they look for, and
    /// for the audiences of tokens.
    #[schemars(example = &"https://exomonad.example")]
    pub public_url: Option<Endpoint>,
    /// Audiences (`aud`) of tokens that open roles. By default a role's own address: `public_url` and
    /// `/role/{role}/mcp`. A role's `token_audience` takes the place of either.
    pub audience: Vec<String>,
    /// Scopes that each token has to have, as the authorization server calls them.
    pub required_scopes: Vec<String>,
    /// Parts of a role that each token opens, whatever its scopes: `tools`, `tools:repo_*`, `hooks`, `resources`,
    /// `prompts`, `workflows`, `calls`.
    pub default_scopes: Vec<Scope>,
    /// Parts of a role that a scope of the authorization server's opens. Scopes that are not listed here open what
    /// they name, if it is such a part.
    pub scopes: BTreeMap<String, Vec<Scope>>,
    /// How far the clocks of host and servers may be apart.
    #[schemars(extend("x-maximum" = "10m"))]
    pub clock_skew: TimeSpan,
    /// Algorithms of signatures that are taken. There are none with shared keys.
    pub algorithms: Vec<JwtAlgorithm>,
}

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            jwks_url: None,
            public_url: None,
            audience: Vec::new(),
            required_scopes: Vec::new(),
            default_scopes: Vec::new(),
            scopes: BTreeMap::new(),
            clock_skew: TimeSpan::secs(60),
            algorithms: JwtAlgorithm::ALL.to_vec(),
        }
    }
}

/// An algorithm of a JWT's signature (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// RSA (PKCS #1) with SHA-256.
    RS256,
    /// RSA (PKCS #1) with SHA-384.
    RS384,
    /// RSA (PKCS #1) with SHA-512.
    RS512,
    /// RSA (PSS) with SHA-256.
    PS256,
    /// RSA (PSS) with SHA-384.
    PS384,
    /// RSA (PSS) with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl JwtAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];
}
