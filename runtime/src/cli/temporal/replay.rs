//! `temporal replay`.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use exomonad_core::SecretError;
use exomonad_host::Workflows;
use exomonad_schema::RoleName;
use exomonad_services::Temporal;
use exomonad_temporal_worker::ReplayError;

use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::config::{env, load_text_alone};
use crate::cli::replay::Target;

/// The longest history that is read, in bytes: the server keeps no longer ones.
const LONGEST: u64 = 256 << 20;

/// Plays a history to the plugin of a role, or to this one.
pub async fn run(
    options: &Options,
    history: &str,
    role: &RoleName,
    plugin: Option<&Path>,
) -> Result<(), CommandError> {
    let text = read(history)
        .map_err(|error| CommandError::Usage(format!("{history} cannot be read: {error}")))?;
    let mut config = load_text_alone(options)?.config;
    let temporal = &mut config.services.temporal;
    let usage = |error: SecretError| CommandError::Usage(error.to_string());
    temporal.read_secrets(env).map_err(usage)?;
    let temporal = Temporal::new(temporal.clone());
    let temporal = temporal.map_err(|error| CommandError::Usage(error.to_string()))?;
    let temporal = Arc::new(temporal);
    let target = Target::load(&config, role, plugin).await?;
    let digest = target.version.plugin.digest().to_owned();
    let workflows = Workflows::new(&config);
    let role = Arc::new(target.role);
    let replayed =
        exomonad_temporal_worker::replay(role, target.version, workflows, temporal, &text);
    match replayed.await {
        Ok(()) => {
            outln!("the plugin {digest} takes the way of the history");
            Ok(())
        }
        Err(ReplayError::Differs(message)) => {
            outln!("the plugin {digest} takes another way: {message}");
            Err(CommandError::Found)
        }
        Err(ReplayError::History(message)) => Err(CommandError::Usage(format!(
            "{history} is no history: {message}"
        ))),
        Err(ReplayError::Worker(message)) => Err(CommandError::Unavailable(message)),
    }
}

fn read(history: &str) -> std::io::Result<String> {
    let mut text = String::new();
    match history {
        "-" => std::io::stdin().take(LONGEST).read_to_string(&mut text)?,
        file => std::fs::File::open(file)?
            .take(LONGEST)
            .read_to_string(&mut text)?,
    };
    Ok(text)
}
