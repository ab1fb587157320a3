//! A tool call over HTTP, beside a native handler of the same JSON.

use super::load;
use super::served::{Home, native};

const ROUNDS: usize = 5;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let pooled = Home::new("[role.echo]\neffects = []\ninstance = \"pooled\"\n")?;
    let fresh = Home::new("[role.echo]\neffects = []\n")?;
    let (native, fresh, pooled) = (native()?, fresh.serve()?, pooled.serve()?);
    let servers = [
        ("native axum", native.address.as_str()),
        ("fresh sandboxes", &fresh.address),
        ("pooled", &pooled.address),
    ];
    let about = "## A tool call over HTTP\n\necho";
    load::compare(about, ["", "native"], &servers, ROUNDS)
}
