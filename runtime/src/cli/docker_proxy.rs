//! `docker-proxy`: filters requests to a Docker engine until it is told to stop.

use std::sync::Arc;

use exomonad_config::LogConfig;
use tokio::net::TcpListener;

use super::CommandError;
use super::args;
use super::serve::{bind_failed, stop_signal};
use exomonad_docker_proxy::{Labels, Proxy};
use exomonad_telemetry::start_log;

/// Runs `docker-proxy`.
pub async fn run(arguments: args::DockerProxy) -> Result<(), CommandError> {
    let log = LogConfig::default();
    start_log(&log, &log.filter)?;
    let labels: Vec<String> = arguments
        .labels
        .into_iter()
        .filter(|label| !label.trim().is_empty())
        .map(|label| label.trim().to_owned())
        .collect();
    if labels.is_empty() {
        return Err(CommandError::Usage(
            "no label is given, so no container could be reached; set --labels or DOCKER_PROXY_LABELS, \
             such as exomonad.role"
                .to_owned(),
        ));
    }
    let proxy = Arc::new(Proxy {
        socket: arguments.socket,
        labels: Labels(labels),
        spawning: arguments.spawn,
        allowed_hosts: arguments.allowed_hosts,
    });
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| bind_failed(arguments.listen, &error))?;
    let socket = proxy.socket.display();
    proxy.ping().await.map_err(|error| {
        CommandError::Unavailable(format!(
            "the Docker engine's socket {socket} cannot be used: {error}; it has to be there, and open to the \
             group this runs with: in docker compose that is DOCKER_GID, and `stat -c %g {socket}` on the \
             machine tells it"
        ))
    })?;
    tracing::info!(address = %arguments.listen, labels = %proxy.labels, spawning = proxy.spawning, "letting through what the Docker service asks");
    tokio::select! {
        () = proxy.serve(listener) => {}
        reason = stop_signal() => tracing::info!(reason, "stopped"),
    }
    Ok(())
}
