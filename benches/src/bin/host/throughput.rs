//! A tool call over HTTP, beside a native handler of the same JSON.

use super::load::{self, Server};
use super::served::{Home, candidate};

const ROUNDS: usize = 5;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let pooled = Home::new("[role.echo]\neffects = []\ninstance = \"pooled\"\n")?;
    let fresh = Home::new("[role.echo]\neffects = []\n")?;
    let (native, fresh, pooled) = (candidate("native")?, fresh.serve()?, pooled.serve()?);
    let servers = [
        Server::of_echo("native axum", &native.address),
        Server::of_echo("fresh sandboxes", &fresh.address),
        Server::of_echo("pooled", &pooled.address),
    ];
    let about = "## A tool call over HTTP\n\necho";
    load::compare(about, ["", "native"], &servers, ROUNDS)
}
