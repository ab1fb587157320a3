//! A repository on a server, and a clone of it.

use std::fs;
use std::path::PathBuf;

use exomonad_core::Secret;
use exomonad_core::values::TimeSpan;
use exomonad_core::{CallContext, GitService};
use exomonad_git::GitConfig;
use exomonad_schema::EffectError;
use exomonad_schema::effects::git::*;
use exomonad_test_support::{GitServer, GitServerMode};

use crate::area::*;

pub const TOKEN: &str = "hunter2-hunter2";
/// `x-access-token:hunter2-hunter2`, as RFC 7617 has it.
pub const BASIC: &str = "Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMi1odW50ZXIy";

/// A clone in reach of the role, and the server it was cloned from.
pub struct Setup {
    pub area: Area,
    pub clone: PathBuf,
    pub bare: PathBuf,
    pub server: GitServer,
    pub call: CallContext,
}

impl Setup {
    pub fn new(mode: GitServerMode) -> Self {
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
        let server = GitServer::start(&served, mode);
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

    pub fn config(&self) -> GitConfig {
        GitConfig {
            author_name: Some("Eve".into()),
            author_email: Some("eve@example.com".into()),
            token: Some(Secret::new(TOKEN)),
            token_hosts: vec![self.server.host()],
            remote_hosts: vec!["*".into(), "127.0.0.1".into(), "localhost".into()],
            remote_time_limit: TimeSpan::secs(30),
            ..GitConfig::default()
        }
    }

    pub fn service(&self) -> Service {
        service_with(self.config())
    }

    pub async fn push(&self, request: GitPush) -> Result<GitPushed, EffectError> {
        let pushed = self.service().push(&self.call, request).await;
        assert_no_secret(&pushed);
        pushed
    }

    pub async fn fetch(&self, request: GitFetch) -> Result<GitFetched, EffectError> {
        let fetched = self.service().fetch(&self.call, request).await;
        assert_no_secret(&fetched);
        fetched
    }

    /// Somebody else pushes a commit.
    pub fn commit_elsewhere(&self, name: &str) -> String {
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

pub fn assert_no_secret(value: &impl std::fmt::Debug) {
    let text = format!("{value:?}");
    assert!(
        !text.contains("hunter2") && !text.contains(&BASIC[6..]),
        "{text}"
    );
}

pub fn authorized() -> GitServerMode {
    GitServerMode::Authorized(BASIC.to_owned())
}
