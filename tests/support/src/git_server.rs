//! A git server on loopback: `git http-backend` behind a few lines of HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::end_with_parent;

/// How the server behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitServerMode {
    /// Serves whoever asks.
    Open,
    /// Serves who sends this `Authorization` header.
    Authorized(String),
    /// Takes the request and never answers.
    Silent,
    /// Breaks off in the middle of an answer.
    CutsOff,
    /// Sends everyone to another server.
    Redirects(SocketAddr),
    /// Answers with this status.
    Fails(&'static str),
}

/// A server; it ends with the test's process.
pub struct GitServer {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl GitServer {
    /// Serves the repositories in `folder`.
    pub fn start(folder: &Path, mode: GitServerMode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (folder, log) = (folder.to_owned(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, mode, log) = (folder.clone(), mode.clone(), log.clone());
                std::thread::spawn(move || {
                    let _ = serve(&stream, &folder, &mode, &log);
                });
            }
        });
        Self { address, seen }
    }

    /// The URL of a repository.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The heads of the requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    stream: &TcpStream,
    folder: &PathBuf,
    mode: &GitServerMode,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    log.lock().unwrap().push(head.clone());
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    if header("expect").is_some() {
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let body = read_body(
        &mut reader,
        header("content-length"),
        header("transfer-encoding"),
    )?;
    let answer = |writer: &mut TcpStream, status: &str, headers: &str| {
        write!(
            writer,
            "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let mut first = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (
        first.next().unwrap_or_default(),
        first.next().unwrap_or_default(),
    );
    match mode {
        GitServerMode::Authorized(wanted) if header("authorization").as_ref() != Some(wanted) => {
            return answer(
                &mut writer,
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"git\"\r\n",
            );
        }
        GitServerMode::Silent => {
            std::thread::sleep(Duration::from_secs(600));
            return Ok(());
        }
        GitServerMode::Redirects(to) => {
            let location = format!("Location: http://{to}{target}\r\n");
            return answer(&mut writer, "302 Found", &location);
        }
        GitServerMode::Fails(status) => return answer(&mut writer, status, ""),
        GitServerMode::Open | GitServerMode::Authorized(_) | GitServerMode::CutsOff => {}
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "tester")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env(
            "HTTP_CONTENT_ENCODING",
            header("content-encoding").unwrap_or_default(),
        )
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = end_with_parent(&mut command).spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&body));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output)?;
    child.wait()?;
    let _ = feed.join();
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(0);
    let headers = String::from_utf8_lossy(&output[..end]).into_owned();
    let content = output.get(end + 4..).unwrap_or_default();
    let status = headers
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let length = content.len();
    write!(
        writer,
        "HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if *mode == GitServerMode::CutsOff {
        return writer.write_all(&content[..length / 2]);
    }
    writer.write_all(content)
}

fn read_body(
    reader: &mut impl BufRead,
    length: Option<String>,
    encoding: Option<String>,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if encoding.as_deref() == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    body.resize(
        length.and_then(|length| length.parse().ok()).unwrap_or(0),
        0,
    );
    reader.read_exact(&mut body)?;
    Ok(body)
}
