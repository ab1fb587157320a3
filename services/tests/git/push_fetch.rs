//! Push and fetch with a real server on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exomonad_schema::effects::git::*;
use exomonad_schema::{CallContext, EffectError, ErrorCode, GitService};
use exomonad_services::git::Author;
use exomonad_services::{Git, GitConfig, GitToken};

use crate::area::*;
use crate::server::{Manner, Server};
use crate::write::assert_sound;

const TOKEN: &str = "hunter2-hunter2";
/// `x-access-token:hunter2-hunter2`, as RFC 7617 has it.
const BASIC: &str = "Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMi1odW50ZXIy";

/// A clone in reach of the role, and the server it was cloned from.
struct Setup {
    area: Area,
    clone: PathBuf,
    bare: PathBuf,
    server: Server,
    call: CallContext,
}

impl Setup {
    fn new(manner: Manner) -> Self {
        let area = Area::new();
        let source = area.outside.join("source");
        init_with_commit(&source);
        let served = area.outside.join("served");
        fs::create_dir(&served).unwrap();
        git(
            &area.outside,
            ["clone", "--quiet", "--bare", "source", "served/r.git"],
        );
        let (bare, clone) = (served.join("r.git"), area.root.join("clone"));
        git(
            &area.outside,
            [
                "clone",
                "--quiet",
                bare.to_str().unwrap(),
                clone.to_str().unwrap(),
            ],
        );
        let server = Server::start(&served, manner);
        git(
            &clone,
            ["remote", "set-url", "origin", &server.url("r.git")],
        );
        let call = call_within(&[&clone]);
        Self {
            area,
            clone,
            bare,
            server,
            call,
        }
    }

    fn config(&self) -> GitConfig {
        GitConfig {
            author: Some(Author {
                name: "Eve".into(),
                email: "eve@example.com".into(),
            }),
            token: Some(GitToken::new(TOKEN)),
            token_hosts: vec![self.server.host()],
            remote_time_limit: Duration::from_secs(30),
            ..GitConfig::default()
        }
    }

    fn service(&self) -> Git {
        Git::new(self.config()).unwrap()
    }

    async fn push(&self, request: GitPush) -> Result<GitPushed, EffectError> {
        let pushed = self.service().push(&self.call, request).await;
        assert_no_secret(&pushed);
        pushed
    }

    async fn fetch(&self, request: GitFetch) -> Result<GitFetched, EffectError> {
        let fetched = self.service().fetch(&self.call, request).await;
        assert_no_secret(&fetched);
        fetched
    }

    /// Somebody else pushes a commit.
    fn commit_elsewhere(&self, name: &str) -> String {
        let other = self.area.outside.join("other");
        if !other.exists() {
            git(
                &self.area.outside,
                ["clone", "--quiet", self.bare.to_str().unwrap(), "other"],
            );
        }
        commit_file(&other, name, "x\n", name);
        git(&other, ["push", "--quiet", "origin", "HEAD"]);
        git(&other, ["rev-parse", "HEAD"])
    }
}

fn assert_no_secret(value: &impl std::fmt::Debug) {
    let text = format!("{value:?}");
    assert!(
        !text.contains("hunter2") && !text.contains(&BASIC[6..]),
        "{text}"
    );
}

fn authorized() -> Manner {
    Manner::Authorized(BASIC.to_owned())
}

#[tokio::test]
async fn a_branch_is_pushed_with_and_without_authentication() {
    for manner in [Manner::Open, authorized()] {
        let setup = Setup::new(manner);
        let clone = &setup.clone;
        git(clone, ["checkout", "--quiet", "-b", "topic"]);
        commit_file(clone, "new", "x\n", "Second");
        git(clone, ["tag", "-a", "-m", "Version 1", "v1"]);
        let head = git(clone, ["rev-parse", "HEAD"]);
        let request = GitPush {
            set_upstream: true,
            tags: vec!["v1".try_into().unwrap()],
            ..GitPush::default()
        };
        let pushed = setup.push(request.clone()).await.unwrap();
        let changes: Vec<_> = pushed
            .updates
            .iter()
            .map(|update| (update.reference.as_str(), update.change))
            .collect();
        assert_eq!(
            changes,
            [
                ("refs/heads/topic", GitRefChange::Created),
                ("refs/tags/v1", GitRefChange::Created)
            ]
        );
        assert_eq!(git(&setup.bare, ["rev-parse", "topic"]), head);
        assert_eq!(git(&setup.bare, ["rev-parse", "v1^{commit}"]), head);
        assert_eq!(git(clone, ["rev-parse", "topic@{upstream}"]), head);
        assert_eq!(
            git(clone, ["status", "--short", "--branch"]),
            "## topic...origin/topic"
        );

        let again = setup.push(request).await.unwrap();
        assert!(
            again
                .updates
                .iter()
                .all(|update| update.change == GitRefChange::UpToDate)
        );
        commit_file(clone, "new", "y\n", "Third");
        let pushed = setup.push(GitPush::default()).await.unwrap();
        assert_eq!(pushed.updates[0].change, GitRefChange::Updated);
        assert_eq!(pushed.updates[0].old.as_ref(), Some(&head));
        assert_sound(clone);
    }
}

