use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::codec::tests::summary;
use crate::reader::{Cursor, Query};
use crate::record::moment;

const BOUNDS: Bounds = Bounds {
    size: 64 << 20,
    age: Duration::from_secs(3600),
    record: 1 << 20,
};

fn keep(journal: &Journal, id: u128, input: &[u8]) {
    let call = CallSummary {
        at: moment(SystemTime::now()),
        ..summary(id)
    };
    let recording = journal.record();
    journal.keep(
        &recording,
        EndedCall {
            summary: call,
            input,
            output: Some(b"{}"),
            error: None,
        },
    );
}

fn all() -> Query {
    Query {
        limit: 100_000,
        ..Query::default()
    }
}

fn ids(reader: &Reader, query: &Query) -> Vec<String> {
    let page = reader.list(query, &mut |_| true).unwrap();
    assert_eq!(page.warnings, [""; 0]);
    page.calls.iter().map(|call| call.id.to_string()).collect()
}

fn size(folder: &Path) -> u64 {
    files(folder)
        .unwrap()
        .values()
        .map(|about| about.len())
        .sum()
}

#[test]
fn what_is_kept_is_found_again_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("state/journal"), BOUNDS);
    assert!(ids(&journal.reader(), &all()).is_empty());
    assert!(
        !folder.path().join("state").exists(),
        "nothing is made before it is needed"
    );
    for id in 0..3 {
        keep(&journal, id, b"input");
    }
    journal.flush();
    assert_eq!(journal.counts(), (3, 0));
    let found = journal
        .reader()
        .find(&exomonad_schema::CallId::from(1))
        .unwrap()
        .unwrap();
    assert_eq!(found.input.0, b"input");
    assert!(found.call.complete);
    assert!(
        journal
            .reader()
            .find(&exomonad_schema::CallId::from(9))
            .unwrap()
            .is_none()
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in files(&folder.path().join("state/journal")).unwrap().keys() {
        assert_eq!(mode(path), 0o600);
    }
    assert_eq!(mode(&folder.path().join("state/journal")), 0o700);
}

#[test]
fn an_input_that_is_too_large_is_cut_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let small = Bounds {
        record: 64 << 10,
        ..BOUNDS
    };
    let journal = Journal::new(folder.path().to_owned(), small);
    keep(&journal, 1, &[b'x'; 100_000]);
    journal.flush();
    let found = journal
        .reader()
        .find(&exomonad_schema::CallId::from(1))
        .unwrap()
        .unwrap();
    assert_eq!(found.input.0.len(), 16 << 10);
    assert!(found.input_is_cut() && !found.call.complete);
}

#[test]
fn pages_go_through_all_calls_once_latest_first() {
    let folder = tempfile::tempdir().unwrap();
    let journals = [0, 1].map(|_| Journal::new(folder.path().to_owned(), BOUNDS));
    for id in 0..25_u128 {
        keep(&journals[usize::from(id % 2 == 0)], id, b"");
    }
    journals.iter().for_each(|journal| journal.flush());
    let reader = journals[0].reader();
    let everything = ids(&reader, &all());
    assert_eq!(everything.len(), 25, "both have written");
    let mut query = Query {
        limit: 7,
        ..Query::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = reader.list(&query, &mut |_| true).unwrap();
        seen.extend(page.calls.iter().map(|call| call.id.to_string()));
        match page.next {
            Some(next) => query.before = Some(Cursor::parse(&next).unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, everything);
    assert!(Cursor::parse("").is_none() && Cursor::parse("now/1").is_none());
    let exported = RefCellIds::default();
    let mut take = |record: crate::CallRecord| {
        exported.0.borrow_mut().push(record.call.id.to_string());
        true
    };
    reader.records(&all(), &mut |_| true, &mut take).unwrap();
    let mut exported = exported.0.into_inner();
    exported.reverse();
    assert_eq!(exported, everything);
}

#[derive(Default)]
struct RefCellIds(std::cell::RefCell<Vec<String>>);

#[test]
fn the_bound_on_size_holds_and_the_latest_calls_stay() {
    let folder = tempfile::tempdir().unwrap();
    let small = Bounds {
        size: 1 << 20,
        ..BOUNDS
    };
    let journal = Journal::new(folder.path().to_owned(), small);
    for id in 0..400 {
        keep(&journal, id, &[b'x'; 10_000]);
        if id % 100 == 99 {
            journal.flush();
            let most = small.size + 2 * 10_000;
            assert!(size(folder.path()) <= most, "after {id}");
        }
    }
    journal.flush();
    assert_eq!(journal.counts(), (400, 0));
    let kept = ids(&journal.reader(), &all());
    assert!((50..150).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0], exomonad_schema::CallId::from(399).to_string());
}

#[test]
fn a_file_that_is_too_old_goes_and_one_that_is_written_to_stays() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::new(folder.path().to_owned(), BOUNDS);
    keep(&first, 1, b"");
    first.flush();
    let in_use = files(folder.path()).unwrap().into_keys().next().unwrap();
    let left = folder.path().join("0000000000001-1-0.journal");
    fs::write(&left, FILE_HEAD).unwrap();
    let long_ago = SystemTime::now() - BOUNDS.age * 2;
    for path in [&in_use, &left] {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
    // Another host.
    let second = Journal::new(folder.path().to_owned(), BOUNDS);
    keep(&second, 2, b"");
    second.flush();
    assert!(in_use.exists() && !left.exists());
    keep(&first, 3, b"");
    first.flush();
    assert_eq!(ids(&first.reader(), &all()).len(), 3);
}

#[test]
fn a_file_that_somebody_deletes_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("journal"), BOUNDS);
    keep(&journal, 1, b"");
    journal.flush();
    fs::remove_dir_all(folder.path().join("journal")).unwrap();
    keep(&journal, 2, b"");
    journal.flush();
    assert_eq!(ids(&journal.reader(), &all()).len(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_drops_and_counts_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = folder.path().join("journal");
    fs::write(&blocker, "a file where a folder should be").unwrap();
    let journal = Journal::new(blocker.clone(), BOUNDS);
    for id in 0..3 {
        keep(&journal, id, b"");
        journal.flush();
    }
    assert_eq!(journal.counts(), (0, 3));
    fs::remove_file(&blocker).unwrap();
    keep(&journal, 4, b"");
    journal.flush();
    assert_eq!(journal.counts(), (1, 3));
    assert_eq!(journal.shared.budget.used(), 0);
}

#[test]
fn what_is_kept_before_the_end_is_written_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().to_owned(), BOUNDS);
    for id in 0..100 {
        keep(&journal, id, b"");
    }
    let reader = journal.reader();
    drop(journal);
    assert_eq!(ids(&reader, &all()).len(), 100);
}

#[test]
fn damage_is_named_with_its_file_unless_it_is_still_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().to_owned(), BOUNDS);
    keep(&journal, 1, b"");
    keep(&journal, 2, b"");
    journal.flush();
    let path = files(folder.path()).unwrap().into_keys().next().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length - 1)
        .unwrap();
    let reader = journal.reader();
    assert_eq!(ids(&reader, &all()).len(), 1, "a writer may add the rest");
    drop(journal);
    let page = reader.list(&all(), &mut |_| true).unwrap();
    assert_eq!(page.calls.len(), 1);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(page.warnings[0].contains(&name), "{:?}", page.warnings);
}
