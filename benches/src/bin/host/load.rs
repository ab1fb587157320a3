//! Load by `wrk`, and what it reports.

use std::process::Command;
use std::time::Duration;

use exomonad_benches::measure::micros;
use tempfile::NamedTempFile;

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

/// Posts a call of `echo` over and over, on this many connections that are kept.
pub fn echo(address: &str, connections: u32, seconds: u64) -> Result<Report, String> {
    let script = NamedTempFile::new().map_err(|error| error.to_string())?;
    let body = r#"{"name":"echo","arguments":{"text":"a text of a length that a tool's argument may well have"}}"#;
    let lua = format!(
        "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{}'\n",
        body.replace('\'', "\\'")
    );
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
        .arg(format!("http://{address}/role/echo/mcp/call"))
        .output()
        .map_err(|error| format!("wrk: {error} (apt install wrk)"))?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Prints a table of servers, each with its name and address, beside the first: connections that are kept,
/// rounds of so many seconds in turns, and their median.
pub fn compare(
    about: &str,
    columns: [&str; 2],
    servers: &[(&str, &str)],
    rounds: usize,
) -> Result<(), String> {
    const CONNECTIONS: u32 = 32;
    const SECONDS: u64 = 4;
    for (_, address) in servers {
        echo(address, CONNECTIONS, 1)?;
    }
    let mut reports: Vec<Vec<Report>> = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        for (reports, (_, address)) in reports.iter_mut().zip(servers) {
            reports.push(echo(address, CONNECTIONS, SECONDS)?);
        }
    }
    println!(
        "{about}, {CONNECTIONS} connections kept alive, median of {rounds} rounds of {SECONDS} s in turns; wrk runs on the same machine.\n"
    );
    let [name, baseline] = columns;
    println!("| {name} | calls/s | ÷ {baseline} | p50 | p99 | failed |\n|---|--:|--:|--:|--:|--:|");
    let mut baseline = None;
    for ((name, _), mut reports) in servers.iter().zip(reports) {
        reports.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let median = reports[reports.len() / 2];
        let baseline = *baseline.get_or_insert(median.per_second);
        let failed: u64 = reports.iter().map(|report| report.failed).sum();
        println!(
            "| {name} | {:.0} | {:.3} | {} | {} | {failed} |",
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
