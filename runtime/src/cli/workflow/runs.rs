//! Start, list, show, history, and what is sent to a run.

use exomonad_host::workflows::active::unix_millis;
use exomonad_host::workflows::view::{HistoryEntry, HistoryKind, RunView};
use exomonad_journal::Payload;
use exomonad_schema::effects::workflow::{WorkflowChild, WorkflowStatus};
use exomonad_schema::{BoundedText, RawJson, RoleName};
use exomonad_server::workflows::{
    Accepted, AskQuery, HistoryPage, QueryAnswer, RepairRun, RunPage, SendSignal, StartRun,
    StepAnswer, Terminate,
};
use exomonad_workflow::store::status_name;

use super::args::{RepairArgs, RunName};
use super::text::{moment, span};
use super::timeline::Timeline;
use super::{host, json, of_run, path, post, tail, word};
use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::calls::print_payload;
use crate::cli::client::Client;
use crate::cli::show::{is_over, print_json, print_json_text, print_table};
use crate::cli::terminal::{Colour, Lines, Terminal};

/// Runs of one page.
const RUNS: usize = 500;
/// Entries of one page: each has a request and an answer.
const ENTRIES: usize = 1000;
/// Bytes of input, output and state that `show` prints of each.
const SHOWN: usize = 2 << 10;

/// No body.
const NOTHING: Option<&()> = None;

/// Runs `workflow start`.
pub async fn start(
    options: &Options,
    role: &str,
    workflow: String,
    input: Option<String>,
    id: Option<String>,
    wait: bool,
) -> Result<(), CommandError> {
    let start = StartRun {
        role: role
            .parse::<RoleName>()
            .map_err(|error| CommandError::Refused(error.to_string()))?,
        workflow: word("the workflow", workflow)?,
        input: json("--input", input.as_deref())?,
        workflow_id: id.map(|id| word("--id", id)).transpose()?,
    };
    let client = host(options, Some(role)).await?;
    let child: WorkflowChild = post(&client, "/workflows", Some(&start)).await?;
    let run = RunName {
        id: child.run_id.clone(),
        role: Some(role.to_owned()),
    };
    if wait {
        return tail::wait(options, client, &run).await;
    }
    if options.json {
        print_json(&child);
        return Ok(());
    }
    let WorkflowChild {
        workflow_id,
        run_id,
        ..
    } = &child;
    match child.started {
        true => outln!("run {run_id} of workflow `{workflow_id}` is started"),
        false => {
            outln!("run {run_id} of workflow `{workflow_id}` is open already; nothing is started")
        }
    }
    Ok(())
}

/// Which runs are wanted.
pub struct Listed {
    /// Of this role.
    pub role: Option<String>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// With this workflow id.
    pub id: Option<String>,
    /// With one of these statuses.
    pub status: Vec<String>,
    /// So many at most.
    pub limit: usize,
}

/// The runs that are wanted, page by page.
async fn collect(client: &Client, listed: &Listed) -> Result<RunPage, CommandError> {
    let mut page = RunPage {
        runs: Vec::new(),
        next: None,
    };
    while page.runs.len() < listed.limit {
        let limit = RUNS.min(listed.limit - page.runs.len()).to_string();
        let fixed = [
            ("limit", Some(limit.as_str())),
            ("role", listed.role.as_deref()),
            ("workflow", listed.workflow.as_deref()),
            ("workflowId", listed.id.as_deref()),
            ("before", page.next.as_deref()),
        ];
        let statuses = listed.status.iter();
        let statuses = statuses.map(|status| ("status", Some(status.as_str())));
        let next: RunPage = client
            .get(&path("/workflows", fixed.into_iter().chain(statuses)))
            .await?;
        page.runs.extend(next.runs);
        page.next = next.next;
        if page.next.is_none() {
            break;
        }
    }
    Ok(page)
}

