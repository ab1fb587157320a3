//! Completion of commands, roles and tools.
//!
//! The script that `completions` writes asks the binary itself, so that it offers the roles and tools of
//! the host that runs; without a host, those of the configuration and the binary.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use clap_complete::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{Shell, aot};
use exomonad_config::Config;
use exomonad_host::report::Roles;
use exomonad_server::schedules::ScheduleList;
use exomonad_server::workflows::RunPage;
use serde::de::DeserializeOwned;

use super::CommandError;
use super::args::{Cli, Options};
use super::client::Client;
use super::config::{env, roles_of};

/// A host that does not answer by then offers nothing: somebody waits at a prompt.
const PATIENCE: Duration = Duration::from_millis(800);

/// The environment variable by which a shell asks for completions.
const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks for completions, and ends the process then.
pub fn answer_shell() {
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .complete();
}

/// Runs `completions`.
pub fn write_script(shell: Shell) -> Result<(), CommandError> {
    let name = shell.to_string();
    let mut script = Vec::new();
    let written = match Shells::builtins().completer(&name) {
        Some(completer) => {
            completer.write_registration(VARIABLE, "exomonad", "exomonad", "exomonad", &mut script)
        }
        None => {
            aot::generate(shell, &mut Cli::command(), "exomonad", &mut script);
            Ok(())
        }
    };
    written.map_err(|error| CommandError::Unavailable(error.to_string()))?;
    super::show::print_line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// The roles that begin with `current`.
pub fn complete_roles(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = roles().map_or_else(configured_roles, |roles| {
        roles.roles.into_iter().map(|role| role.name).collect()
    });
    candidates(current, names)
}

/// The tools of the role before it on the command line, of the running host.
pub fn complete_tools(current: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args().collect();
    let mut after = words
        .iter()
        .skip_while(|word| !["call", "tools"].contains(&word.as_str()))
        .skip(1);
    let Some(role) = after.find(|word| !word.starts_with('-')) else {
        return Vec::new();
    };
    let tools = roles()
        .into_iter()
        .flat_map(|roles| roles.roles)
        .find(|found| found.name == *role)
        .and_then(|found| found.plugin)
        .map_or_else(Vec::new, |plugin| plugin.tools);
    candidates(current, tools)
}

/// The workflows of the role before it on the command line, of the running host.
pub fn complete_workflows(current: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<String> = std::env::args().collect();
    let mut after = words
        .iter()
        .skip_while(|word| !["start", "set"].contains(&word.as_str()));
    // `start ROLE`, `set ID ROLE`.
    let between = usize::from(after.next().is_some_and(|word| word == "set"));
    let mut named = after.filter(|word| !word.starts_with('-')).skip(between);
    let Some(role) = named.next() else {
        return Vec::new();
    };
    let workflows = roles()
        .into_iter()
        .flat_map(|roles| roles.roles)
        .find(|found| found.name == *role)
        .and_then(|found| found.plugin)
        .map_or_else(Vec::new, |plugin| plugin.workflows);
    candidates(current, workflows)
}

/// The ids of the workflows of the latest runs.
pub fn complete_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let page: Option<RunPage> = ask("/workflows?limit=200");
    let mut ids: Vec<String> = page.map_or_else(Vec::new, |page| {
        page.runs.into_iter().map(|run| run.workflow_id).collect()
    });
    ids.sort_unstable();
    ids.dedup();
    candidates(current, ids)
}

/// The ids of the schedules.
pub fn complete_schedules(current: &OsStr) -> Vec<CompletionCandidate> {
    let list: Option<ScheduleList> = ask("/schedules");
    let ids = list.map_or_else(Vec::new, |list| {
        list.schedules
            .into_iter()
            .map(|schedule| schedule.id)
            .collect()
    });
    candidates(current, ids)
}

fn candidates(current: &OsStr, mut names: Vec<String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.retain(|name| name.starts_with(&*current));
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The roles of the running host; `None` if none answers.
fn roles() -> Option<Roles> {
    ask("/roles")
}

/// A document of the running host; `None` if none answers.
fn ask<T: DeserializeOwned>(path: &str) -> Option<T> {
    let options = Options::parse_from_defaults();
    let config = configuration()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    runtime.block_on(async {
        let asked = async {
            let client = Client::find(&options, &config, None).await.ok()??;
            client.get(path).await.ok()
        };
        tokio::time::timeout(PATIENCE, asked).await.ok()?
    })
}

fn configuration() -> Option<Config> {
    let loaded = Config::load_text_alone(None, env, &exomonad_host::capabilities());
    loaded.ok().map(|loaded| loaded.config)
}

/// The roles that would serve if a host was started here.
fn configured_roles() -> Vec<String> {
    configuration().as_ref().map_or_else(Vec::new, roles_of)
}

impl Options {
    /// The options of a command line that names none.
    fn parse_from_defaults() -> Self {
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            options: Options,
        }
        Alone::parse_from(["exomonad"]).options
    }
}
