//! `mcp`: MCP over standard input and output.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::response::Response;
use exomonad_config::{RoleName, Tokens};
use exomonad_host::Runtime;
use exomonad_mcp::stdio::{self, Exchange, Exchanged};
use exomonad_schema::common::ListToolsResult;
use exomonad_server::in_process::InProcess;
use exomonad_server::serving::Serving;
use exomonad_server::{App, router};
use exomonad_telemetry::start_log;

use super::CommandError;
use super::args::Options;
use super::client::Client;
use super::config::{env, load};

/// Runs `mcp`.
pub async fn run(options: &Options, role: &str, embedded: bool) -> Result<(), CommandError> {
    let role: RoleName = role
        .parse()
        .map_err(|error| CommandError::Usage(format!("--role: {error}")))?;
    let loaded = load(options)?;
    // Standard output belongs to the protocol, and clients show what stands on standard error.
    start_log(&loaded.config.log, "warn")?;
    let longest = loaded.config.server.max_body.get();
    let exchange: Arc<dyn Exchange> = match embedded || options.local {
        true => Arc::new(host_here(options, &role).await?),
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
            if let Err(refused @ CommandError::Refused(_)) = client.get::<ListToolsResult>(&path).await {
                return Err(refused);
            }
            Arc::new(client)
        }
    };
    let (output, writer) = stdio::write_lines();
    stdio::serve(exchange, &role, stdio::read_lines(longest), output).await;
    // The last lines are written before the process ends.
    tokio::task::spawn_blocking(move || writer.join())
        .await
        .map_err(|error| CommandError::Unavailable(error.to_string()))?
        .map_err(|_| CommandError::Unavailable("standard output cannot be written".to_owned()))
}

/// A host in this process, which nobody else reaches: it asks for no token.
async fn host_here(options: &Options, role: &RoleName) -> Result<InProcess, CommandError> {
    let again = options.clone();
    let read_config = move || {
        let loaded = load(&again).map_err(|error| error.to_string())?;
        Ok((loaded.config, Tokens::default()))
    };
    let runtime = Runtime::open(load(options)?.config, env)?;
    let serving = Serving::start(runtime.clone(), Tokens::default());
    serving.reload.ready().await;
    runtime.role(role.as_str())?.serving()?;
    Ok(InProcess::new(router(App::new(serving, Box::new(read_config)))))
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
