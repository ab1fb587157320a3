//! The services: what the host does when a guest asks for an effect.
//!
//! All have one shape: a folder, a config struct where there is something to
//! set, a constructor that refuses settings that make no sense, and the service's
//! trait from `exomonad-schema`, one `async fn` an effect. To add an effect is to
//! add its line to the schema's table and the method that then does not compile.
//!
//! | service | what it does | with |
//! |---|---|---|
//! | [`git`] | reads and writes repositories within a role's paths, pushes and fetches | libgit2, on blocking threads; `git` for remotes |
//! | [`github`] | works with issues, pull requests, reviews and checks | octocrab over rustls |
//! | [`docker`] | runs commands and containers that carry a role's labels | bollard, one connection a request |
//! | [`kv`] | keeps JSON values, each role its own | SQLite, on blocking threads |
//! | [`http`] | sends requests to the hosts a role is granted | reqwest, rustls |
//! | [`log`] | writes lines, publishes events | `tracing`, a broadcast channel |
//! | [`clock`] | tells the time, waits | the host's clock, tokio's timers |
//! | [`random`] | gives random bytes | the operating system |
//!
//! Errors reach a guest as an [`EffectError`](exomonad_schema::EffectError) with
//! one of the contract's codes. Its message says what was tried, on what, what
//! went wrong and what to do, and holds neither secrets nor what lies outside
//! the role's bounds; what an operator needs beyond that goes to the log.

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
