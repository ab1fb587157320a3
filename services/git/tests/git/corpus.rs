//! Hostile repositories, over every effect: each ends, tells nothing of what lies outside, changes
//! nothing there, and leaves the service at work.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use exomonad_core::values::TimeSpan;
use exomonad_core::{CallContext, GitService};
use exomonad_git::GitConfig;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};
use futures_util::StreamExt;

use crate::area::*;
use crate::target::{self, host_only};
use crate::write::{commit_all, new_branch, switch_to};

/// Far beyond the time that any effect takes here; only something that hangs takes longer.
const HANGS: Duration = Duration::from_secs(60);

/// A file outside of the role's reach that holds this, and a repository that has it in a commit.
const SECRET: &str = "hunter2";

/// The answer of each effect.
type Said = Vec<(&'static str, Result<String, EffectError>)>;

/// How a corpus is run.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Options of `git init`.
    init: &'static [&'static str],
    /// True for a few effects only.
    is_brief: bool,
    /// The time that an effect has.
    time_limit: TimeSpan,
}

/// Every effect, on ordinary repositories.
const ALL: Run = Run {
    init: &[],
    is_brief: false,
    time_limit: TimeSpan::secs(10),
};

/// Fewer effects, where each takes several processes, and waits for pipes until its time is over.
const BRIEF: Run = Run {
    init: &[],
    is_brief: true,
    time_limit: TimeSpan::secs(1),
};

fn config(run: Run) -> GitConfig {
    GitConfig {
        author_name: Some("Eve".into()),
        author_email: Some("eve@example.com".into()),
        local_remotes: true,
        time_limit: run.time_limit,
        remote_time_limit: TimeSpan::secs(10),
        ..GitConfig::default()
    }
}

/// Runs effects in the root; what each says.
async fn run_all(area: &Area, run: Run) -> Said {
    let (git, call) = (service_with(config(run)), area.call());
    let mut said = Said::new();
    if run.is_brief {
        brief(&git, &call, &mut said).await;
        return said;
    }
    reading(&git, &call, &mut said).await;
    writing(&git, &call, &mut said).await;
    said
}

async fn brief(git: &Service, call: &CallContext, said: &mut Said) {
    ended(said, "status", git.status(call, GitStatus::default())).await;
    let request = GitGetRecentCommits {
        reference: "evil".try_into().unwrap(),
        ..GitGetRecentCommits::default()
    };
    let commits = git.get_recent_commits(call, request);
    ended(said, "get_recent_commits", commits).await;
    let request = GitDiff {
        target: DiffTarget::Against(DiffAgainst {
            reference: "HEAD~1".try_into().unwrap(),
        }),
        ..GitDiff::default()
    };
    ended(said, "diff", git.diff(call, request)).await;
}

async fn ended<T: Debug>(
    said: &mut Said,
    name: &'static str,
    effect: impl Future<Output = Result<T, EffectError>>,
) {
    let result = tokio::time::timeout(HANGS, effect).await;
    let result = result.unwrap_or_else(|_| panic!("{name} hangs"));
    said.push((name, result.map(|answer| format!("{answer:?}"))));
}

async fn reading(git: &Service, call: &CallContext, said: &mut Said) {
    ended(
        said,
        "get_branch",
        git.get_branch(call, GitGetBranch::default()),
    )
    .await;
    ended(
        said,
        "get_worktree",
        git.get_worktree(call, GitGetWorktree::default()),
    )
    .await;
    ended(
        said,
        "get_dirty_files",
        git.get_dirty_files(call, GitGetDirtyFiles::default()),
    )
    .await;
    ended(said, "status", git.status(call, GitStatus::default())).await;
    for reference in [
        "HEAD",
        "main",
        "evil",
        "hooks/evil",
        "modules/evil/x",
        "evil/leak",
        "logs/HEAD",
    ] {
        let request = GitGetRecentCommits {
            reference: reference.try_into().unwrap(),
            ..GitGetRecentCommits::default()
        };
        ended(
            said,
            "get_recent_commits",
            git.get_recent_commits(call, request),
        )
        .await;
    }
    let between = |from: &str, to: &str, merge_base| {
        DiffTarget::Between(DiffBetween {
            from: from.try_into().unwrap(),
            to: to.try_into().unwrap(),
            merge_base,
        })
    };
    for target in [
        DiffTarget::Unstaged,
        DiffTarget::Staged,
        DiffTarget::WorkingTree,
        DiffTarget::Against(DiffAgainst {
            reference: "HEAD~1".try_into().unwrap(),
        }),
        between("HEAD~1", "HEAD", false),
        between("HEAD~1", "evil", true),
    ] {
        let request = GitDiff {
            target,
            ..GitDiff::default()
        };
        ended(said, "diff", git.diff(call, request)).await;
    }
    ended(
        said,
        "get_remote_url",
        git.get_remote_url(call, GitGetRemoteUrl::default()),
    )
    .await;
    ended(
        said,
        "repo_info",
        git.repo_info(call, GitRepoInfo::default()),
    )
    .await;
    ended(
        said,
        "list_stashes",
        git.list_stashes(call, GitListStashes::default()),
    )
    .await;
}

