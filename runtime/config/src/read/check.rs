//! The tree compared with the schema: each value that does not fit is reported and left out.

use serde_json::{Map, Value};

use super::diagnostic_sink::DiagnosticSink;
use super::document::{Content, Entry, Node};
use crate::diagnostic::Code;
use crate::key::KeyPath;
use crate::schema::{Kind, Shape, quoted_list};
use exomonad_core::values::{self, ByteSize, TimeSpan};

/// Checks the whole file; gives what fits.
pub(super) fn check_document(document: &Node, sink: &mut DiagnosticSink<'_>) -> Value {
    check_value(Shape::root(), document, &KeyPath::default(), sink).unwrap_or_default()
}

/// Checks one value; gives it, or `None` if it is not to be used.
pub(super) fn check_value(
    shape: Shape,
    node: &Node,
    key: &KeyPath,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Value> {
    match &node.content {
        Content::Table(entries) if shape.allows(Kind::Table) => {
            Some(Value::Object(check_table(shape, entries, key, sink)))
        }
        Content::List(items) if shape.allows(Kind::List) => {
            let item_shape = shape.item()?;
            let fitting = items.iter().enumerate().filter_map(|(index, item)| {
                let key = key.index(index);
                sink.note_origin(key.clone(), item.origin.clone());
                check_value(item_shape, item, &key, sink)
            });
            Some(Value::Array(fitting.collect()))
        }
        Content::Boolean(value) if shape.allows(Kind::Boolean) => Some(Value::Bool(*value)),
        Content::Integer(value) if shape.allows(Kind::Integer) => {
            check_integer(shape, *value, node, key, sink)
        }
        Content::Text(text) if shape.allows(Kind::Text) => check_text(shape, text, node, key, sink),
        other => {
            let message = format!(
                "`{key}` must be {}, but it is {}",
                shape.expected(),
                other.name()
            );
            sink.error_at(
                &node.origin,
                key.clone(),
                Code::WrongType,
                message,
                how_to_fix(shape, other),
            );
            None
        }
    }
}

/// The fix, where the value shows what was meant.
fn how_to_fix(shape: Shape, content: &Content) -> Option<String> {
    match content {
        Content::Text(text) if shape.allows(Kind::List) => {
            Some(format!("put it in brackets: [{text:?}]"))
        }
        Content::Text(text) if shape.allows(Kind::Boolean) => {
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some("write it without quotes: true".to_owned()),
                "false" | "no" | "off" | "0" => Some("write it without quotes: false".to_owned()),
                _ => None,
            }
        }
        Content::Text(text) if shape.allows(Kind::Integer) => text
            .trim()
            .parse::<i64>()
            .ok()
            .map(|number| format!("write it without quotes: {number}")),
        Content::Integer(Some(number)) if shape.format() == Some("time-span") => Some(format!(
            "add the unit: \"{number}s\" for seconds, \"{number}ms\" for milliseconds"
        )),
        Content::Integer(Some(number)) if shape.allows(Kind::Text) => {
            Some(format!("put it in quotes: \"{number}\""))
        }
        Content::Boolean(value) if shape.allows(Kind::Text) => {
            Some(format!("put it in quotes: \"{value}\""))
        }
        _ => None,
    }
}

fn check_table(
    shape: Shape,
    entries: &[Entry],
    table: &KeyPath,
    sink: &mut DiagnosticSink<'_>,
) -> Map<String, Value> {
    let mut fitting = Map::new();
    for entry in entries {
        let key = table.key(&entry.key);
        let Some(value_shape) = shape.key(&entry.key) else {
            report_unknown(shape, entry, table, sink);
            continue;
        };
        if let Some(Err(error)) = shape
            .key_format()
            .map(|format| values::check(format, &entry.key))
        {
            sink.error_at(
                &entry.key_origin,
                key,
                Code::InvalidName,
                error.problem,
                Some(error.help),
            );
            continue;
        }
        // A table begins at its name, any other value stands for itself.
        let origin = match entry.value.content {
            Content::Table(_) => &entry.key_origin,
            _ => &entry.value.origin,
        };
        sink.note_origin(key.clone(), origin.clone());
        if let Some(value) = check_value(value_shape, &entry.value, &key, sink) {
            fitting.insert(entry.key.clone(), value);
        }
    }
    fitting
}

