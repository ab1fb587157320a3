//! Fetches into a repository in a container.

use std::collections::BTreeMap;

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitFetch, GitFetched, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::{RemoteQuery, too_large};
use crate::by_git::ByGit;
use crate::by_git::git_error;
use crate::by_git::script::{StepOutput, git};
use crate::by_git::shell::GitShell;
use crate::by_git::write::ContainerWriter;
use crate::transport::address::RemoteAddress;
use crate::transport::scratch_repo::ScratchRepo;
use crate::transport::{command, git_error as remote_error};
use crate::write::refs::valid_name;

/// References of the container by their full names.
type References = BTreeMap<String, Oid>;

/// The changes a fetch makes to the container's repository.
#[derive(Debug)]
struct FetchPlan {
    updates: Vec<GitRefUpdate>,
    pack: Vec<u8>,
}

/// Fetches a remote's branches, and tags of what they bring.
pub(in crate::by_git) async fn fetch(
    service: &ByGit,
    call: &CallContext,
    request: GitFetch,
) -> Result<GitFetched, EffectError> {
    let shell = GitShell::find(service, call, &request).await?;
    let context = &shell.context;
    let refuse = |what: String| {
        Err(EffectError::invalid_input(format!(
            "{}: {what}",
            context.kind()
        )))
    };
    if request.prune && !request.branches.is_empty() {
        return refuse("`prune` goes with all branches; leave `branches` out".to_owned());
    }
    for branch in &request.branches {
        if valid_name("refs/heads/", branch).is_none() {
            return refuse(format!("git allows no name such as {:?}", &**branch));
        }
    }
    let mut script = shell.script()?;
    let repo_info = shell.query_repo_info(&mut script);
    let remote = RemoteQuery::add_steps(&mut script, &request.remote, &["url"]);
    let step = script.git([
        "for-each-ref",
        "--format=%(objectname) %(refname) %(symref)",
    ]);
    let outputs = shell.run(script).await?;
    repo_info.read(context, &outputs)?.check_sha1(context)?;
    let address = remote.read(&shell, call, &outputs)?;
    let before = references(&shell, &outputs[step])?;
    let plan = {
        let _permit = service.process_limit.acquire(context).await?;
        plan_fetch(&shell, &address, &request, &before).await?
    };
    if plan.updates.is_empty() {
        return Ok(GitFetched::default());
    }
    service
        .write(call, request, move |writer, _| async move {
            record(&writer, plan).await
        })
        .await
}

/// `<id> <name> <name of what it stands for, or nothing>`
fn references(shell: &GitShell, output: &StepOutput) -> Result<References, EffectError> {
    if !output.is_success() {
        return Err(git_error::from_output(&shell.context, output));
    }
    let mut references = References::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        // One whose name is no text can be in no answer, and stays as it is.
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let mut fields = line.split(' ');
        if let (Some(id), Some(name), Some("")) = (fields.next(), fields.next(), fields.next())
            && let Ok(id) = Oid::from_str(id)
        {
            references.insert(name.to_owned(), id);
        }
    }
    Ok(references)
}

/// Fetches the changes of the remote, and packs what the container lacks.
async fn plan_fetch(
    shell: &GitShell,
    address: &RemoteAddress,
    request: &GitFetch,
    before: &References,
) -> Result<FetchPlan, EffectError> {
    let (context, config) = (&shell.context, &shell.config);
    let scratch = ScratchRepo::empty(context)?;
    let mut arguments = command::arguments(["fetch", "--quiet", "--"]);
    arguments.push(address.url.clone().into());
    let remote = &*request.remote;
    if request.branches.is_empty() {
        arguments.push(format!("+refs/heads/*:refs/remotes/{remote}/*").into());
    }
    for branch in &request.branches {
        let branch = &**branch;
        arguments.push(format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}").into());
    }
    let output = command::run(context, config, &scratch, address, arguments).await?;
    if !output.is_success {
        return Err(remote_error::from_stderr(context, &output.stderr));
    }
    let updates = updates(shell, &scratch, request, before)?;
    let new: Vec<_> = updates
        .iter()
        .filter_map(|update| update.new.as_deref())
        .collect();
    if new.is_empty() {
        return Ok(FetchPlan {
            updates,
            pack: Vec::new(),
        });
    }
    // What the container has already is left out, as far as the remote has it too.
    let objects = scratch.open(context)?;
    let objects = objects.odb().map_err(|error| context.git(&error))?;
    let mut input = String::new();
    for id in new {
        input += &format!("{id}\n");
    }
    for id in before.values().filter(|id| objects.exists(**id)) {
        input += &format!("^{id}\n");
    }
    drop(objects);
    let arguments = command::arguments([
        "pack-objects",
        "--revs",
        "--stdout",
        "--quiet",
        "--thin",
        "--delta-base-offset",
    ]);
    let max_bytes = usize::try_from(config.max_transfer.get()).unwrap_or(usize::MAX);
    let output = command::run_offline(
        context,
        config,
        &scratch,
        arguments,
        input.into_bytes(),
        max_bytes,
    )
    .await?;
    if output.is_cut {
        return Err(too_large(shell));
    }
    if !output.is_success {
        return Err(remote_error::from_stderr(
            context,
            &String::from_utf8_lossy(&output.stderr),
        ));
    }
    Ok(FetchPlan {
        updates,
        pack: output.stdout,
    })
}

