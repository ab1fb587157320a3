//! Notices of changes in the plugin folder, by the kernel.
//!
//! The kernel's notices are quick but not certain: some bind mounts give none, and a folder that is
//! deleted takes its watch with it. So the [`Reloader`](super::reload::Reloader) polls too.

use std::path::{Path, PathBuf};

use exomonad_config::{Config, PluginRef};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::reload::ReloadHandle;

/// Watches for as long as it is kept.
pub struct FolderWatch {
    _watcher: RecommendedWatcher,
}

impl FolderWatch {
    /// Watches the plugin folder and the folders of plugins that roles name by path. `None` if the kernel
    /// gives no notices here; polling then does all the work.
    pub fn start(config: &Config, reload: ReloadHandle) -> Option<Self> {
        if !config.plugins.watch {
            return None;
        }
        let refused = |error: notify::Error, path: &Path| {
            tracing::warn!(path = %path.display(), %error, "no notices of changes here: polling instead");
        };
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change of it.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                reload.request();
            }
        });
        let mut watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "no notices of changes: polling instead"))
            .ok()?;
        let named = config.roles.values().filter_map(|role| match &role.plugin {
            Some(PluginRef::File(path)) => path.parent().map(Path::to_owned),
            _ => None,
        });
        let mut folders: Vec<PathBuf> = named.collect();
        folders.sort();
        folders.dedup();
        if let Err(error) = watcher.watch(&config.plugins.dir, RecursiveMode::Recursive) {
            refused(error, &config.plugins.dir);
        }
        for folder in folders
            .iter()
            .filter(|folder| !folder.starts_with(&config.plugins.dir))
        {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                refused(error, folder);
            }
        }
        Some(Self { _watcher: watcher })
    }
}
