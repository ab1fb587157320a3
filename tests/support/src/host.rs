//! `exomonad serve`, running.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{self, ChildGuard};
use crate::response::{Response, ToolResult};
use crate::{PATIENCE, eventually};

/// The log line of a host that listens, up to its address.
const SERVING: &str = "serving on http://";

/// A running host. It ends when it is dropped; if the test fails, its log is printed.
pub struct Host {
    child: ChildGuard,
    log: Arc<Mutex<String>>,
    address: SocketAddr,
    client: Client,
    token: Option<String>,
    _root: Arc<TempDir>,
}

impl Host {
    /// Starts a host by this command, at this address, in this folder, and waits until it is ready.
    pub(crate) async fn start(command: Command, listen: &str, root: Arc<TempDir>) -> Self {
        let host = Self::start_unready(command, listen, root).await;
        eventually("the host is ready", async || {
            (host.get("/ready").await.status == 200).then_some(())
        })
        .await;
        host
    }

    /// Starts a host by this command and waits until it listens.
    async fn start_unready(mut command: Command, listen: &str, root: Arc<TempDir>) -> Self {
        command
            .args(["serve", "--listen", listen])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = ChildGuard::spawn(&mut command);
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&String::from_utf8_lossy(&line));
                    log.push('\n');
                }
            });
        }
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut host = Self {
            child,
            log,
            address: unknown,
            client: client(),
            token: None,
            _root: root,
        };
        let address = eventually("the host says where it serves", async || {
            assert_eq!(
                process::exit_code(&mut host.child),
                None,
                "the host has ended: {}",
                host.log()
            );
            address_in(&host.log())
        })
        .await;
        host.address = address;
        host
    }

    /// Presents this bearer token from now on.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A request, to be given headers or a body of its own. It carries the token, if there is one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url()));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> Response {
        Response::of(self.request(Method::GET, path)).await
    }

    /// Posts a body as `curl -d` does, save that it names no media type.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        Response::of(self.request(Method::POST, path).body(body)).await
    }

    /// Calls a tool.
    pub async fn call(&self, role: &str, tool: &str, arguments: Value) -> Response {
        let body = json!({"name": tool, "arguments": arguments}).to_string();
        self.post(&format!("/role/{role}/mcp/call"), body).await
    }

    /// Calls a tool that has to answer, be it with its own failure.
    pub async fn tool(&self, role: &str, tool: &str, arguments: Value) -> ToolResult {
        self.call(role, tool, arguments).await.tool_result()
    }

    /// Calls an export around its tools, as `server.raw_calls` allows.
    pub async fn raw(&self, role: &str, function: &str, input: &str) -> Response {
        let body = json!({"plugin": role, "function": function, "input": input});
        self.post("/call", body.to_string()).await
    }

    /// Uses an effect through a guest that forwards it, and gives the effect's answer.
    pub async fn effect(&self, role: &str, function: &str, request: Value) -> Value {
        let answer = self.raw(role, function, &request.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The entry of a role in `/roles`; `Null` if it is not there.
    pub async fn role(&self, name: &str) -> Value {
        let roles = self.get("/roles").await.json();
        let mut all = roles["roles"].as_array().into_iter().flatten();
        all.find(|role| role["name"] == name)
            .cloned()
            .unwrap_or_default()
    }

    /// The problem of a role in `/health`; empty if there is none.
    pub async fn problem(&self, role: &str) -> String {
        let health = self.get("/health").await.json();
        let all = health["problems"].as_array().into_iter().flatten();
        let of_role = all.filter(|problem| problem["role"] == role);
        of_role
            .filter_map(|problem| problem["message"].as_str())
            .collect()
    }

    /// Has the plugin folder looked at now, and gives what changed.
    pub async fn reload(&self) -> Value {
        let answer = self.post("/reload", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until these words stand in the log so often.
    pub async fn logs(&self, words: &str, times: usize) {
        eventually(&format!("the log says {words:?}"), async || {
            (self.log().matches(words).count() >= times).then_some(())
        })
        .await;
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        process::signal(self.child.id(), signal);
    }

    /// Waits for its end, and gives the exit code; `None` if a signal ended it.
    pub async fn end(&mut self) -> Option<i32> {
        let child = &mut self.child;
        eventually("the host ends", async || process::exit_code(child)).await
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        process::exit_code(&mut self.child).is_none()
    }

    /// Its resident memory, in bytes.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the host runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("Linux states the resident memory") << 10
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the host's log:\n{}", self.log());
        }
    }
}

/// A client that follows nothing and uses no proxy: what the host answers is what the test sees.
pub(crate) fn client() -> Client {
    // A second installation is refused; the first one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    builder.timeout(PATIENCE).build().expect("a client")
}

fn address_in(log: &str) -> Option<SocketAddr> {
    let (_, after) = log.split_once(SERVING)?;
    let end = after.find(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter))?;
    after[..end].parse().ok()
}
