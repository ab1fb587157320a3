//! Stages files.
//!
//! The paths of a request are staged in a copy of the index first, where they can be
//! checked.

use std::collections::HashSet;

use exomonad_schema::effects::git::{ChangeKind, GitChange, GitStage, GitStaged};
use exomonad_schema::{EffectError, ErrorCode};

use super::ContainerWriter;
use crate::by_git::git_error;
use crate::by_git::script::{Script, Step, StepOutput, git, quoted};
use crate::write::paths;

/// The mode of a submodule's index entry.
const GITLINK: &[u8] = b"160000";

pub(in crate::by_git) async fn stage(
    writer: ContainerWriter,
    request: GitStage,
) -> Result<GitStaged, EffectError> {
    if request.paths.is_empty() && !request.all {
        return Err(EffectError::invalid_input(format!(
            "{}: nothing to stage is named; give `paths`, or `all`",
            writer.context().kind()
        )));
    }
    let staged = into(&writer, &request.paths, request.all).await?;
    Ok(GitStaged { staged })
}

/// Stages files; returns the staged changes.
pub(super) async fn into(
    writer: &ContainerWriter,
    paths: &[String],
    all: bool,
) -> Result<Vec<GitChange>, EffectError> {
    let context = writer.context();
    writer.repo_info.work_dir(context)?;
    let mut named = Vec::new();
    for path in paths {
        let plain = paths::plain(context, path)?;
        named.push(if plain.is_empty() {
            ".".to_owned()
        } else {
            plain
        });
    }
    if all {
        named.push(".".to_owned());
    }
    let input = named.join("\0").into_bytes();
    dry_run(writer, paths, &input).await?;
    let mut script = writer.script()?;
    let add = script.shell_with_input(&add(), input);
    let staged = add_staged_step(&mut script, writer);
    let outputs = writer.run(script).await?;
    if !outputs[add].is_success() {
        return Err(refused(writer, paths, &outputs[add]));
    }
    let mut changes = Vec::new();
    for entry in read(writer, &outputs[staged])? {
        changes.push(GitChange::new(&entry.path, entry.kind));
    }
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(changes)
}

fn add() -> String {
    git([
        "--literal-pathspecs",
        "add",
        "--all",
        "--pathspec-from-file=-",
        "--pathspec-file-nul",
    ])
}

/// Adds the step that lists the changes the next commit would make.
fn add_staged_step(script: &mut Script, writer: &ContainerWriter) -> Step {
    let mut arguments = vec![
        "diff",
        "--cached",
        "--raw",
        "-z",
        "--no-renames",
        "--no-abbrev",
    ];
    // Without a commit git compares with nothing by itself.
    if writer.repo_info.commit.is_some() {
        arguments.push("HEAD");
    }
    arguments.push("--");
    script.git(arguments)
}

/// An entry of the index that differs from HEAD.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    mode: Vec<u8>,
    id: Vec<u8>,
    kind: ChangeKind,
    path: Vec<u8>,
}

/// `:<mode> <mode> <id> <id> <letter>\0<path>\0`
fn read(writer: &ContainerWriter, output: &StepOutput) -> Result<Vec<Entry>, EffectError> {
    let context = writer.context();
    if !output.is_success() {
        return Err(git_error::from_output(context, output));
    }
    let records: Vec<_> = output.records().collect();
    let entry = |pair: &[&[u8]]| {
        let [head, path] = pair else { return None };
        let fields: Vec<_> = head.split(|byte| *byte == b' ').collect();
        let [_, mode, _, id, letter] = fields[..] else {
            return None;
        };
        Some(Entry {
            mode: mode.to_vec(),
            id: id.to_vec(),
            kind: match letter.first()? {
                b'A' => ChangeKind::Added,
                b'D' => ChangeKind::Deleted,
                b'M' => ChangeKind::Modified,
                b'T' => ChangeKind::TypeChanged,
                b'U' => ChangeKind::Conflicted,
                _ => return None,
            },
            path: path.to_vec(),
        })
    };
    let entries: Option<Vec<_>> = records.chunks(2).map(entry).collect();
    let mut entries =
        entries.ok_or_else(|| context.damaged("`git diff` answers with what it should not"))?;
    entries.dedup();
    Ok(entries)
}

