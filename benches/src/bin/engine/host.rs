//! The same host functions for both engines, and the calls into both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_benches::guests::effects_of;
use exomonad_benches::libextism::{self, CompiledPlugin, HostFunction};
use exomonad_engine::{
    Engine, EngineConfig, Host, HostFuture, Limits, LoadOptions, Manifest, Plugin,
};

/// How long `wait` waits.
pub const WAIT: Duration = Duration::from_secs(1);
/// The place of `wait` in the list of effects.
const WAITING: usize = 0;

/// Performs the effects of the guests here: `wait` waits, and all give back what they got, since it is
/// the way there and back that is measured.
pub struct Bench;

impl Host for Bench {
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        if effect != WAITING {
            return Box::pin(std::future::ready(request));
        }
        Box::pin(async move {
            tokio::time::sleep(WAIT).await;
            request
        })
    }
}

/// Room for the largest payload on its way in and out.
pub const LIMITS: Limits = Limits {
    wall_time: Duration::from_secs(30),
    memory: 64 << 20,
    table_elements: 100_000,
    input: 16 << 20,
    output: 16 << 20,
    effects: 1000,
    log_bytes: 1 << 20,
    vars: 1 << 20,
    http_response: 1 << 20,
};

/// The guest, loaded by our engine.
pub async fn load(config: EngineConfig, wasm: &[u8]) -> Result<Plugin, String> {
    let engine = Engine::new(config).map_err(|error| error.to_string())?;
    let imported = effects_of(wasm)?.into_iter().filter(|name| name != "wait");
    let mut effects: Vec<&'static str> = vec!["wait"];
    // The engine wants names that last as long as the program; a benchmark loads few plugins.
    effects.extend(imported.map(|name| &*name.leak()));
    let options = LoadOptions {
        effects: effects.leak(),
        ..LoadOptions::default()
    };
    let loaded = engine
        .load(&Manifest::of_module(wasm.to_vec()), &options)
        .await;
    loaded.map_err(|error| error.to_string())
}

/// Makes `calls` calls, each in a sandbox of its own.
pub async fn fresh(plugin: &Plugin, export: &str, input: &[u8], calls: u32) -> Duration {
    let host: Arc<dyn Host> = Arc::new(Bench);
    let begin = Instant::now();
    for _ in 0..calls {
        expect_length(
            plugin
                .call(host.clone(), LIMITS, export, input)
                .await
                .map(|output| output.bytes.len()),
            input,
        );
    }
    begin.elapsed()
}

/// Makes `calls` calls in one sandbox.
pub async fn warm(plugin: &Plugin, export: &str, input: &[u8], calls: u32) -> Duration {
    let host: Arc<dyn Host> = Arc::new(Bench);
    let mut sandbox = match plugin.sandbox(host.clone(), LIMITS).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("no sandbox: {error}"),
    };
    let begin = Instant::now();
    for _ in 0..calls {
        expect_length(
            sandbox
                .call(host.clone(), LIMITS, export, input)
                .await
                .map(|output| output.bytes.len()),
            input,
        );
    }
    begin.elapsed()
}

fn expect_length(answered: Result<usize, impl std::fmt::Display>, input: &[u8]) {
    match answered {
        Ok(length) => assert_eq!(length, input.len(), "the guest answers what it was given"),
        Err(error) => panic!("the call failed: {error}"),
    }
}

/// The guest, compiled by Extism.
pub fn extism_compiled(wasm: &[u8]) -> Result<CompiledPlugin, String> {
    let function = |name: String| {
        let waits = name == "wait";
        let run = move |request| {
            if waits {
                std::thread::sleep(WAIT);
            }
            request
        };
        (name, Box::new(run) as HostFunction)
    };
    let functions = effects_of(wasm)?.into_iter().map(function).collect();
    let manifest = extism_manifest::Manifest::new([extism_manifest::Wasm::data(wasm)]);
    CompiledPlugin::new(&manifest, functions, true)
}

/// A new plugin of Extism's from what it compiled, as its documentation has it for many sandboxes.
pub fn extism_plugin(compiled: &CompiledPlugin) -> libextism::Plugin<'_> {
    match compiled.plugin() {
        Ok(plugin) => plugin,
        Err(error) => panic!("no plugin: {error}"),
    }
}

/// One call under Extism.
pub fn extism_call(plugin: &mut libextism::Plugin<'_>, export: &str, input: &[u8]) {
    let answered = plugin.call(export, input).map(<[u8]>::len);
    expect_length(answered.map_err(|error| error.message), input);
}
