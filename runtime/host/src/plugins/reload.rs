//! Reconciles the roles with the plugin folder, off the request path.
//!
//! A new version serves only after it has been loaded and checked from end to end; until then, and if it
//! fails, the old one does. Calls in flight keep the version they began with. A file that still changes
//! is left for the next pass, and one that is gone is waited for a while before its role goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_config::PluginRef;
use exomonad_schema::RoleName;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::embedded;
use super::folder::{self, Contents, Fingerprint, Source};
use super::version::PluginVersion;
use crate::role::{Role, RoleSettings};
use crate::runtime::Runtime;

/// How long a file may be gone before its role goes: programs that replace a file by deleting and writing
/// it again leave such a gap.
const REMOVAL_DELAY: Duration = Duration::from_secs(1);

/// The changes of one pass over the folder.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Changes {
    /// Roles whose plugin was replaced, or that are new.
    pub loaded: Vec<String>,
    /// Roles whose plugin is gone.
    pub removed: Vec<String>,
    /// Roles whose newest plugin does not serve, with the reason.
    pub failed: BTreeMap<String, String>,
    /// Files that still change; the next pass decides.
    pub pending: Vec<PathBuf>,
    /// The reason why the plugin folder could not be read: everything goes on as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The outcome for the configuration, if it was read again and differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Reconfigured>,
}

/// A changed configuration.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconfigured {
    /// True if it holds now; otherwise the old one does.
    pub applied: bool,
    /// The reason why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Keys that have changed and hold from the next start on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_restart: Vec<String>,
}

/// Asks the reloader for a pass over the folder.
#[derive(Clone)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    ready: watch::Receiver<bool>,
}

enum Request {
    /// Something may have changed.
    Reconcile,
    /// The operator wants it now, and the answer.
    Now(oneshot::Sender<Changes>),
}

impl ReloadHandle {
    /// Says that something may have changed. One pass serves any number of these.
    pub fn request(&self) {
        // A full channel has a pass ahead of it already.
        let _ = self.requests.try_send(Request::Reconcile);
    }

    /// Makes a pass now, over files that failed before too, and waits for its outcome.
    pub async fn reconcile_now(&self) -> Option<Changes> {
        let (answer, changes) = oneshot::channel();
        self.requests.send(Request::Now(answer)).await.ok()?;
        changes.await.ok()
    }

    /// True once every plugin has been tried: the host is ready.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until every plugin has been tried.
    pub async fn ready(&self) {
        // Fails only when the task is gone, and with it what could be waited for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }
}

/// The state of a plugin's file.
#[derive(Default)]
struct FileState {
    /// As last seen, to tell a file that still changes.
    seen: Option<(Source, Option<Fingerprint>)>,
    /// As last loaded, or tried.
    tried: Option<(Source, Option<Fingerprint>)>,
    /// The failure of that, if it failed.
    failure: Option<FailedLoad>,
    missing_since: Option<Instant>,
}

/// The reason why a file did not become a version.
#[derive(Clone)]
struct FailedLoad {
    message: String,
    /// True if the same file may load at the next pass.
    transient: bool,
}

/// The one task that changes which plugins serve.
pub struct Reloader {
    runtime: Arc<Runtime>,
    files: BTreeMap<RoleName, FileState>,
    /// Plugins of the folder that no role serves, as last said.
    unserved: Vec<String>,
    first: bool,
}

impl Reloader {
    /// Starts the task: it makes a pass at once, when asked, and as often as configured.
    pub fn start(runtime: Arc<Runtime>) -> ReloadHandle {
        let (requests, inbox) = mpsc::channel(8);
        let (ready, ready_receiver) = watch::channel(false);
        let handle = ReloadHandle {
            requests,
            ready: ready_receiver,
        };
        tokio::spawn(
            Self {
                runtime,
                files: BTreeMap::new(),
                unserved: Vec::new(),
                first: true,
            }
            .run(inbox, ready),
        );
        handle
    }

