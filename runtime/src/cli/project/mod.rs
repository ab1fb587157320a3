//! `plugin new`, `build`, `dev` and `test`: a plugin's project, from an empty folder to a role that serves.
//!
//! | module | subject |
//! |---|---|
//! | `file` | `plugin-project.toml`, which says how a project is built and tested |
//! | `template` | the projects that `new` writes, one for each language, and the SDKs that they hold |
//! | `new` | writes a project |
//! | `build` | runs the project's own toolchain |
//! | `dev` | builds at each change, into a folder that a host watches |
//!
//! Nothing here knows a language: a project's file names its commands, and what they need.

mod build;
mod dev;
mod file;
mod new;
mod template;

pub use self::build::{build, test};
pub use self::dev::dev;
pub use self::file::FILE;
pub use self::new::new;
pub use self::template::languages;
