//! Rendering for people, in the manner of rustc.

use std::fmt;

use super::{Diagnostic, FilePlace, Place, Severity};

/// How many diagnostics are written out; what is beyond is counted.
const MOST: usize = 50;

/// All of them, one after the other, with their number at the end.
pub(super) fn render(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MOST) {
        text.push_str(&format!("{diagnostic}\n"));
    }
    if let Some(more) = diagnostics.len().checked_sub(MOST).filter(|more| *more > 0) {
        text.push_str(&format!("… and {more} more\n\n"));
    }
    match diagnostics.len() {
        1 => text.push_str("1 mistake in the configuration"),
        count => text.push_str(&format!("{count} mistakes in the configuration")),
    }
    text
}

/// The first one, and how many there are.
pub(super) fn in_one_line(diagnostics: &[Diagnostic]) -> String {
    let Some(first) = diagnostics.first() else {
        return String::new();
    };
    let place = match &first.place {
        Place::File(place) => format!("{}:{}:{}: ", place.file.display(), place.line, place.column),
        Place::Variable { variable } => format!("{variable}: "),
        Place::Nowhere {} => String::new(),
    };
    let help = match &first.help {
        Some(help) => format!("; {help}"),
        None => String::new(),
    };
    let more = match diagnostics.len() {
        1 => String::new(),
        count => format!(" (the first of {count} mistakes)"),
    };
    format!("{place}{}{help}{more}", first.message)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(
            formatter,
            "{severity}[{}]: {}",
            self.code.as_str(),
            self.message
        )?;
        let margin = match &self.place {
            Place::File(place) => render_excerpt(formatter, place)?,
            Place::Variable { variable } => {
                writeln!(formatter, "  --> environment variable {variable}")?;
                1
            }
            Place::Nowhere {} => 1,
        };
        if let Some(help) = &self.help {
            writeln!(formatter, "{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

/// Writes the line with what is meant underlined; gives the width of the margin.
fn render_excerpt(
    formatter: &mut fmt::Formatter<'_>,
    place: &FilePlace,
) -> Result<usize, fmt::Error> {
    let FilePlace {
        file,
        line,
        column,
        excerpt,
    } = place;
    let margin = line.to_string().len();
    writeln!(
        formatter,
        "{:margin$}--> {}:{line}:{column}",
        "",
        file.display()
    )?;
    writeln!(formatter, "{:margin$} |", "")?;
    writeln!(formatter, "{line} | {}", excerpt.text)?;
    let carets = "^".repeat(excerpt.width);
    writeln!(
        formatter,
        "{:margin$} | {:start$}{carets}",
        "",
        "",
        start = excerpt.start
    )?;
    Ok(margin)
}
