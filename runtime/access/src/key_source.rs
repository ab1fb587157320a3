//! [`KeySource`]: the keys of one authorization server, fetched when they are needed and kept for a while.
//!
//! A fetch is a task of its own, one at a time for all requests. Keys that are old are used at once while new ones are
//! fetched behind; only a token whose key is not known waits, and not for long: the server may be slow, and whoever
//! makes up keys must not hold connections. The host looks again for such a key, since servers change them, but not
//! sooner than ten seconds after the last fetch has ended, well or badly. While the server cannot be reached the keys
//! that are there go on for an hour.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exomonad_config::{Endpoint, JwtAlgorithm};
use exomonad_core::patterns::is_loopback;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::jwk::KeySet;
use crate::jwt::JwtError;

/// Bytes of an answer.
const LARGEST: usize = 256 << 10;

/// The times that keys and fetches go by.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// The age at which keys are fetched again.
    fresh: Duration,
    /// The age up to which they are used if that fails.
    usable: Duration,
    /// The time between the end of a fetch and the next one at least.
    between: Duration,
    /// The time that a fetch may take, its requests together.
    fetch: Duration,
    /// The time that a token waits for a fetch.
    wait: Duration,
}

const TIMES: Times = Times {
    fresh: Duration::from_secs(600),
    usable: Duration::from_secs(3600),
    between: Duration::from_secs(10),
    fetch: Duration::from_secs(10),
    wait: Duration::from_secs(3),
};

/// The keys of one authorization server. A clone shares them.
#[derive(Clone)]
pub struct KeySource(Arc<Shared>);

/// The part of a [`KeySource`] that its fetches share.
struct Shared {
    issuer: Endpoint,
    jwks_url: Option<Endpoint>,
    client: Client,
    times: Times,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    last: Option<LastFetch>,
    /// Of the fetch that is under way: its task holds the sender, and drops it when the rest of this is up to date.
    under_way: Option<watch::Receiver<()>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    at: Instant,
}

/// The fetch before.
struct LastFetch {
    ended: Instant,
    has_failed: bool,
}

/// The reason why keys cannot be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}: {1}")]
    Http(String, reqwest::Error),
    #[error("{0} answers with status {1}")]
    Status(String, u16),
    #[error("the answer takes longer than {0:?}")]
    TooSlow(Duration),
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
        Self::with_times(issuer, jwks_url, client, TIMES)
    }

    fn with_times(
        issuer: Endpoint,
        jwks_url: Option<Endpoint>,
        client: Client,
        times: Times,
    ) -> Self {
        Self(Arc::new(Shared {
            issuer,
            jwks_url,
            client,
            times,
            state: Mutex::default(),
        }))
    }

    /// True if its keys are those of this issuer, from this address.
    pub fn has_keys_of(&self, issuer: &Endpoint, jwks_url: &Option<Endpoint>) -> bool {
        self.0.issuer == *issuer && self.0.jwks_url == *jwks_url
    }

    /// The issuer, as it is configured.
    pub fn issuer(&self) -> &str {
        self.0.issuer.as_str()
    }

    /// True if it is this issuer.
    pub fn is(&self, issuer: &str) -> bool {
        self.0.is(issuer)
    }

    /// Keys among which is the one of this id, if the issuer has it.
    ///
    /// # Errors
    /// If no keys can be had, or not the newest ones where those that are known lack this one.
    pub async fn keys(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
    ) -> Result<Arc<KeySet>, JwtError> {
        let has = |known: &Known| known.keys.has(algorithm, id);
        let under_way = {
            let mut state = self.0.state();
            let usable = state.usable(&self.0.times).filter(has);
            match usable {
                Some(known) if known.at.elapsed() < self.0.times.fresh => return Ok(known.keys),
                Some(known) => {
                    self.0.fetch_behind(&mut state);
                    return Ok(known.keys);
                }
                None => self.0.fetch_behind(&mut state),
            }
        };
        if let Some(mut under_way) = under_way {
            // Nothing is ever sent: it ends with its sender.
            let ended = timeout(self.0.times.wait, under_way.changed()).await;
            if ended.is_err() {
                return Err(JwtError::Unavailable);
            }
        }
        let state = self.0.state();
        let is_newest = state.last.as_ref().is_some_and(|last| !last.has_failed);
        let known = state.usable(&self.0.times);
        let known = known.filter(|known| is_newest || has(known));
        known.map(|known| known.keys).ok_or(JwtError::Unavailable)
    }

    /// Asks the server for its keys, for `doctor`: how many there are that can be used.
    ///
    /// # Errors
    /// If they cannot be had; the text is for operators.
    pub async fn check(&self) -> Result<usize, String> {
        let keys = self.0.fetch_in_time().await;
        keys.map(|keys| keys.count())
            .map_err(|error| error.to_string())
    }
}

