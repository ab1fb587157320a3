//! The arguments of all commands.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCompleter;
use exomonad_config::RoleName;
use exomonad_core::values::Scope;
use exomonad_host::agents::Agent;

use super::EXIT_CODES;
use super::complete::{complete_roles, complete_tools};
use super::project::languages;
use super::temporal::TemporalArgs;
use super::token::Expiry;
use super::workflow::args::WorkflowCommand;

/// A host for WASM plugins that serve AI agents: the plugin decides, the host acts.
#[derive(Parser)]
#[command(name = "exomonad", version = env!("EXOMONAD_VERSION"), after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub options: Options,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone)]
pub struct Options {
    /// The configuration file; otherwise $EXOMONAD_CONFIG, otherwise ./exomonad.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Vec<String>,
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// The running host to ask, instead of the configured address.
    #[arg(long, global = true, value_name = "URL", conflicts_with = "local")]
    pub url: Option<String>,
    /// The token to present to the running host; otherwise $EXOMONAD_TOKEN, otherwise the configured one. (For `serve`
    /// $EXOMONAD_TOKEN is the operator's own token.)
    #[arg(long, global = true, value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Do it in this process, even if a host is running.
    #[arg(long, global = true)]
    pub local: bool,
}

impl Options {
    /// The configuration file that was named.
    pub fn config_file(&self) -> Option<&Path> {
        self.config.last().map(Path::new)
    }
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the roles over HTTP.
    Serve {
        /// Listen here, such as 127.0.0.1:7432; port 0 takes a free one.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Call a tool: on the running host, or in this process if none runs.
    Call {
        /// The role.
        #[arg(add = ArgValueCompleter::new(complete_roles))]
        role: String,
        /// The tool.
        #[arg(add = ArgValueCompleter::new(complete_tools))]
        tool: String,
        /// The arguments: one JSON object, or key=value pairs (a value that is JSON is taken as such).
        #[arg(value_name = "JSON|KEY=VALUE")]
        arguments: Vec<String>,
    },
    /// Speak MCP on standard input and output, for clients that start their servers: a bridge to the running
    /// host.
    Mcp {
        /// The role.
        #[arg(long, add = ArgValueCompleter::new(complete_roles))]
        role: String,
        /// Be the host: load the configuration and the plugins in this process.
        #[arg(long, conflicts_with = "url")]
        embedded: bool,
    },
    /// Make the coding agents of a project use a role: writes their own files, and keeps what others wrote there.
    Init(InitArgs),
    /// Ask a role's plugin about an event of a coding agent: the event comes on standard input, the decision goes
    /// out in the agent's own form. Agents run this; `init` tells them to.
    Hook(HookArgs),
    /// List the tools of a role, or show one with its arguments and their types.
    Tools {
        /// The role.
        #[arg(add = ArgValueCompleter::new(complete_roles))]
        role: String,
        /// The tool.
        #[arg(add = ArgValueCompleter::new(complete_tools))]
        tool: Option<String>,
    },
    /// List the effects that plugins can ask for, or show one with its request and its answer.
    Effects {
        /// The effect, such as git.status.
        effect: Option<String>,
    },
    /// List the roles.
    Roles,
    /// Look at recorded calls: what they were given, did and answered.
    Calls {
        /// The subcommand.
        #[command(subcommand)]
        command: CallsCommand,
    },
    /// Run recorded calls again, without performing anything: their records answer the plugin.
    Replay(Replay),
    /// Start runs of workflows on the running host, look at them, and send them what they wait for.
    #[command(visible_alias = "wf")]
    Workflow {
        /// The subcommand.
        #[command(subcommand)]
        command: WorkflowCommand,
    },
    /// Start workflows on a Temporal server, look at them, and send them what they wait for.
    Temporal(TemporalArgs),
    /// Look at plugins, check them, call into them.
    Plugin {
        /// The subcommand.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Show or check the configuration.
    Config {
        /// The subcommand.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Trust a configuration file that is found in the working directory, as it is now, to set every key.
    Trust {
        /// The file.
        #[arg(default_value = "exomonad.toml")]
        file: PathBuf,
        /// Trust it no longer.
        #[arg(long)]
        revoke: bool,
    },
    /// Give out tokens to callers by name, list and revoke them. They are kept, hashed, in the state folder.
    Token {
        /// The subcommand.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Ask what the roles may do.
    Policy {
        /// The subcommand.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Check that everything the host needs is there.
    Doctor {
        /// Only ask whether the running host is ready: for health checks.
        #[arg(long)]
        quick: bool,
    },
    /// Filter requests to a Docker engine, for a host in a container: passes those of its Docker service, to
    /// containers that carry a label.
    DockerProxy(DockerProxy),
    /// Write a completion script for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A command about tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it: it is shown this once.
    New(NewTokenArgs),
    /// List the tokens, without themselves.
    List,
    /// Revoke all tokens of a caller, or one by its id, as `token list` shows it. It opens nothing from the next request
    /// on.
    Revoke {
        /// The caller's name, for all of its tokens, or the id of one.
        name: String,
    },
}

/// A token to make.
#[derive(Args)]
#[command(group = ArgGroup::new("opens").required(true).multiple(false).args(["role", "all_roles", "operator"]))]
pub struct NewTokenArgs {
    /// The caller's name: guests, the journal and the audit lines have it. Several tokens may have one.
    pub name: String,
    /// A role that it opens. Can be given several times.
    #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
    pub role: Vec<RoleName>,
    /// It opens every role.
    #[arg(long)]
    pub all_roles: bool,
    /// It opens the whole host, as the operator's token does.
    #[arg(long, conflicts_with = "scope")]
    pub operator: bool,
    /// A part of the roles: `tools:repo_*` for tools by a pattern, `tools` for all, `hooks`, `resources`, `prompts`,
    /// `workflows`, `calls`. Can be given several times; without one it is all of them.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<Scope>,
    /// When it ends: after a time such as 90d, or at a moment such as 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Expiry>,
}

/// The agents whose files are written.
#[derive(Args)]
pub struct InitArgs {
    /// The role; not needed if there is one only.
    #[arg(long, add = ArgValueCompleter::new(complete_roles))]
    pub role: Option<String>,
    /// An agent; otherwise those that the project has files of. Can be given several times.
    #[arg(long, value_name = "AGENT", value_parser = agents())]
    pub agent: Vec<String>,
    /// The folder of the project.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub directory: PathBuf,
    /// Have the agents talk to the host by its address, not by a command that they start. A token that the host wants
    /// they take from $EXOMONAD_TOKEN.
    #[arg(long)]
    pub http: bool,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what this command has written: for the role, or for all of them.
    #[arg(long)]
    pub remove: bool,
}

/// An event of an agent.
#[derive(Args)]
pub struct HookArgs {
    /// The event, as the agent calls it, such as PreToolUse.
    pub event: String,
    /// The agent.
    #[arg(long, value_parser = agents())]
    pub agent: String,
    /// The role.
    #[arg(long, add = ArgValueCompleter::new(complete_roles))]
    pub role: String,
    /// The decision on what a hook guards when the plugin cannot be asked, since no host runs or the plugin fails.
    #[arg(long, value_enum, default_value_t = OnFailure::Deny)]
    pub on_failure: OnFailure,
}

/// The decision when a plugin cannot be asked.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// Deny, with the reason.
    Deny,
    /// Leave it to the agent, and warn.
    Allow,
}

fn agents() -> clap::builder::PossibleValuesParser {
    Agent::ALL.iter().map(|agent| agent.name()).into()
}

/// A filter in front of a Docker engine.
#[derive(Args)]
pub struct DockerProxy {
    /// Listen here. There is no token: only the host may reach this address.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "DOCKER_PROXY_LISTEN",
        default_value = "127.0.0.1:2375"
    )]
    pub listen: std::net::SocketAddr,
    /// The engine's socket.
    #[arg(
        long,
        value_name = "FILE",
        env = "DOCKER_PROXY_SOCKET",
        default_value = "/var/run/docker.sock"
    )]
    pub socket: PathBuf,
    /// Labels, separated by commas, of which a container has to carry one: `key=value`, or `key` for any value.
    #[arg(
        long,
        value_name = "LABEL",
        env = "DOCKER_PROXY_LABELS",
        value_delimiter = ',',
        required = true
    )]
    pub labels: Vec<String>,
    /// Names, separated by commas, by which clients call this proxy, beside addresses and names without a dot.
    #[arg(
        long,
        value_name = "NAME",
        env = "DOCKER_PROXY_ALLOWED_HOSTS",
        value_delimiter = ','
    )]
    pub allowed_hosts: Vec<String>,
    /// Let containers be started, too, and images be pulled for them.
    #[arg(long, env = "DOCKER_PROXY_SPAWN", value_parser = clap::builder::FalseyValueParser::new())]
    pub spawn: bool,
}

