//! Fetches into a repository of the host.

use std::ffi::OsString;

use exomonad_core::{CallContext, PathBounds};
use exomonad_schema::effects::git::{GitFetch, GitFetched, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, EffectKind};
use git2::Oid;

use super::address::RemoteAddress;
use super::scratch_repo::{References, ScratchRepo};
use super::{Direction, command, git_error, scratch_repo};
use crate::GitConfig;
use crate::effect_context::EffectContext;
use crate::on_host::OnHost;
use crate::open::OpenRepo;
use crate::write::refs::{self, ExpectedOld};
use crate::write::{self, RepoWriter};
use exomonad_core::roots::Roots;

/// A fetch that was checked.
#[derive(Debug)]
struct FetchPlan {
    address: RemoteAddress,
    scratch: ScratchRepo,
    /// The references before.
    before: References,
    /// The commits at which history was cut off before.
    shallow_before: Option<Vec<u8>>,
    arguments: Vec<OsString>,
}

/// Fetches a remote's branches, and tags of what they bring.
pub(crate) async fn fetch(
    git: &OnHost,
    call: &CallContext,
    request: GitFetch,
) -> Result<GitFetched, EffectError> {
    let working_dir = request.working_dir.clone();
    let config = git.config.clone();
    let roots = call.bounds.get::<PathBounds>().roots();
    let plan = git
        .read::<GitFetch, _>(call, &working_dir, move |repo, _| {
            plan(repo, &config, &roots, &request)
        })
        .await?;
    let context = EffectContext::new(EffectKind::GitFetch, call, &working_dir);
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
    if !output.is_success {
        return Err(git_error::from_stderr(&context, &output.stderr));
    }
    git.write::<GitFetch, _>(call, &working_dir, move |writer| record(writer, &plan))
        .await
}

fn plan(
    repo: &OpenRepo,
    config: &GitConfig,
    roots: &Roots,
    request: &GitFetch,
) -> Result<FetchPlan, EffectError> {
    let address = super::address_of(repo, config, roots, &request.remote, Direction::Fetch)?;
    let refuse = |what: String| {
        Err(EffectError::invalid_input(format!(
            "{}: {what}",
            repo.context().kind()
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
    let before = scratch_repo::references_of(repo)?;
    let scratch = ScratchRepo::new(repo, &before)?;
    Ok(FetchPlan {
        address,
        shallow_before: scratch.shallow(),
        scratch,
        before,
        arguments,
    })
}

/// Writes the references that git has fetched to the repository.
fn record(writer: &RepoWriter<'_>, plan: &FetchPlan) -> Result<GitFetched, EffectError> {
    let after = plan.scratch.references(writer.context())?;
    let shallow = plan.scratch.shallow();
    write::set_shallow(writer, plan.shallow_before.as_deref(), shallow.as_deref())?;
    let mut updates = Vec::new();
    // Deletions first: they may be in the way of new names.
    for (name, old) in plan
        .before
        .iter()
        .filter(|(name, _)| !after.contains_key(*name))
    {
        let Some(name) = text(name) else { continue };
        if refs::current(writer, name)? == Some(*old) {
            refs::remove(writer, name, *old)?;
            updates.push(update(name, GitRefChange::Deleted, Some(*old), None));
        }
    }
    for (name, new) in &after {
        let old = plan.before.get(name).copied();
        let Some(name) = text(name).filter(|_| old != Some(*new)) else {
            continue;
        };
        let before = if name.starts_with("refs/tags/") {
            ExpectedOld::Absent
        } else {
            ExpectedOld::Anything
        };
        writer.job.check(writer.context())?;
        refs::put(writer, name, before, *new, "fetch")?;
        updates.push(update(name, change(writer, old, *new), old, Some(*new)));
    }
    updates.sort_by(|one, other| one.reference.cmp(&other.reference));
    Ok(GitFetched { updates })
}

/// A name as text; others cannot be in an answer, and stay as they are.
fn text(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok();
    if text.is_none() {
        tracing::warn!(name = %String::from_utf8_lossy(name), "a branch whose name is no UTF-8 was not fetched");
    }
    text
}

fn change(writer: &RepoWriter<'_>, old: Option<Oid>, new: Oid) -> GitRefChange {
    let Some(old) = old else {
        return GitRefChange::Created;
    };
    match writer.repo.history().graph_descendant_of(new, old) {
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
