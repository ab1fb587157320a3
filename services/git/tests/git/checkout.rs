//! The checked-out branch and the repository around a folder.

use std::fs;
use std::path::Path;

use exomonad_core::{CallContext, GitService};
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::target::host_only;

async fn branch(call: &CallContext, folder: &Path) -> GitBranch {
    let working_dir = working_dir(folder);
    let request = GitGetBranch {
        working_dir,
        container: None,
    };
    service().get_branch(call, request).await.unwrap()
}

async fn info(call: &CallContext, folder: &Path) -> GitRepository {
    let working_dir = working_dir(folder);
    let request = GitRepoInfo {
        working_dir,
        container: None,
    };
    service().repo_info(call, request).await.unwrap()
}

async fn worktree(call: &CallContext, folder: &Path) -> GitWorktree {
    let working_dir = working_dir(folder);
    let request = GitGetWorktree {
        working_dir,
        container: None,
    };
    service().get_worktree(call, request).await.unwrap()
}

#[tokio::test]
async fn a_branch_is_reported_with_its_commit_from_any_folder() {
    let area = Area::with_repository();
    let deep = area.root.join("a/b");
    fs::create_dir_all(&deep).unwrap();
    for folder in [&area.root, &deep, Path::new("."), Path::new("a/../a/b")] {
        assert_eq!(
            branch(&area.call(), folder).await,
            GitBranch {
                head: GitHead::Branch,
                branch: Some("main".into()),
                commit: Some(git(&area.root, ["rev-parse", "HEAD"])),
            }
        );
    }
}

#[tokio::test]
async fn a_detached_head_has_a_commit_and_no_branch() {
    let area = Area::with_repository();
    git(&area.root, ["checkout", "--quiet", "--detach"]);
    let told = branch(&area.call(), &area.root).await;
    assert_eq!((told.head, told.branch), (GitHead::Detached, None));
    assert_eq!(told.commit.unwrap(), git(&area.root, ["rev-parse", "HEAD"]));
}

#[tokio::test]
async fn an_empty_repository_is_on_a_branch_without_a_commit() {
    let area = Area::new();
    git(&area.root, ["init", "--quiet", "--initial-branch=trunk"]);
    let call = area.call();
    assert_eq!(
        branch(&call, &area.root).await,
        GitBranch {
            head: GitHead::Unborn,
            branch: Some("trunk".into()),
            commit: None
        }
    );
    let info = info(&call, &area.root).await;
    assert!(info.is_empty && !info.is_bare && !info.is_shallow);
    assert_eq!(worktree(&call, &area.root).await.branch.unwrap(), "trunk");
}

#[tokio::test]
async fn a_new_branch_beside_others_is_unborn_but_the_repository_is_not_empty() {
    let area = Area::with_repository();
    git(&area.root, ["checkout", "--quiet", "--orphan", "fresh"]);
    let call = area.call();
    assert_eq!(branch(&call, &area.root).await.head, GitHead::Unborn);
    assert!(!info(&call, &area.root).await.is_empty);
}

#[tokio::test]
async fn a_branch_whose_name_is_not_utf8_is_reported_lossily() {
    use std::os::unix::ffi::OsStrExt;
    let area = Area::with_repository();
    let name = std::ffi::OsStr::from_bytes(b"na\xefve");
    git(
        &area.root,
        ["checkout".as_ref(), "--quiet".as_ref(), "-b".as_ref(), name],
    );
    let call = area.call();
    let told = branch(&call, &area.root).await;
    assert_eq!(told.branch.as_deref(), Some("na\u{fffd}ve"));
    assert_eq!(told.commit.unwrap(), git(&area.root, ["rev-parse", "HEAD"]));
    let request = GitStatus::default();
    assert!(service().status(&call, request).await.unwrap().is_clean);
}