/// Stages in a copy of the index, and refuses what is not to be staged.
async fn dry_run(
    writer: &ContainerWriter,
    paths: &[String],
    input: &[u8],
) -> Result<(), EffectError> {
    let context = writer.context();
    let mut script = writer.script()?;
    let before = add_staged_step(&mut script, writer);
    let index = quoted(&format!("{}/index", writer.repo_info.git_dir));
    script.line(&format!(
        "index={index}.exomonad-$w; [ ! -e {index} ] || cp -p {index} \"$index\""
    ));
    let add = script.shell_with_input(&add(), input.to_vec());
    let after = add_staged_step(&mut script, writer);
    let names = git(["diff", "--cached", "--name-only", "-z", "--no-renames"]);
    let attributes = git(["check-attr", "--stdin", "-z", "filter"]);
    let filters = script.shell(&format!("{names} | {attributes}"));
    script.line("rm -f \"$index\" \"$index.lock\"; index=");
    let outputs = writer.run(script).await?;
    if !outputs[add].is_success() {
        return Err(refused(writer, paths, &outputs[add]));
    }
    let known: HashSet<_> = read(writer, &outputs[before])?.into_iter().collect();
    let after = read(writer, &outputs[after])?;
    let max_files = writer.shell.config.max_files as usize;
    if after.len() > max_files {
        return Err(context.error(
            ErrorCode::LimitExceeded,
            format_args!(
                "{} files would be staged, and an answer lists {max_files} at most (`max_files` of the \
                 host's git service); nothing was staged; name fewer paths",
                after.len()
            ),
        ));
    }
    let new: Vec<_> = after
        .iter()
        .filter(|entry| !known.contains(*entry))
        .collect();
    for entry in &new {
        if entry.mode == GITLINK && entry.kind == ChangeKind::Added {
            return Err(context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "{:?} is a repository of its own; add it with `git submodule add`, or have `.gitignore` name it",
                    String::from_utf8_lossy(&entry.path)
                ),
            ));
        }
    }
    // `<path>\0filter\0<value>\0`
    let fields: Vec<_> = outputs[filters].records().collect();
    for attribute in fields.chunks(3) {
        let [path, _, value] = attribute else {
            continue;
        };
        let is_filtered = !matches!(*value, b"unspecified" | b"unset" | b"set");
        if is_filtered && new.iter().any(|entry| entry.path == *path) {
            return Err(context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "{:?} goes through a filter (`filter=` in `.gitattributes`, as Git LFS has it), which \
                     the host does not run; leave it out, or use git itself",
                    String::from_utf8_lossy(path)
                ),
            ));
        }
    }
    Ok(())
}

fn refused(writer: &ContainerWriter, paths: &[String], output: &StepOutput) -> EffectError {
    let context = writer.context();
    let says = |words: &str| output.stderr.contains(words);
    let named = paths
        .iter()
        .find(|path| says(&format!("'{path}'")) || output.stderr.lines().any(|line| line == **path))
        .cloned()
        .unwrap_or_default();
    if says("did not match any file") {
        context.error(
            ErrorCode::NotFound,
            format_args!("there is no file {named:?}, and git knows of none; paths are relative to the repository's root"),
        )
    } else if says("are ignored by one of your") {
        EffectError::invalid_input(format!(
            "{}: {named:?} is ignored by a `.gitignore`; it cannot be staged",
            context.kind()
        ))
    } else if says("beyond a symbolic link") {
        paths::through_a_link(context, &named)
    } else if says("is in submodule") || says("does not have a commit checked out") {
        context.error(
            ErrorCode::Unsupported,
            format_args!("{named:?} is in a repository of its own, in which it can be staged"),
        )
    } else {
        git_error::from_output(context, output)
    }
}
