//! Branches and tags, made and checked out.

use std::fs;
use std::os::unix::fs::symlink;

use exomonad_core::GitService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::target::{IS_HOST, host_only};
use crate::write::{assert_sound, commit_all, new_branch, switch_to, writer};

#[tokio::test]
async fn a_branch_begins_at_the_given_revision_and_not_twice() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    commit_file(root, "file", "2\n", "Second");
    let service = writer();
    let made = service
        .create_branch(&call, new_branch("topic/a"))
        .await
        .unwrap();
    assert_eq!(made.commit, git(root, ["rev-parse", "topic/a"]));
    let older = GitCreateBranch {
        reference: Some("HEAD~1".try_into().unwrap()),
        ..new_branch("older")
    };
    service.create_branch(&call, older).await.unwrap();
    assert_eq!(
        git(root, ["rev-parse", "older"]),
        git(root, ["rev-parse", "main~1"])
    );
    git(root, ["pack-refs", "--all"]);
    for (name, code) in [
        ("older", ErrorCode::Conflict),
        ("topic", ErrorCode::Conflict),
        ("topic/a/b", ErrorCode::Conflict),
        ("-x", ErrorCode::InvalidInput),
        ("HEAD", ErrorCode::InvalidInput),
        ("a..b", ErrorCode::InvalidInput),
        ("a b", ErrorCode::InvalidInput),
        ("a\0b", ErrorCode::InvalidInput),
        ("../../x", ErrorCode::InvalidInput),
        ("x.lock", ErrorCode::InvalidInput),
    ] {
        let error = service
            .create_branch(&call, new_branch(name))
            .await
            .unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    let lost = GitCreateBranch {
        reference: Some("none".try_into().unwrap()),
        ..new_branch("lost")
    };
    let error = service.create_branch(&call, lost).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    // A folder that branches have left is no obstacle.
    git(root, ["branch", "-D", "topic/a"]);
    fs::create_dir_all(root.join(".git/refs/heads/topic/empty")).unwrap();
    service
        .create_branch(&call, new_branch("topic"))
        .await
        .unwrap();
    assert_sound(root);
}

