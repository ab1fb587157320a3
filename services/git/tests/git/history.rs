//! Commits.

use std::fs;

use exomonad_core::GitService;
use exomonad_schema::effects::git::*;
use exomonad_schema::{EffectError, ErrorCode};

use crate::area::*;

async fn commits(area: &Area, reference: &str, limit: u64) -> Result<GitCommits, EffectError> {
    let request = GitGetRecentCommits {
        reference: reference.try_into().unwrap(),
        limit: limit.try_into().unwrap(),
        ..GitGetRecentCommits::default()
    };
    service().get_recent_commits(&area.call(), request).await
}

fn ids(commits: &GitCommits) -> Vec<&str> {
    commits.commits.iter().map(|commit| &*commit.id).collect()
}

#[tokio::test]
async fn commits_come_in_the_order_of_git_log_also_across_merges() {
    let area = Area::with_repository();
    let root = &area.root;
    git(root, ["checkout", "--quiet", "-b", "topic"]);
    commit_file(root, "t1", "x\n", "T1");
    git(root, ["checkout", "--quiet", "main"]);
    commit_file(root, "m1", "x\n", "M1");
    git(root, ["checkout", "--quiet", "topic"]);
    commit_file(root, "t2", "x\n", "T2");
    git(root, ["checkout", "--quiet", "main"]);
    git(
        root,
        ["merge", "--quiet", "--no-ff", "-m", "Merge", "topic"],
    );

    let told = commits(&area, "HEAD", 100).await.unwrap();
    let log = git(root, ["log", "--format=%H"]);
    assert_eq!(ids(&told), log.lines().collect::<Vec<_>>());
    assert!(!told.has_more);
    assert_eq!(told.commits[0].parents.len(), 2);

    let told = commits(&area, "topic~1", 1).await.unwrap();
    assert_eq!(ids(&told), [git(root, ["rev-parse", "topic~1"])]);
    assert!(told.has_more);
}

#[tokio::test]
async fn a_commit_is_listed_with_all_its_fields() {
    let area = Area::with_repository();
    let root = &area.root;
    let message = "Summary  \n\nBody, first line\n\nlast line\n\n";
    fs::write(root.join("message"), message).unwrap();
    git(
        root,
        [
            "commit",
            "--quiet",
            "--allow-empty",
            "--cleanup=verbatim",
            "-F",
            "message",
        ],
    );
    let told = commits(&area, "HEAD", 1).await.unwrap().commits.remove(0);
    assert_eq!(told.summary, "Summary");
    assert_eq!(told.body, "Body, first line\n\nlast line");
    assert_eq!(
        (&*told.author.name, &*told.author.email),
        ("Ada", "ada@example.com")
    );
    assert_eq!(told.committer.name, "Bob");
    let seconds: i64 = git(root, ["log", "-1", "--format=%at"]).parse().unwrap();
    assert_eq!(told.author.unix_millis, seconds * 1000);
    assert_eq!(told.author.offset_minutes, 90);
}

#[tokio::test]
async fn a_branch_without_a_commit_has_none_and_any_other_name_is_not_found() {
    let area = Area::new();
    git(&area.root, ["init", "--quiet"]);
    assert_eq!(
        commits(&area, "HEAD", 9).await.unwrap(),
        GitCommits::default()
    );
    let error = commits(&area, "elsewhere", 9).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_name_that_names_no_commit_says_why() {
    let area = Area::with_repository();
    for (name, code) in [
        ("no-such-branch", ErrorCode::NotFound),
        ("HEAD~99", ErrorCode::NotFound),
        ("HEAD..main", ErrorCode::InvalidInput),
        ("HEAD:file", ErrorCode::InvalidInput),
        ("HEAD^{", ErrorCode::InvalidInput),
        ("a\0b", ErrorCode::InvalidInput),
        ("../../HEAD", ErrorCode::InvalidInput),
        (":/(a+)+$", ErrorCode::Unsupported),
        ("HEAD^{/(a+)+$}", ErrorCode::Unsupported),
    ] {
        let error = commits(&area, name, 9).await.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(
            error.message.starts_with("git.get_recent_commits in "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_history_of_a_shallow_clone_ends_where_it_was_cut_off() {
    let area = Area::new();
    let source = area.root.join("source");
    init_with_commit(&source);
    for number in 0..5 {
        commit_file(&source, "file", &format!("{number}\n"), "More");
    }
    let url = format!("file://{}", source.display());
    git(
        &area.root,
        ["clone", "--quiet", "--depth=2", &url, "shallow"],
    );
    let shallow = area.root.join("shallow");
    git(
        &shallow,
        ["worktree", "add", "--quiet", "-b", "topic", "../linked"],
    );
    for folder in [shallow, area.root.join("linked")] {
        let request = GitGetRecentCommits {
            working_dir: working_dir(&folder),
            ..GitGetRecentCommits::default()
        };
        let told = service()
            .get_recent_commits(&area.call(), request)
            .await
            .unwrap();
        assert_eq!(told.commits.len(), 2, "{folder:?}");
        assert!(!told.has_more);
        let request = GitRepoInfo {
            working_dir: working_dir(&folder),
            container: None,
        };
        let info = service().repo_info(&area.call(), request).await.unwrap();
        assert!(info.is_shallow);
    }
}
