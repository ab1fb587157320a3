//! [`RoleName`]: what a role is called in URLs, files and logs.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};

/// The name of a role: `[a-z0-9][a-z0-9_-]{0,63}`.
///
/// Safe as a URL segment, as a file name on every system and as a bare TOML key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

/// The longest name, in bytes.
const LONGEST: usize = 64;

impl RoleName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RoleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RoleName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RoleName {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let problem = if text.is_empty() {
            "a role name can't be empty".to_owned()
        } else if text.len() > LONGEST {
            format!(
                "a role name has at most {LONGEST} characters, this one has {}",
                text.chars().count()
            )
        } else if let Some(bad) = text.chars().find(|c| !u8::try_from(*c).is_ok_and(is_inner)) {
            format!("`{}` can't be in a role name", bad.escape_debug())
        } else if text.starts_with(['_', '-']) {
            "a role name begins with a letter or a digit".to_owned()
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(FormatError::new(
            problem,
            "use lower-case letters, digits, `_` and `-`, such as \"tl\" or \"dev-2\"",
        ))
    }
}

written_as_text!(RoleName, "role-name");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bad_name_says_what_is_wrong_with_it() {
        let problem = |text: &str| text.parse::<RoleName>().map_err(|error| error.problem);
        assert!(problem("tl").is_ok());
        assert!(problem("0_a-b").is_ok());
        assert_eq!(problem(""), Err("a role name can't be empty".to_owned()));
        assert_eq!(problem("Tl"), Err("`T` can't be in a role name".to_owned()));
        assert_eq!(
            problem("../x"),
            Err("`.` can't be in a role name".to_owned())
        );
        assert_eq!(
            problem("-x"),
            Err("a role name begins with a letter or a digit".to_owned())
        );
        assert!(problem(&"x".repeat(64)).is_ok());
        assert!(problem(&"x".repeat(65)).is_err());
    }

    proptest! {
        #[test]
        fn exactly_the_names_of_the_rule_are_accepted(name in "[a-z0-9][a-z0-9_-]{0,63}", text: String) {
            prop_assert!(name.parse::<RoleName>().is_ok());
            if let Ok(accepted) = text.parse::<RoleName>() {
                prop_assert!(accepted.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)));
            }
        }
    }
}
