//! The revisions of the protocol, and what is different in each: one table.

/// A revision that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(usize);

/// How a client and a server are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// By a session that `initialize` begins.
    Sessionful,
    /// By nothing: each request says all there is to know.
    Stateless,
}

/// The traits in which revisions differ.
struct Traits {
    name: &'static str,
    era: Era,
    /// Several messages may come in an array.
    batches: bool,
    /// A stream begins with an event without data, so that there is an id to resume from. Clients of
    /// earlier revisions fail to read it.
    priming: bool,
    /// Arguments that do not fit are a tool's result, for the model to read.
    input_errors_are_results: bool,
    /// A tool's result may link to resources.
    resource_links: bool,
}

/// In their order.
const REVISIONS: &[Traits] = &[
    Traits {
        name: "2024-11-05",
        era: Era::Sessionful,
        batches: false,
        priming: false,
        input_errors_are_results: false,
        resource_links: false,
    },
    Traits {
        name: "2025-03-26",
        era: Era::Sessionful,
        batches: true,
        priming: false,
        input_errors_are_results: false,
        resource_links: false,
    },
    Traits {
        name: "2025-06-18",
        era: Era::Sessionful,
        batches: false,
        priming: false,
        input_errors_are_results: false,
        resource_links: true,
    },
    Traits {
        name: "2025-11-25",
        era: Era::Sessionful,
        batches: false,
        priming: true,
        input_errors_are_results: true,
        resource_links: true,
    },
    Traits {
        name: "2026-07-28",
        era: Era::Stateless,
        batches: false,
        priming: false,
        input_errors_are_results: true,
        resource_links: true,
    },
];

impl Revision {
    /// The revision of this name.
    pub fn named(name: &str) -> Option<Self> {
        REVISIONS
            .iter()
            .position(|traits| traits.name == name)
            .map(Self)
    }

    /// The revision for a client that asks `initialize` for this one: the same, or the newest that has
    /// sessions.
    pub fn negotiated(asked: &str) -> Self {
        let newest = REVISIONS
            .iter()
            .rposition(|traits| traits.era == Era::Sessionful);
        let same = Self::named(asked).filter(|revision| revision.era() == Era::Sessionful);
        same.or(newest.map(Self)).unwrap_or(Self(0))
    }

    /// The names of all, the newest first.
    pub fn names() -> Vec<&'static str> {
        REVISIONS.iter().rev().map(|traits| traits.name).collect()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.traits().name
    }

    /// Its era.
    pub fn era(self) -> Era {
        self.traits().era
    }

    /// True if several messages may come in an array.
    pub fn has_batches(self) -> bool {
        self.traits().batches
    }

    /// True if a stream begins with an event without data.
    pub fn has_priming(self) -> bool {
        self.traits().priming
    }

    /// True if arguments that do not fit are a tool's result.
    pub fn input_errors_are_results(self) -> bool {
        self.traits().input_errors_are_results
    }

    /// True if a tool's result may link to resources.
    pub fn has_resource_links(self) -> bool {
        self.traits().resource_links
    }

    fn traits(self) -> &'static Traits {
        // A revision is made from a position in the table alone.
        REVISIONS.get(self.0).unwrap_or(&REVISIONS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_asks_for_or_the_newest_with_sessions() {
        for name in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            assert_eq!(Revision::negotiated(name).name(), name);
        }
        for name in ["2026-07-28", "2099-01-01", ""] {
            assert_eq!(Revision::negotiated(name).name(), "2025-11-25");
        }
    }
}
