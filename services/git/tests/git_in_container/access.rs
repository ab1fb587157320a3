//! Whose container it is, what it has to have, and what stays out of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use exomonad_core::values::ByteSize;
use exomonad_core::{CallContext, GitService};
use exomonad_docker::DockerBounds;
use exomonad_git::{Git, GitConfig};
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;
use crate::cloned::*;
use crate::target;
use crate::write::writer_config;

fn status(container: &str, folder: impl AsRef<Path>) -> GitStatus {
    GitStatus::default().at(working_dir(folder), Some(container.try_into().unwrap()))
}

async fn ask(call: &CallContext, request: GitStatus) -> Result<GitStatusReport, EffectError> {
    target::service(GitConfig::default())
        .status(call, request)
        .await
}

/// A folder with a `git` that is this script, and the way to the real programs.
fn with_git(area: &Area, script: &str) -> PathBuf {
    let bin = area.outside.join("bin");
    fs::create_dir(&bin).unwrap();
    for program in [
        "sh", "env", "head", "sed", "cat", "tr", "grep", "sleep", "cp", "rm",
    ] {
        std::os::unix::fs::symlink(format!("/bin/{program}"), bin.join(program)).unwrap();
    }
    let git = bin.join("git");
    fs::write(&git, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[tokio::test]
async fn a_container_of_others_is_not_there_and_without_labels_there_is_none() {
    let area = Area::with_repository();
    let call = area.call();
    let own = status(target::container(), &area.root);
    assert!(ask(&call, own.clone()).await.unwrap().is_clean);

    let foreign = target::another(Some("somebody-else"), Path::new("/usr/bin:/bin"));
    let there = ask(&call, status(&foreign, &area.root)).await.unwrap_err();
    let not_there = ask(&call, status("no-such-container", &area.root))
        .await
        .unwrap_err();
    assert_eq!(there.code, ErrorCode::NotFound);
    assert_eq!(
        there.message.replace(&foreign, "no-such-container"),
        not_there.message
    );
    let mut nobody = call.clone();
    nobody.bounds = std::sync::Arc::new((*call.bounds).clone().with(DockerBounds::default()));
    let error = ask(&nobody, own.clone()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
    let without_docker = Git::new(GitConfig::default()).unwrap();
    let error = without_docker.status(&call, own).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotConfigured, "{error}");
}

#[tokio::test]
async fn the_paths_of_the_role_say_nothing_about_a_container() {
    let area = Area::with_repository();
    let mut call = call_within(&[]);
    let told = ask(&call, status(target::container(), &area.root)).await;
    assert!(told.unwrap().is_clean);
    // A relative folder is taken from the container's own, where the suite's folders are.
    call = call_within(&[&area.outside]);
    let base = target::folder().canonicalize().unwrap();
    let relative = area.root.strip_prefix(&base).unwrap();
    assert!(
        ask(&call, status(target::container(), relative))
            .await
            .unwrap()
            .is_clean
    );
    for (folder, words) in [("/none", "no such folder"), ("/etc/passwd", "a file")] {
        let error = ask(&call, status(target::container(), folder))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_container_without_git_or_a_shell_says_what_it_lacks() {
    let area = Area::with_repository();
    let bin = with_git(&area, "exit 0");
    fs::remove_file(bin.join("git")).unwrap();
    for path in [bin.as_path(), Path::new("/nowhere")] {
        let container = target::another(None, path);
        let error = ask(&area.call(), status(&container, &area.root))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert!(error.message.contains("has no `git` and `sh`"), "{error}");
    }
}

#[tokio::test]
async fn nonsense_from_a_container_is_an_error_and_no_answer() {
    let area = Area::with_repository();
    for (number, script) in [
        "echo nonsense",
        "printf '1 .M nonsense\\0\\0\\0'",
        "exit 77",
        "kill -9 $PPID",
        "exec cat /dev/zero",
    ]
    .iter()
    .enumerate()
    {
        let place = Area::with_repository();
        let container = target::another(None, &with_git(&place, script));
        let (call, service) = (area.call(), target::service(GitConfig::default()));
        let at = status(&container, &area.root);
        let codes = [
            service.status(&call, at.clone()).await.err(),
            service
                .repo_info(
                    &call,
                    GitRepoInfo::default().at(at.working_dir.clone(), at.container.clone()),
                )
                .await
                .err(),
            service
                .diff(
                    &call,
                    GitDiff::default().at(at.working_dir.clone(), at.container.clone()),
                )
                .await
                .err(),
        ];
        for error in codes {
            let error = error.unwrap_or_else(|| panic!("{number} was believed"));
            assert_ne!(error.code, ErrorCode::Internal, "{error}");
        }
    }
}

#[tokio::test]
async fn the_token_does_not_enter_the_container() {
    let setup = Setup::new(authorized());
    let log = setup.area.outside.join("log");
    let bin = with_git(
        &setup.area,
        &format!(
            "{{ /usr/bin/env; echo \"$@\"; cat /proc/$PPID/cmdline /proc/$PPID/environ; }} >>{}\nexec /usr/bin/git \"$@\"",
            log.display()
        ),
    );
    let container = target::another(None, &bin);
    let at = (
        working_dir(&setup.clone),
        Some(container.as_str().try_into().unwrap()),
    );
    commit_file(&setup.clone, "mine", "x\n", "Mine");
    let service = target::service(setup.config());
    let push = GitPush::default().at(at.0.clone(), at.1.clone());
    service.push(&setup.call, push).await.unwrap();
    setup.commit_elsewhere("theirs");
    let fetched = service
        .fetch(&setup.call, GitFetch::default().at(at.0, at.1))
        .await
        .unwrap();
    assert_eq!(fetched.updates.len(), 1);
    assert!(setup.server.seen().concat().contains(BASIC));
    let seen = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(seen.contains("pack-objects") && seen.contains("index-pack"));
    assert!(!seen.contains("hunter2") && !seen.contains(&BASIC[6..]));
}

#[tokio::test]
async fn objects_that_are_none_or_too_many_are_not_pushed() {
    for (script, code) in [
        ("printf PACKnonsense", ErrorCode::Unsupported),
        ("head -c 3000000 /dev/zero", ErrorCode::LimitExceeded),
    ] {
        let setup = Setup::new(authorized());
        let before = git(&setup.bare, ["rev-parse", "main"]);
        let bin = with_git(
            &setup.area,
            &format!(
                "case \" $* \" in *' pack-objects '*) {script}; exit 0;; esac\nexec /usr/bin/git \"$@\""
            ),
        );
        let container = target::another(None, &bin);
        commit_file(&setup.clone, "mine", "x\n", "Mine");
        let service = target::service(GitConfig {
            max_transfer: ByteSize::mib(2),
            ..setup.config()
        });
        let push = GitPush::default().at(
            working_dir(&setup.clone),
            Some(container.as_str().try_into().unwrap()),
        );
        let error = service.push(&setup.call, push).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert_eq!(git(&setup.bare, ["rev-parse", "main"]), before);
    }
}

#[tokio::test]
async fn a_write_nobody_waits_for_any_more_is_done_to_its_end() {
    let area = Area::with_repository();
    let service = target::service(writer_config());
    fs::write(area.root.join("new"), "x\n").unwrap();
    let call = area.call();
    let commit = || {
        let request = crate::write::commit_all("Done");
        target::place(&call, request)
    };
    let before = git(&area.root, ["rev-parse", "HEAD"]);
    let begun = async {
        while git(&area.root, ["ls-files", "new"]).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = service.commit(&call, commit()) => {}
        () = begun => {}
    }
    // It is the next one's turn when the first has ended.
    let error = service.commit(&call, commit()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    assert_eq!(git(&area.root, ["rev-parse", "HEAD~1"]), before);
    crate::write::assert_sound(&area.root);
}
