//! The parts of a fresh call, and the effect of the pool's `keep_resident` on it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_benches::guests;
use exomonad_benches::machine::minor_faults;
use exomonad_benches::measure::{Candidate, in_turns, micros};
use exomonad_engine::{EngineConfig, Host, Plugin};
use tokio::runtime::Runtime;

use crate::host::{Bench, LIMITS, fresh, load, warm};

const PAYLOADS: [(&str, usize); 2] = [("200 B", 200), ("64 KiB", 64 << 10)];
const KEPT: [u64; 4] = [0, 64 << 10, 256 << 10, 2 << 20];
const COUNTED: u32 = 2000;

/// Prints the table.
pub fn report() -> Result<(), String> {
    println!("## What a fresh call is made of (echo)\n");
    println!(
        "| guest | payload | keep_resident | instance alone | warm call | fresh call | page faults of it |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    for guest in guests::all()? {
        for (payload, size) in PAYLOADS {
            for keep_resident in KEPT {
                let config = EngineConfig {
                    keep_resident,
                    ..EngineConfig::default()
                };
                let plugin = runtime.block_on(load(config, &guest.wasm))?;
                let costs = Costs::of(&runtime, &plugin, &vec![b'a'; size]);
                println!(
                    "| {} | {payload} | {} KiB {costs}",
                    guest.name,
                    keep_resident >> 10
                );
            }
        }
    }
    println!();
    Ok(())
}

struct Costs {
    instance: Duration,
    warm: Duration,
    fresh: Duration,
    faults: f64,
}

impl Costs {
    fn of(runtime: &Runtime, plugin: &Plugin, input: &[u8]) -> Self {
        let run = |what: What, calls| {
            let task = runtime.spawn(what.run(plugin.clone(), input.to_vec(), calls));
            runtime.block_on(task).unwrap_or_default()
        };
        let candidate = |what: What| Candidate::new(move |calls| run(what, calls));
        let times = in_turns(&mut [
            candidate(What::Instance),
            candidate(What::Warm),
            candidate(What::Fresh),
        ]);
        let before = minor_faults();
        run(What::Fresh, COUNTED);
        let faults = (minor_faults() - before) as f64 / f64::from(COUNTED);
        Self {
            instance: times[0],
            warm: times[1],
            fresh: times[2],
            faults,
        }
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            warm,
            fresh,
            faults,
        } = self;
        write!(
            f,
            "| {} | {} | {} | {faults:.1} |",
            micros(*instance),
            micros(*warm),
            micros(*fresh)
        )
    }
}

#[derive(Clone, Copy)]
enum What {
    Instance,
    Warm,
    Fresh,
}

impl What {
    async fn run(self, plugin: Plugin, input: Vec<u8>, calls: u32) -> Duration {
        match self {
            Self::Warm => warm(&plugin, "echo", &input, calls).await,
            Self::Fresh => fresh(&plugin, "echo", &input, calls).await,
            Self::Instance => instances(&plugin, calls).await,
        }
    }
}

/// Makes sandboxes and drops them without a call.
async fn instances(plugin: &Plugin, count: u32) -> Duration {
    let host: Arc<dyn Host> = Arc::new(Bench);
    let begin = Instant::now();
    for _ in 0..count {
        if let Err(error) = plugin.sandbox(host.clone(), LIMITS).await {
            panic!("no sandbox: {error}");
        }
    }
    begin.elapsed()
}
