//! Policy: decisions about a request by the bounds of its role.
//!
//! Each service has one function that decides about a request. The service calls it before it acts, and
//! `exomonad policy explain` calls the same function without acting.

/// A decision about one part of a request, by one list of the role's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The key of the role's list that decides, such as `repos`.
    pub key: &'static str,
    /// The part of the request that is decided about, as the guest wrote it, such as `acme/web`; `None` for
    /// a decision about all requests.
    pub subject: Option<String>,
    /// The decision.
    pub ruling: Ruling,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The list allows it.
    Within,
    /// The list does not allow it.
    Outside,
    /// The list is empty, and without it nothing is allowed. The text says what to write into it.
    Empty(&'static str),
    /// Refused for a reason that the list alone does not show, such as a secret that is for other hosts. The
    /// text completes "… is refused: ".
    Refused(String),
    /// The call itself decides, such as by the labels a container has. The text completes "decided at the call, by …".
    AtCall(String),
    /// The list does not apply. The text says why, such as that a folder is in a container.
    NotConcerned(String),
}

impl Ruling {
    /// [`Within`](Self::Within) or [`Outside`](Self::Outside).
    pub fn of(is_within: bool) -> Self {
        if is_within {
            Self::Within
        } else {
            Self::Outside
        }
    }
}

impl Verdict {
    /// A decision by the list `key` about `subject`.
    pub fn new(key: &'static str, subject: Option<&str>, ruling: Ruling) -> Self {
        Self {
            key,
            subject: subject.map(str::to_owned),
            ruling,
        }
    }

    /// True if it refuses the request.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.ruling,
            Ruling::Outside | Ruling::Empty(_) | Ruling::Refused(_)
        )
    }
}

/// The first refusal of some verdicts.
pub fn refusal(verdicts: &[Verdict]) -> Option<&Verdict> {
    verdicts.iter().find(|verdict| verdict.is_refusal())
}
