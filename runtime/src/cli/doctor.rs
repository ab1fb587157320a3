//! `doctor`: checks everything that the host needs, and that its grants need.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use exomonad_access::{OAuth, TokenFile, check_configured, short_token};
use exomonad_config::{Config, DockerEnvironment, Role, Source, Tokens};
use exomonad_engine::CompileCache;
use exomonad_schema::{CallId, EffectKind, RoleName, Service};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::CommandError;
use super::args::Options;
use super::client::Client;
use super::config::{env, load, load_text_alone, print_warnings};
use super::show::print_json;
use exomonad_host::plugins::reload::Reloader;
use exomonad_host::report::{WorkflowsHealth, WorkflowsProblemCode};
use exomonad_host::{Caller, Runtime};

/// Mappings that a sandbox needs while it runs: two of its stack, two or three of each of its two memories.
const MAPPINGS_PER_SANDBOX: u64 = 7;

/// One check.
#[derive(Serialize)]
struct Check {
    what: &'static str,
    ok: bool,
    /// True if it works, and could be better.
    note: bool,
    /// The finding, and what to do about it.
    says: String,
}

/// Runs `doctor`.
pub async fn run(options: &Options, quick: bool) -> Result<(), CommandError> {
    if quick {
        return is_ready(options).await;
    }
    let checks = check_all(options).await;
    let all_ok = checks.iter().all(|check| check.ok);
    if options.json {
        print_json(&checks);
    } else {
        for check in &checks {
            outln!(
                "{} {:<15} {}",
                match (check.ok, check.note) {
                    (true, false) => "✓",
                    (true, true) => "!",
                    (false, _) => "✗",
                },
                check.what,
                check.says
            );
        }
    }
    if all_ok {
        Ok(())
    } else {
        Err(CommandError::Found)
    }
}

/// Asks the running host only.
async fn is_ready(options: &Options) -> Result<(), CommandError> {
    let config = load_text_alone(options)?.config;
    let Some(client) = Client::find(options, &config, None).await? else {
        return Err(CommandError::Unavailable(format!(
            "no host runs at {}",
            config.server.listen
        )));
    };
    client.get::<Value>("/ready").await.map(|_| ())
}

async fn check_all(options: &Options) -> Vec<Check> {
    let loaded = match load(options) {
        Ok(loaded) => loaded,
        Err(error) => return vec![check("configuration", Err(error.to_string()))],
    };
    print_warnings(&loaded);
    let sandboxes_are_set = loaded.sources.of(["engine", "sandboxes"]) != Source::Default;
    let config = loaded.config;
    let mut checks = vec![
        check("configuration", Ok("every key is fine".to_owned())),
        check(
            "log filter",
            EnvFilter::try_new(&config.log.filter)
                .map(|_| config.log.filter.clone())
                .map_err(|error| error.to_string()),
        ),
        check("plugin folder", readable(&config.plugins.dir)),
        check("compile cache", compile_cache(&config.plugins.cache_dir)),
        check("state folder", writable(&config.state.dir)),
        memory_maps(config.engine.sandboxes, sandboxes_are_set),
        check("port", port(options, &config).await),
    ];
    checks.extend(tokens(&config));
    checks.extend(configured_tokens(&config));
    checks.extend(authorization_servers(&config).await);
    checks.extend(workflows(options, &config).await);
    checks.extend(github(&config));
    checks.extend(docker(&config).await);
    checks.extend(temporal(&config).await);
    match Runtime::open(config, env) {
        Err(error) => checks.push(check("engine", Err(format!("{error:#}")))),
        Ok(runtime) => {
            checks.push(check(
                "engine",
                Ok("the pool of sandboxes is reserved".to_owned()),
            ));
            checks.extend(plugins(&runtime).await);
            checks.push(check("repository", repository(&runtime).await));
        }
    }
    checks
}

fn check(what: &'static str, result: Result<String, String>) -> Check {
    let ok = result.is_ok();
    Check {
        what,
        ok,
        note: false,
        says: result.unwrap_or_else(|problem| problem),
    }
}

