//! [`OAuth`]: tokens of authorization servers, and the metadata by which clients find these.
//!
//! The host is a resource server of OAuth 2.1: RFC 9728 (metadata), RFC 6750 (bearer tokens), RFC 9068 (JWTs as access
//! tokens), RFC 8414 (where keys are found).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use exomonad_config::{Config, OauthConfig};
use exomonad_core::values::{Area, Scope};
use exomonad_core::{Principal, Scopes};
use exomonad_schema::RoleName;
use reqwest::Client;
use serde_json::{Value, json};

use crate::jwt::{Claims, Jwt, JwtError};
use crate::key_source::KeySource;

/// The path of the metadata; that of a resource at another path follows.
pub const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The authorization servers whose tokens open roles.
pub struct OAuth {
    config: OauthConfig,
    /// The audiences of roles that have their own.
    audiences: BTreeMap<RoleName, Vec<String>>,
    /// Those of roles that are not listed.
    unlisted: Vec<String>,
    sources: Vec<KeySource>,
}

impl OAuth {
    /// The servers of a configuration; `None` if it has none. The keys that are known under the configuration before
    /// stay known.
    pub fn new(config: &Config, client: &Client, before: Option<&Self>) -> Option<Self> {
        let oauth = &config.oauth;
        if oauth.issuers.is_empty() {
            return None;
        }
        let known = before.map_or(&[][..], |before| &before.sources);
        let source = |issuer: &exomonad_config::Endpoint| {
            let mut known = known.iter();
            if let Some(known) = known.find(|known| known.has_keys_of(issuer, &oauth.jwks_url)) {
                return known.clone();
            }
            KeySource::new(issuer.clone(), oauth.jwks_url.clone(), client.clone())
        };
        let roles = config.roles.iter();
        Some(Self {
            audiences: roles
                .map(|(name, role)| (name.clone(), role.token_audience.clone()))
                .collect(),
            unlisted: config.defaults.token_audience.clone(),
            sources: oauth.issuers.iter().map(source).collect(),
            config: oauth.clone(),
        })
    }

