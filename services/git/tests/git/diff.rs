//! How files differ.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use exomonad_core::GitService;
use exomonad_core::values::ByteSize;
use exomonad_git::GitConfig;
use exomonad_schema::effects::git::*;
use exomonad_schema::{Base64, EffectError, ErrorCode};

use crate::area::*;

async fn try_diff(area: &Area, target: DiffTarget) -> Result<GitDiffReport, EffectError> {
    let request = GitDiff {
        target,
        ..GitDiff::default()
    };
    service().diff(&area.call(), request).await
}

async fn diff(area: &Area, target: DiffTarget) -> GitDiffReport {
    try_diff(area, target).await.unwrap()
}

fn between(from: &str, to: &str, merge_base: bool) -> DiffTarget {
    DiffTarget::Between(DiffBetween {
        from: from.try_into().unwrap(),
        to: to.try_into().unwrap(),
        merge_base,
    })
}

fn against(reference: &str) -> DiffTarget {
    DiffTarget::Against(DiffAgainst {
        reference: reference.try_into().unwrap(),
    })
}

/// The output of `git diff`; this one ends with a newline, as the contract's does.
fn git_diff(area: &Area, arguments: &[&str]) -> String {
    let output = try_git(
        &area.root,
        [&["diff", "--no-color"], arguments, &["--"]].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Several commits on two branches, and changes in the index and the working tree.
fn area_with_changes() -> Area {
    let area = Area::with_repository();
    let root = &area.root;
    commit_file(root, "long", &"line\n".repeat(50), "Long");
    commit_file(root, "binary", "a\0b", "Binary");
    commit_file(root, "open", "no newline", "Open end");
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(root, "topic", "topic\n", "Topic");
    git(root, ["checkout", "--quiet", "main"]);
    commit_file(root, "main", "main\n", "Main");
    git(root, ["mv", "long", "longer"]);
    fs::write(root.join("binary"), "a\0c").unwrap();
    fs::write(root.join("file"), "one\n2\nthree\nfour\n").unwrap();
    fs::write(root.join("open"), "no newline either").unwrap();
    git(root, ["add", "binary"]);
    fs::write(root.join("untracked"), "x\n").unwrap();
    area
}

#[tokio::test]
async fn each_target_gives_what_git_diff_gives() {
    let area = area_with_changes();
    for (target, arguments) in [
        (DiffTarget::Unstaged, &[][..]),
        (DiffTarget::Staged, &["--staged"]),
        (DiffTarget::WorkingTree, &["HEAD"]),
        (against("HEAD~1"), &["HEAD~1"]),
        (between("HEAD~2", "topic", false), &["HEAD~2", "topic"]),
        (between("main", "topic", false), &["main", "topic"]),
        (between("main", "topic", true), &["main...topic"]),
    ] {
        let told = diff(&area, target).await;
        assert_eq!(told.patch, git_diff(&area, arguments), "{arguments:?}");
        assert!(!told.truncated);
        let numbers = git_diff(&area, &[&["--numstat"], arguments].concat());
        let count = |column: usize| -> u64 {
            let cells = numbers
                .lines()
                .map(|line| line.split('\t').nth(column).unwrap());
            cells.filter_map(|cell| cell.parse::<u64>().ok()).sum()
        };
        assert_eq!(
            (told.additions, told.deletions),
            (count(0), count(1)),
            "{numbers}"
        );
        assert_eq!(told.files.len(), numbers.lines().count());
    }
}

#[tokio::test]
async fn a_file_is_listed_with_what_happened_to_it() {
    let area = area_with_changes();
    let told = diff(&area, DiffTarget::Staged).await;
    let binary = &told.files[0];
    assert_eq!(
        (&*binary.path, binary.change),
        ("binary", ChangeKind::Modified)
    );
    assert!(binary.is_binary);
    let renamed = &told.files[1];
    assert_eq!(
        (&*renamed.path, renamed.old_path.as_deref()),
        ("longer", Some("long"))
    );
    assert_eq!(renamed.change, ChangeKind::Renamed);
    assert!(
        told.patch
            .contains("Binary files a/binary and b/binary differ")
    );
}

#[tokio::test]
async fn a_file_that_became_a_link_is_one_file_printed_as_git_prints_it() {
    let area = Area::with_repository();
    let file = area.root.join("file");
    commit_file(&area.root, "zfile", "one\ntwo\nthree\n", "The same content");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("zfile", &file).unwrap();
    let told = diff(&area, DiffTarget::Unstaged).await;
    assert_eq!(told.patch, git_diff(&area, &[]));
    assert_eq!(told.files.len(), 1);
    assert_eq!(told.files[0].change, ChangeKind::TypeChanged);
    assert_eq!((told.additions, told.deletions), (1, 3));
}

#[tokio::test]
async fn before_the_first_commit_everything_staged_is_added() {
    let area = Area::new();
    git(&area.root, ["init", "--quiet"]);
    fs::write(area.root.join("file"), "x\n").unwrap();
    git(&area.root, ["add", "."]);
    for target in [DiffTarget::Staged, DiffTarget::WorkingTree] {
        let told = diff(&area, target).await;
        assert_eq!(told.patch, git_diff(&area, &["--staged"]));
        assert_eq!(told.files[0].change, ChangeKind::Added);
    }
    let error = try_diff(&area, against("HEAD")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn paths_are_taken_literally_and_hold_for_all_below_them() {
    let area = Area::with_repository();
    let root = &area.root;
    fs::create_dir(root.join("dir")).unwrap();
    for name in ["dir/a", "dir/b", "directory", "*", "x"] {
        commit_file(root, name, "old\n", name);
        fs::write(root.join(name), "new\n").unwrap();
    }
    for (path, expected) in [
        ("dir", &["dir/a", "dir/b"][..]),
        ("dir/", &["dir/a", "dir/b"]),
        ("dir/b", &["dir/b"]),
        ("*", &["*"]),
        ("none", &[]),
        ("../outside", &[]),
        (":(glob)**", &[]),
    ] {
        let request = GitDiff {
            paths: vec![path.into()],
            ..GitDiff::default()
        };
        let told = service().diff(&area.call(), request).await.unwrap();
        let paths: Vec<_> = told.files.iter().map(|file| &*file.path).collect();
        assert_eq!(paths, expected, "{path}");
    }
}

#[tokio::test]
async fn a_patch_is_cut_at_a_lines_end_and_everything_is_counted_even_so() {
    let area = Area::with_repository();
    let root = &area.root;
    commit_file(root, "other", "x\n", "Other");
    fs::write(root.join("file"), "日本語\n".repeat(1000)).unwrap();
    fs::write(root.join("other"), "y\n").unwrap();
    let whole = diff(&area, DiffTarget::Unstaged).await;
    for max_bytes in [0, 1, 100, 301, 302, 303, whole.patch.len() - 1] {
        let request = GitDiff {
            max_bytes: (max_bytes as u64).try_into().unwrap(),
            ..GitDiff::default()
        };
        let cut = service().diff(&area.call(), request).await.unwrap();
        assert!(cut.truncated);
        assert!(cut.patch.len() <= max_bytes);
        assert!(whole.patch.starts_with(&cut.patch));
        assert!(cut.patch.is_empty() || cut.patch.ends_with('\n'));
        assert_eq!((cut.files, cut.additions), (whole.files.clone(), 1001));
    }
}

#[tokio::test]
async fn a_file_beyond_the_size_limit_is_binary() {
    let area = Area::with_repository();
    fs::write(area.root.join("file"), "line\n".repeat(1000)).unwrap();
    let small = service_with(GitConfig {
        max_file: ByteSize::bytes(1000),
        ..GitConfig::default()
    });
    let told = small.diff(&area.call(), GitDiff::default()).await.unwrap();
    assert!(told.files[0].is_binary, "{told:?}");
    assert_eq!(told.additions, 0);
    assert!(told.patch.contains("Binary files"), "{told:?}");
}

#[tokio::test]
async fn too_many_files_are_refused_with_what_to_do() {
    let area = Area::with_repository();
    for number in 0..5 {
        fs::write(area.root.join(number.to_string()), "x\n").unwrap();
    }
    git(&area.root, ["add", "."]);
    let small = service_with(GitConfig {
        max_files: 4,
        ..GitConfig::default()
    });
    let request = GitDiff {
        target: DiffTarget::Staged,
        ..GitDiff::default()
    };
    let error = small.diff(&area.call(), request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    assert!(error.message.contains("name some with `paths`"), "{error}");
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_replaced_in_the_patch_and_kept_in_names() {
    let area = Area::with_repository();
    let name = OsStr::from_bytes(b"na\xefve");
    fs::write(area.root.join(name), b"caf\xe9\n").unwrap();
    git(&area.root, ["add", "."]);
    let told = diff(&area, DiffTarget::Staged).await;
    assert!(told.patch.contains("+caf\u{fffd}\n"), "{}", told.patch);
    assert_eq!(told.files[0].path_bytes, Some(Base64(b"na\xefve".to_vec())));
}

#[tokio::test]
async fn commits_without_a_common_one_have_no_merge_base() {
    let area = Area::with_repository();
    git(&area.root, ["checkout", "--quiet", "--orphan", "island"]);
    git(&area.root, ["commit", "--quiet", "-m", "Island"]);
    let error = try_diff(&area, between("main", "island", true))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("no commit in common"), "{error}");
    assert!(
        try_diff(&area, between("main", "island", false))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_conflicted_file_is_listed_as_such() {
    let area = Area::with_repository();
    let root = &area.root;
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(root, "file", "theirs\n", "Theirs");
    git(root, ["checkout", "--quiet", "main"]);
    commit_file(root, "file", "ours\n", "Ours");
    assert!(!try_git(root, ["merge", "topic"]).status.success());
    let told = diff(&area, DiffTarget::Unstaged).await;
    assert_eq!(told.files.len(), 1);
    assert_eq!(told.files[0].change, ChangeKind::Conflicted);
}
