//! `guest-sdk/MATRIX.md`: each guest language with what its plugin of the contract suite passes, and what it costs.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_benches::contract::{self, FUNCTIONS, Guest};
use exomonad_benches::guests::{LANGUAGES, contract_plugin, root};
use exomonad_benches::machine;
use exomonad_benches::measure::{Candidate, in_turns, micros, quantile};
use exomonad_engine::{
    CompileCache, Engine, EngineConfig, Host, HostFuture, LoadOptions, Manifest, Plugin,
    SnapshotStatus,
};
use tokio::runtime::Runtime;

use crate::host::LIMITS;

/// A call of the tool `echo` with 200 bytes.
const CALL: &str =
    r#"{"name":"echo","arguments":{"text":"TEXT"},"context":{"role":"contract","callId":"bench"}}"#;
const TEXT: usize = 200;
/// Loads of a module that is compiled already.
const LOADS: usize = 9;

/// A language's row.
struct Row {
    language: &'static str,
    plugin: Plugin,
    bytes: usize,
    cold: Duration,
    cached: Duration,
    cases: String,
}

/// No effect is asked for.
struct Silent;

impl Host for Silent {
    fn effect(&self, _effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Prints the file.
pub fn report() -> Result<(), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for language in LANGUAGES {
        rows.push(runtime.block_on(row(language))?);
    }
    let mut candidates: Vec<Candidate<'_>> = rows
        .iter()
        .flat_map(|row| {
            [
                candidate(&runtime, row, false),
                candidate(&runtime, row, true),
            ]
        })
        .collect();
    let times = in_turns(&mut candidates);
    println!("# Guest languages\n");
    println!(
        "Written by `scripts/bench languages`: the plugin `plugins/contract-<language>` of each, with all effects and every \
         kind of export. A call is the tool `echo` with {TEXT} bytes; warm is in one sandbox, fresh in a new one each \
         time. A load is of a module that is compiled (cached) or not (cold).\n"
    );
    println!("{}\n", machine::description());
    println!(
        "| language | toolchain | ABI | cases passed | module | cold load | cached load | warm call | fresh call | snapshot |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|---|");
    for (row, times) in rows.iter().zip(times.chunks(2)) {
        println!(
            "| {} | {} | Extism | {} | {} KiB | {:.1} s | {} | {} | {} | {} |",
            row.language,
            toolchain(row.language),
            row.cases,
            row.bytes.div_ceil(1024),
            row.cold.as_secs_f64(),
            micros(row.cached),
            micros(times[0]),
            micros(times[1]),
            match row.plugin.snapshot() {
                SnapshotStatus::NotNeeded => "not needed".to_owned(),
                SnapshotStatus::Taken => "taken".to_owned(),
                other => format!("{other:?}"),
            }
        );
    }
    println!();
    Ok(())
}

async fn row(language: &'static str) -> Result<Row, String> {
    let wasm = contract_plugin(language)?;
    let report = contract::run(&Guest::load(&wasm).await?).await;
    let all = report.passed + report.failures.len();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let options = LoadOptions {
        effects: &FUNCTIONS,
        cache: Some(CompileCache::open(folder.path()).map_err(|error| error.to_string())?),
        ..LoadOptions::default()
    };
    // One for each language, in one process.
    let engine = Engine::new(EngineConfig {
        sandboxes: 64,
        ..EngineConfig::default()
    });
    let engine = engine.map_err(|error| error.to_string())?;
    let manifest = Manifest::of_module(wasm.clone());
    let begin = Instant::now();
    let load = async || {
        let loaded = engine.load(&manifest, &options).await;
        loaded.map_err(|error| error.to_string())
    };
    let mut plugin = load().await?;
    let cold = begin.elapsed();
    let mut times = Vec::with_capacity(LOADS);
    for _ in 0..LOADS {
        let begin = Instant::now();
        plugin = load().await?;
        times.push(begin.elapsed());
    }
    Ok(Row {
        language,
        plugin,
        bytes: wasm.len(),
        cold,
        cached: quantile(times, 0.5),
        cases: format!("{} of {all}", report.passed),
    })
}

/// The version that a language's toolchain says of itself.
fn toolchain(language: &str) -> String {
    let script = root().join("scripts/guest-toolchain");
    let printed = Command::new(script).args(["--version", language]).output();
    match printed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "not here".to_owned(),
    }
}

/// Calls, all in one sandbox or each in a fresh one.
fn candidate<'a>(runtime: &'a Runtime, row: &'a Row, is_fresh: bool) -> Candidate<'a> {
    Candidate::new(move |calls| {
        let plugin = row.plugin.clone();
        let task = runtime.spawn(async move { time(&plugin, is_fresh, calls).await });
        runtime.block_on(task).unwrap_or_default()
    })
}

async fn time(plugin: &Plugin, is_fresh: bool, calls: u32) -> Duration {
    const EXPORT: &str = "handle_mcp_call";
    let input = CALL.replace("TEXT", &"x".repeat(TEXT)).into_bytes();
    let host: Arc<dyn Host> = Arc::new(Silent);
    let mut kept = match plugin.sandbox(host.clone(), LIMITS).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("no sandbox: {error}"),
    };
    let begin = Instant::now();
    for _ in 0..calls {
        let answered = if is_fresh {
            plugin.call(host.clone(), LIMITS, EXPORT, &input).await
        } else {
            kept.call(host.clone(), LIMITS, EXPORT, &input).await
        };
        if let Err(error) = answered {
            panic!("the call failed: {error}");
        }
    }
    begin.elapsed()
}