/// The commands for recorded calls.
#[derive(Subcommand)]
pub enum CallsCommand {
    /// List recorded calls, latest first.
    List {
        /// The calls that are wanted.
        #[command(flatten)]
        filter: CallFilter,
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show a call: its input, each effect with its answer, its outcome.
    Show {
        /// The call's id, as a failed call, the log and `calls list` name it; otherwise the latest call.
        call: Option<String>,
    },
    /// Write the records of calls to standard output as JSON lines, oldest first.
    Export {
        /// The calls that are wanted.
        #[command(flatten)]
        filter: CallFilter,
        /// So many at most, the latest.
        #[arg(long, value_name = "N", default_value_t = 1_000_000)]
        limit: usize,
    },
}

/// Which calls are wanted.
#[derive(Args, Clone, Default)]
pub struct CallFilter {
    /// Of this role.
    #[arg(long, value_name = "ROLE", add = ArgValueCompleter::new(complete_roles))]
    pub role: Option<String>,
    /// Of this tool, event or export.
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Those that have failed.
    #[arg(long)]
    pub failed: bool,
    /// Those of the last 30m, 12h or 7d.
    #[arg(long, value_name = "DURATION")]
    pub since: Option<exomonad_config::TimeSpan>,
}

/// A replay of recorded calls.
#[derive(Args)]
pub struct Replay {
    /// The call's id.
    #[arg(required_unless_present = "last", conflicts_with_all = ["last", "role", "tool", "failed", "since"])]
    pub call: Option<String>,
    /// Replay so many calls of a role, the latest.
    #[arg(long, value_name = "N", requires = "role")]
    pub last: Option<usize>,
    /// The calls that are wanted.
    #[command(flatten)]
    pub filter: CallFilter,
    /// Run this plugin, a module or a manifest, in the place of the role's.
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
}

/// The commands for plugins.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// List the plugins that serve, with the files they come from and what is wrong.
    List,
    /// Show what a plugin file imports and exports.
    Inspect {
        /// A module, or a manifest in TOML or JSON.
        file: PathBuf,
    },
    /// Write a project in a language, with a tool and its test. It has all that it needs but the toolchain.
    New(NewPluginArgs),
    /// Build the project in a folder with its own toolchain.
    Build {
        /// The folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Put the module into this folder, in one step: a host may be watching it.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Build a project at each change of its sources, into the plugin folder, and say when the running host serves it.
    Dev {
        /// The project's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// The plugin folder; otherwise the one that the configuration names.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Run the own tests of the project in a folder, or load a plugin file as a role would and check its tools.
    Test {
        /// A project's folder, a module, or a manifest in TOML or JSON.
        #[arg(default_value = ".")]
        file: PathBuf,
    },
    /// Call an export of any Extism plugin. No host is needed.
    Call(PluginCall),
}

/// A project to write.
#[derive(Args)]
pub struct NewPluginArgs {
    /// The plugin's name, which is its role's.
    pub name: RoleName,
    /// The language.
    #[arg(long = "lang", value_name = "LANGUAGE", value_parser = project_languages())]
    pub language: String,
    /// The folder of the project; otherwise one of the plugin's name.
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
}

fn project_languages() -> clap::builder::PossibleValuesParser {
    languages().collect::<Vec<_>>().into()
}

/// A call into a plugin file, with the flags that Extism's own command line has.
#[derive(Args)]
pub struct PluginCall {
    /// A module, or a manifest in TOML or JSON.
    pub file: PathBuf,
    /// The function to call; not with --tool.
    #[arg(required_unless_present = "tool")]
    pub export: Option<String>,
    /// Call this tool of a role plugin, as a host would.
    #[arg(long, value_name = "TOOL", conflicts_with_all = ["input", "stdin"])]
    pub tool: Option<String>,
    /// The tool's arguments: one JSON object, or key=value pairs.
    #[arg(value_name = "JSON|KEY=VALUE", requires = "tool")]
    pub arguments: Vec<String>,
    /// The input.
    #[arg(long, short, conflicts_with = "stdin")]
    pub input: Option<String>,
    /// Read the input from standard input.
    #[arg(long)]
    pub stdin: bool,
    /// A value of the plugin's configuration. `--config KEY=VALUE` does the same here, as it does for
    /// Extism's command line.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// A host that the plugin may reach over HTTP; `*` stands for any part of a name.
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Let the plugin import WASI: clocks, randomness and standard output, no files and no network.
    #[arg(long)]
    pub wasi: bool,
    /// Give up after this many milliseconds.
    #[arg(long, value_name = "MS")]
    pub timeout: Option<u64>,
    /// The most memory, in pages of 64 KiB.
    #[arg(long, value_name = "PAGES")]
    pub memory_max: Option<u64>,
    /// The longest HTTP response, in bytes.
    #[arg(long, value_name = "BYTES")]
    pub http_response_max: Option<u64>,
    /// Call this many times in one sandbox; prints the last answer, and how long the calls took.
    #[arg(long = "loop", value_name = "N", default_value_t = 1)]
    pub times: u32,
}

/// The commands for the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the effective configuration: every key, its value, and where the value comes from.
    Show,
    /// Report every mistake at once, with line and column.
    Check,
    /// Print a configuration file with every key at its default.
    Default,
}

/// The commands for grants.
#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Tell whether a role may perform an effect, and which line of the configuration says so.
    Explain {
        /// The role.
        role: String,
        /// The effect, such as git.status, git_status or GitStatus.
        effect: String,
        /// Its request, a JSON object, to hold against the role's bounds.
        request: Option<String>,
    },
}
