//! Errors of loading a plugin and of calling it.

use std::time::Duration;

use crate::units;

/// The reason why the engine refuses to load a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest itself is wrong; the message names its file.
    #[error("{0}")]
    Manifest(String),
    /// A file that the manifest names could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The bytes differ from those that the manifest specifies.
    #[error("module `{module}` has the SHA-256 {actual}, but the manifest says {expected}")]
    Digest {
        /// The module's name in the manifest.
        module: String,
        /// The digest that the manifest states, in hexadecimal.
        expected: String,
        /// The digest of the bytes that were read.
        actual: String,
    },
    /// Content that is neither a WebAssembly binary nor WebAssembly text.
    #[error("{module} is not valid WebAssembly: {content}")]
    NotWebAssembly {
        /// `the module`, or its name if the manifest has several.
        module: String,
        /// A description of the content.
        content: String,
    },
    /// A truncated WebAssembly module, or one that fails validation.
    #[error("module `{module}` is not valid WebAssembly: {reason}")]
    Invalid {
        /// The module's name in the manifest.
        module: String,
        /// The message of the parser or validator, with the byte offset.
        reason: String,
    },
    /// A component instead of a core module.
    #[error(
        "module `{module}` is a WebAssembly component; this engine runs core modules (build for wasm32-unknown-unknown or a wasi preview 1 reactor)"
    )]
    Component {
        /// The module's name in the manifest.
        module: String,
    },
    /// Imports that neither the host nor another module of the manifest provides.
    #[error("nothing provides {}", .0.join("; "))]
    UnknownImports(
        /// One entry per import: its source, with the nearest name that exists.
        Vec<String>,
    ),
    /// Imports of WASI, which is not allowed.
    #[error(
        "module `{module}` imports {count} {} of WASI (`wasi_snapshot_preview1`), which is not allowed: {first}",
        if *.count == 1 { "function" } else { "functions" }
    )]
    WasiNotAllowed {
        /// The importing module.
        module: String,
        /// The number of imported functions.
        count: usize,
        /// The first of them, separated by commas.
        first: String,
    },
    /// An import whose type differs from that of the imported item.
    #[error("import `{import}` of module `{module}` has the type {found}, but it is {expected}")]
    ImportType {
        /// The importing module.
        module: String,
        /// `module::name` of the import.
        import: String,
        /// The type that the module declares.
        found: String,
        /// The type of the imported item.
        expected: String,
    },
    /// A module uses a name that is reserved for the engine.
    #[error(
        "module `{module}` exports `{export}`: names that begin with `exomonad:` belong to the engine"
    )]
    ReservedName {
        /// The module's name in the manifest.
        module: String,
        /// The export.
        export: String,
    },
    /// The module is valid, but the compiler or the sandbox's fixed limits reject it.
    #[error("the module cannot be prepared: {0}")]
    Prepare(String),
    /// It begins with more memory or table elements than its calls may have.
    #[error("{0}")]
    InitialSize(InitialSizeError),
    /// Compiling it takes more than it may: time, memory or output.
    #[error("the module cannot be compiled: {0}")]
    Compile(String),
}

/// A plugin that begins with more than a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialSizeError {
    /// [`Limit::Memory`] or [`Limit::TableElements`].
    pub limit: Limit,
    /// The bytes or elements that the plugin begins with.
    pub needed: u64,
    /// The limit's value.
    pub value: u64,
}

impl InitialSizeError {
    /// The sizes, and the configuration key that sets the limit.
    #[must_use]
    pub fn set_by(&self, key: &str) -> String {
        let shown = |value: u64| match self.limit {
            Limit::TableElements => format!("{value} table elements"),
            _ => format!("{} of {}", units::bytes(value), self.limit.key()),
        };
        format!(
            "the plugin begins with {}, more than the limit of {}; `{key}` sets it",
            shown(self.needed),
            shown(self.value)
        )
    }
}

impl std::fmt::Display for InitialSizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.set_by(&format!("limits.{}", self.limit.key())))
    }
}

/// A limit of a call. Its [`key`](Limit::key) is the setting's name under a role's `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Time from the call's start to its end, including waiting.
    WallTime,
    /// Bytes of all of the sandbox's memories together.
    Memory,
    /// Elements of one table.
    TableElements,
    /// Bytes of stack.
    Stack,
    /// Bytes of input.
    Input,
    /// Bytes of output.
    Output,
    /// Effects performed in one call.
    Effects,
    /// Bytes logged in one call.
    LogBytes,
    /// Bytes of the plugin's variables.
    Vars,
    /// Bytes of one HTTP response.
    HttpResponse,
}

