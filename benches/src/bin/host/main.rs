//! The host's benchmark over HTTP: `cargo run --profile dist -p exomonad-benches --bin host` prints markdown.
//!
//! The load comes from `wrk` (Debian has it), the host is the binary beside this one, and the candidate of its
//! throughput is a plain axum handler that reads and writes the same JSON.

mod effects;
mod exec;
mod journal;
mod load;
mod mcp;
mod native;
mod reload;
mod rmcp_server;
mod served;
mod sessions;
mod start;
mod stdio;
mod throughput;
mod workflows;

type Part = (&'static str, fn() -> Result<(), String>);

fn main() -> Result<(), String> {
    let parts: &[Part] = &[
        ("throughput", throughput::report),
        ("reload", reload::report),
        ("start", start::report),
        ("effects", effects::report),
        ("exec", exec::report),
        ("journal", journal::report),
        ("workflows", workflows::report),
        ("sessions", sessions::report),
        ("mcp", mcp::report),
        // The candidates are this program again, in processes of their own.
        ("native", native::serve),
        ("rmcp", rmcp_server::serve),
    ];
    match std::env::args().nth(1) {
        Some(wanted) => match parts.iter().find(|(name, _)| *name == wanted) {
            Some((_, run)) => run(),
            None => Err(format!(
                "there is no part `{wanted}`; there are throughput, reload, start, effects, exec, journal, workflows, sessions and mcp"
            )),
        },
        None => {
            println!("{}\n", exomonad_benches::machine::description());
            throughput::report()?;
            reload::report()?;
            start::report()?;
            effects::report()?;
            exec::report()?;
            journal::report()?;
            workflows::report()?;
            sessions::report()?;
            mcp::report()
        }
    }
}
