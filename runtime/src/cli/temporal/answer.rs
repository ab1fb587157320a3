//! Answers of effects on the command line: JSON for programs, lines and tables for people.

use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use serde::Serialize;
use serde_json::Value;

use super::{Server, failed};
use crate::cli::CommandError;
use crate::cli::show::{print_json, print_table};

/// Prints the answer of an effect that changes something and has nothing to tell.
pub fn done(
    server: &Server,
    answer: Result<Done, EffectError>,
    says: &str,
) -> Result<(), CommandError> {
    let done = answer.map_err(failed)?;
    match server.json {
        true => print_json(&done),
        false => outln!("{says}"),
    }
    Ok(())
}

/// Prints an answer as lines, a field each; what is empty or absent is left out.
pub fn fields(server: &Server, answer: &impl Serialize) {
    if server.json {
        return print_json(answer);
    }
    let answer = serde_json::to_value(answer).unwrap_or_default();
    let mut rows = Vec::new();
    collect("", &answer, &mut rows);
    print_table(&["FIELD", "VALUE"], &rows);
}

fn collect(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let is_empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    match value {
        _ if is_empty => {}
        // The workflow itself within its description.
        Value::Object(fields) if name.is_empty() || name == "workflow" => {
            for (name, value) in fields {
                collect(name, value, rows);
            }
        }
        Value::String(text) => rows.push(vec![name.to_owned(), text.clone()]),
        other => rows.push(vec![name.to_owned(), other.to_string()]),
    }
}

/// Prints a page: in JSON as it is, otherwise a table and the way to the next page.
pub fn page(
    server: &Server,
    answer: &impl Serialize,
    header: &[&str],
    rows: &[Vec<String>],
    next: Option<&str>,
) {
    if server.json {
        return print_json(answer);
    }
    print_table(header, rows);
    if let Some(next) = next {
        outln!("there are more: --after {next}");
    }
}
