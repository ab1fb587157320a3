//! `temporal workflow`.

use clap::{Args, Subcommand};
use exomonad_config::TimeSpan;
use exomonad_core::TemporalService;
use exomonad_schema::effects::temporal::*;
use exomonad_schema::{BoundedInt, RawJson};
use serde::Serialize;
use serde_json::json;

use super::{
    PageArgs, Server, WorkflowName, answer, choice, failed, input, millis, number, optional_word,
    pairs, word,
};
use crate::cli::CommandError;
use crate::cli::show::{print_json, print_line, without_controls};

/// Events of a history that are asked for at once.
const EVENTS_PER_PAGE: u64 = 1000;

/// The commands for workflows.
#[derive(Subcommand)]
pub enum WorkflowCommand {
    /// Start a workflow.
    Start {
        /// The workflow.
        #[command(flatten)]
        spec: SpecArgs,
        /// The rules for its id.
        #[command(flatten)]
        rules: IdArgs,
        /// The rule for an open workflow with the same id.
        #[arg(long, value_name = "RULE", default_value = "fail", value_parser = ["fail", "use-existing", "terminate-existing"])]
        id_conflict: String,
        /// The wait before it begins, such as 5m.
        #[arg(long, value_name = "TIME")]
        start_delay: Option<TimeSpan>,
    },
    /// Send a signal to an open workflow.
    Signal {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The signal.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// An argument of it: JSON, @FILE, or - for standard input; may be given more than once.
        #[arg(long, short, value_name = "JSON|@FILE|-")]
        input: Vec<String>,
        /// The id by which the server knows a request that is sent again.
        #[arg(long, value_name = "ID")]
        request_id: Option<String>,
    },
    /// Send a signal to a workflow, and start it if none with its id is open.
    SignalWithStart {
        /// The workflow.
        #[command(flatten)]
        spec: SpecArgs,
        /// The rules for its id.
        #[command(flatten)]
        rules: IdArgs,
        /// The signal.
        #[arg(long, value_name = "NAME")]
        signal_name: String,
        /// An argument of the signal: JSON, @FILE, or - for standard input; may be given more than once.
        #[arg(long, value_name = "JSON|@FILE|-")]
        signal_input: Vec<String>,
    },
    /// Ask a workflow's worker a question that changes nothing.
    Query {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The query.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// An argument of it: JSON, @FILE, or - for standard input; may be given more than once.
        #[arg(long, short, value_name = "JSON|@FILE|-")]
        input: Vec<String>,
        /// Only if the workflow is open.
        #[arg(long)]
        open_only: bool,
    },
    /// Ask an open workflow to change something, and wait for its answer.
    Update {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The update.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// An argument of it: JSON, @FILE, or - for standard input; may be given more than once.
        #[arg(long, short, value_name = "JSON|@FILE|-")]
        input: Vec<String>,
        /// The update's id within the workflow: sending it again gives the same answer.
        #[arg(long, value_name = "ID")]
        update_id: Option<String>,
        /// The longest wait; otherwise `temporal.time_limit`.
        #[arg(long, value_name = "TIME")]
        timeout: Option<TimeSpan>,
    },
    /// Ask a workflow to cancel: its code cleans up and ends.
    Cancel {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The reason, for the workflow's history.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// End a workflow at once: its code does not hear of it.
    Terminate {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The reason, for the workflow's history.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Describe a workflow, with what it waits for.
    Describe {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
    },
    /// List workflows, newest first.
    List {
        /// The list filter, such as "WorkflowType='Order' AND ExecutionStatus='Running'".
        #[arg(long, short, value_name = "FILTER", default_value = "")]
        query: String,
        /// The page.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Print a workflow's history, as `temporal workflow show --output json` does.
    History {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
    },
    /// Wait for a workflow's end and print its result; the exit code is 0 if it completes, and 1 otherwise.
    Result {
        /// The workflow.
        #[command(flatten)]
        workflow: WorkflowName,
        /// The longest wait; otherwise a day.
        #[arg(long, value_name = "TIME")]
        timeout: Option<TimeSpan>,
    },
}

/// A workflow to start.
#[derive(Args)]
pub struct SpecArgs {
    /// The workflow's id: unique among the open ones of a namespace.
    #[arg(long, short, value_name = "ID")]
    workflow_id: String,
    /// The workflow's type.
    #[arg(long = "type", value_name = "NAME")]
    workflow_type: String,
    /// The task queue that its worker polls.
    #[arg(long, short, value_name = "NAME")]
    task_queue: String,
    /// An argument of it: JSON, @FILE, or - for standard input; may be given more than once.
    #[arg(long, short, value_name = "JSON|@FILE|-")]
    input: Vec<String>,
    /// The longest time from the start to the end, such as 1h.
    #[arg(long, value_name = "TIME")]
    execution_timeout: Option<TimeSpan>,
    /// The longest time of one run.
    #[arg(long, value_name = "TIME")]
    run_timeout: Option<TimeSpan>,
    /// The longest time of one workflow task.
    #[arg(long, value_name = "TIME")]
    task_timeout: Option<TimeSpan>,
    /// A value that is kept with the workflow; may be given more than once.
    #[arg(long, value_name = "NAME=JSON")]
    memo: Vec<String>,
    /// A value that lists can search for; may be given more than once.
    #[arg(long, value_name = "NAME=JSON")]
    search_attribute: Vec<String>,
}

/// The rules for a workflow's id.
#[derive(Args)]
pub struct IdArgs {
    /// If a closed workflow may have had the same id.
    #[arg(long, value_name = "RULE", default_value = "allow-duplicate", value_parser = ["allow-duplicate", "allow-duplicate-failed-only", "reject-duplicate"])]
    id_reuse: String,
    /// The id by which the server knows a request that is sent again.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl SpecArgs {
    /// The workflow, as the contract has it.
    pub fn spec(self) -> Result<Box<TemporalWorkflowSpec>, CommandError> {
        Ok(Box::new(TemporalWorkflowSpec {
            workflow_id: word("--workflow-id", self.workflow_id)?,
            workflow_type: word("--type", self.workflow_type)?,
            task_queue: word("--task-queue", self.task_queue)?,
            input: input(&self.input)?,
            execution_timeout_millis: millis("--execution-timeout", self.execution_timeout)?,
            run_timeout_millis: millis("--run-timeout", self.run_timeout)?,
            task_timeout_millis: millis("--task-timeout", self.task_timeout)?,
            retry: None,
            memo: pairs("--memo", &self.memo)?,
            search_attributes: pairs("--search-attribute", &self.search_attribute)?,
        }))
    }
}

/// A wait, as the contract has it.
fn wait(given: Option<TimeSpan>) -> Result<Option<BoundedInt<1, 86_400_000>>, CommandError> {
    let Some(given) = given else { return Ok(None) };
    let millis = u64::try_from(given.get().as_millis()).unwrap_or(u64::MAX);
    number("--timeout", millis).map(Some)
}

/// Runs a command.
pub async fn run(server: &Server, command: WorkflowCommand) -> Result<(), CommandError> {
    let (service, call) = (&server.service, &server.call);
    let namespace = server.namespace.clone();
    match command {
        WorkflowCommand::Start {
            spec,
            rules,
            id_conflict,
            start_delay,
        } => {
            let request = TemporalStartWorkflow {
                namespace,
                workflow: spec.spec()?,
                id_reuse: choice("--id-reuse", &rules.id_reuse)?,
                id_conflict: choice("--id-conflict", &id_conflict)?,
                start_delay_millis: millis("--start-delay", start_delay)?,
                request_id: optional_word("--request-id", rules.request_id)?,
            };
            let started = service.start_workflow(call, request).await;
            answer::fields(server, &started.map_err(failed)?);
        }
        WorkflowCommand::SignalWithStart {
            spec,
            rules,
            signal_name,
            signal_input,
        } => {
            let request = TemporalSignalWithStart {
                namespace,
                workflow: spec.spec()?,
                id_reuse: choice("--id-reuse", &rules.id_reuse)?,
                name: word("--signal-name", signal_name)?,
                input: input(&signal_input)?,
                request_id: optional_word("--request-id", rules.request_id)?,
            };
            let started = service.signal_with_start(call, request).await;
            answer::fields(server, &started.map_err(failed)?);
        }
        WorkflowCommand::Signal {
            workflow,
            name,
            input: given,
            request_id,
        } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalSignalWorkflow {
                namespace,
                workflow_id,
                run_id,
                name: word("--name", name)?,
                input: input(&given)?,
                request_id: optional_word("--request-id", request_id)?,
            };
            let sent = service.signal_workflow(call, request).await;
            answer::done(server, sent, "the signal is sent")?;
        }
        WorkflowCommand::Query {
            workflow,
            name,
            input: given,
            open_only,
        } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalQueryWorkflow {
                namespace,
                workflow_id,
                run_id,
                name: word("--name", name)?,
                input: input(&given)?,
                open_only,
            };
            let answered = service.query_workflow(call, request).await;
            let answered = answered.map_err(failed)?;
            print_result(server, &answered, &answered.result);
        }
        WorkflowCommand::Update {
            workflow,
            name,
            input: given,
            update_id,
            timeout,
        } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalUpdateWorkflow {
                namespace,
                workflow_id,
                run_id,
                name: word("--name", name)?,
                input: input(&given)?,
                update_id: optional_word("--update-id", update_id)?,
                timeout_millis: wait(timeout)?,
            };
            let answered = service.update_workflow(call, request).await;
            let answered = answered.map_err(failed)?;
            print_result(server, &answered, &answered.result);
        }
        WorkflowCommand::Cancel { workflow, reason } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalCancelWorkflow {
                namespace,
                workflow_id,
                run_id,
                reason: word("--reason", reason)?,
                request_id: None,
            };
            let asked = service.cancel_workflow(call, request).await;
            answer::done(server, asked, "the workflow is asked to cancel")?;
        }
        WorkflowCommand::Terminate { workflow, reason } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalTerminateWorkflow {
                namespace,
                workflow_id,
                run_id,
                reason: word("--reason", reason)?,
            };
            let ended = service.terminate_workflow(call, request).await;
            answer::done(server, ended, "the workflow is terminated")?;
        }
        WorkflowCommand::Describe { workflow } => {
            let (workflow_id, run_id) = workflow.parts()?;
            let request = TemporalDescribeWorkflow {
                namespace,
                workflow_id,
                run_id,
            };
            let described = service.describe_workflow(call, request).await;
            answer::fields(server, &described.map_err(failed)?);
        }
        WorkflowCommand::List { query, page } => {
            let request = TemporalListWorkflows {
                namespace,
                query: word("--query", query)?,
                limit: number("--limit", page.limit)?,
                after: optional_word("--after", page.after)?,
            };
            let found = service
                .list_workflows(call, request)
                .await
                .map_err(failed)?;
            let rows: Vec<_> = found.workflows.iter().map(row).collect();
            let header = ["WORKFLOW", "TYPE", "STATUS", "STARTED", "RUN"];
            answer::page(server, &found, &header, &rows, found.next.as_deref());
        }
        WorkflowCommand::History { workflow } => history(server, workflow).await?,
        WorkflowCommand::Result { workflow, timeout } => result(server, workflow, timeout).await?,
    }
    Ok(())
}

