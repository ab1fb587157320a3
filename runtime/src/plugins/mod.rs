//! Plugins: which files are there, which version of each serves, and how one takes another's place.
//!
//! - [`folder`] looks at the plugin folder and says which files are there for which name;
//! - [`version`] loads one: compiled, connected, its tools listed and their schemas checked;
//! - [`tool`] checks its tools' schemas, and the arguments of each call;
//! - [`reload`] brings the roles in line with the folder, off the request path;
//! - [`watch`] says when to look again;
//! - [`embedded`] holds the plugins that ship in the binary.

pub mod embedded;
pub mod folder;
pub mod reload;
pub mod tool;
pub mod version;
pub mod watch;
