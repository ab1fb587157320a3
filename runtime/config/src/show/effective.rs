//! `exomonad config show`: what is in force, what each key means, and where its value comes from.

use toml_edit::TableLike;

use super::table::{absent, assignment, comment, to_document, values};
use crate::model::Config;
use crate::read::{Source, Sources};
use crate::schema::Shape;

/// The effective configuration as TOML that loads to the same [`Config`] again. Each key has its
/// description before it, and where its value comes from behind it if it is not the default.
/// Roles come last, without descriptions: their keys are those of `[defaults]`.
pub fn render_effective(config: &Config, sources: &Sources) -> String {
    let document = to_document(config);
    let mut writer = Writer {
        sources,
        text: String::new(),
    };
    for (name, item) in document.iter() {
        let Some((shape, table)) = Shape::root().key(name).zip(item.as_table_like()) else {
            continue;
        };
        if shape.keys().next().is_some() {
            writer.table(&[name], table, shape, true);
            continue;
        }
        for (entry, item) in table.iter() {
            if let Some((shape, table)) = shape.key(entry).zip(item.as_table_like()) {
                writer.table(&[name, entry], table, shape, name != "role");
            }
        }
    }
    writer.text
}

struct Writer<'a> {
    sources: &'a Sources,
    text: String,
}

impl Writer<'_> {
    fn table(&mut self, names: &[&str], table: &dyn TableLike, shape: Shape, described: bool) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        if let Some(description) = shape.description().filter(|_| described) {
            self.text.push_str(&comment(description));
        }
        self.text.push_str(&format!("[{}]\n", names.join(".")));
        for (key, item) in values(table, shape) {
            if let Some(description) = shape
                .key(key)
                .and_then(Shape::description)
                .filter(|_| described)
            {
                self.text.push_str(&comment(description));
            }
            let source = self.sources.of(names.iter().copied().chain([key]));
            self.text.push_str(&assignment(key, item));
            self.text.push_str(&self.remark(source));
            self.text.push('\n');
        }
        for (key, shape) in absent(table, shape).into_iter().filter(|_| described) {
            self.text
                .push_str(&comment(shape.description().unwrap_or_default()));
            self.text.push_str(&format!("# {key} is not set\n"));
        }
        for (key, shape) in shape
            .keys()
            .filter(|(_, shape)| shape.keys().next().is_some())
        {
            if let Some(inner) = table.get(key).and_then(|item| item.as_table_like()) {
                let names: Vec<&str> = names.iter().copied().chain([key]).collect();
                self.table(&names, inner, shape, described);
            }
        }
    }

    fn remark(&self, source: Source) -> String {
        match source {
            Source::Default => String::new(),
            Source::File { line } => format!(
                "  # {}:{line}",
                self.sources.file().display().to_string().escape_debug()
            ),
            Source::Variable(name) => format!("  # {name}"),
        }
    }
}
