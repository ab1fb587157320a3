//! Repositories that are broken, or of a kind libgit2 does not know.

use std::fs;
use std::path::{Path, PathBuf};

use exomonad_core::GitService;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;

async fn branch_error(area: &Area) -> EffectError {
    service()
        .get_branch(&area.call(), GitGetBranch::default())
        .await
        .unwrap_err()
}

async fn status_error(area: &Area) -> EffectError {
    service()
        .status(&area.call(), GitStatus::default())
        .await
        .unwrap_err()
}

fn assert_damaged(error: &EffectError) {
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(error.message.contains("is damaged"), "{error}");
    assert!(error.message.contains("git fsck"), "{error}");
}

fn object(root: &Path, name: &str) -> PathBuf {
    let id = git(root, ["rev-parse", name]);
    root.join(".git/objects").join(&id[..2]).join(&id[2..])
}

#[tokio::test]
async fn no_repository_at_all_is_not_found() {
    let area = Area::new();
    let error = branch_error(&area).await;
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("run `git init`"), "{error}");
}

#[tokio::test]
async fn a_head_that_was_cut_off_is_damage() {
    let area = Area::with_repository();
    for content in [
        "",
        "ref: ",
        "ref: refs/heads/\n",
        "0123456789\n",
        "\u{fffd}\n",
    ] {
        fs::write(area.root.join(".git/HEAD"), content).unwrap();
        assert_damaged(&branch_error(&area).await);
    }
    fs::remove_file(area.root.join(".git/HEAD")).unwrap();
    assert_damaged(&branch_error(&area).await);
}

#[tokio::test]
async fn a_git_file_that_is_nonsense_is_damage() {
    let area = Area::new();
    fs::write(area.root.join(".git"), "nonsense\n").unwrap();
    assert_damaged(&branch_error(&area).await);
    fs::remove_file(area.root.join(".git")).unwrap();
    fs::create_dir(area.root.join(".git")).unwrap();
    assert_damaged(&branch_error(&area).await);
}

#[tokio::test]
async fn a_missing_commit_tree_or_blob_is_damage_where_it_is_needed() {
    let area = Area::with_repository();
    let root = &area.root;
    commit_file(root, "file", "changed\n", "Second");
    fs::write(root.join("file"), "once more\n").unwrap();
    let call = area.call();

    fs::remove_file(object(root, "HEAD:file")).unwrap();
    let error = service().diff(&call, GitDiff::default()).await.unwrap_err();
    assert_damaged(&error);
    assert!(
        service()
            .get_recent_commits(&call, GitGetRecentCommits::default())
            .await
            .is_ok()
    );

    fs::remove_file(object(root, "HEAD~1")).unwrap();
    let request = GitGetRecentCommits::default();
    assert_damaged(
        &service()
            .get_recent_commits(&call, request)
            .await
            .unwrap_err(),
    );

    fs::remove_file(object(root, "HEAD^{tree}")).unwrap();
    assert_damaged(&status_error(&area).await);

    fs::remove_file(object(root, "HEAD")).unwrap();
    assert_damaged(&status_error(&area).await);
    // The branch itself is still told.
    let told = service()
        .get_branch(&call, GitGetBranch::default())
        .await
        .unwrap();
    assert_eq!(told.head, GitHead::Branch);
}

#[tokio::test]
async fn an_object_of_rubbish_is_damage() {
    let area = Area::with_repository();
    let commit = object(&area.root, "HEAD");
    fs::remove_file(&commit).unwrap();
    fs::write(&commit, "rubbish").unwrap();
    assert_damaged(&status_error(&area).await);
}

#[tokio::test]
async fn an_index_of_rubbish_is_damage() {
    let area = Area::with_repository();
    fs::write(area.root.join(".git/index"), "rubbish").unwrap();
    assert_damaged(&status_error(&area).await);
}

#[tokio::test]
async fn a_repository_of_an_unknown_kind_is_unsupported_with_gits_own_word_for_it() {
    let area = Area::with_repository();
    git(&area.root, ["config", "core.repositoryFormatVersion", "1"]);
    git(&area.root, ["config", "extensions.fromTheFuture", "true"]);
    let error = branch_error(&area).await;
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(
        error.message.to_lowercase().contains("fromthefuture"),
        "{error}"
    );
}

#[tokio::test]
async fn a_partial_clone_is_read_as_far_as_it_goes() {
    let area = Area::new();
    let source = area.root.join("source");
    init_with_commit(&source);
    git(&source, ["config", "uploadpack.allowFilter", "true"]);
    commit_file(&source, "file", "changed\n", "Second");
    let url = format!("file://{}", source.display());
    git(
        &area.root,
        ["clone", "--quiet", "--filter=blob:none", &url, "partial"],
    );
    let call = call_within(&[&area.root.join("partial")]);
    let told = service().status(&call, GitStatus::default()).await.unwrap();
    assert!(told.is_clean);
    let request = GitDiff {
        target: DiffTarget::Between(DiffBetween {
            from: "HEAD~1".try_into().unwrap(),
            to: "HEAD".try_into().unwrap(),
            merge_base: false,
        }),
        ..GitDiff::default()
    };
    let error = service().diff(&call, request).await.unwrap_err();
    assert_damaged(&error);
}
