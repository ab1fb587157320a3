//! Push and fetch with a real server on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use exomonad_core::GitService;
use exomonad_core::Secret;
use exomonad_git::GitConfig;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;
use exomonad_test_support::GitServerMode;

use crate::area::*;
use crate::cloned::*;
use crate::write::assert_sound;

#[tokio::test]
async fn a_branch_is_pushed_with_and_without_authentication() {
    for mode in [GitServerMode::Open, authorized()] {
        let setup = Setup::new(mode);
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
    for mode in [GitServerMode::Open, authorized()] {
        let setup = Setup::new(mode);
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
    let setup = Setup::new(GitServerMode::Open);
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
    let setup = Setup::new(GitServerMode::Open);
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
    let setup = Setup::new(GitServerMode::Open);
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
    for token in [Some(Secret::new("wrong-hunter2")), None] {
        let service = service_with(GitConfig {
            token,
            ..setup.config()
        });
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
async fn a_branch_that_left_others_behind_long_ago_is_pushed_with_what_is_new_in_it() {
    let setup = Setup::new(GitServerMode::Open);
    let clone = &setup.clone;
    fs::create_dir(clone.join("deep")).unwrap();
    commit_file(clone, "deep/a", &"a\n".repeat(100), "A");
    commit_file(clone, "gone", "back later\n", "Gone");
    git(clone, ["rm", "--quiet", "gone"]);
    git(clone, ["commit", "--quiet", "-m", "Removed"]);
    git(clone, ["checkout", "--quiet", "-b", "topic"]);
    git(clone, ["checkout", "--quiet", "main"]);
    commit_file(clone, "main", "main\n", "Main goes on");
    git(
        clone,
        ["merge", "--quiet", "--no-ff", "-m", "Merge", "topic"],
    );
    setup.push(GitPush::default()).await.unwrap();
    git(clone, ["checkout", "--quiet", "topic"]);
    git(clone, ["mv", "deep/a", "moved"]);
    commit_file(clone, "gone", "back later\n", "Back");
    git(clone, ["commit", "--quiet", "--allow-empty", "-m", "Empty"]);
    setup.push(GitPush::default()).await.unwrap();
    let told = |folder| git(folder, ["log", "--format=%H %s", "--raw", "topic"]);
    assert_eq!(told(&setup.bare), told(clone));
    git(&setup.bare, ["fsck", "--strict", "--no-dangling"]);

    let before = git(clone, ["rev-parse", "topic"]);
    git(
        clone,
        [
            "commit",
            "--quiet",
            "--amend",
            "--allow-empty",
            "-m",
            "Amended",
        ],
    );
    let error = setup.push(GitPush::default()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    let lease = GitPush {
        force_with_lease: Some(before.as_str().try_into().unwrap()),
        ..GitPush::default()
    };
    let pushed = setup.push(lease).await.unwrap();
    assert_eq!(pushed.updates[0].change, GitRefChange::Forced);
    assert_eq!(told(&setup.bare), told(clone));
    git(&setup.bare, ["fsck", "--strict", "--no-dangling"]);
    assert_sound(clone);
}
