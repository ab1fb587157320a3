//! Policy: the folders and containers whose repositories a role reaches.

use std::path::Path;

use exomonad_core::PathBounds;
use exomonad_core::bounds::BoundsMap;
use exomonad_core::policy::{Ruling, Verdict};
use exomonad_docker::DockerBounds;
use exomonad_schema::Effect;
use exomonad_schema::effects::git::*;

/// Decides about a request; without one, about all.
pub fn decide(bounds: &BoundsMap, request: Option<&Effect>) -> Vec<Verdict> {
    let (paths, docker) = (bounds.get::<PathBounds>(), bounds.get::<DockerBounds>());
    let Some((working_dir, container)) = request.and_then(target_of) else {
        // Either list is enough to reach some repository.
        let containers = docker.decide_container(None);
        return match paths.decide(None) {
            refused if refused.is_refusal() && !containers.is_refusal() => vec![containers],
            verdict => vec![verdict],
        };
    };
    let mut verdicts = match container {
        None => {
            let worktree = request.and_then(worktree_of);
            let worktree = worktree.map(|path| {
                let parent = Path::new(path).parent().unwrap_or(Path::new(""));
                paths.decide_as(path, &Path::new(working_dir).join(parent))
            });
            let folder = paths.decide(Some(working_dir));
            std::iter::once(folder).chain(worktree).collect()
        }
        Some(container) => {
            let reason = "the folder is in a container, and `paths` are folders of the host";
            vec![
                Verdict::new(
                    "paths",
                    Some(working_dir),
                    Ruling::NotConcerned(reason.to_owned()),
                ),
                docker.decide_container(Some(container)),
            ]
        }
    };
    if matches!(request, Some(Effect::GitPush(_) | Effect::GitFetch(_))) {
        let reason = "the remote, where that is on GitHub".to_owned();
        verdicts.push(Verdict::new("repos", None, Ruling::AtCall(reason)));
    }
    verdicts
}

/// The folder of a worktree that a request names.
fn worktree_of(request: &Effect) -> Option<&str> {
    match request {
        Effect::GitAddWorktree(request) => Some(&request.path),
        Effect::GitRemoveWorktree(request) => Some(&request.path),
        _ => None,
    }
}

/// Every effect of git's names a folder, and a container where it is in one.
macro_rules! target_of {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        /// The folder and the container that a request names.
        fn target_of(request: &Effect) -> Option<(&str, Option<&str>)> {
            match request {
                $(Effect::$Request(request) => Some((
                    &request.working_dir().0,
                    request.container().map(|name| &**name),
                )),)*
                _ => None,
            }
        }
    };
}

exomonad_schema::methods!(git target_of);
