//! Both engines with the same host behind them, and what their calls end with.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use exomonad_engine::{
    CallError, CompileCache, Engine, EngineConfig, Host, HostFuture, HttpError, HttpRequest,
    HttpResponse, Limit, Limits, LoadOptions, LogLevel, Manifest, Plugin,
};

use crate::{http, logs};

/// The effects of both hosts: one that reverses its bytes, one that answers with nothing.
pub const EFFECTS: &[&str] = &["reverse", "nothing"];
const PAGE: u64 = 64 << 10;

/// A plugin and what its host grants it.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The modules with their names in the manifest.
    pub modules: Vec<(Option<&'static str>, String)>,
    pub wasi: bool,
    pub config: BTreeMap<String, String>,
    pub allowed_hosts: Vec<String>,
    pub timeout: Option<Duration>,
    pub memory_pages: Option<u32>,
    pub var_bytes: Option<u64>,
    /// What the manifest says about the digest of the first module.
    pub digest: Option<String>,
    /// A module in the binary format, instead of `modules`.
    pub binary: Option<Vec<u8>>,
}

impl Setup {
    /// One module in WAT.
    pub fn of(wat: impl Into<String>) -> Self {
        Self {
            modules: vec![(None, wat.into())],
            ..Self::default()
        }
    }

    /// One module with the whole ABI imported and these functions.
    pub fn with_abi(body: &str) -> Self {
        Self::of(include_str!("abi.wat").replace("BODY", body))
    }

    fn manifest(&self) -> extism::Manifest {
        let module = |(name, wat): &(Option<&'static str>, String)| {
            let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
            let data = extism::Wasm::data(wasm);
            if let Some(name) = name {
                data.with_name(*name)
            } else {
                data
            }
        };
        let mut wasm: Vec<_> = match &self.binary {
            Some(binary) => vec![extism::Wasm::data(binary.clone())],
            None => self.modules.iter().map(module).collect(),
        };
        if let (Some(digest), Some(first)) = (&self.digest, wasm.first_mut()) {
            *first = first.clone().with_hash(digest);
        }
        let mut manifest = extism::Manifest::new(wasm)
            .with_config(self.config.iter())
            .with_allowed_hosts(self.allowed_hosts.iter().cloned());
        manifest.timeout_ms = self.timeout.map(|timeout| timeout.as_millis() as u64);
        manifest.memory.max_pages = self.memory_pages;
        manifest.memory.max_var_bytes = self.var_bytes;
        manifest
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.wall_time = self.timeout.unwrap_or(limits.wall_time);
        limits.memory = self
            .memory_pages
            .map_or(limits.memory, |pages| u64::from(pages) * PAGE);
        limits.vars = self.var_bytes.unwrap_or(limits.vars);
        limits
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Answer(Vec<u8>),
    Failed(Failure, Code),
    /// The plugin could not even be made.
    NotLoaded,
}

/// The return code of a failed call; Extism tells none where a guest only returned another than 0.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub Option<i32>);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_none() || other.0.is_none() || self.0 == other.0
    }
}

impl Eq for Code {}

/// Why a call failed, without what each engine adds in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The guest's own words, or those of the host function that refused.
    Message(String),
    Trap(String),
    Exit(i32),
    BadHandle,
    Timeout,
    Memory,
    Vars,
    NoSuchExport,
    Signature,
    /// The host itself panicked.
    Panic,
}

impl Ended {
    /// The answer as the numbers that a guest with `$say` wrote.
    pub fn said(&self) -> Option<Vec<i64>> {
        let Self::Answer(bytes) = self else {
            return None;
        };
        Some(
            bytes
                .chunks(8)
                .map(|word| word.try_into().map_or(-1, i64::from_le_bytes))
                .collect(),
        )
    }
}

/// What both engines make of the same calls, one after the other.
#[derive(Debug)]
pub struct Both {
    pub extism: Vec<Ended>,
    /// Each call in a sandbox of its own.
    pub fresh: Vec<Ended>,
    /// All calls in one sandbox.
    pub kept: Vec<Ended>,
}