/// The runs of workflows of the host that runs, if one does.
async fn workflows(options: &Options, config: &Config) -> Option<Check> {
    /// The part of `/health` that is looked at.
    #[derive(Deserialize)]
    struct Health {
        workflows: WorkflowsHealth,
    }
    const WHAT: &str = "workflows";
    let client = Client::find(options, config, None).await.ok()??;
    let health: Health = client.get("/health").await.ok()?;
    let WorkflowsHealth {
        open,
        stuck,
        problem,
    } = health.workflows;
    if let Some(problem) = problem {
        let (runs_elsewhere, default) = match problem.code {
            // It may be meant so: a second host on the folder.
            WorkflowsProblemCode::RunsElsewhere => {
                (true, "another host of the state folder runs them")
            }
            WorkflowsProblemCode::Unavailable => (
                false,
                "the running host cannot use the state file; its log says why",
            ),
        };
        let says = problem.message.unwrap_or_else(|| default.to_owned());
        return Some(Check {
            what: WHAT,
            ok: runs_elsewhere,
            note: runs_elsewhere,
            says,
        });
    }
    Some(match stuck {
        0 => check(WHAT, Ok(format!("open runs: {open}; none is stuck"))),
        stuck => check(
            WHAT,
            Err(format!(
                "stuck runs: {stuck} of {open} open ones; `exomonad workflow list --status stuck` names them"
            )),
        ),
    })
}

/// The tokens that were given out to callers, if there is a folder for them.
fn tokens(config: &Config) -> Option<Check> {
    if !config.state.dir.is_dir() {
        return None;
    }
    let file = TokenFile::in_dir(&config.state.dir);
    let found = file.list().map(|tokens| {
        let now = SystemTime::now();
        let expired = tokens.iter().filter(|token| token.has_expired(now)).count();
        match (tokens.len(), expired) {
            (0, _) => "none are given out".to_owned(),
            (all, 0) => format!("given out: {all}"),
            (all, expired) => format!("given out: {all}, of which {expired} have expired"),
        }
    });
    let found = found.map_err(|error| {
        format!("{error}; until it can be read a host is closed to all but the tokens of the configuration")
    });
    Some(check("tokens", found))
}

/// A token of the configuration's that `serve` refuses, or should be another.
fn configured_tokens(config: &Config) -> Option<Check> {
    let tokens = Tokens::read(config, env).ok()?;
    let refused = check_configured(config, &tokens).err();
    let refused = refused.map(|error| format!("`serve` would not start here: {error}"));
    let says = refused.or_else(|| short_token(config, &tokens))?;
    // The variable may be meant for commands that ask a host, as this one does.
    Some(Check {
        note: true,
        ..check("operator token", Ok(says))
    })
}

/// The authorization servers whose tokens open roles.
async fn authorization_servers(config: &Config) -> Vec<Check> {
    let client = exomonad_services::http::client();
    let Some(oauth) = client
        .ok()
        .and_then(|client| OAuth::new(config, &client, None))
    else {
        return Vec::new();
    };
    let checked = oauth.check().await.into_iter();
    let checks = checked.map(|(issuer, keys)| {
        let found = match keys {
            Ok(0) => Err(format!("{issuer}: it has no keys that could be used")),
            Ok(keys) => Ok(format!("{issuer}: {keys} keys")),
            Err(error) => Err(format!("{issuer}: {error}; `oauth.issuers` names it")),
        };
        check("oauth", found)
    });
    checks.collect()
}

