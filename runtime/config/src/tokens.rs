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

    /// True if the role is not served without a token: it has one of its own, or the operator has one.
    pub fn guard(&self, role: &RoleName) -> bool {
        self.of_role(role).is_some() || self.operator.is_some()
    }

    /// True if there is any token.
    pub fn guard_any(&self) -> bool {
        self.operator.is_some()
            || self.unlisted.is_some()
            || self.roles.values().any(Option::is_some)
    }

    /// True if this is the operator's token.
    pub fn is_operator(&self, presented: &str) -> bool {
        matches(&self.operator, presented)
    }

    /// True if this is the role's own token.
    pub fn is_of_role(&self, role: &RoleName, presented: &str) -> bool {
        matches(self.of_role(role), presented)
    }

    /// The first token that is one of these: the section that names it, such as `server` or `role.tl`, and where it is
    /// kept.
    pub fn find(
        &self,
        config: &Config,
        is_one: impl Fn(&str) -> bool,
    ) -> Option<(String, SecretSource)> {
        let of_host = [
            ("server", &self.operator, config.server.token_source()),
            ("defaults", &self.unlisted, config.defaults.token_source()),
        ];
        let of_host = of_host
            .into_iter()
            .map(|(section, secret, source)| (section.to_owned(), secret, source));
        let of_roles = self.roles.iter().map(|(name, secret)| {
            let source = config.roles.get(name).and_then(|role| role.token_source());
            (format!("role.{name}"), secret, source)
        });
        let mut all = of_host.chain(of_roles);
        all.find_map(|(section, secret, source)| {
            let is_one = secret
                .as_ref()
                .is_some_and(|secret| is_one(secret.expose()));
            source.filter(|_| is_one).map(|source| (section, source))
        })
    }

    fn of_role(&self, role: &RoleName) -> &Option<Secret> {
        self.roles.get(role).unwrap_or(&self.unlisted)
    }
}

fn matches(secret: &Option<Secret>, presented: &str) -> bool {
    secret
        .as_ref()
        .is_some_and(|secret| secret.matches(presented))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_guarded_by_its_own_token_and_by_the_operators() {
        let name = |text: &str| text.parse::<RoleName>().unwrap();
        let secret = |text: &str| Some(Secret::new(text));
        let mut tokens = Tokens::default();
        assert!(!tokens.guard(&name("tl")) && !tokens.guard_any());

        tokens.roles.insert(name("tl"), secret("own"));
        tokens.roles.insert(name("dev"), None);
        assert!(tokens.guard(&name("tl")) && tokens.guard_any());
        assert!(!tokens.guard(&name("dev")));
        assert!(tokens.is_of_role(&name("tl"), "own"));
        assert!(!tokens.is_of_role(&name("tl"), "other"));
        assert!(!tokens.is_of_role(&name("dev"), "own"));

        tokens.operator = secret("op");
        assert!(tokens.guard(&name("dev")));
        assert!(tokens.is_operator("op") && !tokens.is_operator("own"));
    }
}
