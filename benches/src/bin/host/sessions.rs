//! MCP sessions that are idle while their streams are open, and the time until all are told of a change.

use std::fs;
use std::time::{Duration, Instant};

use exomonad_benches::guests::root;
use exomonad_benches::measure::{micros, quantile};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::served::{Home, Served};

/// Sessions that are idle.
const IDLE: usize = 10_000;
/// Those of them whose streams are told of a change.
const TOLD: usize = 1_000;
/// Changes that they are told of, one after the other.
const CHANGES: usize = 10;

const PATH: &str = "/role/everything/mcp";

/// Prints the table. An argument after the part's name is another number of sessions.
pub fn report() -> Result<(), String> {
    let idle = match std::env::args().nth(2) {
        Some(count) => count
            .parse()
            .map_err(|_| format!("`{count}` is no number of sessions"))?,
        None => IDLE,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(measured(idle)).map_err(|error| {
        format!("{error} (each session takes a file here and one in the host: `ulimit -n` says how many there may be)")
    })
}

async fn measured(idle: usize) -> Result<(), String> {
    let told = TOLD.min(idle);
    let home = Home::new(&format!(
        "[mcp]\nmax_sessions = {}\nkeep_alive = \"1h\"\n[role.everything]\neffects = [\"mcp.*\", \"log.*\"]\n",
        idle.max(1)
    ))?;
    fs::copy(
        root().join("plugins/dist/everything.wasm"),
        home.plugin("everything.wasm"),
    )
    .map_err(|error| error.to_string())?;
    let server = home.serve()?;
    let mut client = Client::connect(&server).await?;
    let before = server.resident_mib();
    let mut streams = Vec::with_capacity(idle);
    let begun = Instant::now();
    for _ in 0..idle {
        let session = client.begin_session().await?;
        streams.push(Stream::open(&server, &session).await?);
    }
    let opened = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resident = server.resident_mib();
    // The others end, so that the time is that of as many as are told.
    streams.truncate(told);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut first = Vec::with_capacity(CHANGES);
    let mut last = Vec::with_capacity(CHANGES);
    for _ in 0..CHANGES {
        let begun = Instant::now();
        client.change_tools().await?;
        let mut times = Vec::with_capacity(told);
        for stream in &mut streams {
            stream.is_told().await?;
            times.push(begun.elapsed());
        }
        first.push(quantile(times.clone(), 0.0));
        last.push(quantile(times, 1.0));
    }
    println!("## Sessions of MCP\n");
    println!("| | |\n|---|--:|");
    println!(
        "| {idle} sessions begun, each with an open stream | {} |",
        micros(opened)
    );
    println!("| resident before | {before} MiB |");
    println!("| resident with all of them idle | {resident} MiB |");
    println!(
        "| {told} streams told that the tools have changed: the first, median of {CHANGES} | {} |",
        micros(quantile(first, 0.5))
    );
    println!("| the last | {} |", micros(quantile(last.clone(), 0.5)));
    println!(
        "| the last, in the slowest change | {} |",
        micros(quantile(last, 1.0))
    );
    println!();
    Ok(())
}

/// A connection that stays open from request to request.
struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    async fn connect(server: &Served) -> Result<Self, String> {
        let connection = connect(server).await?;
        Ok(Self {
            connection: BufReader::new(connection),
        })
    }

    /// The answer's head and body.
    async fn ask(&mut self, headers: &str, body: &str) -> Result<(String, String), String> {
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let failed = |error: std::io::Error| error.to_string();
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .await
            .map_err(failed)?;
        let head = head(&mut self.connection).await?;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.connection
            .read_exact(&mut body)
            .await
            .map_err(failed)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The id of a new session.
    async fn begin_session(&mut self) -> Result<String, String> {
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        let (head, body) = self.ask("", initialize).await?;
        header(&head, "mcp-session-id")
            .map(str::to_owned)
            .ok_or_else(|| format!("no session: {body}"))
    }

    /// Lets the plugin say that its tools have changed.
    async fn change_tools(&mut self) -> Result<(), String> {
        let headers = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: test_trigger_tool_change\r\n";
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_trigger_tool_change","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let (_, body) = self.ask(headers, call).await?;
        match body.contains("\"result\"") && !body.contains("\"isError\":true") {
            true => Ok(()),
            false => Err(format!("the tools do not change: {body}")),
        }
    }
}

/// The stream of a session.
struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(server: &Served, session: &str) -> Result<Self, String> {
        let mut connection = connect(server).await?;
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n"
        );
        connection
            .write_all(request.as_bytes())
            .await
            .map_err(|error| error.to_string())?;
        // A small buffer: there are ten thousand.
        let mut stream = Self(BufReader::with_capacity(512, connection));
        let head = head(&mut stream.0).await?;
        match head.starts_with("HTTP/1.1 200") {
            true => stream.until("id:").await.map(|()| stream),
            false => Err(format!("no stream: {head}")),
        }
    }

    async fn is_told(&mut self) -> Result<(), String> {
        self.until("notifications/tools/list_changed").await
    }

    async fn until(&mut self, wanted: &str) -> Result<(), String> {
        loop {
            let line = line(&mut self.0).await?;
            if line.contains(wanted) {
                return Ok(());
            }
        }
    }
}

async fn connect(server: &Served) -> Result<TcpStream, String> {
    let connection = TcpStream::connect(&server.address).await;
    let connection = connection.map_err(|error| error.to_string())?;
    connection
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    Ok(connection)
}

async fn line(connection: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut line = String::new();
    match connection.read_line(&mut line).await {
        Ok(0) => Err("the host has closed a connection".to_owned()),
        Ok(_) => Ok(line),
        Err(error) => Err(error.to_string()),
    }
}

async fn head(connection: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut head = String::new();
    loop {
        let line = line(connection).await?;
        if line == "\r\n" {
            return Ok(head);
        }
        head.push_str(&line);
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines();
    lines.find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
