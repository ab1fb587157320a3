//! Files that git converts, and settings of a repository that decide whether the host can do as git does.

use std::fs;
use std::path::Path;

use exomonad_core::GitService;
use exomonad_git::GitConfig;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};
use exomonad_test_support::{SshAgent, make_key};

use crate::area::*;
use crate::porcelain;
use crate::write::{assert_sound, commit_all, switch_to, writer, writer_config};

const UTF_16: &[u8] = b"\xff\xfeh\0i\0\n\0";

fn worktree(path: &str) -> GitAddWorktree {
    GitAddWorktree {
        working_dir: Default::default(),
        container: None,
        path: path.try_into().unwrap(),
        branch: "new".try_into().unwrap(),
        create_branch: true,
        reference: None,
    }
}

fn assert_unsupported<T: std::fmt::Debug>(result: Result<T, EffectError>, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(error.message.contains(words), "{error}");
    assert!(!error.message.contains("git says"), "{error}");
}

/// With `a.rc`, which is UTF-16 in the working tree and UTF-8 in git.
fn area_with_encoding() -> Area {
    let area = Area::with_repository();
    let root = &area.root;
    let attributes = "*.rc text working-tree-encoding=UTF-16LE-BOM\n";
    commit_file(root, ".gitattributes", attributes, "Attributes");
    fs::write(root.join("a.rc"), UTF_16).unwrap();
    git(root, ["add", "a.rc"]);
    git(root, ["commit", "--quiet", "-m", "Text"]);
    area
}

/// Gives a file a new time, so that its content has to be looked at.
fn touch(path: &Path) {
    let content = fs::read(path).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(path, content).unwrap();
}

#[tokio::test]
async fn text_in_another_encoding_is_never_taken_for_changed_nor_stored_nor_written_as_it_is() {
    let area = area_with_encoding();
    let (root, call, git_) = (&area.root, area.call(), writer());
    let encoding = "working-tree-encoding";
    touch(&root.join("a.rc"));
    assert_unsupported(git_.status(&call, GitStatus::default()).await, encoding);
    assert_unsupported(
        git_.get_dirty_files(&call, GetDirty::default()).await,
        encoding,
    );
    assert_unsupported(git_.diff(&call, GitDiff::default()).await, encoding);

    fs::write(root.join("b.rc"), UTF_16).unwrap();
    let stage = GitStage {
        paths: vec!["b.rc".into()],
        ..GitStage::default()
    };
    assert_unsupported(git_.stage(&call, stage).await, encoding);
    assert_unsupported(git_.commit(&call, commit_all("All")).await, encoding);
    fs::remove_file(root.join("b.rc")).unwrap();
    assert_eq!(git(root, ["status", "--short"]), "");

    assert_unsupported(
        git_.add_worktree(&call, worktree("../root/tree")).await,
        encoding,
    );
    assert!(!root.join("tree").exists());
    assert_eq!(git(root, ["worktree", "list"]).lines().count(), 1);
    git(root, ["branch", "old", "HEAD~1"]);
    git(root, ["update-index", "--refresh"]);
    assert_unsupported(git_.switch_branch(&call, switch_to("old")).await, encoding);
    assert_eq!(fs::read(root.join("a.rc")).unwrap(), UTF_16);

    // Other files are no concern of it.
    fs::write(root.join("file"), "changed\n").unwrap();
    let stage = GitStage {
        paths: vec!["file".into()],
        ..GitStage::default()
    };
    git_.stage(&call, stage).await.unwrap();
}

type GetDirty = GitGetDirtyFiles;

/// A program that does as Git LFS's `clean`, for git's own view; the host never runs it.
fn install_lfs(area: &Area) {
    let program = area.outside.join("clean");
    let script = "#!/bin/sh\nf=$(mktemp); cat > $f\n\
                  if head -c 10 $f | grep -q '^version '; then cat $f; exit; fi\n\
                  printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' \
                  \"$(sha256sum < $f | cut -d' ' -f1)\" \"$(wc -c < $f)\"\n";
    fs::write(&program, script).unwrap();
    let clean = format!("sh {}", program.display());
    git(&area.root, ["config", "filter.lfs.clean", &clean]);
    git(&area.root, ["config", "filter.lfs.smudge", "cat"]);
}