/// Makes the calls under both engines.
pub fn call_both(setup: &Setup, calls: &[(&str, &[u8])]) -> Both {
    Both {
        extism: extism(setup, calls),
        fresh: ours(setup, calls, false),
        kept: ours(setup, calls, true),
    }
}

/// Requires that both engines answer these calls alike, and returns the last answer.
#[track_caller]
pub fn same_calls(what: &str, setup: &Setup, calls: &[(&str, &[u8])]) -> Ended {
    let both = call_both(setup, calls);
    for (nth, extism) in both.extism.iter().enumerate() {
        for (mode, ours) in [("fresh", &both.fresh[nth]), ("kept", &both.kept[nth])] {
            assert_eq!(
                extism,
                ours,
                "{what}: Extism (left) and ours, {mode} (right); as numbers {:?} and {:?}",
                extism.said(),
                ours.said()
            );
        }
    }
    both.extism.last().cloned().unwrap_or(Ended::NotLoaded)
}

/// Requires that both engines answer a call of `run` alike.
#[track_caller]
pub fn same(what: &str, setup: &Setup, input: &[u8]) -> Ended {
    same_calls(what, setup, &[("run", input)])
}

/// Requires that both engines answer alike for each of these bodies of `run`, and returns the answers.
#[track_caller]
pub fn same_bodies(input: &[u8], bodies: &[(&str, &str)]) -> Vec<Ended> {
    let run = |(what, body): &(&str, &str)| {
        let body =
            format!("(func (export \"run\") (local $a i64) (local $b i64) (local $c i64) {body})");
        same(what, &Setup::with_abi(&body), input)
    };
    bodies.iter().map(run).collect()
}

/// Makes the calls under Extism, in one plugin.
pub fn extism(setup: &Setup, calls: &[(&str, &[u8])]) -> Vec<Ended> {
    logs::capture();
    let function = |name: &'static str| {
        extism::Function::new(
            name,
            [extism::PTR],
            [extism::PTR],
            extism::UserData::new(()),
            move |plugin, i, o, _| {
                let mut bytes: Vec<u8> = plugin.memory_get_val(&i[0])?;
                if name == "nothing" {
                    bytes.clear()
                } else {
                    bytes.reverse()
                }
                plugin.memory_set_val(&mut o[0], bytes)
            },
        )
    };
    let compiled = || {
        extism::PluginBuilder::new(setup.manifest())
            .with_functions(EFFECTS.iter().copied().map(function))
            .with_wasi(setup.wasi)
            .with_http_response_headers(true)
            .with_cache_disabled()
            .compile()
    };
    let compiled = match &setup.binary {
        // The one that takes its time is compiled once for all tests.
        Some(binary) => compiled_once(binary, compiled),
        None => compiled(),
    };
    let make = || extism::Plugin::new_from_compiled(compiled.as_ref().ok()?).ok();
    // Each call is made twice, in plugins that have seen the same calls before: once for what `call`
    // says, once for the return code.
    let (Some(mut calling), Some(mut coding)) = (make(), make()) else {
        return vec![Ended::NotLoaded; calls.len()];
    };
    let each = |(export, input): &(&str, &[u8])| {
        logs::recording_as_extism(true);
        let answered = catch_unwind(AssertUnwindSafe(|| {
            calling
                .call::<&[u8], &[u8]>(export, input)
                .map(<[u8]>::to_vec)
        }));
        logs::recording_as_extism(false);
        let Ok(answered) = answered else {
            return Ended::Failed(Failure::Panic, Code(None));
        };
        let code = coding
            .call_get_error_code::<&[u8], &[u8]>(export, input)
            .err()
            .map(|(_, code)| code);
        match answered {
            Ok(bytes) => Ended::Answer(bytes),
            Err(error) => match extisms(&error.root_cause().to_string()) {
                // Whether Extism sees the interrupt as a trap depends on when it comes.
                Failure::Timeout => Ended::Failed(Failure::Timeout, Code(None)),
                failure => Ended::Failed(failure, Code(code)),
            },
        }
    };
    calls.iter().map(each).collect()
}