    /// Makes one pass, without a task: for commands that need the plugins and no server.
    pub async fn once(runtime: Arc<Runtime>) -> Changes {
        Self {
            runtime,
            files: BTreeMap::new(),
            unserved: Vec::new(),
            first: true,
        }
        .reconcile(true)
        .await
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, ready: watch::Sender<bool>) {
        self.reconcile(true).await;
        // The receivers may be gone: then nobody waits for readiness.
        let _ = ready.send(true);
        let (settle, poll) = {
            let plugins = &self.runtime.config.plugins;
            (plugins.settle.get(), plugins.poll_interval.get())
        };
        let mut again = false;
        loop {
            let pause = match (again, poll.is_zero()) {
                (true, _) => settle,
                (false, false) => poll,
                (false, true) => Duration::from_secs(365 * 24 * 3600),
            };
            let mut waiting = Vec::new();
            match tokio::time::timeout(pause, inbox.recv()).await {
                Ok(None) => return,
                Ok(Some(Request::Now(answer))) => waiting.push(answer),
                // A burst of events is one change: let it settle.
                Ok(Some(Request::Reconcile)) => tokio::time::sleep(settle).await,
                Err(_) => {}
            }
            // One pass serves all that have asked meanwhile.
            while let Ok(request) = inbox.try_recv() {
                if let Request::Now(answer) = request {
                    waiting.push(answer);
                }
            }
            let changes = match waiting.is_empty() {
                true => self.reconcile(false).await,
                false => self.reconcile_settled(settle).await,
            };
            again = !changes.pending.is_empty();
            for answer in waiting {
                let _ = answer.send(changes.clone());
            }
        }
    }

    /// Tries what failed before again, and makes a second pass where files still changed, so that the answer
    /// covers them.
    async fn reconcile_settled(&mut self, settle: Duration) -> Changes {
        let mut changes = self.reconcile(true).await;
        if !changes.pending.is_empty() {
            tokio::time::sleep(settle).await;
            let second = self.reconcile(false).await;
            changes.loaded.extend(second.loaded);
            changes.removed.extend(second.removed);
            changes.failed.extend(second.failed);
            changes.pending = second.pending;
            changes.problem = second.problem;
        }
        changes
    }

    /// Compares the folder with what serves, and loads what is new. `retry` also tries again what failed.
    async fn reconcile(&mut self, retry: bool) -> Changes {
        let folder = self.runtime.config.plugins.dir.clone();
        let scanned = tokio::task::spawn_blocking(move || (folder::scan(&folder), folder)).await;
        let mut changes = Changes::default();
        let contents = match scanned {
            Ok((Ok(contents), _)) => contents,
            Ok((Err(error), folder)) => match self.without_folder(&folder, &error) {
                Some(contents) => contents,
                None => {
                    let folder = folder.display();
                    changes.problem = Some(format!(
                        "the plugin folder {folder} cannot be read: {error}"
                    ));
                    return changes;
                }
            },
            Err(_) => {
                changes.problem =
                    Some("looking at the plugin folder failed in the host".to_owned());
                return changes;
            }
        };
        for (path, reason) in &contents.invalid {
            if self.first {
                tracing::warn!(path = %path.display(), %reason, "a file in the plugin folder is ignored");
            }
        }
        self.add_unlisted(&contents);
        self.name_unserved(&contents);
        let mut loads = tokio::task::JoinSet::new();
        for role in self.runtime.roles().values() {
            self.decide(role, &contents, retry, &mut loads, &mut changes);
        }
        while let Some(loaded) = loads.join_next().await {
            if let Ok((role, source, result)) = loaded {
                let known = self.files.entry(role.name().clone()).or_default();
                known.failure = result.as_ref().err().cloned();
                match result {
                    Ok(version) => serve(&role, version, &mut changes),
                    Err(failure) => fail(&role, source.files(), failure.message, &mut changes),
                }
            }
        }
        self.first = false;
        changes
    }

    /// Without a folder there are the embedded plugins at the start; later, what serves goes on serving.
    fn without_folder(&self, folder: &Path, error: &std::io::Error) -> Option<Contents> {
        if self.first {
            return Some(Contents::default());
        }
        for role in self.runtime.roles().values() {
            let from_folder = role.version().is_some_and(
                |version| matches!(&version.source, Source::File(path) if path.starts_with(folder)),
            );
            if from_folder {
                let message = format!(
                    "the plugin folder cannot be read, the loaded version serves on: {error}"
                );
                role.set_problem(Some((vec![folder.to_owned()], message)));
            }
        }
        None
    }

