//! exomonad: a host for WASM plugins that serve AI agents. The plugin decides, the host acts.
//!
//! The way through the house:
//! - a door: [`server`] (HTTP) or [`cli`] (the command line);
//! - a role, with what the operator grants it ([`role`]), and a turn ([`gate`]);
//! - the version of its plugin that serves ([`plugins`]);
//! - a call into a sandbox of the engine ([`calls`]);
//! - the effects that come out of it ([`guest`], [`effects`]), which services perform.
//!
//! [`house`] builds all of it, [`telemetry`] tells what it does. [`docker_proxy`] is a program of its own: for
//! a host in a container, its way to the Docker engine.

mod calls;
mod cli;
mod docker_proxy;
mod effects;
mod failure;
mod gate;
mod guest;
mod house;
mod json;
mod plugins;
mod role;
mod server;
mod telemetry;

fn main() -> std::process::ExitCode {
    cli::main()
}
