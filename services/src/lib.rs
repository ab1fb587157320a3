//! The services that perform the effects, set up together.
//!
//! Each is a crate of its own, and all have one shape: its section of the configuration, the bounds that a
//! role may have for it, a function that decides about a request by these bounds, a constructor that refuses
//! invalid settings, and the service's trait from `exomonad-core`, one `async fn` per effect. To add an
//! effect, add its line to the contract's table and the method that the compiler then asks for.
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
//! Errors reach a guest as an [`EffectError`](exomonad_schema::EffectError) with
//! one of the contract's codes. Its message says what was tried, on what, what
//! went wrong and what to do, and holds neither secrets nor anything outside
//! the role's bounds; details for the operator go to the log.

mod bounds;
mod config;
mod open;
mod policy;

pub use exomonad_basic::{clock, log, random};
pub use exomonad_docker as docker;
pub use exomonad_git as git;
pub use exomonad_github as github;
pub use exomonad_http as http;
pub use exomonad_kv as kv;

pub use bounds::RoleBounds;
pub use config::ServicesConfig;
pub use exomonad_basic::{Clock, Event, Log, LogConfig, Random};
pub use exomonad_docker::{Docker, DockerConfig};
pub use exomonad_git::{Git, GitConfig};
pub use exomonad_github::{GitHub, GitHubConfig};
pub use exomonad_http::{Http, HttpConfig, SecretConfig};
pub use exomonad_kv::{Kv, KvConfig};
pub use open::{HostServices, OpenError, open};
pub use policy::decide;
