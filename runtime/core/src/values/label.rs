//! [`Label`]: what marks a container as one of a role's own.

use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};

/// A container label, written `"key=value"`, or `"key"` for any value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// The label's key.
    pub key: String,
    /// The value it must have; `None` means any.
    pub value: Option<String>,
}

impl Label {
    /// True if a container's label of this key and value satisfies this one.
    pub fn matches(&self, key: &str, value: &str) -> bool {
        self.key == key && self.value.as_deref().is_none_or(|wanted| wanted == value)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(formatter, "{}={value}", self.key),
            None => formatter.write_str(&self.key),
        }
    }
}

impl FromStr for Label {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(FormatError::new(
                format!("`{}` is not a container label", text.escape_debug()),
                "write \"key=value\", or \"key\" for any value",
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

written_as_text!(Label, "label");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_value_accepts_any() {
        let matches = |label: &str, key: &str, value: &str| {
            label
                .parse::<Label>()
                .is_ok_and(|label| label.matches(key, value))
        };
        assert!(matches("team", "team", "web"));
        assert!(matches("team=web", "team", "web"));
        assert!(matches("q=a=b", "q", "a=b"));
        assert!(!matches("team=", "team", "web"));
        assert!(!matches("team=web", "team", "ops"));
        assert!("=x".parse::<Label>().is_err());
        assert!("a b".parse::<Label>().is_err());
    }
}
