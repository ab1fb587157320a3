//! `init`: makes the coding agents of a project use a role, by the agents' own configuration files.
//!
//! | module | subject |
//! |---|---|
//! | `agents` | the files of each agent, and the entries that belong in them |
//! | `edit` | an entry in a file's text, which keeps everything else as it is |
//! | `files` | reading and replacing files of the project |

mod agents;
mod edit;
mod files;

use exomonad_config::{Config, RoleName};
use exomonad_host::agents::Agent;
use exomonad_schema::common::HookEvent;

use self::agents::{Settings, Transport};
use self::edit::Change;
use self::files::{Project, Replacement};
use super::CommandError;
use super::args::{InitArgs, Options};
use super::call::Host;
use super::client::{base_url, token};
use super::config::load_text_alone;

/// Runs `init`.
pub async fn run(options: &Options, arguments: &InitArgs) -> Result<(), CommandError> {
    let project = Project::open(&arguments.directory)?;
    let agents = chosen(&project, arguments)?;
    let settings = match arguments.remove {
        true => Settings {
            role: arguments.role.clone(),
            hooks: Vec::new(),
            program: Vec::new(),
            transport: Transport::Stdio,
        },
        false => settings(options, arguments).await?,
    };
    // All is worked out before anything is written: a file that cannot be read stops it as a whole.
    let mut replacements = Vec::new();
    for agent in &agents {
        for file in agents::files(*agent, &settings) {
            let before = project.read(file.path)?;
            let edited = match arguments.remove {
                true => edit::remove(&file, before.as_deref(), settings.role.as_deref()),
                false => edit::add(&file, before.as_deref()),
            };
            let (after, changes) =
                edited.map_err(|why| CommandError::Usage(format!("{}: {why}", file.path)))?;
            replacements.push((
                Replacement {
                    path: file.path,
                    before,
                    after,
                },
                changes,
            ));
        }
    }
    if !arguments.remove
        && let Some(text) = first_configuration(&project, options, &settings)?
    {
        let replacement = Replacement {
            path: "exomonad.toml",
            before: None,
            after: Some(text),
        };
        replacements.push((
            replacement,
            vec![Change::Added("the role's grants, as they are".to_owned())],
        ));
    }
    let would = if arguments.dry_run { "would be " } else { "" };
    let mut is_same = true;
    for (replacement, changes) in &replacements {
        if !replacement.is_change() {
            continue;
        }
        is_same = false;
        if !arguments.dry_run {
            project.replace(replacement)?;
        }
        for change in changes {
            let (did, what) = match change {
                Change::Added(what) => ("added", what),
                Change::Replaced(what) => ("replaced", what),
                Change::Removed(what) => ("removed", what),
            };
            outln!("{}: {what} {would}{did}", replacement.path);
        }
    }
    if is_same {
        outln!("nothing to do: everything is as it should be");
    } else if !arguments.remove && !arguments.dry_run {
        print_next(&agents, &settings);
    }
    Ok(())
}

/// The agents that were asked for, or else those that the project has files of.
fn chosen(project: &Project, arguments: &InitArgs) -> Result<Vec<Agent>, CommandError> {
    let named = arguments.agent.iter().map(|name| Agent::from_name(name));
    let named: Vec<Agent> = named.collect::<Result<_, _>>()?;
    if !named.is_empty() {
        return Ok(named);
    }
    if arguments.remove {
        return Ok(Agent::ALL.to_vec());
    }
    let found = Agent::ALL.iter().copied();
    let found: Vec<Agent> = found
        .filter(|agent| agents::signs(*agent).iter().any(|sign| project.has(sign)))
        .collect();
    match found.is_empty() {
        false => Ok(found),
        true => {
            let names: Vec<_> = Agent::ALL.iter().map(|agent| agent.name()).collect();
            Err(CommandError::Usage(format!(
                "the project has no files of a coding agent: name one, such as --agent claude (there are {})",
                names.join(", ")
            )))
        }
    }
}

/// The role and the hooks that its plugin handles, for these agents.
async fn settings(options: &Options, arguments: &InitArgs) -> Result<Settings, CommandError> {
    let host = Host::find(options, arguments.role.as_deref()).await?;
    let (role, hooks) = role_and_hooks(&host, arguments).await?;
    let hooks = hooks.iter().filter_map(|name| HookEvent::from_name(name));
    Ok(Settings {
        hooks: hooks.collect(),
        program: program(options)?,
        transport: match arguments.http {
            false => Transport::Stdio,
            true => {
                let config = load_text_alone(options)?.config;
                let base = base_url(options, &config);
                if base.contains('@') {
                    return Err(CommandError::Usage(
                        "the address has a user or a password in it, which files of the project would hold: \
                         leave that out"
                            .to_owned(),
                    ));
                }
                Transport::Http {
                    url: format!("{base}/role/{role}/mcp"),
                    has_token: token(options, &config, Some(&role)).is_some(),
                }
            }
        },
        role: Some(role),
    })
}

