//! Bounds of a role, and the errors beyond them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use exomonad_core::{CallContext, GitService};
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;
use crate::target::host_only;
use crate::write::{switch_to, writer};

async fn refusal(call: &CallContext, folder: impl AsRef<Path>) -> EffectError {
    let request = GitGetBranch {
        working_dir: working_dir(folder),
        container: None,
    };
    service().get_branch(call, request).await.unwrap_err()
}

#[tokio::test]
async fn a_folder_outside_is_refused_however_it_is_spelled() {
    let area = Area::with_repository();
    init_with_commit(&area.outside);
    fs::create_dir(area.root.join("sub")).unwrap();
    symlink(&area.outside, area.root.join("link")).unwrap();
    symlink("sub/../../outside", area.root.join("winding")).unwrap();
    let call = area.call();
    for folder in [
        "..",
        "../outside",
        "sub/../../outside",
        "link",
        "link/.git",
        "winding",
        "/",
        "/etc",
        area.outside.to_str().unwrap(),
    ] {
        let error = refusal(&call, folder).await;
        assert_eq!(error.code, ErrorCode::Forbidden, "{folder}: {error}");
        assert!(error.message.contains(folder), "{error}");
        assert!(error.message.contains("`role.tl.paths`"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_does_not_tell_what_is_there() {
    let area = Area::with_repository();
    symlink(&area.outside, area.root.join("link")).unwrap();
    let call = area.call();
    let there = refusal(&call, "link").await;
    let not_there = refusal(&call, "link/none").await;
    assert_eq!(there.code, not_there.code);
    assert_eq!(
        there.message.replace("link", "link/none"),
        not_there.message
    );
    assert!(!there.message.contains("outside/"), "{there}");
    // Neither does it follow the link for the message.
    assert!(
        !there.message.contains(area.outside.to_str().unwrap()),
        "{there}"
    );
}

#[tokio::test]
async fn a_folder_inside_that_is_missing_or_a_file_is_not_found() {
    let area = Area::with_repository();
    for (folder, part) in [
        ("none", "no such folder"),
        ("none/../none", "no such folder"),
        ("file", "a file"),
    ] {
        let error = refusal(&area.call(), folder).await;
        assert_eq!(error.code, ErrorCode::NotFound, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    let error = refusal(&area.call(), "a\0b").await;
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
}

#[tokio::test]
async fn a_repository_above_the_allowed_folder_is_not_found() {
    let area = Area::with_repository();
    let sub = area.root.join("sub");
    fs::create_dir(&sub).unwrap();
    let error = refusal(&call_within(&[&sub]), ".").await;
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(
        error.message.contains("no git repository here or above"),
        "{error}"
    );
}

#[tokio::test]
async fn without_allowed_folders_everything_is_refused() {
    let area = Area::with_repository();
    for folder in [".", area.root.to_str().unwrap()] {
        let error = refusal(&call_within(&[]), folder).await;
        assert_eq!(error.code, ErrorCode::Forbidden);
    }
}

#[tokio::test]
async fn an_allowed_folder_may_be_a_link_or_the_second_of_two() {
    let area = Area::with_repository();
    let link = area.outside.join("link");
    symlink(&area.root, &link).unwrap();
    let request = || GitGetBranch {
        working_dir: working_dir(&area.root),
        container: None,
    };
    for call in [
        call_within(&[&link]),
        call_within(&[&area.outside, &area.root]),
    ] {
        let told = service().get_branch(&call, request()).await.unwrap();
        assert_eq!(told.branch.unwrap(), "main");
    }
}

#[tokio::test]
async fn an_allowed_folder_that_is_gone_is_said_to_be() {
    let area = Area::new();
    let error = refusal(&call_within(&[&area.root.join("gone")]), ".").await;
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(
        error.message.contains("first allowed path is not there"),
        "{error}"
    );
}

#[tokio::test]
async fn a_link_in_the_working_tree_is_shown_as_its_text_never_as_what_it_leads_to() {
    let area = Area::with_repository();
    let root = &area.root;
    fs::write(area.outside.join("secret"), "hunter2\n").unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    commit_file(root, "folder/secret", "harmless\n", "Folder");
    commit_file(root, "plain", "harmless\n", "Plain");

    // A tracked file becomes a link to a file outside, a tracked folder one to a folder.
    fs::remove_file(root.join("plain")).unwrap();
    symlink(area.outside.join("secret"), root.join("plain")).unwrap();
    fs::remove_dir_all(root.join("folder")).unwrap();
    symlink(&area.outside, root.join("folder")).unwrap();
    let call = area.call();
    for target in [DiffTarget::Unstaged, DiffTarget::WorkingTree] {
        let request = GitDiff {
            target,
            ..GitDiff::default()
        };
        let diff = service().diff(&call, request).await.unwrap();
        assert!(!diff.patch.contains("hunter2"), "{}", diff.patch);
        assert!(
            diff.patch
                .contains(area.outside.join("secret").to_str().unwrap()),
            "{}",
            diff.patch
        );
        assert!(
            diff.files
                .iter()
                .any(|file| file.path == "folder/secret" && file.change == ChangeKind::Deleted)
        );
    }
    let status = service().status(&call, GitStatus::default()).await.unwrap();
    assert!(!format!("{status:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_keeps_nobody_waiting() {
    let area = Area::with_repository();
    fs::remove_file(area.root.join("file")).unwrap();
    for name in ["file", "untracked"] {
        let pipe = area.root.join(name);
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
    }
    let (git, call) = (service(), area.call());
    let effects = async {
        git.status(&call, GitStatus::default()).await.unwrap();
        git.diff(&call, GitDiff::default()).await.unwrap();
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, effects).await.unwrap();
}

host_only! {
"git in the container reads such patterns",
#[tokio::test]
async fn ignore_patterns_on_which_libgit2_never_ends_are_refused() {
    let patterns = ["\u{b}keep/**\n", "!\u{c}x\n", "a\n  \u{b}\n", "*.o\u{c}\n"];
    let places: [fn(&Area) -> PathBuf; 4] = [
        |area| area.root.join(".gitignore"),
        |area| area.root.join("folder/.gitignore"),
        |area| area.root.join(".git/info/exclude"),
        |area| {
            let list = area.root.join("list");
            let key = ["config", "core.excludesFile"];
            git(&area.root, [key[0], key[1], list.to_str().unwrap()]);
            list
        },
    ];
    for (patterns, place) in patterns.iter().flat_map(|patterns| places.map(|place| (patterns, place))) {
        let area = Area::with_repository();
        fs::create_dir(area.root.join("folder")).unwrap();
        fs::write(area.root.join("folder/new"), "").unwrap();
        let path = place(&area);
        fs::write(&path, patterns).unwrap();
        let (git, call) = (writer(), area.call());
        let stage = GitStage {
            paths: vec!["folder/new".into()],
            ..GitStage::default()
        };
        let errors = [
            git.status(&call, GitStatus::default()).await.unwrap_err(),
            git.diff(&call, GitDiff::default()).await.unwrap_err(),
            git.stage(&call, stage).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, ErrorCode::Unsupported, "{path:?}: {error}");
            assert!(error.message.contains("form feed"), "{error}");
        }
        git.get_branch(&call, GitGetBranch::default()).await.unwrap();
    }

    // One that a checkout would write.
    let area = Area::with_repository();
    git(&area.root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(&area.root, ".gitignore", "\u{c}\n", "Topic");
    git(&area.root, ["checkout", "--quiet", "main"]);
    let error = writer().switch_branch(&area.call(), switch_to("topic")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(!area.root.join(".gitignore").exists());
}
}

host_only! {
"an index is git's to read in the container",
#[tokio::test]
async fn paths_of_an_index_that_are_none_panic_nowhere() {
    let area = Area::with_repository();
    fs::write(area.root.join("gone"), "").unwrap();
    git(&area.root, ["add", "gone"]);
    fs::remove_file(area.root.join("gone")).unwrap();
    let index = area.root.join(".git/index");
    let sound = fs::read(&index).unwrap();
    let at = sound.windows(4).position(|name| name == b"gone").unwrap();
    for name in [*b"\0\0\0\0", *b"/one", *b"./ne", *b"../e"] {
        let mut damaged = sound.clone();
        damaged[at..at + 4].copy_from_slice(&name);
        let sum = damaged.len() - 20;
        damaged[sum..].fill(0);
        fs::write(&index, &damaged).unwrap();
        let (git, call) = (service(), area.call());
        for error in [
            git.status(&call, GitStatus::default()).await.unwrap_err(),
            git.diff(&call, GitDiff::default()).await.unwrap_err(),
        ] {
            assert_eq!(error.code, ErrorCode::Unsupported, "{name:?}: {error}");
            assert!(error.message.contains("is damaged"), "{error}");
        }
    }
}
}
