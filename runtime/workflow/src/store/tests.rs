use exomonad_journal::RequestHash;
use tempfile::TempDir;

use super::within;
use super::*;
use crate::event::{EventBody, Request};

fn folder() -> (TempDir, KvConfig) {
    let folder = tempfile::tempdir().unwrap();
    let config = KvConfig::in_dir(folder.path());
    (folder, config)
}

fn new_run(id: &str) -> NewRun {
    NewRun {
        role: "tl".to_owned(),
        workflow: "ship".to_owned(),
        workflow_id: id.to_owned(),
        run_id: format!("run-{id}"),
        digest: "d".to_owned(),
        configuration: "{}".to_owned(),
        input: "{\"n\":1}".to_owned(),
        state_before: None,
        state_version: 0,
        seed: [7; 16],
        at: 1_000,
        wake_at: 0,
        parent: None,
        on_parent_end: OnParentEnd::Cancel,
        continued_from: None,
        client: None,
        started_by: None,
    }
}

async fn started(store: &Store, run: NewRun) -> RunRow {
    match store.start(run).await.unwrap() {
        Started::New(row) => row,
        Started::Open(row) => panic!("{} is open", row.run_id),
    }
}

fn step(position: u64) -> Event {
    let seq = position;
    Event {
        position,
        at: 5,
        body: EventBody::Done {
            seq,
            attempt: 1,
            answer: b"{\"kind\":\"Success\",\"payload\":{}}".to_vec(),
            request: Some(Request {
                seq,
                effect: "git.status".to_owned(),
                hash: RequestHash::of("git.status", b"{}"),
                request: b"{}".to_vec(),
            }),
        },
    }
}

fn signal(request: &str) -> NewInboxEntry {
    NewInboxEntry {
        request: request.to_owned(),
        kind: InboxKind::Signal,
        name: Some("go".to_owned()),
        seq: None,
        payload: Some("1".to_owned()),
        at: 9,
    }
}

fn ended(status: WorkflowStatus) -> Ended {
    Ended {
        status,
        output: None,
        error_code: None,
        error: None,
        state: None,
        at: 50,
        continued: None,
        answer: "{}".to_owned(),
    }
}

#[tokio::test]
async fn a_run_and_its_history_are_what_was_written_also_in_the_next_process() {
    let (_folder, config) = folder();
    let events = vec![
        step(0),
        Event {
            position: 1,
            at: 6,
            body: EventBody::Attempt {
                seq: 1,
                attempt: 2,
                answer: vec![0, 255],
                next_at: 77,
            },
        },
        Event {
            position: 2,
            at: 7,
            body: EventBody::CancelRequested,
        },
        Event {
            position: 3,
            at: 8,
            body: EventBody::Fired {
                seq: 2,
                since: Some(3),
            },
        },
        // As an older host has written it.
        Event {
            position: 4,
            at: 8,
            body: EventBody::Fired {
                seq: 3,
                since: None,
            },
        },
    ];
    let row = {
        let store = Store::open(&config).unwrap();
        let row = started(&store, new_run("a")).await;
        let room = store.room(10).await;
        store.append(room, row.key, events.clone(), |failure| panic!("{failure}"));
        store.close();
        row
    };
    let store = Store::open(&config).unwrap();
    assert_eq!(store.history(row.key, 0, 10).await.unwrap(), events);
    assert_eq!(store.run("run-a".to_owned()).await.unwrap(), Some(row));
}

#[tokio::test]
async fn of_the_runs_with_one_id_one_is_open() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let row = started(&store, new_run("a")).await;
    let second = NewRun {
        run_id: "other".to_owned(),
        ..new_run("a")
    };
    assert_eq!(
        store.start(second.clone()).await.unwrap(),
        Started::Open(row.clone())
    );
    let end = move |connection: &Connection, _: &KvConfig| {
        within::end(connection, &row, &ended(WorkflowStatus::Completed))
    };
    store.write(0, end).await.unwrap();
    assert_eq!(started(&store, second).await.run_id, "other");
}

#[tokio::test]
async fn a_second_process_does_not_drive_the_same_runs() {
    let (_folder, config) = folder();
    let first = Store::open(&config).unwrap();
    assert!(matches!(Store::open(&config), Err(OpenError::Taken(_))));
    first.close();
    drop(first);
    Store::open(&config).unwrap();
}

