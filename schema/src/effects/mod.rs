//! The requests and answers of the effects, one file per service.
//!
//! A request has the name of its effect. A field that a request leaves out has the
//! default that its documentation states.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod clock;
pub mod docker;
pub mod git;
pub mod github;
pub mod http;
pub mod kv;
pub mod log;
pub mod mcp;
pub mod random;
pub mod temporal;
pub mod workflow;

/// The effect succeeded and has nothing to return: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}
