//! Pushes from a repository of the host.

use std::ffi::OsString;

use exomonad_core::{CallContext, PathBounds};
use exomonad_schema::effects::git::{GitPush, GitPushed, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{ObjectType, Oid};

use super::address::RemoteAddress;
use super::command::{self, CommandOutput};
use super::scratch_repo::{References, ScratchRepo};
use super::{Direction, git_error};
use crate::effect_context::EffectContext;
use crate::on_host::OnHost;
use crate::open::OpenRepo;
use crate::write::refs::{self, ExpectedOld};
use crate::write::{self, RepoWriter};
use crate::{GitConfig, head};
use exomonad_core::roots::Roots;

/// A push that was checked.
#[derive(Debug)]
struct PushPlan {
    address: RemoteAddress,
    scratch: ScratchRepo,
    remote: String,
    /// The local branch's short name.
    branch: String,
    /// The remote's branch, short, and its new commit.
    remote_branch: String,
    commit: Oid,
    arguments: Vec<OsString>,
    /// The remote's references in the order of the answer.
    targets: Vec<(String, Oid)>,
    set_upstream: bool,
}

/// Pushes a branch, and tags.
pub(crate) async fn push(
    git: &OnHost,
    call: &CallContext,
    request: GitPush,
) -> Result<GitPushed, EffectError> {
    let working_dir = request.working_dir.clone();
    let config = git.config.clone();
    let roots = call.bounds.get::<PathBounds>().roots();
    let plan = git
        .read::<GitPush, _>(call, &working_dir, move |repo, _| {
            plan(repo, &config, &roots, &request)
        })
        .await?;
    let context = EffectContext::new(exomonad_schema::EffectKind::GitPush, call, &working_dir);
    super::check_repo(&context, &git.config, call, &plan.address)?;
    let output = {
        let _permit = git.process_limit.acquire(&context).await?;
        command::run(
            &context,
            &git.config,
            &plan.scratch,
            &plan.address,
            plan.arguments.clone(),
        )
        .await?
    };
    let updates = read_updates(&context, &output, &plan.targets)?;
    git.write::<GitPush, _>(call, &working_dir, move |writer| record(writer, &plan))
        .await
        .map_err(|error| EffectError {
            message: format!("{} (the push itself has succeeded)", error.message),
            ..error
        })?;
    Ok(GitPushed { updates })
}

fn plan(
    repo: &OpenRepo,
    config: &GitConfig,
    roots: &Roots,
    request: &GitPush,
) -> Result<PushPlan, EffectError> {
    let address = super::address_of(repo, config, roots, &request.remote, Direction::Push)?;
    let branch = match &request.branch {
        Some(branch) => branch.to_string(),
        None => current_branch(repo)?,
    };
    let remote_branch = request
        .remote_branch
        .as_ref()
        .map_or_else(|| branch.clone(), |branch| branch.to_string());
    let commit = id_of(repo, "refs/heads/", &branch, Some(ObjectType::Commit))?;
    let mut targets = vec![(
        valid(repo.context(), "refs/heads/", &remote_branch)?,
        commit,
    )];
    for tag in &request.tags {
        let id = id_of(repo, "refs/tags/", tag, None)?;
        targets.push((valid(repo.context(), "refs/tags/", tag)?, id));
    }

    let arguments = arguments(repo.context(), config, &address, request, &targets)?;
    Ok(PushPlan {
        scratch: ScratchRepo::new(repo, &References::new())?,
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

/// The arguments of `git push`.
pub(crate) fn arguments(
    context: &EffectContext,
    config: &GitConfig,
    address: &RemoteAddress,
    request: &GitPush,
    targets: &[(String, Oid)],
) -> Result<Vec<OsString>, EffectError> {
    let mut arguments = command::arguments(["push", "--porcelain", "--no-verify"]);
    if let Some(expected) = &request.force_with_lease {
        if !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(EffectError::invalid_input(format!(
                "{}: forceWithLease {:?} is no full commit id",
                context.kind(),
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

fn current_branch(repo: &OpenRepo) -> Result<String, EffectError> {
    let reference = head::find(repo)?.reference;
    reference
        .as_deref()
        .and_then(|name| std::str::from_utf8(name).ok()?.strip_prefix("refs/heads/"))
        .map(str::to_owned)
        .ok_or_else(|| no_branch(repo.context()))
}

/// The error when no branch is named, and none is checked out.
pub(crate) fn no_branch(context: &EffectContext) -> EffectError {
    context.error(
        ErrorCode::InvalidInput,
        "no branch is checked out, or its name is no UTF-8 text; name the `branch` to push",
    )
}

/// The error when there is nothing of this name to push.
pub(crate) fn nothing_named(context: &EffectContext, name: &str) -> EffectError {
    context.error(
        ErrorCode::NotFound,
        format_args!("there is no {name:?} here to push; commit something first, or name another"),
    )
}

/// Checks a name; returns the full one.
pub(crate) fn valid(
    context: &EffectContext,
    folder: &str,
    short: &str,
) -> Result<String, EffectError> {
    refs::valid_name(folder, short).ok_or_else(|| {
        EffectError::invalid_input(format!(
            "{}: git allows no name such as {short:?}",
            context.kind()
        ))
    })
}

fn id_of(
    repo: &OpenRepo,
    folder: &str,
    short: &str,
    kind: Option<ObjectType>,
) -> Result<Oid, EffectError> {
    let name = valid(repo.context(), folder, short)?;
    let reference = repo
        .git2()
        .find_reference(&name)
        .and_then(|reference| reference.resolve())
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => nothing_named(repo.context(), &name),
            _ => repo.git_error(&error),
        })?;
    let id = match kind {
        Some(kind) => reference.peel(kind).map(|object| object.id()),
        None => Ok(reference.target().unwrap_or(Oid::ZERO_SHA1)),
    };
    id.map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => repo
            .context()
            .damaged(format_args!("what {name:?} leads to is missing")),
        _ => repo.git_error(&error),
    })
}

/// Reads `git push --porcelain`: `<flag>\t<from>:<to>\t<summary> (<reason>)`.
pub(crate) fn read_updates(
    context: &EffectContext,
    output: &CommandOutput,
    targets: &[(String, Oid)],
) -> Result<Vec<GitRefUpdate>, EffectError> {
    let mut updates = Vec::new();
    let mut rejections = Vec::new();
    for line in output.stdout.lines() {
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
                rejections.push((name, summary));
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
    if let Some(error) = rejection(context, &rejections, &output.stderr) {
        return Err(error);
    }
    if !output.is_success || updates.len() != targets.len() {
        return Err(git_error::from_stderr(context, &output.stderr));
    }
    let position = |update: &GitRefUpdate| {
        targets
            .iter()
            .position(|(name, _)| *name == update.reference)
    };
    updates.sort_by_key(position);
    Ok(updates)
}

fn rejection(
    context: &EffectContext,
    rejections: &[(&str, &str)],
    stderr: &str,
) -> Option<EffectError> {
    // Of an atomic push, those that are rejected with another say nothing.
    let (name, summary) = rejections
        .iter()
        .find(|(_, summary)| !summary.contains("atomic"))
        .or(rejections.first())?;
    let says = |any: &[&str]| any.iter().any(|words| summary.contains(words));
    Some(if says(&["stale info"]) {
        context.error(
            ErrorCode::Conflict,
            format_args!(
                "{name:?} is not where `forceWithLease` has it; fetch, look at it, and try again"
            ),
        )
    } else if says(&["fetch first", "non-fast-forward", "needs force"]) {
        context.error(
            ErrorCode::Conflict,
            format_args!("{name:?} has commits that are not here; fetch and build on them first"),
        )
    } else if says(&["already exists"]) {
        context.error(
            ErrorCode::Conflict,
            format_args!("{name:?} exists there already"),
        )
    } else if says(&["lock", "failed to update ref"]) {
        context.error(
            ErrorCode::Conflict,
            format_args!(
                "somebody else is changing {name:?}, or a name in its way is taken: {summary}"
            ),
        )
    } else if says(&["remote failure", "unpack"]) {
        context.error(
            ErrorCode::Unavailable,
            format_args!("the remote failed to take {name:?}: {summary}"),
        )
    } else {
        let words = git_error::remote_messages(stderr);
        context.error(
            ErrorCode::Validation,
            format_args!("the remote refuses {name:?}: {summary}; it says: {words}"),
        )
    })
}

/// Updates the remote-tracking branch.
fn record(writer: &RepoWriter<'_>, plan: &PushPlan) -> Result<(), EffectError> {
    let tracking = format!("{}/{}", plan.remote, plan.remote_branch);
    let tracking = refs::full_name(writer, "refs/remotes/", &tracking)?;
    refs::set(
        writer,
        &tracking,
        ExpectedOld::Anything,
        plan.commit,
        "update by push",
    )?;
    if plan.set_upstream {
        let merge = format!("refs/heads/{}", plan.remote_branch);
        write::set_upstream(writer, &plan.branch, &plan.remote, &merge)?;
    }
    Ok(())
}
