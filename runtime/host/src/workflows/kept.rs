//! Versions of plugins that open runs still need, after another one serves.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use exomonad_config::Config;
use exomonad_engine::CompileLimits;

use super::{Workflows, lock};
use crate::plugins::folder::Source;
use crate::plugins::version::PluginVersion;
use crate::role::Role;

/// The manifest in the folder of a kept version.
const MANIFEST: &str = "plugin.json";
/// A version that no run needs stays so long: a run may be about to start on it.
const SPARE: Duration = Duration::from_secs(3600);
/// Versions that stay loaded.
const LOADED: usize = 16;

/// The folder of the kept versions, one folder a digest.
pub fn folder(config: &Config) -> PathBuf {
    config.state.dir.join("plugins")
}

impl Workflows {
    /// The version with this digest: the one that serves, or one that was kept.
    ///
    /// # Errors
    /// If there is none, or it does not load.
    pub async fn kept(&self, role: &Arc<Role>, digest: &str) -> Result<Arc<PluginVersion>, String> {
        if let Some(serving) = role.version()
            && serving.plugin.digest() == digest
        {
            return Ok(serving);
        }
        let key = (role.name().clone(), digest.to_owned());
        if let Some(loaded) = lock(&self.kept).get(&key) {
            return Ok(loaded.clone());
        }
        let runtime = self.runtime().ok_or("the host is stopping")?;
        let manifest = self.kept_dir.join(digest).join(MANIFEST);
        if !manifest.exists() {
            let serves = match role.serving() {
                Ok(serving) => format!("`{}` serves", serving.plugin.digest()),
                Err(error) => error.to_string(),
            };
            return Err(format!(
                "the version of the plugin that it runs on ({digest}) is gone from {}, and {serves}: \
                 `exomonad workflow repair RUN --move` tries it on that one",
                self.kept_dir.display()
            ));
        }
        let engine = &runtime.config.engine;
        let compile = CompileLimits {
            time: engine.compile_time.get(),
            memory: engine.compile_memory.get(),
        };
        let loaded = PluginVersion::load(
            &role.settings,
            Source::File(manifest),
            runtime.cache.as_ref(),
            compile,
        )
        .await
        .map_err(|error| {
            format!("the kept version {digest} of the plugin does not load: {error}")
        })?;
        if loaded.plugin.digest() != digest {
            return Err(format!(
                "the kept version {digest} of the plugin is damaged: restore {} from a backup",
                self.kept_dir.join(digest).display()
            ));
        }
        let loaded = Arc::new(loaded);
        let mut kept = lock(&self.kept);
        if kept.len() >= LOADED {
            kept.pop_first();
        }
        kept.insert(key, loaded.clone());
        Ok(loaded)
    }

    /// Removes versions that no open run needs. Blocks.
    pub fn remove_spare(&self, needed: &HashSet<String>) {
        let Ok(folders) = std::fs::read_dir(&self.kept_dir) else {
            return;
        };
        for folder in folders.flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            let age = folder
                .metadata()
                .and_then(|about| about.modified())
                .ok()
                .and_then(|changed| SystemTime::now().duration_since(changed).ok());
            let serves = self.runtime().is_some_and(|runtime| {
                let roles = runtime.roles();
                let versions = roles.values().filter_map(|role| role.version());
                versions
                    .into_iter()
                    .any(|version| version.plugin.digest() == name)
            });
            if !needed.contains(&name) && !serves && age.is_some_and(|age| age > SPARE) {
                let path = folder.path();
                match std::fs::remove_dir_all(&path) {
                    Ok(()) => {
                        tracing::debug!(folder = %path.display(), "no run needs this version of a plugin any more")
                    }
                    Err(error) => {
                        tracing::warn!(folder = %path.display(), %error, "a kept version of a plugin cannot be removed")
                    }
                }
                lock(&self.kept).retain(|(_, digest), _| *digest != name);
            }
        }
    }
}
