//! The command line.

/// `print!` for a reader that may be gone: `exomonad roles | head -1` ends without a word.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::show::print_args(::std::format_args!($($text)*))
    };
}

/// `println!`, as [`out`].
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::show::print_line(&::std::format!($($text)*))
    };
}

/// `eprintln!`, as [`out`]: it too may be read through a pipe.
macro_rules! errln {
    ($($text:tt)*) => {{
        use ::std::io::Write;
        let _ = ::std::writeln!(::std::io::stderr(), $($text)*);
    }};
}

mod args;
mod call;
mod calls;
mod client;
mod complete;
mod config;
mod docker_proxy;
mod doctor;
mod effects;
mod folders;
mod hook;
mod init;
mod mcp;
mod plugin;
mod plugin_call;
mod policy;
mod project;
mod replay;
mod serve;
mod show;
mod temporal;
mod terminal;
mod token;
mod trust;
mod workflow;

use std::process::ExitCode;

use clap::Parser;

use self::args::{CallsCommand, Cli, Command, PluginCommand, PolicyCommand};
use exomonad_host::HostError;
use exomonad_telemetry::StartError;

/// The failure of a command. Its exit code tells scripts which.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A tool or a guest failed; its output is shown already.
    #[error("")]
    Failed,
    /// A check found something; it is shown already.
    #[error("")]
    Found,
    /// The configuration is wrong; its mistakes are shown already.
    #[error("")]
    Wrong,
    /// A hook denies; the reason is shown already. Agents want this code.
    #[error("")]
    Denied,
    /// The configuration or the arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// The request is refused: no such role or tool, arguments that do not fit.
    #[error("{0}")]
    Refused(String),
    /// A running host, or something the host needs, cannot be reached.
    #[error("{0}")]
    Unavailable(String),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Failed | Self::Found => 1,
            Self::Wrong | Self::Denied | Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }
}

/// The codes of calls that are refused; the others mean that something cannot be reached.
const REFUSED: &[&str] = &[
    "role_not_found",
    "tool_not_found",
    "hook_not_found",
    "export_not_found",
    "call_not_found",
    "not_found",
    "conflict",
    "invalid_input",
    "invalid_request",
    "invalid_arguments",
    "unauthorized",
    "insufficient_scope",
    "raw_calls_off",
    "host_not_allowed",
    "origin_not_allowed",
    "route_not_found",
    "method_not_allowed",
    "body_too_large",
];

/// The error for a code of the host, its own or one that a running host has answered with.
pub fn of_code(code: &str, message: String) -> CommandError {
    if code == "workflow_failed" {
        errln!("exomonad: {}", show::without_controls(&message));
        return CommandError::Failed;
    }
    match REFUSED.contains(&code) {
        true => CommandError::Refused(message),
        false => CommandError::Unavailable(message),
    }
}

impl From<HostError> for CommandError {
    fn from(error: HostError) -> Self {
        match &error {
            HostError::Guest { .. } => Self::Unavailable(format!("the guest failed: {error}")),
            _ => of_code(error.code(), error.to_string()),
        }
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Log(_) => Self::Unavailable(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::Unavailable(format!("{error:#}"))
    }
}

/// The meaning of the exit codes; shown by `--help`.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  a tool, a guest, a run or a check failed
  2  the arguments or the configuration are wrong
  3  refused: no such role, tool or run, or arguments that do not fit its schema
  4  a host, a file or a service cannot be reached";

/// The argument by which this binary is started as the engine's compiler; it is no command for users.
const COMPILER: &str = "__compile";

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    // The engine runs this binary as its compiler.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == COMPILER)
    {
        return match exomonad_engine::run_compiler() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    exomonad_engine::use_own_binary(COMPILER);
    complete::answer_shell();
    let ran = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(wrong) if wrong.use_stderr() => wrong.exit(),
        Err(help) => {
            show::note(help.print());
            Ok(())
        }
    };
    let errors: Vec<CommandError> = [ran, show::printed()]
        .into_iter()
        .filter_map(Result::err)
        .collect();
    for message in errors.iter().map(ToString::to_string) {
        if !message.is_empty() {
            // It may tell what a guest has written.
            errln!("exomonad: {}", show::without_controls(&message));
        }
    }
    errors
        .first()
        .map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code()))
}

fn run(cli: Cli) -> Result<(), CommandError> {
    match cli.command {
        Command::Completions { shell } => complete::write_script(shell),
        Command::Effects { effect } => effects::run(&cli.options, effect.as_deref()),
        Command::Config { command } => config::run(&cli.options, command),
        Command::Token { command } => token::run(&cli.options, command),
        Command::Trust { file, revoke } => trust::run(&file, revoke),
        Command::Serve { listen } => block_on(serve::run(&cli.options, listen)),
        Command::Policy {
            command:
                PolicyCommand::Explain {
                    role,
                    effect,
                    request,
                },
        } => policy::explain(&cli.options, &role, &effect, request.as_deref()),
        Command::Doctor { quick } => block_on(doctor::run(&cli.options, quick)),
        Command::DockerProxy(arguments) => block_on(docker_proxy::run(arguments)),
        Command::Call {
            role,
            tool,
            arguments,
        } => block_on(call::tool(&cli.options, &role, &tool, &arguments)),
        Command::Init(arguments) => block_on(init::run(&cli.options, &arguments)),
        Command::Hook(arguments) => block_on(hook::run(&cli.options, &arguments)),
        Command::Mcp { role, embedded } => block_on(mcp::run(&cli.options, &role, embedded)),
        Command::Tools { role, tool } => {
            block_on(call::tools(&cli.options, &role, tool.as_deref()))
        }
        Command::Calls { command } => match command {
            CallsCommand::List { filter, limit } => {
                block_on(calls::list(&cli.options, filter, limit))
            }
            CallsCommand::Show { call } => block_on(calls::show(&cli.options, call.as_deref())),
            CallsCommand::Export { filter, limit } => {
                block_on(calls::export(&cli.options, filter, limit))
            }
        },
        Command::Workflow { command } => block_on(workflow::run(&cli.options, command)),
        Command::Temporal(arguments) => block_on(temporal::run(&cli.options, arguments)),
        Command::Replay(arguments) => block_on(replay::run(&cli.options, arguments)),
        Command::Roles => block_on(call::roles(&cli.options)),
        Command::Plugin { command } => match command {
            PluginCommand::List => block_on(call::plugins(&cli.options)),
            PluginCommand::Inspect { file } => block_on(plugin::inspect(&cli.options, &file)),
            PluginCommand::New(arguments) => project::new(&arguments),
            PluginCommand::Build { folder, out } => project::build(&folder, out.as_deref()),
            PluginCommand::Dev { folder, into } => {
                block_on(project::dev(&cli.options, &folder, into.as_deref()))
            }
            PluginCommand::Test { file } if file.is_dir() => project::test(&file),
            PluginCommand::Test { file } => block_on(plugin::test(&cli.options, &file)),
            PluginCommand::Call(arguments) => block_on(plugin_call::run(&cli.options, arguments)),
        },
    }
}

fn block_on(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| CommandError::Unavailable(format!("no threads: {error}")))?;
    let result = runtime.block_on(work);
    // A blocking job that is still at work, such as a compilation, has nobody left to answer to.
    runtime.shutdown_background();
    result
}
