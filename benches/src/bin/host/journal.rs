//! A tool call with three effects, recorded or not.

use std::fs;

use exomonad_benches::measure::micros;

use super::load;
use super::served::{Home, Served};

const ASKING: &str = include_str!("../../asking.wat");
const CONNECTIONS: u32 = 32;
const SECONDS: u64 = 4;
const ROUNDS: usize = 7;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let modes = ["off", "failed", "all"];
    let homes = modes.map(|mode| {
        let config = format!("[role.echo]\neffects = [\"clock.*\"]\njournal = \"{mode}\"\n");
        let home = Home::new(&config)?;
        fs::write(home.plugin("echo.wat"), ASKING).map_err(|error| error.to_string())?;
        Ok::<_, String>(home)
    });
    let homes = homes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let hosts = homes.iter().map(Home::serve);
    let hosts: Vec<Served> = hosts.collect::<Result<_, _>>()?;
    for host in &hosts {
        load::echo(&host.address, CONNECTIONS, 1)?;
    }
    let mut rounds = vec![Vec::new(); hosts.len()];
    for _ in 0..ROUNDS {
        for (round, host) in rounds.iter_mut().zip(&hosts) {
            round.push(load::echo(&host.address, CONNECTIONS, SECONDS)?);
        }
    }
    println!(
        "## A recorded call\n\nA tool that asks for three effects, {CONNECTIONS} connections kept alive, median of {ROUNDS} rounds of {SECONDS} s in turns.\n"
    );
    println!("| `journal` | calls/s | ÷ off | p50 | p99 | failed |\n|---|--:|--:|--:|--:|--:|");
    let mut baseline = None;
    for (mode, mut round) in modes.iter().zip(rounds) {
        round.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let median = round[round.len() / 2];
        let baseline = *baseline.get_or_insert(median.per_second);
        let failed: u64 = round.iter().map(|report| report.failed).sum();
        println!(
            "| {mode} | {:.0} | {:.3} | {} | {} | {failed} |",
            median.per_second,
            median.per_second / baseline,
            micros(median.p50),
            micros(median.p99)
        );
    }
    println!();
    Ok(())
}
