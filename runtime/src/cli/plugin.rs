//! `plugin inspect` and `plugin test`: a plugin file's imports and exports, and a trial of loading it.

use std::path::Path;
use std::sync::Arc;

use exomonad_config::Config;
use exomonad_engine::{
    CompileLimits, Engine, EngineConfig, Host, HostFuture, Limit, Limits, LoadError, LoadOptions,
    Manifest, Plugin,
};
use exomonad_schema::common::{HANDLE_LIST_TOOLS, ListToolsResult, Tool};
use exomonad_schema::{EffectKind, RoleName};
use exomonad_services::http::Secrets;
use exomonad_services::{Http, HttpConfig};
use serde_json::json;
use tokio::sync::watch;

use super::CommandError;
use super::args::Options;
use super::call::snapshot;
use super::config::load;
use super::show::{print_json, without_controls};
use exomonad_host::admission::HostSandboxes;
use exomonad_host::audit::Audit;
use exomonad_host::pipeline::{NoEffects, effect_functions};
use exomonad_host::plugins::folder::Source;
use exomonad_host::plugins::version::{PluginLoadError, PluginVersion};
use exomonad_host::role::{Role, SharedServices};
use exomonad_telemetry::{Metrics, resource};

/// The module that effects are imported from.
const EFFECTS: &str = "extism:host/user::";

/// Runs `plugin inspect`.
pub async fn inspect(options: &Options, file: &Path) -> Result<(), CommandError> {
    let engine = engine(EngineConfig {
        sandboxes: 4,
        ..EngineConfig::default()
    })?;
    let load = LoadOptions {
        effects: effect_functions(),
        ..LoadOptions::default()
    };
    let plugin = open(&engine, file, &load).await?;
    let exports: Vec<&str> = plugin.entry_points().collect();
    let outcome = serde_json::to_value(plugin.snapshot()).unwrap_or_default();
    let size = std::fs::metadata(file).map_or(0, |about| about.len());
    let tools = listed_tools(&plugin).await;
    let grants: Vec<&str> = plugin
        .imports()
        .iter()
        .filter_map(|import| EffectKind::from_function(import.strip_prefix(EFFECTS)?))
        .map(|kind| kind.capability())
        .collect();
    if options.json {
        let (tools, problem) = match &tools {
            Ok(tools) => (Some(tools), None),
            Err(problem) => (None, Some(problem)),
        };
        print_json(&json!({
            "file": file, "bytes": size, "sha256": plugin.digest(), "abi": ABI, "exports": exports,
            "imports": plugin.imports(), "grants": grants, "tools": tools, "toolsProblem": problem,
            "snapshot": outcome,
        }));
        return Ok(());
    }
    outln!("{}", file.display());
    outln!("  size      {size} bytes");
    outln!("  sha256    {}", plugin.digest());
    outln!("  abi       {ABI}");
    outln!("  snapshot  {}", snapshot(&outcome));
    outln!("  exports   {}", lines(&exports));
    outln!("  imports   {}", lines(plugin.imports()));
    outln!("  grants    {}", lines(&grants));
    match tools {
        Ok(tools) => {
            let shown: Vec<String> = tools.iter().map(shown_tool).collect();
            outln!("  tools     {}", lines(&shown));
        }
        Err(problem) => {
            outln!("  tools     {}", without_controls(&problem));
            return Err(CommandError::Found);
        }
    }
    Ok(())
}

/// The interface that plugins are written for.
const ABI: &str = "Extism, a core module";

/// The tools that a plugin lists, in a sandbox without effects.
pub async fn listed_tools(plugin: &Plugin) -> Result<Vec<Tool>, String> {
    if !plugin.has(HANDLE_LIST_TOOLS) {
        return Ok(Vec::new());
    }
    let called = plugin
        .call(
            Arc::new(WithoutEffects),
            Limits::default(),
            HANDLE_LIST_TOOLS,
            b"",
        )
        .await;
    let output = called.map_err(|error| format!("{HANDLE_LIST_TOOLS} failed: {error}"))?;
    let listed: ListToolsResult = serde_json::from_slice(&output.bytes)
        .map_err(|error| format!("{HANDLE_LIST_TOOLS} answers no list of tools: {error}"))?;
    Ok(listed.tools)
}

/// A tool with its arguments, in a line.
fn shown_tool(tool: &Tool) -> String {
    let schema: serde_json::Value =
        serde_json::from_str(tool.input_schema.get()).unwrap_or_default();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let arguments = schema["properties"].as_object().into_iter().flatten();
    let arguments = arguments.map(|(name, schema)| {
        let optional = if required.iter().any(|one| one == name) {
            ""
        } else {
            "?"
        };
        match schema["type"].as_str() {
            Some(ty) => format!("{name}{optional}: {ty}"),
            None => format!("{name}{optional}"),
        }
    });
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    // In one line, whatever the plugin says.
    without_controls(&format!("{}({arguments})", tool.name)).replace(['\n', '\t'], " ")
}

