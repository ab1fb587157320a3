//! Fetch.

use std::collections::BTreeMap;

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitFetch, GitFetched, GitRefChange, GitRefUpdate};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::{AskedRemote, too_large};
use crate::git::container::InContainer;
use crate::git::container::failure;
use crate::git::container::place::Place;
use crate::git::container::script::{Said, git};
use crate::git::container::write::{ABSENT, Writing};
use crate::git::transport::address::Address;
use crate::git::transport::shadow::Shadow;
use crate::git::transport::{command, failure as remote_failure};
use crate::git::write::refs::valid_name;

/// References of the container by their full names.
type References = BTreeMap<String, Oid>;

/// What a fetch will do to the container's repository.
#[derive(Debug)]
struct Brought {
    updates: Vec<GitRefUpdate>,
    pack: Vec<u8>,
}

/// Fetches a remote's branches, and tags of what they bring.
pub(in crate::git::container) async fn fetch(
    service: &InContainer,
    call: &CallContext,
    request: GitFetch,
) -> Result<GitFetched, EffectError> {
    let place = Place::find(service, call, &request).await?;
    let task = &place.task;
    let refuse = |what: String| {
        Err(EffectError::invalid_input(format!(
            "{}: {what}",
            task.kind()
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
    let mut script = place.script()?;
    let facts = place.ask_facts(&mut script);
    let remote = AskedRemote::ask(&mut script, &request.remote, &["url"]);
    let step = script.git([
        "for-each-ref",
        "--format=%(objectname) %(refname) %(symref)",
    ]);
    let answers = place.run(script).await?;
    facts.read(task, &answers)?;
    let address = remote.read(&place, call, &answers)?;
    let before = references(&place, &answers[step])?;
    let brought = {
        let _place = service.programs.place(task).await?;
        bring(&place, &address, &request, &before).await?
    };
    if brought.updates.is_empty() {
        return Ok(GitFetched::default());
    }
    service
        .write(call, request, move |writing, _| async move {
            record(&writing, brought).await
        })
        .await
}

/// `<id> <name> <name of what it stands for, or nothing>`
fn references(place: &Place, said: &Said) -> Result<References, EffectError> {
    if !said.is_success() {
        return Err(failure::of(&place.task, said));
    }
    let mut references = References::new();
    for line in said.stdout.split(|byte| *byte == b'\n') {
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

/// Gets what has changed on the remote, and what of it the container lacks.
async fn bring(
    place: &Place,
    address: &Address,
    request: &GitFetch,
    before: &References,
) -> Result<Brought, EffectError> {
    let (task, config) = (&place.task, &place.config);
    let shadow = Shadow::empty(task)?;
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
    let said = command::run(task, config, &shadow, address, arguments).await?;
    if !said.is_success {
        return Err(remote_failure::of(task, &said.stderr));
    }
    let updates = updates(place, &shadow, request, before)?;
    let new: Vec<_> = updates
        .iter()
        .filter_map(|update| update.new.as_deref())
        .collect();
    if new.is_empty() {
        return Ok(Brought {
            updates,
            pack: Vec::new(),
        });
    }
    // What the container has already is left out, as far as the remote has it too.
    let objects = shadow.open(task)?;
    let objects = objects.odb().map_err(|error| task.git(&error))?;
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
    let max_bytes = usize::try_from(config.max_transfer_bytes).unwrap_or(usize::MAX);
    let wrote = command::run_offline(
        task,
        config,
        &shadow,
        arguments,
        input.into_bytes(),
        max_bytes,
    )
    .await?;
    if wrote.is_cut {
        return Err(too_large(place));
    }
    if !wrote.is_success {
        return Err(remote_failure::of(
            task,
            &String::from_utf8_lossy(&wrote.stderr),
        ));
    }
    Ok(Brought {
        updates,
        pack: wrote.stdout,
    })
}

/// What has changed, by name.
fn updates(
    place: &Place,
    shadow: &Shadow,
    request: &GitFetch,
    before: &References,
) -> Result<Vec<GitRefUpdate>, EffectError> {
    let task = &place.task;
    let after = shadow.references(task)?;
    let repository = shadow.open(task)?;
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

/// Takes the objects and the references over.
async fn record(writing: &Writing, brought: Brought) -> Result<GitFetched, EffectError> {
    let task = writing.task();
    let Brought { updates, pack } = brought;
    if !pack.is_empty() {
        let mut script = writing.script()?;
        let step = script.shell_with_input(&git(["index-pack", "--stdin", "--fix-thin"]), pack);
        let answers = writing
            .place
            .run_within(script, writing.place.config.remote_time_limit)
            .await?;
        if !answers[step].is_success() {
            return Err(failure::of(task, &answers[step]));
        }
        check_whole(writing, &updates).await?;
    }
    // First what is gone: it may stand in the way of what is new.
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
                    format!("update {name} {new} {ABSENT}\n")
                }
                (Some(new), _) => format!("update {name} {new}\n"),
            };
        }
        if input.is_empty() {
            continue;
        }
        let mut script = writing.script()?;
        let step = script.shell_with_input(
            &git(["update-ref", "-m", "fetch", "--stdin"]),
            input.into_bytes(),
        );
        let answers = writing.run(script).await?;
        let said = &answers[step];
        if !said.is_success() {
            let is_conflict = [
                "but expected",
                "reference already exists",
                "cannot create",
                "cannot process",
            ]
            .iter()
            .any(|words| said.stderr.contains(words));
            return Err(if is_conflict {
                task.error(
                    ErrorCode::Conflict,
                    format_args!(
                        "a branch stands in the way of another, or has changed by now; fetch with \
                         `prune`, or try again; git says: {}",
                        failure::told(&said.stderr)
                    ),
                )
            } else {
                failure::of(task, said)
            });
        }
    }
    Ok(GitFetched { updates })
}

/// Sees that with what came in nothing is missing.
async fn check_whole(writing: &Writing, updates: &[GitRefUpdate]) -> Result<(), EffectError> {
    let new = updates.iter().filter_map(|update| update.new.as_deref());
    let input: String = new.flat_map(|id| [id, "\n"]).collect();
    let mut script = writing.script()?;
    let walk = git([
        "rev-list",
        "--objects",
        "--stdin",
        "--not",
        "--all",
        "--quiet",
    ]);
    let step = script.shell_with_input(&walk, input.into_bytes());
    let answers = writing.run(script).await?;
    if answers[step].is_success() {
        return Ok(());
    }
    Err(writing.task().error(
        ErrorCode::Unsupported,
        "what the remote has does not fit what is in the container, as when history was cut off (a \
         shallow or partial clone) below where branches part; clone it whole",
    ))
}
