//! A service is written as plain `async fn`s, and effects reach it by their JSON.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use exomonad_schema::effects::Done;
use exomonad_schema::effects::clock::{ClockNow, ClockTime, Sleep};
use exomonad_schema::effects::git::*;
use exomonad_schema::effects::http::{HttpRequest, HttpResponse};
use exomonad_schema::effects::kv::*;
use exomonad_schema::effects::log::{EmitEvent, Log};
use exomonad_schema::effects::random::{RandomBytes, RandomBytesAnswer};
use exomonad_schema::table::NotConfigured;
use exomonad_schema::{
    Base64, Bounds, CallContext, CallId, ClockService, EffectError, EffectHandler, EffectKind,
    EncodedAnswer, ErrorCode, GitService, HttpService, KvService, LogService, RandomService,
    RawJson, Services,
};

type Answered<T> = Result<T, EffectError>;

/// Answers with what it was asked.
struct Parrot;

impl LogService for Parrot {
    async fn write(&self, _: &CallContext, _: Log) -> Answered<Done> {
        Ok(Done {})
    }
    async fn emit_event(&self, _: &CallContext, _: EmitEvent) -> Answered<Done> {
        Ok(Done {})
    }
}

impl GitService for Parrot {
    async fn get_branch(&self, call: &CallContext, request: GitGetBranch) -> Answered<GitBranch> {
        Ok(GitBranch {
            head: GitHead::Branch,
            branch: Some(format!("{} in {}", call.role, request.working_dir.0)),
            commit: None,
        })
    }
    async fn get_worktree(&self, _: &CallContext, _: GitGetWorktree) -> Answered<GitWorktree> {
        Err(EffectError::new(ErrorCode::NotFound, "no worktree"))
    }
    async fn get_dirty_files(
        &self,
        _: &CallContext,
        _: GitGetDirtyFiles,
    ) -> Answered<GitDirtyFiles> {
        Ok(GitDirtyFiles::default())
    }
    async fn get_recent_commits(
        &self,
        _: &CallContext,
        _: GitGetRecentCommits,
    ) -> Answered<GitCommits> {
        Ok(GitCommits::default())
    }
    async fn status(&self, _: &CallContext, _: GitStatus) -> Answered<GitStatusReport> {
        Err(EffectError::internal("no status"))
    }
    async fn diff(&self, _: &CallContext, _: GitDiff) -> Answered<GitDiffReport> {
        Ok(GitDiffReport::default())
    }
    async fn get_remote_url(
        &self,
        _: &CallContext,
        request: GitGetRemoteUrl,
    ) -> Answered<GitRemoteUrl> {
        Ok(GitRemoteUrl {
            url: request.remote.to_string(),
        })
    }
    async fn create_branch(&self, _: &CallContext, _: GitCreateBranch) -> Answered<GitNewBranch> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn switch_branch(&self, _: &CallContext, _: GitSwitchBranch) -> Answered<GitBranch> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn stage(&self, _: &CallContext, _: GitStage) -> Answered<GitStaged> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn commit(&self, _: &CallContext, _: GitCreateCommit) -> Answered<GitCommit> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn push(&self, _: &CallContext, _: GitPush) -> Answered<GitPushed> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn fetch(&self, _: &CallContext, _: GitFetch) -> Answered<GitFetched> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn add_worktree(&self, _: &CallContext, _: GitAddWorktree) -> Answered<GitWorktree> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn remove_worktree(&self, _: &CallContext, _: GitRemoveWorktree) -> Answered<Done> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn stash(&self, _: &CallContext, _: GitStash) -> Answered<GitStashed> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn pop_stash(&self, _: &CallContext, _: GitPopStash) -> Answered<GitPoppedStash> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn list_stashes(&self, _: &CallContext, _: GitListStashes) -> Answered<GitStashes> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn create_tag(&self, _: &CallContext, _: GitCreateTag) -> Answered<GitTag> {
        Err(EffectError::internal("the parrot does not write"))
    }
    async fn repo_info(&self, _: &CallContext, _: GitRepoInfo) -> Answered<GitRepository> {
        Err(EffectError::internal("no repository"))
    }
}