#[tokio::test]
async fn a_file_of_git_lfs_is_compared_by_its_pointer_as_git_does() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    install_lfs(&area);
    commit_file(
        root,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs -text\n",
        "Attributes",
    );
    commit_file(root, "large.bin", "large\n", "Large");
    assert!(git(root, ["cat-file", "-p", "HEAD:large.bin"]).starts_with("version "));
    commit_file(root, "other.bin", "other\n", "Other");
    touch(&root.join("large.bin"));
    let git_ = service();
    let status = git_.status(&call, GitStatus::default()).await.unwrap();
    assert!(status.is_clean, "{status:?}");
    let diff = git_.diff(&call, GitDiff::default()).await.unwrap();
    assert_eq!((diff.patch.as_str(), diff.files.len()), ("", 0));

    fs::write(root.join("large.bin"), "larger\n").unwrap();
    let status = git_.status(&call, GitStatus::default()).await.unwrap();
    assert_eq!(porcelain::Lists::from(status), porcelain::status(root));
    let diff = git_.diff(&call, GitDiff::default()).await.unwrap();
    let expected = git(root, ["diff"]);
    let changes = |patch: &str| -> Vec<String> {
        let is_change = |line: &&str| line.starts_with(['+', '-']);
        patch.lines().filter(is_change).map(str::to_owned).collect()
    };
    assert_eq!(changes(&diff.patch), changes(&expected), "{}", diff.patch);
    assert_eq!(diff.files.len(), 1);
}

fn tag(message: &str) -> GitCreateTag {
    GitCreateTag {
        working_dir: Default::default(),
        container: None,
        tag: "v1".try_into().unwrap(),
        reference: None,
        message: Some(message.try_into().unwrap()),
    }
}

/// A repository that wants everything signed, with a change.
fn area_with_signatures() -> Area {
    let area = Area::with_repository();
    git(&area.root, ["config", "commit.gpgSign", "true"]);
    git(&area.root, ["config", "tag.gpgSign", "true"]);
    fs::write(area.root.join("file"), "changed\n").unwrap();
    area
}

#[tokio::test]
async fn a_repository_that_wants_signatures_gets_no_unsigned_commit_or_tag() {
    let area = area_with_signatures();
    let (root, call, git_) = (&area.root, area.call(), writer());
    let before = git(root, ["rev-parse", "HEAD"]);
    for words in ["`commit.gpgSign`", "`git.signing_key`"] {
        assert_unsupported(git_.commit(&call, commit_all("Mine")).await, words);
    }
    for words in ["`tag.gpgSign`", "`git.signing_key`"] {
        assert_unsupported(git_.create_tag(&call, tag("One")).await, words);
    }
    assert_eq!(git(root, ["rev-parse", "HEAD"]), before);
    assert_eq!(git(root, ["tag"]), "");
    assert_eq!(git(root, ["status", "--short"]), " M file");
}