async fn writing(git: &Service, call: &CallContext, said: &mut Said) {
    ended(
        said,
        "create_branch",
        git.create_branch(call, new_branch("made")),
    )
    .await;
    ended(said, "create_tag", git.create_tag(call, tag("v1"))).await;
    ended(
        said,
        "add_worktree",
        git.add_worktree(call, worktree("../root/tree")),
    )
    .await;
    let remove = GitRemoveWorktree {
        path: "../root/tree".try_into().unwrap(),
        working_dir: Default::default(),
        container: None,
        force: false,
    };
    ended(said, "remove_worktree", git.remove_worktree(call, remove)).await;
    let all = GitStage {
        all: true,
        ..GitStage::default()
    };
    ended(said, "stage", git.stage(call, all)).await;
    let stash = GitStash {
        include_untracked: true,
        ..GitStash::default()
    };
    ended(said, "stash", git.stash(call, stash)).await;
    ended(
        said,
        "pop_stash",
        git.pop_stash(call, GitPopStash::default()),
    )
    .await;
    ended(said, "commit", git.commit(call, commit_all("Mine"))).await;
    ended(
        said,
        "switch_branch",
        git.switch_branch(call, switch_to("evil")),
    )
    .await;
    ended(said, "push", git.push(call, GitPush::default())).await;
    ended(said, "fetch", git.fetch(call, GitFetch::default())).await;
}

fn tag(name: &str) -> GitCreateTag {
    GitCreateTag {
        working_dir: Default::default(),
        container: None,
        tag: name.try_into().unwrap(),
        reference: None,
        message: None,
    }
}

fn worktree(path: &str) -> GitAddWorktree {
    GitAddWorktree {
        working_dir: Default::default(),
        container: None,
        path: path.try_into().unwrap(),
        branch: "in-tree".try_into().unwrap(),
        create_branch: true,
        reference: None,
    }
}

/// An area with two commits inside, a remote, and a repository outside that holds the secret.
fn area(run: Run) -> Area {
    let area = Area::apart();
    init_with_commit_as(&area.root, run.init);
    commit_file(&area.root, "file", "one\ntwo\nfour\n", "Second");
    git(&area.root, ["branch", "evil", "HEAD~1"]);
    fs::create_dir(area.root.join("sub")).unwrap();
    commit_file(&area.root, "sub/deep", "deep\n", "Third");
    let bare = area.root.join("remote.git");
    git(
        &area.root,
        ["clone", "--quiet", "--bare", ".", "remote.git"],
    );
    git(
        &area.root,
        ["remote", "add", "origin", bare.to_str().unwrap()],
    );
    fs::write(area.root.join(".git/info/exclude"), "/remote.git\n/tree\n").unwrap();
    init_with_commit_as(&area.outside, run.init);
    commit_file(&area.outside, "secret", &format!("{SECRET}\n"), SECRET);
    area
}

/// All files below a folder, with their content.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap() {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() => drop(found.insert(path.clone(), fs::read(path).unwrap())),
                _ => {}
            }
        }
    }
    found
}

fn fifo(path: impl AsRef<Path>) {
    let made = Command::new("mkfifo").arg(path.as_ref()).status();
    assert!(made.unwrap().success());
}

