//! Brings the roles in line with the plugin folder, off the request path.
//!
//! A new version serves only after it has been loaded and checked from end to end; until then, and if it
//! fails, the old one does. Calls in flight keep the version they began with. A file that still changes
//! is left for the next look, and one that is gone is missed for a while before its role goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_config::PluginRef;
use exomonad_schema::RoleName;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::embedded;
use super::folder::{self, Contents, Source, Stamp};
use super::version::Version;
use crate::house::House;
use crate::role::{Role, RoleSettings};

/// How long a file may be gone before its role goes: programs that replace a file by deleting and writing
/// it again leave such a gap.
const MISSED: Duration = Duration::from_secs(1);

/// What a look at the folder changed.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Changes {
    /// Roles whose plugin was replaced, or that are new.
    pub loaded: Vec<String>,
    /// Roles whose plugin is gone.
    pub removed: Vec<String>,
    /// Roles whose newest plugin does not serve, with the reason.
    pub failed: BTreeMap<String, String>,
    /// Files that still change; the next look decides.
    pub pending: Vec<PathBuf>,
    /// Why the plugin folder could not be looked at: everything goes on as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Asks for a look at the folder.
#[derive(Clone)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
    looked: watch::Receiver<bool>,
}

enum Request {
    /// Something may have changed.
    Look,
    /// The operator wants it now, and the answer.
    Now(oneshot::Sender<Changes>),
}

impl ReloadHandle {
    /// Says that something may have changed. One look serves any number of these.
    pub fn look(&self) {
        // A full channel has a look ahead of it already.
        let _ = self.requests.try_send(Request::Look);
    }

    /// Looks now, also at files that failed before, and waits for the outcome.
    pub async fn now(&self) -> Option<Changes> {
        let (answer, changes) = oneshot::channel();
        self.requests.send(Request::Now(answer)).await.ok()?;
        changes.await.ok()
    }

    /// Whether every plugin has been tried once: the host is ready.
    pub fn is_ready(&self) -> bool {
        *self.looked.borrow()
    }
}

/// What is known of a plugin's file.
#[derive(Default)]
struct Known {
    /// As last seen, to tell a file that still changes.
    seen: Option<(Source, Option<Stamp>)>,
    /// As last loaded, or tried.
    tried: Option<(Source, Option<Stamp>)>,
    /// Why that failed, if it did.
    failure: Option<LoadFailure>,
    missed_since: Option<Instant>,
}

/// Why a file did not become a version.
#[derive(Clone)]
struct LoadFailure {
    message: String,
    /// Whether the same file may load at the next look.
    passing: bool,
}

/// The one task that changes which plugins serve.
pub struct Reloader {
    house: Arc<House>,
    known: BTreeMap<RoleName, Known>,
    first: bool,
}

impl Reloader {
    /// Starts the task: it looks at once, when asked, and as often as configured.
    pub fn start(house: Arc<House>) -> ReloadHandle {
        let (requests, inbox) = mpsc::channel(8);
        let (looked, looked_watch) = watch::channel(false);
        let handle = ReloadHandle {
            requests,
            looked: looked_watch,
        };
        tokio::spawn(
            Self {
                house,
                known: BTreeMap::new(),
                first: true,
            }
            .run(inbox, looked),
        );
        handle
    }

