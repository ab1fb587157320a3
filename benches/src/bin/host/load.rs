//! Load by `wrk`, and what it reports.

use std::process::Command;
use std::time::Duration;

use exomonad_benches::measure::micros;
use tempfile::NamedTempFile;

/// A call of `echo`, as `/mcp/call` takes it and MCP has it in `params`.
pub const ECHO: &str = r#"{"name":"echo","arguments":{"text":"a text of a length that a tool's argument may well have"}}"#;

/// The result of a run of `wrk`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Requests answered in a second.
    pub per_second: f64,
    /// The latency that half of the requests stay under.
    pub p50: Duration,
    /// The latency that 99 % of the requests stay under.
    pub p99: Duration,
    /// The longest latency.
    pub max: Duration,
    /// Answers of another status, and connections that broke.
    pub failed: u64,
}

/// A POST that is sent over and over.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, from the first slash on.
    pub path: String,
    /// Names and values, beside the type of the content.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON.
    pub body: String,
}

/// Lets `wrk` count the ids of requests that have one, and send each as it was made before it began.
const COUNTING: &str = r#"
local requests, nth = {}, 0
function init()
    for id = 1, 1024 do
        local body = wrk.body:gsub('"id":1,', '"id":' .. id .. ',', 1)
        requests[id] = wrk.format(nil, nil, nil, body)
    end
end
function request()
    nth = nth % #requests + 1
    return requests[nth]
end
"#;

impl Request {
    /// A call of `echo`.
    pub fn of_echo() -> Self {
        Self {
            path: "/role/echo/mcp/call".to_owned(),
            headers: Vec::new(),
            body: ECHO.to_owned(),
        }
    }

    /// The script by which `wrk` sends it. The ids in a session differ, as those of requests under way have to.
    fn script(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "\\'"));
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| format!("wrk.headers[{}] = {}\n", quoted(name), quoted(value)));
        format!(
            "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n{}wrk.body = {}\n{COUNTING}",
            headers.collect::<String>(),
            quoted(&self.body)
        )
    }
}

/// A server beside others.
#[derive(Debug)]
pub struct Server<'a> {
    /// The name in the table.
    pub name: &'a str,
    /// `127.0.0.1:PORT`.
    pub address: &'a str,
    /// The request that it gets.
    pub request: Request,
}

impl<'a> Server<'a> {
    /// A server that is asked for `echo`.
    pub fn of_echo(name: &'a str, address: &'a str) -> Self {
        Self {
            name,
            address,
            request: Request::of_echo(),
        }
    }
}

/// Posts a call of `echo` over and over, on this many connections that are kept.
pub fn echo(address: &str, connections: u32, seconds: u64) -> Result<Report, String> {
    post(&Server::of_echo("", address), connections, seconds)
}

fn post(server: &Server<'_>, connections: u32, seconds: u64) -> Result<Report, String> {
    let script = NamedTempFile::new().map_err(|error| error.to_string())?;
    let lua = server.request.script();
    std::fs::write(script.path(), lua).map_err(|error| error.to_string())?;
    let output = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--latency",
            "--connections",
            &connections.to_string(),
        ])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(script.path())
        .arg(format!("http://{}{}", server.address, server.request.path))
        .output()
        .map_err(|error| format!("wrk: {error} (apt install wrk)"))?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Prints a table of servers beside the first: connections that are kept, rounds of so many seconds in turns, and
/// their median.
pub fn compare(
    about: &str,
    columns: [&str; 2],
    servers: &[Server<'_>],
    rounds: usize,
) -> Result<(), String> {
    const CONNECTIONS: u32 = 32;
    const SECONDS: u64 = 4;
    for server in servers {
        post(server, CONNECTIONS, 1)?;
    }
    let mut reports: Vec<Vec<Report>> = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        for (reports, server) in reports.iter_mut().zip(servers) {
            reports.push(post(server, CONNECTIONS, SECONDS)?);
        }
    }
    println!(
        "{about}, {CONNECTIONS} connections kept alive, median of {rounds} rounds of {SECONDS} s in turns; wrk runs on the same machine.\n"
    );
    let [name, baseline] = columns;
    println!("| {name} | calls/s | ÷ {baseline} | p50 | p99 | failed |\n|---|--:|--:|--:|--:|--:|");
    let mut baseline = None;
    for (server, mut reports) in servers.iter().zip(reports) {
        reports.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let median = reports[reports.len() / 2];
        let baseline = *baseline.get_or_insert(median.per_second);
        let failed: u64 = reports.iter().map(|report| report.failed).sum();
        println!(
            "| {} | {:.0} | {:.3} | {} | {} | {failed} |",
            server.name,
            median.per_second,
            median.per_second / baseline,
            micros(median.p50),
            micros(median.p99)
        );
    }
    println!();
    Ok(())
}

fn parse(text: &str) -> Result<Report, String> {
    let mut report = Report::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", time] => report.p50 = duration(time),
            ["99%", time] => report.p99 = duration(time),
            ["Latency", _, _, max, ..] => report.max = duration(max),
            ["Requests/sec:", number] => report.per_second = number.parse().unwrap_or(0.0),
            ["Non-2xx", .., number] => report.failed += number.parse::<u64>().unwrap_or(0),
            ["Socket", "errors:", rest @ ..] => {
                let numbers = rest
                    .iter()
                    .filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
                report.failed += numbers.sum::<u64>();
            }
            _ => {}
        }
    }
    if report.per_second == 0.0 {
        Err(format!("wrk found nothing:\n{text}"))
    } else {
        Ok(report)
    }
}

/// `wrk` writes `1.23ms`, `45.00us` and the like.
fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(
        text.find(|letter: char| letter.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "m" => 60.0,
        _ => 1.0,
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap_or(0.0) * seconds)
}
