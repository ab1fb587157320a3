//! Durable workflows: the history of a run, its state machine, and where both are kept.
//!
//! A run is a function of a plugin whose effects are steps of a history. It is called from its beginning each time
//! it goes on, and the history answers what it has asked for before; so it can wait for weeks, and survives its
//! host, without anything in memory.
//!
//! | module | subject |
//! |---|---|
//! | [`event`] | [`Event`]: an entry of a run's history |
//! | [`machine`] | [`Machine`]: what the guest asks for and what comes, in their order; knows no database and no engine |
//! | [`effects`] | what a crash does to an effect: performed again, exactly once, or of unknown outcome |
//! | [`retry`] | when a failed step is tried again |
//! | [`schedule`] | the times at which a schedule starts runs |
//! | [`store`] | [`Store`]: runs and histories in SQLite, written by one thread in groups |
//!
//! Whatever drives a run (the host, over this store; or a Temporal worker) puts what comes into the machine and
//! performs what it is asked for.

pub mod effects;
pub mod event;
pub mod machine;
pub mod retry;
pub mod schedule;
pub mod store;

pub use event::{Event, EventBody, Request};
pub use machine::{Machine, MismatchError, Step, TIMER, Taken, Wait};
pub use store::{RunKey, Store, StoreFailure};
