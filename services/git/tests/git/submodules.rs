//! Repositories in repositories.

use std::fs;
use std::path::PathBuf;

use exomonad_core::GitService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::porcelain::{self, Lists};
use crate::target::host_only;

/// A repository at the root with a submodule `sub`.
fn area_with_submodule() -> (Area, PathBuf) {
    let area = Area::with_repository();
    let source = area.root.join("../source");
    init_with_commit(&source);
    git(
        &area.root,
        ["submodule", "--quiet", "add", "../source", "sub"],
    );
    git(&area.root, ["commit", "--quiet", "-m", "Submodule"]);
    let sub = area.root.join("sub");
    (area, sub)
}

async fn status(area: &Area) -> GitStatusReport {
    service()
        .status(&area.call(), GitStatus::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_submodule_is_a_repository_of_its_own_and_listed_by_the_one_around_it() {
    let (area, sub) = area_with_submodule();
    let call = area.call();
    let request = GitRepoInfo {
        working_dir: working_dir(&sub),
        container: None,
    };
    let told = service().repo_info(&call, request).await.unwrap();
    assert_eq!(told.work_dir.as_deref(), sub.to_str());
    assert_eq!(
        told.git_dir,
        area.root.join(".git/modules/sub").to_str().unwrap()
    );
    let told = service()
        .repo_info(&call, GitRepoInfo::default())
        .await
        .unwrap();
    assert_eq!(told.submodules, ["sub"]);
}

#[tokio::test]
async fn a_change_in_a_submodule_is_a_change_of_it_as_git_has_it() {
    let (area, sub) = area_with_submodule();
    assert!(status(&area).await.is_clean);
    fs::write(sub.join("file"), "other\n").unwrap();
    assert_eq!(
        Lists::from(status(&area).await),
        porcelain::status(&area.root)
    );
    git(&sub, ["commit", "--quiet", "-a", "-m", "Inside"]);
    let told = status(&area).await;
    assert_eq!(told.unstaged.len(), 1);
    assert_eq!(Lists::from(told), porcelain::status(&area.root));

    let diff = service()
        .diff(&area.call(), GitDiff::default())
        .await
        .unwrap();
    let after = git(&sub, ["rev-parse", "HEAD"]);
    assert!(
        diff.patch.contains(&format!("+Subproject commit {after}")),
        "{}",
        diff.patch
    );
}

#[tokio::test]
async fn a_submodule_that_is_not_checked_out_is_no_change() {
    let (area, _) = area_with_submodule();
    git(
        &area.root,
        ["submodule", "--quiet", "deinit", "--force", "sub"],
    );
    assert_eq!(
        Lists::from(status(&area).await),
        porcelain::status(&area.root)
    );
    assert!(status(&area).await.is_clean);
}

#[tokio::test]
async fn a_submodule_in_a_linked_worktree_is_read() {
    let (area, _) = area_with_submodule();
    let linked = area.root.join("linked");
    git(
        &area.root,
        ["worktree", "add", "--quiet", "-b", "topic", "linked"],
    );
    git(&linked, ["submodule", "--quiet", "update", "--init"]);
    // Only the worktree is in reach; its submodule's git folder is in the common one.
    let call = call_within(&[&linked]);
    let told = service().status(&call, GitStatus::default()).await.unwrap();
    assert!(told.is_clean, "{told:?}");
}

host_only! {
"all of a container is in reach",
#[tokio::test]
async fn a_submodule_that_leads_outside_is_refused_by_name() {
    let (area, sub) = area_with_submodule();
    init_with_commit(&area.outside);
    let planted = format!("gitdir: {}\n", area.outside.join(".git").display());
    fs::write(sub.join(".git"), planted).unwrap();
    let call = area.call();
    let errors = [
        service()
            .status(&call, GitStatus::default())
            .await
            .unwrap_err(),
        service().diff(&call, GitDiff::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
        assert!(error.message.contains("submodule \"sub\""), "{error}");
    }

    fs::remove_dir_all(&sub).unwrap();
    std::os::unix::fs::symlink(&area.outside, &sub).unwrap();
    let error = service()
        .status(&call, GitStatus::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
}
}
