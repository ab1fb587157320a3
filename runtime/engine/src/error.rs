//! What can go wrong: a plugin that does not load, a call that does not answer.

use std::time::Duration;

/// A plugin that the engine refuses to load, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest itself is wrong.
    #[error("manifest: {0}")]
    Manifest(String),
    /// A file that the manifest names could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are not those the manifest promised.
    #[error("module `{module}` has the SHA-256 {actual}, but the manifest says {expected}")]
    Digest {
        /// The module's name in the manifest.
        module: String,
        /// The digest that the manifest states, in hexadecimal.
        expected: String,
        /// The digest of the bytes that were read.
        actual: String,
    },
    /// Not a WebAssembly module, a truncated one, or one that fails validation.
    #[error("module `{module}` is not valid WebAssembly: {reason}")]
    Invalid {
        /// The module's name in the manifest.
        module: String,
        /// What the parser or validator said, with the byte offset.
        reason: String,
    },
    /// A component where a core module is wanted.
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
        /// One entry an import: where it is from, with the nearest name that exists.
        Vec<String>,
    ),
    /// An import whose type is not that of what it names.
    #[error("import `{import}` of module `{module}` has the type {found}, but it is {expected}")]
    ImportType {
        /// The importing module.
        module: String,
        /// `module::name` of the import.
        import: String,
        /// The type that the module declares.
        found: String,
        /// The type of what the import names.
        expected: String,
    },
    /// A module uses a name that the engine keeps for itself.
    #[error(
        "module `{module}` exports `{export}`: names that begin with `exomonad:` belong to the engine"
    )]
    ReservedName {
        /// The module's name in the manifest.
        module: String,
        /// The export.
        export: String,
    },
    /// The module is valid, but the compiler or the sandbox's fixed limits refuse it.
    #[error("the module cannot be prepared: {0}")]
    Prepare(String),
}

/// Which limit a call hit. Its [`key`](Limit::key) is the setting's name under a role's `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Time from the call's start to its end, waiting included.
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
    /// The name of the setting, as `limits.<key>` in a role of the configuration.
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

/// A limit together with the value that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// Which limit.
    pub limit: Limit,
    /// Its value: milliseconds for [`Limit::WallTime`], bytes or a count for the others.
    pub value: u64,
}

impl LimitHit {
    /// What was hit, and the key of the configuration that sets it.
    #[must_use]
    pub fn set_by(&self, key: &str) -> String {
        let what = self.limit.key().replace('_', " ");
        let value = self.value;
        let hit = match self.limit {
            Limit::WallTime => {
                let time = Duration::from_millis(value);
                format!("the {what} limit of {time:?} was hit")
            }
            Limit::Effects => format!("the limit of {value} effects per call was hit"),
            Limit::TableElements => format!("the limit of {value} table elements was hit"),
            _ => format!("the {what} limit of {value} bytes was hit"),
        };
        format!("{hit}; `{key}` sets it")
    }
}

impl std::fmt::Display for LimitHit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.set_by(&format!("limits.{}", self.limit.key())))
    }
}

/// A call that ended without an answer.
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
    /// The export is a function, but not one that can be called from outside.
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
        /// What `error_set` was given, or a sentence that names the return code.
        message: String,
        /// The function's return code.
        code: i32,
    },
    /// The guest trapped.
    #[error("the guest trapped: {message}")]
    Trap {
        /// The trap and the functions it came from.
        message: String,
    },
    /// A host function refused what the guest asked of it: a forged offset, a host that is not allowed.
    #[error("{message}")]
    Refused {
        /// What was refused, and why.
        message: String,
    },
    /// The guest ended itself by WASI's `proc_exit` with a code other than 0.
    #[error("the guest exited with code {0}")]
    Exit(i32),
    /// A limit ended the call.
    #[error("{0}")]
    Limit(LimitHit),
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
            // What ends the guest by a trap; 134 is how a shell reports an aborted process.
            Self::Trap { .. } => 134,
            Self::Limit(hit) if matches!(hit.limit, Limit::WallTime | Limit::Stack) => 134,
            _ => -1,
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