    /// Makes roles of plugins that the configuration does not list, if it says so.
    fn add_unlisted(&self, contents: &Contents) {
        let roles = self.runtime.roles();
        let embedded = embedded::names().filter(|_| self.runtime.config.plugins.embedded);
        let embedded = embedded.filter_map(|name| name.parse().ok());
        for name in contents.plugins.keys().cloned().chain(embedded) {
            if !roles.contains_key(&name) {
                self.runtime.add_role(&name);
            }
        }
    }

    /// Says which plugins are there and not served, because the configuration lists other roles.
    fn name_unserved(&mut self, contents: &Contents) {
        let config = &self.runtime.config;
        if config.plugins.unlisted_roles {
            return;
        }
        let named: Vec<&str> = config
            .roles
            .iter()
            .filter_map(|(name, role)| match role.plugin_for(name) {
                PluginRef::Named(plugin) => contents.plugins.get_key_value(&plugin),
                PluginRef::File(_) => None,
            })
            .map(|(plugin, _)| plugin.as_str())
            .collect();
        let names = contents.plugins.keys().map(RoleName::as_str);
        let unserved: Vec<String> = names
            .filter(|name| !named.contains(name))
            .map(str::to_owned)
            .collect();
        if unserved != self.unserved && !unserved.is_empty() {
            tracing::warn!(
                plugins = unserved.join(", "),
                file = %config.file.display(),
                "these plugins are not served: as soon as the file lists a role, only listed roles are; add a \
                 table [role.NAME] for each, or set plugins.unlisted_roles = true"
            );
        }
        self.unserved = unserved;
    }

    fn decide(
        &mut self,
        role: &Arc<Role>,
        contents: &Contents,
        retry: bool,
        loads: &mut tokio::task::JoinSet<Loaded>,
        changes: &mut Changes,
    ) {
        let known = self.files.entry(role.name().clone()).or_default();
        let found = match find(
            &role.settings,
            contents,
            self.runtime.config.plugins.embedded,
        ) {
            Found::One(source) => source,
            Found::Several(paths) => {
                let names: Vec<_> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                let message = format!(
                    "{} are all plugins for `{}`: keep one",
                    names.join(" and "),
                    role.name()
                );
                return fail(role, paths, message, changes);
            }
            Found::None(message) => return self.missing(role, message, changes),
        };
        // The embedded plugin takes the place of a file only when that has been gone for a while.
        let replaces_file = matches!(found, Source::Embedded(_))
            && role
                .version()
                .is_some_and(|version| matches!(version.source, Source::File(_)));
        if replaces_file {
            let since = *known.missing_since.get_or_insert_with(Instant::now);
            if since.elapsed() < REMOVAL_DELAY {
                let missed = self.runtime.config.plugins.dir.join(role.name().as_str());
                changes.pending.push(missed);
                return;
            }
        }
        known.missing_since = None;
        let now = match &found {
            Source::Embedded(_) => (found, None),
            Source::File(path) => match folder::fingerprint(path) {
                Ok(fingerprint) => (found, Some(fingerprint)),
                // Says which file, of those that a manifest names.
                Err(error) => {
                    return fail(role, vec![path.clone()], error.to_string(), changes);
                }
            },
        };
        let again = |failure: &FailedLoad| retry || failure.transient;
        if known.tried.as_ref() == Some(&now) && !known.failure.as_ref().is_some_and(again) {
            // Unchanged: a problem of the folder, or of a clash, is over; one of its own is not.
            let failure = known.failure.clone();
            role.set_problem(failure.map(|failure| (now.0.files(), failure.message)));
            return;
        }
        // A file that is being written has another fingerprint at the next look.
        let still = self.first || known.seen.as_ref() == Some(&now);
        known.seen = Some(now.clone());
        if let (false, Source::File(path)) = (still, &now.0) {
            changes.pending.push(path.clone());
            return;
        }
        known.tried = Some(now.clone());
        let (role, runtime) = (role.clone(), self.runtime.clone());
        loads.spawn(async move {
            let snapshot = runtime.config.plugins.snapshot;
            let (settings, source) = (role.settings.clone(), now.0.clone());
            let load = async move {
                PluginVersion::load(&settings, source, snapshot, runtime.cache.as_ref()).await
            };
            // In a task of its own, so that a panic in there is this plugin's problem.
            let source = now.0;
            let result = match tokio::spawn(load).await {
                Ok(result) => result.map_err(|error| FailedLoad {
                    message: format!("{source}: {error}"),
                    transient: error.is_transient(),
                }),
                Err(error) => Err(FailedLoad {
                    message: format!("{source}: the loading did not finish: {error}"),
                    transient: false,
                }),
            };
            (role, source, result)
        });
    }

