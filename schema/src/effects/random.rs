//! Random bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Base64, BoundedInt};

/// The number of random bytes to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RandomBytes {
    /// The number of bytes.
    pub length: BoundedInt<0, 65_536>,
}

/// Random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RandomBytesAnswer {
    /// The bytes.
    pub bytes: Base64,
}
