use exomonad_test_support::fuzz;

use super::*;
use crate::codec::Part;
use crate::codec::tests::summary;

fn file(records: u128) -> Vec<u8> {
    let mut content = FILE_HEAD.to_vec();
    for id in 0..records {
        let mut events = Vec::new();
        let part = Part::Effect {
            name: "git.status",
            request: b"{}",
        };
        part.write(&mut events);
        let body = Body {
            input: b"{\"name\":\"repo_status\"}",
            input_bytes: 22,
            events: &events,
            output: Some(b"{}"),
            error: None,
        };
        write_frame(&summary(id), &body, &mut content);
    }
    content
}

/// The ids that can be read, whole, and the damage.
fn read_all(content: &[u8]) -> (Vec<String>, Vec<Damage>) {
    let (mut ids, mut damages) = (Vec::new(), Vec::new());
    for frame in read(content) {
        match frame.and_then(|frame| frame.record()) {
            Ok(record) => ids.push(record.call.id.to_string()),
            Err(damage) => damages.push(damage),
        }
    }
    (ids, damages)
}

#[test]
fn a_file_that_ends_anywhere_gives_every_whole_record_and_names_the_torn_one() {
    let content = file(3);
    let ends: Vec<usize> = read(&content)
        .skip(1)
        .map(|frame| frame.unwrap_or_else(|damage| panic!("{damage}")).offset)
        .chain([content.len()])
        .collect();
    for end in 0..content.len() {
        let (ids, damages) = read_all(&content[..end]);
        let whole = ends.iter().filter(|whole| **whole <= end).count();
        assert_eq!(ids.len(), whole, "cut at {end}");
        let is_clean = end <= FILE_HEAD.len() || ends.contains(&end);
        assert_eq!(damages.is_empty(), is_clean, "cut at {end}: {damages:?}");
        for damage in damages {
            assert_eq!(damage.reason, TORN, "cut at {end}");
        }
    }
}

#[test]
fn any_flipped_bit_costs_one_record_and_is_named() {
    let content = file(3);
    for bit in FILE_HEAD.len() * 8..content.len() * 8 {
        let mut damaged = content.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (ids, damages) = read_all(&damaged);
        assert_eq!(ids.len(), 2, "bit {bit}: {damages:?}");
        assert_eq!(damages.len(), 1, "bit {bit}");
    }
    let mut other = content;
    other[3] ^= 1;
    assert_eq!(
        read_all(&other).1[0].reason,
        "it is no journal of this version"
    );
}

#[test]
fn fuzz_journal_file() {
    let words = [
        "exomonad journal 1\n",
        "\"complete\":true",
        "\"role\":\"tl\"",
    ];
    fuzz("journal_file", &words, |bytes| {
        let (_, damages) = read_all(bytes);
        let skipped: usize = damages.iter().map(|damage| damage.bytes).sum();
        assert!(skipped <= bytes.len());
    });
}

/// With `EXOMONAD_WRITE_CORPUS` set it writes the corpus that the fuzzers begin with.
#[test]
fn the_corpus_is_of_the_present_form() {
    let folder = exomonad_test_support::repository().join("tests/corpus");
    if std::env::var_os("EXOMONAD_WRITE_CORPUS").is_some() {
        let content = file(2);
        std::fs::write(folder.join("journal_file/two"), &content).unwrap();
        for frame in read(&content).flatten().take(1) {
            std::fs::write(folder.join("journal_record/one"), frame.body).unwrap();
        }
    }
    let content = std::fs::read(folder.join("journal_file/two")).unwrap_or_default();
    let (ids, damages) = read_all(&content);
    assert_eq!(
        (ids.len(), damages.len()),
        (2, 0),
        "write it anew: EXOMONAD_WRITE_CORPUS=1"
    );
}