fn readable(folder: &Path) -> Result<String, String> {
    match fs::read_dir(folder) {
        Ok(_) => Ok(folder.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(format!(
            "{} (not there yet; `serve` makes it)",
            folder.display()
        )),
        Err(error) => Err(format!(
            "{}: {error}; `plugins.dir` sets it",
            folder.display()
        )),
    }
}

fn writable(folder: &Path) -> Result<String, String> {
    let try_it = || {
        // Closed to others, as the host makes it.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let probe = folder.join(format!(".doctor-{}", std::process::id()));
        fs::write(&probe, b"x")?;
        fs::remove_file(&probe)
    };
    match try_it() {
        Ok(()) => Ok(folder.display().to_string()),
        Err(error) => Err(format!(
            "{} cannot be written: {error}; `state.dir` sets it",
            folder.display()
        )),
    }
}

fn compile_cache(folder: &Path) -> Result<String, String> {
    let size = CompileCache::open(folder).and_then(|cache| cache.size());
    match size {
        Ok((bytes, files)) => Ok(format!(
            "{}: {files} files, {} KiB",
            folder.display(),
            bytes >> 10
        )),
        Err(error) => Err(format!("{error}; `plugins.cache_dir` sets it")),
    }
}

/// Compares the pool with the mappings that the kernel allows. A size that somebody has set must fit; the
/// default is as large as the kernel lets it be.
fn memory_maps(sandboxes: u32, is_set: bool) -> Check {
    const WHAT: &str = "memory maps";
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let Some(limit) = limit else {
        return check(WHAT, Ok("this system states no limit".to_owned()));
    };
    let stacks = u64::from(sandboxes) * 2;
    let at_once = limit.saturating_sub(stacks + 1000) / (MAPPINGS_PER_SANDBOX - 2);
    if stacks + 1000 > limit {
        return check(
            WHAT,
            Err(format!(
                "the pool of {sandboxes} sandboxes needs more than the {limit} mappings that the kernel allows; lower `engine.sandboxes` or raise vm.max_map_count"
            )),
        );
    }
    if at_once >= u64::from(sandboxes) {
        let fine = format!("{limit} allowed: enough for all {sandboxes} sandboxes at once");
        return check(WHAT, Ok(fine));
    }
    let wanted = stacks + 1000 + u64::from(sandboxes) * (MAPPINGS_PER_SANDBOX - 2);
    let found = format!(
        "{limit} allowed: enough for some {at_once} of the {sandboxes} sandboxes at once; `sysctl vm.max_map_count={wanted}` allows all"
    );
    match is_set {
        true => check(WHAT, Err(format!("{found}, or lower `engine.sandboxes`"))),
        false => Check {
            note: true,
            ..check(WHAT, Ok(found))
        },
    }
}

/// The roles that are granted an effect of a service.
fn granted(config: &Config, service: Service) -> String {
    let of_service = || {
        EffectKind::ALL
            .iter()
            .filter(|kind| kind.service() == service)
    };
    let grants = |role: &Role| of_service().any(|kind| role.grants(kind.capability()));
    let mut names: Vec<&str> = config
        .roles
        .iter()
        .filter(|(_, role)| grants(role))
        .map(|(name, _)| name.as_str())
        .collect();
    if config.plugins.unlisted_roles && grants(&config.defaults) {
        names.push("every role that is not listed");
    }
    names.join(", ")
}

/// GitHub's token, if a role is granted GitHub's effects.
fn github(config: &Config) -> Option<Check> {
    let roles = granted(config, Service::GitHub);
    let source = config.services.github.token_source();
    (!roles.is_empty()).then(|| {
        let found = match source.map(|source| source.resolve(env)) {
            Some(Ok(_)) => Ok(format!("there is a token; granted to {roles}")),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!(
                "github.* is granted to {roles}, and there is no token: set `github.token_file`, `github.token_env`, GITHUB_TOKEN or GH_TOKEN"
            )),
        };
        check("github", found)
    })
}

/// The Docker engine, if a role is granted Docker's effects.
async fn docker(config: &Config) -> Option<Check> {
    let roles = granted(config, Service::Docker);
    if roles.is_empty() {
        return None;
    }
    let host = &config.services.docker.host;
    let connected = match host.split_once("://") {
        Some(("unix", socket)) => tokio::net::UnixStream::connect(socket).await.map(drop),
        Some((_, address)) => tokio::net::TcpStream::connect(address).await.map(drop),
        None => Err(std::io::ErrorKind::InvalidInput.into()),
    };
    let meant = match DockerEnvironment::of(&env) {
        DockerEnvironment::Taken {
            host: other, by, ..
        } if other != *host => {
            format!(" ({by} says {other}, and `docker.host` comes first)")
        }
        DockerEnvironment::NotTaken { host: other, by } => {
            format!(" ({by} says {other}, which is not taken)")
        }
        _ => String::new(),
    };
    let found = match connected {
        Ok(()) => Ok(format!("{host} answers{meant}; granted to {roles}")),
        Err(error) => Err(format!(
            "docker.* is granted to {roles}, and {host} cannot be reached{meant}: {error}; start the engine, or set `docker.host` or DOCKER_HOST"
        )),
    };
    Some(check("docker", found))
}

