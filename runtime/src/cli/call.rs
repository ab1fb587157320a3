//! `call`, `tools`, `roles` and `plugin list`: on the running host, or in this process.

use std::sync::Arc;

use exomonad_schema::common::{CallToolResult, Content, ListToolsResult};
use exomonad_schema::{CallId, RawJson};
use serde_json::{Map, Value, json};

use super::CommandError;
use super::args::Options;
use super::client::Client;
use super::config::{env, load, load_text_alone};
use super::effects::{print_fields, required_fields};
use super::show::{
    print_json, print_json_text, print_line, print_table, print_text, without_controls,
};
use exomonad_engine::closest;
use exomonad_host::json::sanitize;
use exomonad_host::plugins::reload::Reloader;
use exomonad_host::report::{self, Roles, UsableRole};
use exomonad_host::{Caller, Execution, HostError, Runtime};
use exomonad_telemetry::start_log;

/// The host that does it.
pub enum Host {
    /// One that runs.
    Running(Client),
    /// This process.
    Here(Arc<Runtime>),
}

impl Host {
    /// The running host, or this process if none runs.
    pub async fn find(options: &Options, role: Option<&str>) -> Result<Self, CommandError> {
        let config = load_text_alone(options)?.config;
        if let Some(client) = Client::find(options, &config, role).await? {
            return Ok(Self::Running(client));
        }
        Self::here(options).await
    }

    /// The running host; this process only if that is asked for.
    pub async fn find_running(options: &Options, role: Option<&str>) -> Result<Self, CommandError> {
        if options.local {
            return Self::here(options).await;
        }
        let config = load_text_alone(options)?.config;
        let client = Client::find(options, &config, role).await?;
        client.map(Self::Running).ok_or_else(|| {
            CommandError::Unavailable(format!(
                "no host runs at {}: `exomonad serve` starts one, --url names another",
                config.server.listen
            ))
        })
    }

    async fn here(options: &Options) -> Result<Self, CommandError> {
        let loaded = load(options)?;
        start_log(&loaded.config.log, "error")?;
        let runtime = Runtime::open(loaded.config, env)?;
        Reloader::once(runtime.clone()).await;
        Ok(Self::Here(runtime))
    }

    /// The roles.
    pub async fn roles(&self) -> Result<Roles, CommandError> {
        match self {
            Self::Running(client) => client.get("/roles").await,
            Self::Here(runtime) => Ok(report::roles(runtime)),
        }
    }

    /// The part of a role that the token opens, asked of a host that does not show it all of its roles; `None` in this
    /// process.
    pub async fn usable_role(&self, role: &str) -> Result<Option<UsableRole>, CommandError> {
        match self {
            Self::Running(client) => client.get(&format!("/role/{role}")).await.map(Some),
            Self::Here(_) => Ok(None),
        }
    }
}

/// Runs `call`.
pub async fn tool(
    options: &Options,
    role: &str,
    tool: &str,
    arguments: &[String],
) -> Result<(), CommandError> {
    let arguments = parse_arguments(arguments)?;
    let (json, id) = match Host::find(options, Some(role)).await? {
        Host::Running(client) => {
            let body = json!({"name": tool, "arguments": arguments})
                .to_string()
                .into_bytes();
            let path = format!("/role/{role}/mcp/call");
            let answer = client
                .send(reqwest::Method::POST, &path, Some(body))
                .await?;
            answer.check()?;
            (answer.body, answer.call_id)
        }
        Host::Here(runtime) => {
            let role = runtime.role(role)?;
            let arguments = as_sent(arguments)?;
            let caller = Caller {
                name: Some("cli".to_owned()),
                ..Caller::default()
            };
            let id = CallId::random();
            let called = Execution::new(role, id.clone(), caller)?
                .tool(tool.to_owned(), arguments)
                .await;
            // The process ends soon.
            runtime.journal.flush();
            (called?.json, Some(id.to_string()))
        }
    };
    let result: CallToolResult = serde_json::from_slice(&json).map_err(|error| {
        CommandError::Unavailable(format!("the answer is no tool result: {error}"))
    })?;
    if options.json {
        print_json_text(&json);
    } else {
        print_result(&result);
    }
    if result.is_error {
        if let Some(id) = id {
            errln!("exomonad: this was call {id}");
        }
        Err(CommandError::Failed)
    } else {
        Ok(())
    }
}

/// Arguments as a host reads them in a request.
pub fn as_sent(arguments: Map<String, Value>) -> Result<RawJson, CommandError> {
    let written = Value::Object(arguments).to_string();
    let read = sanitize(written.into()).ok();
    let read = read.and_then(|json| String::from_utf8(json.into()).ok());
    read.and_then(|json| RawJson::from_text(json).ok())
        .ok_or_else(|| CommandError::Usage("the arguments cannot be read".to_owned()))
}

fn print_result(result: &CallToolResult) {
    for content in &result.content {
        let text = match content {
            Content::Text { text } => text.clone(),
            Content::Image { mime_type, data } | Content::Audio { mime_type, data } => {
                format!("[{mime_type}, {} bytes]", data.0.len())
            }
            Content::ResourceLink { uri, name, .. } => format!("[{name}: {uri}]"),
            Content::Resource { resource } => match &resource.text {
                Some(text) => text.clone(),
                None => format!("[{}]", resource.uri),
            },
        };
        if result.is_error {
            errln!("{}", without_controls(&text))
        } else {
            print_text(&text)
        }
    }
}

