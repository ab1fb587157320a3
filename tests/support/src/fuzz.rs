//! Fuzzing without a toolchain of its own: mutations of a corpus, for some seconds in each run of the tests
//! and for as long as one likes by `just fuzz`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::repository;

/// The time for one input. Far more than any needs: an input that is not done by then hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// The words of any JSON.
pub const JSON_WORDS: [&str; 13] = [
    "null",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "1e999",
    "-0",
    "\u{feff}",
    "\"\"",
];

/// The largest input.
const MAX_BYTES: usize = 1 << 20;

/// Runs `check` on each file of `tests/corpus/TARGET`, then on mutations of these, for
/// `EXOMONAD_FUZZ_SECONDS` (1 if that is not set). `words` are put in now and then: the words of the format.
///
/// An input on which `check` panics or hangs is kept below `target/tmp/fuzz` and named. Once the fault is
/// mended it belongs into the corpus.
///
/// # Panics
/// If `check` does, or if there is no corpus.
pub fn fuzz(target: &str, words: &[&str], check: impl Fn(&[u8])) {
    let folder = repository().join("tests/corpus").join(target);
    let corpus = read_corpus(&folder);
    assert!(!corpus.is_empty(), "no corpus in {}", folder.display());
    let seconds = std::env::var("EXOMONAD_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let seed = std::env::var("EXOMONAD_FUZZ_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(seed_of_now);

    let current = Arc::new(Mutex::new(Vec::new()));
    let (tick, ticks) = mpsc::channel();
    let watched = (current.clone(), target.to_owned());
    let watch = thread::spawn(move || {
        loop {
            match ticks.recv_timeout(DEADLINE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let (current, target) = &watched;
                    let input = current.lock().unwrap_or_else(PoisonError::into_inner);
                    eprintln!("fuzz {target}: hangs on {}", keep(target, &input));
                    std::process::abort();
                }
            }
        }
    });
    let run = |input: &[u8]| {
        let mut kept = current.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        kept.extend_from_slice(input);
        drop(kept);
        let _ = tick.send(());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
            eprintln!("fuzz {target}: panics on {}", keep(target, input));
            resume_unwind(panic);
        }
    };

    let begin = Instant::now();
    let mut inputs = 0_u64;
    for input in &corpus {
        run(input);
        inputs += 1;
    }
    let mut mutator = Mutator {
        random: Random(seed),
        corpus: &corpus,
        words,
    };
    while begin.elapsed() < Duration::from_secs(seconds) {
        run(&mutator.next_input());
        inputs += 1;
    }
    println!("fuzz {target}: {inputs} inputs in {seconds} s, EXOMONAD_FUZZ_SEED={seed}");
    drop(tick);
    let _ = watch.join();
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.subsec_nanos().into())
}

fn read_corpus(folder: &PathBuf) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a file of the corpus"))
        .collect()
}

/// Writes an input to a file. Returns that file's path and the input itself, so far as it is short: the log may
/// be all that is left of the machine.
fn keep(target: &str, input: &[u8]) -> String {
    const SHORT: usize = 4096;
    let folder = crate::command::target_folder().join("tmp/fuzz");
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let path = folder.join(format!("{target}-{hash:016x}"));
    let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    let start = &input[..input.len().min(SHORT)];
    format!("{}: \"{}\"", path.display(), start.escape_ascii())
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> Option<&'a T> {
        choices.get(self.below(choices.len())).copied()
    }
}

/// Numbers at which arithmetic goes wrong.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "127",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "0.1",
];

struct Mutator<'a> {
    random: Random,
    corpus: &'a [Vec<u8>],
    words: &'a [&'a str],
}

impl Mutator<'_> {
    fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.corpus[self.random.below(self.corpus.len())].clone();
        for _ in 0..=self.random.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let end = at + self.random.below((input.len() - at).min(64) + 1);
        match self.random.below(10) {
            0 if at < input.len() => input[at] ^= 1 << self.random.below(8),
            1 if at < input.len() => input[at] = self.random.byte(),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let bytes: Vec<u8> = (0..self.random.below(8))
                    .map(|_| self.random.byte())
                    .collect();
                input.splice(at..at, bytes);
            }
            5 => {
                // Deep nesting and long lists begin with one thing written many times.
                let times = 1 << self.random.below(12);
                let chunk = input[at..end].repeat(times.min(MAX_BYTES / (end - at).max(1)));
                input.splice(at..at, chunk);
            }
            6 => {
                let other = &self.corpus[self.random.below(self.corpus.len())];
                let from = self.random.below(other.len() + 1);
                let until = from + self.random.below(other.len() - from + 1);
                let part = other[from..until].to_vec();
                input.splice(at..end, part);
            }
            7 => {
                if let Some(number) = self.random.of(&NUMBERS) {
                    let digits = input[at..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .count();
                    input.splice(at..at + digits, number.bytes());
                }
            }
            _ => {
                if let Some(word) = self.random.of(self.words) {
                    input.splice(at..end, word.bytes());
                }
            }
        }
    }
}