#[tokio::test]
async fn a_position_is_used_once_and_the_group_of_the_other_fails_whole() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let row = started(&store, new_run("a")).await;
    let insert = |position| {
        let key = row.key;
        store.write(0, move |connection, _| {
            within::insert_events(connection, key, &[step(position)])
        })
    };
    insert(0).await.unwrap();
    assert_eq!(insert(0).await, Err(StoreFailure::Fenced));
    insert(1).await.unwrap();
    assert_eq!(store.history(row.key, 0, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_the_others_are_read() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let (sick, sound) = (
        started(&store, new_run("a")).await,
        started(&store, new_run("b")).await,
    );
    for key in [sick.key, sound.key] {
        let events = [step(0), step(1), step(2)];
        let insert = move |connection: &Connection, _: &KvConfig| {
            within::insert_events(connection, key, &events)
        };
        store.write(0, insert).await.unwrap();
    }
    let damage =
        |sql: &'static str| store.write(0, move |connection, _| Ok(connection.execute_batch(sql)?));
    damage("UPDATE event SET answer = x'00' WHERE run = 1 AND position = 1")
        .await
        .unwrap();
    let failure = store.history(sick.key, 0, 10).await.unwrap_err();
    assert!(
        matches!(&failure, StoreFailure::Damaged(reason) if reason.contains("entry 1")),
        "{failure}"
    );
    damage("DELETE FROM event WHERE run = 1 AND position = 1")
        .await
        .unwrap();
    let failure = store.history(sick.key, 0, 10).await.unwrap_err();
    assert!(
        matches!(&failure, StoreFailure::Damaged(reason) if reason.contains("missing")),
        "{failure}"
    );
    assert_eq!(store.history(sound.key, 0, 10).await.unwrap().len(), 3);
    damage("UPDATE run SET input = '{}' WHERE id = 1")
        .await
        .unwrap();
    let due = store.hold_due(10, 10).await.unwrap();
    assert_eq!(
        due.iter().map(|run| run.key).collect::<Vec<_>>(),
        [sound.key]
    );
    let stuck = store.list(Filter {
        statuses: vec![WorkflowStatus::Stuck],
        limit: 10,
        ..Filter::default()
    });
    assert_eq!(stuck.await.unwrap().items[0].run_id, sick.run_id);
}

#[tokio::test]
async fn what_comes_for_a_run_that_sleeps_wakes_it_and_comes_once() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let key = started(&store, new_run("a")).await.key;
    assert_eq!(store.hold_due(10, 10).await.unwrap().len(), 1);
    let pause = || {
        store.write(0, move |connection, _| {
            let pause = Pause {
                status: WorkflowStatus::Waiting,
                wake_at: None,
                asked: 3,
                state: Some(("[1]".to_owned(), 2)),
            };
            within::pause(connection, key, &pause)
        })
    };
    assert_eq!(pause().await.unwrap(), Wake::Asleep);
    assert_eq!(store.next_due().await.unwrap(), None);
    assert!(store.post(key, signal("x")).await.unwrap());
    assert!(!store.post(key, signal("x")).await.unwrap());
    assert_eq!(store.next_due().await.unwrap(), Some(0));
    let held = store.hold_due(10, 10).await.unwrap();
    assert_eq!(
        (
            held[0].asked,
            held[0].state.as_deref(),
            held[0].state_version
        ),
        (3, Some("[1]"), 2)
    );
    // Something waits: it does not fall asleep.
    assert_eq!(pause().await.unwrap(), Wake::Held);
    let mail = store
        .read(move |connection| within::inbox(connection, key))
        .await
        .unwrap();
    assert_eq!(mail.len(), 1);
    let taken = move |connection: &Connection, _: &KvConfig| {
        within::take_inbox(connection, key, mail[0].id, &[step(0)])
    };
    store.write(0, taken).await.unwrap();
    assert_eq!(pause().await.unwrap(), Wake::Asleep);
}

#[tokio::test]
async fn the_end_of_a_run_answers_its_parent_and_decides_about_its_children() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let parent = started(&store, new_run("parent")).await;
    let child = |id: &str, fate| NewRun {
        parent: Some((parent.key, 4)),
        on_parent_end: fate,
        ..new_run(id)
    };
    let asked = started(&store, child("asked", OnParentEnd::Cancel)).await;
    let ended_too = started(&store, child("ended", OnParentEnd::Terminate)).await;
    let left = started(&store, child("left", OnParentEnd::Abandon)).await;
    let row = parent.clone();
    let end = move |connection: &Connection, _: &KvConfig| {
        within::end(connection, &row, &ended(WorkflowStatus::Failed))
    };
    let effects = store.write(0, end).await.unwrap();
    assert_eq!(effects.woken, [asked.key]);
    let terminated: Vec<_> = effects.terminated.iter().map(|run| run.key).collect();
    assert_eq!(terminated, [ended_too.key]);
    let status = async |run: &RunRow| {
        let run = store.run(run.run_id.clone()).await.unwrap().unwrap();
        (run.status, run.ended_at.is_some())
    };
    assert_eq!(status(&ended_too).await, (WorkflowStatus::Terminated, true));
    assert_eq!(status(&left).await, (WorkflowStatus::Running, false));
    let key = asked.key;
    let mail = store
        .read(move |connection| within::inbox(connection, key))
        .await
        .unwrap();
    assert_eq!(mail[0].entry.kind, InboxKind::Cancel);
    assert!(matches!(
        store.post(parent.key, signal("late")).await,
        Err(StoreFailure::Refused { .. })
    ));
}

