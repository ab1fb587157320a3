//! Files in an allowed folder, made to lead libgit2 to a repository elsewhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use exomonad_core::GitService;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;

/// With a repository outside that holds a secret.
fn area_with_secret() -> Area {
    let area = Area::new();
    init_with_commit(&area.outside);
    commit_file(&area.outside, "secret", "hunter2\n", "Secret");
    area
}

/// Asserts that every effect refuses.
async fn assert_refused(area: &Area) -> EffectError {
    let (git, call) = (service(), area.call());
    let everything = DiffTarget::Between(DiffBetween {
        from: "HEAD~1".try_into().unwrap(),
        to: "HEAD".try_into().unwrap(),
        merge_base: false,
    });
    let diff = GitDiff {
        target: everything,
        ..GitDiff::default()
    };
    let errors = [
        git.get_branch(&call, GitGetBranch::default())
            .await
            .unwrap_err(),
        git.get_worktree(&call, GitGetWorktree::default())
            .await
            .unwrap_err(),
        git.get_dirty_files(&call, GitGetDirtyFiles::default())
            .await
            .unwrap_err(),
        git.get_recent_commits(&call, GitGetRecentCommits::default())
            .await
            .unwrap_err(),
        git.status(&call, GitStatus::default()).await.unwrap_err(),
        git.diff(&call, diff).await.unwrap_err(),
        git.get_remote_url(&call, GitGetRemoteUrl::default())
            .await
            .unwrap_err(),
        git.repo_info(&call, GitRepoInfo::default())
            .await
            .unwrap_err(),
        git.create_branch(&call, crate::write::new_branch("x"))
            .await
            .unwrap_err(),
        git.commit(&call, crate::write::commit_all("x"))
            .await
            .unwrap_err(),
        git.stash(&call, GitStash::default()).await.unwrap_err(),
        git.list_stashes(&call, GitListStashes::default())
            .await
            .unwrap_err(),
        git.fetch(&call, GitFetch::default()).await.unwrap_err(),
        git.push(&call, GitPush::default()).await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
        assert!(error.message.contains("`role.tl.paths`"), "{error}");
        assert!(
            !error.message.contains(area.outside.to_str().unwrap()),
            "{error}"
        );
    }
    errors.into_iter().next().unwrap()
}

fn plant_file(area: &Area, git_dir: &Path) {
    fs::write(
        area.root.join(".git"),
        format!("gitdir: {}\n", git_dir.display()),
    )
    .unwrap();
}

#[tokio::test]
async fn a_git_file_that_names_a_foreign_repository_is_refused() {
    let area = area_with_secret();
    plant_file(&area, &area.outside.join(".git"));
    let there = assert_refused(&area).await;
    // Nor does the refusal tell whether there is one.
    plant_file(&area, &area.outside.join("none"));
    let not_there = assert_refused(&area).await;
    assert_eq!(there.code, not_there.code);
}

#[tokio::test]
async fn a_git_file_that_names_a_worktree_registered_elsewhere_is_refused() {
    let area = area_with_secret();
    let elsewhere = area.outside.join("elsewhere");
    git(
        &area.outside,
        ["worktree", "add", "--quiet", elsewhere.to_str().unwrap()],
    );
    plant_file(&area, &area.outside.join(".git/worktrees/elsewhere"));
    assert_refused(&area).await;
}

