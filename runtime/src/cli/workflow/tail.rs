//! A run, or everything, as it happens.
//!
//! The events of the host say when to look; what is shown of a run comes from its history, so that nothing is lost
//! when the host is started again in between.

use std::time::Duration;

use exomonad_host::workflows::active::unix_millis;
use exomonad_host::workflows::view::{
    HistoryEntry, RunChange, RunEvent, RunView, StepChange, StepEvent,
};
use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_server::events::event::{MissedEvents, PluginEvent};
use exomonad_workflow::store::status_name;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::args::RunName;
use super::runs::{colour_of, entries, facts, told};
use super::text::{moment, span};
use super::timeline::Timeline;
use super::{host, of_run, path};
use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::client::{Client, EventReader};
use crate::cli::show::{is_over, print_json_text, print_line};
use crate::cli::terminal::{Block, Colour, Lines, Terminal, one_line, tell};

/// The time between two looks at a run without an event.
const LOOK: Duration = Duration::from_secs(1);
/// The pause between a step's event and the look at the run: several steps share one.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a host that went away may take to come back.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before it is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// Events of steps that are kept between two looks; of more the history has to tell.
const MOST_HEARD: usize = 10_000;
/// Lines beside the timeline.
const BESIDE: usize = 5;

/// How a run is shown while it is followed.
enum Progress {
    /// Redrawn in place.
    Drawn(Block),
    /// A line for each thing that happens.
    Lines,
    /// As lines of JSON.
    Json,
    /// Not at all.
    Silent,
}

