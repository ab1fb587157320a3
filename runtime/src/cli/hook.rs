//! `hook`: an event of a coding agent, put to a role's plugin, and its decision in the agent's own form.

use std::io::Read;

use exomonad_host::agents::{Agent, EventKind, NamedEvent, Reply};
use exomonad_host::{Caller, Execution, HostError};
use exomonad_schema::common::HookOutput;
use exomonad_schema::{CallId, RawJson};
use reqwest::Method;

use super::CommandError;
use super::args::{HookArgs, OnFailure, Options};
use super::call::Host;
use super::config::load_text_alone;
use super::show::{print_json, without_controls};

/// Runs `hook`.
///
/// A gate that cannot be asked is closed, unless the operator has chosen otherwise: agents go on when a hook fails
/// in any other way than by exit code 2.
pub async fn run(options: &Options, arguments: &HookArgs) -> Result<(), CommandError> {
    // A misspelt event must not open a gate.
    let usage = |error: HostError| CommandError::Usage(error.to_string());
    let agent = Agent::from_name(&arguments.agent).map_err(usage)?;
    let event = agent.event(&arguments.event).map_err(usage)?;
    let decided = decide(options, arguments, agent, event).await;
    let reply = match decided {
        Ok(Some(decided)) => agent.reply(event, &decided),
        // The plugin has nothing to say on such events.
        Ok(None) => Reply::default(),
        Err(error) => match (event.kind, arguments.on_failure) {
            (EventKind::Gate | EventKind::Permission, OnFailure::Deny) => Reply::deny(&format!(
                "exomonad could not be asked, and so it is denied: {error}"
            )),
            _ => return Err(error),
        },
    };
    if let Some(output) = &reply.output {
        print_json(output);
    }
    if let Some(error) = &reply.error {
        errln!("{}", without_controls(error));
    }
    match reply.code {
        0 => Ok(()),
        _ => Err(CommandError::Denied),
    }
}

/// The plugin's decision; `None` if it does not handle such events.
async fn decide(
    options: &Options,
    arguments: &HookArgs,
    agent: Agent,
    event: &NamedEvent,
) -> Result<Option<HookOutput>, CommandError> {
    let longest = load_text_alone(options)?.config.server.max_body.get();
    let payload = read_payload(longest)?;
    let role = &arguments.role;
    match Host::find_running(options, Some(role)).await? {
        Host::Running(client) => {
            let path = format!("/role/{role}/hook/{}?agent={}", event.name, agent.name());
            let answer = client
                .send(Method::POST, &path, Some(payload.into_bytes()))
                .await?;
            if answer.code().as_deref() == Some("hook_not_found") {
                return Ok(None);
            }
            answer.check()?;
            let decided = serde_json::from_slice(&answer.body);
            Ok(Some(decided.map_err(|error| client.foreign(&error))?))
        }
        Host::Here(runtime) => {
            let role = runtime.role(role)?;
            let payload = RawJson::from_text(payload).map_err(|error| {
                CommandError::Usage(format!("the event on standard input is no JSON: {error}"))
            })?;
            let (kind, said) = agent.read(event.name, &payload)?;
            let caller = Caller {
                name: Some("cli".to_owned()),
                ..Caller::default()
            };
            let execution = Execution::new(role, CallId::random(), caller)?;
            let decided = execution.hook(kind, payload, Some(said)).await;
            // The process ends soon.
            runtime.journal.flush();
            match decided {
                Err(HostError::HookNotFound { .. }) => Ok(None),
                decided => Ok(Some(decided?)),
            }
        }
    }
}

fn read_payload(longest: u64) -> Result<String, CommandError> {
    let failed = |why: String| CommandError::Usage(format!("the event on standard input: {why}"));
    let mut payload = String::new();
    std::io::stdin()
        .lock()
        .take(longest.saturating_add(1))
        .read_to_string(&mut payload)
        .map_err(|error| failed(error.to_string()))?;
    match payload.len() as u64 > longest {
        true => Err(failed(format!(
            "it is longer than {longest} bytes, `server.max_body`"
        ))),
        false => Ok(payload),
    }
}
