//! Repositories of the host that only git knows: its `git` reads them, and obeys nothing in them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use exomonad_core::values::TimeSpan;
use exomonad_core::{CallContext, GitService};
use exomonad_git::GitConfig;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;
use crate::corpus::contents;
use crate::write::{commit_all, new_branch, writer};

/// The options of `git init` for each kind.
const KINDS: [&str; 2] = ["--object-format=sha256", "--ref-format=reftable"];

/// A repository of a kind, with two commits; `None` if this machine's git makes none.
fn area_of(kind: &str) -> Option<Area> {
    let area = Area::new();
    let made = try_git(
        &area.root,
        ["init", "--quiet", "--initial-branch=main", kind],
    );
    if !made.status.success() {
        return None;
    }
    for (content, message) in [("one\n", "First"), ("two\n", "Second")] {
        commit_file(&area.root, "file", content, message);
    }
    Some(area)
}

fn areas() -> impl Iterator<Item = Area> {
    KINDS.into_iter().filter_map(area_of)
}

/// The answers of the effects that read.
async fn read_all(git: &Service, call: &CallContext) -> Vec<Result<String, EffectError>> {
    fn told<T: std::fmt::Debug>(result: Result<T, EffectError>) -> Result<String, EffectError> {
        result.map(|answer| format!("{answer:?}"))
    }
    let against = GitDiff {
        target: DiffTarget::Against(DiffAgainst {
            reference: "HEAD~1".try_into().unwrap(),
        }),
        ..GitDiff::default()
    };
    let commits = GitGetRecentCommits::default();
    vec![
        told(git.get_branch(call, GitGetBranch::default()).await),
        told(git.get_worktree(call, GitGetWorktree::default()).await),
        told(git.status(call, GitStatus::default()).await),
        told(git.get_dirty_files(call, GitGetDirtyFiles::default()).await),
        told(git.diff(call, GitDiff::default()).await),
        told(git.diff(call, against).await),
        told(git.get_recent_commits(call, commits).await),
        told(git.repo_info(call, GitRepoInfo::default()).await),
        told(git.list_stashes(call, GitListStashes::default()).await),
    ]
}

/// Settings by which git runs `program`.
fn plant_settings(root: &Path, program: &str) {
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.gitProxy",
        "core.askPass",
        "core.alternateRefsCommand",
        "credential.helper",
        "diff.external",
        "diff.x.command",
        "diff.x.textconv",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "gpg.program",
        "gpg.ssh.program",
        "interactive.diffFilter",
        "pager.status",
        "pager.diff",
        "sequence.editor",
        "trace2.eventTarget",
        "uploadpack.packObjectsHook",
        "remote.origin.uploadpack",
        "remote.origin.vcs",
        "alias.status",
        "alias.rev-parse",
        "merge.x.driver",
        "submodule.s.update",
    ] {
        git(root, ["config", key, program]);
    }
    for (key, value) in [
        ("log.showSignature", "true"),
        ("remote.origin.url", "ext::sh -c touch% ran"),
        ("remote.origin.promisor", "true"),
        ("extensions.partialClone", "origin"),
        ("core.hooksPath", ".git/planted"),
    ] {
        git(root, ["config", key, value]);
    }
}

