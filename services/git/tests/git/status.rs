//! Changed files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use exomonad_core::GitService;
use exomonad_git::GitConfig;
use exomonad_schema::effects::git::*;
use exomonad_schema::{Base64, ErrorCode};

use crate::area::*;
use crate::porcelain::{self, Lists};

async fn report(area: &Area, folder: &Path) -> GitStatusReport {
    let request = GitStatus {
        working_dir: working_dir(folder),
        container: None,
    };
    service().status(&area.call(), request).await.unwrap()
}

/// Asserts that the service says what `git status` says.
async fn assert_as_git(area: &Area) -> GitStatusReport {
    let told = report(area, &area.root).await;
    let expected = porcelain::status(&area.root);
    let is_clean = expected == Lists::default();
    assert_eq!(told.is_clean, is_clean);
    assert_eq!(Lists::from(told.clone()), expected);
    told
}

async fn dirty_files(area: &Area) -> Vec<(String, ChangeKind)> {
    let request = GitGetDirtyFiles::default();
    let told = service().get_dirty_files(&area.call(), request).await;
    let files = told.unwrap().files;
    files
        .into_iter()
        .map(|file| (file.path, file.change))
        .collect()
}

#[tokio::test]
async fn a_fresh_checkout_is_clean() {
    let area = Area::with_repository();
    assert!(assert_as_git(&area).await.is_clean);
    assert_eq!(dirty_files(&area).await, []);
}

#[tokio::test]
async fn every_kind_of_change_is_reported_as_git_does() {
    let area = Area::with_repository();
    let root = &area.root;
    for name in [
        "edited", "both", "removed", "dropped", "moved", "turned", "kept",
    ] {
        fs::write(root.join(name), format!("{name}\n").repeat(20)).unwrap();
    }
    fs::write(root.join(".gitignore"), "*.log\n").unwrap();
    git(root, ["add", "."]);
    git(root, ["commit", "--quiet", "-m", "More"]);

    fs::write(root.join("edited"), "x\n").unwrap();
    fs::write(root.join("both"), "staged\n").unwrap();
    git(root, ["add", "both"]);
    fs::write(root.join("both"), "staged and edited\n").unwrap();
    fs::remove_file(root.join("removed")).unwrap();
    git(root, ["rm", "--quiet", "dropped"]);
    git(root, ["mv", "moved", "moved there"]);
    fs::remove_file(root.join("turned")).unwrap();
    symlink("kept", root.join("turned")).unwrap();
    git(root, ["rm", "--quiet", "--cached", "kept"]);
    fs::write(root.join("new"), "x\n").unwrap();
    git(root, ["add", "new"]);
    fs::write(root.join("unknown"), "x\n").unwrap();
    fs::write(root.join("noise.log"), "x\n").unwrap();
    fs::create_dir_all(root.join("folder/deep")).unwrap();
    fs::write(root.join("folder/deep/file"), "x\n").unwrap();

    let told = assert_as_git(&area).await;
    assert_eq!(told.staged.len(), 5, "{told:?}");
    assert_eq!(told.unstaged.len(), 4, "{told:?}");

    use ChangeKind::*;
    assert_eq!(
        dirty_files(&area).await,
        [
            ("both", Modified),
            ("dropped", Deleted),
            ("edited", Modified),
            ("folder/", Untracked),
            ("kept", Deleted),
            ("moved there", Renamed),
            ("new", Added),
            ("removed", Deleted),
            ("turned", TypeChanged),
            ("unknown", Untracked),
        ]
        .map(|(path, kind)| (path.to_owned(), kind))
    );
}

#[tokio::test]
async fn conflicts_stand_apart_from_other_changes() {
    let area = Area::with_repository();
    let root = &area.root;
    commit_file(root, "gone", "x\n", "Second");
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    fs::write(root.join("file"), "theirs\n").unwrap();
    fs::write(root.join("added"), "theirs\n").unwrap();
    git(root, ["rm", "--quiet", "gone"]);
    git(root, ["add", "."]);
    git(root, ["commit", "--quiet", "-m", "Theirs"]);
    git(root, ["checkout", "--quiet", "main"]);
    fs::write(root.join("file"), "ours\n").unwrap();
    fs::write(root.join("added"), "ours\n").unwrap();
    fs::write(root.join("gone"), "ours\n").unwrap();
    git(root, ["add", "."]);
    git(root, ["commit", "--quiet", "-m", "Ours"]);
    assert!(!try_git(root, ["merge", "topic"]).status.success());

    let told = assert_as_git(&area).await;
    let paths: Vec<_> = told.conflicted.iter().map(|file| &*file.path).collect();
    assert_eq!(paths, ["added", "file", "gone"]);
}

