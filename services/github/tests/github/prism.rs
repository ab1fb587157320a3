//! Prism, playing GitHub by GitHub's own description of its API.
//!
//! It holds each request against the description, and says what does not fit in
//! an `sl-violations` header. Its `--errors` is left off: it would refuse
//! GitHub's own examples too, some of which break their schemas.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Answer, Seen, Server, header};

/// How long Prism may take to read 13 MB of description.
const MAX_START: Duration = Duration::from_secs(180);

/// Prism with a server before it that keeps what passes.
pub struct Prism {
    pub server: Server,
    process: Child,
}

impl Prism {
    /// Starts it; `None` when it cannot be installed here, which under CI is a failure.
    pub async fn start() -> Option<Self> {
        let Some((prism, description)) = installed() else {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "under CI nothing is skipped, and Prism cannot be installed"
            );
            println!("SKIPPED: scripts/github-api cannot install Prism here");
            return None;
        };
        let address = free_address().await;
        let mut process = Command::new(prism)
            .args(["mock", "--host", "127.0.0.1", "--verboseLevel", "error"])
            .args(["--port", &address.port().to_string(), &description])
            // In production Prism starts processes of its own, which would stay.
            .env_remove("NODE_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "Prism ended");
            assert!(began.elapsed() < MAX_START, "Prism does not begin");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("Prism began after {:?}", began.elapsed());
        let server = Server::start(move |_, _| Answer::Forward(address)).await;
        Some(Self { server, process })
    }

    /// What was asked since the last time, with what about it does not fit the description.
    pub fn take(&self) -> Vec<(Seen, Vec<Value>)> {
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

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The paths of Prism and of the description.
fn installed() -> Option<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(root.join("scripts/github-api"))
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    let mut lines = told.lines().map(str::to_owned);
    output.status.success().then_some(())?;
    Some((lines.next()?, lines.next()?))
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}
