//! [`KeySource`]: the keys of one authorization server, fetched when they are needed and kept for a while.
//!
//! A token whose key is not known makes the host look again, since servers change their keys; but not more often than
//! every ten seconds, so that nobody can make it ask by making up keys. While the server cannot be reached the keys
//! that are there go on for an hour.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use exomonad_config::{Endpoint, JwtAlgorithm};
use exomonad_core::patterns::is_loopback;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::jwk::KeySet;
use crate::jwt::JwtError;

/// The age at which keys are fetched again.
const FRESH: Duration = Duration::from_secs(600);
/// The age up to which they are used if that fails.
const USABLE: Duration = Duration::from_secs(3600);
/// The time between two attempts at least.
const BETWEEN: Duration = Duration::from_secs(10);
/// The time that one request to the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LARGEST: usize = 256 << 10;

/// The keys of one authorization server.
pub struct KeySource {
    issuer: Endpoint,
    jwks_url: Option<Endpoint>,
    client: Client,
    known: RwLock<Option<Known>>,
    /// When it was last tried; held by whoever fetches.
    tried: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    at: Instant,
}

/// The reason why keys cannot be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}: {1}")]
    Http(String, reqwest::Error),
    #[error("{0} answers with status {1}")]
    Status(String, u16),
    #[error("the answer of {0} is larger than {LARGEST} bytes")]
    TooLarge(String),
    #[error("the answer of {0} is not what was asked for: {1}")]
    Unreadable(String, serde_json::Error),
    #[error("the metadata of {0} is of the issuer `{1}`")]
    OtherIssuer(String, String),
    #[error(
        "`{0}` is no address for keys: it has to be https, or on this machine as its issuer is"
    )]
    Address(String),
}

impl KeySource {
    /// The keys of this issuer; at this address, or where its metadata says.
    pub fn new(issuer: Endpoint, jwks_url: Option<Endpoint>, client: Client) -> Self {
        Self {
            issuer,
            jwks_url,
            client,
            known: RwLock::new(None),
            tried: Mutex::new(None),
        }
    }

    /// True if it is this issuer. An issuer may be written with a `/` at its end, an [`Endpoint`] is not.
    pub fn is(&self, issuer: &str) -> bool {
        issuer.strip_suffix('/').unwrap_or(issuer) == self.issuer.as_str()
    }

    /// Keys among which is the one of this id, if the issuer has it.
    ///
    /// # Errors
    /// If no keys can be had.
    pub async fn keys(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
    ) -> Result<Arc<KeySet>, JwtError> {
        let fresh = |known: &Known| known.at.elapsed() < FRESH && known.keys.has(algorithm, id);
        if let Some(known) = self.known().filter(fresh) {
            return Ok(known.keys);
        }
        let mut tried = self.tried.lock().await;
        // Another request may have fetched them meanwhile.
        if let Some(known) = self.known().filter(fresh) {
            return Ok(known.keys);
        }
        if tried.is_none_or(|at| at.elapsed() >= BETWEEN) {
            *tried = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    let known = Known {
                        keys: Arc::new(keys),
                        at: Instant::now(),
                    };
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
                }
                Err(error) => {
                    tracing::warn!(issuer = self.issuer.as_str(), %error, "the keys of an authorization server cannot be fetched");
                }
            }
        }
        let usable = self.known().filter(|known| known.at.elapsed() < USABLE);
        usable.map(|known| known.keys).ok_or(JwtError::Unavailable)
    }

    fn known(&self) -> Option<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let url = match &self.jwks_url {
            Some(url) => self.address(url.as_str())?,
            None => self.discover().await?,
        };
        let json = self.get(&url).await?;
        KeySet::read(&json).map_err(|error| FetchError::Unreadable(url.to_string(), error))
    }

    /// The address of the keys, by the server's metadata.
    async fn discover(&self) -> Result<Url, FetchError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let issuer = self.address(self.issuer.as_str())?;
        let path = issuer.path().trim_end_matches('/');
        let mut by_oauth = issuer.clone();
        by_oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
        let mut by_openid = issuer.clone();
        by_openid.set_path(&format!("{path}/.well-known/openid-configuration"));
        let (url, json) = match self.get(&by_oauth).await {
            Ok(json) => (by_oauth, json),
            Err(FetchError::Status(..)) => {
                let json = self.get(&by_openid).await?;
                (by_openid, json)
            }
            Err(error) => return Err(error),
        };
        let metadata: Metadata = serde_json::from_slice(&json)
            .map_err(|error| FetchError::Unreadable(url.to_string(), error))?;
        if !self.is(&metadata.issuer) {
            return Err(FetchError::OtherIssuer(url.to_string(), metadata.issuer));
        }
        self.address(&metadata.jwks_uri)
    }

    /// An address that may be asked: nobody on the way can change its answer, and no server elsewhere makes the host
    /// ask this machine.
    fn address(&self, text: &str) -> Result<Url, FetchError> {
        let wrong = || FetchError::Address(text.chars().take(200).collect());
        let url: Url = text.parse().map_err(|_| wrong())?;
        let local = |url: &Url| url.host_str().is_some_and(is_loopback);
        let issuer: Url = self.issuer.as_str().parse().map_err(|_| wrong())?;
        let is_taken = match (url.scheme(), local(&url)) {
            ("http" | "https", true) => local(&issuer),
            ("https", false) => true,
            _ => false,
        };
        match is_taken {
            true => Ok(url),
            false => Err(wrong()),
        }
    }

    /// An answer, bounded in size and time. Redirects are not followed.
    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Http(url.to_string(), error.without_url());
        let request = self.client.get(url.clone()).timeout(TIMEOUT);
        let request = request.header("accept", "application/json");
        let mut response = request.send().await.map_err(failed)?;
        if response.status().as_u16() != 200 {
            return Err(FetchError::Status(
                url.to_string(),
                response.status().as_u16(),
            ));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > LARGEST {
                return Err(FetchError::TooLarge(url.to_string()));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}