impl State {
    /// The keys that are not too old.
    fn usable(&self, times: &Times) -> Option<Known> {
        let known = self.known.as_ref();
        known
            .filter(|known| known.at.elapsed() < times.usable)
            .cloned()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if it is this issuer. An issuer may be written with a `/` at its end, an [`Endpoint`] is not.
    fn is(&self, issuer: &str) -> bool {
        issuer.strip_suffix('/').unwrap_or(issuer) == self.issuer.as_str()
    }

    /// The fetch that is under way; begins one if there is none and the last one is long enough ago.
    fn fetch_behind(self: &Arc<Self>, state: &mut State) -> Option<watch::Receiver<()>> {
        let under_way = state.under_way.as_ref();
        if let Some(under_way) = under_way.filter(|under_way| under_way.has_changed().is_ok()) {
            return Some(under_way.clone());
        }
        let is_soon = |last: &LastFetch| last.ended.elapsed() < self.times.between;
        if state.last.as_ref().is_some_and(is_soon) {
            return None;
        }
        let (end, under_way) = watch::channel(());
        state.under_way = Some(under_way.clone());
        let shared = self.clone();
        // Not a part of the request: a client that goes away must not take it from the others.
        tokio::spawn(async move {
            let fetched = shared.fetch_in_time().await;
            shared.finished(fetched);
            drop(end);
        });
        Some(under_way)
    }

    fn finished(&self, fetched: Result<KeySet, FetchError>) {
        let mut state = self.state();
        let has_failed = fetched.is_err();
        match fetched {
            Ok(keys) => {
                state.known = Some(Known {
                    keys: Arc::new(keys),
                    at: Instant::now(),
                });
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer.as_str(), %error, "the keys of an authorization server cannot be fetched");
            }
        }
        state.last = Some(LastFetch {
            ended: Instant::now(),
            has_failed,
        });
    }