/// Runs `workflow list`.
pub async fn list(options: &Options, listed: &Listed) -> Result<(), CommandError> {
    let client = host(options, listed.role.as_deref()).await?;
    let page = collect(&client, listed).await?;
    if options.json {
        print_json(&page);
        return Ok(());
    }
    let rows = page.runs.iter().map(|run| {
        vec![
            moment(run.began_unix_millis),
            run.role.clone(),
            run.workflow.clone(),
            run.workflow_id.clone(),
            status_name(run.status).to_owned(),
            run.run_id.clone(),
        ]
    });
    print_table(
        &["BEGAN", "ROLE", "WORKFLOW", "ID", "STATUS", "RUN"],
        &rows.collect::<Vec<_>>(),
    );
    if page.next.is_some() {
        errln!("\nthere are more; `--limit` shows them, or a filter finds them");
    }
    Ok(())
}

/// Runs `workflow show`.
pub async fn show(options: &Options, run: &RunName, rows: usize) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    let view: RunView = client.get(&of_run(run, "")).await?;
    if options.json {
        print_json(&view);
        return Ok(());
    }
    // Of the run that was found: another one may begin under its id at any time.
    let run = RunName {
        id: view.run_id.clone(),
        role: Some(view.role.clone()),
    };
    let mut timeline = Timeline::new(view.began_unix_millis);
    entries(&client, &run, 0, &mut |entry| timeline.put(&entry)).await?;
    let terminal = Terminal::of_stdout();
    let mut lines = Lines::new(terminal);
    facts(&mut lines, &view);
    lines.end();
    timeline.draw(&mut lines, &view, unix_millis(), terminal, rows);
    lines.print();
    Ok(())
}

/// Hands over the entries of a run's history from this position on, and gives the position after them.
pub async fn entries(
    client: &Client,
    run: &RunName,
    from: u64,
    take: &mut (dyn FnMut(HistoryEntry) + Send),
) -> Result<u64, CommandError> {
    let limit = ENTRIES.to_string();
    let mut from = from;
    loop {
        let position = from.to_string();
        let page = of_run(run, "/history");
        let separator = if page.contains('?') { '&' } else { '?' };
        let page = format!("{page}{separator}limit={limit}&from={position}");
        let page: HistoryPage = client.get(&page).await?;
        from += page.entries.len() as u64;
        page.entries.into_iter().for_each(&mut *take);
        if page.next.is_none() || is_over() {
            return Ok(from);
        }
    }
}

/// The colour of a status.
pub fn colour_of(status: WorkflowStatus) -> Colour {
    use WorkflowStatus as Status;
    match status {
        Status::Running => Colour::Blue,
        Status::Sleeping | Status::Waiting | Status::Continued => Colour::Dim,
        Status::Completed => Colour::Green,
        Status::Stuck | Status::Cancelled => Colour::Yellow,
        Status::Failed | Status::Terminated => Colour::Red,
    }
}

/// The facts about a run, line by line.
pub fn facts(lines: &mut Lines, run: &RunView) {
    lines
        .coloured(Colour::Bold, &run.workflow)
        .text(" of role ")
        .text(&run.role)
        .text(": ")
        .coloured(colour_of(run.status), status_name(run.status))
        .end();
    let fact = |lines: &mut Lines, name: &str, value: &str| {
        lines
            .coloured(Colour::Dim, &format!("  {name:<10}"))
            .text(value)
            .end();
    };
    fact(lines, "id", &run.workflow_id);
    fact(lines, "run", &run.run_id);
    let began = moment(run.began_unix_millis);
    match run.ended_unix_millis {
        Some(ended) => {
            let took = span(ended - run.began_unix_millis);
            fact(lines, "began", &format!("{began}, took {took}"));
        }
        None => fact(lines, "began", &began),
    }
    if let Some(wakes) = run.wakes_unix_millis {
        fact(lines, "goes on", &moment(wakes));
    }
    if let Some(from) = &run.continued_from {
        fact(lines, "continues", from);
    }
    if let Some(to) = &run.continued_to {
        fact(lines, "goes on in", to);
    }
    fact(lines, "plugin", &run.plugin);
    if run.restarts > 0 {
        fact(lines, "restarts", &run.restarts.to_string());
    }
    let value = |lines: &mut Lines, name: &str, json: &RawJson| {
        let (shown, rest) = json.get().split_at(json.get().floor_char_boundary(SHOWN));
        let more = match rest.len() {
            0 => String::new(),
            more => format!("… and {more} bytes more; `--json` shows them"),
        };
        fact(lines, name, &format!("{shown}{more}"));
    };
    value(lines, "input", &run.input);
    for (name, json) in [("state", &run.state), ("output", &run.output)] {
        if let Some(json) = json {
            value(lines, name, json);
        }
    }
    if let Some(error) = &run.error {
        let colour = colour_of(run.status);
        lines
            .coloured(Colour::Dim, &format!("  {:<10}", "error"))
            .coloured(colour, &error.code)
            .text(": ")
            .text(&error.message)
            .end();
    }
    if run.status == WorkflowStatus::Stuck {
        let id = &run.run_id;
        let how = "--retry, --move, --restart-from STEP or --answer STEP JSON";
        fact(
            lines,
            "",
            &format!("`exomonad workflow repair {id}` lets it go on, with {how}"),
        );
    }
}