/// The references that have changed, by name.
fn updates(
    shell: &GitShell,
    scratch: &ScratchRepo,
    request: &GitFetch,
    before: &References,
) -> Result<Vec<GitRefUpdate>, EffectError> {
    let context = &shell.context;
    let after = scratch.references(context)?;
    let repository = scratch.open(context)?;
    let mut updates = Vec::new();
    let mut add = |name: &str, change, old: Option<&Oid>, new: Option<Oid>| {
        updates.push(GitRefUpdate {
            reference: name.to_owned(),
            change,
            old: old.map(ToString::to_string),
            new: new.map(|id| id.to_string()),
        });
    };
    if request.prune {
        let folder = format!("refs/remotes/{}/", &*request.remote);
        for (name, old) in before.iter().filter(|(name, _)| name.starts_with(&folder)) {
            if !after.contains_key(name.as_bytes()) {
                add(name, GitRefChange::Deleted, Some(old), None);
            }
        }
    }
    for (name, new) in after {
        let Ok(name) = std::str::from_utf8(&name) else {
            tracing::warn!(name = %String::from_utf8_lossy(&name), "a branch whose name is no UTF-8 was not fetched");
            continue;
        };
        let old = before.get(name);
        // A tag that is there stays what it is.
        if old == Some(&new) || (old.is_some() && name.starts_with("refs/tags/")) {
            continue;
        }
        let change = match old {
            None => GitRefChange::Created,
            Some(old) if repository.graph_descendant_of(new, *old).unwrap_or(false) => {
                GitRefChange::Updated
            }
            Some(_) => GitRefChange::Forced,
        };
        add(name, change, old, Some(new));
    }
    updates.sort_by(|one, other| one.reference.cmp(&other.reference));
    Ok(updates)
}

/// Writes the objects and the references to the container.
async fn record(writer: &ContainerWriter, plan: FetchPlan) -> Result<GitFetched, EffectError> {
    let context = writer.context();
    let FetchPlan { updates, pack } = plan;
    if !pack.is_empty() {
        let mut script = writer.script()?;
        let step = script.shell_with_input(&git(["index-pack", "--stdin", "--fix-thin"]), pack);
        let outputs = writer
            .shell
            .run_within(script, writer.shell.config.remote_time_limit.get())
            .await?;
        if !outputs[step].is_success() {
            return Err(git_error::from_output(context, &outputs[step]));
        }
        check_complete(writer, &updates).await?;
    }
    let absent = writer.repo_info.format.absent();
    // Deletions first: they may be in the way of new names.
    for is_gone in [true, false] {
        let mut input = String::new();
        for update in updates
            .iter()
            .filter(|update| update.new.is_none() == is_gone)
        {
            let name = &update.reference;
            input += &match (&update.new, &update.old) {
                (None, old) => format!("delete {name} {}\n", old.as_deref().unwrap_or_default()),
                (Some(new), None) if name.starts_with("refs/tags/") => {
                    format!("update {name} {new} {absent}\n")
                }
                (Some(new), _) => format!("update {name} {new}\n"),
            };
        }
        if input.is_empty() {
            continue;
        }
        let mut script = writer.script()?;
        let step = script.shell_with_input(
            &git(["update-ref", "-m", "fetch", "--stdin"]),
            input.into_bytes(),
        );
        let outputs = writer.run(script).await?;
        let output = &outputs[step];
        if !output.is_success() {
            let is_conflict = [
                "but expected",
                "reference already exists",
                "cannot create",
                "cannot process",
            ]
            .iter()
            .any(|words| output.stderr.contains(words));
            return Err(if is_conflict {
                context.error(
                    ErrorCode::Conflict,
                    format_args!(
                        "a branch stands in the way of another, or has changed by now; fetch with \
                         `prune`, or try again; git says: {}",
                        git_error::summary(&output.stderr)
                    ),
                )
            } else {
                git_error::from_output(context, output)
            });
        }
    }
    Ok(GitFetched { updates })
}

/// Checks that no object is missing.
async fn check_complete(
    writer: &ContainerWriter,
    updates: &[GitRefUpdate],
) -> Result<(), EffectError> {
    let new = updates.iter().filter_map(|update| update.new.as_deref());
    let input: String = new.flat_map(|id| [id, "\n"]).collect();
    let mut script = writer.script()?;
    let walk = git([
        "rev-list",
        "--objects",
        "--stdin",
        "--not",
        "--all",
        "--quiet",
    ]);
    let step = script.shell_with_input(&walk, input.into_bytes());
    let outputs = writer.run(script).await?;
    if outputs[step].is_success() {
        return Ok(());
    }
    Err(writer.context().error(
        ErrorCode::Unsupported,
        "what the remote has does not fit what is in the container, as when history was cut off (a \
         shallow or partial clone) below where branches part; clone it whole",
    ))
}
