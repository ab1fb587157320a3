//! `workflow schedule`: what starts runs at given times.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use exomonad_config::TimeSpan;
use exomonad_host::workflows::schedules::{ScheduleView, SetSchedule};
use exomonad_schema::RoleName;
use exomonad_schema::effects::workflow::WorkflowChild;
use exomonad_server::schedules::ScheduleList;
use exomonad_workflow::schedule::Overlap;
use reqwest::Method;

use super::text::{moment, span};
use super::{host, json, path, post, word};
use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::calls::encoded;
use crate::cli::client::Client;
use crate::cli::complete::{complete_roles, complete_schedules, complete_workflows};
use crate::cli::show::{print_json, print_table};
use crate::cli::terminal::{Colour, Lines, Terminal};

/// The commands for schedules.
#[derive(Subcommand)]
pub enum ScheduleCommand {
    /// Set a schedule, in the place of the one with its id.
    Set(ScheduleArgs),
    /// List schedules.
    List {
        /// Of this role.
        #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
        role: Option<String>,
    },
    /// Show a schedule, with its next times.
    Show(ScheduleName),
    /// Pause a schedule: it starts nothing until it is resumed.
    Pause(ScheduleName),
    /// Resume a schedule. Times that have passed meanwhile are not made up for.
    Resume(ScheduleName),
    /// Start a run of a schedule now.
    Trigger(ScheduleName),
    /// Remove a schedule. Runs that it has started go on.
    Delete(ScheduleName),
}

/// A schedule on the command line.
#[derive(Args)]
pub struct ScheduleName {
    /// Its id.
    #[arg(add = ArgValueCompleter::new(complete_schedules))]
    pub id: String,
    /// The role, if several have a schedule with this id.
    #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
    pub role: Option<String>,
}

/// A schedule to set.
#[derive(Args)]
pub struct ScheduleArgs {
    /// Its id, one of its role's. Its runs have the workflow ids ID@TIME.
    #[arg(add = ArgValueCompleter::new(complete_schedules))]
    id: String,
    /// The role.
    #[arg(add = ArgValueCompleter::new(complete_roles))]
    role: String,
    /// The workflow.
    #[arg(add = ArgValueCompleter::new(complete_workflows))]
    workflow: String,
    /// Its times: 'every 90m', or minute, hour, day, month, weekday and a time zone (otherwise UTC), as in
    /// '30 2 * * 1-5 Europe/Berlin'.
    spec: String,
    /// The input of its runs: JSON, @FILE, or - for standard input; null otherwise.
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// The rule for a time at which the run before has not ended.
    #[arg(long, value_name = "POLICY", default_value = "skip", value_parser = clap::builder::PossibleValuesParser::new(
        Overlap::ALL.map(Overlap::name)
    ))]
    overlap: String,
    /// How old a time may be that passed while no host ran, such as 12h; the latest one is made up for.
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    catch_up: TimeSpan,
    /// Start nothing until it is resumed.
    #[arg(long)]
    paused: bool,
}

/// Runs a command.
pub async fn run(options: &Options, command: ScheduleCommand) -> Result<(), CommandError> {
    match command {
        ScheduleCommand::Set(arguments) => set(options, arguments).await,
        ScheduleCommand::List { role } => list(options, role.as_deref()).await,
        ScheduleCommand::Show(name) => {
            let client = host(options, name.role.as_deref()).await?;
            let schedule: ScheduleView = client.get(&of(&name, "")).await?;
            print_schedule(options, &schedule);
            Ok(())
        }
        ScheduleCommand::Pause(name) => change(options, &name, "/pause").await,
        ScheduleCommand::Resume(name) => change(options, &name, "/resume").await,
        ScheduleCommand::Trigger(name) => trigger(options, &name).await,
        ScheduleCommand::Delete(name) => {
            let client = host(options, name.role.as_deref()).await?;
            let answer = client.send(Method::DELETE, &of(&name, ""), None).await?;
            answer.check()?;
            match options.json {
                true => print_json(&serde_json::json!({"id": name.id})),
                false => outln!("schedule `{}` is removed", name.id),
            }
            Ok(())
        }
    }
}

/// The path of what is about one schedule.
fn of(name: &ScheduleName, what: &str) -> String {
    let route = format!("/schedules/{}{what}", encoded(&name.id));
    path(&route, [("role", name.role.as_deref())])
}