#[tokio::test]
async fn a_name_that_is_not_utf8_survives_byte_for_byte() {
    let area = Area::with_repository();
    let root = &area.root;
    let (old, new) = (b"old-\xff\xfe".as_slice(), b"new-\xff".as_slice());
    fs::write(root.join(OsStr::from_bytes(old)), "content\n".repeat(9)).unwrap();
    git(root, ["add", "."]);
    git(root, ["commit", "--quiet", "-m", "Bytes"]);
    git(
        root,
        [
            "mv".as_ref(),
            OsStr::from_bytes(old),
            OsStr::from_bytes(new),
        ],
    );
    fs::write(root.join(OsStr::from_bytes(b"\x80")), "x\n").unwrap();

    let told = assert_as_git(&area).await;
    assert_eq!(told.staged[0].path_bytes, Some(Base64(new.to_vec())));
    assert_eq!(told.staged[0].old_path_bytes, Some(Base64(old.to_vec())));
    assert_eq!(told.untracked[0].path, "\u{fffd}");
}

#[tokio::test]
async fn the_distance_from_upstream_is_counted_both_ways() {
    let area = Area::new();
    let (source, clone) = (area.root.join("source"), area.root.join("clone"));
    init_with_commit(&source);
    git(&area.root, ["clone", "--quiet", "source", "clone"]);
    commit_file(&source, "a", "x\n", "There");
    commit_file(&clone, "b", "x\n", "Here");
    commit_file(&clone, "c", "x\n", "Here too");
    git(&clone, ["fetch", "--quiet"]);

    let upstream = report(&area, &clone).await.upstream.unwrap();
    assert_eq!(
        upstream,
        GitUpstream {
            name: "origin/main".into(),
            ahead: Some(2),
            behind: Some(1)
        }
    );
    git(&clone, ["update-ref", "-d", "refs/remotes/origin/main"]);
    let upstream = report(&area, &clone).await.upstream.unwrap();
    assert_eq!((upstream.ahead, upstream.behind), (None, None));
    assert_eq!(report(&area, &source).await.upstream, None);
}

#[tokio::test]
async fn files_left_out_by_a_sparse_checkout_are_not_deleted() {
    let area = Area::with_repository();
    let root = &area.root;
    fs::create_dir(root.join("big")).unwrap();
    commit_file(root, "big/data", "x\n", "Data");
    git(root, ["sparse-checkout", "set", "--no-cone", "/file"]);
    git(root, ["update-index", "--assume-unchanged", "file"]);
    fs::remove_file(root.join("file")).unwrap();
    assert!(!root.join("big/data").exists());
    assert!(assert_as_git(&area).await.is_clean);
    let target = DiffTarget::Unstaged;
    let request = GitDiff {
        target,
        ..GitDiff::default()
    };
    let diff = service().diff(&area.call(), request).await.unwrap();
    assert_eq!(diff, GitDiffReport::default());
}

#[tokio::test]
async fn a_locked_index_does_not_keep_anyone_from_reading_and_reading_writes_nothing() {
    let area = Area::with_repository();
    fs::write(area.root.join("file"), "other\n").unwrap();
    fs::write(area.root.join(".git/index.lock"), "").unwrap();
    let index = fs::read(area.root.join(".git/index")).unwrap();
    let told = report(&area, &area.root).await;
    assert_eq!(told.unstaged.len(), 1);
    assert_eq!(fs::read(area.root.join(".git/index")).unwrap(), index);
}

#[tokio::test]
async fn a_large_unknown_folder_is_one_entry_and_too_many_entries_are_refused() {
    let area = Area::with_repository();
    let modules = area.root.join("node_modules");
    fs::create_dir(&modules).unwrap();
    for number in 0..3_000 {
        fs::write(modules.join(number.to_string()), "").unwrap();
    }
    let told = assert_as_git(&area).await;
    assert_eq!(told.untracked.len(), 1);
    assert_eq!(told.untracked[0].path, "node_modules/");

    for number in 0..11 {
        fs::write(area.root.join(format!("loose-{number}")), "").unwrap();
    }
    let small = service_with(GitConfig {
        max_files: 10,
        ..GitConfig::default()
    });
    let error = small
        .status(&area.call(), GitStatus::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    assert!(error.message.contains("12 files have changed"), "{error}");
    assert!(error.message.contains("`max_files`"), "{error}");
}

#[tokio::test]
async fn the_machines_own_configuration_changes_nothing() {
    const INNER: &str = "EXOMONAD_GIT_TEST_WITH_A_HOME";
    if std::env::var_os(INNER).is_none() {
        // Once more, in a process whose home has git ignore everything.
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".config/git")).unwrap();
        fs::write(home.path().join(".config/git/ignore"), "*\n").unwrap();
        fs::write(home.path().join(".gitconfig"), "[core]\nbare = true\n").unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "status::the_machines_own_configuration_changes_nothing",
            ])
            .env("HOME", home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env(INNER, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let area = Area::with_repository();
    fs::write(area.root.join("new"), "").unwrap();
    assert_eq!(assert_as_git(&area).await.untracked.len(), 1);
}