#[tokio::test]
async fn nothing_that_a_repository_names_runs_when_the_host_s_git_reads_it() {
    for area in areas() {
        let root = &area.root;
        let mark = area.outside.join("ran");
        let program = area.root.join("program");
        fs::write(&program, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        commit_file(
            root,
            ".gitattributes",
            "* diff=x filter=x merge=x\n",
            "Attributes",
        );
        // A submodule that is checked out, in which git would start another git.
        let id = git(root, ["rev-parse", "HEAD"]);
        let line = format!("160000,{id},s");
        git(root, ["update-index", "--add", "--cacheinfo", &line]);
        git(root, ["commit", "--quiet", "-m", "Submodule"]);
        plant_settings(root, program.to_str().unwrap());
        for folder in ["hooks", "planted"] {
            let folder = root.join(".git").join(folder);
            fs::create_dir_all(&folder).unwrap();
            for hook in [
                "post-index-change",
                "fsmonitor-watchman",
                "reference-transaction",
            ] {
                fs::copy(&program, folder.join(hook)).unwrap();
            }
        }
        fs::write(root.join("file"), "changed\n").unwrap();
        let before = contents(&root.join(".git"));
        let told = read_all(&service(), &area.call()).await;
        for result in &told {
            assert!(result.is_ok(), "{result:?}");
        }
        assert!(told[4].as_ref().unwrap().contains("+changed"), "{told:?}");
        assert!(!mark.exists() && !root.join("ran").exists());
        assert_eq!(before, contents(&root.join(".git")));

        // Once it is checked out its state is not looked for.
        fs::create_dir_all(root.join("s")).unwrap();
        git(&root.join("s"), ["init", "--quiet"]);
        plant_settings(&root.join("s"), program.to_str().unwrap());
        let error = service()
            .status(&area.call(), GitStatus::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
        assert!(error.message.contains("submodule \"s\""), "{error}");
        assert!(!mark.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_changes_between_check_and_use_runs_nothing_either() {
    for area in areas() {
        let root = area.root.clone();
        let mark = area.outside.join("ran");
        fs::write(root.join(".gitattributes"), "* diff=x filter=x\n").unwrap();
        fs::write(root.join("file"), "changed\n").unwrap();
        let config = root.join(".git/config");
        let plain = fs::read(&config).unwrap();
        let program = format!("touch {}; cat", mark.display());
        plant_settings(&root, &program);
        let planted = fs::read(&config).unwrap();
        fs::write(&config, &plain).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for content in [&planted, &plain] {
                        fs::write(root.join("config.new"), content).unwrap();
                        fs::rename(root.join("config.new"), &config).unwrap();
                    }
                }
            });
            let runtime = tokio::runtime::Handle::current();
            let (area, stop) = (&area, &stop);
            threads.spawn(move || {
                let (git, call) = (service(), area.call());
                for _ in 0..20 {
                    let _ = runtime.block_on(git.status(&call, GitStatus::default()));
                    let _ = runtime.block_on(git.diff(&call, GitDiff::default()));
                }
                stop.store(true, Ordering::Relaxed);
            });
        });
        assert!(!mark.exists());
        // The trap is one: git itself falls into it.
        fs::write(&config, &planted).unwrap();
        let _ = try_git(&root, ["status"]);
        assert!(mark.exists());
    }
}