/// The role that is meant, and the events that its plugin handles.
async fn role_and_hooks(
    host: &Host,
    arguments: &InitArgs,
) -> Result<(String, Vec<String>), CommandError> {
    let roles = match (host.roles().await, &arguments.role) {
        // The list of all roles is the operator's; a caller's token opens its own.
        (Err(refused @ CommandError::Refused(_)), Some(role)) => {
            return match host.usable_role(role).await? {
                Some(role) => Ok((role.name, role.hooks)),
                None => Err(refused),
            };
        }
        (Err(CommandError::Refused(why)), None) => {
            return Err(CommandError::Refused(format!(
                "{why}; or --role names the role that the token opens"
            )));
        }
        (roles, _) => roles?.roles,
    };
    let names = || {
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        names.join(", ")
    };
    let role = match &arguments.role {
        Some(wanted) => roles.iter().find(|role| role.name == *wanted),
        None if roles.len() == 1 => roles.first(),
        None => {
            return Err(CommandError::Usage(format!(
                "which role? --role names it (there are {})",
                names()
            )));
        }
    };
    let role = role.ok_or_else(|| {
        let wanted = arguments.role.as_deref().unwrap_or_default();
        CommandError::Refused(format!(
            "there is no role `{wanted}` (there are {})",
            names()
        ))
    })?;
    let Some(plugin) = &role.plugin else {
        let problem = role.problem.as_ref();
        let why = problem.and_then(|problem| problem.message.clone());
        return Err(CommandError::Refused(format!(
            "the plugin of role `{}` does not serve{}",
            role.name,
            why.map(|why| format!(": {why}")).unwrap_or_default()
        )));
    };
    Ok((role.name.clone(), plugin.hooks.clone()))
}

/// The program with the options by which it finds the host.
fn program(options: &Options) -> Result<Vec<String>, CommandError> {
    let mut program = vec!["exomonad".to_owned()];
    for config in &options.config {
        program.extend(["--config".to_owned(), config.clone()]);
    }
    if let Some(url) = &options.url {
        program.extend(["--url".to_owned(), url.clone()]);
    }
    // A shell reads the commands of hooks.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=".contains(&byte);
    match program.iter().find(|word| !word.bytes().all(is_plain)) {
        None => Ok(program),
        Some(word) => Err(CommandError::Usage(format!(
            "`{word}` has characters that a shell takes for its own: use a path and an address without them"
        ))),
    }
}

/// A configuration that grants what the role is granted now, for a project that has none.
fn first_configuration(
    project: &Project,
    options: &Options,
    settings: &Settings,
) -> Result<Option<String>, CommandError> {
    let (Some(role), true) = (
        &settings.role,
        options.config.is_empty() && options.url.is_none(),
    ) else {
        return Ok(None);
    };
    if project.has("exomonad.toml") {
        return Ok(None);
    }
    let config: Config = load_text_alone(options)?.config;
    let granted = role
        .parse::<RoleName>()
        .ok()
        .and_then(|role| config.role(&role).map(|role| role.effects.clone()))
        .unwrap_or_else(|| config.defaults.effects.clone());
    let effects: Vec<String> = granted
        .iter()
        .map(|effect| format!("    {:?},\n", effect.to_string()))
        .collect();
    Ok(Some(format!(
        "# What the roles of this project may do. `exomonad config default` shows every key, `exomonad effects` every\n\
         # effect, and `exomonad policy explain {role} EFFECT` what this role may do.\n\n\
         [plugins]\n# Plugins that are not listed here are roles, too.\nunlisted_roles = true\n\n\
         [role.{role}]\neffects = [\n{}]\n",
        effects.concat()
    )))
}

fn print_next(agents: &[Agent], settings: &Settings) {
    outln!("\nNext:");
    outln!("  exomonad serve        start the host, and leave it running");
    for agent in agents {
        outln!("  {}", agents::next(*agent));
    }
    if !settings.hooks.is_empty() {
        outln!(
            "While no host runs, what a hook guards is denied. `--on-failure allow` in a hook's command lets it pass."
        );
    }
}
