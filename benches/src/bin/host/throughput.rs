//! A tool call over HTTP, beside a native handler of the same JSON.

use exomonad_benches::measure::micros;

use super::load;
use super::served::{Home, Served, native};

const CONNECTIONS: u32 = 32;
const SECONDS: u64 = 4;
const ROUNDS: usize = 5;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let pooled = Home::new("[role.echo]\neffects = []\ninstance = \"pooled\"\n")?;
    let fresh = Home::new("[role.echo]\neffects = []\n")?;
    let servers: [(&str, Served); 3] = [
        ("native axum", native()?),
        ("fresh sandboxes", fresh.serve()?),
        ("pooled", pooled.serve()?),
    ];
    let mut rounds: Vec<Vec<load::Report>> = vec![Vec::new(); servers.len()];
    for (_, server) in &servers {
        load::echo(&server.address, CONNECTIONS, 1)?;
    }
    for _ in 0..ROUNDS {
        for (round, (_, server)) in rounds.iter_mut().zip(&servers) {
            round.push(load::echo(&server.address, CONNECTIONS, SECONDS)?);
        }
    }
    println!(
        "## A tool call over HTTP\n\necho, {CONNECTIONS} connections kept alive, median of {ROUNDS} rounds of {SECONDS} s in turns; wrk runs on the same machine.\n"
    );
    println!("| | calls/s | ÷ native | p50 | p99 | failed |\n|---|--:|--:|--:|--:|--:|");
    let mut baseline = None;
    for ((name, _), mut round) in servers.iter().zip(rounds) {
        round.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let median = round[round.len() / 2];
        let baseline = *baseline.get_or_insert(median.per_second);
        let failed: u64 = round.iter().map(|report| report.failed).sum();
        println!(
            "| {name} | {:.0} | {:.2} | {} | {} | {failed} |",
            median.per_second,
            median.per_second / baseline,
            micros(median.p50),
            micros(median.p99)
        );
    }
    println!();
    Ok(())
}