#[tokio::test]
async fn branches_and_tags_are_fetched_with_and_without_authentication() {
    for manner in [Manner::Open, authorized()] {
        let setup = Setup::new(manner);
        let clone = &setup.clone;
        let old = git(clone, ["rev-parse", "origin/main"]);
        let new = setup.commit_elsewhere("theirs");
        git(&setup.bare, ["branch", "topic", "main"]);
        git(&setup.bare, ["tag", "v1", "main"]);
        let fetched = setup.fetch(GitFetch::default()).await.unwrap();
        let names: Vec<_> = fetched
            .updates
            .iter()
            .map(|update| (update.reference.as_str(), update.change))
            .collect();
        assert_eq!(
            names,
            [
                ("refs/remotes/origin/main", GitRefChange::Updated),
                ("refs/remotes/origin/topic", GitRefChange::Created),
                ("refs/tags/v1", GitRefChange::Created),
            ]
        );
        assert_eq!(fetched.updates[0].old.as_ref(), Some(&old));
        assert_eq!(git(clone, ["rev-parse", "origin/main"]), new);
        assert_eq!(git(clone, ["rev-parse", "HEAD"]), old);
        assert_eq!(setup.fetch(GitFetch::default()).await.unwrap().updates, []);

        git(&setup.bare, ["branch", "-D", "topic"]);
        git(&setup.bare, ["branch", "other", &old]);
        git(&setup.bare, ["update-ref", "refs/heads/main", &old]);
        git(clone, ["pack-refs", "--all"]);
        let only = GitFetch {
            branches: vec!["other".try_into().unwrap()],
            ..GitFetch::default()
        };
        assert_eq!(setup.fetch(only).await.unwrap().updates.len(), 1);
        let prune = GitFetch {
            prune: true,
            ..GitFetch::default()
        };
        let fetched = setup.fetch(prune).await.unwrap();
        let names: Vec<_> = fetched
            .updates
            .iter()
            .map(|update| (update.reference.as_str(), update.change))
            .collect();
        assert_eq!(
            names,
            [
                ("refs/remotes/origin/main", GitRefChange::Forced),
                ("refs/remotes/origin/topic", GitRefChange::Deleted)
            ]
        );
        assert!(
            !try_git(clone, ["rev-parse", "--verify", "origin/topic"])
                .status
                .success()
        );
        assert_sound(clone);
    }
}

#[tokio::test]
async fn a_shallow_clone_stays_one_and_fetches_and_pushes() {
    let setup = Setup::new(Manner::Open);
    setup.commit_elsewhere("a");
    setup.commit_elsewhere("b");
    let shallow = setup.clone.join("shallow");
    let url = setup.server.url("r.git");
    git(
        &setup.clone,
        [
            "clone",
            "--quiet",
            "--depth=1",
            &url,
            shallow.to_str().unwrap(),
        ],
    );
    let new = setup.commit_elsewhere("c");
    let request = GitFetch {
        working_dir: working_dir(&shallow),
        ..GitFetch::default()
    };
    setup.fetch(request).await.unwrap();
    assert_eq!(git(&shallow, ["rev-parse", "origin/main"]), new);
    assert_eq!(git(&shallow, ["rev-list", "--count", "origin/main"]), "2");
    commit_file(&shallow, "mine", "x\n", "Mine");
    let request = GitPush {
        working_dir: working_dir(&shallow),
        remote_branch: Some("mine".try_into().unwrap()),
        ..GitPush::default()
    };
    setup.push(request).await.unwrap();
    assert_eq!(
        git(&setup.bare, ["rev-parse", "mine"]),
        git(&shallow, ["rev-parse", "HEAD"])
    );
    assert_sound(&shallow);
}