#[tokio::test]
async fn a_branch_is_checked_out_unless_changes_would_be_lost() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(root, "file", "topic\n", "Topic");
    commit_file(root, "added", "topic\n", "Added");
    git(root, ["checkout", "--quiet", "main"]);
    let service = writer();

    fs::write(root.join("file"), "mine\n").unwrap();
    fs::write(root.join("added"), "mine\n").unwrap();
    let error = service
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("\"added\", \"file\""), "{error}");
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "mine\n");
    assert_eq!(git(root, ["branch", "--show-current"]), "main");

    git(root, ["checkout", "--quiet", "file"]);
    // Ignored is not worthless.
    fs::write(root.join(".git/info/exclude"), "added\n").unwrap();
    let error = service
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert_eq!(fs::read_to_string(root.join("added")).unwrap(), "mine\n");

    fs::remove_file(root.join("added")).unwrap();
    fs::write(root.join("untouched"), "kept\n").unwrap();
    let told = service
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap();
    assert_eq!(told.branch.as_deref(), Some("topic"));
    assert_eq!(
        git(root, ["status", "--short", "--branch"]),
        "## topic\n?? untouched"
    );
    assert_eq!(git(root, ["rev-parse", "--abbrev-ref", "@{-1}"]), "main");
    let error = service
        .switch_branch(&call, switch_to("none"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert_sound(root);
}

host_only! {
"all of a container is in reach",
#[tokio::test]
async fn no_link_leads_a_write_out_of_the_repository() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    fs::create_dir(root.join("dir")).unwrap();
    commit_file(root, "dir/new", "topic\n", "Topic");
    git(root, ["checkout", "--quiet", "main"]);
    let service = writer();
    symlink(&area.outside, root.join("dir")).unwrap();
    let error = service
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    fs::write(root.join(".git/info/exclude"), "dir\n").unwrap();
    let _ = service.switch_branch(&call, switch_to("topic")).await;
    assert_eq!(fs::read_dir(&area.outside).unwrap().count(), 0);
    fs::remove_file(root.join("dir")).unwrap();

    let ours = root.join(".git");
    for way in [
        "refs/heads/deep",
        "logs/refs/heads/deep",
        "logs/refs/heads/deep2",
    ] {
        let way = ours.join(way);
        fs::create_dir_all(way.parent().unwrap()).unwrap();
        symlink(&area.outside, &way).unwrap();
    }
    fs::write(area.outside.join("target"), "kept").unwrap();
    symlink(area.outside.join("target"), ours.join("refs/heads/file")).unwrap();
    for name in ["deep/x", "deep", "deep2", "file"] {
        let error = service
            .create_branch(&call, new_branch(name))
            .await
            .unwrap_err();
        let codes = [
            ErrorCode::Forbidden,
            ErrorCode::Conflict,
            ErrorCode::Unsupported,
        ];
        assert!(codes.contains(&error.code), "{name}: {error}");
    }
    assert_eq!(fs::read(area.outside.join("target")).unwrap(), b"kept");
    assert_eq!(fs::read_dir(&area.outside).unwrap().count(), 1);

    fs::remove_dir_all(ours.join("exomonad")).unwrap();
    symlink(&area.outside, ours.join("exomonad")).unwrap();
    let error = service
        .create_branch(&call, new_branch("x"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert_eq!(fs::read_dir(&area.outside).unwrap().count(), 1);
}
}

#[tokio::test]
async fn a_tag_is_a_name_or_with_a_message_an_object() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let tag = |name: &str, message: Option<&str>| GitCreateTag {
        working_dir: Default::default(),
        container: None,
        tag: name.try_into().unwrap(),
        reference: None,
        message: message.map(|message| message.try_into().unwrap()),
    };
    let service = writer();
    let made = service.create_tag(&call, tag("light", None)).await.unwrap();
    assert_eq!(made.id, git(root, ["rev-parse", "HEAD"]));
    let made = service
        .create_tag(&call, tag("v1", Some("Version 1")))
        .await
        .unwrap();
    assert_eq!(git(root, ["rev-parse", "v1"]), made.id);
    assert_eq!(git(root, ["rev-parse", "v1^{commit}"]), made.commit);
    let told = git(
        root,
        [
            "tag",
            "-l",
            "--format=%(contents:subject) %(taggername)",
            "v1",
        ],
    );
    assert_eq!(told, "Version 1 Eve");
    for name in ["v1", "light"] {
        let error = service
            .create_tag(&call, tag(name, None))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
    }
    let error = service
        .create_tag(&call, tag("a b", None))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert_sound(root);
}

#[tokio::test]
async fn a_bare_or_damaged_or_oddly_named_repository_has_its_own_error_and_is_left_alone() {
    use std::os::unix::ffi::OsStrExt;
    let area = Area::new();
    let call = area.call();
    let (bare, odd) = (area.root.join("bare.git"), area.root.join("odd"));
    init_with_commit(&odd);
    git(
        &area.root,
        ["clone", "--quiet", "--bare", "odd", "bare.git"],
    );
    let commit_in = |folder| GitCreateCommit {
        working_dir: working_dir(folder),
        ..commit_all("x")
    };
    let error = writer().commit(&call, commit_in(&bare)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(error.message.contains("bare"), "{error}");

    let name = std::ffi::OsStr::from_bytes(b"na\xefve");
    git(
        &odd,
        ["checkout".as_ref(), "--quiet".as_ref(), "-b".as_ref(), name],
    );
    fs::write(odd.join("file"), "changed\n").unwrap();
    match writer().commit(&call, commit_in(&odd)).await {
        Err(error) if IS_HOST => {
            assert_eq!(error.code, ErrorCode::Unsupported);
            assert!(error.message.contains("UTF-8"), "{error}");
        }
        // libgit2 takes names as text, git itself as bytes.
        made => assert!(!IS_HOST && made.is_ok()),
    }
    git(&odd, ["checkout", "--quiet", "--force", "main"]);
    fs::write(odd.join("file"), "changed\n").unwrap();

    fs::write(odd.join(".git/index"), "DIRC, but no index").unwrap();
    let error = writer().commit(&call, commit_in(&odd)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert_eq!(
        fs::read(odd.join(".git/index")).unwrap(),
        b"DIRC, but no index"
    );
    assert!(!odd.join(".git/index.lock").exists());
    assert_eq!(fs::read(odd.join("file")).unwrap(), b"changed\n");

    fs::remove_file(odd.join(".git/index")).unwrap();
    fs::write(odd.join(".git/refs/heads/main"), "no id\n").unwrap();
    let error = writer().commit(&call, commit_in(&odd)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert_eq!(
        fs::read(odd.join(".git/refs/heads/main")).unwrap(),
        b"no id\n"
    );
}
