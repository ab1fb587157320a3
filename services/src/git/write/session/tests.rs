//! Locks that are held, lost, left and another's.

use exomonad_schema::EffectKind;

use super::*;

fn task() -> Task {
    Task::for_tests(EffectKind::GitCreateCommit)
}

fn session(common_dir: &Path) -> Session {
    let mut session = Session::begin(&task(), common_dir).unwrap();
    session.patience = Duration::from_millis(50);
    session
}

#[test]
fn a_lock_is_there_while_it_is_held_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    let session = session(dir.path());
    let job = Job::for_tests();
    let lock = session.lock(&task(), &job, &index).unwrap();
    assert!(dir.path().join("index.lock").is_file());
    lock.write(&task(), b"new").unwrap();
    assert_eq!(fs::read(&index).unwrap(), b"new");
    drop(session);
    let left: Vec<_> = fs::read_dir(dir.path().join(FOLDER)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!dir.path().join("index.lock").exists());
}

#[test]
fn a_lock_of_somebody_else_stays_whatever_its_age_or_text() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    for content in [&b""[..], b"DIRC", &[b'x'; MARK.len()]] {
        let lock = dir.path().join("index.lock");
        fs::write(&lock, content).unwrap();
        let error = session
            .lock(&task(), &Job::for_tests(), &dir.path().join("index"))
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.contains("index.lock"), "{error}");
        assert_eq!(fs::read(&lock).unwrap(), content);
    }
}

#[test]
fn a_lock_of_ours_stays_while_its_holder_lives_and_goes_when_it_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("HEAD");
    let job = Job::for_tests();
    let live = session(dir.path());
    let held = live.lock(&task(), &job, &target).unwrap();
    let second = session(dir.path());
    let error = second.lock(&task(), &job, &target).unwrap_err();
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
    assert!(second.lock(&task(), &job, &target).is_ok());
}

#[test]
fn a_lock_that_was_taken_away_is_noticed_and_its_successor_stays() {
    let dir = tempfile::tempdir().unwrap();
    let session = session(dir.path());
    let target = dir.path().join("index");
    let lock = session.lock(&task(), &Job::for_tests(), &target).unwrap();
    fs::remove_file(dir.path().join("index.lock")).unwrap();
    fs::write(dir.path().join("index.lock"), "another's").unwrap();
    let error = lock.write(&task(), b"new").unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(!target.exists());
    assert!(dir.path().join("index.lock").exists());
}

#[test]
fn a_session_that_is_being_made_is_not_taken_for_dead() {
    let dir = tempfile::tempdir().unwrap();
    drop(session(dir.path()));
    let sessions = dir.path().join(FOLDER);
    // Another host in the middle of making one: the folder is there, its owner is not yet.
    let making = make_alone(&task(), &sessions).unwrap();
    let folder = sessions.join("session-1");
    fs::create_dir(&folder).unwrap();
    let error = Session::begin(&task(), dir.path()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(folder.exists());
    drop(making);
    drop(session(dir.path()));
    assert!(!folder.exists());
}