#[tokio::test]
async fn a_run_that_continues_as_a_new_one_hands_on_what_it_did_not_take() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let row = started(&store, new_run("a")).await;
    store.post(row.key, signal("waits")).await.unwrap();
    let next = NewRun {
        run_id: "next".to_owned(),
        continued_from: Some(row.run_id.clone()),
        ..new_run("a")
    };
    let of_run = row.clone();
    let end = move |connection: &Connection, _: &KvConfig| {
        let ended = Ended {
            continued: Some(Continuation {
                run: Box::new(next),
                signals: vec![("go".to_owned(), b"2".to_vec())],
            }),
            ..ended(WorkflowStatus::Continued)
        };
        within::end(connection, &of_run, &ended)
    };
    let effects = store.write(0, end).await.unwrap();
    let mail = store
        .read(move |connection| within::inbox(connection, effects.woken[0]))
        .await
        .unwrap();
    assert_eq!(mail.len(), 2);
    let old = store.run(row.run_id).await.unwrap().unwrap();
    assert_eq!(old.continued_to.as_deref(), Some("next"));
}

#[tokio::test]
async fn open_runs_are_counted_by_role_and_status() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let other = NewRun {
        role: "dev".to_owned(),
        ..new_run("d")
    };
    started(&store, other).await;
    started(&store, new_run("a")).await;
    let stuck = started(&store, new_run("b")).await.key;
    let done = started(&store, new_run("c")).await;
    store
        .write(0, move |connection, _| {
            within::stick(connection, stuck, "mismatch", "it differs", None)?;
            within::end(connection, &done, &ended(WorkflowStatus::Completed))
        })
        .await
        .unwrap();
    let mut counts = store.read(within::count_open).await.unwrap();
    counts.sort();
    let count = |role: &str, status| ((role.to_owned(), status), 1);
    assert_eq!(
        counts,
        [
            count("dev", WorkflowStatus::Running),
            count("tl", WorkflowStatus::Running),
            count("tl", WorkflowStatus::Stuck),
        ]
    );
}

#[tokio::test]
async fn old_runs_go_with_their_histories_and_open_ones_stay() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let (old, open) = (
        started(&store, new_run("old")).await,
        started(&store, new_run("open")).await,
    );
    let row = old.clone();
    store
        .write(0, move |connection, _| {
            within::insert_events(connection, row.key, &[step(0)])?;
            within::end(connection, &row, &ended(WorkflowStatus::Completed))
        })
        .await
        .unwrap();
    let remove = |before| {
        store.write(0, move |connection, _| {
            within::delete_before(connection, before, 10)
        })
    };
    assert_eq!(remove(50).await.unwrap(), 0);
    assert_eq!(remove(51).await.unwrap(), 1);
    assert_eq!(store.run(old.run_id).await.unwrap(), None);
    assert_eq!(store.history(old.key, 0, 10).await.unwrap(), []);
    assert!(store.run(open.run_id).await.unwrap().is_some());
}

/// Posts a signal, and tells if it is another one.
async fn posted(store: &Store, run: RunKey, request: String) -> bool {
    let entry = signal(&request);
    let post = store.write(0, move |connection, _| {
        within::post_signal_once(connection, run, &entry)
    });
    post.await.unwrap()
}

