//! A plugin for tests and benchmarks of workflows: small ones, well-behaved and harmful.
//!
//! | workflow | |
//! |---|---|
//! | `steps` | performs as many steps as asked for |
//! | `sleeper` | sleeps |
//! | `parallel` | runs timers and writes beside each other, and a race |
//! | `wait_for` | waits for a signal, publishes its state, answers `progress` |
//! | `retries` | requests a page until it gets it |
//! | `spawns` | starts children, and waits for them |
//! | `compensates` | undoes its writes in reverse when it is cancelled |
//! | `continues` | continues as new, round by round |
//! | `patched_flow` | takes another way since the patch `v2` |
//! | `configured` | reads the key that the configuration names: another one is another history |
//! | `random_and_time`, `writes_log` | ask for what a replay must not ask for again |
//! | `asks_elsewhere`, `sets_attributes` | ask a Temporal server for what only a server has |
//! | `signals_other` | signals another run |
//! | `grows` | publishes a large state |
//! | `fails` | fails, as a workflow may |
//! | `traps_always`, `traps_on`, `allocates`, `spins` | end as no workflow should |
//!
//! Tools: `start_sleeper`, `send_signal`, `workflow_status`.

mod elsewhere;
mod failing;
mod lasting;
mod steps;
mod tools;
mod waiting;

use exomonad_guest::plugin;

plugin! {
    name: "workflows",
    tools: [tools::start_sleeper, tools::send_signal, tools::workflow_status],
    workflows: [
        steps::steps,
        steps::parallel,
        steps::retries,
        steps::random_and_time,
        steps::writes_log,
        waiting::sleeper,
        waiting::wait_for,
        waiting::spawns,
        waiting::compensates,
        lasting::continues,
        lasting::patched_flow,
        lasting::configured,
        lasting::grows,
        elsewhere::asks_elsewhere,
        elsewhere::sets_attributes,
        elsewhere::signals_other,
        failing::fails,
        failing::traps_always,
        failing::traps_on,
        failing::allocates,
        failing::spins,
    ],
}
