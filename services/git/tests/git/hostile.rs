//! Push and fetch where the repository, the server or the network is not kind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exomonad_core::GitService;
use exomonad_core::values::TimeSpan;
use exomonad_git::GitConfig;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;
use exomonad_test_support::{ChildGuard, GitServer, GitServerMode, free_port};

use crate::area::*;
use crate::cloned::*;
use crate::target::host_only;
use crate::write::assert_sound;

#[tokio::test]
async fn the_token_goes_only_to_its_host_and_follows_no_redirect() {
    let setup = Setup::new(GitServerMode::Open);
    let other = GitServer::start(&setup.area.outside.join("served"), GitServerMode::Open);
    git(
        &setup.clone,
        ["remote", "set-url", "origin", &other.url("r.git")],
    );
    setup.fetch(GitFetch::default()).await.unwrap();
    let heads = other.seen().concat().to_lowercase();
    assert!(
        heads.contains("get /r.git/info/refs") && !heads.contains("authorization"),
        "{heads}"
    );

    let before = other.seen().len();
    let redirecting = Setup::new(GitServerMode::Redirects(other.address));
    let error = redirecting.fetch(GitFetch::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(redirecting.server.seen().concat().contains(BASIC));
    assert_eq!(other.seen().len(), before);
}

#[tokio::test]
async fn nothing_in_the_repository_has_a_say_in_how_git_runs() {
    let setup = Setup::new(authorized());
    let trap = GitServer::start(&setup.area.outside.join("served"), GitServerMode::Open);
    let clone = &setup.clone;
    let ran = setup.area.outside.join("ran");
    let program = setup.area.root.join("program");
    fs::write(
        &program,
        format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    for (key, value) in [
        (
            format!("url.{}.insteadOf", trap.url("")),
            setup.server.url(""),
        ),
        (
            format!("url.{}.pushInsteadOf", trap.url("")),
            setup.server.url(""),
        ),
        ("http.proxy".into(), format!("http://{}", trap.host())),
        (
            "remote.origin.proxy".into(),
            format!("http://{}", trap.host()),
        ),
        ("core.sshCommand".into(), program.into()),
        ("core.gitProxy".into(), program.into()),
        ("core.askPass".into(), program.into()),
        ("credential.helper".into(), format!("!{program}")),
        ("remote.origin.uploadpack".into(), program.into()),
        ("remote.origin.receivepack".into(), program.into()),
        ("remote.origin.vcs".into(), "ext".into()),
        ("core.alternateRefsCommand".into(), program.into()),
        ("push.gpgSign".into(), "true".into()),
        ("gpg.program".into(), program.into()),
        ("http.extraHeader".into(), "X-Planted: yes".into()),
        ("http.sslVerify".into(), "false".into()),
        ("protocol.ext.allow".into(), "always".into()),
    ] {
        git(clone, ["config", &key, &value]);
    }
    for hook in [
        "pre-push",
        "reference-transaction",
        "post-update",
        "pre-auto-gc",
    ] {
        let hook = clone.join(".git/hooks").join(hook);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::copy(program, &hook).unwrap();
    }
    commit_quietly(clone);
    setup.commit_elsewhere("theirs");
    setup.fetch(GitFetch::default()).await.unwrap();
    let request = GitPush {
        remote_branch: Some("mine".try_into().unwrap()),
        ..GitPush::default()
    };
    setup.push(request).await.unwrap();
    assert!(!ran.exists());
    assert_eq!(trap.seen(), [] as [String; 0]);
    assert!(!setup.server.seen().concat().contains("X-Planted"));
    // What stands in a URL is not sent either.
    let url = format!("http://planted:secret@{}/r.git", setup.server.host());
    git(clone, ["remote", "set-url", "origin", &url]);
    setup.fetch(GitFetch::default()).await.unwrap();
    assert!(setup.server.seen().iter().all(|head| head.contains(BASIC)));
}

#[tokio::test]
async fn a_server_that_is_silent_is_given_up_and_git_with_it() {
    let setup = Setup::new(GitServerMode::Silent);
    let config = GitConfig {
        remote_time_limit: TimeSpan::millis(700),
        ..setup.config()
    };
    let service = service_with(config);
    let started = Instant::now();
    let error = service
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("`git.remote_time_limit`"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_no_git_left(&setup).await;

    // A call that is cancelled takes git along too.
    let service = setup.service();
    let cancelled = service.push(&setup.call, GitPush::default());
    assert!(
        tokio::time::timeout(Duration::from_secs(2), cancelled)
            .await
            .is_err()
    );
    assert_no_git_left(&setup).await;
}

#[tokio::test]
async fn a_server_that_breaks_off_or_fails_or_is_not_there_is_unavailable() {
    for mode in [
        GitServerMode::CutsOff,
        GitServerMode::Fails("500 Internal Server Error"),
        GitServerMode::Fails("503 Busy"),
    ] {
        let setup = Setup::new(mode);
        setup.commit_elsewhere("theirs");
        let error = setup.fetch(GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert_sound(&setup.clone);
    }
    for (status, code) in [
        ("403 Forbidden", ErrorCode::Unauthenticated),
        ("429 Too Many Requests", ErrorCode::RateLimited),
        ("404 Not Found", ErrorCode::NotFound),
    ] {
        let setup = Setup::new(GitServerMode::Fails(status));
        let error = setup.fetch(GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    let setup = Setup::new(GitServerMode::Open);
    for url in ["http://127.0.0.1:9/r.git", "https://none.invalid/r.git"] {
        git(&setup.clone, ["remote", "set-url", "origin", url]);
        let error = setup.fetch(GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    }
    let url = setup.server.url("r.git");
    git(&setup.clone, ["remote", "set-url", "origin", &url]);
    let missing = service_with(GitConfig {
        program: "/nonexistent/git".into(),
        ..setup.config()
    });
    let error = missing
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("not installed"), "{error}");
}

#[tokio::test]
async fn the_unencrypted_git_protocol_is_not_spoken_even_to_a_server_that_does() {
    let setup = Setup::new(GitServerMode::Open);
    let port = free_port();
    // Not `git daemon`, which starts it as a process of its own.
    let daemon = git(&setup.clone, ["--exec-path"]);
    let daemon = ChildGuard::spawn(
        Command::new(Path::new(daemon.trim()).join("git-daemon"))
            .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!(
                "--base-path={}",
                setup.area.outside.join("served").display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    let url = format!("git://127.0.0.1:{port}/r.git");
    git(&setup.clone, ["remote", "set-url", "origin", &url]);
    let error = setup.fetch(GitFetch::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    drop(daemon);
}

host_only! {
"a folder of the host means nothing in a container",
#[tokio::test]
async fn a_remote_on_this_machine_needs_leave_and_to_be_in_reach_and_runs_none_of_its_hooks() {
    let setup = Setup::new(GitServerMode::Open);
    let local = setup.clone.join("local.git");
    git(
        &setup.clone,
        [
            "clone",
            "--quiet",
            "--bare",
            setup.bare.to_str().unwrap(),
            "local.git",
        ],
    );
    let ran = setup.area.outside.join("ran");
    let hook = local.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    commit_file(&setup.clone, "mine", "x\n", "Mine");
    let set_url = |path: &Path| {
        git(
            &setup.clone,
            ["remote", "set-url", "origin", path.to_str().unwrap()],
        )
    };
    set_url(&local);
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    let service = service_with(GitConfig {
        local_remotes: true,
        ..setup.config()
    });
    service.push(&setup.call, GitPush::default()).await.unwrap();
    assert_eq!(
        git(&local, ["rev-parse", "main"]),
        git(&setup.clone, ["rev-parse", "main"])
    );
    service
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap();
    assert!(!ran.exists());
    set_url(&setup.bare);
    let error = service
        .push(&setup.call, GitPush::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
}
}

/// A commit in a repository whose configuration and hooks would stop git.
fn commit_quietly(clone: &Path) {
    fs::write(clone.join("mine"), "x\n").unwrap();
    git(clone, ["-c", "core.hooksPath=/dev/null", "add", "mine"]);
    git(
        clone,
        [
            "-c",
            "core.hooksPath=/dev/null",
            "commit",
            "--quiet",
            "--no-gpg-sign",
            "-m",
            "Mine",
        ],
    );
}

/// No process is left that talks to the server.
async fn assert_no_git_left(setup: &Setup) {
    let needle = setup.server.host();
    let talks = || {
        fs::read_dir("/proc").unwrap().flatten().any(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&needle)
        })
    };
    for _ in 0..100 {
        if !talks() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("git still runs");
}
