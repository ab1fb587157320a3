//! Any bytes in the files of a repository that tell git where to look: each effect ends, and tells nothing
//! of what lies outside.

use std::fs;

use exomonad_core::GitService;
use exomonad_schema::effects::git::*;
use exomonad_test_support::fuzz;

use crate::area::*;

const SECRET: &str = "hunter2";
/// Below `.git`; the first byte of an input chooses one.
const FILES: [&str; 11] = [
    "config",
    "objects/info/alternates",
    "HEAD",
    "packed-refs",
    "index",
    "info/exclude",
    "info/attributes",
    "commondir",
    "shallow",
    "../.gitattributes",
    "../.gitignore",
];

#[test]
fn fuzz_git_files() {
    let area = Area::with_repository();
    let outside = area.outside.join("secret.git");
    fs::create_dir(&outside).unwrap();
    init_with_commit(&outside);
    fs::write(outside.join("file"), SECRET).unwrap();
    fs::write(area.outside.join("secret"), SECRET).unwrap();
    let outside_path = area.outside.to_string_lossy().into_owned();
    let words = [
        "[include]\n",
        "path = ",
        "../",
        outside_path.as_str(),
        "/secret.git/.git/objects",
        "\r",
        "\x0b",
        "\x0c",
        "\n",
        "\0",
        "\"",
        "\\",
        "[core]\n",
        "worktree = ",
        "fsmonitor = ",
        "excludesFile = ",
        "ref: refs/heads/",
        "[extensions]\n",
        "[includeIf \"gitdir:/\"]\n",
        "working-tree-encoding=UTF-16",
        "filter=lfs",
        "~/",
        "%(prefix)/",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (git, call) = (service(), area.call());
    fuzz("git_files", &words, |bytes| {
        let (nth, content) = bytes.split_first().unwrap_or((&0, &[]));
        let file = FILES[usize::from(*nth) % FILES.len()];
        let path = area.root.join(".git").join(file);
        let before = fs::read(&path).ok();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let said = runtime.block_on(async {
            format!(
                "{:?} {:?} {:?} {:?}",
                git.get_branch(&call, GitGetBranch::default()).await,
                git.status(&call, GitStatus::default()).await,
                git.get_recent_commits(&call, GitGetRecentCommits::default())
                    .await,
                git.diff(&call, GitDiff::default()).await,
            )
        });
        match before {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert!(!said.contains(SECRET), "{file}: {said}");
    });
}
