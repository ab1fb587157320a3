//! The contract between the exomonad host and its guests.
//!
//! A guest decides; the host acts. Everything that a guest may request from the host is
//! an *effect*, and [`table`] is the only place where one is declared: its name,
//! its request, its answer, the service that performs it and whether it
//! changes anything. From that table come
//!
//! - [`EffectKind`] and [`Effect`], the effects as names and as values;
//! - one trait per service ([`GitService`], [`KvService`], …), so that an effect
//!   added to the table does not compile until its service has the method;
//! - [`Services::dispatch`], from request JSON to answer JSON;
//! - JSON Schemas, the reference and every guest language's bindings
//!   (`gen-types`, feature `generate`).
//!
//! | module | subject |
//! |---|---|
//! | [`table`] | the effects |
//! | [`effects`] | their request and answer types, one file per service |
//! | [`effect`] | [`EffectRequest`] and [`Access`], implemented by the table's macro |
//! | [`error`] | [`ErrorCode`], [`EffectError`], [`Answer`] |
//! | [`dispatch`] | decoding, performing, encoding; [`EffectHandler`], the seam for layers |
//! | [`call`] | who is calling and within which bounds |
//! | [`names`] | patterns of grants, and hosts that are this machine |
//! | [`common`] | messages of tools and hooks, and the plugin's description |
//! | [`value`] | scalars with validation: bounded numbers and texts, bytes, raw JSON |
//!
//! # JSON conventions
//!
//! Unions are adjacently tagged (`{"kind":…,"payload":…}`), fields are
//! camelCase, enumerated values snake_case. A request with an unknown field is
//! refused. An absent optional is left out, not `null`. Times are milliseconds,
//! sizes bytes, and a name says so (`unixMillis`, `maxBytes`).

mod declare;

pub mod call;
pub mod common;
pub mod dispatch;
pub mod effect;
pub mod effects;
pub mod error;
#[cfg(feature = "generate")]
pub mod generate;
pub mod names;
mod secret;
pub mod table;
pub mod value;

pub use call::{Bounds, CallContext, CallId, RoleName};
pub use common::{Context, HookEvent};
pub use dispatch::{BoxFuture, EffectHandler, EncodedAnswer};
pub use effect::{Access, EffectRequest};
pub use error::{Answer, EffectError, ErrorCode};
pub use secret::Secret;
pub use table::{
    ClockService, DockerService, Effect, EffectKind, GitHubService, GitService, HttpService,
    KvService, LogService, RandomService, Service, Services,
};
pub use value::{Base64, BoundedInt, BoundedText, RawJson, RepoName};
