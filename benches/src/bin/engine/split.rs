//! What a fresh call is made of, and what the pool's `keep_resident` does to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_benches::guests;
use exomonad_benches::machine::minor_faults;
use exomonad_benches::measure::{Rival, in_turns, micros};
use exomonad_engine::{EngineConfig, Host, Plugin};

use crate::host::{Bench, LIMITS, fresh, load, warm};

const KEPT: [u64; 4] = [0, 64 << 10, 256 << 10, 2 << 20];
const COUNTED: u32 = 2000;

/// Prints the table.
pub fn report() -> Result<(), String> {
    println!("## What a fresh call is made of (echo, 200 B)\n");
    println!(
        "| guest | keep_resident | instance made and dropped | page faults of it | warm call | fresh call | page faults of it |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let copying = wat::parse_str(guests::COPYING).map_err(|error| error.to_string())?;
    let mut measured = vec![("WAT", copying)];
    if let Ok(wasm) = guests::pdk_plugin() {
        measured.push(("Rust PDK", wasm));
    }
    if let Some(wasm) = guests::shipped_echo() {
        measured.push(("our SDK", wasm));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    for (name, wasm) in &measured {
        for keep_resident in KEPT {
            let plugin = runtime.block_on(load(
                EngineConfig {
                    keep_resident,
                    ..EngineConfig::default()
                },
                wasm,
            ))?;
            let timed = |what: What| {
                let (runtime, plugin) = (&runtime, plugin.clone());
                Rival::new(move |calls| {
                    runtime
                        .block_on(runtime.spawn(what.run(plugin.clone(), calls)))
                        .unwrap_or_default()
                })
            };
            let times =
                in_turns(&mut [timed(What::Instance), timed(What::Warm), timed(What::Fresh)]);
            let faults = |what: What| {
                let before = minor_faults();
                // Only the faults matter here.
                let _ = runtime.block_on(runtime.spawn(what.run(plugin.clone(), COUNTED)));
                (minor_faults() - before) as f64 / f64::from(COUNTED)
            };
            println!(
                "| {name} | {} KiB | {} | {:.1} | {} | {} | {:.1} |",
                keep_resident >> 10,
                micros(times[0]),
                faults(What::Instance),
                micros(times[1]),
                micros(times[2]),
                faults(What::Fresh),
            );
        }
    }
    println!();
    Ok(())
}

#[derive(Clone, Copy)]
enum What {
    Instance,
    Warm,
    Fresh,
}

impl What {
    async fn run(self, plugin: Plugin, calls: u32) -> Duration {
        let input = [b'a'; 200];
        match self {
            Self::Warm => warm(&plugin, "echo", &input, calls).await,
            Self::Fresh => fresh(&plugin, "echo", &input, calls).await,
            Self::Instance => {
                let host: Arc<dyn Host> = Arc::new(Bench);
                let begin = Instant::now();
                for _ in 0..calls {
                    if let Err(error) = plugin.sandbox(host.clone(), LIMITS).await {
                        panic!("no sandbox: {error}");
                    }
                }
                begin.elapsed()
            }
        }
    }
}
