//! The files of each agent, and the entries that belong in them.

use exomonad_host::agents::Agent;
use exomonad_schema::common::HookEvent;
use serde_json::{Value, json};

/// The settings of the entries.
pub struct Settings {
    /// The role; `None` to remove the entries of all.
    pub role: Option<String>,
    /// The events that its plugin handles.
    pub hooks: Vec<HookEvent>,
    /// The words with which a command begins.
    pub program: Vec<String>,
    /// The way to the role's tools.
    pub transport: Transport,
}

/// The way from an agent to a role's tools.
pub enum Transport {
    /// The agent starts a command, and talks to it by standard input and output.
    Stdio,
    /// The agent talks to the host itself.
    Http {
        /// The role's address.
        url: String,
        /// True if the host wants a token, which the agent then takes from its environment.
        has_token: bool,
    },
}

/// A file of an agent.
pub struct AgentFile {
    /// Its path in the project.
    pub path: &'static str,
    /// Its language.
    pub format: Format,
    /// The entries that belong in it.
    pub entries: Vec<Entry>,
}

/// The language of a file.
pub enum Format {
    /// JSON, with or without comments.
    Json,
    /// TOML.
    Toml,
    /// A file that is ours as a whole.
    Whole,
}

/// An entry in a file.
pub enum Entry {
    /// A server, under its name in a table of servers.
    Server {
        /// The table's key.
        table: &'static str,
        /// The server's name.
        name: String,
        /// The value under it.
        value: Value,
    },
    /// A command in the list of an event's hooks. `hooks` is the table's key.
    Hook {
        /// The event.
        event: &'static str,
        /// The command.
        command: String,
        /// The element of the list.
        value: Value,
    },
    /// A key that the file has to have.
    Key {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: Value,
    },
    /// The file's whole text.
    Text(String),
}

/// The beginning of the names of our servers.
pub const SERVER_PREFIX: &str = "exomonad-";

/// Files and folders by which a project shows that it is worked on with an agent.
pub const fn signs(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::Claude => &[".claude", ".mcp.json", "CLAUDE.md"],
        Agent::Codex => &[".codex"],
        Agent::Gemini => &[".gemini", "GEMINI.md"],
        Agent::Cursor => &[".cursor"],
        Agent::Opencode => &[".opencode", "opencode.json", "opencode.jsonc"],
    }
}

/// The next step in an agent after its files are written.
pub const fn next(agent: Agent) -> &'static str {
    match agent {
        Agent::Claude => {
            "claude                start it here; it asks once for the server in .mcp.json"
        }
        Agent::Codex => {
            "codex                 start it here, trust the project, and look at /hooks: it asks for new ones"
        }
        Agent::Gemini => "gemini                start it here; the folder has to be trusted",
        Agent::Cursor => {
            "cursor                open the project, and enable the server under Settings, MCP"
        }
        Agent::Opencode => "opencode              start it here",
    }
}

/// The files of an agent.
pub fn files(agent: Agent, settings: &Settings) -> Vec<AgentFile> {
    let file = |path, format, entries| AgentFile {
        path,
        format,
        entries,
    };
    let server = |table| server(agent, settings, table);
    let matched = |command: &str| {
        let hook = json!({"type": "command", "command": command});
        json!({"matcher": "*", "hooks": [hook]})
    };
    match agent {
        Agent::Claude => vec![
            file(".mcp.json", Format::Json, server("mcpServers")),
            file(
                ".claude/settings.json",
                Format::Json,
                hooks(agent, settings, matched),
            ),
        ],
        Agent::Codex => vec![
            file(".codex/config.toml", Format::Toml, server("mcp_servers")),
            file(
                ".codex/hooks.json",
                Format::Json,
                hooks(agent, settings, matched),
            ),
        ],
        Agent::Gemini => {
            let mut entries = server("mcpServers");
            entries.extend(hooks(agent, settings, matched));
            vec![file(".gemini/settings.json", Format::Json, entries)]
        }
        Agent::Cursor => {
            let mut entries = hooks(agent, settings, |command| json!({"command": command}));
            if !entries.is_empty() {
                let (name, value) = ("version", json!(1));
                entries.insert(0, Entry::Key { name, value });
            }
            vec![
                file(".cursor/mcp.json", Format::Json, server("mcpServers")),
                file(".cursor/hooks.json", Format::Json, entries),
            ]
        }
        Agent::Opencode => {
            vec![
                file("opencode.json", Format::Json, server("mcp")),
                file(
                    ".opencode/plugin/exomonad.js",
                    Format::Whole,
                    opencode_plugin(settings),
                ),
            ]
        }
    }
}