/// Runs `workflow history`.
pub async fn history(options: &Options, run: &RunName) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    if options.json {
        let mut all = Vec::new();
        entries(&client, run, 0, &mut |entry| all.push(entry)).await?;
        print_json(&HistoryPage {
            entries: all,
            next: None,
        });
        return Ok(());
    }
    entries(&client, run, 0, &mut |entry| print_entry(&entry)).await?;
    Ok(())
}

/// The kind of an entry, for a person.
pub fn told(entry: &HistoryEntry) -> String {
    let step = entry
        .step
        .map_or_else(String::new, |step| format!("step {step}"));
    let name = entry.name.as_deref().unwrap_or_default();
    match entry.kind {
        HistoryKind::Asked => format!("{step} {name}: asked for"),
        HistoryKind::Attempt => {
            let attempt = entry.attempt.unwrap_or(1);
            let pause = entry.next_unix_millis.unwrap_or(entry.unix_millis) - entry.unix_millis;
            format!(
                "{step}: attempt {attempt} failed, the next one in {}",
                span(pause)
            )
        }
        HistoryKind::Done => {
            let times = match entry.attempt {
                Some(attempts @ 2..) => format!(" after {attempts} attempts"),
                _ => String::new(),
            };
            match name {
                "" => format!("{step}: done{times}"),
                name => format!("{step} {name}: done{times}"),
            }
        }
        HistoryKind::Fired => format!("{step}: the time has come"),
        HistoryKind::Signal => format!("signal {name}"),
        HistoryKind::Cancel => "asked to cancel".to_owned(),
        HistoryKind::Patched => format!("patch {name} applies"),
    }
}

fn print_entry(entry: &HistoryEntry) {
    outln!(
        "{:>5}  {}  {}",
        entry.position,
        moment(entry.unix_millis),
        told(entry)
    );
    let payload = |before: &str, payload: &Option<Payload>| {
        if let Some(payload) = payload {
            print_payload(before, payload);
        }
    };
    payload("       → ", &entry.request);
    payload("       ← ", &entry.answer);
}

/// Runs `workflow signal`.
pub async fn signal(
    options: &Options,
    run: &RunName,
    name: String,
    payload: Option<String>,
    request_id: Option<String>,
) -> Result<(), CommandError> {
    let signal = SendSignal {
        name: word("the signal", name)?,
        payload: json("--payload", payload.as_deref())?,
        request_id: request_id.map(|id| word("--request-id", id)).transpose()?,
    };
    let client = host(options, run.role.as_deref()).await?;
    let accepted = post(&client, &of_run(run, "/signal"), Some(&signal)).await?;
    print_accepted(
        options,
        &accepted,
        &format!("signal `{}` is sent to", &*signal.name),
    );
    Ok(())
}

