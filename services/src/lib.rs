//! The services that perform the effects.
//!
//! All have one shape: a folder, a config struct where there is something to
//! set, a constructor that refuses invalid settings, and the service's trait from
//! `exomonad-schema`, one `async fn` per effect. To add an effect, add its line to
//! the schema's table and the method that the compiler then asks for.
//!
//! | service | purpose | implementation |
//! |---|---|---|
//! | [`git`] | reads and writes repositories within a role's paths, pushes and fetches | libgit2, on blocking threads; `git` for remotes |
//! | [`github`] | reads and writes issues, pull requests, reviews and checks | octocrab over rustls |
//! | [`docker`] | runs commands and containers that carry a role's labels | bollard, one connection per request |
//! | [`kv`] | stores JSON values, separately for each role | SQLite, on blocking threads |
//! | [`http`] | sends requests to the hosts a role is granted | reqwest, rustls |
//! | [`log`] | writes lines, publishes events | `tracing`, a broadcast channel |
//! | [`clock`] | reads the time, sleeps | the host's clock, tokio's timers |
//! | [`random`] | generates random bytes | the operating system |
//!
//! A guest gets errors as an [`EffectError`](exomonad_schema::EffectError) with
//! one of the contract's codes. Its message says what was tried, on what, what
//! went wrong and what to do, and holds neither secrets nor anything outside
//! the role's bounds; details for the operator go to the log.

pub mod clock;
pub mod docker;
pub mod git;
pub mod github;
pub mod http;
pub mod kv;
pub mod log;
mod open;
pub mod random;
#[cfg(test)]
mod test_call;

pub use clock::Clock;
pub use docker::{Docker, DockerConfig};
pub use git::{Git, GitConfig};
pub use github::{GitHub, GitHubConfig};
pub use http::{Http, HttpConfig, HttpSecret};
pub use kv::{Kv, KvConfig};
pub use log::{Event, Log, LogConfig};
pub use open::{HostServices, OpenError, ServicesConfig, open};
pub use random::Random;
