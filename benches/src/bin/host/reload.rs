//! A plugin that is replaced five times a second under full load.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use exomonad_benches::guests::root;
use exomonad_benches::measure::micros;

use super::load;
use super::served::Home;

const CONNECTIONS: u32 = 32;
const SECONDS: u64 = 30;
const EVERY: Duration = Duration::from_millis(200);

/// Prints the table.
pub fn report() -> Result<(), String> {
    let home = Home::new("[role.echo]\neffects = []\n")?;
    let original =
        fs::read(root().join("plugins/dist/echo.wasm")).map_err(|error| error.to_string())?;
    // The same plugin with a custom section: another version that does the same.
    let other = [original.as_slice(), b"\x00\x05\x04next"].concat();
    let put = |version: &[u8]| {
        // As a careful program replaces a file: whole, in one step.
        let part = home.plugin(".echo.wasm.part");
        fs::write(&part, version).and_then(|()| fs::rename(&part, home.plugin("echo.wasm")))
    };
    put(&original).map_err(|error| error.to_string())?;
    let server = home.serve()?;
    load::echo(&server.address, CONNECTIONS, 2)?;
    let quiet = load::echo(&server.address, CONNECTIONS, SECONDS)?;
    let (done, puts) = (AtomicBool::new(false), AtomicU64::new(0));
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let nth = puts.fetch_add(1, Ordering::Relaxed);
                if put(if nth % 2 == 0 { &other } else { &original }).is_err() {
                    break;
                }
                std::thread::sleep(EVERY);
            }
        });
        let busy = load::echo(&server.address, CONNECTIONS, SECONDS);
        done.store(true, Ordering::Relaxed);
        busy
    })?;
    println!(
        "## Reload under load\n\necho, {CONNECTIONS} connections, {SECONDS} s; the plugin's file is replaced every {EVERY:?}, {} times.\n",
        puts.into_inner()
    );
    println!("| | calls/s | p50 | p99 | longest | failed |\n|---|--:|--:|--:|--:|--:|");
    for (name, report) in [("left alone", quiet), ("replaced", busy)] {
        println!(
            "| {name} | {:.0} | {} | {} | {} | {} |",
            report.per_second,
            micros(report.p50),
            micros(report.p99),
            micros(report.max),
            report.failed
        );
    }
    println!();
    Ok(())
}