/// One JSON object, or key=value pairs.
pub fn parse_arguments(arguments: &[String]) -> Result<Map<String, Value>, CommandError> {
    if let [only] = arguments
        && only.trim_start().starts_with('{')
    {
        return serde_json::from_str(only).map_err(|error| {
            CommandError::Usage(format!("the arguments are not a JSON object: {error}"))
        });
    }
    let pairs = arguments.iter().map(|argument| {
        let pair = argument
            .split_once('=')
            .filter(|_| !argument.trim_start().starts_with('{'));
        let (key, value) = pair.ok_or_else(|| {
            CommandError::Usage(match argument.trim_start().starts_with('{') {
                true => format!(
                    "`{argument}` stands beside other arguments: give one JSON object, or key=value pairs, not both"
                ),
                false => format!("`{argument}` is neither a JSON object nor key=value"),
            })
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok((key.to_owned(), value))
    });
    pairs.collect()
}

/// Runs `tools`.
pub async fn tools(options: &Options, role: &str, tool: Option<&str>) -> Result<(), CommandError> {
    let list: ListToolsResult = match Host::find(options, Some(role)).await? {
        Host::Running(client) => client.get(&format!("/role/{role}/mcp/tools")).await?,
        Host::Here(runtime) => {
            let role = runtime.role(role)?;
            let version = role.serving()?;
            ListToolsResult {
                tools: version.tools.iter().map(|tool| tool.tool.clone()).collect(),
            }
        }
    };
    if let Some(name) = tool {
        return show_tool(options, role, name, &list);
    }
    if options.json {
        print_json(&list);
        return Ok(());
    }
    let rows = list.tools.into_iter().map(|tool| {
        let parameters = parameters(&tool.input_schema);
        vec![
            tool.name,
            parameters,
            first_sentence(&tool.description.unwrap_or_default()),
        ]
    });
    print_table(
        &["TOOL", "ARGUMENTS", "DESCRIPTION"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

/// Shows one tool: its description, and its arguments with their types.
fn show_tool(
    options: &Options,
    role: &str,
    name: &str,
    list: &ListToolsResult,
) -> Result<(), CommandError> {
    let Some(tool) = list.tools.iter().find(|tool| tool.name == name) else {
        let names = list.tools.iter().map(|tool| tool.name.as_str());
        let near = closest(name, names).map(str::to_owned);
        let (role, tool) = (role.to_owned(), name.to_owned());
        return Err(HostError::ToolNotFound { role, tool, near }.into());
    };
    if options.json {
        print_json(tool);
        return Ok(());
    }
    print_line(&format!("{}\n", tool.name));
    if let Some(description) = &tool.description {
        print_line(&format!("{}\n", description.trim()));
    }
    print_line("Arguments (those in brackets may be left out)");
    print_fields(&tool.input_schema.parse().unwrap_or_default());
    Ok(())
}

fn first_sentence(text: &str) -> String {
    let paragraph = text
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}

/// The names of a tool's parameters; those that may be left out in brackets.
fn parameters(schema: &RawJson) -> String {
    let schema: Value = schema.parse().unwrap_or_default();
    let required = required_fields(&schema);
    let names = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| match required.contains(&name.as_str()) {
            true => name.clone(),
            false => format!("[{name}]"),
        });
    names.collect::<Vec<_>>().join(" ")
}

/// Runs `roles`.
pub async fn roles(options: &Options) -> Result<(), CommandError> {
    let roles = Host::find(options, None).await?.roles().await?;
    if options.json {
        print_json(&roles);
        return Ok(());
    }
    let rows = roles.roles.into_iter().map(|role| {
        let (source, tools) = match &role.plugin {
            Some(plugin) => (plugin.source.clone(), plugin.tools.join(" ")),
            None => ("-".to_owned(), String::new()),
        };
        let state = match (&role.problem, role.plugin.is_some()) {
            (None, true) => "serves".to_owned(),
            (Some(_), true) => "serves its old version".to_owned(),
            (_, false) => "does not serve".to_owned(),
        };
        vec![role.name, state, source, tools]
    });
    print_table(
        &["ROLE", "STATE", "PLUGIN", "TOOLS"],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

/// Runs `plugin list`: every problem is shown, and makes the command fail.
pub async fn plugins(options: &Options) -> Result<(), CommandError> {
    let roles = Host::find(options, None).await?.roles().await?;
    let problems: Vec<_> = roles
        .roles
        .iter()
        .filter_map(|role| role.problem.clone())
        .chain(roles.ignored.iter().cloned())
        .collect();
    if options.json {
        print_json(&roles);
    } else {
        let rows = roles.roles.iter().map(|role| match &role.plugin {
            Some(plugin) => {
                let digest = plugin.digest.get(..12).unwrap_or_default().to_owned();
                vec![
                    role.name.clone(),
                    plugin.source.clone(),
                    digest,
                    plugin.loaded_at.clone(),
                    snapshot(&plugin.snapshot),
                ]
            }
            None => vec![role.name.clone(), "-".to_owned()],
        });
        print_table(
            &["ROLE", "PLUGIN", "SHA-256", "SERVES SINCE", "SNAPSHOT"],
            &rows.collect::<Vec<_>>(),
        );
        for problem in &problems {
            let line = format!(
                "{}: {}",
                problem.role,
                problem.message.as_deref().unwrap_or(&problem.code)
            );
            errln!("\n{}", without_controls(&line));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(CommandError::Found)
    }
}

/// The snapshot of a plugin, in words.
pub fn snapshot(value: &Value) -> String {
    match value {
        Value::String(word) => word.replace('_', " "),
        other => ["refused", "accepted"]
            .iter()
            .find_map(|word| Some(format!("{word}: {}", other[word].as_str()?)))
            .unwrap_or_else(|| other.to_string()),
    }
}
