//! Plugins: finding their files, loading them, and replacing one version by another.
//!
//! - [`folder`] lists the plugin folder: the files for each name;
//! - [`version`] loads one: compiled, linked, its tools listed and their schemas checked;
//! - [`instance_pool`] keeps used sandboxes of a version, for roles that ask for it;
//! - [`tool`] checks its tools' schemas, and the arguments of each call;
//! - [`reload`] reconciles the roles with the folder, off the request path;
//! - `replay_gate` runs recorded calls on a new version before it serves;
//! - [`watch`] notices changes of the folder;
//! - [`embedded`] holds the plugins that ship in the binary.

pub mod embedded;
pub mod folder;
pub mod instance_pool;
pub mod reload;
mod replay_gate;
pub mod tool;
pub mod version;
pub mod watch;