/// The Temporal server, if a role is granted Temporal's effects.
async fn temporal(config: &Config) -> Option<Check> {
    let roles = granted(config, Service::Temporal);
    if roles.is_empty() {
        return None;
    }
    let temporal = &config.services.temporal;
    let key = temporal.api_key_source().map(|source| source.resolve(env));
    let address = &temporal.address;
    let connecting = tokio::net::TcpStream::connect(address);
    let connected = tokio::time::timeout(temporal.connect_timeout, connecting).await;
    let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let found = match (key, connected) {
        (Some(Err(error)), _) => Err(error.to_string()),
        (_, Ok(_)) => Ok(format!("{address} answers; granted to {roles}")),
        (_, Err(error)) => Err(format!(
            "temporal.* is granted to {roles}, and {address} cannot be reached: {error}; start the server, or set `temporal.address`"
        )),
    };
    Some(check("temporal", found))
}

async fn port(options: &Options, config: &Config) -> Result<String, String> {
    let address = config.server.listen.get();
    if let Ok(Some(client)) = Client::find(options, config, None).await {
        return match client.get::<Value>("/health").await {
            Ok(health) => running(client.base(), &health),
            Err(_) => Err(format!(
                "something else than a host answers at {}; `server.listen` sets the address",
                client.base()
            )),
        };
    }
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!(
            "{address} cannot be listened on: {error}; `server.listen` sets it"
        )),
    }
}

/// The finding about a running host, by its `/health`.
fn running(base: &str, health: &Value) -> Result<String, String> {
    let status = health["status"].as_str().unwrap_or("?");
    let found = format!("a host runs at {base}: {status}");
    if status == "ok" {
        return Ok(found);
    }
    let problems = health["problems"].as_array().into_iter().flatten();
    let problems = problems.map(|problem| {
        let text = |key: &str| problem[key].as_str();
        // Without the operator's token there is a code alone.
        let says = text("message").or(text("code")).unwrap_or("?");
        format!("; {}: {says}", text("role").unwrap_or("?"))
    });
    let tokens = &health["tokens"];
    let says = tokens["message"].as_str().or(tokens["code"].as_str());
    let tokens = says.map(|says| format!("; tokens: {says}"));
    Err(format!(
        "{found}{}{}",
        problems.collect::<String>(),
        tokens.unwrap_or_default()
    ))
}

async fn plugins(runtime: &Arc<Runtime>) -> Vec<Check> {
    Reloader::once(runtime.clone()).await;
    let roles = runtime.roles();
    if roles.is_empty() {
        return vec![check(
            "plugins",
            Err("there is no role: put a plugin into the plugin folder".to_owned()),
        )];
    }
    let checks = roles
        .values()
        .map(|role| match (role.problem(), role.version()) {
            (None, Some(version)) if version.missing_grants.is_empty() => check(
                "plugin",
                Ok(format!(
                    "{}: {} with {} tools",
                    role.name(),
                    version.source,
                    version.tools.len()
                )),
            ),
            (None, Some(version)) => check(
                "plugin",
                Ok(format!(
                    "{}: {}; not granted: {}",
                    role.name(),
                    version.source,
                    version.missing_grants.join(", ")
                )),
            ),
            (Some(problem), _) => check(
                "plugin",
                Err(format!("{}: {}", role.name(), problem.message)),
            ),
            (None, None) => check("plugin", Err(format!("{}: it did not load", role.name()))),
        });
    checks.collect()
}

/// Asks the git service about the first root, as a plugin would.
async fn repository(runtime: &Arc<Runtime>) -> Result<String, String> {
    let roles = runtime.roles();
    let role = roles
        .get("tl")
        .or_else(|| roles.values().next())
        .ok_or("there is no role")?;
    let name: &RoleName = role.name();
    let caller = Caller {
        name: Some("doctor".to_owned()),
        ..Caller::default()
    };
    let call = role.settings.call(CallId::random(), caller);
    let answer = role
        .settings
        .layers
        .effect(&call, EffectKind::GitGetBranch, b"{}")
        .await;
    let json: Value = serde_json::from_slice(answer.json()).unwrap_or_default();
    match answer.error_code() {
        None => Ok(format!("role `{name}` reads it: {}", json["payload"])),
        // A host without a repository is a fine one.
        Some(exomonad_schema::ErrorCode::NotFound) => {
            Ok("none here: git effects will say so".to_owned())
        }
        Some(exomonad_schema::ErrorCode::EffectDenied) => {
            Ok(format!("role `{name}` may not read any"))
        }
        Some(_) => Err(json["payload"]["message"]
            .as_str()
            .unwrap_or("the git service failed")
            .to_owned()),
    }
}