impl Limit {
    /// The name of the setting, which is `limits.<key>` in a role of the configuration.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::WallTime => "wall_time",
            Self::Memory => "memory",
            Self::TableElements => "table_elements",
            Self::Stack => "stack",
            Self::Input => "input",
            Self::Output => "output",
            Self::Effects => "effects",
            Self::LogBytes => "log_bytes",
            Self::Vars => "vars",
            Self::HttpResponse => "http_response",
        }
    }
}

/// An exceeded limit, with the value that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The limit.
    pub limit: Limit,
    /// Its value: milliseconds for [`Limit::WallTime`], bytes or a count for the others.
    pub value: u64,
}

impl LimitExceeded {
    /// The exceeded limit, and the configuration key that sets it.
    #[must_use]
    pub fn set_by(&self, key: &str) -> String {
        let name = self.limit.key().replace('_', " ");
        let value = self.value;
        let exceeded = match self.limit {
            Limit::WallTime => {
                let time = Duration::from_millis(value);
                format!("the {name} limit of {time:?} was hit")
            }
            Limit::Effects => format!("the limit of {value} effects per call was hit"),
            Limit::TableElements => format!("the limit of {value} table elements was hit"),
            _ => format!("the {name} limit of {} was hit", units::bytes(value)),
        };
        format!("{exceeded}; `{key}` sets it")
    }
}

impl std::fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.set_by(&format!("limits.{}", self.limit.key())))
    }
}

/// A call that ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The plugin has no such export, or it is not a function.
    #[error("the plugin exports no function `{export}`; it exports {}", list(.exports))]
    UnknownExport {
        /// The name that was asked for.
        export: String,
        /// The functions that can be called.
        exports: Vec<String>,
    },
    /// The export is a function, but not an entry point.
    #[error(
        "`{export}` has the type {signature}; an entry point takes no parameters and returns nothing or one integer"
    )]
    Signature {
        /// The name that was asked for.
        export: String,
        /// Its type in WebAssembly's notation.
        signature: String,
    },
    /// The guest reported a failure: by `error_set`, by a return code, or both.
    #[error("{message}")]
    Guest {
        /// The argument of `error_set`, or a sentence that names the return code and the end of what the
        /// guest wrote before.
        message: String,
        /// The function's return code.
        code: i32,
    },
    /// The guest trapped.
    #[error("the guest trapped: {message}")]
    Trap {
        /// The trap, its backtrace, and the end of what the guest wrote before.
        message: String,
    },
    /// A host function refused the guest's request: a forged offset, a host that is not allowed.
    #[error("{message}")]
    Refused {
        /// The request and the reason of the refusal.
        message: String,
    },
    /// The guest exited by WASI's `proc_exit` with a code other than 0, and wrote nothing before. One that
    /// did is a [`Guest`](Self::Guest) with that text.
    #[error("the guest exited with code {0}")]
    Exit(i32),
    /// The call exceeded a limit.
    #[error("{0}")]
    Limit(LimitExceeded),
    /// Every sandbox is in use.
    #[error("no sandbox is free: {0}")]
    Busy(String),
}

impl CallError {
    /// The return code that Extism's command line would report.
    #[must_use]
    pub fn return_code(&self) -> i32 {
        match self {
            Self::Guest { code, .. } => *code,
            Self::Exit(code) => *code,
            // Failures that end the guest by a trap; 134 is how a shell reports an aborted process.
            Self::Trap { .. } => 134,
            Self::Limit(hit) if matches!(hit.limit, Limit::WallTime | Limit::Stack) => 134,
            _ => -1,
        }
    }
}

/// The names that a list in a message has at most, and the bytes of each.
const MOST_NAMES: usize = 50;
const MOST_OF_NAME: usize = 200;

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown = names.iter().take(MOST_NAMES);
    let mut shown: Vec<String> = shown
        .map(|name| units::clipped(name, MOST_OF_NAME))
        .collect();
    if names.len() > MOST_NAMES {
        shown.push(format!("and {} more", names.len() - MOST_NAMES));
    }
    shown.join(", ")
}
