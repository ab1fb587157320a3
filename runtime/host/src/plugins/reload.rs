//! Reconciles the roles with the plugin folder, off the request path.
//!
//! A new version serves only after it has been loaded and checked from end to end; until then, and if it
//! fails, the old one does. Calls in flight keep the version they began with. A file that still changes
//! is left for the next pass, and one that is gone is waited for a while before its role goes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_config::{Config, PluginRef};
use exomonad_schema::RoleName;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::embedded;
use super::folder::{self, Contents, Fingerprint, Fingerprints, Source};
use super::replay_gate;
use super::version::{PluginLoadError, PluginVersion};
use crate::role::{Role, RoleSettings};
use crate::runtime::Runtime;
use exomonad_engine::{CompileLimits, Manifest};

/// How long a file may be gone before its role goes: programs that replace a file by deleting and writing
/// it again leave such a gap.
const REMOVAL_DELAY: Duration = Duration::from_secs(1);

/// How long a plugin that takes its time to load keeps the host from being ready.
/// Each step of loading has a limit of its own, which a large plugin on a busy machine may need.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The changes of one pass over the folder.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Changes {
    /// Roles whose newest plugin does not serve, with the reason.
    pub failed: BTreeMap<String, String>,
    /// Files in the plugin folder that look like plugins and cannot be one, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ignored: BTreeMap<PathBuf, String>,
    /// The reason why the plugin folder could not be read: everything goes on as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The outcome for the configuration, if it was read again and differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Reconfigured>,
    /// Roles whose plugin was replaced, or that are new.
    pub loaded: Vec<String>,
    /// Roles whose plugin is gone.
    pub removed: Vec<String>,
    /// Files that still change; the next pass decides.
    pub pending: Vec<PathBuf>,
}

impl Changes {
    /// True if everything that is there is in force.
    pub fn is_complete(&self) -> bool {
        let refused = self
            .configuration
            .as_ref()
            .is_some_and(|read| !read.applied);
        self.failed.is_empty() && self.ignored.is_empty() && self.problem.is_none() && !refused
    }

    /// Adds those of a later pass.
    fn extend(&mut self, later: Self) {
        self.loaded.extend(later.loaded);
        self.removed.extend(later.removed);
        self.failed.extend(later.failed);
        self.pending = later.pending;
        self.ignored = later.ignored;
        self.problem = later.problem;
    }
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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

    /// True once every plugin has been tried, or has taken as long as [`LONGEST_WAIT`]: the host is ready.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until the host is ready.
    pub async fn ready(&self) {
        // Fails only when the task is gone, and with it what could be waited for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }
}

/// A plugin's file as it was at some time.
type FileVersion = (Source, Option<Fingerprint>);

/// The state of a plugin's file.
#[derive(Default)]
struct FileState {
    /// As last seen, to tell a file that still changes.
    seen: Option<FileVersion>,
    /// As last loaded, or tried.
    tried: Option<FileVersion>,
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

/// The plugin folder and the files of plugins, as one pass has found them.
struct Findings {
    contents: io::Result<Contents>,
    fingerprints: HashMap<PathBuf, Result<Fingerprint, String>>,
    /// The digests of the files' content, in a pass that the operator asked for.
    digests: HashMap<PathBuf, String>,
}

/// An operator's request whose loads are not all done.
struct PendingAnswer {
    answer: oneshot::Sender<Changes>,
    changes: Changes,
    loading: BTreeSet<RoleName>,
}

/// The one task that changes which plugins serve.
pub struct Reloader {
    runtime: Arc<Runtime>,
    files: BTreeMap<RoleName, FileState>,
    fingerprints: Fingerprints,
    /// Loads that run; a pass does not wait for them, so that a slow one holds up no other plugin.
    loads: JoinSet<Loaded>,
    loading: BTreeSet<RoleName>,
    answers: Vec<PendingAnswer>,
    /// Plugins of the folder that no role serves, as last said.
    unserved: Vec<String>,
    /// Files of the folder that are no plugins, as last said.
    others: Vec<PathBuf>,
    first: bool,
}

impl Reloader {
    fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            runtime,
            files: BTreeMap::new(),
            fingerprints: Fingerprints::default(),
            loads: JoinSet::new(),
            loading: BTreeSet::new(),
            answers: Vec::new(),
            unserved: Vec::new(),
            others: Vec::new(),
            first: true,
        }
    }

