//! Timing candidates in turns, so that whatever the machine does meanwhile happens to all of them.

use std::time::Duration;

/// How long one turn of a candidate takes, about.
const TURN: Duration = Duration::from_millis(25);
/// Turns that each candidate gets.
const ROUNDS: usize = 21;
/// The calls that find out how many fit into a turn.
const TRIAL: u32 = 3;

/// One way of doing the same thing.
pub struct Candidate<'a> {
    run: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Candidate<'a> {
    /// `run` makes as many calls as asked for, and says how long that took.
    pub fn new(run: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self { run: Box::new(run) }
    }
}

/// The median over all rounds of the time for one call, for each candidate.
pub fn in_turns(candidates: &mut [Candidate<'_>]) -> Vec<Duration> {
    let calls: Vec<u32> = candidates
        .iter_mut()
        .map(|candidate| {
            (candidate.run)(TRIAL);
            let each = (candidate.run)(TRIAL) / TRIAL;
            u32::try_from(TURN.as_nanos() / each.as_nanos().max(1))
                .unwrap_or(u32::MAX)
                .clamp(1, 200_000)
        })
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((candidate, calls), times) in candidates.iter_mut().zip(&calls).zip(&mut times) {
            times.push((candidate.run)(*calls) / *calls);
        }
    }
    times
        .into_iter()
        .map(|times| quantile(times, 0.5))
        .collect()
}

/// The value that this share of `times` does not exceed; zero if there are none.
#[must_use]
pub fn quantile(mut times: Vec<Duration>, share: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len().saturating_sub(1) as f64 * share).round() as usize;
    times.get(place).copied().unwrap_or_default()
}

/// A time in microseconds, with as many digits as it deserves.
#[must_use]
pub fn micros(time: Duration) -> String {
    let micros = time.as_nanos() as f64 / 1000.0;
    match micros {
        _ if micros < 10.0 => format!("{micros:.2} µs"),
        _ if micros < 1000.0 => format!("{micros:.1} µs"),
        _ => format!("{:.2} ms", micros / 1000.0),
    }
}

/// `a / b`, as a ratio.
#[must_use]
pub fn ratio(a: Duration, b: Duration) -> String {
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    if ratio < 10.0 {
        format!("{ratio:.2}")
    } else {
        format!("{ratio:.0}")
    }
}
