//! The same plugins under Extism and under our engine: what comes back is compared.
//!
//! Extism is the specification of its ABI, so each test here states no result of its own: it says that
//! both engines answer alike, in a fresh sandbox and in a kept one. Where ours means to differ, the case
//! is a row of the one table in `differences`, with what each answers and why.

mod contract;
mod differences;
mod effects;
mod engines;
mod errors;
mod failures;
mod haskell;
mod http;
mod logs;
mod manifests;
mod memory;
mod outcome;
mod payload;
mod pdk;
mod runtimes;
mod setup;