/// Replaces what is at `path` in the git folder.
fn put(area: &Area, path: &str, content: impl AsRef<[u8]>) {
    let path = clear(area, path);
    fs::write(path, content).unwrap();
}

fn clear(area: &Area, path: &str) -> PathBuf {
    let path = area.root.join(".git").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&path).unwrap(),
        Ok(_) => fs::remove_file(&path).unwrap(),
        Err(_) => {}
    }
    path
}

fn link(area: &Area, path: &str, target: impl AsRef<Path>) {
    symlink(area.outside.join(target), clear(area, path)).unwrap();
}

fn pipe(area: &Area, path: &str) {
    fifo(clear(area, path));
}

fn configure(area: &Area, key: &str, value: &str) {
    git(&area.root, ["config", key, value]);
}

fn outside(area: &Area, path: &str) -> String {
    area.outside.join(path).to_str().unwrap().to_owned()
}

/// The id of the commit outside.
fn foreign(area: &Area) -> String {
    git(&area.outside, ["rev-parse", "HEAD"])
}

/// Borrows the objects outside by this text, and has a branch lead to the commit there.
fn borrow(area: &Area, alternates: &str) {
    put(area, "objects/info/alternates", alternates);
    put(area, "refs/heads/evil", foreign(area) + "\n");
}