fn print_accepted(options: &Options, accepted: &Accepted, done: &str) {
    match options.json {
        true => print_json(accepted),
        false => outln!(
            "{done} run {} of workflow `{}`",
            accepted.run_id,
            accepted.workflow_id
        ),
    }
}

/// Runs `workflow query`.
pub async fn query(
    options: &Options,
    run: &RunName,
    name: String,
    arguments: Option<String>,
) -> Result<(), CommandError> {
    let query = AskQuery {
        name: word("the query", name)?,
        arguments: json("--arguments", arguments.as_deref())?,
    };
    let client = host(options, run.role.as_deref()).await?;
    let answer: QueryAnswer = post(&client, &of_run(run, "/query"), Some(&query)).await?;
    match options.json {
        true => print_json(&answer),
        false => print_json_text(answer.value.get().as_bytes()),
    }
    Ok(())
}

/// Runs `workflow cancel`.
pub async fn cancel(options: &Options, run: &RunName) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    let accepted = post(&client, &of_run(run, "/cancel"), NOTHING).await?;
    print_accepted(options, &accepted, "asked to cancel:");
    Ok(())
}

/// Runs `workflow terminate`.
pub async fn terminate(
    options: &Options,
    run: &RunName,
    reason: Option<String>,
) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    let reason = reason.map(BoundedText::try_from).transpose();
    let reason = reason.map_err(|error| CommandError::Usage(format!("--reason: {error}")))?;
    let terminate = Terminate { reason };
    let accepted = post(&client, &of_run(run, "/terminate"), Some(&terminate)).await?;
    print_accepted(options, &accepted, "ended:");
    Ok(())
}

/// Runs `workflow move ID`.
pub async fn move_one(options: &Options, run: &RunName) -> Result<(), CommandError> {
    let client = host(options, run.role.as_deref()).await?;
    let moved: Accepted = post(&client, &of_run(run, "/move"), NOTHING).await?;
    print_moved(options, &moved);
    Ok(())
}

/// Runs `workflow move --all`.
pub async fn move_all(options: &Options, role: String) -> Result<(), CommandError> {
    let client = host(options, Some(&role)).await?;
    let statuses = ["waiting", "sleeping", "stuck"];
    let listed = Listed {
        role: Some(role.clone()),
        workflow: None,
        id: None,
        status: statuses.map(str::to_owned).into(),
        limit: usize::MAX,
    };
    let mut is_refused = false;
    for run in collect(&client, &listed).await?.runs {
        let run = RunName {
            id: run.run_id,
            role: Some(role.clone()),
        };
        match post(&client, &of_run(&run, "/move"), NOTHING).await {
            Ok(moved) => print_moved(options, &moved),
            Err(error @ CommandError::Refused(_)) => {
                errln!("exomonad: {error}");
                is_refused = true;
            }
            Err(error) => return Err(error),
        }
    }
    match is_refused {
        true => Err(CommandError::Failed),
        false => Ok(()),
    }
}

fn print_moved(options: &Options, moved: &Accepted) {
    if options.json {
        return print_json(moved);
    }
    let Accepted {
        workflow_id,
        run_id,
    } = moved;
    outln!("workflow `{workflow_id}` goes on at the Temporal server as run {run_id}");
}

/// Runs `workflow repair`.
pub async fn repair(
    options: &Options,
    run: &RunName,
    repair: RepairArgs,
) -> Result<(), CommandError> {
    let answer = match repair.answer.as_deref() {
        Some([step, value]) => Some(StepAnswer {
            step: step.parse().map_err(|_| {
                CommandError::Usage(format!("--answer: `{step}` is not the number of a step"))
            })?,
            value: json("--answer", Some(value))?,
        }),
        _ => None,
    };
    let repair = RepairRun {
        retry: repair.retry,
        moves: repair.moves,
        restart_from: repair.restart_from,
        answer,
    };
    let client = host(options, run.role.as_deref()).await?;
    let accepted = post(&client, &of_run(run, "/repair"), Some(&repair)).await?;
    print_accepted(options, &accepted, "goes on:");
    Ok(())
}