    /// Starts the task: it makes a pass at once, when asked, and as often as configured.
    pub fn start(runtime: Arc<Runtime>) -> ReloadHandle {
        let (requests, inbox) = mpsc::channel(8);
        let (ready, ready_receiver) = watch::channel(false);
        let handle = ReloadHandle {
            requests,
            ready: ready_receiver,
        };
        tokio::spawn(Self::new(runtime).run(inbox, ready));
        handle
    }

    /// Makes one pass, without a task: for commands that need the plugins and no server.
    pub async fn once(runtime: Arc<Runtime>) -> Changes {
        let mut reloader = Self::new(runtime);
        let mut changes = reloader.reconcile(true).await;
        while let Some(loaded) = reloader.loads.join_next().await {
            if let Ok(loaded) = loaded {
                reloader.finish(loaded, &mut changes);
            }
        }
        changes
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, ready: watch::Sender<bool>) {
        let (settle, poll) = {
            let plugins = &self.runtime.config.plugins;
            (plugins.settle.get(), plugins.poll_interval.get())
        };
        let pause = |again: bool| match (again, poll.is_zero()) {
            (true, _) => settle,
            (false, false) => poll,
            (false, true) => Duration::from_secs(365 * 24 * 3600),
        };
        let mut changes = self.reconcile(true).await;
        let mut untried = self.loading.clone();
        let waited = tokio::time::sleep(LONGEST_WAIT);
        tokio::pin!(waited);
        loop {
            untried.retain(|role| self.loading.contains(role));
            if untried.is_empty() || waited.is_elapsed() {
                // The receivers may be gone: then nobody waits for readiness.
                let _ = ready.send(true);
            }
            let next = tokio::time::sleep(pause(!changes.pending.is_empty()));
            tokio::pin!(next);
            let request = loop {
                tokio::select! {
                    request = inbox.recv() => match request {
                        None => return,
                        request => break request,
                    },
                    Some(loaded) = self.loads.join_next() => {
                        match loaded {
                            Ok(loaded) => self.finish(loaded, &mut Changes::default()),
                            // It runs its work in a task of its own, and nothing else in it can panic.
                            Err(_) => self.loading.clear(),
                        }
                        self.answer_finished();
                        untried.retain(|role| self.loading.contains(role));
                        if untried.is_empty() {
                            let _ = ready.send(true);
                        }
                    }
                    () = &mut waited, if !waited.is_elapsed() => {
                        let _ = ready.send(true);
                    }
                    () = &mut next => break None,
                }
            };
            let mut waiting = Vec::new();
            match request {
                Some(Request::Now(answer)) => waiting.push(answer),
                // A burst of events is one change: let it settle.
                Some(Request::Reconcile) => tokio::time::sleep(settle).await,
                None => {}
            }
            // One pass serves all that have asked meanwhile.
            while let Ok(request) = inbox.try_recv() {
                if let Request::Now(answer) = request {
                    waiting.push(answer);
                }
            }
            changes = match waiting.is_empty() {
                true => self.reconcile(false).await,
                false => self.reconcile_settled(settle).await,
            };
            self.answers
                .extend(waiting.into_iter().map(|answer| PendingAnswer {
                    answer,
                    changes: changes.clone(),
                    loading: self.loading.clone(),
                }));
            self.answer_finished();
        }
    }

    /// Answers the operator's requests whose loads are done.
    fn answer_finished(&mut self) {
        let loading = &self.loading;
        let done = |request: &mut PendingAnswer| request.loading.is_disjoint(loading);
        for request in self.answers.extract_if(.., done) {
            // Whoever asked may be gone.
            let _ = request.answer.send(request.changes);
        }
    }

