//! Push and fetch with a real `sshd` and a real `ssh-agent`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use exomonad_core::GitService;
use exomonad_core::values::TimeSpan;
use exomonad_git::GitConfig;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;
use exomonad_test_support::{GitServerMode, SshAgent, SshServer, SshServerMode, make_key};

use crate::area::*;
use crate::cloned::Setup;
use crate::write::assert_sound;

/// No shell and no ssh may find anything to obey in this.
const KNOWN_HOSTS: &str = "known '$(touch ran)' \"%h\" ${HOME} `touch ran`; #~\\ hosts";

/// A clone whose remote is reached by ssh, and what the host needs for that.
struct OverSsh {
    setup: Setup,
    server: SshServer,
    agent: SshAgent,
    known_hosts: PathBuf,
}

impl OverSsh {
    /// `None` where there is no `sshd`.
    fn new(mode: SshServerMode) -> Option<Self> {
        let setup = Setup::new(GitServerMode::Open);
        let server = SshServer::start(&setup.area.outside.join("ssh"), mode)?;
        let agent = SshAgent::with(&server.user_key());
        let known_hosts = setup.area.outside.join(KNOWN_HOSTS);
        fs::write(&known_hosts, server.known()).unwrap();
        let url = server.url(&setup.bare);
        git(&setup.clone, ["remote", "set-url", "origin", &url]);
        Some(Self {
            setup,
            server,
            agent,
            known_hosts,
        })
    }

    fn config(&self) -> GitConfig {
        GitConfig {
            ssh_agent: Some(self.agent.socket.clone()),
            known_hosts: Some(self.known_hosts.clone()),
            ..self.setup.config()
        }
    }

    fn service(&self) -> Service {
        service_with(self.config())
    }

    /// Neither a push nor a fetch gets anywhere, and the server was not told what for.
    async fn assert_refused(&self, config: GitConfig, code: ErrorCode, words: &str) {
        let (call, service) = (&self.setup.call, service_with(config));
        let before = git(&self.setup.bare, ["for-each-ref"]);
        let pushed = service.push(call, GitPush::default()).await.unwrap_err();
        let fetched = service.fetch(call, GitFetch::default()).await.unwrap_err();
        for error in [pushed, fetched] {
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(words), "{error}");
        }
        assert_eq!(git(&self.setup.bare, ["for-each-ref"]), before);
        assert_eq!(self.server.asked(), "");
    }

    /// How often somebody came as far as the server lets them.
    fn progress(&self) -> usize {
        match self.server.mode {
            SshServerMode::Silent => self.server.connections(),
            _ => self.server.asked().lines().count(),
        }
    }

    /// No git and no ssh is left that talks to the server.
    async fn assert_nobody_left(&self) {
        let port = self.server.port;
        let needles = [format!("127.0.0.1:{port}/"), format!("-p\0{port}\0")];
        let talks = || {
            fs::read_dir("/proc").unwrap().flatten().any(|process| {
                let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line);
                needles.iter().any(|needle| line.contains(needle))
            })
        };
        for _ in 0..100 {
            if !talks() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("git or ssh still runs");
    }
}