#[tokio::test]
async fn a_signal_that_is_sent_again_is_known_as_long_as_its_run_is_open() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let row = started(&store, new_run("a")).await;
    let other = started(&store, new_run("b")).await.key;
    assert!(posted(&store, row.key, "x".to_owned()).await);
    assert!(posted(&store, other, "x".to_owned()).await);
    let key = row.key;
    // It is taken, and known nevertheless.
    let take = move |connection: &Connection, _: &KvConfig| {
        let last = within::inbox(connection, key)?.last().map(|entry| entry.id);
        within::take_inbox(connection, key, last.unwrap_or(0), &[])
    };
    store.write(0, take).await.unwrap();
    assert!(!posted(&store, key, "x".to_owned()).await);
    assert!(posted(&store, key, "y".to_owned()).await);
    // As it is to the run that continues this one.
    let next = NewRun {
        run_id: "next".to_owned(),
        ..new_run("a")
    };
    let end = move |connection: &Connection, _: &KvConfig| {
        let ended = Ended {
            continued: Some(Continuation {
                run: Box::new(next),
                signals: Vec::new(),
            }),
            ..ended(WorkflowStatus::Continued)
        };
        within::end(connection, &row, &ended)
    };
    store.write(0, end).await.unwrap();
    let next = store.run("next".to_owned()).await.unwrap().unwrap();
    assert!(!posted(&store, next.key, "x".to_owned()).await);
    // When that one ends, nothing is left.
    let end = move |connection: &Connection, _: &KvConfig| {
        within::end(connection, &next, &ended(WorkflowStatus::Completed))?;
        Ok::<_, StoreFailure>(rows(connection, ["signal_request", "inbox"]))
    };
    assert_eq!(store.write(0, end).await.unwrap(), [1, 1]);
}

#[tokio::test]
async fn no_more_signals_wait_for_a_run_than_may() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let key = started(&store, new_run("a")).await.key;
    let storm = move |connection: &Connection, _: &KvConfig| {
        for nth in 0..MOST_SIGNALS {
            within::post(connection, key, &signal(&nth.to_string()))?;
        }
        Ok::<_, StoreFailure>(within::post(connection, key, &signal("one more")).unwrap_err())
    };
    let refused = store.write(0, storm).await.unwrap();
    assert!(
        matches!(
            &refused,
            StoreFailure::Refused { code: ErrorCode::LimitExceeded, message } if message.contains("10000 signals")
        ),
        "{refused:?}"
    );
    // What the host itself tells a run is not refused.
    let cancel = NewInboxEntry {
        kind: InboxKind::Cancel,
        ..signal("cancel")
    };
    assert!(store.post(key, cancel).await.unwrap());
}

#[tokio::test]
async fn the_latest_requests_of_signals_are_known_and_no_more() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let key = started(&store, new_run("a")).await.key;
    let fill = move |connection: &Connection, _: &KvConfig| {
        for nth in 0..SIGNAL_REQUESTS + 5 {
            within::post_signal_once(connection, key, &signal(&nth.to_string()))?;
            // They are taken at once.
            connection.execute("DELETE FROM inbox", [])?;
        }
        Ok::<_, StoreFailure>(rows(connection, ["signal_request", "inbox"]))
    };
    let kept = store.write(0, fill).await.unwrap();
    assert_eq!(kept, [SIGNAL_REQUESTS, 0]);
    assert!(posted(&store, key, "4".to_owned()).await);
    assert!(!posted(&store, key, "6".to_owned()).await);
}

/// The numbers of rows of these tables.
fn rows(connection: &Connection, tables: [&str; 2]) -> [u64; 2] {
    tables.map(|table| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    })
}