/// Makes an object of a kind by its content; its id.
fn object(folder: &Path, kind: &str, content: &mut dyn std::io::Read) -> String {
    let mut child = Command::new("git")
        .args(["hash-object", "-w", "--literally", "--stdin", "-t", kind])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::copy(content, &mut child.stdin.take().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A commit whose message has this many bytes.
fn large_commit(area: &Area, bytes: u64) -> String {
    let tree = git(&area.root, ["rev-parse", "HEAD^{tree}"]);
    let head = format!("tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n");
    let mut content = head.as_bytes().chain(std::io::repeat(b'x').take(bytes));
    object(&area.root, "commit", &mut content)
}

use std::io::Read;

/// A tree that holds another one many times over, so that it stands for very many files.
fn tree_bomb(area: &Area, depth: usize) -> String {
    let mut id = git(&area.root, ["rev-parse", "HEAD:file"]);
    let mut kind = "100644 blob";
    for _ in 0..depth {
        let lines: String = (0..10)
            .map(|name| format!("{kind} {id}\t{name}\n"))
            .collect();
        id = mktree(&area.root, &lines);
        kind = "040000 tree";
    }
    let tree = mktree(&area.root, &format!("040000 tree {id}\tbomb\n"));
    git(&area.root, ["commit-tree", "-m", "Bomb", &tree])
}

fn mktree(folder: &Path, lines: &str) -> String {
    let mut child = Command::new("git")
        .args(["mktree", "--missing"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn set_head(area: &Area, id: &str) {
    put(area, "refs/heads/main", format!("{id}\n"));
}

/// A hostile repository, by its name and by what makes it of an ordinary one.
type Kind = (&'static str, fn(&Area));

/// Those in which at least one effect has to refuse, with one of these codes.
const REFUSED: &[Kind] = &[
    ("alternates outside", |area| {
        borrow(area, &outside(area, ".git/objects\n"))
    }),
    ("alternates behind a carriage return", |area| {
        borrow(
            area,
            &format!("/nowhere\r{}\n", outside(area, ".git/objects")),
        );
    }),
    (
        "alternates behind a comment with a carriage return",
        |area| {
            borrow(area, &format!("# x\r{}", outside(area, ".git/objects")));
        },
    ),
    ("alternates in quotes", |area| {
        borrow(area, &format!("\"{}\"\n", outside(area, ".git/objects")));
    }),
    ("alternates with an octal escape", |area| {
        borrow(
            area,
            &format!("\"\\057{}\"\n", &outside(area, ".git/objects")[1..]),
        );
    }),
    ("alternates relative to the process", |area| {
        let here = std::env::current_dir().unwrap();
        let up = "x/../".to_owned() + &"../".repeat(here.components().count() - 1);
        borrow(
            area,
            &format!("{up}{}\n", &outside(area, ".git/objects")[1..]),
        );
    }),
    ("alternates relative to the store", |area| {
        borrow(area, "../../../outside/.git/objects\n");
    }),
    ("alternates behind much text", |area| {
        let text = "# comment\n".repeat(10_000);
        borrow(area, &(text + &outside(area, ".git/objects")));
    }),
    ("alternates by a link with a blank", |area| {
        symlink(area.outside.join(".git/objects"), area.root.join("store ")).unwrap();
        borrow(area, &format!("{} ", area.root.join("store").display()));
    }),
    ("alternates of alternates", |area| {
        let store = area.root.join("store/info");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("alternates"), outside(area, ".git/objects")).unwrap();
        borrow(area, "../../store\n");
    }),
    ("a link among an alternate's packs", |area| {
        git(&area.outside, ["repack", "-adq"]);
        fs::create_dir_all(area.root.join("store")).unwrap();
        symlink(
            area.outside.join(".git/objects/pack"),
            area.root.join("store/pack"),
        )
        .unwrap();
        borrow(area, "../../store\n");
    }),
    ("a link in place of a reference", |area| {
        link(area, "refs/heads/evil", ".git/refs/heads/main")
    }),
    ("a link in place of a folder of references", |area| {
        link(area, "refs/remotes", ".git/refs/heads");
    }),
    ("a link deep in the references", |area| {
        link(area, "refs/heads/a/b/c/evil", ".git/refs/heads/main");
    }),
    ("a link by way of a link", |area| {
        symlink(
            area.outside.join(".git/refs/heads/main"),
            area.root.join("sub/x"),
        )
        .unwrap();
        symlink(area.root.join("sub"), clear(area, "refs/heads/evil")).unwrap();
    }),
    ("a link at the top, named as a revision", |area| {
        link(area, "evil", ".git/refs/heads/main")
    }),
    ("a link in a folder of one's own", |area| {
        link(area, "evil/leak", ".git/refs/heads/main")
    }),
    ("a link in place of an object", |area| {
        let id = foreign(area);
        let path = format!("objects/{}/{}", &id[..2], &id[2..]);
        link(area, &path, Path::new(".git").join(&path));
        put(area, "refs/heads/evil", id + "\n");
    }),
    ("a link in place of a folder of objects", |area| {
        let id = foreign(area);
        let path = format!("objects/{}", &id[..2]);
        link(area, &path, Path::new(".git").join(&path));
    }),
    ("a link among the packs", |area| {
        git(&area.outside, ["repack", "-adq"]);
        link(area, "objects/pack/pack-x.pack", ".git/objects/pack/x.pack");
    }),
    ("a link in place of the index", |area| {
        link(area, "index", ".git/index")
    }),
    ("a link in place of HEAD", |area| {
        link(area, "HEAD", ".git/HEAD")
    }),
    ("a link in place of the packed references", |area| {
        git(&area.outside, ["pack-refs", "--all"]);
        link(area, "packed-refs", ".git/packed-refs");
    }),
    ("a link in place of info/exclude", |area| {
        link(area, "info/exclude", "secret")
    }),
    ("a link in place of info/attributes", |area| {
        link(area, "info/attributes", "secret")
    }),
    ("a link in place of the reflog", |area| {
        link(area, "logs/HEAD", ".git/logs/HEAD")
    }),
    ("a link in place of the configuration", |area| {
        link(area, "config", ".git/config")
    }),
    ("a link in place of the commits cut off", |area| {
        link(area, "shallow", "secret")
    }),
    ("a link in place of grafts", |area| {
        link(area, "info/grafts", "secret")
    }),
    ("a lock's reason by a link", |area| {
        put(area, "worktrees/x/gitdir", "/nowhere/.git\n");
        put(area, "worktrees/x/HEAD", "ref: refs/heads/x\n");
        link(area, "worktrees/x/locked", "secret");
    }),
    ("a worktree's folder by a link", |area| {
        link(area, "worktrees", ".git/refs")
    }),
    ("a symbolic reference into the hooks", |area| {
        put(area, "hooks/evil", foreign(area));
        put(area, "refs/heads/evil", "ref: hooks/evil\n");
    }),
    ("a symbolic reference upwards", |area| {
        put(
            area,
            "refs/heads/evil",
            "ref: refs/../../../outside/.git/refs/heads/main\n",
        );
    }),
    ("a symbolic reference behind much white space", |area| {
        put(
            area,
            "refs/heads/evil",
            format!("ref: {}hooks/evil\n", " ".repeat(9000)),
        );
    }),
    ("a common folder outside", |area| {
        put(area, "commondir", outside(area, ".git"))
    }),
    ("a common folder by two lines", |area| {
        put(area, "commondir", format!(".\n{}", outside(area, ".git")));
    }),
    ("a common folder behind much text", |area| {
        put(
            area,
            "commondir",
            outside(area, ".git") + &" ".repeat(70_000),
        );
    }),
    ("an included configuration", |area| {
        fs::write(
            area.outside.join("config"),
            format!("[remote \"x\"]\n url = {SECRET}\n"),
        )
        .unwrap();
        configure(area, "include.path", &outside(area, "config"));
    }),
    ("a configuration included on a condition", |area| {
        fs::write(
            area.outside.join("config"),
            format!("[remote \"x\"]\n url = {SECRET}\n"),
        )
        .unwrap();
        configure(
            area,
            "includeIf.onbranch:main.path",
            &outside(area, "config"),
        );
    }),
    ("a configuration included by one in reach", |area| {
        fs::write(
            area.outside.join("config"),
            format!("[remote \"x\"]\n url = {SECRET}\n"),
        )
        .unwrap();
        let between = format!("[include]\npath = {}\n", outside(area, "config"));
        put(area, "between", between);
        configure(area, "include.path", "between");
    }),
    ("a configuration of the worktree that includes", |area| {
        fs::write(
            area.outside.join("config"),
            format!("[remote \"x\"]\n url = {SECRET}\n"),
        )
        .unwrap();
        configure(area, "extensions.worktreeConfig", "true");
        configure(area, "core.repositoryFormatVersion", "1");
        put(
            area,
            "config.worktree",
            format!("[include]\npath = {}\n", outside(area, "config")),
        );
    }),
    ("modules that include", |area| {
        let text = format!("[include]\npath = {}\n", outside(area, "secret"));
        fs::write(area.root.join(".gitmodules"), text).unwrap();
    }),
    ("modules by a link", |area| {
        symlink(area.outside.join("secret"), area.root.join(".gitmodules")).unwrap();
    }),
    ("excluded files by a list outside", |area| {
        configure(area, "core.excludesFile", &outside(area, "secret"));
    }),
    ("attributes by a list outside", |area| {
        configure(area, "core.attributesFile", &outside(area, "secret"));
    }),
    ("a relative list of excluded files", |area| {
        configure(area, "core.excludesFile", "x")
    }),
    ("a working tree outside", |area| {
        configure(area, "core.worktree", &outside(area, ""))
    }),
    ("ignored files by a link", |area| {
        symlink(area.outside.join("secret"), area.root.join(".gitignore")).unwrap();
    }),
    ("attributes deep down by a link", |area| {
        symlink(
            area.outside.join("secret"),
            area.root.join("sub/.gitattributes"),
        )
        .unwrap();
    }),
    ("a pipe in place of .gitignore", |area| {
        fifo(area.root.join(".gitignore"))
    }),
    ("a pipe in place of .gitattributes", |area| {
        fifo(area.root.join(".gitattributes"))
    }),
    ("a pipe deep in the working tree", |area| {
        fifo(area.root.join("sub/.gitignore"))
    }),
    ("a pipe in a folder that git does not know", |area| {
        fs::create_dir_all(area.root.join("new/er")).unwrap();
        fifo(area.root.join("new/er/.gitignore"));
        fs::write(area.root.join("new/er/x"), "x").unwrap();
    }),
    ("a link to a pipe in place of .gitignore", |area| {
        fifo(area.root.join("sub/pipe"));
        symlink("sub/pipe", area.root.join(".gitignore")).unwrap();
    }),
    ("a pipe in place of a reference", |area| {
        pipe(area, "refs/heads/pipe")
    }),
    ("a pipe in place of HEAD", |area| pipe(area, "HEAD")),
    ("a pipe in place of the index", |area| pipe(area, "index")),
    ("a pipe in place of the configuration", |area| {
        pipe(area, "config")
    }),
    ("a pipe in place of packed references", |area| {
        pipe(area, "packed-refs")
    }),
    ("a pipe in place of info/exclude", |area| {
        pipe(area, "info/exclude")
    }),
    ("a pipe in place of info/attributes", |area| {
        pipe(area, "info/attributes")
    }),
    ("a pipe in place of alternates", |area| {
        pipe(area, "objects/info/alternates")
    }),
    ("a pipe in place of a pack's index", |area| {
        pipe(area, "objects/pack/pack-x.idx")
    }),
    ("a pipe in place of an object", |area| {
        let id = git(&area.root, ["rev-parse", "HEAD"]);
        pipe(area, &format!("objects/{}/{}", &id[..2], &id[2..]));
    }),
    ("a pipe in place of the stashes", |area| {
        pipe(area, "logs/refs/stash")
    }),
    ("a pipe in place of the common folder", |area| {
        pipe(area, "commondir")
    }),
    ("a pipe in place of .git", |area| {
        fs::rename(area.root.join(".git"), area.root.join("git")).unwrap();
        fifo(area.root.join(".git"));
    }),
    ("an included pipe", |area| {
        pipe(area, "pipe");
        configure(area, "include.path", "pipe");
    }),
    ("a pipe of excluded files", |area| {
        fifo(area.root.join("sub/pipe"));
        let path = area.root.join("sub/pipe");
        configure(area, "core.excludesFile", path.to_str().unwrap());
    }),
    ("a commit of 400 MiB", |area| {
        let id = large_commit(area, 400 << 20);
        set_head(area, &id);
    }),
    ("a parent of 200 MiB", |area| {
        let parent = large_commit(area, 200 << 20);
        let tree = git(&area.root, ["rev-parse", "HEAD^{tree}"]);
        let text = format!(
            "tree {tree}\nparent {parent}\nauthor A <a@b> 2 +0000\ncommitter A <a@b> 2 +0000\n\nx\n"
        );
        let id = object(&area.root, "commit", &mut text.as_bytes());
        set_head(area, &id);
    }),
    ("a tree of ten million files", |area| {
        let id = tree_bomb(area, 7);
        set_head(area, &id);
    }),
    ("a folder of the index is reftable", |area| {
        configure(area, "core.repositoryFormatVersion", "1");
        configure(area, "extensions.refStorage", "reftable");
    }),
];

/// Those that need not be refused.
const HARMLESS: &[Kind] = &[
    ("alternates that borrow from each other", |area| {
        for name in ["one", "other"] {
            fs::create_dir_all(area.root.join(name).join("info")).unwrap();
        }
        let lines = "../one\n../other\n.\n".repeat(500);
        for name in ["one", "other"] {
            fs::write(area.root.join(name).join("info/alternates"), &lines).unwrap();
        }
        borrow(area, "../../one\n");
    }),
    ("a link to outside among the hooks", |area| {
        link(area, "hooks/evil", ".git/refs/heads/main");
    }),
    ("a link to outside among the modules", |area| {
        link(area, "modules/evil", ".git/refs/heads")
    }),
    ("an upstream among the hooks", |area| {
        link(area, "hooks/main", ".git/refs/heads/main");
        configure(area, "remote.origin.fetch", "+refs/heads/*:hooks/*");
        configure(area, "branch.main.remote", "origin");
        configure(area, "branch.main.merge", "refs/heads/main");
    }),
    ("a pipe and a socket among the files", |area| {
        fifo(area.root.join("sub/pipe"));
        std::os::unix::net::UnixListener::bind(area.root.join("sub/socket")).unwrap();
        std::os::unix::net::UnixListener::bind(area.root.join(".git/fsmonitor--daemon.ipc"))
            .unwrap();
    }),
    ("programs everywhere", |area| {
        for key in [
            "core.fsmonitor",
            "core.sshCommand",
            "core.pager",
            "diff.external",
            "gpg.program",
        ] {
            configure(area, key, &format!("touch {}", outside(area, "ran")));
        }
    }),
    ("references in a circle", |area| {
        put(area, "refs/heads/evil", "ref: refs/heads/live\n");
        put(area, "refs/heads/live", "ref: refs/heads/evil\n");
    }),
    ("a commit that replaces another", |area| {
        let [from, to] = ["HEAD", "HEAD~1"].map(|name| git(&area.root, ["rev-parse", name]));
        put(area, &format!("refs/replace/{from}"), to + "\n");
    }),
    ("a blob of 300 MiB in a commit", |area| {
        let id = object(&area.root, "blob", &mut std::io::repeat(0).take(300 << 20));
        let tree = mktree(&area.root, &format!("100644 blob {id}\tlarge\n"));
        let id = git(
            &area.root,
            ["commit-tree", "-p", "HEAD", "-m", "Large", &tree],
        );
        set_head(area, &id);
    }),
    ("folders nested deeply", |area| {
        let mut id = git(&area.root, ["rev-parse", "HEAD:file"]);
        let mut kind = "100644 blob";
        for _ in 0..400 {
            id = mktree(&area.root, &format!("{kind} {id}\td\n"));
            kind = "040000 tree";
        }
        let id = git(&area.root, ["commit-tree", "-m", "Deep", &id]);
        set_head(area, &id);
    }),
    ("names that lead upwards in a tree", |area| {
        let id = git(&area.root, ["rev-parse", "HEAD:file"]);
        let raw: Vec<u8> = (0..id.len() / 2)
            .map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let content = [&b"100644 ../../outside/written\0"[..], &raw].concat();
        let tree = object(&area.root, "tree", &mut &content[..]);
        let commit = git(&area.root, ["commit-tree", "-m", "Up", &tree]);
        put(area, "refs/heads/evil", commit + "\n");
    }),
    ("a link on the way of a file in a tree", |area| {
        let link = object(&area.root, "blob", &mut outside(area, "").as_bytes());
        let file = git(&area.root, ["rev-parse", "HEAD:file"]);
        let inner = mktree(&area.root, &format!("100644 blob {file}\twritten\n"));
        let lines = format!("120000 blob {link}\tA\n040000 tree {inner}\ta\n");
        let tree = mktree(&area.root, &lines);
        let commit = git(&area.root, ["commit-tree", "-m", "Link", &tree]);
        put(area, "refs/heads/evil", commit + "\n");
    }),
    ("attributes by a link in a tree", |area| {
        fifo(area.root.join("sub/pipe"));
        let link = object(&area.root, "blob", &mut &b"sub/pipe"[..]);
        let file = git(&area.root, ["rev-parse", "HEAD:file"]);
        let lines = format!("120000 blob {link}\t.gitattributes\n100644 blob {file}\tz\n");
        let tree = mktree(&area.root, &lines);
        let commit = git(&area.root, ["commit-tree", "-m", "Link", &tree]);
        put(area, "refs/heads/evil", commit + "\n");
    }),
    ("rubbish in place of the index", |area| {
        put(area, "index", vec![0xff; 4096])
    }),
    ("rubbish in place of packed references", |area| {
        put(area, "packed-refs", vec![b'^'; 4096])
    }),
    ("rubbish in place of a pack", |area| {
        put(area, "objects/pack/pack-x.idx", b"\xfftOc\0\0\0\x02");
        put(
            area,
            "objects/pack/pack-x.pack",
            b"PACK\0\0\0\x02\xff\xff\xff\xff",
        );
        put(area, "objects/pack/multi-pack-index", b"MIDX\x01\x01\x01\0");
        put(area, "objects/info/commit-graph", b"CGPH\x01\x01\x01\0");
    }),
    ("submodules in a circle", |area| {
        let id = git(&area.root, ["rev-parse", "HEAD"]);
        let line = format!("160000,{id},circle");
        git(&area.root, ["update-index", "--add", "--cacheinfo", &line]);
        fs::create_dir(area.root.join("circle")).unwrap();
        let git_dir = area.root.join(".git");
        fs::write(
            area.root.join("circle/.git"),
            format!("gitdir: {}\n", git_dir.display()),
        )
        .unwrap();
    }),
];

/// Every effect ends, and what it says holds nothing of the files outside, which stay as they are;
/// what effects say, and what is wrong.
async fn check((name, make): Kind, run: Run) -> (Said, Vec<String>) {
    let mut wrong = Vec::new();
    let area = area(run);
    make(&area);
    let before = contents(&area.outside);
    let foreign = foreign(&area);
    let planted = fs::read(area.root.join(".git/refs/heads/evil")).unwrap_or_default();
    let is_link = area.root.join(".git/refs/heads/evil").is_symlink();
    let names_foreign = !is_link && planted.starts_with(foreign.as_bytes());
    let said = run_all(&area, run).await;
    for (effect, result) in &said {
        let text = match result {
            Ok(answer) => answer.clone(),
            Err(error) => error.to_string(),
        };
        // An id that the repository itself holds is no news.
        let tells = text.contains(SECRET) || (!names_foreign && text.contains(&foreign));
        let fails = result
            .as_ref()
            .is_err_and(|error| error.code == ErrorCode::Internal);
        if tells || fails {
            wrong.push(format!("{name}: {effect}: {text:.300}"));
        }
    }
    if before != contents(&area.outside) {
        wrong.push(format!("{name}: something outside was changed"));
    }
    let remote = area.root.join("remote.git");
    let pushed = try_git(&remote, ["cat-file", "-e", &foreign]);
    if pushed.status.success() {
        wrong.push(format!("{name}: a commit from outside was pushed"));
    }
    if !none_is_left_in(&area.root).await {
        wrong.push(format!("{name}: a program was left running"));
    }
    (said, wrong)
}

/// True if no process works in a folder any more, or will before long.
async fn none_is_left_in(folder: &Path) -> bool {
    let is_in = |process: fs::DirEntry| {
        let cwd = fs::read_link(process.path().join("cwd"));
        cwd.is_ok_and(|cwd| cwd.starts_with(folder))
    };
    for _ in 0..200 {
        if !fs::read_dir("/proc").unwrap().flatten().any(is_in) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Checks kinds, some at once; those that must not are not all refused.
async fn check_all(kinds: impl Iterator<Item = &Kind>, run: Run, must_refuse: bool) {
    let at_once = if run.is_brief { 6 } else { 1 };
    let checked = futures_util::stream::iter(kinds).map(async |kind| {
        let started = std::time::Instant::now();
        let (said, mut wrong) = check(*kind, run).await;
        let refusals = said.iter().filter(|(_, result)| {
            result.as_ref().is_err_and(|error| {
                matches!(
                    error.code,
                    ErrorCode::Forbidden | ErrorCode::Unsupported | ErrorCode::LimitExceeded
                )
            })
        });
        let refused = refusals.count();
        println!(
            "{}: {refused} of {} refused, {:?}",
            kind.0,
            said.len(),
            started.elapsed()
        );
        if must_refuse && refused == 0 {
            wrong.push(format!("{}: nothing was refused", kind.0));
        }
        wrong
    });
    let wrong: Vec<Vec<String>> = checked.buffer_unordered(at_once).collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The service is as it was.
    let area = area(run);
    let git = service_with(config(run));
    git.status(&area.call(), GitStatus::default())
        .await
        .unwrap();
}

host_only! {
"in a container git decides what it refuses",
#[tokio::test]
async fn repositories_that_lead_outside_or_hang_or_burst_are_refused_by_every_effect_they_concern()
{
    check_all(REFUSED.iter(), ALL, true).await;
    // 400 MiB of message were read six times over once. The test itself makes such messages.
    assert!(peak_mib() < 2000, "{} MiB", peak_mib());
}
}

host_only! {
"there the next test has them",
#[tokio::test]
async fn repositories_with_traps_tell_nothing_and_end() {
    check_all(HARMLESS.iter(), ALL, false).await;
}
}

/// In a container by its own git, on the host by the host's, on repositories that libgit2 does not know.
#[tokio::test]
async fn hostile_repositories_that_git_reads_end_in_time_and_tell_nothing_of_what_is_outside() {
    let run = Run {
        init: if target::IS_HOST {
            &["--object-format=sha256"]
        } else {
            &[]
        },
        ..BRIEF
    };
    // These take long to make; one of each is enough.
    let is_quick = |kind: &&Kind| {
        let slow = ["a commit of 400 MiB", "a blob of 300 MiB in a commit"];
        !slow.contains(&kind.0)
    };
    let kinds = REFUSED.iter().chain(HARMLESS).filter(is_quick);
    check_all(kinds.step_by(target::one_of(4)), run, false).await;
    assert!(peak_mib() < 1000, "{} MiB", peak_mib());
}

/// The most memory this process has had, in MiB.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
