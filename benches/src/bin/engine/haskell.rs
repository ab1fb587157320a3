//! The role tl in Haskell beside the one in Rust: `repo_status`, its effects answered at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_benches::guests::{effects_of, shipped};
use exomonad_benches::measure::{Candidate, in_turns, micros, quantile};
use exomonad_engine::{
    CompileCache, Engine, EngineConfig, Host, HostFuture, LoadOptions, Manifest, Plugin,
};
use tokio::runtime::Runtime;

use crate::host::LIMITS;

const CALL: &[u8] =
    br#"{"name":"repo_status","arguments":{},"context":{"role":"tl","callId":"bench"}}"#;
const STATUS: &[u8] = br#"{"kind":"Success","payload":{"head":{"head":"branch","branch":"fix"},"staged":[],"unstaged":[{"path":"src/lib.rs","change":"modified"}],"untracked":[{"path":"notes.txt","change":"untracked"}],"conflicted":[],"isClean":false}}"#;
const COMMITS: &[u8] = br#"{"kind":"Success","payload":{"commits":[{"id":"b1946ac92492d2347c6235b4d2611184000000ff","parents":[],"summary":"Fix it","body":"","author":{"name":"Ada","email":"ada@example.com","unixMillis":1767225600000,"offsetMinutes":0},"committer":{"name":"Ada","email":"ada@example.com","unixMillis":1767225600000,"offsetMinutes":0}}],"hasMore":true}}"#;
const LOADS: usize = 15;

/// Answers `repo_status`' two effects without looking.
struct Answers {
    status: usize,
}

impl Host for Answers {
    fn effect(&self, effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        let answer = if effect == self.status {
            STATUS
        } else {
            COMMITS
        };
        Box::pin(std::future::ready(answer.to_vec()))
    }
}

/// A plugin with the host that answers it.
struct Tl {
    plugin: Plugin,
    host: Arc<dyn Host>,
    bytes: usize,
    load: Duration,
}

/// Prints the table.
pub fn report() -> Result<(), String> {
    println!("## The role tl in Haskell and in Rust (repo_status, effects answered at once)\n");
    println!("| plugin | module | load, compiled before | warm call | fresh call |");
    println!("|---|--:|--:|--:|--:|");
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let cache = CompileCache::open(folder.path()).map_err(|error| error.to_string())?;
    let names = ["tl", "tl-haskell"];
    let loaded = names.map(|name| runtime.block_on(load(&cache, name)));
    let [rust, haskell] = loaded;
    let (rust, haskell) = (rust?, haskell?);
    let times = in_turns(&mut [
        candidate(&runtime, &rust, false),
        candidate(&runtime, &rust, true),
        candidate(&runtime, &haskell, false),
        candidate(&runtime, &haskell, true),
    ]);
    for ((name, tl), times) in names.iter().zip([&rust, &haskell]).zip(times.chunks(2)) {
        println!(
            "| {name} | {:.2} MiB | {} | {} | {} |",
            tl.bytes as f64 / f64::from(1 << 20),
            micros(tl.load),
            micros(times[0]),
            micros(times[1])
        );
    }
    println!();
    Ok(())
}

async fn load(cache: &CompileCache, name: &str) -> Result<Tl, String> {
    let wasm = shipped(name)?;
    let engine = Engine::new(EngineConfig::default()).map_err(|error| error.to_string())?;
    let names = effects_of(&wasm)?;
    let status = names.iter().position(|name| name == "git_status");
    // The engine wants names that last as long as the program; a benchmark loads few plugins.
    let effects: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let options = LoadOptions {
        effects: effects.leak(),
        cache: Some(cache.clone()),
        ..LoadOptions::default()
    };
    let manifest = Manifest::of_module(wasm.clone());
    let mut times = Vec::with_capacity(LOADS);
    let mut plugin = engine
        .load(&manifest, &options)
        .await
        .map_err(|error| error.to_string())?;
    for _ in 0..LOADS {
        let begin = Instant::now();
        plugin = engine
            .load(&manifest, &options)
            .await
            .map_err(|error| error.to_string())?;
        times.push(begin.elapsed());
    }
    Ok(Tl {
        plugin,
        host: Arc::new(Answers {
            status: status.ok_or("it does not import git_status")?,
        }),
        bytes: wasm.len(),
        load: quantile(times, 0.5),
    })
}

/// Calls, all in one sandbox or each in a fresh one.
fn candidate<'a>(runtime: &'a Runtime, tl: &'a Tl, is_fresh: bool) -> Candidate<'a> {
    Candidate::new(move |calls| {
        let (plugin, host) = (tl.plugin.clone(), tl.host.clone());
        let task = runtime.spawn(async move { time(&plugin, &host, is_fresh, calls).await });
        runtime.block_on(task).unwrap_or_default()
    })
}

async fn time(plugin: &Plugin, host: &Arc<dyn Host>, is_fresh: bool, calls: u32) -> Duration {
    let mut kept = match plugin.sandbox(host.clone(), LIMITS).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("no sandbox: {error}"),
    };
    let begin = Instant::now();
    for _ in 0..calls {
        let answered = if is_fresh {
            plugin
                .call(host.clone(), LIMITS, "handle_mcp_call", CALL)
                .await
        } else {
            kept.call(host.clone(), LIMITS, "handle_mcp_call", CALL)
                .await
        };
        match answered {
            Ok(output) => assert!(
                output.bytes.windows(6).any(|part| part == b"Fix it"),
                "{}",
                String::from_utf8_lossy(&output.bytes)
            ),
            Err(error) => panic!("the call failed: {error}"),
        }
    }
    begin.elapsed()
}
