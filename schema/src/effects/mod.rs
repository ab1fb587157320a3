//! The requests and answers of the effects, one file per service.
//!
//! A request has the name of its effect. What a request leaves out has the
//! default its field says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod clock;
pub mod docker;
pub mod git;
pub mod github;
pub mod http;
pub mod kv;
pub mod log;
pub mod random;

/// The effect has happened and there is nothing more to say: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
