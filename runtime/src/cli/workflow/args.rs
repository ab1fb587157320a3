//! The arguments of `workflow`.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::schedule::ScheduleCommand;
use crate::cli::complete::{complete_roles, complete_runs, complete_workflows};

/// The commands for workflows.
#[derive(Subcommand)]
pub enum WorkflowCommand {
    /// Start a run, or find the open one of its id.
    Start {
        /// The role.
        #[arg(add = ArgValueCompleter::new(complete_roles))]
        role: String,
        /// The workflow.
        #[arg(add = ArgValueCompleter::new(complete_workflows))]
        workflow: String,
        /// Its input: JSON, @FILE, or - for standard input; null otherwise.
        #[arg(long, value_name = "JSON|@FILE|-")]
        input: Option<String>,
        /// Its id. Of the runs with one id at most one is open.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Follow it to its end and print its output; the exit code is 0 if it completes, and 1 otherwise.
        #[arg(long)]
        wait: bool,
    },
    /// List runs, newest first.
    List {
        /// Of this role.
        #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
        role: Option<String>,
        /// Of this workflow.
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        /// With this workflow id.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// With this status; may be given more than once.
        #[arg(long, value_name = "STATUS", value_parser = clap::builder::PossibleValuesParser::new(
            exomonad_workflow::store::STATUSES.map(exomonad_workflow::store::status_name)
        ))]
        status: Vec<String>,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show a run and the timeline of its steps.
    Show {
        /// The run.
        #[command(flatten)]
        run: RunName,
        /// Rows of the timeline at most, the latest.
        #[arg(long, value_name = "N", default_value_t = 100)]
        rows: usize,
    },
    /// Print a run's history: each step with its request and its answer, timers, signals.
    History {
        /// The run.
        #[command(flatten)]
        run: RunName,
    },
    /// Follow a run to its end, or everything that happens.
    Tail {
        /// The workflow's id, or a run's; otherwise all runs, and the events that plugins emit.
        #[arg(add = ArgValueCompleter::new(complete_runs))]
        id: Option<String>,
        /// Of this role.
        #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
        role: Option<String>,
        /// Runs of this workflow.
        #[arg(long, value_name = "NAME", conflicts_with = "id")]
        workflow: Option<String>,
        /// Each begin and answer of a step as well; those of a single run are always shown.
        #[arg(long)]
        steps: bool,
    },
    /// Send a signal to a run.
    Signal {
        /// The run.
        #[command(flatten)]
        run: RunName,
        /// The signal.
        name: String,
        /// Its payload: JSON, @FILE, or - for standard input; null otherwise.
        #[arg(long, value_name = "JSON|@FILE|-")]
        payload: Option<String>,
        /// Of the signals with one id the run gets the first: sending it again is safe as long as the run is open.
        #[arg(long, value_name = "ID")]
        request_id: Option<String>,
    },
    /// Ask a run's plugin about the state that the run has published.
    Query {
        /// The run.
        #[command(flatten)]
        run: RunName,
        /// The query.
        name: String,
        /// Its arguments: JSON, @FILE, or - for standard input; null otherwise.
        #[arg(long, value_name = "JSON|@FILE|-")]
        arguments: Option<String>,
    },
    /// Ask a run to cancel: its code cleans up and ends.
    Cancel {
        /// The run.
        #[command(flatten)]
        run: RunName,
    },
    /// End a run at once: its code does not hear of it.
    Terminate {
        /// The run.
        #[command(flatten)]
        run: RunName,
        /// The reason, for whoever looks at the run.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a stuck run go on.
    Repair {
        /// The run.
        #[command(flatten)]
        run: RunName,
        /// How.
        #[command(flatten)]
        repair: RepairArgs,
    },
    /// Let waiting runs of the host's own store go on at the Temporal server that their role's workflows are on.
    Move {
        /// The workflow's id, or a run's.
        #[arg(add = ArgValueCompleter::new(complete_runs), required_unless_present = "all")]
        id: Option<String>,
        /// The role.
        #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
        role: Option<String>,
        /// All runs of the role that wait. What cannot be moved is told, and the exit code is 1 then.
        #[arg(long, requires = "role", conflicts_with = "id")]
        all: bool,
    },
    /// Start runs at given times.
    Schedule {
        /// The subcommand.
        #[command(subcommand)]
        command: ScheduleCommand,
    },
}

/// A run on the command line.
#[derive(Args, Clone)]
pub struct RunName {
    /// The workflow's id, whose newest run is meant, or a run's id.
    #[arg(add = ArgValueCompleter::new(complete_runs))]
    pub id: String,
    /// The role, if several have a workflow with this id.
    #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
    pub role: Option<String>,
}

/// How a stuck run goes on.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct RepairArgs {
    /// Try again, as it is.
    #[arg(long)]
    pub retry: bool,
    /// Try again on the version of the plugin that serves.
    #[arg(long = "move")]
    pub moves: bool,
    /// Begin again from this step: what came after it is forgotten, signals are not.
    #[arg(long, value_name = "STEP")]
    pub restart_from: Option<u64>,
    /// Give a step its answer: `{"kind":"Success","payload":…}` or `{"kind":"Error","payload":{"code":…,"message":…}}`.
    #[arg(long, num_args = 2, value_names = ["STEP", "JSON|@FILE|-"])]
    pub answer: Option<Vec<String>>,
}
