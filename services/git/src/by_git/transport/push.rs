//! Pushes from a repository in a container.

use exomonad_core::CallContext;
use exomonad_schema::effects::git::{GitPush, GitPushed};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::{RemoteQuery, too_large};
use crate::by_git::ByGit;
use crate::by_git::git_error;
use crate::by_git::repo_info::RepoInfo;
use crate::by_git::script::{Script, Step, git, quoted};
use crate::by_git::shell::GitShell;
use crate::by_git::write::ContainerWriter;
use crate::transport::address::RemoteAddress;
use crate::transport::push::{arguments, no_branch, nothing_named, read_updates, valid};
use crate::transport::scratch_repo::ScratchRepo;
use crate::transport::{command, git_error as remote_error};
use crate::write::refs::name_for;

/// A push that was checked.
#[derive(Debug)]
struct PushPlan {
    repo_info: RepoInfo,
    address: RemoteAddress,
    branch: String,
    remote_branch: String,
    /// The remote's references in the order of the answer.
    targets: Vec<(String, Oid)>,
}

impl PushPlan {
    /// The old id of the remote's branch; empty when it is new.
    fn replaced(&self, known: &[(String, Oid)]) -> String {
        let target = self.targets.first().map(|(name, _)| name);
        let before = known.iter().find(|(name, _)| Some(name) == target);
        before.map(|(_, id)| id.to_string()).unwrap_or_default()
    }
}

/// Pushes a branch, and tags.
pub(in crate::by_git) async fn push(
    service: &ByGit,
    call: &CallContext,
    request: GitPush,
) -> Result<GitPushed, EffectError> {
    let shell = GitShell::find(service, call, &request).await?;
    let plan = plan(&shell, call, &request).await?;
    let (context, config) = (&shell.context, &shell.config);
    let mut arguments = arguments(context, config, &plan.address, &request, &plan.targets)?;
    // Else git would look for objects that moved, and are not in the scratch repository, at their new path only.
    arguments.splice(0..0, ["-c".into(), "pack.useSparse=false".into()]);
    let updates = {
        let _permit = service.process_limit.acquire(context).await?;
        let scratch = ScratchRepo::empty(context)?;
        let known = known_there(&shell, &scratch, &plan.address).await?;
        fill(&shell, &scratch, &plan, &known).await?;
        let output = command::run(context, config, &scratch, &plan.address, arguments).await?;
        read_updates(context, &output, &plan.targets)?
    };
    service
        .write(call, request, move |writer, request| async move {
            record(&writer, &request, &plan).await
        })
        .await
        .map_err(|error| EffectError {
            message: format!("{} (the push itself has succeeded)", error.message),
            ..error
        })?;
    Ok(GitPushed { updates })
}

async fn plan(
    shell: &GitShell,
    call: &CallContext,
    request: &GitPush,
) -> Result<PushPlan, EffectError> {
    let context = &shell.context;
    // Which branch that is decides what is asked; one exec more where none is named.
    let branch = match &request.branch {
        Some(branch) => branch.to_string(),
        None => {
            let reference = shell.repo_info().await?.reference;
            reference
                .and_then(|name| String::from_utf8(name).ok())
                .and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned))
                .ok_or_else(|| no_branch(context))?
        }
    };
    let remote_branch = match &request.remote_branch {
        Some(branch) => branch.to_string(),
        None => branch.clone(),
    };
    let mut script = shell.script()?;
    let repo_info = shell.query_repo_info(&mut script);
    let remote = RemoteQuery::add_steps(&mut script, &request.remote, &["pushurl", "url"]);
    let mut rev_parse = |name: String, peel: &str| {
        let step = script.git(["rev-parse", "--verify", "-q", &format!("{name}{peel}")]);
        (name, step)
    };
    let mut wanted: Vec<(String, Step)> = vec![rev_parse(
        valid(context, "refs/heads/", &branch)?,
        "^{commit}",
    )];
    let mut names = vec![valid(context, "refs/heads/", &remote_branch)?];
    for tag in &request.tags {
        let name = valid(context, "refs/tags/", tag)?;
        wanted.push(rev_parse(name.clone(), ""));
        names.push(name);
    }
    let outputs = shell.run(script).await?;
    let repo_info = repo_info.read(context, &outputs)?;
    repo_info.check_sha1(context)?;
    let address = remote.read(shell, call, &outputs)?;
    let mut targets = Vec::new();
    for ((name, step), target) in wanted.into_iter().zip(names) {
        let id = Oid::from_str(&outputs[step].line()).map_err(|_| nothing_named(context, &name))?;
        targets.push((target, id));
    }
    Ok(PushPlan {
        repo_info,
        address,
        branch,
        remote_branch,
        targets,
    })
}

