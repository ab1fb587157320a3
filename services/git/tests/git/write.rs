//! Effects that change a repository, against what `git` says afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use exomonad_core::{CallContext, GitService};
use exomonad_git::GitConfig;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::porcelain;
use crate::target::IS_HOST;

/// A service that commits as Eve.
pub fn writer() -> Service {
    service_with(writer_config())
}

pub fn writer_config() -> GitConfig {
    GitConfig {
        author_name: Some("Eve".into()),
        author_email: Some("eve@example.com".into()),
        ..GitConfig::default()
    }
}

pub fn commit_all(message: &str) -> GitCreateCommit {
    GitCreateCommit {
        working_dir: Default::default(),
        container: None,
        message: message.try_into().unwrap(),
        paths: Vec::new(),
        all: true,
        allow_empty: false,
    }
}

pub fn new_branch(name: &str) -> GitCreateBranch {
    GitCreateBranch {
        working_dir: Default::default(),
        container: None,
        branch: name.try_into().unwrap(),
        reference: None,
    }
}

pub fn switch_to(name: &str) -> GitSwitchBranch {
    GitSwitchBranch {
        working_dir: Default::default(),
        container: None,
        branch: name.try_into().unwrap(),
    }
}

fn stage(paths: &[&str]) -> GitStage {
    GitStage {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..GitStage::default()
    }
}

async fn stage_code(call: &CallContext, paths: &[&str]) -> ErrorCode {
    writer().stage(call, stage(paths)).await.unwrap_err().code
}

/// The invariants after every write.
pub fn assert_sound(folder: &Path) {
    git(folder, ["fsck", "--strict", "--no-dangling"]);
    let common = git(
        folder,
        ["rev-parse", "--path-format=absolute", "--git-common-dir"],
    );
    let mut folders = vec![Path::new(&common).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(!name.ends_with(".lock"), "{path:?} was left");
            assert!(!name.starts_with("session-"), "{path:?} was left");
            if path.is_dir() && name != "objects" {
                folders.push(path);
            }
        }
    }
}

#[tokio::test]
async fn a_commit_of_everything_is_what_git_would_have_committed() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    fs::write(root.join("file"), "one\n2\n").unwrap();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/new"), "new\n").unwrap();
    fs::write(root.join("*"), "no pattern\n").unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    fs::write(root.join(".gitignore"), "ignored\n").unwrap();
    fs::write(root.join("ignored"), "x").unwrap();
    let made = writer()
        .commit(&call, commit_all("Second\n\nWhy  \n\n\n"))
        .await
        .unwrap();

    assert_eq!(made.id, git(root, ["rev-parse", "main"]));
    assert_eq!(
        (made.summary.as_str(), made.body.as_str()),
        ("Second", "Why")
    );
    assert_eq!(
        git(root, ["log", "-1", "--format=%an <%ae> %cn|%B"]),
        "Eve <eve@example.com> Eve|Second\n\nWhy\n"
    );
    assert_eq!(
        git(root, ["ls-files"]),
        "*\n.gitignore\na/b/new\nfile\nlink"
    );
    assert_eq!(git(root, ["cat-file", "-p", "HEAD:link"]), "/etc/passwd");
    assert_eq!(porcelain::status(root), porcelain::Lists::default());
    assert_eq!(
        git(root, ["log", "-1", "-g", "--format=%gs", "main"]),
        "commit: Second"
    );
    assert_eq!(
        git(root, ["log", "-1", "-g", "--format=%gs", "HEAD"]),
        "commit: Second"
    );
    assert_sound(root);
}

#[tokio::test]
async fn the_first_commit_begins_the_branch() {
    let area = Area::new();
    git(&area.root, ["init", "--quiet", "--initial-branch=trunk"]);
    fs::write(area.root.join("file"), "x\n").unwrap();
    let made = writer()
        .commit(&area.call(), commit_all("First"))
        .await
        .unwrap();
    assert_eq!(made.parents, [] as [String; 0]);
    assert_eq!(git(&area.root, ["rev-parse", "trunk"]), made.id);
    assert_sound(&area.root);
}

