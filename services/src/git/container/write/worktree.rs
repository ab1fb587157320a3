//! Worktrees, made and removed.

use std::path::Path;

use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::{GitAddWorktree, GitRemoveWorktree, GitWorktree};
use exomonad_schema::{EffectError, ErrorCode};

use super::{Writing, conflict};
use crate::git::container::info::{AskedWorktrees, Worktrees};
use crate::git::container::script::{Said, quoted};
use crate::git::container::{failure, status};
use crate::git::write::index::listed;
use crate::git::write::refs::name_for;

/// Where a path leads, as far as it is there.
#[derive(Debug)]
struct Target {
    /// The absolute path, of which the parent holds no link.
    path: String,
    is_there: bool,
    worktrees: Worktrees,
    /// The commit of the branch that was asked about as well.
    branch: Option<String>,
}

pub(in crate::git::container) async fn add(
    writing: Writing,
    request: GitAddWorktree,
) -> Result<GitWorktree, EffectError> {
    let task = writing.task().clone();
    let branch = &*request.branch;
    let name = name_for(&task, "refs/heads/", branch)?;
    let target = target(&writing, &request.path, &name).await?;
    let is_in_git_dir = Path::new(&target.path)
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .any(|part| part.as_os_str().eq_ignore_ascii_case(".git"))
        || target
            .path
            .starts_with(&format!("{}/", writing.facts.common_dir));
    if is_in_git_dir {
        return Err(EffectError::invalid_input(format!(
            "{}: {:?} lies in a git folder; choose another place",
            task.kind(),
            &*request.path
        )));
    }
    if target.is_there {
        return Err(task.error(
            ErrorCode::Conflict,
            format_args!(
                "{:?} exists already; name a folder that does not",
                &*request.path
            ),
        ));
    }
    let (start, options) = match (&target.branch, request.create_branch) {
        (Some(_), false) => (branch.to_owned(), vec![]),
        (None, true) => (
            writing.start(request.reference.as_deref()).await?,
            vec!["--no-track", "-b", branch],
        ),
        (Some(id), true) => {
            return Err(task.error(
                ErrorCode::Conflict,
                format_args!("the branch {branch:?} exists already, at {id}"),
            ));
        }
        (None, false) => {
            return Err(task.error(
                ErrorCode::NotFound,
                format_args!("there is no branch {branch:?}; set `createBranch` to make it"),
            ));
        }
    };
    let mut script = writing.script()?;
    let arguments = [
        &["worktree", "add", "--quiet"],
        &options[..],
        &["--", &target.path, &start],
    ];
    let step = script.git(arguments.concat());
    let asked = AskedWorktrees::ask(&mut script);
    let answers = writing.run(script).await?;
    let said = &answers[step];
    if !said.is_success() {
        let says = |words: &str| said.stderr.contains(words);
        let is_taken = says("already checked out at") || says("already used by worktree at");
        return Err(
            match is_taken || says("already exists") || says("cannot lock ref") {
                true => conflict(&task, said),
                false => failure::of(&task, said),
            },
        );
    }
    let made = asked.read(&task, &answers)?.linked;
    made.into_iter()
        .find(|worktree| worktree.path == target.path)
        .ok_or_else(|| task.damaged("the worktree that was made is not registered"))
}

