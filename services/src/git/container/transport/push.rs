//! Push.

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitPush, GitPushed};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::{AskedRemote, too_large};
use crate::git::container::InContainer;
use crate::git::container::facts::Facts;
use crate::git::container::failure;
use crate::git::container::place::Place;
use crate::git::container::script::{Script, Step, git, quoted};
use crate::git::container::write::Writing;
use crate::git::transport::address::Address;
use crate::git::transport::push::{arguments, no_branch, nothing_named, read_updates, valid};
use crate::git::transport::shadow::Shadow;
use crate::git::transport::{command, failure as remote_failure};
use crate::git::write::refs::name_for;

/// What will be pushed.
#[derive(Debug)]
struct Plan {
    facts: Facts,
    address: Address,
    branch: String,
    remote_branch: String,
    /// The remote's references in the order of the answer.
    targets: Vec<(String, Oid)>,
}

impl Plan {
    /// The id that the remote's branch has before; empty when it is new.
    fn replaced(&self, known: &[(String, Oid)]) -> String {
        let target = self.targets.first().map(|(name, _)| name);
        let before = known.iter().find(|(name, _)| Some(name) == target);
        before.map(|(_, id)| id.to_string()).unwrap_or_default()
    }
}

/// Pushes a branch, and tags.
pub(in crate::git::container) async fn push(
    service: &InContainer,
    call: &CallContext,
    request: GitPush,
) -> Result<GitPushed, EffectError> {
    let place = Place::find(service, call, &request).await?;
    let plan = plan(&place, call, &request).await?;
    let (task, config) = (&place.task, &place.config);
    let mut arguments = arguments(task, config, &plan.address, &request, &plan.targets)?;
    // Else git would look for objects that moved, and are not in the shadow, at their new place only.
    arguments.splice(0..0, ["-c".into(), "pack.useSparse=false".into()]);
    let updates = {
        let _place = service.programs.place(task).await?;
        let shadow = Shadow::empty(task)?;
        let known = known_there(&place, &shadow, &plan.address).await?;
        fill(&place, &shadow, &plan, &known).await?;
        let said = command::run(task, config, &shadow, &plan.address, arguments).await?;
        read_updates(task, &said, &plan.targets)?
    };
    service
        .write(call, request, move |writing, request| async move {
            record(&writing, &request, &plan).await
        })
        .await
        .map_err(|error| EffectError {
            message: format!("{} (the push itself has succeeded)", error.message),
            ..error
        })?;
    Ok(GitPushed { updates })
}

async fn plan(place: &Place, call: &CallContext, request: &GitPush) -> Result<Plan, EffectError> {
    let task = &place.task;
    // Which branch that is decides what is asked; one exec more where none is named.
    let branch = match &request.branch {
        Some(branch) => branch.to_string(),
        None => {
            let reference = place.facts().await?.reference;
            reference
                .and_then(|name| String::from_utf8(name).ok())
                .and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned))
                .ok_or_else(|| no_branch(task))?
        }
    };
    let remote_branch = match &request.remote_branch {
        Some(branch) => branch.to_string(),
        None => branch.clone(),
    };
    let mut script = place.script()?;
    let facts = place.ask_facts(&mut script);
    let remote = AskedRemote::ask(&mut script, &request.remote, &["pushurl", "url"]);
    let mut ask = |name: String, peel: &str| {
        let step = script.git(["rev-parse", "--verify", "-q", &format!("{name}{peel}")]);
        (name, step)
    };
    let mut wanted: Vec<(String, Step)> =
        vec![ask(valid(task, "refs/heads/", &branch)?, "^{commit}")];
    let mut names = vec![valid(task, "refs/heads/", &remote_branch)?];
    for tag in &request.tags {
        let name = valid(task, "refs/tags/", tag)?;
        wanted.push(ask(name.clone(), ""));
        names.push(name);
    }
    let answers = place.run(script).await?;
    let facts = facts.read(task, &answers)?;
    let address = remote.read(place, call, &answers)?;
    let mut targets = Vec::new();
    for ((name, step), target) in wanted.into_iter().zip(names) {
        let id = Oid::from_str(&answers[step].line()).map_err(|_| nothing_named(task, &name))?;
        targets.push((target, id));
    }
    Ok(Plan {
        facts,
        address,
        branch,
        remote_branch,
        targets,
    })
}

/// The remote's branches, as many as fit.
async fn known_there(
    place: &Place,
    shadow: &Shadow,
    address: &Address,
) -> Result<Vec<(String, Oid)>, EffectError> {
    let mut arguments = command::arguments(["ls-remote", "--quiet", "--heads", "--"]);
    arguments.push(address.url.clone().into());
    let said = command::run(&place.task, &place.config, shadow, address, arguments).await?;
    if !said.is_success {
        return Err(remote_failure::of(&place.task, &said.stderr));
    }
    // The last line may be cut off in the middle of its name; then it names nothing of ours.
    let branch = |line: &str| {
        let (id, name) = line.split_once('\t')?;
        Some((name.to_owned(), Oid::from_str(id).ok()?))
    };
    Ok(said.stdout.lines().filter_map(branch).collect())
}