/// The host of a plugin that is only looked at.
struct WithoutEffects;

impl Host for WithoutEffects {
    fn effect(&self, _effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        let answer = br#"{"kind":"Error","payload":{"code":"effect_denied","message":"a plugin that is only looked at has no effects"}}"#;
        Box::pin(std::future::ready(answer.to_vec()))
    }
}

/// Loads a file, with its error as the command's.
pub async fn open(
    engine: &Engine,
    file: &Path,
    options: &LoadOptions,
) -> Result<Plugin, CommandError> {
    let loaded = match Manifest::open(file) {
        Ok(manifest) => engine.load(&manifest, options).await,
        Err(error) => Err(error),
    };
    loaded.map_err(|error| not_loaded(file, &error))
}

/// The failure of a command whose plugin file does not load.
fn not_loaded(file: &Path, error: &LoadError) -> CommandError {
    match error {
        LoadError::Read { .. } => CommandError::Unavailable(error.to_string()),
        // The argument names something that is no plugin.
        LoadError::Manifest(_) => CommandError::Usage(error.to_string()),
        LoadError::NotWebAssembly { .. } => {
            CommandError::Usage(format!("{}: {error}", file.display()))
        }
        LoadError::InitialSize(size) if size.limit == Limit::Memory => CommandError::Refused(
            format!("{}: {}", file.display(), size.set_by("--memory-max")),
        ),
        LoadError::WasiNotAllowed { .. } => {
            CommandError::Refused(format!("{}: {error}; `--wasi` allows it", file.display()))
        }
        _ => CommandError::Refused(format!("{}: {error}", file.display())),
    }
}

/// The HTTP service for plugins that a command runs.
pub fn http() -> Result<Arc<Http>, CommandError> {
    Http::new(HttpConfig::default(), Secrets::new())
        .map(Arc::new)
        .map_err(|error| CommandError::Unavailable(error.to_string()))
}

/// An engine for a command.
pub fn engine(config: EngineConfig) -> Result<Engine, CommandError> {
    Engine::new(config).map_err(|error| CommandError::Unavailable(error.to_string()))
}

/// A role as the configuration has it, without a host: no effects are performed for its plugin.
pub fn role_without_host(name: &RoleName, config: &Config) -> Result<Role, CommandError> {
    let settings = config.role(name).unwrap_or(&config.defaults);
    let limits = &settings.limits;
    let engine = engine(EngineConfig {
        sandboxes: 4,
        memory: limits.memory.get(),
        table_elements: limits.table_elements.into(),
        stack: limits.stack.get(),
        ..EngineConfig::default()
    })?;
    let shared = SharedServices {
        effects: Arc::new(NoEffects),
        http: http()?,
        metrics: Metrics::new(resource(&config.telemetry)),
        journal: None,
        workflows: None,
        audit: Audit::new(&config.audit),
        versions: watch::Sender::new(()),
    };
    let sandboxes = HostSandboxes::new(4);
    Ok(Role::new(
        name, config, settings, engine, &shared, sandboxes,
    ))
}

fn lines(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join("\n            ")
    }
}

/// Runs `plugin test`.
pub async fn test(options: &Options, file: &Path) -> Result<(), CommandError> {
    let config = load(options)?.config;
    let stem = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let name: RoleName = stem
        .parse()
        .or_else(|_| "plugin".parse())
        .map_err(|_| CommandError::Failed)?;
    let role = role_without_host(&name, &config)?;
    let version = PluginVersion::load(
        &role.settings,
        Source::File(file.to_owned()),
        None,
        CompileLimits {
            time: config.engine.compile_time.get(),
            memory: config.engine.compile_memory.get(),
        },
    )
    .await
    .map_err(|error| match error {
        PluginLoadError::Load(error) => not_loaded(file, &error),
        error => CommandError::Refused(format!("{}: {error}", file.display())),
    })?;
    let tools: Vec<&str> = version
        .tools
        .iter()
        .map(|tool| tool.tool.name.as_str())
        .collect();
    let hooks: Vec<&str> = version.hooks().map(|event| event.name()).collect();
    if options.json {
        let refused = version.refused_tools.iter();
        let refused = refused.map(|tool| json!({"tool": tool.name, "reason": tool.reason}));
        print_json(&json!({
            "file": file, "role": name, "tools": tools, "hooks": hooks, "missingGrants": version.missing_grants,
            "refusedTools": refused.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    outln!("{} can serve as role `{name}`", file.display());
    outln!("  tools     {}", lines(&tools));
    outln!("  hooks     {}", lines(&hooks));
    for tool in &version.refused_tools {
        outln!("  not offered: tool `{}`: {}", tool.name, tool.reason);
    }
    if !version.missing_grants.is_empty() {
        outln!(
            "  it asks for effects that the role is not granted: {}",
            version.missing_grants.join(", ")
        );
        let key = config.role_key(&name, "effects");
        outln!(
            "  add them to `{key}` in {} to grant them",
            config.file.display()
        );
    }
    Ok(())
}
