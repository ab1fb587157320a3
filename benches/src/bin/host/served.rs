//! A server in a process of its own, in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that runs until it is dropped.
pub struct Served {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// From the start of the process to the first `/ready`.
    pub until_ready: Duration,
}

/// A folder to start hosts in: plugins, cache and state are in it.
pub struct Home(TempDir);

impl Home {
    /// An empty folder with this `exomonad.toml`.
    pub fn new(config: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::write(folder.path().join("exomonad.toml"), config)
            .map_err(|error| error.to_string())?;
        fs::create_dir_all(folder.path().join("plugins")).map_err(|error| error.to_string())?;
        Ok(Self(folder))
    }

    /// Where to put a plugin.
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.0.path().join("plugins").join(name)
    }

    /// Starts the host here.
    pub fn serve(&self) -> Result<Served, String> {
        let mut command = self.command()?;
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        start(command).map_err(|error| format!("exomonad: {error} (`cargo build --profile dist`)"))
    }

    /// The binary, which is built beside this program, as it runs here.
    pub fn command(&self) -> Result<Command, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(own.with_file_name("exomonad"));
        command
            .current_dir(self.0.path())
            .env("EXOMONAD_PLUGINS_DIR", self.0.path().join("plugins"))
            .env("EXOMONAD_CACHE_DIR", self.0.path().join("cache"))
            .env("EXOMONAD_STATE_DIR", self.0.path().join("state"))
            // The line that each call logs is not what is measured: the candidate has none.
            .env("EXOMONAD_LOG", "warn,exomonad::cli=info");
        Ok(command)
    }
}

/// Starts a part of this program that serves.
pub fn candidate(part: &str) -> Result<Served, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.arg(part);
    start(command)
}

fn start(mut command: Command) -> Result<Served, String> {
    let begin = Instant::now();
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let address = loop {
        let line = lines
            .next()
            .ok_or("the server ended")?
            .map_err(|error| error.to_string())?;
        if let Some((_, rest)) = line.split_once("serving on http://") {
            break rest
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
        }
    };
    // The rest is read too, so that the server never waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    while !is_ready(&address) {
        if begin.elapsed() > Duration::from_secs(120) {
            return Err("the server does not become ready".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Served {
        child,
        address,
        until_ready: begin.elapsed(),
    })
}

fn is_ready(address: &str) -> bool {
    request(address, "GET", "/ready", "").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The whole answer to one request.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n{body}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

impl Served {
    /// The process's resident memory now, in MiB.
    pub fn resident_mib(&self) -> u64 {
        let status = fs::read_to_string(
            Path::new("/proc")
                .join(self.child.id().to_string())
                .join("status"),
        );
        let status = status.unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or_default();
        line.split_whitespace()
            .next()
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or(0)
            >> 10
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