#[tokio::test]
async fn only_named_paths_are_staged_and_gone_ones_as_deleted() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    for name in ["dir/a", "dir/b", "directory", "other"] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "x\n").unwrap();
    }
    fs::remove_file(root.join("file")).unwrap();
    let staged = writer()
        .stage(&call, stage(&["./dir/", "file"]))
        .await
        .unwrap()
        .staged;
    let expected = porcelain::status(root).staged;
    assert_eq!(staged, expected);
    let paths: Vec<_> = staged.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["dir/a", "dir/b", "file"]);
    let request = GitCreateCommit {
        all: false,
        paths: vec!["other".into()],
        ..commit_all("Some")
    };
    writer().commit(&call, request).await.unwrap();
    assert_eq!(git(root, ["status", "--short"]), "?? directory");
    assert_sound(root);
}

#[tokio::test]
async fn what_cannot_be_staged_is_refused_and_nothing_is() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    fs::write(area.outside.join("secret"), "hunter2\n").unwrap();
    symlink(&area.outside, root.join("out")).unwrap();
    fs::write(root.join(".gitignore"), "ignored\n").unwrap();
    fs::write(root.join("ignored"), "x").unwrap();
    fs::write(root.join("good"), "x").unwrap();
    init_with_commit(&root.join("nested"));
    for (path, code) in [
        ("", ErrorCode::InvalidInput),
        ("a\0b", ErrorCode::InvalidInput),
        ("../outside/secret", ErrorCode::InvalidInput),
        ("/etc/passwd", ErrorCode::InvalidInput),
        (".git/config", ErrorCode::InvalidInput),
        ("x/.GIT/config", ErrorCode::InvalidInput),
        ("ignored", ErrorCode::InvalidInput),
        ("out/secret", ErrorCode::Forbidden),
        ("none", ErrorCode::NotFound),
        ("nested", ErrorCode::Unsupported),
    ] {
        assert_eq!(stage_code(&call, &["good", path]).await, code, "{path:?}");
    }
    assert_eq!(stage_code(&call, &[]).await, ErrorCode::InvalidInput);
    assert_eq!(porcelain::status(root).staged, []);

    fs::remove_dir_all(root.join("nested")).unwrap();
    fs::write(root.join(".gitattributes"), "*.bin filter=lfs\n").unwrap();
    fs::write(root.join("large.bin"), "x").unwrap();
    let error = writer()
        .stage(&call, stage(&["large.bin"]))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(error.message.contains("filter"), "{error}");
    assert_sound(root);
}

#[tokio::test]
async fn files_left_out_on_purpose_are_not_committed_as_deleted() {
    let area = Area::with_repository();
    commit_file(&area.root, "left", "x\n", "Second");
    git(&area.root, ["update-index", "--skip-worktree", "left"]);
    fs::remove_file(area.root.join("left")).unwrap();
    fs::write(area.root.join("file"), "changed\n").unwrap();
    writer()
        .commit(&area.call(), commit_all("Third"))
        .await
        .unwrap();
    assert_eq!(
        git(&area.root, ["ls-tree", "--name-only", "HEAD"]),
        "file\nleft"
    );
    let flags = git(&area.root, ["ls-files", "-t"]);
    assert_eq!(flags, "H file\nS left");
    writer()
        .create_branch(&area.call(), new_branch("topic"))
        .await
        .unwrap();
    let switched = writer()
        .switch_branch(&area.call(), switch_to("topic"))
        .await;
    // libgit2 would take what is left out for deleted, git itself does not.
    match switched {
        Err(error) if IS_HOST => assert_eq!(error.code, ErrorCode::Unsupported),
        switched => assert!(!IS_HOST && switched.is_ok()),
    }
    assert!(!area.root.join("left").exists());
}