    /// Checks the signature and the issuer of a token, and that it is valid now.
    ///
    /// # Errors
    /// If it opens nothing here.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, JwtError> {
        let jwt = Jwt::read(token, &self.config.algorithms)?;
        let source = self
            .sources
            .iter()
            .find(|source| source.is(&jwt.claims.issuer))
            .ok_or(JwtError::Issuer)?;
        // Before any key is fetched for it.
        self.check_time(&jwt.claims)?;
        let (algorithm, key) = (jwt.algorithm, jwt.key.as_deref());
        let keys = source.keys(algorithm, key).await?;
        if !keys.verify(algorithm, key, jwt.message, &jwt.signature) {
            return Err(JwtError::Signature);
        }
        // Two spellings of an issuer are one, and so its subjects are the same principals.
        let issuer = source.issuer().to_owned();
        Ok(Arc::new(Claims {
            issuer,
            ..jwt.claims
        }))
    }

    /// Asks each server for its keys, for `doctor`: its issuer, and how many it has, or why they cannot be had.
    pub async fn check(&self) -> Vec<(&str, Result<usize, String>)> {
        let mut checked = Vec::new();
        for source in &self.sources {
            checked.push((source.issuer(), source.check().await));
        }
        checked
    }

    /// The principal of a token that opens the role.
    ///
    /// # Errors
    /// If it has ended, or is for another resource.
    pub fn principal(&self, role: &RoleName, claims: &Claims) -> Result<Principal, JwtError> {
        // The configuration may have changed since it was verified.
        if !self.sources.iter().any(|source| source.is(&claims.issuer)) {
            return Err(JwtError::Issuer);
        }
        self.check_time(claims)?;
        let audience = self.audience(role);
        if !claims.audience.iter().any(|one| audience.contains(one)) {
            return Err(JwtError::Audience);
        }
        Ok(Principal {
            id: format!("oauth:{}#{}", claims.issuer, claims.subject).into(),
            name: Some(claims.subject.as_str().into()),
            scopes: self.scopes(claims),
        })
    }

    fn check_time(&self, claims: &Claims) -> Result<(), JwtError> {
        claims.check_time(SystemTime::now(), self.config.clock_skew.get())
    }

    /// The scope that each token has to have, and this one lacks.
    pub fn missing_scope(&self, claims: &Claims) -> Option<&str> {
        let mut required = self.config.required_scopes.iter();
        let missing = required.find(|required| !claims.scopes.contains(required));
        missing.map(String::as_str)
    }

    /// The audiences of tokens for a role.
    fn audience(&self, role: &RoleName) -> Vec<String> {
        let own = self.audiences.get(role).unwrap_or(&self.unlisted);
        match (own.is_empty(), self.config.audience.is_empty()) {
            (false, _) => own.clone(),
            (true, false) => self.config.audience.clone(),
            (true, true) => {
                let public_url = self.config.public_url.as_ref();
                let resource = public_url.map(|url| resource(url.as_str(), Some(role)));
                resource.into_iter().collect()
            }
        }
    }

    /// The parts of a role that a token opens.
    fn scopes(&self, claims: &Claims) -> Scopes {
        let granted = claims.scopes.iter().flat_map(|name| {
            let listed = self.config.scopes.get(name).cloned();
            listed.unwrap_or_else(|| name.parse::<Scope>().into_iter().collect())
        });
        Scopes::of(self.config.default_scopes.iter().cloned().chain(granted))
    }

    /// The scope to ask the authorization server for, to be given this part of a role.
    pub fn scope_to_ask_for(&self, needed: &str) -> String {
        let covers = |scopes: &Vec<Scope>| match needed.parse::<Scope>() {
            Ok(Scope::Tools(tool)) => scopes.iter().any(|scope| scope.allows_tool(&tool)),
            Ok(Scope::Area(area)) => scopes.contains(&Scope::Area(area)),
            Err(_) => false,
        };
        let mut listed = self.config.scopes.iter();
        let found = listed.find(|(_, scopes)| covers(scopes));
        found.map_or(needed, |(name, _)| name.as_str()).to_owned()
    }

    /// The scopes that a client without a token asks for; empty if none is required.
    pub fn required_scopes(&self) -> String {
        self.config.required_scopes.join(" ")
    }

    /// The address of this host, for clients that have reached it under this name.
    pub fn base(&self, host: &str) -> String {
        let public_url = self.config.public_url.as_ref();
        public_url.map_or_else(|| format!("http://{host}"), ToString::to_string)
    }

    /// The metadata of a role's endpoint, or of the host (RFC 9728, section 2). Roles that are not there have some,
    /// too: nobody learns from it which there are.
    pub fn metadata(&self, host: &str, role: Option<&RoleName>) -> Value {
        let issuers: Vec<String> = self
            .config
            .issuers
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut scopes = self.config.required_scopes.clone();
        let listed = self.config.scopes.keys();
        let others: Vec<String> = listed
            .filter(|name| !scopes.contains(name))
            .cloned()
            .collect();
        scopes.extend(others);
        if self.config.scopes.is_empty() {
            let areas = Area::ALL.map(|area| area.name().to_owned());
            scopes.push("tools".to_owned());
            scopes.extend(areas);
        }
        let name = role.map_or("exomonad".to_owned(), |role| format!("exomonad: {role}"));
        json!({
            "resource": resource(&self.base(host), role),
            "authorization_servers": issuers,
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": name,
        })
    }

    /// The address of the metadata of a role's endpoint, or of the host.
    pub fn metadata_url(&self, host: &str, role: Option<&RoleName>) -> String {
        let base = self.base(host);
        match role {
            Some(role) => format!("{base}{METADATA}/role/{role}/mcp"),
            None => format!("{base}{METADATA}"),
        }
    }
}

/// The address of a role's endpoint, or of the host.
fn resource(base: &str, role: Option<&RoleName>) -> String {
    match role {
        Some(role) => format!("{base}/role/{role}/mcp"),
        None => base.to_owned(),
    }
}
