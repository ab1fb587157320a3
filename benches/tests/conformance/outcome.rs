//! Outcomes of calls under both engines, in the same terms.

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
    /// The host itself panicked.
    Panic,
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

/// The kind of failure that an error message of Extism's stands for.
pub fn extism_failure(message: &str) -> FailureKind {
    if let Some(trap) = message.strip_prefix("wasm trap: ") {
        return FailureKind::Trap(trap.to_owned());
    }
    if let Some(code) = message.strip_prefix("Exited with i32 exit status ") {
        return FailureKind::Exit(code.parse().unwrap_or(i32::MIN));
    }
    match message {
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
