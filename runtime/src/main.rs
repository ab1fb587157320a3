//! The binary `exomonad`: its command line over the host, the server and the Docker proxy.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
