//! `serve`: the host, until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use exomonad_access::{check_configured, short_token};
use exomonad_config::{Config, ListenAddress, Loaded, RoleName, Tokens};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use super::args::Options;
use super::config::{env, load, print_warnings};
use super::folders;
use exomonad_host::Runtime;
use exomonad_server::serving::Serving;
use exomonad_server::{self as server, App};
use exomonad_telemetry::Telemetry;

/// How long what is left of traces, logs and metrics may take to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs `serve`.
pub async fn run(options: &Options, listen: Option<String>) -> Result<(), CommandError> {
    let loaded = load_for(options, listen.as_deref())?;
    print_warnings(&loaded);
    let config = loaded.config;
    let mut telemetry = Telemetry::start(&config, env, || {
        exomonad_services::http::client().map_err(|error| error.to_string())
    })?;
    let tokens =
        Tokens::read(&config, env).map_err(|error| CommandError::Usage(error.to_string()))?;
    check_configured(&config, &tokens).map_err(|error| CommandError::Usage(error.to_string()))?;
    if let Some(warning) = short_token(&config, &tokens) {
        tracing::warn!("{warning}");
    }
    let address = config.server.listen.get();
    // First of all, so that a second host on the same port does nothing else.
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| bind_failed(address, &error))?;
    let address = listener.local_addr().unwrap_or(address);
    folders::prepare(&config, &loaded.sources)?;
    let grace = config.server.shutdown_grace.get();
    let runtime = Runtime::open(config, env)?;
    telemetry.send_metrics(&runtime.config.telemetry, &runtime.metrics)?;
    let plugins = runtime.config.plugins.dir.display().to_string();
    let client = http_client()?;
    let again = options.clone();
    let read_config = move || {
        let loaded = load_for(&again, listen.as_deref()).map_err(|error| error.to_string())?;
        let tokens = Tokens::read(&loaded.config, env).map_err(|error| error.to_string())?;
        check_configured(&loaded.config, &tokens).map_err(|error| error.to_string())?;
        Ok((loaded.config, Some(tokens)))
    };
    let app = App::new(
        Serving::start(runtime, Some(tokens), &client),
        Box::new(read_config),
        client,
    );
    tracing::info!(%address, plugins, "serving on http://{address}");
    tokio::spawn(say_what_to_try(app.clone(), address));
    tokio::spawn(reload_on_hangup(app.clone()));
    #[cfg(not(feature = "temporal"))]
    for role in app.serving().runtime.roles().values() {
        if role.settings.temporal_task_queue.is_some() {
            tracing::error!(
                role = %role.name(),
                "this host was built without Temporal: nobody runs the workflows of the role"
            );
        }
    }
    #[cfg(feature = "temporal")]
    let workers = {
        let app = app.clone();
        exomonad_temporal_worker::TemporalWorkers::start(move || app.serving().runtime.clone())
    };
    let stop = {
        let app = app.clone();
        async move {
            let reason = stop_signal().await;
            app.drain();
            tracing::info!(reason, "shutting down: calls in flight may finish");
        }
    };
    let hurry = second_signal();
    tokio::pin!(hurry);
    let finished = tokio::select! {
        finished = server::serve(listener, app.clone(), stop, grace) => Some(finished),
        // Who asks twice is in a hurry.
        () = &mut hurry => None,
    };
    match finished {
        Some(true) => tracing::info!("all calls finished"),
        _ => tracing::warn!(?grace, "calls were still running and are cancelled"),
    }
    #[cfg(feature = "temporal")]
    workers.drain(grace).await;
    app.serving().runtime.workflows.drain(grace).await;
    // Tasks that hold the application may outlast it, and then nobody would close its files.
    app.serving().runtime.close();
    if finished.is_some() {
        tokio::select! {
            () = telemetry.finish(grace.min(FLUSH)) => {}
            () = hurry => {}
        }
    }
    Ok(())
}

/// The configuration, with the address of `--listen` in the place of the configured one.
fn load_for(options: &Options, listen: Option<&str>) -> Result<Loaded, CommandError> {
    let Some(listen) = listen else {
        return load(options);
    };
    if let Err(error) = listen.parse::<ListenAddress>() {
        return Err(CommandError::Usage(format!("--listen: {error}")));
    }
    // Through the same check as the configuration's: tokens are wanted beyond loopback.
    let with = |name: &str| match name {
        "EXOMONAD_LISTEN" => Some(listen.to_owned()),
        _ => env(name),
    };
    let loaded = Config::load(options.config_file(), with, &exomonad_host::capabilities());
    loaded.map_err(|errors| {
        let errors = errors.to_string().replace("EXOMONAD_LISTEN", "--listen");
        CommandError::Usage(format!("the configuration is wrong\n{errors}"))
    })
}

/// The client that fetches the keys of authorization servers.
pub fn http_client() -> Result<reqwest::Client, CommandError> {
    exomonad_services::http::client().map_err(|error| CommandError::Unavailable(error.to_string()))
}

/// Tells a newcomer what to do next, once the plugins are loaded.
async fn say_what_to_try(app: App, address: SocketAddr) {
    let serving = app.serving();
    serving.reload.ready().await;
    let roles = serving.runtime.roles();
    let names: Vec<&str> = roles.keys().map(RoleName::as_str).collect();
    let tool = roles.iter().find_map(|(name, role)| {
        let version = role.version()?;
        let tool = version.tools.first()?;
        Some(format!("exomonad call {name} {}", tool.tool.name))
    });
    tracing::info!(
        roles = names.join(", "),
        try_this = tool.unwrap_or_else(|| format!("curl -s http://{address}/health")),
        "ready"
    );
}

/// Reads the configuration again at each SIGHUP.
async fn reload_on_hangup(app: App) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangup.recv().await.is_some() {
        // What came of it is logged there.
        let _ = app.reload().await;
    }
}

pub fn bind_failed(address: SocketAddr, error: &std::io::Error) -> CommandError {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another host may be running there (`exomonad doctor` tells): stop it, or set `server.listen` or --listen"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "; `server.listen` or --listen names an address of this machine"
        }
        _ => "",
    };
    CommandError::Unavailable(format!("cannot listen on {address}: {error}{hint}"))
}

pub async fn stop_signal() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// Waits for the second of two signals.
async fn second_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
