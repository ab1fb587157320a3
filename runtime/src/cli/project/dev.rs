//! `plugin dev`: builds at each change of the sources, into the folder that a host watches, and says when it serves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use exomonad_engine::Manifest;

use super::build::{make, place};
use super::file::{FILE, Project};
use crate::cli::CommandError;
use crate::cli::args::Options;
use crate::cli::call::Host;
use crate::cli::config::load;
use crate::cli::show::without_controls;

/// The pause between two looks at the sources, and at the host.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A change counts when nothing has changed any more for this long: editors write several times.
const SETTLED: Duration = Duration::from_millis(60);
/// The longest wait for a host to take the module up.
const LONGEST_LOAD: Duration = Duration::from_secs(60);
/// The time within which a host that looks into the folder has found the module.
const TAKEN_UP: Duration = Duration::from_secs(5);
/// Files that are looked at, at most: a project of more names its sources.
const MOST_FILES: usize = 20_000;
/// Folders of what toolchains make and install.
const MADE: [&str; 6] = [
    "target",
    "node_modules",
    "zig-out",
    "dist-newstyle",
    "build",
    "dist",
];

/// The sources as they are: sizes and times of change.
type SourceState = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Runs `plugin dev`, until it is interrupted.
pub async fn dev(
    options: &Options,
    folder: &Path,
    into: Option<&Path>,
) -> Result<(), CommandError> {
    let mut project = Project::open(folder)?;
    let into = match into {
        Some(into) => into.to_owned(),
        None => load(options)?.config.plugins.dir,
    };
    let mut built = None;
    loop {
        let state = settled(&project).await?;
        // The project's file is one of them.
        if state.len() < 2 {
            return Err(CommandError::Usage(format!(
                "{}: of its `sources` nothing is there but what the build makes",
                folder.join(FILE).display()
            )));
        }
        if built.as_ref() != Some(&state) {
            built = Some(state);
            project = Project::open(folder)?;
            // What is wrong has been said, by the toolchain or here.
            if let Err(error) = once(options, &project, &into).await {
                let text = error.to_string();
                if !text.is_empty() {
                    errln!("exomonad: {text}");
                }
            }
            // Builds write into the project, too.
            errln!("waiting for a change in {}", folder.display());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Builds, places the module and waits until the host serves it.
async fn once(options: &Options, project: &Project, into: &Path) -> Result<(), CommandError> {
    let begin = Instant::now();
    let module = make(project)?;
    let took = begin.elapsed();
    let placed = place(project, &module, into)?;
    outln!("{}: built in {:.1} s", placed.display(), took.as_secs_f64());
    let role = project.name();
    let digest = Manifest::open(&placed).and_then(|manifest| manifest.digest());
    let digest = digest.map_err(|error| CommandError::Refused(error.to_string()))?;
    match Host::find_running(options, Some(&role)).await {
        Ok(host) => served(&host, &role, &placed, &digest, begin).await,
        Err(error) => {
            errln!("{error}");
            Ok(())
        }
    }
}

/// Asks a host to look at its plugin folder now. False if it does not do that for this caller: it looks by itself
/// then, a moment later.
async fn reloaded(host: &Host) -> bool {
    let Host::Running(client) = host else {
        return false;
    };
    let answer = client.send(reqwest::Method::POST, "/reload", None).await;
    answer.is_ok_and(|answer| answer.check().is_ok())
}

/// Waits until a role serves a module, or has a problem with it.
async fn served(
    host: &Host,
    role: &str,
    placed: &Path,
    digest: &str,
    begin: Instant,
) -> Result<(), CommandError> {
    let placed_at = Instant::now();
    let deadline = placed_at + LONGEST_LOAD;
    // Before that a problem may be the last version's.
    let is_reloaded = reloaded(host).await;
    loop {
        let roles = host.roles().await?;
        let found = roles.roles.iter().find(|one| one.name == role);
        let plugin = found.and_then(|role| role.plugin.as_ref());
        // A host elsewhere may serve the same from a folder of its own.
        let from = plugin.and_then(|plugin| fs::canonicalize(&plugin.source).ok());
        let is_from_here = from.is_some() && from == fs::canonicalize(placed).ok();
        if is_from_here && plugin.is_some_and(|plugin| plugin.digest == digest) {
            outln!(
                "the role {role} serves it, {:.1} s after the change",
                begin.elapsed().as_secs_f64()
            );
            return Ok(());
        }
        let problem = found.and_then(|role| role.problem.as_ref());
        let of_this = problem.filter(|_| is_reloaded);
        if let Some(problem) = of_this.and_then(|problem| problem.message.as_deref()) {
            let message = format!("{role}: {}", without_controls(problem));
            return Err(CommandError::Refused(message));
        }
        if is_reloaded && !is_from_here && placed_at.elapsed() > TAKEN_UP {
            return Err(CommandError::Unavailable(format!(
                "the running host does not look into {}: `--into` names its plugin folder",
                placed.parent().unwrap_or(placed).display()
            )));
        }
        if Instant::now() > deadline {
            return Err(CommandError::Unavailable(format!(
                "the host does not serve it as the role {role} after {} s: `exomonad plugin list` may say why",
                LONGEST_LOAD.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The sources, when nothing writes to them any more.
async fn settled(project: &Project) -> Result<SourceState, CommandError> {
    let mut state = sources(project)?;
    loop {
        tokio::time::sleep(SETTLED).await;
        let later = sources(project)?;
        if later == state {
            return Ok(state);
        }
        state = later;
    }
}

fn sources(project: &Project) -> Result<SourceState, CommandError> {
    let mut state = SourceState::new();
    let mut waiting: Vec<PathBuf> = project
        .file
        .sources
        .iter()
        .map(|source| project.folder.join(source))
        .collect();
    waiting.push(project.folder.join(FILE));
    let output = project.output();
    while let Some(path) = waiting.pop() {
        // What has just been removed is no source.
        let Ok(about) = fs::symlink_metadata(&path) else {
            continue;
        };
        if !about.is_dir() {
            if path != output {
                state.insert(path, (about.len(), about.modified().ok()));
            }
            continue;
        }
        if state.len() + waiting.len() > MOST_FILES {
            return Err(CommandError::Refused(format!(
                "{} holds more than {MOST_FILES} files: name those that matter in `sources`",
                path.display()
            )));
        }
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        let is_source = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.') && !MADE.contains(&&*name)
        };
        waiting.extend(entries.map(|entry| entry.path()).filter(is_source));
    }
    Ok(state)
}
