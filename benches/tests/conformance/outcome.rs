//! Outcomes of calls under both engines, in the same terms.

use exomonad_benches::libextism::{self, IMPOSSIBLE_OUTPUT, LogEvent};
use exomonad_engine::{CallError, Limit};

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answer(Vec<u8>),
    Failed(FailureKind, Code),
    /// The plugin could not even be made.
    NotLoaded,
}

/// The return code of a failed call; Extism tells none where a guest only returned another than 0.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub Option<i32>);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_none() || other.0.is_none() || self.0 == other.0
    }
}

impl Eq for Code {}

/// The reason of a failed call, without what each engine adds in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The guest's own words, or those of the host function that refused.
    Message(String),
    Trap(String),
    Exit(i32),
    BadHandle,
    Timeout,
    Memory,
    Vars,
    NoSuchExport,
    Signature,
    /// The output has a length that no memory can have.
    ImpossibleOutput,
}

impl Outcome {
    /// The answer as the numbers that a guest with `$say` wrote.
    pub fn numbers(&self) -> Option<Vec<i64>> {
        let Self::Answer(bytes) = self else {
            return None;
        };
        Some(
            bytes
                .chunks(8)
                .map(|word| word.try_into().map_or(-1, i64::from_le_bytes))
                .collect(),
        )
    }
}

/// The outcome that an error of Extism's stands for.
///
/// The C interface tells of a trap only where it was. The reason, and that a guest has exited, stand in the log.
pub fn extism_failure(error: &libextism::CallError, events: &[LogEvent]) -> Outcome {
    let logged = |prefix: &str| {
        let mut messages = events.iter().map(|event| event.message.as_str());
        messages.find_map(|message| message.split_once(prefix).map(|(_, rest)| rest))
    };
    if let Some(code) = logged("WASI exit code: ") {
        let exit = FailureKind::Exit(code.parse().unwrap_or(i32::MIN));
        return Outcome::Failed(exit, Code(Some(error.code)));
    }
    let cause = logged("encountered an error: ").and_then(root_cause);
    let message = match cause {
        Some(cause) => cause,
        // This is how Extism's Rust interface puts it; the C interface has the code alone.
        None if error.message.is_empty() => format!("Returned non-zero exit code: {}", error.code),
        None => error.message.clone(),
    };
    match failure_kind(&message) {
        // Whether Extism sees the interrupt as a trap depends on when it comes.
        FailureKind::Timeout => Outcome::Failed(FailureKind::Timeout, Code(None)),
        kind => Outcome::Failed(kind, Code(Some(error.code))),
    }
}

/// The last of the causes that an error shows, if it shows any.
fn root_cause(error: &str) -> Option<String> {
    let (_, causes) = error.rsplit_once("Caused by:\n")?;
    let causes = causes.split("\n\nStack backtrace").next()?;
    let last = causes.lines().last()?.trim();
    // Several causes are numbered.
    let numbered = last.split_once(": ");
    let unnumbered = numbered.filter(|(number, _)| number.parse::<u32>().is_ok());
    Some(unnumbered.map_or(last, |(_, cause)| cause).to_owned())
}

fn failure_kind(message: &str) -> FailureKind {
    if let Some(trap) = message.strip_prefix("wasm trap: ") {
        return FailureKind::Trap(trap.to_owned());
    }
    match message {
        _ if message.starts_with(IMPOSSIBLE_OUTPUT) => FailureKind::ImpossibleOutput,
        "timeout" => FailureKind::Timeout,
        "oom" => FailureKind::Memory,
        "Variable store is full" | "Vars are disabled by this host" => FailureKind::Vars,
        _ if message.starts_with("Function not found") => FailureKind::NoSuchExport,
        _ if message.contains("results, expected 0 or 1")
            || message.contains("expected 1 argument") =>
        {
            FailureKind::Signature
        }
        _ if message.starts_with("invalid handle offset")
            || message.contains("invalid memory offset") =>
        {
            FailureKind::BadHandle
        }
        _ => FailureKind::Message(message.to_owned()),
    }
}

/// The outcome that an error of ours stands for.
pub fn our_failure(error: &CallError) -> Outcome {
    let failure = match error {
        CallError::UnknownExport { .. } => FailureKind::NoSuchExport,
        CallError::Signature { .. } => FailureKind::Signature,
        CallError::Exit(code) => FailureKind::Exit(*code),
        CallError::Limit(hit) => match hit.limit {
            Limit::WallTime => FailureKind::Timeout,
            Limit::Vars => FailureKind::Vars,
            Limit::Stack => FailureKind::Trap("call stack exhausted".to_owned()),
            _ => FailureKind::Memory,
        },
        CallError::Refused { message } if message.starts_with("variables are turned off") => {
            FailureKind::Vars
        }
        CallError::Refused { message } if message.starts_with("invalid handle offset") => {
            FailureKind::BadHandle
        }
        CallError::Trap { message } => match message.strip_prefix("wasm trap: ") {
            Some(trap) => {
                FailureKind::Trap(trap.split(" (in ").next().unwrap_or_default().to_owned())
            }
            None => FailureKind::Message(message.clone()),
        },
        _ => FailureKind::Message(error.to_string()),
    };
    Outcome::Failed(failure, Code(Some(error.return_code())))
}
