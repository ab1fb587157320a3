//! Description of a repository, its worktrees and remotes.

use std::path::Path;

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitRemote, GitRepository, GitWorktree};

use super::git_error;
use super::repo_info::RepoInfo;
use super::script::{Script, Step, StepOutput, StepOutputs, git};
use super::shell::GitShell;
use crate::effect_context::EffectContext;
use crate::head::short_name;
use crate::url::without_credentials;

/// Prints remotes and their URLs, each with a NUL after it.
fn remotes_text() -> String {
    format!(
        "{} | while IFS= read -r name; do printf '%s\\0' \"$name\"; \
         g config --get \"remote.$name.url\" >/dev/null && g remote get-url -- \"$name\" 2>/dev/null | head -n 1; \
         printf '\\0'; done",
        git(["remote"])
    )
}

/// Prints for each worktree's git folder its name, the reason if it is locked, the
/// worktree's folder, and HEAD. As git does, one without `gitdir` and HEAD is litter.
const WORKTREES: &str = r#"common=$(common_dir) || exit $?
for d in "$common"/worktrees/*/; do
    d=${d%/}
    [ -f "$d/gitdir" ] && [ -f "$d/HEAD" ] || continue
    folder=$(head -c 8192 "$d/gitdir"); folder=${folder%/.git}
    case $folder in /*) ;; *) folder=$d/$folder ;; esac
    folder=$(resolve "$folder") || { folder=$(head -c 8192 "$d/gitdir"); folder=${folder%/.git}; }
    locked=n; [ -f "$d/locked" ] && locked=y$(head -c 8192 "$d/locked")
    printf '%s\0%s\0%s\0%s\0' "${d##*/}" "$locked" "$folder" "$(head_of "$d")"
done"#;

/// Prints whether the repository is bare, and the main worktree's folder, as the
/// shared configuration has it.
const MAIN: &str = r#"common=$(common_dir) || exit $?
printf '%s\0' "$(is_bare "$common")"
main_dir "$common"
printf '\0%s\0' "$(head_of "$common")""#;

/// Prints the index entries of submodules, which have a mode of their own.
pub(super) const SUBMODULES: &str = r#"g ls-files --full-name --stage -z -- :/ | tr '\0\n' '\n\0' | grep '^160000 ' | tr '\n\0' '\0\n'"#;

/// The steps that read the worktrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorktreeQuery {
    main: Step,
    linked: Step,
}

/// All worktrees of a repository.
#[derive(Debug)]
pub(super) struct Worktrees {
    /// `None` for a bare repository.
    pub(super) main: Option<GitWorktree>,
    /// By name.
    pub(super) linked: Vec<GitWorktree>,
}

impl WorktreeQuery {
    pub(super) fn add_steps(script: &mut Script) -> Self {
        Self {
            main: script.shell(MAIN),
            linked: script.shell(WORKTREES),
        }
    }

    pub(super) fn read(
        self,
        context: &EffectContext,
        outputs: &StepOutputs,
    ) -> Result<Worktrees, EffectError> {
        let odd = || context.damaged("what git keeps about its worktrees cannot be read");
        let main = &outputs[self.main];
        let main: Vec<_> = main.records().collect();
        let [is_bare, top, head] = main[..] else {
            return Err(odd());
        };
        let main = (is_bare != b"true").then(|| GitWorktree {
            path: text(top.strip_suffix(b"\n").unwrap_or(top)),
            name: None,
            is_main: true,
            locked: None,
            branch: branch_in(head),
        });
        let linked: Vec<_> = outputs[self.linked].records().collect();
        let linked = linked
            .chunks(4)
            .map(|fields| match *fields {
                [name, locked, folder, head] => Ok(GitWorktree {
                    path: text(folder),
                    name: Some(text(name)),
                    is_main: false,
                    locked: locked
                        .strip_prefix(b"y")
                        .map(|reason| text(reason.trim_ascii_end())),
                    branch: branch_in(head),
                }),
                _ => Err(odd()),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Worktrees { main, linked })
    }
}

impl Worktrees {
    /// The worktree that a git folder belongs to.
    pub(super) fn current(
        &self,
        context: &EffectContext,
        repo_info: &RepoInfo,
    ) -> Result<GitWorktree, EffectError> {
        let path = repo_info.work_dir(context)?;
        let found = if repo_info.is_linked() {
            let name = Path::new(&repo_info.git_dir)
                .file_name()
                .map(|name| name.to_string_lossy());
            self.linked
                .iter()
                .find(|worktree| worktree.name.as_deref() == name.as_deref())
        } else {
            self.main.as_ref()
        };
        let found = found.ok_or_else(|| context.damaged("git knows nothing of this worktree"))?;
        Ok(GitWorktree {
            path: path.to_owned(),
            ..found.clone()
        })
    }
}

/// Adds the step that reads the remotes.
pub(super) fn add_remotes_step(script: &mut Script) -> Step {
    script.shell(&remotes_text())
}

/// All remotes, by name; one without a URL has an empty one.
pub(super) fn remotes(
    context: &EffectContext,
    outputs: &StepOutputs,
    step: Step,
) -> Result<Vec<GitRemote>, EffectError> {
    let output = &outputs[step];
    if !output.is_success() {
        return Err(git_error::from_output(context, output));
    }
    let fields: Vec<_> = output.records().collect();
    let mut remotes = fields
        .chunks(2)
        .map(|pair| match *pair {
            [name, url] => Ok(GitRemote {
                name: text(name),
                url: without_credentials(text(url).trim_end()),
            }),
            _ => Err(context.damaged("its remotes cannot be read")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    remotes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(remotes)
}

pub(super) async fn read(shell: &GitShell) -> Result<GitRepository, EffectError> {
    let context = &shell.context;
    let mut script = shell.script()?;
    let repo_info = shell.query_repo_info(&mut script);
    let worktrees = WorktreeQuery::add_steps(&mut script);
    let any_reference = script.git(["for-each-ref", "--count=1"]);
    let is_shallow = script.shell("[ -s \"$(common_dir)/shallow\" ]");
    let default = script.git(["symbolic-ref", "-q", "refs/remotes/origin/HEAD"]);
    let remotes_step = add_remotes_step(&mut script);
    let submodules = script.shell(SUBMODULES);
    let outputs = shell.run(script).await?;
    let repo_info = repo_info.read(context, &outputs)?;
    let Worktrees { main, mut linked } = worktrees.read(context, &outputs)?;
    for worktree in &mut linked {
        worktree.path = shell.located(&worktree.path);
    }
    let default = &outputs[default].stdout;
    Ok(GitRepository {
        git_dir: repo_info.common_dir.clone(),
        work_dir: main.as_ref().map(|main| main.path.clone()),
        is_bare: main.is_none(),
        is_empty: repo_info.commit.is_none() && outputs[any_reference].stdout.is_empty(),
        is_shallow: outputs[is_shallow].is_success(),
        head: repo_info.head(),
        default_branch: default
            .trim_ascii_end()
            .strip_prefix(b"refs/remotes/origin/")
            .map(text),
        remotes: remotes(context, &outputs, remotes_step)?,
        worktrees: main.into_iter().chain(linked).collect(),
        submodules: submodule_paths(&outputs[submodules]).map(text).collect(),
    })
}

/// The paths that [`SUBMODULES`] prints.
pub(super) fn submodule_paths(output: &StepOutput) -> impl Iterator<Item = &[u8]> {
    output
        .records()
        .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
}

fn branch_in(head: &[u8]) -> Option<String> {
    Some(short_name(head.strip_prefix(b"ref:")?.trim_ascii()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