/// A line of `tail --json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Line<'a> {
    /// An entry of the history.
    Entry(&'a HistoryEntry),
    /// The run, with another status.
    Run(&'a RunView),
    /// An attempt at a step that has begun, and has no entry yet.
    Step(&'a StepEvent),
}

/// Runs `workflow tail ID`.
pub async fn run(options: &Options, run: &RunName) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    let progress = match Terminal::of_stdout().is_terminal {
        _ if options.json => Progress::Json,
        true => Progress::Drawn(Block::default()),
        false => Progress::Lines,
    };
    let ended = Follower::new(client, run, progress).follow().await?;
    match ended.status {
        WorkflowStatus::Completed => Ok(()),
        _ => Err(CommandError::Failed),
    }
}

/// Waits for the end of a run that was started, and prints its output.
pub async fn wait(options: &Options, client: Client, run: &RunName) -> Result<(), CommandError> {
    let progress = match Terminal::of_stdout().is_terminal && !options.json {
        true => Progress::Drawn(Block::default()),
        false => Progress::Silent,
    };
    let is_drawn = matches!(progress, Progress::Drawn(_));
    let ended = Follower::new(client, run, progress).follow().await?;
    let is_completed = ended.status == WorkflowStatus::Completed;
    if options.json {
        crate::cli::show::print_json(&ended);
    } else if let (Some(output), false) = (&ended.output, is_drawn) {
        print_json_text(output.get().as_bytes());
    }
    if is_completed {
        return Ok(());
    }
    if !is_drawn {
        let reason = ended.error.as_ref().map_or_else(String::new, |error| {
            format!(": {}: {}", error.code, error.message)
        });
        errln!(
            "exomonad: run {} is {}{}",
            ended.run_id,
            status_name(ended.status),
            one_line(&reason)
        );
    }
    Err(CommandError::Failed)
}

/// Follows a run, and the runs that continue it.
struct Follower {
    client: Client,
    run: RunName,
    progress: Progress,
    timeline: Timeline,
    /// The position after the entries that are known.
    position: u64,
    /// Events of steps since the run was looked at.
    heard: Vec<StepEvent>,
    status: Option<WorkflowStatus>,
}

impl Follower {
    fn new(client: Client, run: &RunName, progress: Progress) -> Self {
        Self {
            client,
            run: run.clone(),
            progress,
            timeline: Timeline::default(),
            position: 0,
            heard: Vec::new(),
            status: None,
        }
    }

    /// Follows it to its end. A run that is stuck is at its end until somebody repairs it.
    async fn follow(&mut self) -> Result<RunView, CommandError> {
        let mut events: Option<EventReader> = None;
        let mut silent_since: Option<Instant> = None;
        loop {
            // Before the run is looked at: what happens in between has an event.
            if events.is_none() {
                events = self.events().await;
            }
            match self.look().await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => silent_since = None,
                Err(CommandError::Unavailable(reason)) => {
                    let since = *silent_since.get_or_insert_with(|| {
                        tell(&format!("exomonad: {reason}; trying again"));
                        Instant::now()
                    });
                    if since.elapsed() > PATIENCE {
                        return Err(CommandError::Unavailable(reason));
                    }
                    events = None;
                    sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if is_over() {
                return Err(CommandError::Failed);
            }
            match &mut events {
                None => sleep(LOOK).await,
                Some(reader) => {
                    if !self.listen(reader).await {
                        events = None;
                    }
                }
            }
        }
    }

    /// Takes events until the run is to be looked at again. False if the stream has ended.
    async fn listen(&mut self, events: &mut EventReader) -> bool {
        let mut until = Instant::now() + LOOK;
        loop {
            let event = match timeout_at(until, events.next()).await {
                Err(_) => return true,
                Ok(Ok(Some(event))) => event,
                Ok(_) => return false,
            };
            if event.name != "step" {
                return true;
            }
            if let Ok(step) = serde_json::from_str::<StepEvent>(&event.data)
                && step.run_id == self.run.id
                && self.heard.len() < MOST_HEARD
            {
                self.heard.push(step);
            }
            until = until.min(Instant::now() + SETTLE);
        }
    }

    async fn events(&self) -> Option<EventReader> {
        let path = path(
            "/events",
            [
                ("run", Some(self.run.id.as_str())),
                ("role", self.run.role.as_deref()),
                ("steps", Some("true")),
            ],
        );
        // Without events it is looked at each second.
        self.client.events(&path, None).await.ok()
    }

    /// Looks at the run; gives it if it has ended.
    async fn look(&mut self) -> Result<Option<RunView>, CommandError> {
        let mut view: RunView = self.client.get(&of_run(&self.run, "")).await?;
        if self.status.is_none() {
            // From now on it is this run, whatever begins under its id.
            self.run = RunName {
                id: view.run_id.clone(),
                role: Some(view.role.clone()),
            };
            self.timeline = Timeline::new(view.began_unix_millis);
        }
        let mut new = Vec::new();
        self.position = entries(&self.client, &self.run, self.position, &mut |entry| {
            new.push(entry);
        })
        .await?;
        for entry in &new {
            self.timeline.put(entry);
        }
        let mut begun = std::mem::take(&mut self.heard);
        begun.retain(|step| self.timeline.hear(step));
        if !new.is_empty() {
            // It may have ended with these.
            view = self.client.get(&of_run(&self.run, "")).await?;
        }
        let is_other = self.status.replace(view.status) != Some(view.status);
        self.show(&view, &new, &begun, is_other);
        if let Some(next) = view
            .continued_to
            .clone()
            .filter(|_| view.status == WorkflowStatus::Continued)
        {
            self.run.id = next;
            self.position = 0;
            self.status = None;
            if let Progress::Drawn(block) = &mut self.progress {
                *block = Block::default();
            }
            return Box::pin(self.look()).await;
        }
        let is_stuck = view.status == WorkflowStatus::Stuck;
        Ok((view.ended_unix_millis.is_some() || is_stuck).then_some(view))
    }

    fn show(&mut self, view: &RunView, new: &[HistoryEntry], begun: &[StepEvent], is_other: bool) {
        match &mut self.progress {
            Progress::Silent => {}
            Progress::Json => {
                for entry in new {
                    print_json_line(&Line::Entry(entry));
                }
                for step in begun {
                    print_json_line(&Line::Step(step));
                }
                if is_other {
                    print_json_line(&Line::Run(view));
                }
            }
            Progress::Lines => {
                for entry in new {
                    print_line(&format!(
                        "{}  {}",
                        moment(entry.unix_millis),
                        one_line(&told(entry))
                    ));
                }
                for step in begun {
                    print_line(&format!(
                        "{}  {}",
                        moment(step.at),
                        one_line(&told_step(step))
                    ));
                }
                if is_other {
                    let at = view.ended_unix_millis.unwrap_or_else(unix_millis);
                    let why = view.error.as_ref().map_or_else(String::new, |error| {
                        one_line(&format!(": {}: {}", error.code, error.message))
                    });
                    print_line(&format!(
                        "{}  {}{why}",
                        moment(at),
                        status_name(view.status)
                    ));
                }
            }
            Progress::Drawn(block) => {
                let terminal = Terminal::of_stdout();
                let mut lines = Lines::new(terminal);
                let is_over = view.ended_unix_millis.is_some();
                let rows = match is_over || view.status == WorkflowStatus::Stuck {
                    // The last word may scroll.
                    true => {
                        facts(&mut lines, view);
                        lines.end();
                        usize::MAX
                    }
                    false => {
                        lines
                            .coloured(Colour::Bold, &view.workflow)
                            .text(" ")
                            .text(&crate::cli::terminal::cut(
                                &view.workflow_id,
                                terminal
                                    .columns
                                    .saturating_sub(view.workflow.chars().count() + 13),
                            ))
                            .text(": ")
                            .coloured(colour_of(view.status), status_name(view.status))
                            .end();
                        terminal.rows.saturating_sub(BESIDE).max(1)
                    }
                };
                self.timeline
                    .draw(&mut lines, view, unix_millis(), terminal, rows.min(100));
                block.draw(&lines);
            }
        }
    }
}

fn print_json_line(line: &impl Serialize) {
    print_line(&serde_json::to_string(line).unwrap_or_default());
}

/// Runs `workflow tail` without a run.
pub async fn all(
    options: &Options,
    role: Option<&str>,
    workflow: Option<&str>,
    steps: bool,
) -> Result<(), CommandError> {
    let client = host(options, role).await?;
    let path = path(
        "/events",
        [
            ("role", role),
            ("workflow", workflow),
            ("steps", steps.then_some("true")),
        ],
    );
    let mut last: Option<u64> = None;
    let mut silent_since: Option<Instant> = None;
    loop {
        let ended = match client.events(&path, last).await {
            Ok(mut events) => {
                silent_since = None;
                loop {
                    match events.next().await {
                        Ok(Some(event)) => {
                            last = event.id.or(last);
                            print_event(options, &event.name, &event.data);
                        }
                        Ok(None) => break "the host has ended the stream".to_owned(),
                        Err(error) => break error.to_string(),
                    }
                    if is_over() {
                        return Ok(());
                    }
                }
            }
            Err(CommandError::Unavailable(reason)) => reason,
            Err(error) => return Err(error),
        };
        let since = *silent_since.get_or_insert_with(|| {
            tell(&format!("exomonad: {ended}; trying again"));
            Instant::now()
        });
        if since.elapsed() > PATIENCE {
            return Err(CommandError::Unavailable(ended));
        }
        sleep(PAUSE).await;
    }
}

fn print_event(options: &Options, name: &str, data: &str) {
    if options.json {
        return print_line(data);
    }
    let line = match name {
        "run" => serde_json::from_str(data)
            .ok()
            .map(|event| of_run_event(&event)),
        "step" => serde_json::from_str(data)
            .ok()
            .map(|event| of_step_event(&event)),
        "plugin" => serde_json::from_str(data).ok().map(|event: PluginEvent| {
            let payload = one_line(event.payload.get());
            let name = one_line(&event.name);
            let at = moment(event.unix_millis);
            format!("{at}  {}  event {name}  {payload}", event.role)
        }),
        "missed" => serde_json::from_str(data).ok().map(|missed: MissedEvents| {
            let reason = serde_json::to_value(missed.reason).unwrap_or_default();
            let reason = reason.as_str().unwrap_or_default().replace('_', " ");
            format!("events are missing here: {reason}")
        }),
        // A later host knows others.
        _ => None,
    };
    if let Some(line) = line {
        print_line(&line);
    }
}

fn of_run_event(event: &RunEvent) -> String {
    let change = match event.change {
        RunChange::Status { status } => status_name(status).to_owned(),
        RunChange::Restart { restarts } => format!("trapped, starts again ({restarts})"),
    };
    let RunEvent {
        role,
        workflow,
        workflow_id,
        ..
    } = event;
    let at = moment(event.at);
    one_line(&format!(
        "{at}  {role}  {workflow}  {workflow_id}  {change}"
    ))
}

/// The change of a step, for a person.
fn told_step(event: &StepEvent) -> String {
    let effect = event.effect.as_deref().unwrap_or_default();
    let attempt = match event.attempt {
        0 | 1 => String::new(),
        attempt => format!(" (attempt {attempt})"),
    };
    let change = match &event.change {
        StepChange::Begun => "begins".to_owned(),
        StepChange::Failed {
            code,
            next_unix_millis,
        } => format!("{code}, again in {}", span(next_unix_millis - event.at)),
        StepChange::Answered { code } => code.clone(),
    };
    let step = format!("step {} {effect}", event.step);
    format!("{}: {change}{attempt}", step.trim_end())
}

fn of_step_event(event: &StepEvent) -> String {
    let StepEvent {
        role,
        workflow,
        workflow_id,
        ..
    } = event;
    let (at, told) = (moment(event.at), told_step(event));
    one_line(&format!("{at}  {role}  {workflow}  {workflow_id}  {told}"))
}