#[tokio::test]
async fn commits_and_tags_are_signed_with_the_operator_s_key_where_a_repository_asks_for_it() {
    let area = area_with_signatures();
    let (root, call) = (&area.root, area.call());
    let key = area.outside.join("key");
    make_key(&key);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = area.outside.join("signers");
    fs::write(&signers, format!("eve@example.com {public}")).unwrap();
    let setting = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let verify = |what: &str, name: &str| {
        let output = try_git(root, ["-c", &setting, what, "--raw", name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("Good \"git\" signature for eve@example.com"),
            "{said}"
        );
    };
    let agent = SshAgent::with(&key);
    let private = GitConfig {
        signing_key: Some(key.clone()),
        ..writer_config()
    };
    let by_agent = GitConfig {
        signing_key: Some(key.with_extension("pub")),
        ssh_agent: Some(agent.socket.clone()),
        ..writer_config()
    };
    for (number, config) in [private, by_agent].into_iter().enumerate() {
        if number == 1 {
            fs::remove_file(&key).unwrap();
        }
        let git_ = service_with(config);
        fs::write(root.join("file"), format!("{number}\n")).unwrap();
        let message = "Mine, é\n\nWith a body\n";
        let made = git_.commit(&call, commit_all(message)).await.unwrap();
        assert_eq!(made.id, git(root, ["rev-parse", "HEAD"]));
        assert_eq!(git(root, ["log", "-1", "--format=%B"]), message);
        verify("verify-commit", "HEAD");
        let tag = GitCreateTag {
            tag: format!("v{number}").as_str().try_into().unwrap(),
            ..tag("One, é\n\nWith a body")
        };
        let name = tag.tag.to_string();
        git_.create_tag(&call, tag).await.unwrap();
        verify("verify-tag", &name);
    }
    assert_sound(root);
    // Others stay as they are.
    git(root, ["config", "commit.gpgSign", "false"]);
    fs::write(root.join("file"), "again\n").unwrap();
    let git_ = service_with(GitConfig {
        signing_key: Some("/nonexistent".into()),
        ..writer_config()
    });
    git_.commit(&call, commit_all("Unsigned")).await.unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_sign_leaves_everything_as_it_was_and_is_in_no_error() {
    let area = area_with_signatures();
    let (root, call) = (&area.root, area.call());
    let locked = area.outside.join("locked");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "hunter2", "-f"])
        .arg(&locked)
        .status();
    assert!(made.unwrap().success());
    let rubbish = area.outside.join("rubbish");
    fs::write(&rubbish, "hunter2\n").unwrap();
    let before = git(root, ["rev-parse", "HEAD"]);
    for key in [locked, rubbish, area.outside.join("none")] {
        let git_ = service_with(GitConfig {
            signing_key: Some(key.clone()),
            ssh_agent: None,
            ..writer_config()
        });
        for error in [
            git_.commit(&call, commit_all("Mine")).await.unwrap_err(),
            git_.create_tag(&call, tag("One")).await.unwrap_err(),
        ] {
            assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
            assert!(error.message.contains("`git.signing_key`"), "{error}");
            let place = area.outside.display().to_string();
            assert!(
                !error.message.contains(&place) && !error.message.contains("hunter2"),
                "{error}"
            );
        }
    }
    assert_eq!(git(root, ["rev-parse", "HEAD"]), before);
    assert_eq!(git(root, ["tag"]), "");
    assert_eq!(git(root, ["status", "--short"]), " M file");
    assert_sound(root);
}

#[tokio::test]
async fn a_sparse_checkout_gets_no_worktree_with_everything_in_it() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    for folder in ["mine", "others"] {
        fs::create_dir(root.join(folder)).unwrap();
        commit_file(root, &format!("{folder}/file"), "x\n", folder);
    }
    git(root, ["sparse-checkout", "set", "mine"]);
    let made = writer().add_worktree(&call, worktree("../root/tree")).await;
    assert_unsupported(made, "sparse");
    assert!(!root.join("tree").exists());
    git(root, ["sparse-checkout", "disable"]);
    let made = writer().add_worktree(&call, worktree("../root/tree")).await;
    made.unwrap();
    assert!(root.join("tree/others/file").exists());
}

#[tokio::test]
async fn name_and_address_are_taken_each_from_where_git_takes_it() {
    let area = Area::with_repository();
    let (root, call) = (&area.root, area.call());
    let home = area.outside.join("home");
    fs::create_dir(&home).unwrap();
    let condition = format!("gitdir:{}/", root.display());
    fs::write(
        home.join(".gitconfig"),
        format!(
            "[user]\nname = Home\nemail = home@example.com\n\
             [include]\npath = more\n[includeIf \"{condition}\"]\npath = work\n\
             [includeIf \"gitdir:/elsewhere/\"]\npath = elsewhere\n"
        ),
    )
    .unwrap();
    fs::write(home.join("more"), "[user]\nname = More\n").unwrap();
    fs::write(home.join("work"), "[user]\nemail = work@example.com\n").unwrap();
    fs::write(
        home.join("elsewhere"),
        "[user]\nemail = elsewhere@example.com\n",
    )
    .unwrap();
    let git_ = service_with(GitConfig {
        home: Some(home),
        ..GitConfig::default()
    });
    let mut number = 0;
    let mut author = async || {
        number += 1;
        fs::write(root.join("file"), format!("{number}\n")).unwrap();
        let made = git_.commit(&call, commit_all("Mine")).await.unwrap();
        format!("{} <{}>", made.author.name, made.author.email)
    };
    assert_eq!(author().await, "More <work@example.com>");
    git(root, ["config", "user.name", "Here"]);
    assert_eq!(author().await, "Here <work@example.com>");
    fs::write(root.join(".git/mail"), "[user]\nemail = here@example.com\n").unwrap();
    git(root, ["config", "include.path", "mail"]);
    git(root, ["config", "--unset", "user.name"]);
    assert_eq!(author().await, "More <here@example.com>");
}