    /// Tries what failed before again, and makes a second pass where files still changed, so that the answer
    /// covers them.
    async fn reconcile_settled(&mut self, settle: Duration) -> Changes {
        let mut changes = self.reconcile(true).await;
        if !changes.pending.is_empty() {
            tokio::time::sleep(settle).await;
            let second = self.reconcile(false).await;
            changes.extend(second);
        }
        changes
    }

    /// Looks at the folder and at the files of all plugins, off the threads of calls.
    async fn look(&mut self, with_digests: bool) -> Option<Findings> {
        let folder = self.runtime.config.plugins.dir.clone();
        let roles = self.runtime.roles();
        let named = roles
            .values()
            .filter_map(|role| match &role.settings.plugin {
                PluginRef::File(path) => Some(path.clone()),
                PluginRef::Named(_) => None,
            });
        let mut paths: Vec<PathBuf> = named.collect();
        let mut fingerprints = std::mem::take(&mut self.fingerprints);
        let looked = tokio::task::spawn_blocking(move || {
            let contents = folder::scan(&folder);
            if let Ok(contents) = &contents {
                paths.extend(contents.plugins.values().flatten().cloned());
            }
            fingerprints.retain(&paths);
            let mut findings = Findings {
                contents,
                fingerprints: HashMap::new(),
                digests: HashMap::new(),
            };
            for path in paths {
                let digest = with_digests
                    .then(|| Manifest::open(&path).and_then(|manifest| manifest.digest()));
                if let Some(Ok(digest)) = digest {
                    findings.digests.insert(path.clone(), digest);
                }
                let fingerprint = fingerprints.take(&path).map_err(|error| error.to_string());
                findings.fingerprints.insert(path, fingerprint);
            }
            (findings, fingerprints)
        });
        let (findings, fingerprints) = looked.await.ok()?;
        self.fingerprints = fingerprints;
        Some(findings)
    }

    /// Compares the folder with what serves, and begins to load what is new. `retry` also tries again what
    /// failed, and compares contents.
    async fn reconcile(&mut self, retry: bool) -> Changes {
        let mut changes = Changes::default();
        let Some(mut findings) = self.look(retry && !self.first).await else {
            changes.problem = Some("looking at the plugin folder failed in the host".to_owned());
            return changes;
        };
        let contents = match std::mem::replace(&mut findings.contents, Ok(Contents::default())) {
            Ok(contents) => contents,
            Err(error) => {
                let folder = self.runtime.config.plugins.dir.clone();
                match self.without_folder(&folder, &error) {
                    Some(contents) => contents,
                    None => {
                        let folder = folder.display();
                        changes.problem = Some(format!(
                            "the plugin folder {folder} cannot be read: {error}"
                        ));
                        return changes;
                    }
                }
            }
        };
        self.name_ignored(&contents, &mut changes);
        self.add_unlisted(&contents);
        self.name_unserved(&contents);
        for role in self.runtime.roles().values() {
            self.decide(role, &contents, &findings, retry, &mut changes);
        }
        self.first = false;
        changes
    }

    /// Takes up what a load has brought, unless the file was replaced or removed meanwhile.
    fn finish(&mut self, (role, file, result): Loaded, changes: &mut Changes) {
        self.loading.remove(role.name());
        let same = self
            .runtime
            .roles()
            .get(role.name())
            .is_some_and(|now| Arc::ptr_eq(now, &role));
        let Some(known) = self.files.get_mut(role.name()).filter(|_| same) else {
            return;
        };
        if known.tried.as_ref() != Some(&file) {
            return;
        }
        known.failure = result.as_ref().err().cloned();
        let mut own = Changes::default();
        match result {
            Ok(version) => {
                serve(&role, version, &mut own);
                self.runtime.workflows.plugin_serves(role.name());
            }
            Err(failure) => fail(&role, file.0.files(), failure.message, &mut own),
        }
        let waiting = self.answers.iter_mut();
        for request in waiting.filter(|request| request.loading.contains(role.name())) {
            request.changes.loaded.extend(own.loaded.clone());
            request.changes.failed.extend(own.failed.clone());
        }
        changes.loaded.extend(own.loaded);
        changes.failed.extend(own.failed);
    }

