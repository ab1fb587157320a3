//! Decisions about a request: is it within the bounds of its role?
//!
//! Each service has one function that holds a request against the role's bounds. The service asks it
//! before it acts, and `exomonad policy explain` asks the same function without acting.

/// A decision about one part of a request, by one list of the role's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The key of the role's list that decides, such as `repos`.
    pub key: &'static str,
    /// The part of the request that is decided about, as the guest wrote it, such as `acme/web`.
    pub subject: String,
    /// The decision.
    pub ruling: Ruling,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The list allows it.
    Within,
    /// The list does not allow it. The text completes "… is not within the bounds: ".
    Outside(String),
    /// Only the call itself can tell, such as which labels a container has. The text says what it
    /// depends on.
    AtCall(String),
    /// The list has no say in it. The text says why, such as that a folder is in a container.
    NotConcerned(String),
}

impl Verdict {
    /// Whether it refuses the request.
    pub fn is_refusal(&self) -> bool {
        matches!(self.ruling, Ruling::Outside(_))
    }
}

/// The first refusal of some verdicts.
pub fn refusal(verdicts: &[Verdict]) -> Option<&Verdict> {
    verdicts.iter().find(|verdict| verdict.is_refusal())
}
