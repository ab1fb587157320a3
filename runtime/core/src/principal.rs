//! [`Principal`]: who makes a request, as its token proves, and the scopes that the token has.

use std::sync::Arc;

use crate::values::{Area, Scope};

/// Whoever makes a request, as its token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique on this host: `operator`, `role:tl`, `token:ci`, `oauth:ISSUER#SUBJECT`.
    pub id: Arc<str>,
    /// The name of the one caller that has the token; `None` where several share it.
    pub name: Option<Arc<str>>,
    /// The parts of a role that it may use.
    pub scopes: Scopes,
}

impl Principal {
    /// The id of whoever has the host's own token.
    pub const OPERATOR: &str = "operator";
}

/// The parts of a role that a token opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Option<Arc<[Scope]>>);

impl Scopes {
    /// All parts of a role.
    pub const ALL: Self = Self(None);

    /// These parts, and no other.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Some(scopes.into_iter().collect()))
    }

    /// True if there is nothing of a role that it may not use.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// True if the tool may be listed and called.
    pub fn allows_tool(&self, name: &str) -> bool {
        let of = |scopes: &Arc<[Scope]>| scopes.iter().any(|scope| scope.allows_tool(name));
        self.0.as_ref().is_none_or(of)
    }

    /// True if the area may be used.
    pub fn allows(&self, area: Area) -> bool {
        let of = |scopes: &Arc<[Scope]>| scopes.contains(&Scope::Area(area));
        self.0.as_ref().is_none_or(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_allow_what_they_name_and_nothing_else() {
        let scopes = Scopes::of(["tools:repo_*", "hooks"].map(|scope| scope.parse().unwrap()));
        assert!(scopes.allows_tool("repo_status") && scopes.allows(Area::Hooks));
        assert!(!scopes.allows_tool("file_pr") && !scopes.allows(Area::Calls));
        assert!(Scopes::ALL.allows_tool("file_pr") && Scopes::ALL.allows(Area::Calls));
        assert!(!Scopes::of([]).allows_tool("repo_status") && !Scopes::of([]).is_all());
    }
}
