//! `mcp`: MCP over standard input and output.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::response::Response;
use exomonad_config::{Config, RoleName};
use exomonad_host::{HostError, Runtime};
use exomonad_mcp::stdio::{self, Exchange, Exchanged};
use exomonad_schema::common::ListToolsResult;
use exomonad_server::in_process::InProcess;
use exomonad_server::serving::Serving;
use exomonad_server::{App, router};
use exomonad_telemetry::start_log;

use super::CommandError;
use super::args::Options;
use super::client::Client;
use super::config::{env, load, load_text_alone};

/// How long a client waits for what can be told at once.
const FIRST_LOOK: Duration = Duration::from_millis(300);

/// Runs `mcp`.
pub async fn run(options: &Options, role: &str, embedded: bool) -> Result<(), CommandError> {
    let role: RoleName = role
        .parse()
        .map_err(|error| CommandError::Usage(format!("--role: {error}")))?;
    // An embedded host loads it with its secrets.
    let loaded = load_text_alone(options)?;
    // Standard output belongs to the protocol, and clients show what stands on standard error.
    start_log(&loaded.config.log, "error")?;
    let longest = loaded.config.server.max_body.get();
    let mut own = None;
    let exchange: Arc<dyn Exchange> = match embedded || options.local {
        true => {
            let (host, runtime) = host_here(options, &role).await?;
            own = Some(runtime);
            Arc::new(host)
        }
        false => {
            let client = Client::find(options, &loaded.config, Some(role.as_str())).await?;
            let client = client.ok_or_else(|| {
                CommandError::Unavailable(format!(
                    "no host runs at {}: `exomonad serve` starts one, --url names another, and with --embedded \
                     this command is its own",
                    loaded.config.server.listen
                ))
            })?;
            // A wrong role or token is told here, where somebody reads it. A plugin may still load.
            let path = format!("/role/{role}/mcp/tools");
            if let Err(refused @ CommandError::Refused(_)) =
                client.get::<ListToolsResult>(&path).await
            {
                return Err(refused);
            }
            Arc::new(client)
        }
    };
    let (output, writer) = stdio::write_lines();
    stdio::serve(exchange, &role, stdio::read_lines(longest), output).await;
    if let Some(runtime) = own {
        runtime.close();
    }
    // The last lines are written before the process ends.
    tokio::task::spawn_blocking(move || writer.join())
        .await
        .map_err(|error| CommandError::Unavailable(error.to_string()))?
        .map_err(|_| CommandError::Unavailable("standard output cannot be written".to_owned()))
}

/// A host in this process, which nobody else reaches: it asks for no token. It has one role, whose plugin it
/// loads while the client says hello.
async fn host_here(
    options: &Options,
    role: &RoleName,
) -> Result<(InProcess, Arc<Runtime>), CommandError> {
    let (again, name) = (options.clone(), role.clone());
    let read_config = move || {
        let config = config_of(&again, &name).map_err(|error| error.to_string())?;
        Ok((config, None))
    };
    let client = super::serve::http_client()?;
    let runtime = Runtime::open(config_of(options, role)?, env)?;
    let serving = Serving::start(runtime.clone(), None, &client);
    // As the bridge tells it.
    let refused = |error: HostError| CommandError::Refused(error.to_string());
    let served = runtime.role(role.as_str()).map_err(refused)?;
    // A plugin that is not there is told here, where somebody reads it.
    if let Ok(settled) = tokio::time::timeout(FIRST_LOOK, served.settled()).await {
        settled.map_err(refused)?;
    }
    let app = App::new(serving, Box::new(read_config), client);
    Ok((InProcess::new(router(app)), runtime))
}

/// The configuration with this role alone.
fn config_of(options: &Options, role: &RoleName) -> Result<Config, CommandError> {
    let mut config = load(options)?.config;
    let settings = config.role(role).cloned();
    config.roles = settings
        .map(|settings| (role.clone(), settings))
        .into_iter()
        .collect();
    config.plugins.unlisted_roles = false;
    Ok(config)
}

impl Exchange for Client {
    fn exchange(&self, request: Request<Bytes>) -> Exchanged<'_> {
        Box::pin(async {
            let response = self.pass(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = Response::new(Body::from_stream(response.bytes_stream()));
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}
