//! Worktrees, made and removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use exomonad_core::{CallContext, GitService};
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::target::host_only;
use crate::write::{assert_sound, commit_all, writer};

/// With a repository at `main`, in which effects work.
fn area() -> (Area, PathBuf, CallContext) {
    let area = Area::new();
    let main = area.root.join("main");
    init_with_commit(&main);
    let call = area.call();
    (area, main, call)
}

fn add(path: &str, branch: &str) -> GitAddWorktree {
    GitAddWorktree {
        working_dir: working_dir("main"),
        container: None,
        path: path.try_into().unwrap(),
        branch: branch.try_into().unwrap(),
        create_branch: true,
        reference: None,
    }
}

fn remove(path: &str) -> GitRemoveWorktree {
    GitRemoveWorktree {
        working_dir: working_dir("main"),
        container: None,
        path: path.try_into().unwrap(),
        force: false,
    }
}

#[tokio::test]
async fn a_worktree_is_one_for_git_too_and_can_be_worked_in() {
    let (area, main, call) = area();
    let service = writer();
    let made = service
        .add_worktree(&call, add("../linked tree", "topic"))
        .await
        .unwrap();
    let linked = area.root.join("linked tree");
    assert_eq!(made.path, linked.to_str().unwrap());
    assert_eq!(made.branch.as_deref(), Some("topic"));
    let list = git(&main, ["worktree", "list", "--porcelain"]);
    assert!(
        list.contains(&format!("worktree {}\n", linked.display())),
        "{list}"
    );
    assert!(list.contains("branch refs/heads/topic"), "{list}");
    assert_eq!(git(&linked, ["status", "--short", "--branch"]), "## topic");

    fs::write(linked.join("new"), "x\n").unwrap();
    let request = GitCreateCommit {
        working_dir: working_dir(&linked),
        ..commit_all("In the worktree")
    };
    let commit = service.commit(&call, request).await.unwrap();
    assert_eq!(git(&main, ["rev-parse", "topic"]), commit.id);
    assert_eq!(git(&linked, ["status", "--short"]), "");
    assert_sound(&main);

    service
        .remove_worktree(&call, remove("../linked tree"))
        .await
        .unwrap();
    assert!(!linked.exists());
    assert_eq!(git(&main, ["worktree", "list"]).lines().count(), 1);
    assert_eq!(git(&main, ["rev-parse", "topic"]), commit.id);
    assert_sound(&main);
}

#[tokio::test]
async fn an_existing_branch_is_checked_out_once_only() {
    let (area, main, call) = area();
    let service = writer();
    git(&main, ["branch", "topic"]);
    let existing = |path, branch| GitAddWorktree {
        create_branch: false,
        ..add(path, branch)
    };
    for (request, code) in [
        (existing("../a", "main"), ErrorCode::Conflict),
        (existing("../a", "none"), ErrorCode::NotFound),
        (add("../a", "topic"), ErrorCode::Conflict),
        (add("../main", "new"), ErrorCode::Conflict),
        (add("../none/a", "new"), ErrorCode::NotFound),
        (add(".git/a", "new"), ErrorCode::InvalidInput),
        (add("..", "new"), ErrorCode::InvalidInput),
        (add("../a", "a b"), ErrorCode::InvalidInput),
    ] {
        let path = request.path.to_string();
        let error = service.add_worktree(&call, request).await.unwrap_err();
        assert_eq!(error.code, code, "{path}: {error}");
    }
    assert_eq!(git(&main, ["branch", "--list", "new"]), "");

    service
        .add_worktree(&call, existing("../a", "topic"))
        .await
        .unwrap();
    let error = service
        .add_worktree(&call, existing("../b", "topic"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    let request = GitSwitchBranch {
        working_dir: working_dir("main"),
        container: None,
        branch: "topic".try_into().unwrap(),
    };
    let error = service.switch_branch(&call, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    // A second worktree of the same name has another git folder.
    fs::create_dir(area.root.join("deep")).unwrap();
    service
        .add_worktree(&call, add("../deep/a", "second"))
        .await
        .unwrap();
    assert_eq!(
        git(&area.root.join("deep/a"), ["branch", "--show-current"]),
        "second"
    );
    assert_sound(&main);
}

#[tokio::test]
async fn a_worktree_with_changes_goes_only_by_force_and_a_locked_one_not_at_all() {
    let (area, main, call) = area();
    let service = writer();
    let linked = area.root.join("linked");
    service
        .add_worktree(&call, add("../linked", "topic"))
        .await
        .unwrap();
    fs::write(linked.join("new"), "mine\n").unwrap();
    let error = service
        .remove_worktree(&call, remove("../linked"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("\"new\""), "{error}");
    assert!(linked.join("new").exists());
    let force = GitRemoveWorktree {
        force: true,
        ..remove("../linked")
    };
    git(&main, ["worktree", "lock", "../linked"]);
    let error = service
        .remove_worktree(&call, force.clone())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    git(&main, ["worktree", "unlock", "../linked"]);
    service.remove_worktree(&call, force).await.unwrap();
    assert!(!linked.exists());

    fs::create_dir(area.root.join("other")).unwrap();
    for path in ["../linked", "../other", "../main"] {
        let error = service
            .remove_worktree(&call, remove(path))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{path}: {error}");
    }
    assert!(main.join("file").exists());
}

host_only! {
"all of a container is in reach",
#[tokio::test]
async fn a_worktree_out_of_reach_is_not_removed() {
    let (area, main, call) = area();
    let outside = area.outside.join("linked");
    let path = outside.to_str().unwrap();
    git(&main, ["worktree", "add", "--quiet", "-b", "topic", path]);
    let error = writer()
        .remove_worktree(&call, remove(path))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert!(outside.join("file").exists());
}
}

host_only! {
"all of a container is in reach",
#[tokio::test]
async fn a_worktree_is_not_made_out_of_reach() {
    let (area, main, call) = area();
    symlink(&area.outside, area.root.join("link")).unwrap();
    for path in ["../../outside/a", "/tmp/a", "../link/a"] {
        let error = writer()
            .add_worktree(&call, add(path, "new"))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{path}: {error}");
    }
    assert_eq!(git(&main, ["branch", "--list", "new"]), "");
    assert_eq!(fs::read_dir(&area.outside).unwrap().count(), 0);
}
}

host_only! {
"git itself sees to that in a container, with another code",
#[tokio::test]
async fn a_folder_that_git_registers_as_a_worktree_and_that_is_none_is_not_removed() {
    let (area, main, call) = area();
    git(&main, ["worktree", "add", "--quiet", "-b", "topic", "../linked"]);
    let precious = area.root.join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "x").unwrap();
    let registered = format!("{}/.git\n", precious.display());
    fs::write(main.join(".git/worktrees/linked/gitdir"), registered).unwrap();
    let force = GitRemoveWorktree {
        force: true,
        ..remove("../precious")
    };
    let error = writer().remove_worktree(&call, force.clone()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    // One of another worktree does not make it this one.
    fs::copy(main.join(".git/HEAD"), precious.join(".git")).unwrap();
    let error = writer().remove_worktree(&call, force).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    assert!(precious.join("file").exists());
}
}
