//! Locks that are held, lost, stale and foreign.

use exomonad_schema::EffectKind;

use super::*;

fn context() -> EffectContext {
    EffectContext::for_tests(EffectKind::GitCreateCommit)
}

fn session(common_dir: &Path) -> LockSession {
    let mut session = LockSession::begin(&context(), common_dir).unwrap();
    session.patience = Duration::from_millis(50);
    session
}

#[test]
fn a_lock_file_exists_while_the_lock_is_held_and_not_after() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    let session = session(dir.path());
    let job = Job::for_tests();
    let lock = session.lock(&context(), &job, &index).unwrap();
    assert!(dir.path().join("index.lock").is_file());
    lock.write(&context(), b"new").unwrap();
    assert_eq!(fs::read(&index).unwrap(), b"new");
    drop(session);
    let left: Vec<_> = fs::read_dir(dir.path().join(FOLDER)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!dir.path().join("index.lock").exists());
}

#[test]
fn a_foreign_lock_stays_whatever_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    for content in [&b""[..], b"DIRC", &[b'x'; LOCK_CONTENT.len()]] {
        let lock = dir.path().join("index.lock");
        fs::write(&lock, content).unwrap();
        let error = session
            .lock(&context(), &Job::for_tests(), &dir.path().join("index"))
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.contains("index.lock"), "{error}");
        assert_eq!(fs::read(&lock).unwrap(), content);
    }
}

#[test]
fn a_lock_of_ours_stays_while_its_process_lives_and_is_removed_when_it_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("HEAD");
    let job = Job::for_tests();
    let live = session(dir.path());
    let held = live.lock(&context(), &job, &target).unwrap();
    let second = session(dir.path());
    let error = second.lock(&context(), &job, &target).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);

    // What a killed process leaves: the files, and no kernel lock.
    std::mem::forget(held);
    fs::rename(&live.folder, dir.path().join("kept")).unwrap();
    drop(live);
    fs::rename(
        dir.path().join("kept"),
        dir.path().join("exomonad/session-0"),
    )
    .unwrap();
    assert!(dir.path().join("HEAD.lock").exists());
    drop(session(dir.path()));
    assert!(!dir.path().join("HEAD.lock").exists());
    assert!(!dir.path().join("exomonad/session-0").exists());
    assert!(second.lock(&context(), &job, &target).is_ok());
}

#[test]
fn a_removed_lock_is_noticed_and_its_successor_stays() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    let target = dir.path().join("index");
    let lock = session
        .lock(&context(), &Job::for_tests(), &target)
        .unwrap();
    fs::remove_file(dir.path().join("index.lock")).unwrap();
    fs::write(dir.path().join("index.lock"), "another's").unwrap();
    let error = lock.write(&context(), b"new").unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(!target.exists());
    assert!(dir.path().join("index.lock").exists());
}

#[test]
fn a_session_that_is_being_created_is_not_taken_for_stale() {
    let dir = tempfile::tempdir().unwrap();
    drop(session(dir.path()));
    let sessions = dir.path().join(FOLDER);
    // Another host is creating one: the folder is there, its owner file is not yet.
    let sessions_lock = lock_sessions(&context(), &sessions).unwrap();
    let folder = sessions.join("session-1");
    fs::create_dir(&folder).unwrap();
    let error = LockSession::begin(&context(), dir.path()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(folder.exists());
    drop(sessions_lock);
    drop(session(dir.path()));
    assert!(!folder.exists());
}