impl KvService for Parrot {
    async fn get(&self, _: &CallContext, request: KvGet) -> Answered<KvEntry> {
        Ok(KvEntry {
            found: true,
            value: RawJson::new(&&*request.key).unwrap_or_default(),
        })
    }
    async fn set(&self, _: &CallContext, _: KvSet) -> Answered<Done> {
        Ok(Done {})
    }
    async fn delete(&self, _: &CallContext, _: KvDelete) -> Answered<KvDeleted> {
        Ok(KvDeleted { existed: false })
    }
    async fn list(&self, _: &CallContext, _: KvList) -> Answered<KvKeys> {
        Ok(KvKeys::default())
    }
}

impl ClockService for Parrot {
    async fn now(&self, _: &CallContext, _: ClockNow) -> Answered<ClockTime> {
        Ok(ClockTime {
            unix_millis: 0,
            iso8601: "1970-01-01T00:00:00.000Z".into(),
            monotonic_nanos: 0,
        })
    }
    async fn sleep(&self, _: &CallContext, _: Sleep) -> Answered<Done> {
        Ok(Done {})
    }
}

impl RandomService for Parrot {
    async fn bytes(&self, _: &CallContext, request: RandomBytes) -> Answered<RandomBytesAnswer> {
        Ok(RandomBytesAnswer {
            bytes: Base64(vec![4; request.length.get() as usize]),
        })
    }
}

impl HttpService for Parrot {
    async fn request(&self, _: &CallContext, request: HttpRequest) -> Answered<HttpResponse> {
        Ok(HttpResponse {
            status: 200,
            url: request.url.to_string(),
            headers: request.headers,
            body: request.body.unwrap_or_default(),
            body_bytes: request.body_bytes,
            truncated: false,
        })
    }
}

fn perform(effect: EffectKind, request: &str) -> EncodedAnswer {
    let services = Services {
        log: Parrot,
        git: Arc::new(Parrot),
        kv: Parrot,
        clock: Parrot,
        random: Parrot,
        http: Parrot,
        github: NotConfigured,
        docker: NotConfigured,
    };
    let call = CallContext {
        role: "tl".parse().unwrap(),
        call_id: CallId::from(7),
        caller: None,
        traceparent: None,
        bounds: Arc::new(Bounds {
            paths: vec![PathBuf::from("/")],
            ..Bounds::default()
        }),
    };
    // Nothing here ever waits, so that one poll is enough.
    let mut answer = services.handle(&call, effect, request.as_bytes());
    match answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("{effect} waits"),
    }
}

#[test]
fn an_effect_reaches_its_service_with_its_call_and_its_defaults() {
    let answer = perform(EffectKind::GitGetBranch, "{}");
    assert_eq!(
        std::str::from_utf8(answer.json()).unwrap(),
        r#"{"kind":"Success","payload":{"head":"branch","branch":"tl in ."}}"#
    );
    let answer = perform(EffectKind::GitGetRemoteUrl, "{}");
    assert_eq!(
        answer.json(),
        br#"{"kind":"Success","payload":{"url":"origin"}}"#
    );
}

#[test]
fn a_failure_is_an_answer_with_its_code() {
    let answer = perform(EffectKind::GitGetWorktree, "{}");
    assert_eq!(answer.error_code(), Some(ErrorCode::NotFound));
    assert_eq!(
        answer.json(),
        br#"{"kind":"Error","payload":{"code":"not_found","message":"no worktree"}}"#
    );
}

#[test]
fn a_request_beyond_its_limits_never_reaches_the_service() {
    let answer = perform(EffectKind::RandomBytes, r#"{"length":65537}"#);
    assert_eq!(answer.error_code(), Some(ErrorCode::InvalidInput));
    let text = String::from_utf8(answer.into_json()).unwrap();
    assert!(text.contains("65537 is not within 0..=65536"), "{text}");
}

#[test]
fn a_service_that_is_not_set_up_says_what_to_set() {
    let answer = perform(EffectKind::GitHubGetRepo, r#"{"repo":"a/b"}"#);
    assert_eq!(answer.error_code(), Some(ErrorCode::NotConfigured));
    let text = String::from_utf8(answer.into_json()).unwrap();
    assert!(text.contains("set [github] in exomonad.toml"), "{text}");
}
