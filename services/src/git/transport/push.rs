//! Push.

use std::ffi::OsString;

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitPush, GitPushed, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{ObjectType, Oid};

use super::address::Address;
use super::command::{self, Said};
use super::shadow::{References, Shadow};
use super::{Direction, failure};
use crate::git::on_host::OnHost;
use crate::git::open::Opened;
use crate::git::roots::Roots;
use crate::git::task::Task;
use crate::git::write::refs::{self, Before};
use crate::git::write::{self, Writing};
use crate::git::{GitConfig, head};

/// What will be pushed.
#[derive(Debug)]
struct Plan {
    address: Address,
    shadow: Shadow,
    remote: String,
    /// The local branch's short name.
    branch: String,
    /// The remote's branch, short, and what it is to be.
    remote_branch: String,
    commit: Oid,
    arguments: Vec<OsString>,
    /// The remote's references in the order of the answer.
    targets: Vec<(String, Oid)>,
    set_upstream: bool,
}

/// Pushes a branch, and tags.
pub(in crate::git) async fn push(
    git: &OnHost,
    call: &CallContext,
    request: GitPush,
) -> Result<GitPushed, EffectError> {
    let working_dir = request.working_dir.clone();
    let (config, bounds) = (git.config.clone(), call.bounds.clone());
    let plan = git
        .read::<GitPush, _>(call, &working_dir, move |opened, _| {
            plan(opened, &config, &Roots::new(&bounds.paths), &request)
        })
        .await?;
    let task = Task::new(exomonad_schema::EffectKind::GitPush, call, &working_dir);
    super::check_repo(&task, &git.config, call, &plan.address)?;
    let said = {
        let _place = git.programs.place(&task).await?;
        command::run(
            &task,
            &git.config,
            &plan.shadow,
            &plan.address,
            plan.arguments.clone(),
        )
        .await?
    };
    let updates = read_updates(&task, &said, &plan.targets)?;
    git.write::<GitPush, _>(call, &working_dir, move |writing| record(writing, &plan))
        .await
        .map_err(|error| EffectError {
            message: format!("{} (the push itself has succeeded)", error.message),
            ..error
        })?;
    Ok(GitPushed { updates })
}

fn plan(
    opened: &Opened,
    config: &GitConfig,
    roots: &Roots,
    request: &GitPush,
) -> Result<Plan, EffectError> {
    let address = super::address_of(opened, config, roots, &request.remote, Direction::Push)?;
    let branch = match &request.branch {
        Some(branch) => branch.to_string(),
        None => current_branch(opened)?,
    };
    let remote_branch = request
        .remote_branch
        .as_ref()
        .map_or_else(|| branch.clone(), |branch| branch.to_string());
    let commit = id_of(opened, "refs/heads/", &branch, Some(ObjectType::Commit))?;
    let mut targets = vec![(valid(opened.task(), "refs/heads/", &remote_branch)?, commit)];
    for tag in &request.tags {
        let id = id_of(opened, "refs/tags/", tag, None)?;
        targets.push((valid(opened.task(), "refs/tags/", tag)?, id));
    }

    let arguments = arguments(opened.task(), config, &address, request, &targets)?;
    Ok(Plan {
        shadow: Shadow::new(opened, &References::new())?,
        address,
        remote: request.remote.to_string(),
        branch,
        remote_branch,
        commit,
        arguments,
        targets,
        set_upstream: request.set_upstream,
    })
}

/// What git is told to push, and how.
pub(in crate::git) fn arguments(
    task: &Task,
    config: &GitConfig,
    address: &Address,
    request: &GitPush,
    targets: &[(String, Oid)],
) -> Result<Vec<OsString>, EffectError> {
    let mut arguments = command::arguments(["push", "--porcelain", "--no-verify"]);
    if let Some(expected) = &request.force_with_lease {
        if !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(EffectError::invalid_input(format!(
                "{}: forceWithLease {:?} is no full commit id",
                task.kind(),
                &**expected
            )));
        }
        let target = &targets[0].0;
        arguments.push(format!("--force-with-lease={target}:{}", &**expected).into());
    }
    if targets.len() > 1 {
        arguments.push("--atomic".into());
    }
    if address.protocol == "file" {
        let mut program = OsString::from("--receive-pack=");
        program.push(command::local_program(&config.program, "receive-pack"));
        arguments.push(program);
    }
    arguments.push("--".into());
    arguments.push(address.url.clone().into());
    arguments.extend(
        targets
            .iter()
            .map(|(name, id)| format!("{id}:{name}").into()),
    );
    Ok(arguments)
}

fn current_branch(opened: &Opened) -> Result<String, EffectError> {
    let reference = head::find(opened)?.reference;
    reference
        .as_deref()
        .and_then(|name| std::str::from_utf8(name).ok()?.strip_prefix("refs/heads/"))
        .map(str::to_owned)
        .ok_or_else(|| no_branch(opened.task()))
}

/// No branch is named, and none is checked out.
pub(in crate::git) fn no_branch(task: &Task) -> EffectError {
    task.error(
        ErrorCode::InvalidInput,
        "no branch is checked out, or its name is no UTF-8 text; name the `branch` to push",
    )
}

