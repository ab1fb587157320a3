//! A tool call by MCP: over HTTP beside the plain route and beside the official Rust SDK, and over standard input
//! and output beside other hosts of WASM plugins, where they are here.

use std::process::Command;

use super::load::{self, ECHO, Request, Server};
use super::served::{self, Home, candidate};
use super::stdio;

const ROUNDS: usize = 5;
const PATH: &str = "/role/echo/mcp";
const STATELESS: &str = "2026-07-28";
const SESSIONFUL: &str = "2025-11-25";

/// Prints the tables. Arguments after the part's name are further servers: `NAME=http://HOST:PORT/PATH` one that runs,
/// speaks 2026-07-28 and has a tool `echo`, `NAME=COMMAND` one over standard input and output with a tool whose name
/// ends in `echo`.
pub fn report() -> Result<(), String> {
    let (over_http, over_stdio) = rivals()?;
    let home = Home::new("[role.echo]\neffects = []\n")?;
    let (host, rmcp) = (home.serve()?, candidate("rmcp")?);
    let session = begin_session(&host.address)?;
    let mut servers = vec![
        Server::of_echo("`/mcp/call`", &host.address),
        Server {
            name: "MCP 2026-07-28",
            address: &host.address,
            request: stateless(),
        },
        Server {
            name: "MCP 2025-11-25, in a session",
            address: &host.address,
            request: in_session(&session),
        },
        Server {
            name: "rmcp's server, 2026-07-28, no sandbox",
            address: &rmcp.address,
            request: stateless(),
        },
    ];
    servers.extend(over_http.iter().map(|rival| Server {
        name: &rival.name,
        address: &rival.address,
        request: Request {
            path: rival.path.clone(),
            ..stateless()
        },
    }));
    let about = "## A tool call by MCP\n\necho";
    load::compare(about, ["", "`/mcp/call`"], &servers, ROUNDS)?;

    let mut commands = vec![
        ("exomonad, embedded".to_owned(), embedded(&home)?),
        (
            "exomonad, bridge to a host".to_owned(),
            bridge(&home, &host.address)?,
        ),
    ];
    commands.extend(over_stdio);
    stdio::compare(commands, &host.address, &stateless())
}

/// A rival over HTTP.
struct OverHttp {
    name: String,
    /// `127.0.0.1:PORT`.
    address: String,
    path: String,
}

/// A rival over standard input and output: its name, and how it is started.
type OverStdio = (String, Command);

/// The rivals that the arguments name.
fn rivals() -> Result<(Vec<OverHttp>, Vec<OverStdio>), String> {
    let (mut over_http, mut over_stdio) = (Vec::new(), Vec::new());
    for rival in std::env::args().skip(2) {
        let (name, place) = rival
            .split_once('=')
            .ok_or_else(|| format!("`{rival}` is neither NAME=COMMAND nor NAME=http://…"))?;
        let name = name.to_owned();
        match place.strip_prefix("http://") {
            Some(url) => {
                let (address, path) = url.split_once('/').unwrap_or((url, ""));
                over_http.push(OverHttp {
                    name,
                    address: address.to_owned(),
                    path: format!("/{path}"),
                });
            }
            None => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("exec {place}")]);
                over_stdio.push((name, shell));
            }
        }
    }
    Ok((over_http, over_stdio))
}

fn embedded(home: &Home) -> Result<Command, String> {
    let mut command = home.command()?;
    command.args(["mcp", "--role", "echo", "--embedded"]);
    Ok(command)
}

fn bridge(home: &Home, address: &str) -> Result<Command, String> {
    let mut command = home.command()?;
    command.args([
        "mcp",
        "--role",
        "echo",
        "--url",
        &format!("http://{address}"),
    ]);
    Ok(command)
}

/// The parameters of a call, with more fields.
fn call(more: &str) -> String {
    let params = ECHO.strip_suffix('}').unwrap_or(ECHO);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}{more}}}}}"#)
}

fn accept() -> (&'static str, String) {
    ("Accept", "application/json, text/event-stream".to_owned())
}

fn stateless() -> Request {
    let meta = format!(
        r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"{STATELESS}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}}}}"#
    );
    Request {
        path: PATH.to_owned(),
        headers: vec![
            accept(),
            ("MCP-Protocol-Version", STATELESS.to_owned()),
            ("Mcp-Method", "tools/call".to_owned()),
            ("Mcp-Name", "echo".to_owned()),
        ],
        body: call(&meta),
    }
}

fn in_session(session: &str) -> Request {
    Request {
        path: PATH.to_owned(),
        headers: vec![
            accept(),
            ("MCP-Protocol-Version", SESSIONFUL.to_owned()),
            ("Mcp-Session-Id", session.to_owned()),
        ],
        body: call(""),
    }
}

/// The id of a new session.
fn begin_session(address: &str) -> Result<String, String> {
    let answer = served::request(address, "POST", PATH, &stdio::initialize(SESSIONFUL))
        .ok_or("the host does not answer")?;
    answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "))
        .map(|id| id.trim().to_owned())
        .ok_or_else(|| format!("no session: {answer}"))
}
