//! Adds and removes worktrees.

use std::path::Path;

use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::{GitAddWorktree, GitRemoveWorktree, GitWorktree};
use exomonad_schema::{EffectError, ErrorCode};

use super::{ContainerWriter, conflict};
use crate::by_git::info::{WorktreeQuery, Worktrees};
use crate::by_git::script::{StepOutput, quoted};
use crate::by_git::{git_error, status};
use crate::write::index::listed;
use crate::write::refs::name_for;

/// The target of a path, as far as it is there.
#[derive(Debug)]
struct Target {
    /// The absolute path, of which the parent holds no link.
    path: String,
    is_there: bool,
    worktrees: Worktrees,
    /// The commit of the requested branch.
    branch: Option<String>,
}

pub(in crate::by_git) async fn add(
    writer: ContainerWriter,
    request: GitAddWorktree,
) -> Result<GitWorktree, EffectError> {
    let context = writer.context().clone();
    let branch = &*request.branch;
    let name = name_for(&context, "refs/heads/", branch)?;
    let target = target(&writer, &request.path, &name).await?;
    let is_in_git_dir = Path::new(&target.path)
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .any(|part| part.as_os_str().eq_ignore_ascii_case(".git"))
        || target
            .path
            .starts_with(&format!("{}/", writer.repo_info.common_dir));
    if is_in_git_dir {
        return Err(EffectError::invalid_input(format!(
            "{}: {:?} lies in a git folder; choose another place",
            context.kind(),
            &*request.path
        )));
    }
    if target.is_there {
        return Err(context.error(
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
            writer.start(request.reference.as_deref()).await?,
            vec!["--no-track", "-b", branch],
        ),
        (Some(id), true) => {
            return Err(context.error(
                ErrorCode::Conflict,
                format_args!("the branch {branch:?} exists already, at {id}"),
            ));
        }
        (None, false) => {
            return Err(context.error(
                ErrorCode::NotFound,
                format_args!("there is no branch {branch:?}; set `createBranch` to make it"),
            ));
        }
    };
    let mut script = writer.script()?;
    let arguments = [
        &["worktree", "add", "--quiet"],
        &options[..],
        &["--", &target.path, &start],
    ];
    let step = script.git(arguments.concat());
    let query = WorktreeQuery::add_steps(&mut script);
    let outputs = writer.run(script).await?;
    let output = &outputs[step];
    if !output.is_success() {
        let says = |words: &str| output.stderr.contains(words);
        let is_taken = says("already checked out at") || says("already used by worktree at");
        return Err(
            match is_taken || says("already exists") || says("cannot lock ref") {
                true => conflict(&context, output),
                false => git_error::from_output(&context, output),
            },
        );
    }
    let made = query.read(&context, &outputs)?.linked;
    made.into_iter()
        .find(|worktree| worktree.path == target.path)
        .ok_or_else(|| context.damaged("the worktree that was made is not registered"))
}

pub(in crate::by_git) async fn remove(
    writer: ContainerWriter,
    request: GitRemoveWorktree,
) -> Result<Done, EffectError> {
    let context = writer.context().clone();
    let target = target(&writer, &request.path, "HEAD").await?;
    let registered = target.worktrees.linked.iter();
    let Some(worktree) = registered
        .into_iter()
        .find(|worktree| worktree.path == target.path)
    else {
        return Err(context.error(
            ErrorCode::NotFound,
            format_args!(
                "{:?} is no worktree made by `git worktree add`",
                &*request.path
            ),
        ));
    };
    if let Some(reason) = &worktree.locked {
        return Err(context.error(
            ErrorCode::Conflict,
            format_args!(
                "the worktree is locked ({reason:?}); unlock it with `git worktree unlock`"
            ),
        ));
    }
    if target.is_there && !request.force {
        check_clean(&writer, &target.path).await?;
    }
    let mut script = writer.script()?;
    let mut arguments = vec!["worktree", "remove"];
    if request.force {
        arguments.push("--force");
    }
    arguments.extend(["--", &target.path]);
    let step = script.git(arguments);
    let outputs = writer.run(script).await?;
    match &outputs[step] {
        output if output.is_success() => Ok(Done {}),
        output => Err(refused(&writer, output)),
    }
}

fn refused(writer: &ContainerWriter, output: &StepOutput) -> EffectError {
    let says = |words: &str| output.stderr.contains(words);
    if says("contains modified or untracked files") || says("cannot be moved or removed") {
        conflict(writer.context(), output)
    } else if says("validation failed") || says("is not a working tree") {
        writer.context().error(
            ErrorCode::Forbidden,
            "the folder is not the worktree that git has registered there; look at it yourself",
        )
    } else {
        git_error::from_output(writer.context(), output)
    }
}

/// Resolves a path, absolute or relative to the working directory, and the revision `name`.
async fn target(writer: &ContainerWriter, path: &str, name: &str) -> Result<Target, EffectError> {
    let context = writer.context();
    let refuse = || {
        EffectError::invalid_input(format!(
            "{}: {path:?} is no path of a folder that can be made or removed",
            context.kind()
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
    let mut script = writer.shell.script()?;
    let parent_step = script.shell(&format!("cd -P {} 2>/dev/null && pwd -P", quoted(&parent)));
    let there = script.shell(&format!("[ -e {0} ] || [ -L {0} ]", quoted(&path_of(path))));
    let branch = script.git(["rev-parse", "--verify", "-q", name]);
    let query = WorktreeQuery::add_steps(&mut script);
    let outputs = writer.run(script).await?;
    if !outputs[parent_step].is_success() {
        return Err(context.error(
            ErrorCode::NotFound,
            format_args!("the folder that {path:?} is to be in does not exist"),
        ));
    }
    let parent = outputs[parent_step].line();
    Ok(Target {
        path: format!(
            "{}/{}",
            parent.trim_end_matches('/'),
            last.to_string_lossy()
        ),
        is_there: outputs[there].is_success(),
        worktrees: query.read(context, &outputs)?,
        branch: Some(outputs[branch].line()).filter(|id| !id.is_empty()),
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

async fn check_clean(writer: &ContainerWriter, folder: &str) -> Result<(), EffectError> {
    let context = writer.context();
    let shell = writer.shell.in_folder(folder);
    let mut script = shell.script()?;
    let repo_info = shell.query_repo_info(&mut script);
    let step = status::add_steps(&mut script, None);
    let outputs = shell.run(script).await?;
    let repo_info = repo_info.read(context, &outputs)?;
    if repo_info.common_dir != writer.repo_info.common_dir {
        return Err(context.error(
            ErrorCode::Forbidden,
            "the worktree's `.git` leads to another repository, which may lie",
        ));
    }
    let status = status::read(
        context,
        &repo_info,
        &outputs[step],
        shell.config.max_files as usize,
    )?;
    let files = status.dirty_files().files;
    if files.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = files.into_iter().map(|file| file.path).collect();
    Err(context.error(
        ErrorCode::Conflict,
        format_args!(
            "the worktree has changes, which would be lost: {}; commit them, or set `force`",
            listed(&names)
        ),
    ))
}