pub(in crate::git::container) async fn remove(
    writing: Writing,
    request: GitRemoveWorktree,
) -> Result<Done, EffectError> {
    let task = writing.task().clone();
    let target = target(&writing, &request.path, "HEAD").await?;
    let registered = target.worktrees.linked.iter();
    let Some(worktree) = registered
        .into_iter()
        .find(|worktree| worktree.path == target.path)
    else {
        return Err(task.error(
            ErrorCode::NotFound,
            format_args!(
                "{:?} is no worktree made by `git worktree add`",
                &*request.path
            ),
        ));
    };
    if let Some(reason) = &worktree.locked {
        return Err(task.error(
            ErrorCode::Conflict,
            format_args!(
                "the worktree is locked ({reason:?}); unlock it with `git worktree unlock`"
            ),
        ));
    }
    if target.is_there && !request.force {
        check_clean(&writing, &target.path).await?;
    }
    let mut script = writing.script()?;
    let mut arguments = vec!["worktree", "remove"];
    if request.force {
        arguments.push("--force");
    }
    arguments.extend(["--", &target.path]);
    let step = script.git(arguments);
    let answers = writing.run(script).await?;
    match &answers[step] {
        said if said.is_success() => Ok(Done {}),
        said => Err(refused(&writing, said)),
    }
}

fn refused(writing: &Writing, said: &Said) -> EffectError {
    let says = |words: &str| said.stderr.contains(words);
    if says("contains modified or untracked files") || says("cannot be moved or removed") {
        conflict(writing.task(), said)
    } else if says("validation failed") || says("is not a working tree") {
        writing.task().error(
            ErrorCode::Forbidden,
            "the folder is not the worktree that git has registered there; look at it yourself",
        )
    } else {
        failure::of(writing.task(), said)
    }
}

/// Looks at a path, absolute or relative to the working directory, and at `name`.
async fn target(writing: &Writing, path: &str, name: &str) -> Result<Target, EffectError> {
    let task = writing.task();
    let refuse = || {
        EffectError::invalid_input(format!(
            "{}: {path:?} is no path of a folder that can be made or removed",
            task.kind()
        ))
    };
    let named = Path::new(path);
    let last = named.file_name().ok_or_else(refuse)?;
    if path.contains(['\0', '\n', '\r']) || last.eq_ignore_ascii_case(".git") {
        return Err(refuse());
    }
    let parent = match named.parent() {
        Some(parent) if parent != Path::new("") => parent.to_string_lossy().into_owned(),
        _ => ".".to_owned(),
    };
    let mut script = writing.place.script()?;
    let place = script.shell(&format!("cd -P {} 2>/dev/null && pwd -P", quoted(&parent)));
    let there = script.shell(&format!("[ -e {0} ] || [ -L {0} ]", quoted(&path_of(path))));
    let branch = script.git(["rev-parse", "--verify", "-q", name]);
    let asked = AskedWorktrees::ask(&mut script);
    let answers = writing.run(script).await?;
    if !answers[place].is_success() {
        return Err(task.error(
            ErrorCode::NotFound,
            format_args!("the folder that {path:?} is to be in does not exist"),
        ));
    }
    let parent = answers[place].line();
    Ok(Target {
        path: format!(
            "{}/{}",
            parent.trim_end_matches('/'),
            last.to_string_lossy()
        ),
        is_there: answers[there].is_success(),
        worktrees: asked.read(task, &answers)?,
        branch: Some(answers[branch].line()).filter(|id| !id.is_empty()),
    })
}

/// A path that the shell takes for none of `[`'s options.
fn path_of(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("./{path}")
    }
}

async fn check_clean(writing: &Writing, folder: &str) -> Result<(), EffectError> {
    let task = writing.task();
    let place = writing.place.in_folder(folder);
    let mut script = place.script()?;
    let facts = place.ask_facts(&mut script);
    let step = status::ask(&mut script);
    let answers = place.run(script).await?;
    let facts = facts.read(task, &answers)?;
    if facts.common_dir != writing.facts.common_dir {
        return Err(task.error(
            ErrorCode::Forbidden,
            "the worktree's `.git` leads to another repository, which may lie",
        ));
    }
    let status = status::read(task, &facts, &answers[step], place.config.max_files)?;
    let files = status.dirty_files().files;
    if files.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = files.into_iter().map(|file| file.path).collect();
    Err(task.error(
        ErrorCode::Conflict,
        format_args!(
            "the worktree has changes, which would be lost: {}; commit them, or set `force`",
            listed(&names)
        ),
    ))
}
