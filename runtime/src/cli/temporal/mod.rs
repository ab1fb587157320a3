//! `temporal`: the workflows, schedules and namespaces of a Temporal server.
//!
//! The commands are the effects `temporal.*` of an operator, whom no role bounds: each makes an effect's request
//! of its arguments, performs it in this process with the settings of `[temporal]`, and shows its answer.
//!
//! | module | subject |
//! |---|---|
//! | [`workflow`], [`schedule`], [`namespace`] | the commands |
//! | [`answer`] | what is shown |
//! | `replay` | a history is played to a plugin, without a server |

mod answer;
mod namespace;
#[cfg(feature = "temporal")]
mod replay;
mod schedule;
mod workflow;

use std::sync::Arc;

use clap::{Args, Subcommand};
use exomonad_core::{BoundsMap, CallContext};
use exomonad_schema::effects::temporal::{TemporalMillis, TemporalName};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_services::Temporal;
use exomonad_services::temporal::TemporalBounds;
use serde::de::DeserializeOwned;

use super::args::Options;
use super::config::{env, load_text_alone};
use super::workflow::{json, word};
use super::{CommandError, of_code};

/// The arguments of `temporal`.
#[derive(Args)]
pub struct TemporalArgs {
    /// The namespace; otherwise `temporal.namespace` of the configuration.
    #[arg(long, short, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// The subcommand.
    #[command(subcommand)]
    command: TemporalCommand,
}

/// The commands for Temporal.
#[derive(Subcommand)]
enum TemporalCommand {
    /// Start workflows, look at them, and send them what they wait for.
    #[command(visible_alias = "wf")]
    Workflow {
        /// The subcommand.
        #[command(subcommand)]
        command: Box<workflow::WorkflowCommand>,
    },
    /// Start workflows at given times.
    Schedule {
        /// The subcommand.
        #[command(subcommand)]
        command: Box<schedule::ScheduleCommand>,
    },
    /// Play the history of a workflow to a role's plugin, and tell if it would take the same way. Nothing is performed.
    #[cfg(feature = "temporal")]
    Replay {
        /// The history, as `temporal workflow show --output json` prints it: a file, or - for standard input.
        #[arg(value_name = "FILE|-")]
        history: String,
        /// The role.
        #[arg(long, value_name = "ROLE")]
        role: exomonad_schema::RoleName,
        /// Another plugin than the role's: a .wasm file.
        #[arg(long, value_name = "FILE")]
        plugin: Option<std::path::PathBuf>,
    },
    /// Look at namespaces, and register them.
    Namespace {
        /// The subcommand.
        #[command(subcommand)]
        command: namespace::NamespaceCommand,
    },
}

/// The operator's way to the server.
struct Server {
    service: Temporal,
    call: CallContext,
    namespace: Option<TemporalName>,
    json: bool,
}

/// Runs a command.
pub async fn run(options: &Options, arguments: TemporalArgs) -> Result<(), CommandError> {
    #[cfg(feature = "temporal")]
    if let TemporalCommand::Replay {
        history,
        role,
        plugin,
    } = &arguments.command
    {
        return replay::run(options, history, role, plugin.as_deref()).await;
    }
    let mut config = load_text_alone(options)?.config.services.temporal;
    let usage = |error: &dyn std::fmt::Display| CommandError::Usage(error.to_string());
    config.read_secrets(env).map_err(|error| usage(&error))?;
    let role: RoleName = "cli".parse().map_err(|error| usage(&error))?;
    let mut call = CallContext::new(role, CallId::from(1));
    call.bounds = Arc::new(BoundsMap::default().with(TemporalBounds::all()));
    let server = Server {
        service: Temporal::new(config).map_err(|error| usage(&error))?,
        call,
        namespace: arguments
            .namespace
            .map(|name| word("--namespace", name))
            .transpose()?,
        json: options.json,
    };
    match arguments.command {
        TemporalCommand::Workflow { command } => workflow::run(&server, *command).await,
        TemporalCommand::Schedule { command } => schedule::run(&server, *command).await,
        TemporalCommand::Namespace { command } => namespace::run(&server, command).await,
        // It needs no server.
        #[cfg(feature = "temporal")]
        TemporalCommand::Replay { .. } => Ok(()),
    }
}

/// The command's failure for an effect's.
fn failed(error: EffectError) -> CommandError {
    match error.code {
        ErrorCode::Validation
        | ErrorCode::Forbidden
        | ErrorCode::LimitExceeded
        | ErrorCode::Unsupported => CommandError::Refused(error.message),
        code => of_code(code.name(), error.message),
    }
}

/// A workflow on the command line.
#[derive(Args)]
struct WorkflowName {
    /// The workflow's id.
    workflow_id: String,
    /// The run's id; otherwise the newest run is meant.
    #[arg(long, short, value_name = "ID")]
    run_id: Option<String>,
}

impl WorkflowName {
    fn parts(self) -> Result<(TemporalName, Option<TemporalName>), CommandError> {
        Ok((
            word("the workflow's id", self.workflow_id)?,
            optional_word("--run-id", self.run_id)?,
        ))
    }
}

/// A page on the command line.
#[derive(Args)]
struct PageArgs {
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Begin after the page that has ended with this mark (`next` in JSON).
    #[arg(long, value_name = "MARK")]
    after: Option<String>,
}

fn optional_word<T: TryFrom<String>>(
    what: &str,
    given: Option<String>,
) -> Result<Option<T>, CommandError>
where
    T::Error: std::fmt::Display,
{
    given.map(|given| word(what, given)).transpose()
}

/// A number as a value that has bounds.
fn number<T: TryFrom<u64>>(what: &str, given: u64) -> Result<T, CommandError>
where
    T::Error: std::fmt::Display,
{
    T::try_from(given).map_err(|error| CommandError::Usage(format!("{what}: {error}")))
}

/// A time span as milliseconds.
fn millis(
    what: &str,
    given: Option<exomonad_config::TimeSpan>,
) -> Result<Option<TemporalMillis>, CommandError> {
    let Some(given) = given else { return Ok(None) };
    let millis = u64::try_from(given.get().as_millis()).unwrap_or(u64::MAX);
    number(what, millis).map(Some)
}

/// The arguments of a workflow, a signal and so on, in their order.
fn input(given: &[String]) -> Result<Vec<RawJson>, CommandError> {
    given
        .iter()
        .map(|text| json("--input", Some(text)))
        .collect()
}

/// `name=JSON` pairs.
fn pairs<T: FromIterator<(String, RawJson)>>(
    option: &str,
    given: &[String],
) -> Result<T, CommandError> {
    let pair = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("{option}: {text:?} is not NAME=JSON")))?;
        Ok((name.to_owned(), json(option, Some(value))?))
    };
    given.iter().map(pair).collect()
}

/// A choice that the command line has checked, as the contract's.
fn choice<T: DeserializeOwned>(option: &str, name: &str) -> Result<T, CommandError> {
    serde_json::from_value(name.replace('-', "_").into())
        .map_err(|error| CommandError::Usage(format!("{option}: {error}")))
}