fn server(agent: Agent, settings: &Settings, table: &'static str) -> Vec<Entry> {
    // To remove, the table alone is looked at.
    let role = settings.role.as_deref().unwrap_or_default();
    let value = match &settings.transport {
        Transport::Stdio => {
            let mut words = settings.program.clone();
            words.extend(["mcp", "--role", role].map(str::to_owned));
            match agent {
                Agent::Opencode => json!({"type": "local", "command": words, "enabled": true}),
                _ => json!({"command": words.first(), "args": words.get(1..)}),
            }
        }
        Transport::Http { url, has_token } => http_server(agent, url, *has_token),
    };
    vec![Entry::Server {
        table,
        name: format!("{SERVER_PREFIX}{role}"),
        value,
    }]
}

/// A server by its address. A token stays in the agent's environment: the files are committed.
fn http_server(agent: Agent, url: &str, has_token: bool) -> Value {
    let bearer = |variable: &str| json!({"Authorization": format!("Bearer {variable}")});
    let (mut value, credentials, credential) = match agent {
        Agent::Claude => (
            json!({"type": "http", "url": url}),
            "headers",
            bearer("${EXOMONAD_TOKEN}"),
        ),
        Agent::Codex => (
            json!({"url": url}),
            "bearer_token_env_var",
            json!("EXOMONAD_TOKEN"),
        ),
        Agent::Gemini => (
            json!({"httpUrl": url}),
            "headers",
            bearer("${EXOMONAD_TOKEN}"),
        ),
        Agent::Cursor => (
            json!({"url": url}),
            "headers",
            bearer("${env:EXOMONAD_TOKEN}"),
        ),
        Agent::Opencode => (
            json!({"type": "remote", "url": url, "enabled": true}),
            "headers",
            bearer("{env:EXOMONAD_TOKEN}"),
        ),
    };
    if has_token {
        value[credentials] = credential;
    }
    value
}

fn hooks(agent: Agent, settings: &Settings, value: impl Fn(&str) -> Value) -> Vec<Entry> {
    let Some(role) = &settings.role else {
        return Vec::new();
    };
    let events = agent.events_for(&settings.hooks).map(|event| {
        let command = format!(
            "{} hook {} --agent {} --role {role}",
            settings.program.join(" "),
            event.name,
            agent.name()
        );
        Entry::Hook {
            event: event.name,
            value: value(&command),
            command,
        }
    });
    events.collect()
}

/// opencode's hooks are functions in its own process: this one asks by the command, as other agents do.
fn opencode_plugin(settings: &Settings) -> Vec<Entry> {
    let Some(role) = &settings.role else {
        return Vec::new();
    };
    let events = Agent::Opencode.events_for(&settings.hooks);
    let events: Vec<_> = events.map(|event| event.name).collect();
    if events.is_empty() {
        return Vec::new();
    }
    let text = include_str!("opencode.js")
        .replace("[\"PROGRAM\"]", &json!(settings.program).to_string())
        .replace("\"ROLE\"", &json!(role).to_string())
        .replace("[\"EVENTS\"]", &json!(events).to_string());
    vec![Entry::Text(text)]
}
