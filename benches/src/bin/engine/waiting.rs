//! Ten thousand calls at once, each waiting a second in an effect, and an echo now and then meanwhile.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exomonad_benches::measure::{micros, quantile};
use exomonad_benches::{guests, machine};
use exomonad_engine::{EngineConfig, Host, Plugin};

use crate::host::{Bench, LIMITS, extism_call, extism_compiled, extism_plugin, load};

const CALLS: usize = 10_000;
/// Extism holds a thread for each: as many as a machine bears.
const EXTISM_CALLS: usize = 1000;
const INPUT: &[u8] = b"the second is up";
/// Echoes measured before anything waits.
const IDLE_ECHOES: usize = 2000;
const BETWEEN_ECHOES: Duration = Duration::from_millis(1);

/// Runs each candidate in a process of its own, so that its memory and threads are its own.
pub fn report() -> Result<(), String> {
    println!(
        "## Calls at once, each waiting {:?} in an effect\n",
        crate::host::WAIT
    );
    println!(
        "| engine | calls | time | peak resident | threads | echo p50 idle → meanwhile | echo p99 idle → meanwhile |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    for part in ["waiting-extism", "waiting-ours"] {
        let status = Command::new(&program)
            .arg(part)
            .status()
            .map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("`{part}` failed: {status}"));
        }
    }
    println!();
    Ok(())
}

/// Our engine's row.
pub fn ours() -> Result<(), String> {
    let wasm = wat::parse_str(guests::COPYING).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let plugin = runtime.block_on(load(EngineConfig::default(), &wasm))?;
    runtime
        .block_on(runtime.spawn(ours_waiting(plugin)))
        .map_err(|error| error.to_string())
}

async fn ours_waiting(plugin: Plugin) {
    let always = Arc::new(AtomicBool::new(true));
    let idle = echoes(&plugin, IDLE_ECHOES, always.clone()).await;
    let waiting = always;
    let meanwhile = tokio::spawn({
        let (plugin, waiting) = (plugin.clone(), waiting.clone());
        async move { echoes(&plugin, usize::MAX, waiting).await }
    });
    let host: Arc<dyn Host> = Arc::new(Bench);
    let begin = Instant::now();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (plugin, host) = (plugin.clone(), host.clone());
            tokio::spawn(async move { plugin.call(host, LIMITS, "wait", INPUT).await })
        })
        .collect();
    let mut threads = 0;
    for call in calls {
        match call.await {
            Ok(Ok(output)) => assert_eq!(output.bytes, INPUT),
            Ok(Err(error)) => panic!("a waiting call failed: {error}"),
            Err(error) => panic!("{error}"),
        }
        threads = threads.max(machine::threads());
    }
    let time = begin.elapsed();
    waiting.store(false, Ordering::SeqCst);
    let meanwhile = meanwhile.await.unwrap_or_default();
    let both = |share| {
        format!(
            "{} → {}",
            micros(quantile(idle.clone(), share)),
            micros(quantile(meanwhile.clone(), share))
        )
    };
    println!(
        "| ours | {CALLS} | {:.2} s | {} MiB | {threads} | {} | {} |",
        time.as_secs_f64(),
        machine::peak_resident_mib(),
        both(0.5),
        both(0.99),
    );
}

/// Echo calls, one a millisecond, each from its request to its answer.
async fn echoes(plugin: &Plugin, most: usize, go_on: Arc<AtomicBool>) -> Vec<Duration> {
    let host: Arc<dyn Host> = Arc::new(Bench);
    let mut times = Vec::new();
    while times.len() < most && go_on.load(Ordering::SeqCst) {
        tokio::time::sleep(BETWEEN_ECHOES).await;
        let (plugin, host) = (plugin.clone(), host.clone());
        let begin = Instant::now();
        let call = tokio::spawn(async move {
            plugin
                .call(host, LIMITS, "echo", INPUT)
                .await
                .map(|output| output.bytes)
        });
        assert!(matches!(call.await, Ok(Ok(answer)) if answer == INPUT));
        times.push(begin.elapsed());
    }
    times
}

/// Extism's row: a thread and a plugin for each call.
pub fn extism() -> Result<(), String> {
    let wasm = wat::parse_str(guests::COPYING).map_err(|error| error.to_string())?;
    let compiled = extism_compiled(&wasm)?;
    let begin = Instant::now();
    let threads = std::thread::scope(|scope| {
        for _ in 0..EXTISM_CALLS {
            scope.spawn(|| extism_call(&mut extism_plugin(&compiled), "wait", INPUT));
        }
        machine::threads()
    });
    println!(
        "| Extism | {EXTISM_CALLS} | {:.2} s | {} MiB | {threads} | — | — |",
        begin.elapsed().as_secs_f64(),
        machine::peak_resident_mib(),
    );
    Ok(())
}
