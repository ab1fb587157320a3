//! What calls end with under both engines, in the same terms.

use exomonad_engine::{CallError, Limit};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Answer(Vec<u8>),
    Failed(Failure, Code),
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

/// Why a call failed, without what each engine adds in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
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

impl Ended {
    /// The answer as the numbers that a guest with `$say` wrote.
    pub fn said(&self) -> Option<Vec<i64>> {
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

/// What Extism's message means.
pub fn extism_failure(message: &str) -> Failure {
    if let Some(trap) = message.strip_prefix("wasm trap: ") {
        return Failure::Trap(trap.to_owned());
    }
    if let Some(code) = message.strip_prefix("Exited with i32 exit status ") {
        return Failure::Exit(code.parse().unwrap_or(i32::MIN));
    }
    match message {
        "timeout" => Failure::Timeout,
        "oom" => Failure::Memory,
        "Variable store is full" | "Vars are disabled by this host" => Failure::Vars,
        _ if message.starts_with("Function not found") => Failure::NoSuchExport,
        _ if message.contains("results, expected 0 or 1")
            || message.contains("expected 1 argument") =>
        {
            Failure::Signature
        }
        _ if message.starts_with("invalid handle offset")
            || message.contains("invalid memory offset") =>
        {
            Failure::BadHandle
        }
        _ => Failure::Message(message.to_owned()),
    }
}

/// What our error means.
pub fn ours_failed(error: &CallError) -> Ended {
    let failure = match error {
        CallError::UnknownExport { .. } => Failure::NoSuchExport,
        CallError::Signature { .. } => Failure::Signature,
        CallError::Exit(code) => Failure::Exit(*code),
        CallError::Limit(hit) => match hit.limit {
            Limit::WallTime => Failure::Timeout,
            Limit::Vars => Failure::Vars,
            Limit::Stack => Failure::Trap("call stack exhausted".to_owned()),
            _ => Failure::Memory,
        },
        CallError::Refused { message } if message.starts_with("variables are turned off") => {
            Failure::Vars
        }
        CallError::Refused { message } if message.starts_with("invalid handle offset") => {
            Failure::BadHandle
        }
        CallError::Trap { message } => match message.strip_prefix("wasm trap: ") {
            Some(trap) => Failure::Trap(trap.split(" (in ").next().unwrap_or_default().to_owned()),
            None => Failure::Message(message.clone()),
        },
        _ => Failure::Message(error.to_string()),
    };
    Ended::Failed(failure, Code(Some(error.return_code())))
}
