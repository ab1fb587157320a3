//! Calls, one after the other: Extism warm and new, ours warm and fresh.

use std::fmt;
use std::time::{Duration, Instant};

use exomonad_benches::guests;
use exomonad_benches::libextism::CompiledPlugin;
use exomonad_benches::measure::{Candidate, in_turns, micros, ratio};
use exomonad_engine::{EngineConfig, Plugin};
use tokio::runtime::Runtime;

use crate::host::{extism_call, extism_compiled, extism_plugin, fresh, load, warm};

const PAYLOADS: [(&str, usize); 3] = [("200 B", 200), ("64 KiB", 64 << 10), ("4 MiB", 4 << 20)];

/// Prints the table.
pub fn report() -> Result<(), String> {
    println!("## Calls, one after the other\n");
    println!(
        "| guest | call | payload | Extism warm | Extism new | ours warm | ours fresh | warm: times faster | \
         fresh ÷ Extism warm |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|");
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    for guest in guests::all()? {
        let compiled = extism_compiled(&guest.wasm)?;
        let plugin = runtime.block_on(load(EngineConfig::default(), &guest.wasm))?;
        for export in guest.exports {
            for (payload, size) in PAYLOADS {
                let input: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
                let times = Times::of(&runtime, &compiled, &plugin, export, &input);
                println!("| {} | {export} | {payload} {times}", guest.name);
            }
        }
    }
    println!();
    Ok(())
}

struct Times {
    extism_warm: Duration,
    extism_new: Duration,
    our_warm: Duration,
    our_fresh: Duration,
}

impl Times {
    fn of(
        runtime: &Runtime,
        compiled: &CompiledPlugin,
        plugin: &Plugin,
        export: &'static str,
        input: &[u8],
    ) -> Self {
        let mut kept = extism_plugin(compiled);
        // Inside a task, where a server's calls are.
        let ours = |is_fresh: bool| {
            Candidate::new(move |calls| {
                let (plugin, input) = (plugin.clone(), input.to_vec());
                let task = runtime.spawn(async move {
                    if is_fresh {
                        fresh(&plugin, export, &input, calls).await
                    } else {
                        warm(&plugin, export, &input, calls).await
                    }
                });
                runtime.block_on(task).unwrap_or_default()
            })
        };
        let times = in_turns(&mut [
            Candidate::new(|calls| {
                let begin = Instant::now();
                (0..calls).for_each(|_| extism_call(&mut kept, export, input));
                begin.elapsed()
            }),
            Candidate::new(|calls| {
                let begin = Instant::now();
                (0..calls).for_each(|_| extism_call(&mut extism_plugin(compiled), export, input));
                begin.elapsed()
            }),
            ours(false),
            ours(true),
        ]);
        Self {
            extism_warm: times[0],
            extism_new: times[1],
            our_warm: times[2],
            our_fresh: times[3],
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} |",
            micros(self.extism_warm),
            micros(self.extism_new),
            micros(self.our_warm),
            micros(self.our_fresh),
            ratio(self.extism_warm, self.our_warm),
            ratio(self.our_fresh, self.extism_warm),
        )
    }
}
