//! The JSON Schema of the file, generated from the model, and what the checker asks of it.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::model::Config;
use exomonad_core::values;

/// The JSON Schema (2020-12) of `exomonad.toml`, for editors.
///
/// Beyond the standard keywords, `format` names this crate's textual forms, and `x-minimum` and
/// `x-maximum` bound sizes and durations.
pub fn json_schema() -> Value {
    GENERATED.clone()
}

// Inlined, so that whoever walks it meets no `$ref`.
static GENERATED: LazyLock<Value> = LazyLock::new(|| {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
});

/// A part of the schema: what one table, list or value may be.
#[derive(Clone, Copy)]
pub(crate) struct Shape(&'static Value);

/// The kinds of value that TOML and the schema both know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    List,
    Table,
    Text,
}

impl Shape {
    /// The whole file.
    pub fn root() -> Self {
        Self(&GENERATED)
    }

    fn text_of(self, keyword: &str) -> Option<&'static str> {
        self.0.get(keyword)?.as_str()
    }

    fn properties(self) -> Option<&'static Map<String, Value>> {
        self.0.get("properties")?.as_object()
    }

    /// The doc comment.
    pub fn description(self) -> Option<&'static str> {
        self.text_of("description")
    }

    /// An example value, where there is one.
    pub fn example(self) -> Option<&'static Value> {
        self.0.get("examples")?.get(0)
    }

    /// The keys a table may have, in alphabetical order; none if its keys are free.
    pub fn keys(self) -> impl Iterator<Item = (&'static str, Self)> {
        self.properties()
            .into_iter()
            .flatten()
            .map(|(name, shape)| (name.as_str(), Self(shape)))
    }

    /// The shape of a table's value under a key; `None` if it may not have that key.
    pub fn key(self, name: &str) -> Option<Self> {
        match self.properties() {
            Some(properties) => properties.get(name).map(Self),
            None => self.entry(),
        }
    }

    /// The shape of each value of a table with free keys.
    fn entry(self) -> Option<Self> {
        let entry = self.0.get("additionalProperties")?;
        entry.is_object().then_some(Self(entry))
    }

    /// The format of the keys of a table with free keys.
    pub fn key_format(self) -> Option<&'static str> {
        self.text_of("x-key-format")
    }

    /// The shape of a list's items.
    pub fn item(self) -> Option<Self> {
        self.0.get("items").map(Self)
    }

    /// Which of our textual forms a text must have.
    pub fn format(self) -> Option<&'static str> {
        self.text_of("format")
    }

    /// The values of a closed list, each a text.
    pub fn choices(self) -> Vec<&'static str> {
        // schemars writes variants with a description as `oneOf` constants, others as one `enum`.
        let list = |keyword| {
            self.0
                .get(keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let described = list("oneOf").filter_map(|choice| choice.get("const"));
        list("enum")
            .chain(described)
            .filter_map(Value::as_str)
            .collect()
    }

    /// The smallest and largest integer.
    pub fn integer_range(self) -> (Option<i64>, Option<i64>) {
        let bound = |keyword| self.0.get(keyword).and_then(Value::as_i64);
        (bound("minimum"), bound("maximum"))
    }

    /// The smallest and largest size or duration, as text.
    pub fn quantity_range(self) -> (Option<&'static str>, Option<&'static str>) {
        (self.text_of("x-minimum"), self.text_of("x-maximum"))
    }

    /// True if a value of this kind may stand here.
    pub fn allows(self, kind: Kind) -> bool {
        let name = match kind {
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::List => "array",
            Kind::Table => "object",
            Kind::Text => "string",
        };
        match self.0.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(several)) => several.iter().any(|each| each == name),
            _ => kind == Kind::Text && !self.choices().is_empty(),
        }
    }

    /// The expected value, to complete "expected …".
    pub fn expected(self) -> String {
        if let Some(described) = self.format().and_then(values::describe) {
            return described.to_owned();
        }
        let choices = self.choices();
        if !choices.is_empty() {
            return format!("one of {}", quoted_list(&choices));
        }
        let plain = [
            (Kind::Boolean, "true or false"),
            (Kind::Integer, "a whole number"),
            (Kind::Table, "a table"),
            (Kind::List, "a list"),
        ];
        plain
            .iter()
            .find(|(kind, _)| self.allows(*kind))
            .map_or("text in quotes", |(_, words)| words)
            .to_owned()
    }
}

/// `"a", "b"`.
pub(crate) fn quoted_list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `visit` with every part of the schema that a key names.
    fn visit_keys(shape: Shape, path: &str, visit: &mut impl FnMut(&str, Shape)) {
        for (name, inner) in shape.keys() {
            let path = format!("{path}.{name}");
            visit(&path, inner);
            visit_keys(inner, &path, visit);
        }
        if let Some(entry) = shape.entry() {
            visit_keys(entry, path, visit);
        }
    }

    #[test]
    fn every_key_has_a_description() {
        visit_keys(Shape::root(), "", &mut |path, shape| {
            assert!(shape.description().is_some(), "{path}");
        });
    }

    #[test]
    fn every_integer_is_bounded_and_every_bound_of_a_quantity_parses() {
        visit_keys(Shape::root(), "", &mut |path, shape| {
            if shape.allows(Kind::Integer) && shape.format() != Some("byte-size") {
                let (least, most) = shape.integer_range();
                assert!(
                    least.is_some() && most.is_some_and(|most| most <= i64::from(u32::MAX)),
                    "{path}"
                );
            }
            let (least, most) = shape.quantity_range();
            for bound in [least, most].into_iter().flatten() {
                let format = shape.format().unwrap_or_default();
                assert!(["byte-size", "time-span"].contains(&format), "{path}");
                assert_eq!(values::check(format, bound), Ok(()), "{path}");
            }
        });
    }

    #[test]
    fn every_part_says_what_may_stand_there() {
        visit_keys(Shape::root(), "", &mut |path, shape| {
            let kinds = [
                Kind::Boolean,
                Kind::Integer,
                Kind::List,
                Kind::Table,
                Kind::Text,
            ];
            assert!(
                kinds.iter().any(|kind| shape.allows(*kind)),
                "{path}: {:?}",
                shape.0
            );
            if shape.allows(Kind::List) {
                assert!(shape.item().is_some(), "{path}");
            }
        });
    }
}