    async fn fetch_in_time(&self) -> Result<KeySet, FetchError> {
        let limit = self.times.fetch;
        let fetched = timeout(limit, self.fetch()).await;
        fetched.unwrap_or(Err(FetchError::TooSlow(limit)))
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

    /// An answer, bounded in size. Redirects are not followed.
    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Http(url.to_string(), error.without_url());
        let request = self.client.get(url.clone());
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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use exomonad_config::JwtAlgorithm::ES256;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    /// A wait that tells a hang.
    const LONG: Duration = Duration::from_secs(60);

    /// A server of keys that answers when it is let.
    pub(crate) struct Server {
        pub(crate) url: String,
        asked: AtomicUsize,
        /// A permit for each answer.
        answers: Semaphore,
        answer: Mutex<(u16, String)>,
    }

    impl Server {
        /// A server that gives so many answers before it has to be let.
        pub(crate) async fn start(answers: usize) -> Arc<Self> {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = Arc::new(Self {
                url: format!("http://{}", listener.local_addr().unwrap()),
                asked: AtomicUsize::new(0),
                answers: Semaphore::new(answers),
                answer: Mutex::new((200, keys(&["a"]))),
            });
            let shared = server.clone();
            tokio::spawn(async move {
                while let Ok((mut connection, _)) = listener.accept().await {
                    let server = shared.clone();
                    tokio::spawn(async move {
                        let mut request = [0; 4096];
                        let _ = connection.read(&mut request).await;
                        server.asked.fetch_add(1, Ordering::SeqCst);
                        server.answers.acquire().await.unwrap().forget();
                        let (status, body) = server.answer.lock().unwrap().clone();
                        let answer = format!(
                            "HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        let _ = connection.write_all(answer.as_bytes()).await;
                    });
                }
            });
            server
        }

        /// The number of requests that it has got.
        pub(crate) fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        /// Changes its answer.
        pub(crate) fn answers(&self, status: u16, body: String) {
            *self.answer.lock().unwrap() = (status, body);
        }

        fn source(&self, times: Times) -> KeySource {
            let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
            let client = exomonad_services::http::client().unwrap();
            KeySource::with_times(
                endpoint(&self.url),
                Some(endpoint(&format!("{}/keys", self.url))),
                client,
                times,
            )
        }
    }

    fn keys(ids: &[&str]) -> String {
        let zeros = "A".repeat(43);
        let keys = ids.iter().map(|id| {
            serde_json::json!({"kty": "EC", "crv": "P-256", "kid": id, "x": zeros, "y": zeros})
        });
        serde_json::json!({"keys": keys.collect::<Vec<_>>()}).to_string()
    }

    async fn soon<T>(waited_for: impl Future<Output = T>) -> T {
        timeout(LONG, waited_for).await.expect("it hangs")
    }

    /// True if a key is known without asking the server.
    fn knows(source: &KeySource, id: &str) -> bool {
        let state = source.0.state();
        let known = state.known.as_ref();
        known.is_some_and(|known| known.keys.has(ES256, Some(id)))
    }

    async fn until(is_so: impl Fn() -> bool) {
        soon(async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The answer to a token of a key: true if the key is there.
    async fn ask(source: &KeySource, id: &str) -> Result<bool, JwtError> {
        let keys = soon(source.keys(ES256, Some(id))).await?;
        Ok(keys.has(ES256, Some(id)))
    }

    #[tokio::test]
    async fn old_keys_are_used_at_once_while_the_server_is_slow_and_fetched_behind() {
        let server = Server::start(1).await;
        let times = Times {
            fresh: Duration::ZERO,
            between: Duration::ZERO,
            wait: LONG * 10,
            fetch: LONG * 10,
            ..TIMES
        };
        let source = server.source(times);
        assert_eq!(ask(&source, "a").await, Ok(true));
        server.answers(200, keys(&["a", "b"]));
        for _ in 0..20 {
            assert_eq!(ask(&source, "a").await, Ok(true), "without an answer");
        }
        until(|| server.asked() == 2).await;
        assert_eq!(ask(&source, "a").await, Ok(true));
        assert_eq!(server.asked(), 2, "one fetch for all");
        server.answers.add_permits(10);
        until(|| knows(&source, "b")).await;
    }

    #[tokio::test]
    async fn those_who_wait_share_one_fetch_and_its_failure() {
        let server = Server::start(0).await;
        let source = Arc::new(server.source(Times {
            between: LONG * 10,
            wait: LONG,
            fetch: LONG,
            ..TIMES
        }));
        let waiting: Vec<_> = (0..50)
            .map(|nth| {
                let source = source.clone();
                tokio::spawn(async move { ask(&source, &format!("made-up-{nth}")).await })
            })
            .collect();
        until(|| server.asked() == 1).await;
        server.answers(500, String::new());
        server.answers.add_permits(100);
        for waiter in waiting {
            let outcome = soon(waiter).await.unwrap();
            assert_eq!(outcome, Err(JwtError::Unavailable));
        }
        // Not again for a while, whoever asks.
        for id in ["a", "made-up"] {
            assert_eq!(ask(&source, id).await, Err(JwtError::Unavailable));
        }
        assert_eq!(server.asked(), 1);
    }

    #[tokio::test]
    async fn an_unknown_key_waits_only_so_long_and_nobody_else_does() {
        let server = Server::start(1).await;
        let source = server.source(Times {
            between: Duration::ZERO,
            wait: Duration::from_millis(50),
            fetch: LONG * 10,
            ..TIMES
        });
        assert_eq!(ask(&source, "a").await, Ok(true));
        server.answers(200, keys(&["b"]));
        for _ in 0..3 {
            assert_eq!(ask(&source, "b").await, Err(JwtError::Unavailable));
            assert_eq!(ask(&source, "a").await, Ok(true));
        }
        assert_eq!(server.asked(), 2, "one fetch for all");
        server.answers.add_permits(1);
        until(|| knows(&source, "b")).await;
        assert_eq!(ask(&source, "b").await, Ok(true));
    }

    #[tokio::test]
    async fn a_key_that_the_newest_keys_lack_is_unknown_and_one_that_cannot_be_looked_for_is_not() {
        let server = Server::start(100).await;
        let times = Times {
            wait: LONG,
            fetch: LONG,
            ..TIMES
        };
        let seldom = server.source(Times {
            between: LONG * 10,
            ..times
        });
        assert_eq!(ask(&seldom, "made-up").await, Ok(false));
        assert_eq!(ask(&seldom, "made-up").await, Ok(false));
        assert_eq!(server.asked(), 1);
        let often = server.source(Times {
            between: Duration::ZERO,
            ..times
        });
        assert_eq!(ask(&often, "a").await, Ok(true));
        server.answers(500, String::new());
        assert_eq!(ask(&often, "new").await, Err(JwtError::Unavailable));
        assert_eq!(ask(&often, "a").await, Ok(true));
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up_and_a_request_that_is_given_up_ends_no_fetch()
    {
        let server = Server::start(0).await;
        let source = server.source(Times {
            fetch: Duration::from_millis(50),
            wait: LONG * 10,
            ..TIMES
        });
        assert_eq!(ask(&source, "a").await, Err(JwtError::Unavailable));
        let source = server.source(Times {
            fetch: LONG,
            wait: LONG * 10,
            ..TIMES
        });
        let given_up = timeout(Duration::from_millis(20), source.keys(ES256, Some("a"))).await;
        assert!(given_up.is_err());
        // One for the connection of the source before, whose client is gone.
        server.answers.add_permits(2);
        assert_eq!(ask(&source, "a").await, Ok(true));
    }
}