/// Brings what the remote lacks from the container to the shadow.
async fn fill(
    place: &Place,
    shadow: &Shadow,
    plan: &Plan,
    known: &[(String, Oid)],
) -> Result<(), EffectError> {
    let (task, config) = (&place.task, &place.config);
    let mut script = place.script()?;
    script.max_output += config.max_transfer_bytes;
    let (edge, pack) = ask_pack(&mut script, plan, known, config.max_transfer_bytes);
    let answers = place.run_within(script, config.remote_time_limit).await?;
    for said in [&answers[edge], &answers[pack]] {
        if !said.is_success() && !said.stderr.trim().is_empty() {
            return Err(failure::of(task, said));
        }
    }
    let pack = answers[pack].stdout.clone();
    if pack.len() as u64 > config.max_transfer_bytes {
        return Err(too_large(place));
    }
    let limit = format!("--max-input-size={}", config.max_transfer_bytes);
    let mut arguments = command::arguments(["index-pack", "--stdin", "--fsck-objects"]);
    arguments.push(limit.into());
    let wrote = command::run_offline(task, config, shadow, arguments, pack, 4096).await?;
    if !wrote.is_success {
        return Err(task.error(
            ErrorCode::Unsupported,
            "what the container sends are no sound objects; run `git fsck` there",
        ));
    }
    let edge: Vec<_> = answers[edge].line().lines().map(str::to_owned).collect();
    shadow.cut_off_at(task, &edge)
}

/// The commits at which the objects end, and the objects.
///
/// The host's git has to find out by itself that the remote has the rest: so
/// with the new objects come the commits that these build on (the edge), their
/// trees, and the commits that lead from there to the tips the remote tells of.
fn ask_pack(
    script: &mut Script,
    plan: &Plan,
    known: &[(String, Oid)],
    max_bytes: u64,
) -> (Step, Step) {
    let wanted: Vec<_> = plan.targets.iter().map(|(_, id)| id.to_string()).collect();
    let (wanted, first) = (
        wanted.join(" "),
        wanted.first().cloned().unwrap_or_default(),
    );
    let sed = quoted(r"s/^\([0-9a-f]\{40\}\) commit$/\1/p");
    let format = "--batch-check=%(objectname) %(objecttype)";
    let ids: String = known.iter().map(|(_, id)| format!("{id}\n")).collect();
    script.stdin = Some(ids.into_bytes());
    script.line(&format!(
        "known=$({} | sed -n {sed})",
        git(["cat-file", format])
    ));
    script.line("line() { [ $# = 0 ] || printf '%s\\n' \"$@\"; }");
    script.line("without() { [ $# = 0 ] || printf '^%s\\n' \"$@\"; }");
    // A tip that would be overwritten is no way to the edge: git asks whether it is below.
    script.line(&format!(
        "have=; for id in $known; do [ \"$id\" = {old} ] && ! g merge-base --is-ancestor \"$id\" {first} || \
         have=\"$have $id\"; done",
        old = quoted(&plan.replaced(known)),
    ));
    script.line(&format!(
        "edge=$({{ line {wanted}; without $have; }} | g rev-list --boundary --stdin | sed -n 's/^-//p')"
    ));
    let shallow = quoted(&format!("{}/shallow", plan.facts.common_dir));
    let edge = script.shell(&format!(
        "line $edge; [ ! -f {shallow} ] || head -c 1048576 {shallow}"
    ));
    let pack = git(["pack-objects", "--stdout", "--quiet", "--delta-base-offset"]);
    let pack = script.shell_up_to(
        max_bytes + 1,
        &format!(
            "objects=$({{ line {wanted}; without $edge; }} | g rev-list --objects --stdin) || exit $?\n\
             [ -z \"$edge\" ] || {{\n\
             trees=$(line $edge | g rev-list --objects --no-walk --filter=blob:none --stdin) || exit $?\n\
             way=$({{ line $have; without $edge; }} | g rev-list --ancestry-path --stdin) || exit $?\n\
             }}\n\
             printf '%s\\n' \"$objects\" \"$trees\" \"$way\" | sed '/^$/d' | {pack}"
        ),
    );
    (edge, pack)
}

/// Writes down where the remote's branch is now.
async fn record(writing: &Writing, request: &GitPush, plan: &Plan) -> Result<(), EffectError> {
    let task = writing.task();
    let tracking = format!("{}/{}", &*request.remote, plan.remote_branch);
    let tracking = name_for(task, "refs/remotes/", &tracking)?;
    let commit = plan
        .targets
        .first()
        .map(|(_, id)| id.to_string())
        .unwrap_or_default();
    let mut script = writing.script()?;
    let mut steps = vec![script.git(["update-ref", "-m", "update by push", &tracking, &commit])];
    if request.set_upstream {
        let merge = format!("refs/heads/{}", plan.remote_branch);
        for (key, value) in [("remote", &*request.remote), ("merge", &merge)] {
            let key = format!("branch.{}.{key}", plan.branch);
            steps.push(script.git(["config", "--local", "--replace-all", &key, value]));
        }
    }
    let answers = writing.run(script).await?;
    match steps.into_iter().find(|step| !answers[*step].is_success()) {
        Some(step) => Err(failure::of(task, &answers[step])),
        None => Ok(()),
    }
}