#[tokio::test]
async fn a_branch_is_pushed_and_fetched_with_a_key_of_the_hosts_agent() {
    let Some(over) = OverSsh::new(SshServerMode::Serves) else {
        return;
    };
    let (setup, service) = (&over.setup, over.service());
    git(&setup.clone, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(&setup.clone, "new", "x\n", "Second");
    let head = git(&setup.clone, ["rev-parse", "HEAD"]);
    let request = GitPush {
        set_upstream: true,
        ..GitPush::default()
    };
    let pushed = service.push(&setup.call, request).await.unwrap();
    assert_eq!(pushed.updates[0].change, GitRefChange::Created);
    assert_eq!(git(&setup.bare, ["rev-parse", "topic"]), head);
    assert_eq!(git(&setup.clone, ["rev-parse", "topic@{upstream}"]), head);

    let theirs = setup.commit_elsewhere("theirs");
    let fetched = service
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap();
    assert_eq!(fetched.updates[0].new.as_ref(), Some(&theirs));
    assert_eq!(git(&setup.clone, ["rev-parse", "origin/main"]), theirs);
    assert_sound(&setup.clone);
    let asked = over.server.asked();
    let bare = setup.bare.display();
    assert!(
        asked.contains(&format!("git-receive-pack '{bare}'\n")),
        "{asked}"
    );
    assert!(
        asked.ends_with(&format!("git-upload-pack '{bare}'\n")),
        "{asked}"
    );
    over.assert_nobody_left().await;

    let none = over.server.url(&setup.bare.with_file_name("none.git"));
    git(&setup.clone, ["remote", "set-url", "origin", &none]);
    let error = service
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

#[tokio::test]
async fn a_server_whose_key_is_not_known_is_sent_nothing() {
    let Some(over) = OverSsh::new(SshServerMode::Serves) else {
        return;
    };
    let unknown = ErrorCode::Unavailable;
    fs::write(&over.known_hosts, "").unwrap();
    over.assert_refused(over.config(), unknown, "`git.known_hosts`")
        .await;
    // It does not stand in what the host's user knows either.
    let config = GitConfig {
        known_hosts: None,
        ..over.config()
    };
    over.assert_refused(config, unknown, "ssh key is not known")
        .await;
    let missing = GitConfig {
        known_hosts: Some("/nonexistent/known_hosts".into()),
        ..over.config()
    };
    over.assert_refused(missing, unknown, "ssh key is not known")
        .await;

    // The one it has is not the one it had.
    let known = over.server.known_as(&over.server.user_key());
    fs::write(&over.known_hosts, known).unwrap();
    over.assert_refused(over.config(), unknown, "is not the known one")
        .await;
}

#[tokio::test]
async fn without_a_key_that_the_server_takes_nobody_is_let_in() {
    let Some(over) = OverSsh::new(SshServerMode::Serves) else {
        return;
    };
    let key = over.setup.area.outside.join("other_key");
    make_key(&key);
    let other = SshAgent::with(&key);
    for ssh_agent in [
        Some(other.socket.clone()),
        Some("/nonexistent/agent".into()),
        None,
    ] {
        let config = GitConfig {
            ssh_agent,
            ..over.config()
        };
        over.assert_refused(config, ErrorCode::Unauthenticated, "ssh agent's keys")
            .await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_ssh_with_it() {
    for mode in [SshServerMode::Silent, SshServerMode::Hangs] {
        let Some(over) = OverSsh::new(mode) else {
            return;
        };
        let call = &over.setup.call;
        let hurried = service_with(GitConfig {
            remote_time_limit: TimeSpan::secs(4),
            ..over.config()
        });
        let began = Instant::now();
        let error = hurried.fetch(call, GitFetch::default()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout, "{error}");
        assert!(error.message.contains("`git.remote_time_limit`"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
        assert_eq!(over.server.connections(), 1);
        over.assert_nobody_left().await;

        // A call that is cancelled takes ssh along too.
        let service = over.service();
        let before = over.progress();
        let begun = async {
            while over.progress() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            pushed = service.push(call, GitPush::default()) => panic!("{pushed:?}"),
            () = begun => {}
        }
        over.assert_nobody_left().await;
        let was_let_in = !over.server.asked().is_empty();
        assert_eq!(was_let_in, mode == SshServerMode::Hangs);
    }
}

#[tokio::test]
async fn nothing_in_the_repository_has_a_say_in_how_ssh_runs() {
    let Some(over) = OverSsh::new(SshServerMode::Serves) else {
        return;
    };
    let setup = &over.setup;
    let clone = &setup.clone;
    let Some(trap) = SshServer::start(&setup.area.outside.join("trap"), SshServerMode::Serves)
    else {
        return;
    };
    commit_file(clone, "mine", "x\n", "Mine");
    setup.commit_elsewhere("theirs");
    let ran = setup.area.outside.join("ran");
    let program = setup.area.root.join("program");
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let (there, elsewhere) = (over.server.url(&setup.bare), trap.url(&setup.bare));
    git(clone, ["config", "extensions.worktreeConfig", "true"]);
    git(clone, ["config", "--worktree", "core.sshCommand", program]);
    for (key, value) in [
        ("core.sshCommand", program),
        ("ssh.variant", "plink"),
        ("remote.origin.uploadpack", program),
        ("remote.origin.receivepack", program),
        ("remote.origin.vcs", "ext"),
        (&format!("url.{elsewhere}.insteadOf"), &there),
        (&format!("url.{elsewhere}.pushInsteadOf"), &there),
    ] {
        git(clone, ["config", key, value]);
    }
    // git itself would.
    assert!(!try_git(clone, ["ls-remote", &there]).status.success());
    assert!(ran.exists());
    fs::remove_file(&ran).unwrap();

    let service = over.service();
    service
        .fetch(&setup.call, GitFetch::default())
        .await
        .unwrap();
    let request = GitPush {
        remote_branch: Some("mine".try_into().unwrap()),
        ..GitPush::default()
    };
    service.push(&setup.call, request).await.unwrap();
    let asked = over.server.asked();
    for service in ["git-upload-pack '", "git-receive-pack '"] {
        assert!(asked.contains(service), "{asked}");
    }
    assert!(!asked.contains(program), "{asked}");
    assert_eq!(trap.connections(), 0);
    assert!(!ran.exists());
}
