//! Randomness.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Base64, BoundedInt};

/// Asks for random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RandomBytes {
    /// How many bytes.
    pub length: BoundedInt<0, 65_536>,
}

/// Random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RandomBytesAnswer {
    /// As many bytes as were asked for.
    pub bytes: Base64,
}
