//! Bearer tokens: reading those that the configuration names, and comparing a presented one.

use std::collections::BTreeMap;

use exomonad_core::{Secret, SecretError, SecretSource};
use exomonad_schema::RoleName;

use crate::model::Config;

/// The tokens of a configuration, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    operator: Option<Secret>,
    unlisted: Option<Secret>,
    roles: BTreeMap<RoleName, Option<Secret>>,
}

impl Tokens {
    /// Reads every token that the configuration names.
    ///
    /// # Errors
    /// If one of them can't be read. [`Config::load`] has checked them all, so this happens only
    /// when something changed since.
    pub fn read(
        config: &Config,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SecretError> {
        let resolve =
            |source: Option<SecretSource>| source.map(|source| source.resolve(&env)).transpose();
        Ok(Self {
            operator: resolve(config.server.token_source())?,
            unlisted: resolve(config.defaults.token_source())?,
            roles: config
                .roles
                .iter()
                .map(|(name, role)| Ok((name.clone(), resolve(role.token_source())?)))
                .collect::<Result<_, SecretError>>()?,
        })
    }

    /// True if the role may be called with what the request presents: its own token or the
    /// operator's. With neither configured, anyone who reaches the address may.
    pub fn admit(&self, role: &RoleName, presented: Option<&str>) -> bool {
        let own = self.roles.get(role).unwrap_or(&self.unlisted);
        if own.is_none() && self.operator.is_none() {
            return true;
        }
        presented.is_some_and(|presented| {
            [own, &self.operator]
                .into_iter()
                .flatten()
                .any(|secret| secret.matches(presented))
        })
    }

    /// True if what concerns all roles (`/reload`, `/call`, `/metrics`) may be called with what the
    /// request presents: the operator's token, if one is configured. With tokens for roles alone
    /// nobody may; with none at all, anyone who reaches the address.
    pub fn admit_operator(&self, presented: Option<&str>) -> bool {
        match &self.operator {
            Some(secret) => presented.is_some_and(|presented| secret.matches(presented)),
            // Without one, but with tokens for roles, this would lead around those.
            None => self.unlisted.is_none() && self.roles.values().all(Option::is_none),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_opens_to_its_own_token_and_to_the_operators() {
        let name = |text: &str| text.parse::<RoleName>().unwrap();
        let secret = |text: &str| Some(Secret::new(text));
        let mut tokens = Tokens::default();
        assert!(tokens.admit(&name("tl"), None));

        tokens.roles.insert(name("tl"), secret("own"));
        tokens.roles.insert(name("dev"), None);
        assert!(tokens.admit(&name("tl"), Some("own")));
        assert!(!tokens.admit(&name("tl"), None));
        assert!(!tokens.admit(&name("tl"), Some("other")));
        assert!(tokens.admit(&name("dev"), None));

        tokens.operator = secret("op");
        assert!(tokens.admit(&name("tl"), Some("op")));
        assert!(!tokens.admit(&name("dev"), None));
        assert!(!tokens.admit(&name("dev"), Some("own")));
        assert!(tokens.admit_operator(Some("op")));
        assert!(!tokens.admit_operator(Some("own")));
    }
}