#[tokio::test]
async fn a_push_over_others_commits_is_refused_and_with_a_lease_meant() {
    let setup = Setup::new(Manner::Open);
    let theirs = setup.commit_elsewhere("theirs");
    commit_file(&setup.clone, "mine", "x\n", "Mine");
    let mine = git(&setup.clone, ["rev-parse", "HEAD"]);
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("fetch"), "{error}");

    let lease = |id: &str| GitPush {
        force_with_lease: Some(id.try_into().unwrap()),
        ..GitPush::default()
    };
    let error = setup.push(lease(&mine)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    let error = setup.push(lease(&"x".repeat(40))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert_eq!(git(&setup.bare, ["rev-parse", "main"]), theirs);
    let pushed = setup.push(lease(&theirs)).await.unwrap();
    assert_eq!(pushed.updates[0].change, GitRefChange::Forced);
    assert_eq!(pushed.updates[0].old.as_deref(), Some(theirs.as_str()));
    assert_eq!(git(&setup.bare, ["rev-parse", "main"]), mine);
}

#[tokio::test]
async fn a_hook_of_the_server_says_why_it_refuses() {
    let setup = Setup::new(authorized());
    let hook = setup.bare.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        format!("#!/bin/sh\necho 'no {TOKEN} here' >&2\nexit 1\n"),
    )
    .unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    commit_file(&setup.clone, "mine", "x\n", "Mine");
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Validation);
    assert!(error.message.contains("no *** here"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let setup = Setup::new(Manner::Open);
    let fetch = |branch: &str| GitFetch {
        branches: vec![branch.try_into().unwrap()],
        ..GitFetch::default()
    };
    let error = setup.fetch(fetch("none")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
    let error = setup.fetch(fetch("a b")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
    let elsewhere = GitPush {
        remote: "upstream".try_into().unwrap(),
        ..GitPush::default()
    };
    let error = setup.push(elsewhere).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("there are: origin"), "{error}");
    let nothing = GitPush {
        branch: Some("none".try_into().unwrap()),
        ..GitPush::default()
    };
    assert_eq!(
        setup.push(nothing).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    git(
        &setup.clone,
        ["remote", "set-url", "origin", &setup.server.url("none.git")],
    );
    assert_eq!(
        setup.push(GitPush::default()).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    let error = setup.fetch(GitFetch::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

#[tokio::test]
async fn a_wrong_token_or_none_is_unauthenticated() {
    let setup = Setup::new(authorized());
    for token in [Some(GitToken::new("wrong-hunter2")), None] {
        let service = Git::new(GitConfig {
            token,
            ..setup.config()
        })
        .unwrap();
        let error = service
            .fetch(&setup.call, GitFetch::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
        assert_no_secret(&error);
        let error = service
            .push(&setup.call, GitPush::default())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
        assert_no_secret(&error);
    }
}

#[tokio::test]
async fn the_token_goes_only_to_its_host_and_follows_no_redirect() {
    let setup = Setup::new(Manner::Open);
    let other = Server::start(&setup.area.outside.join("served"), Manner::Open);
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
    let redirecting = Setup::new(Manner::Redirects(other.address));
    let error = redirecting.fetch(GitFetch::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(redirecting.server.seen().concat().contains(BASIC));
    assert_eq!(other.seen().len(), before);
}

#[tokio::test]
async fn nothing_in_the_repository_has_a_say_in_how_git_runs() {
    let setup = Setup::new(authorized());
    let trap = Server::start(&setup.area.outside.join("served"), Manner::Open);
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

#[tokio::test]
async fn a_server_that_is_silent_is_given_up_and_git_with_it() {
    let setup = Setup::new(Manner::Silent);
    let config = GitConfig {
        remote_time_limit: Duration::from_millis(700),
        ..setup.config()
    };
    let service = Git::new(config).unwrap();
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

#[tokio::test]
async fn a_server_that_breaks_off_or_fails_or_is_not_there_is_unavailable() {
    for manner in [
        Manner::CutsOff,
        Manner::Fails("500 Internal Server Error"),
        Manner::Fails("503 Busy"),
    ] {
        let setup = Setup::new(manner);
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
        let setup = Setup::new(Manner::Fails(status));
        let error = setup.fetch(GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    let setup = Setup::new(Manner::Open);
    for url in ["http://127.0.0.1:9/r.git", "https://none.invalid/r.git"] {
        git(&setup.clone, ["remote", "set-url", "origin", url]);
        let error = setup.fetch(GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    }
    let missing = Git::new(GitConfig {
        program: "/nonexistent/git".into(),
        ..setup.config()
    })
    .unwrap();
    let error = missing
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("not installed"), "{error}");
}

#[tokio::test]
async fn the_unencrypted_git_protocol_is_not_spoken_even_to_a_server_that_does() {
    let setup = Setup::new(Manner::Open);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut daemon = Command::new("git")
        .args([
            "daemon",
            "--export-all",
            "--reuseaddr",
            "--listen=127.0.0.1",
        ])
        .arg(format!("--port={port}"))
        .arg(format!(
            "--base-path={}",
            setup.area.outside.join("served").display()
        ))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("git://127.0.0.1:{port}/r.git");
    git(&setup.clone, ["remote", "set-url", "origin", &url]);
    let error = setup.fetch(GitFetch::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[tokio::test]
async fn a_remote_on_this_machine_needs_leave_and_to_be_in_reach_and_runs_none_of_its_hooks() {
    let setup = Setup::new(Manner::Open);
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
    let service = Git::new(GitConfig {
        local_remotes: true,
        ..setup.config()
    })
    .unwrap();
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
