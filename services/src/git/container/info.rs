//! The repository as a whole, its worktrees and remotes.

use std::path::Path;

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitRemote, GitRepository, GitWorktree};

use super::facts::Facts;
use super::failure;
use super::place::Place;
use super::script::{Answers, Script, Step, git};
use crate::git::head::short_name;
use crate::git::task::Task;
use crate::git::url::without_credentials;

/// Remotes and their URLs, each with a NUL after it.
fn remotes_text() -> String {
    format!(
        "{} | while IFS= read -r name; do printf '%s\\0' \"$name\"; \
         g config --get \"remote.$name.url\" >/dev/null && g remote get-url -- \"$name\" 2>/dev/null | head -n 1; \
         printf '\\0'; done",
        git(["remote"])
    )
}

/// Of each worktree git folder: its name, whether it is locked and why, the
/// worktree's folder, HEAD. As git does, one without `gitdir` and HEAD is litter.
const WORKTREES: &str = r#"common=$(g rev-parse --path-format=absolute --git-common-dir) || exit $?
for d in "$common"/worktrees/*/; do
    d=${d%/}
    [ -f "$d/gitdir" ] && [ -f "$d/HEAD" ] || continue
    folder=$(head -c 8192 "$d/gitdir"); folder=${folder%/.git}
    case $folder in /*) ;; *) folder=$d/$folder ;; esac
    folder=$(cd -P "$folder" 2>/dev/null && pwd -P) || { folder=$(head -c 8192 "$d/gitdir"); folder=${folder%/.git}; }
    locked=n; [ -f "$d/locked" ] && locked=y$(head -c 8192 "$d/locked")
    printf '%s\0%s\0%s\0%s\0' "${d##*/}" "$locked" "$folder" "$(head -c 8192 "$d/HEAD")"
done"#;

/// Bare or not, and where the main worktree is, as the shared configuration has it.
const MAIN: &str = r#"common=$(g rev-parse --path-format=absolute --git-common-dir) || exit $?
printf '%s\0' "$(g --git-dir="$common" rev-parse --is-bare-repository)"
top=$(g --git-dir="$common" config --get core.worktree) || { case $common in */.git) top=${common%/.git} ;; *) top=$common ;; esac; }
case $top in /*) ;; *) top=$common/$top ;; esac
(cd -P "$top" 2>/dev/null && pwd -P) || printf '%s\n' "$top"
printf '\0%s\0' "$(head -c 8192 "$common/HEAD")""#;

/// Index entries of submodules: their mode tells them from files.
const SUBMODULES: &str =
    r#"g ls-files --stage -z | tr '\0\n' '\n\0' | grep '^160000 ' | tr '\n\0' '\0\n'"#;

/// The steps that tell of worktrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedWorktrees {
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

impl AskedWorktrees {
    pub(super) fn ask(script: &mut Script) -> Self {
        Self {
            main: script.shell(MAIN),
            linked: script.shell(WORKTREES),
        }
    }

    pub(super) fn read(self, task: &Task, answers: &Answers) -> Result<Worktrees, EffectError> {
        let odd = || task.damaged("what git keeps about its worktrees cannot be read");
        let main = &answers[self.main];
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
        let linked: Vec<_> = answers[self.linked].records().collect();
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
    /// The one that a git folder belongs to.
    pub(super) fn current(&self, task: &Task, facts: &Facts) -> Result<GitWorktree, EffectError> {
        let path = facts.work_dir(task)?;
        let found = if facts.is_linked() {
            let name = Path::new(&facts.git_dir)
                .file_name()
                .map(|name| name.to_string_lossy());
            self.linked
                .iter()
                .find(|worktree| worktree.name.as_deref() == name.as_deref())
        } else {
            self.main.as_ref()
        };
        let found = found.ok_or_else(|| task.damaged("git knows nothing of this worktree"))?;
        Ok(GitWorktree {
            path: path.to_owned(),
            ..found.clone()
        })
    }
}

/// Asks for the remotes.
pub(super) fn ask_remotes(script: &mut Script) -> Step {
    script.shell(&remotes_text())
}

/// All remotes, by name; one without a URL has an empty one.
pub(super) fn remotes(
    task: &Task,
    answers: &Answers,
    step: Step,
) -> Result<Vec<GitRemote>, EffectError> {
    let said = &answers[step];
    if !said.is_success() {
        return Err(failure::of(task, said));
    }
    let fields: Vec<_> = said.records().collect();
    let mut remotes = fields
        .chunks(2)
        .map(|pair| match *pair {
            [name, url] => Ok(GitRemote {
                name: text(name),
                url: without_credentials(text(url).trim_end()),
            }),
            _ => Err(task.damaged("its remotes cannot be read")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    remotes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(remotes)
}

pub(super) async fn read(place: &Place) -> Result<GitRepository, EffectError> {
    let task = &place.task;
    let mut script = place.script()?;
    let facts = place.ask_facts(&mut script);
    let worktrees = AskedWorktrees::ask(&mut script);
    let any_reference = script.git(["for-each-ref", "--count=1"]);
    let is_shallow =
        script.shell("[ -s \"$(g rev-parse --path-format=absolute --git-common-dir)/shallow\" ]");
    let default = script.git(["symbolic-ref", "-q", "refs/remotes/origin/HEAD"]);
    let remotes_step = ask_remotes(&mut script);
    let submodules = script.shell(SUBMODULES);
    let answers = place.run(script).await?;
    let facts = facts.read(task, &answers)?;
    let Worktrees { main, linked } = worktrees.read(task, &answers)?;
    let default = &answers[default].stdout;
    Ok(GitRepository {
        git_dir: facts.common_dir.clone(),
        work_dir: main.as_ref().map(|main| main.path.clone()),
        is_bare: main.is_none(),
        is_empty: facts.commit.is_none() && answers[any_reference].stdout.is_empty(),
        is_shallow: answers[is_shallow].is_success(),
        head: facts.head(),
        default_branch: default
            .trim_ascii_end()
            .strip_prefix(b"refs/remotes/origin/")
            .map(text),
        remotes: remotes(task, &answers, remotes_step)?,
        worktrees: main.into_iter().chain(linked).collect(),
        submodules: answers[submodules]
            .records()
            .filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1))
            .map(text)
            .collect(),
    })
}

fn branch_in(head: &[u8]) -> Option<String> {
    Some(short_name(head.strip_prefix(b"ref:")?.trim_ascii()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
