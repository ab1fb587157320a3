//! `[plugins]`: where plugins come from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::TimeSpan;

/// Where plugins come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginsConfig {
    /// The plugin folder. `<name>.wasm` or `<name>/` in it is the plugin of that name. It need not
    /// exist; it is noticed when it appears.
    #[schemars(extend("format" = "path"))]
    pub dir: PathBuf,
    /// If true, the plugins that come with the host (`tl`, `echo`) are there when the folder has no
    /// plugin of that name.
    pub embedded: bool,
    /// If true, a plugin that has no `[role.<name>]` is served as the role of its name, with what
    /// `[defaults]` grants. By default true if the file lists no role, false once it lists one.
    pub unlisted_roles: bool,
    /// If true, the kernel's notices of changes in the plugin folder are used, so that a new plugin
    /// serves at once. Without them it is taken up at the next poll, or by `POST /reload`.
    pub watch: bool,
    /// How often the folder is looked through even if the system reports no change, since bind
    /// mounts and network file systems report none. `0s` relies on reports alone.
    #[schemars(extend("x-maximum" = "1d"))]
    pub poll_interval: TimeSpan,
    /// How long a file must have kept its size and time before it is loaded, so that half-written
    /// files are not.
    #[schemars(extend("x-maximum" = "1m"))]
    pub settle: TimeSpan,
    /// Where compiled plugins are kept, by the hash of their content. Can be deleted at any time.
    /// By default `$XDG_CACHE_HOME/exomonad` if that variable is set.
    #[schemars(extend("format" = "path"))]
    pub cache_dir: PathBuf,
    /// If true, a plugin that needs initialising is initialised once, and each sandbox starts from a
    /// copy of the result.
    pub snapshot: bool,
    /// How many of a role's last recorded calls are run again, without effects, on a new version of its plugin
    /// before that serves. A version that fails where the old one did not is refused. 0 for none; the role's
    /// `journal` has to be "all".
    #[schemars(range(min = 0, max = 1000))]
    pub replay_before_swap: u32,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from(".exomonad/plugins"),
            embedded: true,
            unlisted_roles: true,
            watch: true,
            poll_interval: TimeSpan::secs(2),
            settle: TimeSpan::millis(100),
            cache_dir: PathBuf::from("~/.cache/exomonad"),
            snapshot: true,
            replay_before_swap: 0,
        }
    }
}