fn compiled_once(
    binary: &[u8],
    compile: impl FnOnce() -> Result<extism::CompiledPlugin, extism::Error>,
) -> Result<extism::CompiledPlugin, extism::Error> {
    static COMPILED: Mutex<BTreeMap<Vec<u8>, extism::CompiledPlugin>> = Mutex::new(BTreeMap::new());
    let mut known = COMPILED.lock().expect("compiling does not panic");
    if let Some(compiled) = known.get(binary) {
        return Ok(compiled.clone());
    }
    let compiled = compile()?;
    known.insert(binary.to_vec(), compiled.clone());
    Ok(compiled)
}

fn extisms(message: &str) -> Failure {
    if let Some(trap) = message.strip_prefix("wasm trap: ") {
        return Failure::Trap(trap.to_owned());
    }
    if let Some(code) = message.strip_prefix("Exited with i32 exit status ") {
        return Failure::Exit(code.parse().unwrap_or(i32::MIN));
    }
    match message {
        "timeout" => Failure::Timeout,
        "oom" => Failure::Memory,
        "Variable store is full" | "Vars are disabled by this host" => Failure::Vars,
        _ if message.starts_with("Function not found") => Failure::NoSuchExport,
        _ if message.contains("results, expected 0 or 1")
            || message.contains("expected 1 argument") =>
        {
            Failure::Signature
        }
        _ if message.starts_with("invalid handle offset")
            || message.contains("invalid memory offset") =>
        {
            Failure::BadHandle
        }
        _ => Failure::Message(message.to_owned()),
    }
}

/// Makes the calls under our engine, each in a fresh sandbox or all in a kept one.
pub fn ours(setup: &Setup, calls: &[(&str, &[u8])], kept: bool) -> Vec<Ended> {
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
            return vec![Ended::NotLoaded; calls.len()];
        };
        let host: Arc<dyn Host> = Arc::new(Granted(setup.clone()));
        let limits = setup.limits();
        let mut sandbox = match plugin.sandbox(host.clone(), limits).await {
            Ok(sandbox) => sandbox,
            Err(error) => return vec![failed(&error); calls.len()],
        };
        let mut ended = Vec::new();
        for (export, input) in calls {
            let answered = if kept {
                sandbox.call(host.clone(), limits, export, input).await
            } else {
                plugin.call(host.clone(), limits, export, input).await
            };
            ended.push(
                answered.map_or_else(|error| failed(&error), |output| Ended::Answer(output.bytes)),
            );
        }
        ended
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

fn failed(error: &CallError) -> Ended {
    let failure = match error {
        CallError::UnknownExport { .. } => Failure::NoSuchExport,
        CallError::Signature { .. } => Failure::Signature,
        CallError::Exit(code) => Failure::Exit(*code),
        CallError::Limit(hit) => match hit.limit {
            Limit::WallTime => Failure::Timeout,
            Limit::Vars => Failure::Vars,
            Limit::Stack => Failure::Trap("call stack exhausted".to_owned()),
            _ => Failure::Memory,
        },
        CallError::Refused { message } if message.starts_with("variables are turned off") => {
            Failure::Vars
        }
        CallError::Refused { message } if message.starts_with("invalid handle offset") => {
            Failure::BadHandle
        }
        CallError::Trap { message } => match message.strip_prefix("wasm trap: ") {
            Some(trap) => Failure::Trap(trap.split(" (in ").next().unwrap_or_default().to_owned()),
            None => Failure::Message(message.clone()),
        },
        _ => Failure::Message(error.to_string()),
    };
    Ended::Failed(failure, Code(Some(error.return_code())))
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
