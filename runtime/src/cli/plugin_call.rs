//! `plugin call`: any export of any Extism plugin, without a host.

use std::collections::BTreeMap;
use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_config::HostPattern;
use exomonad_core::{BoundsMap, EncodedAnswer};
use exomonad_engine::{
    CallError, EngineConfig, Host, HostFuture, HttpError, HttpRequest, HttpResponse, Limits,
    LoadOptions, LogLevel, Manifest,
};
use exomonad_schema::common::{HANDLE_MCP_CALL, ToolCallInput};
use exomonad_schema::{CallId, Context, EffectError, ErrorCode, RoleName};
use exomonad_services::Http;
use exomonad_services::http::HttpBounds;

use super::CommandError;
use super::args::{Options, PluginCall};
use super::call::{as_sent, parse_arguments};
use super::plugin::{engine, http, open};
use super::show::{print_bytes, without_controls};
use exomonad_host::pipeline::{effect_functions, fetch};

const PAGE: u64 = 64 << 10;
/// A plugin that is called by hand may use as much as one page of 32 bits addresses; `--memory-max` bounds it.
const MEMORY: u64 = 4 << 30;

/// Runs `plugin call`.
pub async fn run(options: &Options, arguments: PluginCall) -> Result<(), CommandError> {
    let export = match &arguments.tool {
        Some(_) => HANDLE_MCP_CALL,
        None => arguments.export.as_deref().unwrap_or_default(),
    };
    let input = input(&arguments)?;
    let host: Arc<dyn Host> = Arc::new(host(options, &arguments)?);
    let mut limits = Limits {
        memory: arguments
            .memory_max
            .map_or(MEMORY, |pages| pages.saturating_mul(PAGE)),
        wall_time: arguments
            .timeout
            .map_or(Duration::from_secs(24 * 3600), Duration::from_millis),
        input: u64::MAX,
        output: u64::MAX,
        effects: u64::MAX,
        log_bytes: u64::MAX,
        ..Limits::default()
    };
    if let Some(most) = arguments.http_response_max {
        limits.http_response = most;
    }
    let memory = limits.memory.min(MEMORY);
    let engine = engine(EngineConfig {
        sandboxes: 2,
        memory,
        ..EngineConfig::default()
    })?;
    let load = LoadOptions {
        effects: effect_functions(),
        wasi: arguments.wasi,
        limits: Some(limits),
        ..LoadOptions::default()
    };
    let plugin = open(&engine, &arguments.file, &load).await?;
    let refused = |error: &CallError| match error {
        CallError::UnknownExport { .. } | CallError::Signature { .. } => {
            Err(CommandError::Refused(error.to_string()))
        }
        _ => {
            errln!(
                "exomonad: {} (return code {})",
                without_controls(&error.to_string()),
                error.return_code()
            );
            Err(CommandError::Failed)
        }
    };
    let mut sandbox = match plugin.sandbox(host.clone(), limits).await {
        Ok(sandbox) => sandbox,
        Err(error) => return refused(&error),
    };
    let began = Instant::now();
    let mut answer = Vec::new();
    for _ in 0..arguments.times {
        let called = sandbox.call(host.clone(), limits, export, &input).await;
        match called {
            Ok(output) => answer = output.bytes,
            Err(error) => return refused(&error),
        }
    }
    let took = began.elapsed();
    print_bytes(&answer);
    if let (times @ 2.., total) = (arguments.times, took.as_secs_f64()) {
        let each = total * 1e6 / f64::from(times);
        errln!("{times} calls in {total:.3} s, {each:.2} µs each; the answer is that of the last");
    }
    Ok(())
}

fn input(arguments: &PluginCall) -> Result<Vec<u8>, CommandError> {
    if let Some(tool) = &arguments.tool {
        return tool_call(tool, arguments);
    }
    let mut input = arguments.input.clone().unwrap_or_default().into_bytes();
    if arguments.stdin {
        std::io::stdin().read_to_end(&mut input).map_err(|error| {
            CommandError::Unavailable(format!("standard input cannot be read: {error}"))
        })?;
    }
    Ok(input)
}

/// The input of a tool's call, as a host makes it.
fn tool_call(tool: &str, arguments: &PluginCall) -> Result<Vec<u8>, CommandError> {
    // Where --tool names what is called, the second word is an argument already.
    let words: Vec<String> = arguments
        .export
        .iter()
        .chain(&arguments.arguments)
        .cloned()
        .collect();
    let role =
        RoleName::from_str("plugin").map_err(|error| CommandError::Usage(error.to_string()))?;
    let input = ToolCallInput {
        name: tool.to_owned(),
        arguments: as_sent(parse_arguments(&words)?)?,
        context: Context {
            role,
            call_id: CallId::random(),
            principal: None,
            caller: Some("plugin call".to_owned()),
            traceparent: None,
        },
    };
    serde_json::to_vec(&input).map_err(|error| CommandError::Usage(error.to_string()))
}

/// The host of a plugin that is called by hand: what the flags give it.
struct FlagHost {
    config: BTreeMap<String, String>,
    bounds: BoundsMap,
    http: Arc<Http>,
}

fn host(options: &Options, arguments: &PluginCall) -> Result<FlagHost, CommandError> {
    let pairs = options.config.iter().chain(&arguments.set).map(|pair| {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("`{pair}` is not KEY=VALUE")))?;
        Ok((key.to_owned(), value.to_owned()))
    });
    let given: BTreeMap<String, String> = pairs.collect::<Result<_, CommandError>>()?;
    // A manifest may bring values of its own; the flags come first.
    let manifest = Manifest::open(&arguments.file).ok();
    let mut config = manifest
        .as_ref()
        .map(|manifest| manifest.config().clone())
        .unwrap_or_default();
    config.extend(given);
    // Its author asks for hosts; who runs it allows them.
    let wanted = manifest.iter().flat_map(Manifest::allowed_hosts);
    for wanted in wanted.filter(|wanted| !arguments.allow_host.contains(wanted)) {
        let wanted = without_controls(wanted);
        eprintln!(
            "exomonad: the manifest asks for requests to `{wanted}`; `--allow-host {wanted}` allows them"
        );
    }
    let host = |host: &String| {
        host.parse::<HostPattern>().map_err(|error| {
            CommandError::Usage(format!("`{host}` is not the name of a host: {error}"))
        })
    };
    // A host that is named here is meant, wherever it is.
    let named: Vec<HostPattern> = arguments
        .allow_host
        .iter()
        .map(host)
        .collect::<Result<_, _>>()?;
    let bounds = HttpBounds {
        hosts: named.clone(),
        private_hosts: named,
        ..HttpBounds::default()
    };
    Ok(FlagHost {
        config,
        bounds: BoundsMap::default().with(bounds),
        http: http()?,
    })
}

impl Host for FlagHost {
    fn effect(&self, effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        let name = effect_functions().get(effect).copied().unwrap_or_default();
        let error = EffectError::new(
            ErrorCode::EffectDenied,
            format!("{name}: `plugin call` performs no effects; `exomonad call` does, as a role"),
        );
        Box::pin(std::future::ready(EncodedAnswer::error(&error).into_json()))
    }

    fn config(&self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn log(&self, level: LogLevel, message: &str) {
        errln!("[{level:?}] {}", without_controls(message));
    }

    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Info)
    }

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(fetch(&self.http, &self.bounds, None, request))
    }
}
