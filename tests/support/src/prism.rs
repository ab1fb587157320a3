//! Prism, playing GitHub by GitHub's own description of its API.
//!
//! It holds each request against the description, and says what does not fit in
//! an `sl-violations` header. Its `--errors` is left off: it would refuse
//! GitHub's own examples too, some of which break their schemas.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::mock_server::{MockResponse, MockServer, ReceivedRequest, header};
use crate::{ChildGuard, free_port, installed_by, required_or_skip};

/// How long Prism may take to read 13 MB of description.
const MAX_START: Duration = Duration::from_secs(180);

/// Prism with a server before it that keeps what passes.
pub struct Prism {
    /// The server before it.
    pub server: MockServer,
    _process: ChildGuard,
}

impl Prism {
    /// Starts it; `None` when it cannot be installed here, which under CI is a failure.
    pub async fn start() -> Option<Self> {
        let installed = required_or_skip("Prism", installed_by("github-api"))?;
        let (prism, description) = installed.split_once('\n').unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut process = ChildGuard::spawn(
            Command::new(prism)
                .args(["mock", "--host", "127.0.0.1", "--verboseLevel", "error"])
                .args(["--port", &address.port().to_string(), description])
                // In production Prism starts processes of its own, which would stay.
                .env_remove("NODE_ENV")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::inherit()),
        );
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "Prism ended");
            assert!(began.elapsed() < MAX_START, "Prism does not begin");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("Prism began after {:?}", began.elapsed());
        let server = MockServer::start(move |_, _| MockResponse::Forward(address)).await;
        Some(Self {
            server,
            _process: process,
        })
    }

    /// The requests since the last time, with their violations of the description.
    #[must_use]
    pub fn take(&self) -> Vec<(ReceivedRequest, Vec<Value>)> {
        let exchanges = self.server.take().into_iter();
        exchanges
            .map(|(seen, head)| {
                let all: Vec<Value> = header(&head, "sl-violations")
                    .map_or_else(Vec::new, |json| serde_json::from_str(json).unwrap());
                let in_request = |violation: &Value| violation["location"][0] == "request";
                (seen, all.into_iter().filter(in_request).collect())
            })
            .collect()
    }
}
