//! `serve`: the host, until it is told to stop.

use std::time::Duration;

use exomonad_config::Tokens;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;
use super::args::Options;
use super::config::{env, load};
use super::folders;
use exomonad_host::Runtime;
use exomonad_host::plugins::reload::Reloader;
use exomonad_host::plugins::watch::FolderWatch;
use exomonad_server::guard::Guard;
use exomonad_server::{self as server, App};
use exomonad_telemetry::Telemetry;

/// How long what is left of traces, logs and metrics may take to be sent.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs `serve`.
pub async fn run(options: &Options, listen: Option<String>) -> Result<(), CommandError> {
    let mut loaded = load(options)?;
    if let Some(listen) = listen {
        // Through the same check as the configuration's: tokens are wanted beyond loopback.
        let with = |name: &str| {
            if name == "EXOMONAD_LISTEN" {
                Some(listen.clone())
            } else {
                env(name)
            }
        };
        let again = exomonad_config::Config::load(
            options.config_file(),
            with,
            &exomonad_host::capabilities(),
        );
        loaded =
            again.map_err(|errors| CommandError::Usage(format!("--listen {listen}\n{errors}")))?;
    }
    let config = loaded.config;
    let mut telemetry = Telemetry::start(&config, env, || {
        exomonad_services::http::client().map_err(|error| error.to_string())
    })?;
    let tokens =
        Tokens::read(&config, env).map_err(|error| CommandError::Usage(error.to_string()))?;
    let address = config.server.listen.get();
    // First of all, so that a second host on the same port does nothing else.
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| bind_failed(address, &error))?;
    let address = listener.local_addr().unwrap_or(address);
    folders::prepare(&config, &loaded.sources)?;
    let (server, grace) = (config.server.clone(), config.server.shutdown_grace.get());
    let runtime = Runtime::open(config, env)?;
    telemetry.send_metrics(&runtime.config.telemetry, &runtime.metrics)?;
    let reload = Reloader::start(runtime.clone());
    let _watch = FolderWatch::start(&runtime.config, reload.clone());
    let app = App::new(runtime.clone(), reload, Guard::new(server, tokens));
    tracing::info!(%address, plugins = %runtime.config.plugins.dir.display(), "serving on http://{address}");
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
        finished = server::serve(listener, server::router(app), stop, grace) => Some(finished),
        // Who asks twice is in a hurry.
        () = &mut hurry => None,
    };
    match finished {
        Some(true) => tracing::info!("all calls finished"),
        _ => tracing::warn!(?grace, "calls were still running and are cancelled"),
    }
    if finished.is_some() {
        tokio::select! {
            () = telemetry.finish(grace.min(FLUSH)) => {}
            () = hurry => {}
        }
    }
    Ok(())
}

pub fn bind_failed(address: std::net::SocketAddr, error: &std::io::Error) -> CommandError {
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
