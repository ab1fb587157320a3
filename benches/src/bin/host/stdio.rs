//! MCP over standard input and output.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use exomonad_benches::measure::{micros, quantile};
use serde_json::{Value, json};

use super::load::{ECHO, Request};

/// Calls that are made one after the other.
const ALONE: usize = 3_000;
/// Calls under way at once, for the throughput.
const AT_ONCE: usize = 32;
const SECONDS: u64 = 4;
const REVISION: &str = "2025-06-18";

/// Prints a table of servers, and the time of one connection over HTTP to the host that the bridge leads to.
pub fn compare(
    commands: Vec<(String, Command)>,
    address: &str,
    request: &Request,
) -> Result<(), String> {
    println!(
        "echo over standard input and output: {ALONE} calls one after the other, then {AT_ONCE} under way at once for {SECONDS} s.\n"
    );
    println!("| | p50 | p99 | calls/s at once |\n|---|--:|--:|--:|");
    let times = over_http(address, request)?;
    println!(
        "| over HTTP, one connection | {} | {} | |",
        micros(quantile(times.clone(), 0.5)),
        micros(quantile(times, 0.99))
    );
    for (name, command) in commands {
        let mut server = Server::start(command).map_err(|error| format!("{name}: {error}"))?;
        let tool = server.tool().map_err(|error| format!("{name}: {error}"))?;
        let times = server.alone(&tool)?;
        let per_second = server.at_once(&tool)?;
        println!(
            "| {name} | {} | {} | {per_second:.0} |",
            micros(quantile(times.clone(), 0.5)),
            micros(quantile(times, 0.99))
        );
    }
    println!();
    Ok(())
}

/// `initialize` in a revision.
pub fn initialize(revision: &str) -> String {
    json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    })
    .to_string()
}

/// The times of calls on one connection that is kept.
fn over_http(address: &str, request: &Request) -> Result<Vec<Duration>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut connection = BufReader::new(TcpStream::connect(address).map_err(failed)?);
    connection.get_ref().set_nodelay(true).map_err(failed)?;
    let headers: String = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let message = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{}",
        request.path,
        request.body.len(),
        request.body
    );
    let mut times = Vec::with_capacity(ALONE);
    for nth in 0..ALONE + ALONE / 10 {
        let begun = Instant::now();
        connection
            .get_mut()
            .write_all(message.as_bytes())
            .map_err(failed)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).map_err(failed)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).map_err(failed)?;
        // The first ones warm up.
        if nth >= ALONE / 10 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

/// A server that runs until it is dropped.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut server = Self {
            child,
            input,
            output,
        };
        server.send(&initialize(REVISION))?;
        server.answer()?;
        server.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        Ok(server)
    }

    /// The name of the tool that echoes: some put their plugin's name before it. A host may still load it.
    fn tool(&mut self) -> Result<String, String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            self.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#)?;
            let answer = self.answer()?;
            let tools = answer["result"]["tools"].as_array();
            let mut names = tools
                .into_iter()
                .flatten()
                .filter_map(|tool| tool["name"].as_str());
            if let Some(name) = names.find(|name| name.ends_with("echo")) {
                return Ok(name.to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("there is no tool that echoes".to_owned())
    }

    fn alone(&mut self, tool: &str) -> Result<Vec<Duration>, String> {
        let mut times = Vec::with_capacity(ALONE);
        for nth in 0..ALONE + ALONE / 10 {
            let begun = Instant::now();
            self.call(tool, nth)?;
            self.answered()?;
            if nth >= ALONE / 10 {
                times.push(begun.elapsed());
            }
        }
        Ok(times)
    }

    /// Calls a second.
    fn at_once(&mut self, tool: &str) -> Result<f64, String> {
        for nth in 0..AT_ONCE {
            self.call(tool, nth)?;
        }
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < Duration::from_secs(SECONDS) {
            self.answered()?;
            // An id that no other request under way has.
            self.call(tool, AT_ONCE + done)?;
            done += 1;
        }
        let per_second = done as f64 / begun.elapsed().as_secs_f64();
        for _ in 0..AT_ONCE {
            self.answered()?;
        }
        Ok(per_second)
    }

    fn call(&mut self, tool: &str, id: usize) -> Result<(), String> {
        let params = ECHO.replacen("\"echo\"", &format!("\"{tool}\""), 1);
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#
        ))
    }

    fn send(&mut self, message: &str) -> Result<(), String> {
        let line = format!("{message}\n");
        self.input
            .write_all(line.as_bytes())
            .and_then(|()| self.input.flush())
            .map_err(|error| error.to_string())
    }

    /// The next line that answers a request.
    fn line(&mut self) -> Result<String, String> {
        loop {
            let mut line = String::new();
            match self.output.read_line(&mut line) {
                Ok(0) => return Err("the server has ended".to_owned()),
                Ok(_) if line.contains("\"method\"") => {}
                Ok(_) => return Ok(line),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn answer(&mut self) -> Result<Value, String> {
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))
    }

    fn answered(&mut self) -> Result<(), String> {
        let line = self.line()?;
        match line.contains("a text of a length") {
            true => Ok(()),
            false => Err(format!("no answer of the tool: {line}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