/// The remote's branches, as many as fit.
async fn known_there(
    shell: &GitShell,
    scratch: &ScratchRepo,
    address: &RemoteAddress,
) -> Result<Vec<(String, Oid)>, EffectError> {
    let mut arguments = command::arguments(["ls-remote", "--quiet", "--heads", "--"]);
    arguments.push(address.url.clone().into());
    let output = command::run(&shell.context, &shell.config, scratch, address, arguments).await?;
    if !output.is_success {
        return Err(remote_error::from_stderr(&shell.context, &output.stderr));
    }
    // The last line may be cut off in the middle of its name; then it names nothing of ours.
    let branch = |line: &str| {
        let (id, name) = line.split_once('\t')?;
        Some((name.to_owned(), Oid::from_str(id).ok()?))
    };
    Ok(output.stdout.lines().filter_map(branch).collect())
}

/// Copies the objects that the remote lacks from the container to the scratch repository.
async fn fill(
    shell: &GitShell,
    scratch: &ScratchRepo,
    plan: &PushPlan,
    known: &[(String, Oid)],
) -> Result<(), EffectError> {
    let (context, config) = (&shell.context, &shell.config);
    let mut script = shell.script()?;
    script.max_output += config.max_transfer.get();
    let (edge, pack) = add_pack_steps(&mut script, plan, known, config.max_transfer.get());
    let outputs = shell
        .run_within(script, config.remote_time_limit.get())
        .await?;
    for output in [&outputs[edge], &outputs[pack]] {
        if !output.is_success() && !output.stderr.trim().is_empty() {
            return Err(git_error::from_output(context, output));
        }
    }
    let pack = outputs[pack].stdout.clone();
    if pack.len() as u64 > config.max_transfer.get() {
        return Err(too_large(shell));
    }
    let limit = format!("--max-input-size={}", config.max_transfer.get());
    let mut arguments = command::arguments(["index-pack", "--stdin", "--fsck-objects"]);
    arguments.push(limit.into());
    let output = command::run_offline(context, config, scratch, arguments, pack, 4096).await?;
    if !output.is_success {
        return Err(context.error(
            ErrorCode::Unsupported,
            "what the container sends are no sound objects; run `git fsck` there",
        ));
    }
    let edge: Vec<_> = outputs[edge].line().lines().map(str::to_owned).collect();
    scratch.cut_off_at(context, &edge)
}

/// Adds the steps that list the commits at which the objects end, and that pack the objects.
///
/// The host's git has to see that the remote has the rest: so with the new
/// objects come the commits that these build on (the edge), their
/// trees, and the commits that lead from there to the tips the remote lists.
fn add_pack_steps(
    script: &mut Script,
    plan: &PushPlan,
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
    let shallow = quoted(&format!("{}/shallow", plan.repo_info.common_dir));
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

/// Updates the remote-tracking branch.
async fn record(
    writer: &ContainerWriter,
    request: &GitPush,
    plan: &PushPlan,
) -> Result<(), EffectError> {
    let context = writer.context();
    let tracking = format!("{}/{}", &*request.remote, plan.remote_branch);
    let tracking = name_for(context, "refs/remotes/", &tracking)?;
    let commit = plan
        .targets
        .first()
        .map(|(_, id)| id.to_string())
        .unwrap_or_default();
    let mut script = writer.script()?;
    let mut steps = vec![script.git(["update-ref", "-m", "update by push", &tracking, &commit])];
    if request.set_upstream {
        let merge = format!("refs/heads/{}", plan.remote_branch);
        for (key, value) in [("remote", &*request.remote), ("merge", &merge)] {
            let key = format!("branch.{}.{key}", plan.branch);
            steps.push(script.git(["config", "--local", "--replace-all", &key, value]));
        }
    }
    let outputs = writer.run(script).await?;
    match steps.into_iter().find(|step| !outputs[*step].is_success()) {
        Some(step) => Err(git_error::from_output(context, &outputs[step])),
        None => Ok(()),
    }
}
