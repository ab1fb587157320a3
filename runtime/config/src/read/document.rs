//! TOML text to a tree in which each value knows where it was written.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::diagnostic_sink::DiagnosticSink;
use crate::diagnostic::Code;
use crate::key::KeyPath;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In an environment variable.
    Variable(&'static str),
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub origin: Origin,
    pub content: Content,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Boolean(bool),
    /// `None` if it is beyond 64 bits.
    Integer(Option<i64>),
    List(Vec<Node>),
    Table(Vec<Entry>),
    Text(String),
    /// A value that no key takes: a float, a date. The words complete "it is …".
    Other(&'static str),
}

/// A key, its value, and where the key was written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_origin: Origin,
    pub value: Node,
}

impl Content {
    /// To complete "it is …".
    pub fn name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Text(_) => "text",
            Self::Other(name) => name,
        }
    }
}

/// Parses as much as can be, and reports each syntax error.
///
/// A table header that is not understood sends the keys below it to the wrong table. Nothing said
/// about those would help, so the tree is empty then.
pub(super) fn parse(text: &str, sink: &mut DiagnosticSink<'_>) -> Node {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |range| range.start));
    let mut headers_hold = true;
    let mut last_line = 0;
    for error in &errors {
        let range = error.span().unwrap_or(0..0);
        let line = sink.source().line_of(range.start);
        // What follows the first error of a line is mostly its consequence.
        if line == last_line {
            continue;
        }
        last_line = line;
        let line_text = sink.source().line(line).trim_start();
        let is_duplicate = error.message() == "duplicate key";
        headers_hold &= is_duplicate || !line_text.starts_with('[');

        // A list that is not closed takes in the lines after it, each of them a mistake to it.
        let before = &text[..text.floor_char_boundary(range.start)];
        let begins_line = before
            .rsplit('\n')
            .next()
            .is_none_or(|before| before.trim().is_empty());
        let is_next_entry = line_text.starts_with('[') || line_text.contains('=');
        let list_runs_on =
            error.message().starts_with("missing comma") && begins_line && is_next_entry;
        let help = if list_runs_on {
            Some("the list before this line is not closed: add `]`".to_owned())
        } else if is_duplicate {
            Some("it is there already; keep one of them".to_owned())
        } else {
            None
        };
        sink.error_at(
            &Origin::File(range),
            KeyPath::default(),
            Code::Syntax,
            error.message(),
            help,
        );
        if list_runs_on {
            headers_hold = false;
            break;
        }
    }
    let origin = Origin::File(root.span());
    let entries = if headers_hold {
        entries(root.get_ref())
    } else {
        Vec::new()
    };
    Node {
        origin,
        content: Content::Table(entries),
    }
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<(usize, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let entry = Entry {
                key: key.get_ref().to_string(),
                key_origin: Origin::File(key.span()),
                value: node(value),
            };
            (key.span().start, entry)
        })
        .collect();
    // The parser sorts keys by name; mistakes are reported in the order of the file.
    entries.sort_by_key(|(start, _)| *start);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Text(text.to_string()),
        DeValue::Integer(integer) => Content::Integer(number(integer)),
        DeValue::Float(_) => Content::Other("a number with a fraction"),
        DeValue::Boolean(value) => Content::Boolean(*value),
        DeValue::Datetime(_) => Content::Other("a date"),
        DeValue::Array(items) => Content::List(items.iter().map(node).collect()),
        DeValue::Table(table) => Content::Table(entries(table)),
    };
    Node {
        origin: Origin::File(value.span()),
        content,
    }
}

fn number(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
