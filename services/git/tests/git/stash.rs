//! The stash.

use std::fs;

use exomonad_core::GitService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::write::{assert_sound, writer};

fn named(message: &str) -> GitStash {
    GitStash {
        message: message.try_into().unwrap(),
        ..GitStash::default()
    }
}

#[tokio::test]
async fn what_is_stashed_git_can_pop_and_the_other_way_round() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let service = writer();
    let change = |staged: &str, later: &str| {
        fs::write(root.join("file"), staged).unwrap();
        git(root, ["add", "file"]);
        fs::write(root.join("file"), later).unwrap();
        fs::write(root.join("added"), "added\n").unwrap();
        git(root, ["add", "added"]);
        fs::write(root.join("untracked"), "untracked\n").unwrap();
    };
    change("staged\n", "later\n");
    let everything = GitStash {
        include_untracked: true,
        ..named("mine")
    };
    let made = service.stash(&call, everything).await.unwrap();
    assert_eq!(made.commit.unwrap(), git(root, ["rev-parse", "stash@{0}"]));
    assert_eq!(git(root, ["status", "--short"]), "");
    assert!(!root.join("added").exists() && !root.join("untracked").exists());
    assert_eq!(git(root, ["stash", "list"]), "stash@{0}: On main: mine");
    git(root, ["stash", "pop", "--index", "--quiet"]);
    assert_eq!(
        git(root, ["status", "--short"]),
        "A  added\nMM file\n?? untracked"
    );
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "later\n");
    assert_eq!(git(root, ["show", ":file"]), "staged");

    git(root, ["stash", "--quiet", "--include-untracked"]);
    // With literal pathspecs, as these tests have them, git's own cleaning finds nothing.
    fs::remove_file(root.join("untracked")).unwrap();
    let listed = service
        .list_stashes(&call, GitListStashes::default())
        .await
        .unwrap();
    assert_eq!(listed.stashes.len(), 1);
    assert!(
        listed.stashes[0].message.starts_with("WIP on main: "),
        "{listed:?}"
    );
    let popped = service
        .pop_stash(&call, GitPopStash::default())
        .await
        .unwrap();
    assert_eq!(popped.conflicts, [] as [String; 0]);
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "later\n");
    assert_eq!(
        fs::read_to_string(root.join("untracked")).unwrap(),
        "untracked\n"
    );
    assert_eq!(git(root, ["stash", "list"]), "");
    assert_sound(root);
}

#[tokio::test]
async fn stashes_come_off_the_list_in_any_order() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let service = writer();
    for name in ["a", "b", "c"] {
        commit_file(root, name, "before\n", name);
        fs::write(root.join(name), "stashed\n").unwrap();
        service.stash(&call, named(name)).await.unwrap();
    }
    let pop = |index: u64| GitPopStash {
        index: index.try_into().unwrap(),
        ..GitPopStash::default()
    };
    for (index, name, left) in [
        (1, "b", "stash@{0}: On main: c\nstash@{1}: On main: a"),
        (0, "c", "stash@{0}: On main: a"),
        (0, "a", ""),
    ] {
        let popped = service.pop_stash(&call, pop(index)).await.unwrap();
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "stashed\n");
        assert_eq!(git(root, ["stash", "list"]), left);
        git(root, ["cat-file", "-e", &popped.commit]);
    }
    let error = service.pop_stash(&call, pop(0)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(
        try_git(root, ["rev-parse", "--verify", "refs/stash"])
            .stdout
            .is_empty()
    );
    assert_sound(root);
}

#[tokio::test]
async fn a_stash_that_meets_changes_stays_on_the_list() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let service = writer();
    fs::write(root.join("file"), "stashed\n").unwrap();
    service.stash(&call, named("mine")).await.unwrap();

    fs::write(root.join("file"), "not committed\n").unwrap();
    let error = service
        .pop_stash(&call, GitPopStash::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert_eq!(
        fs::read_to_string(root.join("file")).unwrap(),
        "not committed\n"
    );

    commit_file(root, "file", "committed\n", "Second");
    let popped = service
        .pop_stash(&call, GitPopStash::default())
        .await
        .unwrap();
    assert_eq!(popped.conflicts, ["file"]);
    let merged = fs::read_to_string(root.join("file")).unwrap();
    assert!(
        merged.contains("stashed") && merged.contains("committed"),
        "{merged}"
    );
    assert_eq!(git(root, ["stash", "list"]), "stash@{0}: On main: mine");
    assert_eq!(git(root, ["status", "--short"]), "UU file");
}

#[tokio::test]
async fn nothing_to_put_aside_makes_no_stash() {
    let area = Area::with_repository();
    let call = area.call();
    fs::write(area.root.join("untracked"), "x").unwrap();
    let made = writer().stash(&call, GitStash::default()).await.unwrap();
    assert_eq!(made.commit, None);
    let listed = writer()
        .list_stashes(&call, GitListStashes::default())
        .await
        .unwrap();
    assert_eq!(listed.stashes, []);
    assert!(!area.root.join(".git/logs/refs/stash").exists());

    let empty = Area::new();
    git(&empty.root, ["init", "--quiet"]);
    let error = writer()
        .stash(&empty.call(), GitStash::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}