    /// Says which files of the folder are no plugins: a problem of those that look like some, and a line of
    /// the log for others.
    fn name_ignored(&mut self, contents: &Contents, changes: &mut Changes) {
        for (path, reason) in self.runtime.set_ignored(&contents.invalid) {
            // Quoted: whoever names a file writes no line of the log.
            tracing::warn!(?path, %reason, "a file in the plugin folder is ignored");
        }
        changes.ignored = contents.invalid.iter().cloned().collect();
        for path in contents
            .others
            .iter()
            .filter(|path| !self.others.contains(path))
        {
            tracing::info!(
                ?path,
                "a file in the plugin folder does not look like a plugin"
            );
        }
        self.others.clone_from(&contents.others);
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
        findings: &Findings,
        retry: bool,
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
                let message = clash(&paths, role.name().as_str());
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
            Source::File(path) => match findings.fingerprints.get(path) {
                Some(Ok(fingerprint)) => {
                    let fingerprint = fingerprint.clone();
                    (found, Some(fingerprint))
                }
                // Says which file, of those that a manifest names.
                Some(Err(error)) => {
                    return fail(role, vec![path.clone()], error.clone(), changes);
                }
                // It has come since the files were looked at.
                None => return changes.pending.push(path.clone()),
            },
        };
        if self.loading.contains(role.name()) {
            // What has changed since is taken up when that is done.
            if let (true, Source::File(path)) = (known.tried.as_ref() != Some(&now), &now.0) {
                changes.pending.push(path.clone());
            }
            return;
        }
        // A file may be written over without a trace in its metadata.
        let differs = |path: &PathBuf| match (findings.digests.get(path), role.version()) {
            (Some(digest), Some(version)) => {
                version.source == now.0 && version.plugin.digest() != digest
            }
            _ => false,
        };
        let replaced = matches!(&now.0, Source::File(path) if differs(path));
        let again = |failure: &FailedLoad| retry || failure.transient;
        let unchanged = known.tried.as_ref() == Some(&now) && !replaced;
        if unchanged && !known.failure.as_ref().is_some_and(again) {
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
        self.loading.insert(role.name().clone());
        self.loads.spawn(async move {
            let replays = runtime.config.plugins.replay_before_swap;
            let (settings, source) = (role.settings.clone(), now.0.clone());
            let old = role.version();
            let load = async move {
                let compile = CompileLimits {
                    time: runtime.config.engine.compile_time.get(),
                    memory: runtime.config.engine.compile_memory.get(),
                };
                let cache = runtime.cache.as_ref();
                let version = PluginVersion::load(&settings, source, cache, compile).await?;
                let version = Arc::new(version);
                let is_new = old.is_some_and(|old| old.plugin.digest() != version.plugin.digest());
                if is_new && replays > 0 {
                    let journal = &runtime.journal;
                    let tried = replay_gate::check(&settings, &version, journal, replays).await;
                    tried.map_err(PluginLoadError::Replay)?;
                }
                Ok::<_, PluginLoadError>(version)
            };
            // In a task of its own, so that a panic in there is this plugin's problem.
            let source = &now.0;
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
            (role, now, result)
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

/// A role, the file that was loaded for it, and what became of that.
type Loaded = (
    Arc<Role>,
    FileVersion,
    Result<Arc<PluginVersion>, FailedLoad>,
);

/// The file that a role's plugin is in now, for commands that need one plugin and no host.
///
/// # Errors
/// If there is none, with the reason.
pub fn locate(settings: &RoleSettings, config: &Config) -> Result<Source, String> {
    let contents = folder::scan(&config.plugins.dir).unwrap_or_default();
    match find(settings, &contents, config.plugins.embedded) {
        Found::One(source) => Ok(source),
        Found::Several(paths) => Err(clash(&paths, settings.name.as_str())),
        Found::None(message) => Err(message),
    }
}

fn clash(paths: &[PathBuf], role: &str) -> String {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!(
        "{} are all plugins for `{role}`: keep one",
        names.join(" and ")
    )
}

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
fn serve(role: &Role, version: Arc<PluginVersion>, changes: &mut Changes) {
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
    role.serve(Some(version));
}
