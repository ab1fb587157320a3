//! [`KeyPath`]: the full name of a key, such as `role.tl.effects[2]`.

use std::fmt;

/// The full name of a key or of an item in a list, in the file's own spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The key of these names, outermost first.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| Step::Key(name.to_owned()))
                .collect(),
        )
    }

    /// The key `name` in the table that this is the key of.
    pub fn key(&self, name: &str) -> Self {
        self.step(Step::Key(name.to_owned()))
    }

    /// The item at `index`, from 0, of the list that this is the key of.
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The table or list that this is in; `None` for the whole file.
    pub fn parent(&self) -> Option<Self> {
        let (_, outer) = self.0.split_last()?;
        Some(Self(outer.to_vec()))
    }

    /// The last name of the key; `None` for the whole file and for an item of a list.
    pub fn name(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(name) => Some(name),
            Step::Index(_) => None,
        }
    }

    /// True if this is `outer` or something in it.
    pub fn is_in(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }

    /// How a message calls the table that this is the key of: `[role.tl]`, `the top level`.
    pub fn as_table(&self) -> String {
        if self.0.is_empty() {
            "the top level of the file".to_owned()
        } else {
            format!("[{self}]")
        }
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Key(name) => {
                    let dot = if position == 0 { "" } else { "." };
                    write!(formatter, "{dot}{}", quoted_if_needed(name))?;
                }
            }
        }
        Ok(())
    }
}

/// A key as TOML has it: bare if it can be, else in quotes.
pub(crate) fn quoted_if_needed(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare {
        name.to_owned()
    } else {
        format!("\"{}\"", name.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_as_it_is_written_in_the_file() {
        let key = KeyPath::of(["role", "tl", "config"]).key("a b").index(2);
        assert_eq!(key.to_string(), "role.tl.config.\"a b\"[2]");
        assert!(key.is_in(&KeyPath::of(["role"])));
        assert!(!KeyPath::of(["roles"]).is_in(&KeyPath::of(["role"])));
        assert_eq!(KeyPath::default().as_table(), "the top level of the file");
    }
}
