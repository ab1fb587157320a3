//! Calls, one after the other: Extism warm and new, ours warm and fresh.

use std::time::Instant;

use exomonad_benches::guests;
use exomonad_benches::measure::{Rival, in_turns, micros, ratio};
use exomonad_engine::EngineConfig;

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
    let copying = wat::parse_str(guests::COPYING).map_err(|error| error.to_string())?;
    let mut guests = vec![("WAT", copying, &["echo", "effect"][..])];
    match guests::pdk_plugin() {
        Ok(wasm) => guests.push(("Rust PDK", wasm, &["echo", "effect"])),
        Err(reason) => println!("(no PDK guest: {reason})"),
    }
    if let Some(wasm) = guests::shipped_echo() {
        guests.push(("our SDK", wasm, &["echo"]));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    for (name, wasm, exports) in &guests {
        let compiled = extism_compiled(wasm)?;
        let plugin = runtime.block_on(load(EngineConfig::default(), wasm))?;
        for export in *exports {
            for (payload, size) in PAYLOADS {
                let input: Vec<u8> = (0..size).map(|n| b'a' + (n % 26) as u8).collect();
                let mut kept = extism_plugin(&compiled);
                // Inside a task, where a server's calls are.
                let ours = |is_fresh: bool| {
                    let (runtime, plugin, input, export) =
                        (&runtime, plugin.clone(), input.clone(), *export);
                    Rival::new(move |calls| {
                        let (plugin, input) = (plugin.clone(), input.clone());
                        let export = export.to_owned();
                        let task = runtime.spawn(async move {
                            match is_fresh {
                                true => fresh(&plugin, &export, &input, calls).await,
                                false => warm(&plugin, &export, &input, calls).await,
                            }
                        });
                        runtime.block_on(task).unwrap_or_default()
                    })
                };
                let mut rivals = [
                    Rival::new(|calls| {
                        let begin = Instant::now();
                        (0..calls).for_each(|_| extism_call(&mut kept, export, &input));
                        begin.elapsed()
                    }),
                    Rival::new(|calls| {
                        let begin = Instant::now();
                        (0..calls).for_each(|_| {
                            extism_call(&mut extism_plugin(&compiled), export, &input)
                        });
                        begin.elapsed()
                    }),
                    ours(false),
                    ours(true),
                ];
                let times = in_turns(&mut rivals);
                let [extism_warm, extism_new, our_warm, our_fresh] = times[..] else {
                    return Err("a rival has not been measured".to_owned());
                };
                println!(
                    "| {name} | {export} | {payload} | {} | {} | {} | {} | {} | {} |",
                    micros(extism_warm),
                    micros(extism_new),
                    micros(our_warm),
                    micros(our_fresh),
                    ratio(extism_warm, our_warm),
                    ratio(our_fresh, extism_warm),
                );
            }
        }
    }
    println!();
    Ok(())
}
