//! The engine's benchmark: `cargo run --profile dist -p exomonad-benches --bin engine` prints markdown.
//!
//! The columns of a row are measured in turns within one run.

mod calls;
mod haskell;
mod host;
mod languages;
mod split;
mod waiting;

/// A part of the benchmark under its name.
type Part = (&'static str, fn() -> Result<(), String>);

fn main() -> Result<(), String> {
    // The parts that need a process of their own are this program again, under a name.
    let parts: &[Part] = &[
        ("calls", calls::report),
        ("haskell", haskell::report),
        ("languages", languages::report),
        ("split", split::report),
        ("waiting", waiting::report),
        ("waiting-ours", waiting::ours),
        ("waiting-extism", waiting::extism),
    ];
    match std::env::args().nth(1) {
        Some(wanted) => match parts.iter().find(|(name, _)| *name == wanted) {
            Some((_, run)) => run(),
            None => Err(format!(
                "there is no part `{wanted}`; there are calls, haskell, languages, split and waiting"
            )),
        },
        None => {
            println!("{}\n", exomonad_benches::machine::description());
            calls::report()?;
            haskell::report()?;
            split::report()?;
            waiting::report()
        }
    }
}
