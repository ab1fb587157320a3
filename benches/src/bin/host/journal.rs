//! A tool call with three effects, recorded or not.

use std::fs;

use super::load::{self, Server};
use super::served::{Home, Served};

const ASKING: &str = include_str!("../../asking.wat");
const ROUNDS: usize = 7;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let modes = ["off", "failed", "all"];
    let homes = modes.map(|mode| {
        let config = format!("[role.echo]\neffects = [\"clock.*\"]\njournal = \"{mode}\"\n");
        let home = Home::new(&config)?;
        fs::write(home.plugin("echo.wat"), ASKING).map_err(|error| error.to_string())?;
        Ok::<_, String>(home)
    });
    let homes = homes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let hosts = homes.iter().map(Home::serve);
    let hosts: Vec<Served> = hosts.collect::<Result<_, _>>()?;
    let servers = modes.iter().zip(&hosts);
    let servers: Vec<Server<'_>> = servers
        .map(|(mode, host)| Server::of_echo(mode, &host.address))
        .collect();
    let about = "## A recorded call\n\nA tool that asks for three effects";
    load::compare(about, ["`journal`", "off"], &servers, ROUNDS)
}