/// There is nothing of this name to push.
pub(in crate::git) fn nothing_named(task: &Task, name: &str) -> EffectError {
    task.error(
        ErrorCode::NotFound,
        format_args!("there is no {name:?} here to push; commit something first, or name another"),
    )
}

/// The full name.
pub(in crate::git) fn valid(task: &Task, folder: &str, short: &str) -> Result<String, EffectError> {
    refs::valid_name(folder, short).ok_or_else(|| {
        EffectError::invalid_input(format!(
            "{}: git allows no name such as {short:?}",
            task.kind()
        ))
    })
}

fn id_of(
    opened: &Opened,
    folder: &str,
    short: &str,
    kind: Option<ObjectType>,
) -> Result<Oid, EffectError> {
    let name = valid(opened.task(), folder, short)?;
    let reference = opened
        .repository()
        .find_reference(&name)
        .and_then(|reference| reference.resolve())
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => nothing_named(opened.task(), &name),
            _ => opened.git_error(&error),
        })?;
    let id = match kind {
        Some(kind) => reference.peel(kind).map(|object| object.id()),
        None => Ok(reference.target().unwrap_or(Oid::ZERO_SHA1)),
    };
    id.map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => opened
            .task()
            .damaged(format_args!("what {name:?} leads to is missing")),
        _ => opened.git_error(&error),
    })
}

/// Reads `git push --porcelain`: `<flag>\t<from>:<to>\t<summary> (<reason>)`.
pub(in crate::git) fn read_updates(
    task: &Task,
    said: &Said,
    targets: &[(String, Oid)],
) -> Result<Vec<GitRefUpdate>, EffectError> {
    let mut updates = Vec::new();
    let mut refusals = Vec::new();
    for line in said.stdout.lines() {
        let mut fields = line.split('\t');
        let (Some(flag), Some(names), Some(summary)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let Some((_, name)) = names.rsplit_once(':') else {
            continue;
        };
        let change = match flag {
            "*" => GitRefChange::Created,
            " " => GitRefChange::Updated,
            "+" => GitRefChange::Forced,
            "=" => GitRefChange::UpToDate,
            _ => {
                refusals.push((name, summary));
                continue;
            }
        };
        let Some((_, new)) = targets.iter().find(|(target, _)| target == name) else {
            continue;
        };
        let new = new.to_string();
        let old = match change {
            GitRefChange::UpToDate => Some(new.clone()),
            _ => summary.split_once("..").map(|(old, _)| old.to_owned()),
        };
        updates.push(GitRefUpdate {
            reference: name.to_owned(),
            change,
            old,
            new: Some(new),
        });
    }
    if let Some(error) = refusal(task, &refusals, &said.stderr) {
        return Err(error);
    }
    if !said.is_success || updates.len() != targets.len() {
        return Err(failure::of(task, &said.stderr));
    }
    let place = |update: &GitRefUpdate| {
        targets
            .iter()
            .position(|(name, _)| *name == update.reference)
    };
    updates.sort_by_key(place);
    Ok(updates)
}

fn refusal(task: &Task, refusals: &[(&str, &str)], stderr: &str) -> Option<EffectError> {
    // Where all go or none, those that only share another's fate say nothing.
    let (name, summary) = refusals
        .iter()
        .find(|(_, summary)| !summary.contains("atomic"))
        .or(refusals.first())?;
    let says = |any: &[&str]| any.iter().any(|words| summary.contains(words));
    Some(if says(&["stale info"]) {
        task.error(
            ErrorCode::Conflict,
            format_args!(
                "{name:?} is not where `forceWithLease` has it; fetch, look at it, and try again"
            ),
        )
    } else if says(&["fetch first", "non-fast-forward", "needs force"]) {
        task.error(
            ErrorCode::Conflict,
            format_args!("{name:?} has commits that are not here; fetch and build on them first"),
        )
    } else if says(&["already exists"]) {
        task.error(
            ErrorCode::Conflict,
            format_args!("{name:?} exists there already"),
        )
    } else if says(&["lock", "failed to update ref"]) {
        task.error(
            ErrorCode::Conflict,
            format_args!(
                "somebody else is changing {name:?}, or a name in its way is taken: {summary}"
            ),
        )
    } else if says(&["remote failure", "unpack"]) {
        task.error(
            ErrorCode::Unavailable,
            format_args!("the remote failed to take {name:?}: {summary}"),
        )
    } else {
        let words = failure::remote_words(stderr);
        task.error(
            ErrorCode::Validation,
            format_args!("the remote refuses {name:?}: {summary}; it says: {words}"),
        )
    })
}

/// Writes down where the remote's branch is now.
fn record(writing: &Writing<'_>, plan: &Plan) -> Result<(), EffectError> {
    let tracking = format!("{}/{}", plan.remote, plan.remote_branch);
    let tracking = refs::full_name(writing, "refs/remotes/", &tracking)?;
    refs::set(
        writing,
        &tracking,
        Before::Anything,
        plan.commit,
        "update by push",
    )?;
    if plan.set_upstream {
        let merge = format!("refs/heads/{}", plan.remote_branch);
        write::set_upstream(writing, &plan.branch, &plan.remote, &merge)?;
    }
    Ok(())
}
