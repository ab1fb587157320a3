//! Diagnostics about a configuration: each mistake with its place and what to do about it.

mod place;
mod report;

pub(crate) use place::SourceText;
pub use place::{Excerpt, FilePlace, Place};

use serde::{Serialize, Serializer};

/// One mistake, or one thing that is allowed but likely not meant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    /// Its severity: a warning leaves the configuration usable.
    pub severity: Severity,
    /// The kind of mistake; stable, for machines.
    pub code: Code,
    /// The mistake, in one clause.
    pub message: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The full key it concerns, such as `role.tl.limits.memory`; absent if it concerns none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where the value was written.
    #[serde(flatten)]
    pub place: Place,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The host does not start with this.
    Error,
    /// The host starts, but this is likely not what was meant.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The kinds of mistake. A code keeps its meaning for good.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// The code as it is printed and serialised.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

codes! {
    /// The file is missing, unreadable, too large or not UTF-8.
    UnreadableFile = "unreadable_file",
    /// The text is not TOML.
    Syntax = "syntax",
    /// There is no such key.
    UnknownKey = "unknown_key",
    /// A value of another type belongs here.
    WrongType = "wrong_type",
    /// The value is of the right type but malformed.
    InvalidValue = "invalid_value",
    /// The value is too small or too large.
    OutOfRange = "out_of_range",
    /// A role name breaks the rule for names.
    InvalidName = "invalid_name",
    /// A pattern grants no effect that exists.
    UnknownEffect = "unknown_effect",
    /// Two keys, each fine, can't both hold.
    Conflict = "conflict",
    /// Other machines could use the host without a token.
    ExposedWithoutToken = "exposed_without_token",
    /// A token can't be read or used.
    Token = "token",
    /// A file or folder is not what it has to be.
    Path = "path",
    /// Something is granted whose bounds leave nothing to reach.
    UselessGrant = "useless_grant",
    /// A value has no effect, or a weaker one than it seems.
    Ineffective = "ineffective",
    /// A protection is weakened.
    Insecure = "insecure",
    /// A file that is merely found in the working directory reaches out of its project.
    Untrusted = "untrusted",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Every mistake in a configuration, in the order of the file.
///
/// `Display` renders them for a terminal, `Serialize` as a JSON array.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{}", report::render(diagnostics))]
pub struct ConfigErrors {
    /// The mistakes; never empty, each of [`Severity::Error`].
    pub diagnostics: Vec<Diagnostic>,
}

impl ConfigErrors {
    /// The first mistake with what to do about it, in one line: for who reads the last line of a log.
    pub fn in_one_line(&self) -> String {
        report::in_one_line(&self.diagnostics)
    }
}
