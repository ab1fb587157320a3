//! `workflow`: runs of workflows, of a running host.
//!
//! | module | subject |
//! |---|---|
//! | [`args`] | the arguments |
//! | [`runs`] | start, list, show, history, and what is sent to a run |
//! | [`schedule`] | what starts runs at given times |
//! | [`tail`] | a run, or everything, as it happens |
//! | [`timeline`] | a run's history over time |
//! | [`text`] | moments and time spans |

pub mod args;
mod runs;
pub mod schedule;
mod tail;
mod text;
mod timeline;

use std::io::Read;

use exomonad_schema::RawJson;
use form_urlencoded::Serializer;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::args::{RunName, WorkflowCommand};
use super::args::Options;
use super::calls::encoded;
use super::client::Client;
use super::config::load_text_alone;
use super::{CommandError, of_code};

/// Bytes of JSON that are read from a file or from standard input; the host takes less.
const LARGEST_INPUT: u64 = 64 << 20;

/// Runs a command.
pub async fn run(options: &Options, command: WorkflowCommand) -> Result<(), CommandError> {
    use WorkflowCommand as Command;
    match command {
        Command::Start {
            role,
            workflow,
            input,
            id,
            wait,
        } => runs::start(options, &role, workflow, input, id, wait).await,
        Command::List {
            role,
            workflow,
            id,
            status,
            limit,
        } => {
            runs::list(
                options,
                &runs::Listed {
                    role,
                    workflow,
                    id,
                    status,
                    limit,
                },
            )
            .await
        }
        Command::Show { run, rows } => runs::show(options, &run, rows).await,
        Command::History { run } => runs::history(options, &run).await,
        Command::Tail {
            id,
            role,
            workflow,
            steps,
        } => match id {
            Some(id) => tail::run(options, &RunName { id, role }).await,
            None => tail::all(options, role.as_deref(), workflow.as_deref(), steps).await,
        },
        Command::Signal {
            run,
            name,
            payload,
            request_id,
        } => runs::signal(options, &run, name, payload, request_id).await,
        Command::Query {
            run,
            name,
            arguments,
        } => runs::query(options, &run, name, arguments).await,
        Command::Cancel { run } => runs::cancel(options, &run).await,
        Command::Terminate { run, reason } => runs::terminate(options, &run, reason).await,
        Command::Repair { run, repair } => runs::repair(options, &run, repair).await,
        Command::Move { id, role, .. } => match id {
            Some(id) => runs::move_one(options, &RunName { id, role }).await,
            None => runs::move_all(options, role.unwrap_or_default()).await,
        },
        Command::Schedule { command } => schedule::run(options, command).await,
    }
}

/// The running host. Workflows are nobody else's.
async fn host(options: &Options, role: Option<&str>) -> Result<Client, CommandError> {
    if options.local {
        return Err(CommandError::Usage(
            "workflows run in a host: `--local` cannot reach one".to_owned(),
        ));
    }
    let config = load_text_alone(options)?.config;
    let client = Client::find(options, &config, role).await?;
    client.ok_or_else(|| {
        CommandError::Unavailable(format!(
            "no host runs at {}; `exomonad serve` starts one, and --url names another",
            config.server.listen
        ))
    })
}

/// JSON of the command line: the text, a file behind `@`, or standard input.
pub(super) fn json(option: &str, given: Option<&str>) -> Result<RawJson, CommandError> {
    let Some(given) = given else {
        return Ok(RawJson::default());
    };
    let read = |from: &mut dyn Read, name: &str| {
        let mut text = String::new();
        let failed = |reason: String| CommandError::Usage(format!("{option}: {name}: {reason}"));
        from.take(LARGEST_INPUT + 1)
            .read_to_string(&mut text)
            .map_err(|error| failed(error.to_string()))?;
        match text.len() as u64 > LARGEST_INPUT {
            true => Err(failed(format!("it has more than {LARGEST_INPUT} bytes"))),
            false => Ok(text),
        }
    };
    let text = match given.strip_prefix('@') {
        _ if given == "-" => read(&mut std::io::stdin().lock(), "standard input")?,
        None => given.to_owned(),
        Some(path) => {
            let file = std::fs::File::open(path);
            let mut file =
                file.map_err(|error| CommandError::Usage(format!("{option}: {path}: {error}")))?;
            read(&mut file, path)?
        }
    };
    RawJson::from_text(text.trim().to_owned()).map_err(|error| {
        let hint = match given {
            "-" => "",
            _ if given.starts_with('@') => "",
            _ => "; a text wants quotes: '\"text\"'",
        };
        CommandError::Usage(format!("{option} is not JSON: {error}{hint}"))
    })
}

/// A route with its parameters.
fn path<'a>(route: &str, query: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut written = Serializer::new(String::new());
    for (name, value) in query {
        if let Some(value) = value {
            written.append_pair(name, value);
        }
    }
    match written.finish() {
        query if query.is_empty() => route.to_owned(),
        query => format!("{route}?{query}"),
    }
}

/// The path of what is about one run.
fn of_run(run: &RunName, what: &str) -> String {
    let route = format!("/workflows/{}{what}", encoded(&run.id));
    path(&route, [("role", run.role.as_deref())])
}

/// Posts a document, and gives the one that comes back.
async fn post<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<T, CommandError> {
    let body = body.map(serde_json::to_vec).transpose();
    let body = body.map_err(|error| CommandError::Usage(error.to_string()))?;
    let answer = client.send(Method::POST, path, body).await?;
    answer.check()?;
    serde_json::from_slice(&answer.body).map_err(|error| client.foreign(&error))
}

/// A word of the command line as a value that has bounds.
pub(super) fn word<T: TryFrom<String>>(what: &str, word: String) -> Result<T, CommandError>
where
    T::Error: std::fmt::Display,
{
    T::try_from(word).map_err(|error| of_code("invalid_input", format!("{what}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_given_as_text_or_in_a_file_and_what_is_none_is_told() {
        assert_eq!(json("--input", None).unwrap().get(), "null");
        assert_eq!(
            json("--input", Some(r#" {"a": 1}"#)).unwrap().get(),
            r#"{"a": 1}"#
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input.json");
        std::fs::write(&file, "[1]\n").unwrap();
        let name = format!("@{}", file.display());
        assert_eq!(json("--input", Some(&name)).unwrap().get(), "[1]");
        for (given, says) in [
            ("text", "wants quotes"),
            ("@/nowhere/at/all", "--input: /nowhere/at/all: No such file"),
        ] {
            let error = json("--input", Some(given)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_id_of_any_characters_stays_one_part_of_the_path() {
        let run = RunName {
            id: "a/b ?c&d=é".to_owned(),
            role: Some("t l".to_owned()),
        };
        assert_eq!(
            of_run(&run, "/signal"),
            "/workflows/a%2Fb%20%3Fc%26d%3D%C3%A9/signal?role=t+l"
        );
    }
}
