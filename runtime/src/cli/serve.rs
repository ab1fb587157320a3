//! `serve`: the host, until it is told to stop.

use std::io::IsTerminal;

use exomonad_config::{LogConfig, LogFormat, Tokens};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::CommandError;
use super::args::Options;
use super::config::{env, load};
use super::folders;
use crate::house::House;
use crate::plugins::reload::Reloader;
use crate::plugins::watch::FolderWatch;
use crate::server::guard::Guard;
use crate::server::{self, App};

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
            &crate::house::capabilities(),
        );
        loaded =
            again.map_err(|errors| CommandError::Usage(format!("--listen {listen}\n{errors}")))?;
    }
    let config = loaded.config;
    start_log(&config.log, &config.log.filter)?;
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
    let house = House::open(config, env)?;
    let reload = Reloader::start(house.clone());
    let _watch = FolderWatch::start(&house.config, reload.clone());
    let app = App::new(house.clone(), reload, Guard::new(server, tokens));
    tracing::info!(%address, plugins = %house.config.plugins.dir.display(), "serving on http://{address}");
    let stop = {
        let app = app.clone();
        async move {
            let reason = stop_signal().await;
            app.drain();
            tracing::info!(reason, "shutting down: calls in flight may finish");
        }
    };
    let finished = tokio::select! {
        finished = server::serve(listener, server::router(app), stop, grace) => finished,
        // Who asks twice is in a hurry.
        () = second_signal() => false,
    };
    match finished {
        true => tracing::info!("all calls finished"),
        false => tracing::warn!(?grace, "calls were still running and are cancelled"),
    }
    Ok(())
}

/// Starts logging to standard error.
pub fn start_log(config: &LogConfig, filter: &str) -> Result<(), CommandError> {
    // What libraries say about their own workings comes first, so that the configuration can still ask
    // for it. The client of Docker would repeat whole requests, environment variables included.
    let filter =
        EnvFilter::try_new(format!("notify=warn,bollard=info,{filter}")).map_err(|error| {
            CommandError::Usage(format!("`log.filter` is not one: `{filter}`: {error}"))
        })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        LogFormat::Pretty => subscriber
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
    };
    started.map_err(|error| CommandError::Unavailable(format!("no log: {error}")))
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