fn report_unknown(shape: Shape, entry: &Entry, table: &KeyPath, sink: &mut DiagnosticSink<'_>) {
    let name = &entry.key;
    let known: Vec<&str> = shape.keys().map(|(known, _)| known).collect();
    // A key that exists one level further in was most likely meant for there.
    let inner = shape
        .keys()
        .find(|(_, inner)| inner.keys().any(|(key, _)| key == name));
    let help = if let Some((section, _)) = inner {
        format!("`{name}` belongs in {}", table.key(section).as_table())
    } else if let Some(near) = nearest(name, known.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if let Some((section, _)) = Shape::root()
        .keys()
        .find(|(_, section)| section.keys().any(|(key, _)| key == name))
    {
        format!("`{name}` belongs in [{section}]")
    } else {
        format!("{} can have {}", table.as_table(), known.join(", "))
    };
    let message = format!(
        "there is no key `{}` in {}",
        name.escape_debug(),
        table.as_table()
    );
    sink.error_at(
        &entry.key_origin,
        table.key(name),
        Code::UnknownKey,
        message,
        Some(help),
    );
}

/// The name that `misspelled` most likely stands for.
pub(super) fn nearest<'a>(
    misspelled: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const ALIKE: f64 = 0.6;
    // The comparison takes time and memory in proportion; nobody misspells a name into this.
    const LONGEST: usize = 64;
    if misspelled.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(misspelled, name),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

fn check_integer(
    shape: Shape,
    value: Option<i64>,
    node: &Node,
    key: &KeyPath,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Value> {
    if shape.format() == Some("byte-size") {
        let Some(count) = value.and_then(|value| u64::try_from(value).ok()) else {
            let problem = if value.is_some() {
                "can't be negative"
            } else {
                "is too large"
            };
            sink.error_at(
                &node.origin,
                key.clone(),
                Code::OutOfRange,
                format!("`{key}` {problem}"),
                None,
            );
            return None;
        };
        return check_text(shape, &ByteSize::bytes(count).to_string(), node, key, sink);
    }
    let (least, most) = shape.integer_range();
    let within = value.filter(|value| {
        least.is_none_or(|least| *value >= least) && most.is_none_or(|most| *value <= most)
    });
    if within.is_none() {
        let shown = value.map_or_else(
            || "a number beyond 64 bits".to_owned(),
            |value| value.to_string(),
        );
        let range = describe_range(least, most);
        sink.error_at(
            &node.origin,
            key.clone(),
            Code::OutOfRange,
            format!("`{key}` must be {range}, but it is {shown}"),
            None,
        );
    }
    within.map(Value::from)
}

fn check_text(
    shape: Shape,
    text: &str,
    node: &Node,
    key: &KeyPath,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Value> {
    let choices = shape.choices();
    if !choices.is_empty() && !choices.contains(&text) {
        let message = format!("`{key}` can't be {text:?}");
        let help = match nearest(text, choices.iter().copied()) {
            Some(near) => format!("did you mean {near:?}? It can be {}", quoted_list(&choices)),
            None => format!("it can be {}", quoted_list(&choices)),
        };
        sink.error_at(
            &node.origin,
            key.clone(),
            Code::InvalidValue,
            message,
            Some(help),
        );
        return None;
    }
    let Some(format) = shape.format() else {
        return Some(text.into());
    };
    if let Err(error) = values::check(format, text) {
        let message = format!("`{key}`: {}", error.problem);
        sink.error_at(
            &node.origin,
            key.clone(),
            Code::InvalidValue,
            message,
            Some(error.help),
        );
        return None;
    }
    let (least, most) = shape.quantity_range();
    let in_range = match format {
        "byte-size" => is_within::<ByteSize>(text, least, most),
        "time-span" => is_within::<TimeSpan>(text, least, most),
        _ => true,
    };
    if !in_range {
        let message = format!(
            "`{key}` must be {}, but it is {}",
            describe_range(least, most),
            text.trim()
        );
        sink.error_at(&node.origin, key.clone(), Code::OutOfRange, message, None);
        return None;
    }
    Some(text.into())
}

fn is_within<T: std::str::FromStr + PartialOrd>(
    text: &str,
    least: Option<&str>,
    most: Option<&str>,
) -> bool {
    let parse = |text: &str| text.parse::<T>().ok();
    let Some(value) = parse(text) else {
        return false;
    };
    least.and_then(parse).is_none_or(|least| value >= least)
        && most.and_then(parse).is_none_or(|most| value <= most)
}

fn describe_range<T: std::fmt::Display>(least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("between {least} and {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "a number of 64 bits".to_owned(),
    }
}
