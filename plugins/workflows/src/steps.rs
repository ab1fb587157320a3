//! Workflows that perform steps.

use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use exomonad_guest::{clock, kv, random};

/// How many steps, and of which kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The number of steps.
    pub count: u64,
    /// Their kind.
    pub kind: StepKind,
}

/// A kind of step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// `kv.get`.
    Read,
    /// `kv.set`, of one key in turn to each number.
    Kv,
}

/// A number of things done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// The number.
    pub count: u64,
}

/// Performs steps, one after the other.
#[workflow(tool)]
pub fn steps(input: Steps, run: &Run) -> Result<Count, WorkflowError> {
    let key = format!("steps/{}", run.workflow_id());
    for step in 0..input.count {
        match input.kind {
            StepKind::Read => {
                kv::get(&KvGet::new(&*key))?;
            }
            StepKind::Kv => {
                kv::set(&KvSet::new(&*key, Json::new(&(step + 1))?))?;
            }
        }
    }
    Ok(Count { count: input.count })
}

/// How much runs beside each other.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The number of timers, and of writes.
    pub n: u64,
    /// The time of the first timer; each other takes one millisecond more.
    pub millis: u64,
}

/// The numbers of things that ran beside each other.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parallelled {
    /// The timers that have ended.
    pub timers: u64,
    /// The writes that have succeeded.
    pub writes: u64,
    /// The position of the timer that has won the race.
    pub winner: u64,
}

/// Starts timers and writes, waits for all of them, and then for the first of as many timers again.
#[workflow]
pub fn parallel(input: Parallel, run: &Run) -> Result<Parallelled, WorkflowError> {
    let after = |more: u64| Duration::from_millis(input.millis + more);
    let timers = (0..input.n).map(|nth| run.timer(after(nth)));
    let timers = timers.collect::<Result<Vec<_>, _>>()?;
    let write = |nth| {
        let key = format!("parallel/{}/{nth}", run.workflow_id());
        Ok(KvSet::new(key, Json::new(&nth)?))
    };
    let writes = (0..input.n)
        .map(write)
        .collect::<Result<Vec<_>, WorkflowError>>()?;
    let writes = run.parallel(writes)?;
    let timers = run.join(timers)?;
    let winner = match input.n {
        0 => 0,
        n => {
            // The last one is the fastest.
            let racers = (0..n).map(|nth| run.timer(after(2 * (n - nth))));
            run.race(racers.collect::<Result<Vec<_>, _>>()?)?.0 as u64
        }
    };
    Ok(Parallelled {
        timers: timers.iter().filter(|timer| timer.is_ok()).count() as u64,
        writes: writes.iter().filter(|write| write.is_ok()).count() as u64,
        winner,
    })
}

/// The page, and how often it is tried.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// The page.
    pub url: String,
    /// Attempts at most.
    pub attempts: u64,
    /// The wait before the second attempt; a second when absent.
    pub first_wait_millis: Option<u64>,
    /// The time for all attempts together; no limit when absent.
    pub timeout_millis: Option<u64>,
}

/// A page.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// The response's status.
    pub status: u16,
    /// The response's body.
    pub body: String,
}

/// Requests a page, and tries again when the host cannot be reached.
#[workflow]
pub fn retries(input: Retries, run: &Run) -> Result<Page, WorkflowError> {
    let mut retry = RetryPolicy::of_attempts(input.attempts);
    if let Some(wait) = input.first_wait_millis {
        retry = retry.first_wait(Duration::from_millis(wait));
    }
    let mut step = run.step(HttpRequest::new(input.url)).retry(retry);
    if let Some(timeout) = input.timeout_millis {
        step = step.timeout(Duration::from_millis(timeout));
    }
    let response = step.run()?;
    Ok(Page {
        status: response.status,
        body: response.body,
    })
}

/// Answers that differ each time they are asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RandomAndTime {
    /// Random bytes, in hexadecimal digits.
    pub random: String,
    /// The time before the sleep, in milliseconds since 1970.
    pub before_unix_millis: i64,
    /// The time after the sleep.
    pub after_unix_millis: i64,
}

/// How long to sleep between the times.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// Milliseconds.
    #[serde(default)]
    pub millis: u64,
}

/// Asks for random bytes and the time, before and after a sleep.
#[workflow]
pub fn random_and_time(input: Between, run: &Run) -> Result<RandomAndTime, WorkflowError> {
    let random = random::bytes(&RandomBytes::new(16))?.bytes.0;
    let before = clock::now(&ClockNow::default())?;
    run.sleep(Duration::from_millis(input.millis))?;
    let after = clock::now(&ClockNow::default())?;
    Ok(RandomAndTime {
        random: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        before_unix_millis: before.unix_millis,
        after_unix_millis: after.unix_millis,
    })
}

/// Writes a log line before and after a sleep.
#[workflow]
pub fn writes_log(input: Between, run: &Run) -> Result<(), WorkflowError> {
    log_info("before the sleep");
    run.sleep(Duration::from_millis(input.millis))?;
    log_info("after the sleep");
    Ok(())
}
