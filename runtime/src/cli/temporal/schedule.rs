//! `temporal schedule`.

use clap::Subcommand;
use exomonad_config::TimeSpan;
use exomonad_core::TemporalService;
use exomonad_schema::effects::temporal::*;

use super::workflow::SpecArgs;
use super::{PageArgs, Server, answer, choice, failed, millis, number, optional_word, word};
use crate::cli::CommandError;

/// The rules for overlaps.
const OVERLAPS: [&str; 6] = [
    "skip",
    "buffer-one",
    "buffer-all",
    "cancel-other",
    "terminate-other",
    "allow-all",
];

/// The commands for schedules.
#[derive(Subcommand)]
pub enum ScheduleCommand {
    /// Create a schedule.
    Create {
        /// Its id.
        schedule_id: String,
        /// The workflow that it starts.
        #[command(flatten)]
        spec: Box<SpecArgs>,
        /// Times as cron has them, such as "0 9 * * 1-5"; may be given more than once.
        #[arg(long, value_name = "CRON")]
        cron: Vec<String>,
        /// Times at even distances, such as 90m; may be given more than once.
        #[arg(long, value_name = "TIME")]
        interval: Vec<TimeSpan>,
        /// The time zone of --cron, such as Europe/Berlin; otherwise UTC.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// The longest delay by which times are spread.
        #[arg(long, value_name = "TIME")]
        jitter: Option<TimeSpan>,
        /// The rule for a time that comes while the workflow of an earlier one is open.
        #[arg(long, value_name = "RULE", default_value = "skip", value_parser = OVERLAPS)]
        overlap: String,
        /// The age up to which times that were missed are made up for.
        #[arg(long, value_name = "TIME")]
        catch_up: Option<TimeSpan>,
        /// Create it paused.
        #[arg(long)]
        paused: bool,
        /// Pause it when a workflow fails.
        #[arg(long)]
        pause_on_failure: bool,
        /// A note.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Start a workflow at once.
        #[arg(long)]
        trigger: bool,
    },
    /// Pause a schedule.
    Pause {
        /// Its id.
        schedule_id: String,
        /// A note.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Let a paused schedule go on.
    Unpause {
        /// Its id.
        schedule_id: String,
        /// A note.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Make a schedule start its workflow now.
    Trigger {
        /// Its id.
        schedule_id: String,
        /// The rule if one is open; otherwise the schedule's own.
        #[arg(long, value_name = "RULE", value_parser = OVERLAPS)]
        overlap: Option<String>,
    },
    /// Describe a schedule, with its next times.
    Describe {
        /// Its id.
        schedule_id: String,
    },
    /// List schedules.
    List {
        /// The list filter.
        #[arg(long, short, value_name = "FILTER", default_value = "")]
        query: String,
        /// The page.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Delete a schedule. Workflows that it has started go on.
    Delete {
        /// Its id.
        schedule_id: String,
    },
}

/// Runs a command.
pub async fn run(server: &Server, command: ScheduleCommand) -> Result<(), CommandError> {
    let (service, call) = (&server.service, &server.call);
    let namespace = server.namespace.clone();
    let named = |schedule_id| word("the schedule's id", schedule_id);
    match command {
        ScheduleCommand::Create {
            schedule_id,
            spec,
            cron,
            interval,
            time_zone,
            jitter,
            overlap,
            catch_up,
            paused,
            pause_on_failure,
            note,
            trigger,
        } => {
            let intervals = interval.into_iter().map(|every| {
                let every = millis("--interval", Some(every))?;
                let every = every.ok_or_else(|| CommandError::Usage("--interval".to_owned()))?;
                Ok(TemporalInterval {
                    every_millis: every,
                    offset_millis: None,
                })
            });
            let cron = cron.into_iter().map(|text| word("--cron", text));
            let request = TemporalCreateSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
                workflow: spec.spec()?,
                cron: cron.collect::<Result<_, _>>()?,
                intervals: intervals.collect::<Result<_, CommandError>>()?,
                time_zone: optional_word("--time-zone", time_zone)?,
                jitter_millis: millis("--jitter", jitter)?,
                start_time: None,
                end_time: None,
                overlap: choice("--overlap", &overlap)?,
                catch_up_millis: millis("--catch-up", catch_up)?,
                pause_on_failure,
                paused,
                note: word("--note", note)?,
                remaining_actions: None,
                trigger,
                memo: Default::default(),
                search_attributes: Default::default(),
                request_id: None,
            };
            let created = service.create_schedule(call, request).await;
            answer::done(server, created, "the schedule is created")
        }
        ScheduleCommand::Pause { schedule_id, note } => {
            let request = TemporalPauseSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
                note: word("--note", note)?,
            };
            let paused = service.pause_schedule(call, request).await;
            answer::done(server, paused, "the schedule is paused")
        }
        ScheduleCommand::Unpause { schedule_id, note } => {
            let request = TemporalUnpauseSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
                note: word("--note", note)?,
            };
            let unpaused = service.unpause_schedule(call, request).await;
            answer::done(server, unpaused, "the schedule goes on")
        }
        ScheduleCommand::Trigger {
            schedule_id,
            overlap,
        } => {
            let overlap = overlap.map(|rule| choice("--overlap", &rule));
            let request = TemporalTriggerSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
                overlap: overlap.transpose()?,
                request_id: None,
            };
            let triggered = service.trigger_schedule(call, request).await;
            answer::done(server, triggered, "the schedule starts its workflow")
        }
        ScheduleCommand::Describe { schedule_id } => {
            let request = TemporalDescribeSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
            };
            let described = service.describe_schedule(call, request).await;
            answer::fields(server, &described.map_err(failed)?);
            Ok(())
        }
        ScheduleCommand::List { query, page } => {
            let request = TemporalListSchedules {
                namespace,
                query: word("--query", query)?,
                limit: number("--limit", page.limit)?,
                after: optional_word("--after", page.after)?,
            };
            let found = service
                .list_schedules(call, request)
                .await
                .map_err(failed)?;
            let rows: Vec<_> = found.schedules.iter().map(row).collect();
            let header = ["SCHEDULE", "TYPE", "STATE", "NEXT", "NOTE"];
            answer::page(server, &found, &header, &rows, found.next.as_deref());
            Ok(())
        }
        ScheduleCommand::Delete { schedule_id } => {
            let request = TemporalDeleteSchedule {
                namespace,
                schedule_id: named(schedule_id)?,
            };
            let deleted = service.delete_schedule(call, request).await;
            answer::done(server, deleted, "the schedule is deleted")
        }
    }
}

fn row(schedule: &TemporalSchedule) -> Vec<String> {
    let state = if schedule.paused { "paused" } else { "active" };
    vec![
        schedule.schedule_id.clone(),
        schedule.workflow_type.clone(),
        state.to_owned(),
        schedule.next_time.clone().unwrap_or_default(),
        schedule.note.clone(),
    ]
}