#[tokio::test]
async fn the_mode_of_a_file_counts_only_where_git_has_it_count() {
    use std::os::unix::fs::PermissionsExt;
    let area = Area::with_repository();
    let make = |name: &str| {
        let path = area.root.join(name);
        fs::write(&path, "x\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    make("program");
    writer()
        .commit(&area.call(), commit_all("Program"))
        .await
        .unwrap();
    git(&area.root, ["config", "core.fileMode", "false"]);
    make("file");
    make("new");
    writer()
        .commit(&area.call(), commit_all("No modes"))
        .await
        .unwrap();
    let modes = git(
        &area.root,
        ["ls-tree", "--format=%(objectmode) %(path)", "HEAD"],
    );
    assert_eq!(modes, "100644 file\n100644 new\n100755 program");
    assert_eq!(git(&area.root, ["status", "--short"]), "");
}

#[tokio::test]
async fn a_commit_without_a_change_or_a_message_or_an_author_is_refused() {
    let area = Area::with_repository();
    let call = area.call();
    let empty = GitCreateCommit {
        all: false,
        ..commit_all("Nothing")
    };
    let error = writer().commit(&call, empty.clone()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("`allowEmpty`"), "{error}");
    let error = writer().commit(&call, commit_all(" \n")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    let error = writer()
        .commit(&call, commit_all("a\0b"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    let allowed = GitCreateCommit {
        allow_empty: true,
        ..empty
    };
    let home = area.root.join("home");
    let nobody = service_with(GitConfig {
        home: Some(home.clone()),
        ..GitConfig::default()
    });
    let error = nobody.commit(&call, allowed.clone()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotConfigured);
    assert!(error.message.contains("`git.author_name`"), "{error}");
    fs::create_dir(&home).unwrap();
    fs::write(
        home.join(".gitconfig"),
        "[user]\nname = Home\nemail = home@example.com\n",
    )
    .unwrap();
    let made = nobody.commit(&call, allowed.clone()).await.unwrap();
    assert_eq!(made.author.name, "Home");
    git(&area.root, ["config", "user.name", "Local"]);
    git(&area.root, ["config", "user.email", "local@example.com"]);
    let made = nobody.commit(&call, allowed.clone()).await.unwrap();
    assert_eq!(made.author.email, "local@example.com");
    let made = writer().commit(&call, allowed).await.unwrap();
    assert_eq!(made.author.name, "Eve");
}

#[tokio::test]
async fn a_merge_is_committed_with_both_parents_once_it_is_decided() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(root, "file", "topic\n", "Topic");
    git(root, ["checkout", "--quiet", "main"]);
    commit_file(root, "file", "main\n", "Main");
    try_git(root, ["merge", "topic"]);
    let error = writer()
        .commit(&call, commit_all("Merge"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("\"file\""), "{error}");
    let error = writer()
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);

    fs::write(root.join("file"), "both\n").unwrap();
    writer().stage(&call, stage(&["file"])).await.unwrap();
    let made = writer().commit(&call, commit_all("Merge")).await.unwrap();
    assert_eq!(made.parents.len(), 2);
    assert_eq!(made.parents[1], git(root, ["rev-parse", "topic"]));
    assert!(!root.join(".git/MERGE_HEAD").exists());
    assert_eq!(git(root, ["status", "--short"]), "");
    assert_sound(root);
}

#[tokio::test]
async fn a_detached_head_moves_on_by_itself() {
    let area = Area::with_repository();
    git(&area.root, ["checkout", "--quiet", "--detach"]);
    fs::write(area.root.join("file"), "x\n").unwrap();
    let made = writer()
        .commit(&area.call(), commit_all("Loose"))
        .await
        .unwrap();
    assert_eq!(git(&area.root, ["rev-parse", "HEAD"]), made.id);
    assert_eq!(git(&area.root, ["rev-parse", "main"]), made.parents[0]);
    assert_eq!(git(&area.root, ["branch", "--show-current"]), "");
}

#[tokio::test]
async fn no_hook_or_filter_or_program_of_the_repository_runs() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let ran = area.outside.join("ran");
    let script = format!("#!/bin/sh\ntouch {}\ncat\n", ran.display());
    let program = root.join(".git/program");
    fs::write(&program, script).unwrap();
    git(root, ["config", "core.fsmonitor", ".git/program"]);
    git(root, ["config", "gpg.program", ".git/program"]);
    git(root, ["config", "filter.x.clean", ".git/program"]);
    git(root, ["config", "filter.x.smudge", ".git/program"]);
    for hook in [
        "pre-commit",
        "post-commit",
        "post-checkout",
        "reference-transaction",
        "commit-msg",
        "post-index-change",
    ] {
        let hook = root.join(".git/hooks").join(hook);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::copy(&program, &hook).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let service = writer();
    fs::write(root.join("new"), "x\n").unwrap();
    service.commit(&call, commit_all("Second")).await.unwrap();
    service
        .create_branch(&call, new_branch("topic"))
        .await
        .unwrap();
    service
        .switch_branch(&call, switch_to("topic"))
        .await
        .unwrap();
    fs::write(root.join("new"), "y\n").unwrap();
    service.stash(&call, GitStash::default()).await.unwrap();
    service
        .pop_stash(&call, GitPopStash::default())
        .await
        .unwrap();
    assert!(!ran.exists());
}
