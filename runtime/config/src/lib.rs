//! Loading, checking and showing `exomonad.toml`.
//!
//! An operator who gets the configuration wrong should learn all of it at once, each mistake with
//! its place and what to do about it; one who wonders what is in force should see every value with
//! where it came from. Both rest on one source: the structs in `model`, whose doc comments become
//! the JSON Schema, the messages, `exomonad config show` and `exomonad.default.toml`.
//!
//! The way through, in the order it is taken:
//!
//! - `model`: the sections of the file and the effective [`Config`];
//! - `read`: text → tree with positions → checked against the schema → merged with environment
//!   and defaults → rules that concern several keys;
//! - `diagnostic`: what is reported about a mistake, for people and for machines;
//! - `show`: the effective configuration and the documented default file, written out;
//! - `trust`: what a file that is merely found in the working directory may not set by itself;
//! - `tokens`: bearer tokens, which the configuration names but never holds.

mod diagnostic;
mod key;
mod model;
mod read;
mod schema;
mod show;
mod tokens;
pub mod trust;

pub use diagnostic::{Code, ConfigErrors, Diagnostic, Excerpt, FilePlace, Place, Severity};
pub use exomonad_core::values::{
    Attribute, ByteSize, EffectPattern, Endpoint, FormatError, HostPattern, Label, ListenAddress,
    Origin, PluginRef, Ratio, RepoPattern, RoleName, TimeSpan,
};
pub use exomonad_core::{SecretError, SecretSource, header_pairs};
pub use model::{
    AuditConfig, Config, EngineConfig, InstanceMode, JournalConfig, JournalMode, JwtAlgorithm,
    Limits, LogConfig, LogFormat, McpConfig, OauthConfig, OtlpProtocol, PluginsConfig, Role,
    ServerConfig, Signal, SnapshotMode, StateConfig, TelemetryConfig, WorkflowBackend,
    WorkflowsConfig,
};
pub use read::{DockerEnvironment, Loaded, Source, Sources, VARIABLES, Variable};
pub use schema::json_schema;
pub use show::{default_file, render_effective};
pub use tokens::Tokens;
