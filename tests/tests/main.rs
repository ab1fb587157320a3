//! The host as its users see it: the real binary, over HTTP and on the command line.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod api_description;
mod architecture;
mod bad_guests;
mod bad_requests;
mod claims;
mod command_line;
mod compile_limits;
mod compose;
mod configuration;
mod connections;
mod doctor;
mod environment;
mod faults;
mod file_pr;
mod full_disk;
mod fuzz;
mod grants;
mod haskell;
mod haskell_round_trips;
mod hooks;
mod hostile_modules;
mod hot_reload;
mod http_effect;
mod limits;
mod main_job;
mod manifests;
mod mcp_clients;
mod mcp_conformance;
mod mcp_http;
mod mcp_stdio;
mod metrics;
mod plugin_call;
mod raw_calls;
mod reconfigure;
mod refused_plugins;
mod secrets;
mod shutdown;
mod state;
mod telemetry;
mod tokens;
mod tool_schemas;
mod traces;
mod trust;
mod whole_flow;