#[tokio::test]
async fn what_leads_outside_is_refused_there_as_everywhere() {
    type Plant = fn(&Area);
    let plants: [(&str, Plant); 7] = [
        ("alternates", |area| {
            let text = format!("{}/.git/objects\n", area.outside.display());
            fs::write(area.root.join(".git/objects/info/alternates"), text).unwrap();
        }),
        ("a working tree", |area| {
            git(
                &area.root,
                ["config", "core.worktree", area.outside.to_str().unwrap()],
            );
        }),
        ("an include", |area| {
            git(
                &area.root,
                ["config", "include.path", "../../outside/config"],
            );
        }),
        ("an include on a condition", |area| {
            git(
                &area.root,
                ["config", "includeIf.onbranch:main.path", "included"],
            );
        }),
        ("excluded files", |area| {
            let list = area.outside.join("list");
            git(
                &area.root,
                ["config", "core.excludesFile", list.to_str().unwrap()],
            );
        }),
        ("a link", |area| {
            symlink(area.outside.join("secret"), area.root.join(".git/evil")).unwrap();
        }),
        ("a list of tables", |area| {
            let list = area.root.join(".git/reftable/tables.list");
            if list.exists() {
                fs::write(list, "../../../outside/x.ref\n").unwrap();
            } else {
                fs::write(area.root.join(".git/commondir"), "../../outside\n").unwrap();
            }
        }),
    ];
    for kind in KINDS {
        for (name, plant) in plants {
            let Some(area) = area_of(kind) else { continue };
            for file in ["secret", "config", "list"] {
                fs::write(area.outside.join(file), "hunter2\n").unwrap();
            }
            init_with_commit(&area.outside);
            plant(&area);
            for result in read_all(&service(), &area.call()).await {
                let error = result.expect_err(name);
                let is_refusal =
                    [ErrorCode::Forbidden, ErrorCode::Unsupported].contains(&error.code);
                assert!(is_refusal, "{name}: {error}");
                assert!(!error.message.contains("hunter2"), "{name}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_leads_to_unchecked_files_is_not_found() {
    let Some(area) = area_of("--object-format=sha256") else {
        return;
    };
    let id = git(&area.root, ["rev-parse", "HEAD"]);
    fs::create_dir_all(area.root.join(".git/hooks")).unwrap();
    fs::write(area.outside.join("id"), id + "\n").unwrap();
    symlink(area.outside.join("id"), area.root.join(".git/hooks/evil")).unwrap();
    let request = GitGetRecentCommits {
        reference: "hooks/evil".try_into().unwrap(),
        ..GitGetRecentCommits::default()
    };
    let error = service()
        .get_recent_commits(&area.call(), request)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

#[tokio::test]
async fn where_a_worktree_s_link_to_outside_leads_is_not_told() {
    for area in areas() {
        let registered = area.root.join(".git/worktrees/x");
        fs::create_dir_all(&registered).unwrap();
        let hidden = area.outside.join("hidden");
        fs::create_dir(&hidden).unwrap();
        symlink(&hidden, area.root.join("link")).unwrap();
        let at = format!("{}/link/.git\n", area.root.display());
        for (file, content) in [
            ("gitdir", &*at),
            ("HEAD", "ref: refs/heads/x\n"),
            ("commondir", "../..\n"),
        ] {
            fs::write(registered.join(file), content).unwrap();
        }
        let info = service()
            .repo_info(&area.call(), GitRepoInfo::default())
            .await
            .unwrap();
        assert_eq!(info.worktrees.len(), 2);
        assert_eq!(
            info.worktrees[1].path,
            format!("{}/link", area.root.display())
        );
        assert!(!format!("{info:?}").contains("hidden"), "{info:?}");
    }
}

#[tokio::test]
async fn a_pipe_that_git_opens_ends_with_the_time_of_the_effect() {
    for area in areas() {
        let made = Command::new("mkfifo")
            .arg(area.root.join(".gitignore"))
            .status();
        assert!(made.unwrap().success());
        let git = service_with(GitConfig {
            time_limit: TimeSpan::millis(500),
            ..GitConfig::default()
        });
        let error = git
            .status(&area.call(), GitStatus::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout, "{error}");
        assert!(error.message.contains("on the host"), "{error}");
    }
}

#[tokio::test]
async fn changes_are_refused_in_the_host_s_own_words_with_the_way_out() {
    for area in areas() {
        let (git_, call) = (writer(), area.call());
        fs::write(area.root.join("file"), "changed\n").unwrap();
        let before = contents(&area.root);
        let errors = [
            git_.commit(&call, commit_all("Mine")).await.unwrap_err(),
            git_.create_branch(&call, new_branch("new"))
                .await
                .unwrap_err(),
            git_.stash(&call, GitStash::default()).await.unwrap_err(),
            git_.push(&call, GitPush::default()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
            assert!(error.message.contains("in a container"), "{error}");
            assert!(!error.message.contains("git says"), "{error}");
        }
        assert_eq!(before, contents(&area.root));
    }
}

#[tokio::test]
async fn a_git_that_is_missing_or_too_old_is_named_with_what_it_takes() {
    for area in areas() {
        let old = area.outside.join("old-git");
        let script = "#!/bin/sh\necho 'fatal: unknown repository extension found:' >&2\n\
                      printf '\\trefstorage\\n' >&2\nexit 128\n";
        fs::write(&old, script).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        for (program, code, words) in [
            (old, ErrorCode::Unsupported, "2.45"),
            (
                "/nonexistent/git".into(),
                ErrorCode::Unavailable,
                "install git",
            ),
        ] {
            let git = service_with(GitConfig {
                program,
                ..GitConfig::default()
            });
            let error = git
                .status(&area.call(), GitStatus::default())
                .await
                .unwrap_err();
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_ends_at_its_limit() {
    let Some(area) = area_of("--object-format=sha256") else {
        return;
    };
    let message = area.outside.join("message");
    fs::write(&message, "x".repeat(40 << 20)).unwrap();
    git(
        &area.root,
        [
            "commit",
            "--quiet",
            "--allow-empty",
            "-F",
            message.to_str().unwrap(),
        ],
    );
    let error = service()
        .get_recent_commits(&area.call(), GitGetRecentCommits::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded, "{error}");
}