    /// The plugin of a role is not there.
    fn missing(&mut self, role: &Arc<Role>, message: String, changes: &mut Changes) {
        let Some(known) = self.files.get_mut(role.name()) else {
            return;
        };
        let since = *known.missing_since.get_or_insert_with(Instant::now);
        let had = role.version().is_some();
        if had && since.elapsed() < REMOVAL_DELAY {
            changes
                .pending
                .push(self.runtime.config.plugins.dir.join(role.name().as_str()));
            return;
        }
        known.tried = None;
        known.seen = None;
        role.serve(None);
        if had {
            tracing::info!(role = %role.name(), "the plugin is gone");
            role.settings.metrics.reloaded("removed");
            changes.removed.push(role.name().to_string());
        }
        let listed = self.runtime.config.roles.contains_key(role.name().as_str());
        if listed {
            fail(role, Vec::new(), message, changes);
        } else {
            self.files.remove(role.name());
            self.runtime.remove_role(role.name());
        }
    }
}

type Loaded = (Arc<Role>, Source, Result<PluginVersion, FailedLoad>);

enum Found {
    One(Source),
    Several(Vec<PathBuf>),
    None(String),
}

/// The file that a role's plugin is in now.
fn find(settings: &RoleSettings, contents: &Contents, with_embedded: bool) -> Found {
    let name = match &settings.plugin {
        PluginRef::File(path) if path.exists() => return Found::One(Source::File(path.clone())),
        PluginRef::File(path) => {
            return Found::None(format!("there is no file {}", path.display()));
        }
        PluginRef::Named(name) => name.as_str(),
    };
    match contents.plugins.get(name).map(Vec::as_slice) {
        Some([path]) => Found::One(Source::File(path.clone())),
        Some(paths) if paths.len() > 1 => Found::Several(paths.to_vec()),
        _ => match embedded::names().find(|embedded| with_embedded && *embedded == name) {
            Some(embedded) => Found::One(Source::Embedded(embedded)),
            None => Found::None(format!(
                "there is no plugin `{name}`: put {name}.wasm into the plugin folder"
            )),
        },
    }
}

fn fail(role: &Role, files: Vec<PathBuf>, message: String, changes: &mut Changes) {
    let known = role
        .problem()
        .is_some_and(|problem| problem.message == message);
    if !known {
        let serving = role.version().is_some();
        role.settings.metrics.reloaded("failed");
        tracing::error!(role = %role.name(), problem = message, old_version_serves = serving, "a plugin is not loaded");
    }
    changes
        .failed
        .insert(role.name().to_string(), message.clone());
    role.set_problem(Some((files, message)));
}

/// Lets a version serve that was loaded and checked.
fn serve(role: &Role, version: PluginVersion, changes: &mut Changes) {
    role.set_problem(None);
    let same = role.version().is_some_and(|old| {
        old.plugin.digest() == version.plugin.digest() && old.source == version.source
    });
    if same {
        return;
    }
    tracing::info!(
        role = %role.name(),
        source = %version.source,
        digest = &version.plugin.digest()[..12],
        tools = version.tools.len(),
        snapshot = ?version.plugin.snapshot(),
        "a plugin serves"
    );
    if !version.missing_grants.is_empty() {
        tracing::info!(
            role = %role.name(),
            not_granted = version.missing_grants.len(),
            "the plugin can use more effects than the role is granted; `exomonad roles --json` lists them"
        );
    }
    for tool in &version.refused_tools {
        tracing::warn!(
            role = %role.name(),
            tool = tool.name,
            reason = tool.reason,
            "a tool of the plugin is not offered; its other tools are"
        );
    }
    changes.loaded.push(role.name().to_string());
    role.settings.metrics.reloaded("loaded");
    role.serve(Some(Arc::new(version)));
}
