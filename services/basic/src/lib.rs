//! The services that need nothing but the process: [`log`], [`clock`] and [`random`].

pub mod clock;
pub mod log;
pub mod random;
#[cfg(test)]
mod test_call;

pub use clock::Clock;
pub use log::{Event, Log, LogConfig};
pub use random::Random;
