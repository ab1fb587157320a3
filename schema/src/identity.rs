//! The names of roles and calls.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::pattern_schema;

/// A role's name: 1 to 64 of `a`–`z`, `0`–`9`, `_`, `-`, not starting with `_` or `-`.
///
/// It stands in URLs, file names and configuration keys, hence the narrow alphabet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RoleName(Arc<str>);

/// The longest role name, in bytes.
const LONGEST_ROLE_NAME: usize = 64;

pattern_schema!(RoleName, r"^[a-z0-9][a-z0-9_-]{0,63}$");

/// A text that is no role name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a role name: {problem}; {}", .text.escape_debug(), Self::HELP)]
pub struct InvalidRoleName {
    text: String,
    /// The mistake, as a clause that ends a sentence.
    pub problem: String,
}

impl InvalidRoleName {
    /// The remedy, as a clause.
    pub const HELP: &str =
        "use lower-case letters, digits, `_` and `-`, such as \"tl\" or \"dev-2\"";
}

impl RoleName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = InvalidRoleName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let problem = if text.is_empty() {
            "a role name can't be empty".to_owned()
        } else if text.len() > LONGEST_ROLE_NAME {
            format!(
                "a role name has at most {LONGEST_ROLE_NAME} characters, this one has {}",
                text.chars().count()
            )
        } else if let Some(bad) = text.chars().find(|c| !u8::try_from(*c).is_ok_and(is_inner)) {
            format!("`{}` can't be in a role name", bad.escape_debug())
        } else if text.starts_with(['_', '-']) {
            "a role name begins with a letter or a digit".to_owned()
        } else {
            return Ok(Self(text.into()));
        };
        Err(InvalidRoleName {
            text: text.to_owned(),
            problem,
        })
    }
}

impl TryFrom<String> for RoleName {
    type Error = InvalidRoleName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for RoleName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RoleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Names one call on this host, in logs, traces, journals and to the guest:
/// 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CallId(Arc<str>);

pattern_schema!(CallId, r"^[!-~]{1,128}$");

/// A text that is no call id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a call id: use 1 to 128 visible ASCII characters")]
pub struct InvalidCallId(String);

impl CallId {
    /// An id that nothing else has: 128 random bits.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // Ids need to differ, not to be secret: without randomness the clock has to do.
        if getrandom::fill(&mut bytes).is_err() {
            let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            return Self::from(since.as_nanos());
        }
        Self::from(u128::from_le_bytes(bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 32 hexadecimal digits.
impl From<u128> for CallId {
    fn from(number: u128) -> Self {
        Self(format!("{number:032x}").into())
    }
}

impl FromStr for CallId {
    type Err = InvalidCallId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid =
            (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCallId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for CallId {
    type Error = InvalidCallId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_name_is_short_lowercase_and_safe_in_a_path() {
        for good in ["tl", "dev-2", "0", "a_b", &"a".repeat(64)] {
            assert_eq!(good.parse::<RoleName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "TL",
            "-a",
            "_a",
            "a/b",
            "..",
            "a b",
            "é",
            &"a".repeat(65),
        ] {
            assert!(bad.parse::<RoleName>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RoleName>("\"../etc\"").is_err());
    }

    #[test]
    fn a_bad_role_name_says_what_is_wrong_with_it() {
        for (bad, says) in [
            ("", "a role name can't be empty"),
            ("Tl", "`T` can't be in a role name"),
            ("../x", "`.` can't be in a role name"),
            ("-x", "a role name begins with a letter or a digit"),
            (
                "0123456789012345678901234567890123456789012345678901234567890123x",
                "at most 64",
            ),
        ] {
            let error = bad.parse::<RoleName>().unwrap_err();
            assert!(error.problem.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn a_call_id_made_from_a_number_is_one_that_parses() {
        let id = CallId::from(u128::MAX);
        assert_eq!(id.as_str().parse::<CallId>().unwrap(), id);
        assert!("".parse::<CallId>().is_err());
        assert!("a b".parse::<CallId>().is_err());
    }
}
