//! Outcomes engines with the same host behind them.

use std::sync::{Arc, LazyLock};

use exomonad_benches::libextism::{CompiledPlugin, HostFunction};
use exomonad_engine::{
    CompileCache, Engine, EngineConfig, Host, HostFuture, HttpError, HttpRequest, HttpResponse,
    LoadOptions, LogLevel, Manifest, Plugin,
};

use crate::outcome::{Outcome, extism_failure, our_failure};
use crate::setup::Setup;
use crate::{http, logs};

/// The effects of both hosts: one that reverses its bytes, one that answers with nothing.
pub const EFFECTS: &[&str] = &["reverse", "nothing"];

/// The outcomes of the same calls, one after the other, in both engines.
#[derive(Debug)]
pub struct Outcomes {
    pub extism: Vec<Outcome>,
    /// Each call in a sandbox of its own.
    pub fresh: Vec<Outcome>,
    /// All calls in one sandbox.
    pub kept: Vec<Outcome>,
}

/// Makes the calls under both engines.
pub fn call_both(setup: &Setup, calls: &[(&str, &[u8])]) -> Outcomes {
    Outcomes {
        extism: extism(setup, calls),
        fresh: ours(setup, calls, false),
        kept: ours(setup, calls, true),
    }
}

/// Requires that both engines answer these calls alike, and returns the last answer.
#[track_caller]
pub fn same_calls(what: &str, setup: &Setup, calls: &[(&str, &[u8])]) -> Outcome {
    let both = call_both(setup, calls);
    for (nth, extism) in both.extism.iter().enumerate() {
        for (mode, ours) in [("fresh", &both.fresh[nth]), ("kept", &both.kept[nth])] {
            assert_eq!(
                extism,
                ours,
                "{what}: Extism (left) and ours, {mode} (right); as numbers {:?} and {:?}",
                extism.numbers(),
                ours.numbers()
            );
        }
    }
    both.extism.last().cloned().unwrap_or(Outcome::NotLoaded)
}

/// Requires that both engines answer a call of `run` alike.
#[track_caller]
pub fn same(what: &str, setup: &Setup, input: &[u8]) -> Outcome {
    same_calls(what, setup, &[("run", input)])
}

/// Requires that both engines answer alike for each of these bodies of `run`, and returns the answers.
#[track_caller]
pub fn same_bodies(input: &[u8], bodies: &[(&str, &str)]) -> Vec<Outcome> {
    let run = |(what, body): &(&str, &str)| {
        let body =
            format!("(func (export \"run\") (local $a i64) (local $b i64) (local $c i64) {body})");
        same(what, &Setup::with_abi(&body), input)
    };
    bodies.iter().map(run).collect()
}

/// Makes the calls under Extism, in one plugin.
pub fn extism(setup: &Setup, calls: &[(&str, &[u8])]) -> Vec<Outcome> {
    logs::capture();
    let function = |name: &'static str| {
        let run = move |mut bytes: Vec<u8>| {
            if name == "nothing" {
                bytes.clear()
            } else {
                bytes.reverse()
            }
            bytes
        };
        (name.to_owned(), Box::new(run) as HostFunction)
    };
    let functions = EFFECTS.iter().copied().map(function).collect();
    let Ok(compiled) = CompiledPlugin::new(&setup.manifest(), functions, setup.wasi) else {
        return vec![Outcome::NotLoaded; calls.len()];
    };
    let Ok(mut plugin) = compiled.plugin() else {
        return vec![Outcome::NotLoaded; calls.len()];
    };
    let mut each = |(export, input): &(&str, &[u8])| {
        let answered = plugin.call(export, input).map(<[u8]>::to_vec);
        let events = plugin.take_log();
        logs::record_extisms(&events);
        match answered {
            Ok(bytes) => Outcome::Answer(bytes),
            Err(error) => extism_failure(&error, &events),
        }
    };
    calls.iter().map(&mut each).collect()
}

/// Makes the calls under our engine, each in a fresh sandbox or all in a kept one.
pub fn ours(setup: &Setup, calls: &[(&str, &[u8])], kept: bool) -> Vec<Outcome> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        Engine::new(EngineConfig {
            sandboxes: 64,
            ..EngineConfig::default()
        })
        .expect("the machine has the address space")
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let Ok(plugin) = load(&ENGINE, setup).await else {
            return vec![Outcome::NotLoaded; calls.len()];
        };
        let host: Arc<dyn Host> = Arc::new(Granted(setup.clone()));
        let limits = setup.limits();
        let mut sandbox = match plugin.sandbox(host.clone(), limits).await {
            Ok(sandbox) => sandbox,
            Err(error) => return vec![our_failure(&error); calls.len()],
        };
        let mut outcome = Vec::new();
        for (export, input) in calls {
            let answered = if kept {
                sandbox.call(host.clone(), limits, export, input).await
            } else {
                plugin.call(host.clone(), limits, export, input).await
            };
            outcome.push(answered.map_or_else(
                |error| our_failure(&error),
                |output| Outcome::Answer(output.bytes),
            ));
        }
        outcome
    })
}

async fn load(engine: &Engine, setup: &Setup) -> Result<Plugin, String> {
    // Through a file, as a plugin folder has it: the manifest is Extism's own, not one of ours.
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("plugin.json");
    let json = serde_json::to_vec(&setup.manifest()).map_err(|error| error.to_string())?;
    std::fs::write(&path, json).map_err(|error| error.to_string())?;
    let manifest = Manifest::open(&path).map_err(|error| error.to_string())?;
    static CACHE: LazyLock<(tempfile::TempDir, CompileCache)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder for the cache");
        let cache = CompileCache::open(folder.path()).expect("nobody else may write to it");
        (folder, cache)
    });
    let options = LoadOptions {
        effects: EFFECTS,
        wasi: setup.wasi,
        cache: Some(CACHE.1.clone()),
        ..LoadOptions::default()
    };
    engine
        .load(&manifest, &options)
        .await
        .map_err(|error| error.to_string())
}

/// The host of our engine, with what the manifest of the same setup tells Extism.
struct Granted(Setup);

impl Host for Granted {
    fn effect(&self, effect: usize, mut request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        if EFFECTS[effect] == "nothing" {
            request.clear()
        } else {
            request.reverse()
        }
        Box::pin(std::future::ready(request))
    }

    fn config(&self, key: &str) -> Option<String> {
        self.0.config.get(key).cloned()
    }

    fn log(&self, level: LogLevel, message: &str) {
        logs::record_ours(level, message);
    }

    fn log_level(&self) -> Option<LogLevel> {
        Some(logs::LEVEL)
    }

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(http::perform(request, self.0.allowed_hosts.clone()))
    }
}