#[tokio::test]
async fn a_bare_repository_has_a_branch_but_no_working_tree() {
    let area = Area::new();
    init_with_commit(&area.root.join("source"));
    git(
        &area.root,
        ["clone", "--quiet", "--bare", "source", "bare.git"],
    );
    let bare = area.root.join("bare.git");
    let call = area.call();
    assert_eq!(branch(&call, &bare).await.branch.unwrap(), "main");
    let info = info(&call, &bare).await;
    assert!(info.is_bare);
    assert_eq!(info.work_dir, None);
    assert_eq!(info.worktrees, []);
    assert_eq!(info.git_dir, bare.to_str().unwrap());

    let request = GitStatus {
        working_dir: working_dir(&bare),
        container: None,
    };
    let error = service().status(&call, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(error.message.contains("bare"), "{error}");
    let request = GitGetWorktree {
        working_dir: working_dir(&bare),
        container: None,
    };
    let error = service().get_worktree(&call, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[tokio::test]
async fn each_worktree_has_its_own_branch_and_all_are_listed() {
    let area = Area::new();
    let (main, linked) = (area.root.join("main"), area.root.join("linked"));
    init_with_commit(&main);
    git(
        &main,
        ["worktree", "add", "--quiet", "-b", "topic", "../linked"],
    );
    git(
        &main,
        ["worktree", "add", "--quiet", "--detach", "../loose"],
    );
    git(
        &main,
        ["worktree", "lock", "--reason", "on a stick", "../loose"],
    );
    let call = area.call();

    assert_eq!(branch(&call, &linked).await.branch.unwrap(), "topic");
    let linked_worktree = GitWorktree {
        path: linked.to_str().unwrap().into(),
        name: Some("linked".into()),
        is_main: false,
        locked: None,
        branch: Some("topic".into()),
    };
    assert_eq!(worktree(&call, &linked).await, linked_worktree);
    let main_worktree = GitWorktree {
        path: main.to_str().unwrap().into(),
        name: None,
        is_main: true,
        locked: None,
        branch: Some("main".into()),
    };
    assert_eq!(worktree(&call, &main).await, main_worktree);
    let loose_worktree = GitWorktree {
        path: area.root.join("loose").to_str().unwrap().into(),
        name: Some("loose".into()),
        is_main: false,
        locked: Some("on a stick".into()),
        branch: None,
    };
    for folder in [&main, &linked] {
        let info = info(&call, folder).await;
        assert_eq!(info.git_dir, main.join(".git").to_str().unwrap());
        assert_eq!(info.work_dir.as_deref(), main.to_str());
        assert_eq!(
            info.worktrees,
            [
                main_worktree.clone(),
                linked_worktree.clone(),
                loose_worktree.clone()
            ]
        );
    }
}

host_only! {
"all of a container is in reach",
#[tokio::test]
async fn a_worktree_in_reach_of_a_repository_out_of_reach_is_read_when_registered_there() {
    let area = Area::new();
    let main = area.outside.join("main");
    init_with_commit(&main);
    let linked = area.root.join("linked");
    git(
        &main,
        [
            "worktree",
            "add",
            "--quiet",
            "-b",
            "topic",
            linked.to_str().unwrap(),
        ],
    );
    commit_file(&linked, "more", "x\n", "Second");
    fs::write(linked.join("file"), "changed\n").unwrap();
    let call = area.call();

    assert_eq!(branch(&call, &linked).await.branch.unwrap(), "topic");
    let working_dir = working_dir(&linked);
    let request = GitStatus {
        working_dir: working_dir.clone(),
        container: None,
    };
    let status = service().status(&call, request).await.unwrap();
    assert_eq!(status.unstaged.len(), 1);
    let request = GitGetRecentCommits {
        working_dir,
        ..GitGetRecentCommits::default()
    };
    let commits = service().get_recent_commits(&call, request).await.unwrap();
    assert_eq!(commits.commits.len(), 2);
    // The main worktree itself stays out of reach.
    let request = GitGetBranch {
        working_dir: crate::area::working_dir(&main),
        container: None,
    };
    let error = service().get_branch(&call, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
}
}

#[tokio::test]
async fn a_worktree_with_relative_paths_is_read_like_any_other() {
    let area = Area::new();
    let main = area.root.join("main");
    init_with_commit(&main);
    git(
        &main,
        ["worktree", "add", "--quiet", "-b", "topic", "../linked"],
    );
    // What git 2.48 writes with `worktree.useRelativePaths`.
    fs::write(
        area.root.join("linked/.git"),
        "gitdir: ../main/.git/worktrees/linked\n",
    )
    .unwrap();
    fs::write(
        main.join(".git/worktrees/linked/gitdir"),
        "../../../../linked/.git\n",
    )
    .unwrap();
    let call = call_within(&[&area.root.join("linked")]);
    let told = worktree(&call, Path::new(".")).await;
    assert_eq!(told.path, area.root.join("linked").to_str().unwrap());
    assert_eq!(told.branch.unwrap(), "topic");
}

#[tokio::test]
async fn the_default_branch_is_the_one_origin_points_to() {
    let area = Area::new();
    init_with_commit(&area.root.join("source"));
    git(&area.root, ["clone", "--quiet", "source", "clone"]);
    let call = area.call();
    let told = info(&call, &area.root.join("clone")).await;
    assert_eq!(told.default_branch.as_deref(), Some("main"));
    assert_eq!(told.remotes.len(), 1);
    let told = info(&call, &area.root.join("source")).await;
    assert_eq!(told.default_branch, None);
}

#[tokio::test]
async fn a_repository_of_another_user_is_read_as_in_a_container_it_mostly_is() {
    let area = Area::with_repository();
    for path in [&area.root, &area.root.join(".git")] {
        // Only root may give files away; for anyone else there is nothing to test.
        if std::os::unix::fs::chown(path, Some(54_321), None).is_err() {
            return;
        }
    }
    assert_eq!(
        branch(&area.call(), &area.root).await.branch.unwrap(),
        "main"
    );
}
