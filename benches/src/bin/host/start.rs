//! From the start of the process to the first call that could be answered.

use std::fs;
use std::time::Duration;

use exomonad_benches::guests::root;
use exomonad_benches::measure::{micros, quantile};

use super::served::Home;

const PLUGINS: usize = 10;
const STARTS: usize = 15;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let home = Home::new("[plugins]\nembedded = false\n")?;
    let plugin =
        fs::read(root().join("plugins/dist/tl.wasm")).map_err(|error| error.to_string())?;
    for nth in 0..PLUGINS {
        // A custom section makes each another module, with a file of its own in the cache.
        let name = format!("p{nth:02}");
        let marked = [plugin.as_slice(), b"\x00\x04\x03", name.as_bytes()].concat();
        fs::write(home.plugin(&format!("{name}.wasm")), marked)
            .map_err(|error| error.to_string())?;
    }
    let cold = home.serve()?.until_ready;
    let mut times = Vec::with_capacity(STARTS);
    let mut resident = 0;
    for _ in 0..STARTS {
        let server = home.serve()?;
        times.push(server.until_ready);
        std::thread::sleep(Duration::from_millis(300));
        resident = server.resident_mib();
    }
    println!(
        "## Start\n\n{PLUGINS} plugins (tl.wasm), from the start of the process to the first 200 of `/ready`.\n"
    );
    println!("| | time |\n|---|--:|");
    println!("| nothing in the compile cache | {} |", micros(cold));
    println!(
        "| compiled modules in the cache, median of {STARTS} | {} |",
        micros(quantile(times.clone(), 0.5))
    );
    println!("| the slowest of them | {} |", micros(quantile(times, 1.0)));
    println!("\nResident when idle: {resident} MiB.\n");
    Ok(())
}