/// Prints a whole answer for programs, and for people the result in it.
fn print_result(server: &Server, answer: &impl Serialize, result: &RawJson) {
    match server.json {
        true => print_json(answer),
        false => print_line(result.get()),
    }
}

fn row(workflow: &TemporalWorkflow) -> Vec<String> {
    vec![
        workflow.workflow_id.clone(),
        workflow.workflow_type.clone(),
        status_name(workflow.status),
        workflow.start_time.clone().unwrap_or_default(),
        workflow.run_id.clone(),
    ]
}

fn status_name(status: TemporalWorkflowStatus) -> String {
    let name = serde_json::to_value(status).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// Prints the whole history, page by page behind each other.
async fn history(server: &Server, workflow: WorkflowName) -> Result<(), CommandError> {
    let (workflow_id, mut run_id) = workflow.parts()?;
    let mut events: Vec<RawJson> = Vec::new();
    let mut after = None;
    loop {
        let request = TemporalWorkflowHistory {
            namespace: server.namespace.clone(),
            workflow_id: workflow_id.clone(),
            run_id: run_id.clone(),
            limit: number("the page", EVENTS_PER_PAGE)?,
            after,
        };
        let page = server.service.workflow_history(&server.call, request).await;
        let page = page.map_err(failed)?;
        events.extend(page.events);
        // Further pages are of the same run, whatever starts meanwhile.
        run_id = Some(word("the run", page.run_id)?);
        after = optional_word("the next page", page.next)?;
        if after.is_none() {
            break;
        }
    }
    print_json(&json!({"events": events}));
    Ok(())
}

/// Waits for the end. The time of one effect is bounded, that of the command is not.
async fn result(
    server: &Server,
    workflow: WorkflowName,
    timeout: Option<TimeSpan>,
) -> Result<(), CommandError> {
    let (workflow_id, run_id) = workflow.parts()?;
    let request = TemporalWorkflowResult {
        namespace: server.namespace.clone(),
        workflow_id,
        run_id,
        timeout_millis: Some(wait(timeout)?.unwrap_or(BoundedInt::constant::<86_400_000>())),
    };
    let outcome = server.service.workflow_result(&server.call, request).await;
    let outcome = outcome.map_err(failed)?;
    let status = outcome.status;
    let says = outcome
        .failure
        .iter()
        .map(|failure| failure.message.as_str());
    let says: Vec<&str> = says.filter(|message| !message.is_empty()).collect();
    match (server.json, &outcome.result) {
        (true, _) => print_json(&outcome),
        (false, Some(result)) => print_line(result.get()),
        (false, None) => errln!(
            "exomonad: the workflow is {}{}",
            status_name(status),
            match says.is_empty() {
                true => String::new(),
                false => format!(": {}", without_controls(&says.join(": "))),
            }
        ),
    }
    match status {
        TemporalWorkflowStatus::Completed => Ok(()),
        TemporalWorkflowStatus::Running => Err(CommandError::Unavailable(
            "the time is up, and the workflow has not ended".to_owned(),
        )),
        _ => Err(CommandError::Failed),
    }
}
