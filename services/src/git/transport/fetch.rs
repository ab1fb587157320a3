//! Fetch.

use std::ffi::OsString;

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitFetch, GitFetched, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, EffectKind};
use git2::Oid;

use super::address::Address;
use super::shadow::{References, Shadow};
use super::{Direction, command, failure, shadow};
use crate::git::GitConfig;
use crate::git::on_host::OnHost;
use crate::git::open::Opened;
use crate::git::roots::Roots;
use crate::git::task::Task;
use crate::git::write::refs::{self, Before};
use crate::git::write::{self, Writing};

/// What will be fetched.
#[derive(Debug)]
struct Plan {
    address: Address,
    shadow: Shadow,
    /// The references before.
    before: References,
    /// Where history was cut off before.
    shallow_before: Option<Vec<u8>>,
    arguments: Vec<OsString>,
}

/// Fetches a remote's branches, and tags of what they bring.
pub(in crate::git) async fn fetch(
    git: &OnHost,
    call: &CallContext,
    request: GitFetch,
) -> Result<GitFetched, EffectError> {
    let working_dir = request.working_dir.clone();
    let (config, bounds) = (git.config.clone(), call.bounds.clone());
    let plan = git
        .read::<GitFetch, _>(call, &working_dir, move |opened, _| {
            plan(opened, &config, &Roots::new(&bounds.paths), &request)
        })
        .await?;
    let task = Task::new(EffectKind::GitFetch, call, &working_dir);
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
    if !said.is_success {
        return Err(failure::of(&task, &said.stderr));
    }
    git.write::<GitFetch, _>(call, &working_dir, move |writing| record(writing, &plan))
        .await
}

fn plan(
    opened: &Opened,
    config: &GitConfig,
    roots: &Roots,
    request: &GitFetch,
) -> Result<Plan, EffectError> {
    let address = super::address_of(opened, config, roots, &request.remote, Direction::Fetch)?;
    let refuse = |what: String| {
        Err(EffectError::invalid_input(format!(
            "{}: {what}",
            opened.task().kind()
        )))
    };
    if request.prune && !request.branches.is_empty() {
        return refuse("`prune` goes with all branches; leave `branches` out".to_owned());
    }
    let mut arguments = command::arguments(["fetch", "--quiet"]);
    if request.prune {
        arguments.push("--prune".into());
    }
    if address.protocol == "file" {
        let mut program = OsString::from("--upload-pack=");
        program.push(command::local_program(&config.program, "upload-pack"));
        arguments.push(program);
    }
    arguments.push("--".into());
    arguments.push(address.url.clone().into());
    let remote = &*request.remote;
    if request.branches.is_empty() {
        arguments.push(format!("+refs/heads/*:refs/remotes/{remote}/*").into());
    }
    for branch in &request.branches {
        let Some(name) = refs::valid_name("refs/heads/", branch) else {
            return refuse(format!("git allows no name such as {:?}", &**branch));
        };
        arguments.push(format!("+{name}:refs/remotes/{remote}/{}", &**branch).into());
    }
    let before = shadow::references_of(opened)?;
    let shadow = Shadow::new(opened, &before)?;
    Ok(Plan {
        address,
        shallow_before: shadow.shallow(),
        shadow,
        before,
        arguments,
    })
}

/// Takes over what git has made of the references.
fn record(writing: &Writing<'_>, plan: &Plan) -> Result<GitFetched, EffectError> {
    let after = plan.shadow.references(writing.task())?;
    let shallow = plan.shadow.shallow();
    write::set_shallow(writing, plan.shallow_before.as_deref(), shallow.as_deref())?;
    let mut updates = Vec::new();
    // First what is gone: it may stand in the way of what is new.
    for (name, old) in plan
        .before
        .iter()
        .filter(|(name, _)| !after.contains_key(*name))
    {
        let Some(name) = text(name) else { continue };
        if refs::current(writing, name)? == Some(*old) {
            refs::remove(writing, name, *old)?;
            updates.push(update(name, GitRefChange::Deleted, Some(*old), None));
        }
    }
    for (name, new) in &after {
        let old = plan.before.get(name).copied();
        let Some(name) = text(name).filter(|_| old != Some(*new)) else {
            continue;
        };
        let before = if name.starts_with("refs/tags/") {
            Before::Absent
        } else {
            Before::Anything
        };
        writing.job.check(writing.task())?;
        refs::put(writing, name, before, *new, "fetch")?;
        updates.push(update(name, change(writing, old, *new), old, Some(*new)));
    }
    updates.sort_by(|one, other| one.reference.cmp(&other.reference));
    Ok(GitFetched { updates })
}

/// A name as text; what is none cannot be named in an answer, and stays as it is.
fn text(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok();
    if text.is_none() {
        tracing::warn!(name = %String::from_utf8_lossy(name), "a branch whose name is no UTF-8 was not fetched");
    }
    text
}

fn change(writing: &Writing<'_>, old: Option<Oid>, new: Oid) -> GitRefChange {
    let Some(old) = old else {
        return GitRefChange::Created;
    };
    match writing.opened.history().graph_descendant_of(new, old) {
        Ok(false) => GitRefChange::Forced,
        _ => GitRefChange::Updated,
    }
}

fn update(name: &str, change: GitRefChange, old: Option<Oid>, new: Option<Oid>) -> GitRefUpdate {
    GitRefUpdate {
        reference: name.to_owned(),
        change,
        old: old.map(|id| id.to_string()),
        new: new.map(|id| id.to_string()),
    }
}