async fn set(options: &Options, arguments: ScheduleArgs) -> Result<(), CommandError> {
    let ScheduleArgs {
        id,
        role,
        workflow,
        spec,
        input,
        overlap,
        catch_up,
        paused,
    } = arguments;
    let schedule = SetSchedule {
        role: role
            .parse::<RoleName>()
            .map_err(|error| CommandError::Refused(error.to_string()))?,
        workflow: word("the workflow", workflow)?,
        input: json("--input", input.as_deref())?,
        spec,
        overlap: Overlap::from_name(&overlap).unwrap_or_default(),
        catch_up_millis: u64::try_from(catch_up.get().as_millis()).ok(),
        paused,
    };
    let client = host(options, Some(&role)).await?;
    let body = serde_json::to_vec(&schedule);
    let body = body.map_err(|error| CommandError::Usage(error.to_string()))?;
    let route = format!("/schedules/{}", encoded(&id));
    let answer = client.send(Method::PUT, &route, Some(body)).await?;
    answer.check()?;
    let schedule: ScheduleView =
        serde_json::from_slice(&answer.body).map_err(|error| client.foreign(&error))?;
    print_schedule(options, &schedule);
    Ok(())
}

/// The schedules that the options may see.
async fn all(client: &Client, role: Option<&str>) -> Result<ScheduleList, CommandError> {
    client.get(&path("/schedules", [("role", role)])).await
}

async fn list(options: &Options, role: Option<&str>) -> Result<(), CommandError> {
    let client = host(options, role).await?;
    let list = all(&client, role).await?;
    if options.json {
        print_json(&list);
        return Ok(());
    }
    let rows = list.schedules.into_iter().map(|schedule| {
        let next = match (schedule.paused, schedule.next_unix_millis.first()) {
            (true, _) => "paused".to_owned(),
            (false, Some(next)) => moment(*next),
            (false, None) => "never".to_owned(),
        };
        let last = schedule.last_unix_millis.map_or_else(String::new, moment);
        vec![
            schedule.id,
            schedule.role,
            schedule.workflow,
            schedule.spec,
            next,
            last,
        ]
    });
    print_table(
        &["ID", "ROLE", "WORKFLOW", "TIMES", "NEXT", "LAST"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

async fn change(options: &Options, name: &ScheduleName, what: &str) -> Result<(), CommandError> {
    let client = host(options, name.role.as_deref()).await?;
    let schedule = post(&client, &of(name, what), None::<&()>).await?;
    print_schedule(options, &schedule);
    Ok(())
}

async fn trigger(options: &Options, name: &ScheduleName) -> Result<(), CommandError> {
    let client = host(options, name.role.as_deref()).await?;
    let child: WorkflowChild = post(&client, &of(name, "/trigger"), None::<&()>).await?;
    match options.json {
        true => print_json(&child),
        false => outln!(
            "run {} of workflow `{}` is started",
            child.run_id,
            child.workflow_id
        ),
    }
    Ok(())
}

fn print_schedule(options: &Options, schedule: &ScheduleView) {
    if options.json {
        print_json(schedule);
        return;
    }
    let mut lines = Lines::new(Terminal::of_stdout());
    let (colour, state) = match schedule.paused {
        true => (Colour::Yellow, "paused"),
        false => (Colour::Green, "active"),
    };
    lines
        .coloured(Colour::Bold, &schedule.id)
        .text(" of role ")
        .text(&schedule.role)
        .text(": ")
        .coloured(colour, state)
        .end();
    let mut fact = |name: &str, value: &str| {
        lines
            .coloured(Colour::Dim, &format!("  {name:<10}"))
            .text(value)
            .end();
    };
    fact("workflow", &schedule.workflow);
    fact("input", schedule.input.get());
    fact("times", &schedule.spec);
    fact("overlap", schedule.overlap.name());
    fact("catch up", &span(schedule.catch_up_millis));
    for (nth, next) in schedule.next_unix_millis.iter().enumerate() {
        fact(if nth == 0 { "next" } else { "" }, &moment(*next));
    }
    if let Some(last) = schedule.last_unix_millis {
        let id = schedule.last_workflow_id.as_deref().unwrap_or_default();
        fact("last", &format!("{}, workflow `{id}`", moment(last)));
    }
    if let Some(waiting) = schedule.waiting_unix_millis {
        fact(
            "waits",
            &format!("{}, for the end of the run before", moment(waiting)),
        );
    }
    if let Some(note) = &schedule.note {
        fact("note", note);
    }
    lines.print();
}
