//! Rendering of templates.

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;

use crate::generate::case;

/// Renders a template. A line that holds only a block leaves nothing behind, so
/// that a template has the layout of its output.
pub fn render(template: &str, view: &impl Serialize) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.add_filter("prefixed", prefixed);
    environment.add_filter("snake", |name: String| case::snake(&name));
    environment.add_filter("pascal", |name: String| case::pascal(&name));
    environment.template_from_str(template)?.render(Serde(view))
}

/// Puts `prefix` before each line of a comment: `{{ doc | prefixed("/// ") }}`. A different prefix for the
/// first line is the second argument: `{{ doc | prefixed("-- ", "-- | ") }}`.
fn prefixed(lines: Vec<String>, prefix: &str, first: Option<&str>) -> String {
    let line = |(nth, line): (usize, &String)| {
        let prefix = first.filter(|_| nth == 0).unwrap_or(prefix);
        format!("{prefix}{line}").trim_end().to_owned()
    };
    lines
        .iter()
        .enumerate()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}