    /// Looks once, without a task: for commands that need the plugins and no server.
    pub async fn once(house: Arc<House>) -> Changes {
        Self {
            house,
            known: BTreeMap::new(),
            first: true,
        }
        .look(true)
        .await
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, looked: watch::Sender<bool>) {
        self.look(true).await;
        // The receivers may be gone: then nobody waits for readiness.
        let _ = looked.send(true);
        let (settle, poll) = {
            let plugins = &self.house.config.plugins;
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
                Ok(Some(Request::Look)) => tokio::time::sleep(settle).await,
                Err(_) => {}
            }
            // One look serves all that have asked meanwhile.
            while let Ok(request) = inbox.try_recv() {
                if let Request::Now(answer) = request {
                    waiting.push(answer);
                }
            }
            let changes = match waiting.is_empty() {
                true => self.look(false).await,
                false => self.look_twice(settle).await,
            };
            again = !changes.pending.is_empty();
            for answer in waiting {
                let _ = answer.send(changes.clone());
            }
        }
    }

    /// Looks also at what failed before; what just changed is looked at again, so that the answer covers it.
    async fn look_twice(&mut self, settle: Duration) -> Changes {
        let mut changes = self.look(true).await;
        if !changes.pending.is_empty() {
            tokio::time::sleep(settle).await;
            let second = self.look(false).await;
            changes.loaded.extend(second.loaded);
            changes.removed.extend(second.removed);
            changes.failed.extend(second.failed);
            changes.pending = second.pending;
            changes.problem = second.problem;
        }
        changes
    }

    /// Compares the folder with what serves, and loads what is new. `retry` also tries again what failed.
    async fn look(&mut self, retry: bool) -> Changes {
        let folder = self.house.config.plugins.dir.clone();
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
        for (path, reason) in &contents.misfits {
            if self.first {
                tracing::warn!(path = %path.display(), %reason, "a file in the plugin folder is ignored");
            }
        }
        self.add_unlisted(&contents);
        let mut loads = tokio::task::JoinSet::new();
        for role in self.house.roles().values() {
            self.decide(role, &contents, retry, &mut loads, &mut changes);
        }
        while let Some(loaded) = loads.join_next().await {
            if let Ok((role, source, result)) = loaded {
                let known = self.known.entry(role.name().clone()).or_default();
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
        for role in self.house.roles().values() {
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
        let roles = self.house.roles();
        let embedded = embedded::names().filter(|_| self.house.config.plugins.embedded);
        let embedded = embedded.filter_map(|name| name.parse().ok());
        for name in contents.plugins.keys().cloned().chain(embedded) {
            if !roles.contains_key(&name) {
                self.house.add_role(&name);
            }
        }
    }

    fn decide(
        &mut self,
        role: &Arc<Role>,
        contents: &Contents,
        retry: bool,
        loads: &mut tokio::task::JoinSet<Loaded>,
        changes: &mut Changes,
    ) {
        let known = self.known.entry(role.name().clone()).or_default();
        let found = match find(&role.settings, contents, self.house.config.plugins.embedded) {
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
            let since = *known.missed_since.get_or_insert_with(Instant::now);
            if since.elapsed() < MISSED {
                let missed = self.house.config.plugins.dir.join(role.name().as_str());
                changes.pending.push(missed);
                return;
            }
        }
        known.missed_since = None;
        let now = match &found {
            Source::Embedded(_) => (found, None),
            Source::File(path) => match folder::stamp(path) {
                Ok(stamp) => (found, Some(stamp)),
                // Says which file, of those that a manifest names.
                Err(error) => {
                    return fail(role, vec![path.clone()], error.to_string(), changes);
                }
            },
        };
        let again = |failure: &LoadFailure| retry || failure.passing;
        if known.tried.as_ref() == Some(&now) && !known.failure.as_ref().is_some_and(again) {
            // Unchanged: a problem of the folder, or of a clash, is over; one of its own is not.
            let failure = known.failure.clone();
            role.set_problem(failure.map(|failure| (now.0.files(), failure.message)));
            return;
        }
        // A file that is being written has another stamp at the next look.
        let still = self.first || known.seen.as_ref() == Some(&now);
        known.seen = Some(now.clone());
        if let (false, Source::File(path)) = (still, &now.0) {
            changes.pending.push(path.clone());
            return;
        }
        known.tried = Some(now.clone());
        let (role, house) = (role.clone(), self.house.clone());
        loads.spawn(async move {
            let snapshot = house.config.plugins.snapshot;
            let (settings, source) = (role.settings.clone(), now.0.clone());
            let load = async move {
                Version::load(&settings, source, snapshot, house.cache.as_ref()).await
            };
            // In a task of its own, so that a panic in there is this plugin's problem.
            let source = now.0;
            let result = match tokio::spawn(load).await {
                Ok(result) => result.map_err(|error| LoadFailure {
                    message: format!("{source}: {error}"),
                    passing: error.is_passing(),
                }),
                Err(error) => Err(LoadFailure {
                    message: format!("{source}: the loading did not finish: {error}"),
                    passing: false,
                }),
            };
            (role, source, result)
        });
    }

    /// The plugin of a role is not there.
    fn missing(&mut self, role: &Arc<Role>, message: String, changes: &mut Changes) {
        let Some(known) = self.known.get_mut(role.name()) else {
            return;
        };
        let since = *known.missed_since.get_or_insert_with(Instant::now);
        let had = role.version().is_some();
        if had && since.elapsed() < MISSED {
            changes
                .pending
                .push(self.house.config.plugins.dir.join(role.name().as_str()));
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
        let listed = self.house.config.roles.contains_key(role.name().as_str());
        if listed {
            fail(role, Vec::new(), message, changes);
        } else {
            self.known.remove(role.name());
            self.house.remove_role(role.name());
        }
    }
}

type Loaded = (Arc<Role>, Source, Result<Version, LoadFailure>);

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
fn serve(role: &Role, version: Version, changes: &mut Changes) {
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
        tracing::warn!(
            role = %role.name(),
            missing = version.missing_grants.join(", "),
            add_to = format!("{}effects", role.settings.key_prefix),
            "the plugin asks for effects that the role is not granted"
        );
    }
    changes.loaded.push(role.name().to_string());
    role.settings.metrics.reloaded("loaded");
    role.serve(Some(Arc::new(version)));
}
