//! Remotes.

use exomonad_core::GitService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;

#[tokio::test]
async fn no_credential_of_a_remote_is_shown_anywhere() {
    let area = Area::with_repository();
    let root = &area.root;
    git(
        root,
        [
            "remote",
            "add",
            "origin",
            "https://user:hunter2@example.com/o/r.git?token=hunter2",
        ],
    );
    git(
        root,
        [
            "remote",
            "add",
            "other",
            "https://hunter2@example.com/o/r.git",
        ],
    );
    git(
        root,
        [
            "config",
            "url.https://hunter2@mirror.example/.insteadOf",
            "mirror:",
        ],
    );
    git(root, ["remote", "add", "third", "mirror:o/r"]);
    let call = area.call();
    for (remote, url) in [
        ("origin", "https://example.com/o/r.git"),
        ("other", "https://example.com/o/r.git"),
        ("third", "https://mirror.example/o/r"),
    ] {
        let request = GitGetRemoteUrl {
            remote: remote.try_into().unwrap(),
            ..GitGetRemoteUrl::default()
        };
        let told = service().get_remote_url(&call, request).await.unwrap();
        assert_eq!(told.url, url);
    }
    let info = service()
        .repo_info(&call, GitRepoInfo::default())
        .await
        .unwrap();
    assert_eq!(info.remotes.len(), 3);
    let everything = format!("{info:?}");
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[tokio::test]
async fn a_remote_that_is_not_there_is_not_found_and_the_others_are_named() {
    let area = Area::with_repository();
    let ask = |remote: &str| GitGetRemoteUrl {
        remote: remote.try_into().unwrap(),
        ..GitGetRemoteUrl::default()
    };
    let error = service()
        .get_remote_url(&area.call(), ask("origin"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(error.message.contains("there is none"), "{error}");

    git(
        &area.root,
        [
            "remote",
            "add",
            "upstream",
            "https://u:hunter2@example.com/r",
        ],
    );
    for name in ["origin", "no such name", "..", "https://u:p@host"] {
        let error = service()
            .get_remote_url(&area.call(), ask(name))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{error}");
        assert!(error.message.contains("there are: upstream"), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}