#[tokio::test]
async fn large_texts_are_not_in_the_row_that_each_change_of_a_status_writes() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let large = |fill: &str| format!("\"{}\"", fill.repeat(70_000));
    let run = NewRun {
        input: large("i"),
        state_before: Some(large("b")),
        ..new_run("a")
    };
    let row = started(&store, run).await;
    let key = row.key;
    let publish = async |state: String| {
        let pause = Pause {
            status: WorkflowStatus::Waiting,
            wake_at: None,
            asked: 0,
            state: Some((state, 1)),
        };
        store
            .write(0, move |connection, _| {
                within::pause(connection, key, &pause)?;
                let sql = "SELECT length(input) + length(state_before) FROM run";
                let in_row = connection.query_row(sql, [], |row| row.get::<_, u64>(0))?;
                assert_eq!(in_row, 0);
                Ok(rows(connection, ["run_text", "run"]))
            })
            .await
            .unwrap()
    };
    assert_eq!(publish(large("s")).await, [3, 1]);
    let read = store.run(row.run_id.clone()).await.unwrap().unwrap();
    assert_eq!(
        (&read.input, &read.state_before),
        (&row.input, &row.state_before)
    );
    assert_eq!(read.state, Some(large("s")));
    publish(large("t")).await;
    let read = store.run(row.run_id.clone()).await.unwrap().unwrap();
    assert_eq!(read.state, Some(large("t")));
    assert_eq!(publish("[]".to_owned()).await, [2, 1]);
    let read = store
        .list(Filter {
            limit: 9,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert_eq!(read.items[0].state.as_deref(), Some("[]"));
    // One that is missing is damage, and no empty input.
    let lose = |connection: &Connection, _: &KvConfig| {
        Ok::<_, StoreFailure>(connection.execute("DELETE FROM run_text WHERE part = 'input'", [])?)
    };
    store.write(0, lose).await.unwrap();
    let damaged = store.run(row.run_id).await.unwrap_err();
    assert!(matches!(damaged, StoreFailure::Damaged(_)), "{damaged:?}");
}

#[tokio::test]
async fn a_page_ends_where_it_is_full_by_number_or_by_bytes() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let large = format!("{:?}", "i".repeat(3 << 20));
    for (id, input) in [("a", "1"), ("b", &*large), ("c", &*large), ("d", "1")] {
        let run = NewRun {
            input: input.to_owned(),
            ..new_run(id)
        };
        started(&store, run).await;
    }
    let page = async |limit, before| {
        let filter = Filter {
            limit,
            before,
            ..Filter::default()
        };
        let page = store.list(filter).await.unwrap();
        let ids = page.items.iter().map(|run| run.workflow_id.clone());
        (ids.collect::<Vec<_>>().concat(), page.has_more)
    };
    assert_eq!(page(2, None).await, ("dc".to_owned(), true));
    // The two large ones are more than a page.
    assert_eq!(page(4, None).await, ("dc".to_owned(), true));
    assert_eq!(page(4, Some(3)).await, ("ba".to_owned(), false));
    assert_eq!(page(1, Some(3)).await, ("b".to_owned(), true));
}

#[tokio::test]
async fn what_is_removed_leaves_no_row_and_its_room_in_the_file_is_used_again() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let mut pages = Vec::new();
    for round in 0..6 {
        for nth in 0..50 {
            let run = NewRun {
                input: format!("\"{}\"", "x".repeat(20_000)),
                ..new_run(&format!("{round}-{nth}"))
            };
            let row = started(&store, run).await;
            store.post(row.key, signal("waits")).await.unwrap();
            let end = move |connection: &Connection, _: &KvConfig| {
                let events: Vec<_> = (0..20).map(step).collect();
                within::insert_events(connection, row.key, &events)?;
                within::end(connection, &row, &ended(WorkflowStatus::Completed))
            };
            store.write(0, end).await.unwrap();
        }
        let count = |connection: &Connection| {
            let count = connection.query_row("PRAGMA page_count", [], |row| row.get::<_, u64>(0));
            Ok::<_, StoreFailure>(count?)
        };
        pages.push(store.read(count).await.unwrap());
        let removed = store.write(0, |connection, _| {
            within::delete_before(connection, i64::MAX, 1_000)
        });
        assert_eq!(removed.await.unwrap(), 50);
    }
    let left =
        store.read(|connection| Ok::<_, StoreFailure>(rows(connection, ["event", "run_text"])));
    assert_eq!(left.await.unwrap(), [0, 0]);
    assert!(pages[5] <= pages[0] + pages[0] / 10, "{pages:?}");
}

#[tokio::test]
async fn questions_wait_with_their_answers_until_they_are_answered_or_their_run_ends() {
    let (_folder, config) = folder();
    let store = Store::open(&config).unwrap();
    let row = started(&store, new_run("a")).await;
    let key = row.key;
    let question = |seq| QuestionRow {
        seq,
        effect: "mcp.elicit".to_owned(),
        request: b"{}".to_vec(),
        questions: "[]".to_owned(),
        answers: "{}".to_owned(),
    };
    let asked = move |connection: &Connection, _: &KvConfig| {
        for seq in [3, 7, 9] {
            within::ask(connection, key, &question(seq))?;
        }
        within::set_answers(connection, key, 7, r#"{"k":1}"#)?;
        within::forget_questions(connection, key, 3..4)
    };
    store.write(0, asked).await.unwrap();
    let waiting = async || {
        let read = store.read(move |connection| within::questions(connection, key));
        let rows = read.await.unwrap().into_iter();
        rows.map(|row| (row.seq, row.answers)).collect::<Vec<_>>()
    };
    let with_answer = (7, r#"{"k":1}"#.to_owned());
    assert_eq!(waiting().await, [with_answer, (9, "{}".to_owned())]);
    let end = move |connection: &Connection, _: &KvConfig| {
        within::end(connection, &row, &ended(WorkflowStatus::Completed))
    };
    store.write(0, end).await.unwrap();
    assert_eq!(waiting().await, []);
}