#[tokio::test]
async fn a_worktree_folder_of_the_planters_own_making_is_refused() {
    let area = area_with_secret();
    let fake = area.root.join("fake");
    fs::create_dir(&fake).unwrap();
    fs::write(fake.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(
        fake.join("commondir"),
        format!("{}\n", area.outside.join(".git").display()),
    )
    .unwrap();
    fs::write(
        fake.join("gitdir"),
        format!("{}\n", area.root.join(".git").display()),
    )
    .unwrap();
    plant_file(&area, &fake);
    assert_refused(&area).await;
    // Neither as a git folder that is named itself.
    let request = GitGetBranch {
        working_dir: working_dir(&fake),
        container: None,
    };
    fs::remove_file(area.root.join(".git")).unwrap();
    let error = service()
        .get_branch(&area.call(), request)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_link_to_a_foreign_git_folder_or_git_file_is_refused() {
    let area = area_with_secret();
    symlink(area.outside.join(".git"), area.root.join(".git")).unwrap();
    assert_refused(&area).await;

    let elsewhere = area.outside.join("elsewhere");
    git(
        &area.outside,
        ["worktree", "add", "--quiet", elsewhere.to_str().unwrap()],
    );
    fs::remove_file(area.root.join(".git")).unwrap();
    symlink(elsewhere.join(".git"), area.root.join(".git")).unwrap();
    assert_refused(&area).await;
}

#[tokio::test]
async fn a_working_tree_set_to_a_foreign_folder_is_refused() {
    let area = area_with_secret();
    init_with_commit(&area.root);
    git(
        &area.root,
        ["config", "core.worktree", area.outside.to_str().unwrap()],
    );
    assert_refused(&area).await;
}

#[tokio::test]
async fn objects_borrowed_from_a_foreign_repository_are_refused() {
    let area = area_with_secret();
    init_with_commit(&area.root);
    let alternates = area.root.join(".git/objects/info/alternates");
    let foreign = area.outside.join(".git/objects");
    fs::write(&alternates, format!("# mine\n{}\n", foreign.display())).unwrap();
    assert_refused(&area).await;
    // By way of a store inside that borrows in turn.
    let between = area.root.join("store");
    fs::create_dir_all(between.join("info")).unwrap();
    fs::write(between.join("info/alternates"), foreign.to_str().unwrap()).unwrap();
    fs::write(&alternates, "../../store\n").unwrap();
    assert_refused(&area).await;
}

#[tokio::test]
async fn objects_borrowed_from_a_repository_in_reach_are_read() {
    let area = Area::new();
    init_with_commit(&area.root.join("source"));
    git(
        &area.root,
        ["clone", "--quiet", "--shared", "source", "clone"],
    );
    let request = GitGetRecentCommits {
        working_dir: working_dir("clone"),
        ..GitGetRecentCommits::default()
    };
    let told = service()
        .get_recent_commits(&area.call(), request)
        .await
        .unwrap();
    assert_eq!(told.commits.len(), 1);
}

#[tokio::test]
async fn a_link_inside_the_git_folder_that_leads_outside_is_refused() {
    for part in [
        "objects",
        "refs",
        "HEAD",
        "config",
        "packed-refs",
        "index",
        "refs/heads",
        "info",
        "objects/pack",
    ] {
        let area = area_with_secret();
        init_with_commit(&area.root);
        let (mine, foreign) = (
            area.root.join(".git").join(part),
            area.outside.join(".git").join(part),
        );
        match fs::symlink_metadata(&mine) {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(&mine).unwrap(),
            Ok(_) => fs::remove_file(&mine).unwrap(),
            Err(_) => {}
        }
        symlink(&foreign, &mine).unwrap();
        let error = assert_refused(&area).await;
        assert!(error.message.contains("leads outside"), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_pipe_in_the_git_folder_keeps_nobody_waiting() {
    let area = Area::with_repository();
    let head = area.root.join(".git/HEAD");
    fs::remove_file(&head).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&head)
        .status()
        .unwrap();
    assert!(made.success());
    let error = service()
        .get_branch(&area.call(), GitGetBranch::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(error.message.contains("\"HEAD\""), "{error}");
}

#[tokio::test]
async fn what_a_configuration_includes_from_outside_is_not_quoted() {
    let area = Area::with_repository();
    let secret = area.outside.join("secret");
    fs::write(&secret, "root:hunter2:0:0\n").unwrap();
    git(
        &area.root,
        ["config", "include.path", secret.to_str().unwrap()],
    );
    let error = service()
        .status(&area.call(), GitStatus::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(!error.message.contains("hunter2"), "{error}");
    assert!(!error.message.contains("outside/"), "{error}");
}

#[tokio::test]
async fn programs_named_by_a_configuration_do_not_run() {
    let area = Area::with_repository();
    let root = &area.root;
    let mark = area.outside.join("mark");
    let program = format!("touch {}", mark.display());
    for key in [
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.x.textconv",
        "diff.x.command",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "core.sshCommand",
        "credential.helper",
    ] {
        git(root, ["config", key, &program]);
    }
    fs::write(root.join(".gitattributes"), "* diff=x filter=x\n").unwrap();
    fs::create_dir_all(root.join(".git/hooks")).unwrap();
    fs::write(root.join("file"), "changed\n").unwrap();
    let call = area.call();
    service().status(&call, GitStatus::default()).await.unwrap();
    let diff = service().diff(&call, GitDiff::default()).await.unwrap();
    assert!(diff.patch.contains("+changed"), "{}", diff.patch);
    assert!(!mark.exists());
}
