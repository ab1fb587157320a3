//! Staging.
//!
//! What a request names is staged in a copy of the index first, where it can be
//! looked at and left.

use std::collections::HashSet;

use exomonad_schema::effects::git::{ChangeKind, GitChange, GitStage, GitStaged};
use exomonad_schema::{EffectError, ErrorCode};

use super::Writing;
use crate::git::container::failure;
use crate::git::container::script::{Said, Script, Step, git, quoted};
use crate::git::write::paths;

/// The mode of an index entry that stands for a submodule.
const GITLINK: &[u8] = b"160000";

pub(in crate::git::container) async fn stage(
    writing: Writing,
    request: GitStage,
) -> Result<GitStaged, EffectError> {
    if request.paths.is_empty() && !request.all {
        return Err(EffectError::invalid_input(format!(
            "{}: nothing to stage is named; give `paths`, or `all`",
            writing.task().kind()
        )));
    }
    let staged = into(&writing, &request.paths, request.all).await?;
    Ok(GitStaged { staged })
}

/// Stages; the changes that are staged then.
pub(super) async fn into(
    writing: &Writing,
    paths: &[String],
    all: bool,
) -> Result<Vec<GitChange>, EffectError> {
    let task = writing.task();
    writing.facts.work_dir(task)?;
    let mut named = Vec::new();
    for path in paths {
        let plain = paths::plain(task, path)?;
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
    try_out(writing, paths, &input).await?;
    let mut script = writing.script()?;
    let add = script.shell_with_input(&add(), input);
    let staged = ask_staged(&mut script, writing);
    let answers = writing.run(script).await?;
    if !answers[add].is_success() {
        return Err(refused(writing, paths, &answers[add]));
    }
    let mut changes = Vec::new();
    for entry in read(writing, &answers[staged])? {
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

/// What the next commit would change.
fn ask_staged(script: &mut Script, writing: &Writing) -> Step {
    let mut arguments = vec![
        "diff",
        "--cached",
        "--raw",
        "-z",
        "--no-renames",
        "--abbrev=40",
    ];
    // Without a commit git compares with nothing by itself.
    if writing.facts.commit.is_some() {
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
fn read(writing: &Writing, said: &Said) -> Result<Vec<Entry>, EffectError> {
    let task = writing.task();
    if !said.is_success() {
        return Err(failure::of(task, said));
    }
    let records: Vec<_> = said.records().collect();
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
        entries.ok_or_else(|| task.damaged("`git diff` answers with what it should not"))?;
    entries.dedup();
    Ok(entries)
}

/// Stages in a copy of the index, and refuses what is not to be staged.
async fn try_out(writing: &Writing, paths: &[String], input: &[u8]) -> Result<(), EffectError> {
    let task = writing.task();
    let mut script = writing.script()?;
    let before = ask_staged(&mut script, writing);
    let index = quoted(&format!("{}/index", writing.facts.git_dir));
    script.line(&format!(
        "index={index}.exomonad-$w; [ ! -e {index} ] || cp -p {index} \"$index\""
    ));
    let add = script.shell_with_input(&add(), input.to_vec());
    let after = ask_staged(&mut script, writing);
    let names = git(["diff", "--cached", "--name-only", "-z", "--no-renames"]);
    let attributes = git(["check-attr", "--stdin", "-z", "filter"]);
    let filters = script.shell(&format!("{names} | {attributes}"));
    script.line("rm -f \"$index\" \"$index.lock\"; index=");
    let answers = writing.run(script).await?;
    if !answers[add].is_success() {
        return Err(refused(writing, paths, &answers[add]));
    }
    let known: HashSet<_> = read(writing, &answers[before])?.into_iter().collect();
    let after = read(writing, &answers[after])?;
    let max_files = writing.place.config.max_files;
    if after.len() > max_files {
        return Err(task.error(
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
            return Err(task.error(
                ErrorCode::Unsupported,
                format_args!(
                    "{:?} is a repository of its own; add it with `git submodule add`, or have `.gitignore` name it",
                    String::from_utf8_lossy(&entry.path)
                ),
            ));
        }
    }
    // `<path>\0filter\0<value>\0`
    let fields: Vec<_> = answers[filters].records().collect();
    for attribute in fields.chunks(3) {
        let [path, _, value] = attribute else {
            continue;
        };
        let is_filtered = !matches!(*value, b"unspecified" | b"unset" | b"set");
        if is_filtered && new.iter().any(|entry| entry.path == *path) {
            return Err(task.error(
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

fn refused(writing: &Writing, paths: &[String], said: &Said) -> EffectError {
    let task = writing.task();
    let says = |words: &str| said.stderr.contains(words);
    let named = paths
        .iter()
        .find(|path| says(&format!("'{path}'")) || said.stderr.lines().any(|line| line == **path))
        .cloned()
        .unwrap_or_default();
    if says("did not match any file") {
        task.error(
            ErrorCode::NotFound,
            format_args!("there is no file {named:?}, and git knows of none; paths are relative to the repository's root"),
        )
    } else if says("are ignored by one of your") {
        EffectError::invalid_input(format!(
            "{}: {named:?} is ignored by a `.gitignore`; it cannot be staged",
            task.kind()
        ))
    } else if says("beyond a symbolic link") {
        paths::through_a_link(task, &named)
    } else if says("is in submodule") || says("does not have a commit checked out") {
        task.error(
            ErrorCode::Unsupported,
            format_args!("{named:?} is in a repository of its own, in which it can be staged"),
        )
    } else {
        failure::of(task, said)
    }
}
