//! The contract between the exomonad host and its guests.
//!
//! A guest decides; the host acts. Everything that a guest may request from the host is
//! an *effect*, and [`table`] is the only place where one is declared: its name,
//! its request, its answer, the service that performs it and whether it
//! changes anything. From that table come
//!
//! - [`EffectKind`] and [`Effect`], the effects as names and as values;
//! - the macros [`services!`] and [`methods!`], of which the host makes one trait per service, so that an
//!   effect added to the table does not compile until its service has the method;
//! - JSON Schemas, the reference and every guest language's bindings
//!   (`gen-types`, feature `generate`).
//!
//! | module | subject |
//! |---|---|
//! | [`table`] | the effects |
//! | [`effects`] | their request and answer types, one file per service |
//! | [`effect`] | [`EffectRequest`] and [`Access`], implemented by the table's macro |
//! | [`error`] | [`ErrorCode`], [`EffectError`], [`Answer`] |
//! | [`identity`] | the names of roles and calls |
//! | [`common`] | messages of tools and hooks, and the plugin's description |
//! | [`value`] | scalars with validation: bounded numbers and texts, bytes, raw JSON |
//!
//! # JSON conventions
//!
//! Unions are adjacently tagged (`{"kind":…,"payload":…}`), fields are
//! camelCase, enumerated values snake_case. A request with an unknown field is
//! refused. An absent optional is left out; one that is `null` is as if absent. Times are milliseconds,
//! sizes bytes, and a name says so (`unixMillis`, `maxBytes`).

mod effect_macro;

pub mod common;
mod decode;
pub mod effect;
pub mod effects;
pub mod error;
#[cfg(feature = "generate")]
pub mod generate;
pub mod identity;
mod nulls;
pub mod table;
pub mod value;

pub use common::{Context, HookEvent};
pub use decode::decode;
pub use effect::{Access, EffectRequest};
pub use error::{Answer, EffectError, ErrorCode};
pub use identity::{CallId, RoleName};
pub use nulls::from_slice;
pub use table::{Effect, EffectKind, Service};
pub use value::{Base64, BoundedInt, BoundedText, RawJson, RepoName};
