//! [`Authenticator`]: the token of a request, and the decision about what it opens.

use std::collections::BTreeSet;
use std::sync::Arc;

use exomonad_config::{Config, Tokens};
use exomonad_core::values::Area;
use exomonad_core::{Principal, Scopes, Secret, SecretSource};
use exomonad_schema::RoleName;
use http::{HeaderMap, header};
use reqwest::Client;

use crate::jwt::{Claims, JwtError};
use crate::oauth::OAuth;
use crate::token_file::{PREFIX, TokenFile, TokenInfo, TokenRoles, TokensProblem, is_callers};

/// Bytes of a token; a longer one is not looked at.
const LONGEST_TOKEN: usize = 16 << 10;

/// The part of the host that a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// A role. Scopes decide later, about its tools or about an area.
    Role(&'a RoleName),
    /// An area of a role.
    Area(&'a RoleName, Area),
    /// The whole host.
    Operator,
}

/// The reason why a request may not use something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// No token, or one that does not open this.
    Unauthorized,
    /// The token opens the role, and lacks this scope.
    OutOfScope(String),
    /// The token cannot be checked: its issuer is away.
    Unavailable,
}

/// The token that a request presents. It is judged anew at each question, so that a stream that is open for days knows
/// when its token was revoked.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    bearer: Option<Secret>,
    /// The claims of the token, if it is one of an authorization server, or the reason why it is not taken.
    jwt: Option<Result<Arc<Claims>, JwtError>>,
}

impl Credentials {
    /// True if the request presents a bearer token.
    pub fn has_token(&self) -> bool {
        self.bearer.is_some()
    }
}

/// A token of the configuration's that is a caller's.
#[derive(Debug, thiserror::Error)]
#[error(
    "{source} holds a token that `exomonad token new` made for a caller, and `{section}` would make it {made}: use another one there, such as `openssl rand -hex 32` makes, or unset it{hint}",
    source = .place
)]
pub struct CallersTokenError {
    section: String,
    place: SecretSource,
    made: &'static str,
    hint: &'static str,
}

/// Checks that no token of the configuration's is a caller's: it would open there what it was not given out for, and go
/// on doing so when it is revoked.
///
/// # Errors
/// If one is.
pub fn check_configured(config: &Config, tokens: &Tokens) -> Result<(), CallersTokenError> {
    let Some((section, place)) = tokens.find(config, is_callers) else {
        return Ok(());
    };
    let is_operators = section == "server";
    Err(CallersTokenError {
        made: match is_operators {
            true => "the operator's, which opens everything",
            false => "a role's own, without scopes and without end",
        },
        hint: match &place {
            SecretSource::Variable(name) if name == "EXOMONAD_TOKEN" => {
                " (EXOMONAD_TOKEN is the operator's token for `serve`; for commands that ask a host it is the token that they present)"
            }
            _ => "",
        },
        section,
        place,
    })
}

/// Bytes from which on a token is long enough not to be guessed, if it is random.
const SHORTEST_TOKEN: usize = 16;

/// The warning about a token of the configuration's that is so short that it can be guessed.
pub fn short_token(config: &Config, tokens: &Tokens) -> Option<String> {
    let (section, place) = tokens.find(config, |token| token.len() < SHORTEST_TOKEN)?;
    Some(format!(
        "the token in {place} (`{section}`) has less than {SHORTEST_TOKEN} characters and can be guessed: `openssl rand -hex 32` makes a better one"
    ))
}

/// Judges the tokens of requests.
pub struct Authenticator {
    configured: Tokens,
    given_out: Arc<TokenFile>,
    /// The roles that are listed, and whether they, and unlisted ones, require a token.
    requiring: BTreeSet<RoleName>,
    listed: BTreeSet<RoleName>,
    unlisted_require: bool,
    oauth: Option<OAuth>,
    /// False in a process that serves its own client alone.
    is_on: bool,
}

impl Authenticator {
    /// The authenticator of a host with this configuration and its tokens; without them nobody is asked for one.
    pub fn new(config: &Config, tokens: Option<Tokens>, client: &Client) -> Self {
        let given_out = Arc::new(TokenFile::in_dir(&config.state.dir));
        if tokens.is_some() {
            // From now on it is known which roles are guarded.
            given_out.problem();
        }
        let oauth = OAuth::new(config, client, None);
        Self::with(config, tokens, given_out, oauth)
    }

    /// The authenticator of the same host with another configuration. It goes on with the keys of authorization
    /// servers, and with what it knows of the file of tokens, which is the process's: its folder changes with the next
    /// start.
    pub fn reconfigured(&self, config: &Config, tokens: Option<Tokens>, client: &Client) -> Self {
        let oauth = OAuth::new(config, client, self.oauth.as_ref());
        Self::with(config, tokens, self.given_out.clone(), oauth)
    }

    fn with(
        config: &Config,
        tokens: Option<Tokens>,
        given_out: Arc<TokenFile>,
        oauth: Option<OAuth>,
    ) -> Self {
        let requiring = config.roles.iter().filter(|(_, role)| role.require_token);
        Self {
            is_on: tokens.is_some(),
            oauth: oauth.filter(|_| tokens.is_some()),
            configured: tokens.unwrap_or_default(),
            given_out,
            requiring: requiring.map(|(name, _)| name.clone()).collect(),
            listed: config.roles.keys().cloned().collect(),
            unlisted_require: config.defaults.require_token,
        }
    }

    /// True if these are the tokens of the configuration.
    pub fn has(&self, tokens: &Option<Tokens>) -> bool {
        let has = |tokens: &Tokens| self.is_on && self.configured == *tokens;
        tokens.as_ref().map_or(!self.is_on, has)
    }

    /// The reason why the tokens that were given out are not those of their file, if there is one.
    pub fn tokens_problem(&self) -> Option<TokensProblem> {
        self.is_on.then(|| self.given_out.problem()).flatten()
    }

    /// The reason why a token of an authorization server does not open a role; without a role, why it opens nothing.
    pub fn jwt_problem(
        &self,
        role: Option<&RoleName>,
        credentials: &Credentials,
    ) -> Option<JwtError> {
        let verified = credentials.jwt.as_ref()?;
        match (verified, role, &self.oauth) {
            (Err(error), ..) => Some(*error),
            (Ok(claims), Some(role), Some(oauth)) => oauth.principal(role, claims).err(),
            (Ok(_), ..) => None,
        }
    }

    /// The authorization servers, if there are any.
    pub fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }

    /// The credentials that a request presents. A token of an authorization server is verified here.
    pub async fn credentials(&self, headers: &HeaderMap) -> Credentials {
        let mut presented = headers.get_all(header::AUTHORIZATION).iter();
        // Of two, whoever forwards the request may have looked at the other one.
        let (Some(value), None) = (presented.next(), presented.next()) else {
            return Credentials::default();
        };
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let bearer = bearer.filter(|token| token.len() <= LONGEST_TOKEN);
        let jwt = match (&self.oauth, bearer) {
            (Some(oauth), Some(token)) if !token.starts_with(PREFIX) && token.contains('.') => {
                let verified = oauth.verify(token).await;
                if let Err(error) = &verified {
                    tracing::debug!(%error, "a token of an authorization server is refused");
                }
                Some(verified)
            }
            _ => None,
        };
        Credentials {
            bearer: bearer.map(Secret::new),
            jwt,
        }
    }

    /// Checks that a request may use something. Gives who it is; `None` where nobody is asked for a token.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(
        &self,
        access: Access<'_>,
        credentials: &Credentials,
    ) -> Result<Option<Principal>, AccessError> {
        let found = credentials.bearer.as_ref().filter(|_| self.is_on);
        let found = found.and_then(|bearer| self.principal(access, bearer.expose()));
        let found = match found {
            Some(principal) => Some(principal),
            None => self.principal_of_jwt(access, credentials)?,
        };
        let Some(principal) = found else {
            return match self.is_guarded(access) {
                true => Err(AccessError::Unauthorized),
                false => Ok(None),
            };
        };
        match access {
            Access::Area(_, area) if !principal.scopes.allows(area) => {
                Err(AccessError::OutOfScope(area.name().to_owned()))
            }
            _ => Ok(Some(principal)),
        }
    }

    /// The principal of an authorization server's token, if it opens this. None opens the whole host.
    fn principal_of_jwt(
        &self,
        access: Access<'_>,
        credentials: &Credentials,
    ) -> Result<Option<Principal>, AccessError> {
        let role = match access {
            Access::Operator => return Ok(None),
            Access::Role(role) | Access::Area(role, _) => role,
        };
        let (Some(oauth), Some(verified)) = (&self.oauth, &credentials.jwt) else {
            return Ok(None);
        };
        let claims = match verified {
            Ok(claims) => claims,
            Err(JwtError::Unavailable) => return Err(AccessError::Unavailable),
            Err(_) => return Ok(None),
        };
        let principal = match oauth.principal(role, claims) {
            Ok(principal) => principal,
            Err(error) => {
                tracing::debug!(
                    %role,
                    issuer = claims.issuer,
                    subject = claims.subject,
                    audience = ?claims.audience,
                    %error,
                    "a token of an authorization server does not open the role"
                );
                return Ok(None);
            }
        };
        match oauth.missing_scope(claims) {
            Some(missing) => Err(AccessError::OutOfScope(missing.to_owned())),
            None => Ok(Some(principal)),
        }
    }

    /// The principal of a token that opens this.
    fn principal(&self, access: Access<'_>, bearer: &str) -> Option<Principal> {
        if self.configured.is_operator(bearer) {
            return Some(shared(Principal::OPERATOR.to_owned()));
        }
        let role = match access {
            Access::Operator => {
                let token = self.given_out.find(bearer);
                let token = token.filter(|token| token.roles == TokenRoles::Operator);
                return token.map(named);
            }
            Access::Role(role) | Access::Area(role, _) => role,
        };
        if self.configured.is_of_role(role, bearer) {
            return Some(shared(format!("role:{role}")));
        }
        let token = self.given_out.find(bearer);
        token.filter(|token| token.opens(role)).map(named)
    }

    /// True if nobody may use this without a token.
    fn is_guarded(&self, access: Access<'_>) -> bool {
        if !self.is_on {
            return false;
        }
        if self.oauth.is_some() {
            return true;
        }
        match access {
            // Without a token of the operator's, but with some for roles, this would lead around those.
            Access::Operator => {
                self.configured.guard_any()
                    || self.given_out.guards_any()
                    || self.unlisted_require
                    || !self.requiring.is_empty()
            }
            Access::Role(role) | Access::Area(role, _) => {
                self.configured.guard(role)
                    || self.given_out.guards(role)
                    || self.requiring.contains(role)
                    || (self.unlisted_require && !self.listed.contains(role))
            }
        }
    }
}

/// The principal of a token that several may share.
fn shared(id: String) -> Principal {
    Principal {
        id: id.into(),
        name: None,
        scopes: Scopes::ALL,
    }
}

/// The principal of a token that was given out.
fn named(token: TokenInfo) -> Principal {
    Principal {
        id: format!("token:{}", token.name).into(),
        name: Some(token.name.into()),
        scopes: token.scopes.map_or(Scopes::ALL, Scopes::of),
    }
}

#[cfg(test)]
mod tests {
    use exomonad_core::values::Scope;

    use super::*;
    use crate::NewToken;

    fn client() -> Client {
        exomonad_services::http::client().unwrap()
    }

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    fn presenting(authenticator: &Authenticator, values: &[&str]) -> Credentials {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let reading = authenticator.credentials(&headers);
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(reading)
    }

    fn token(name: &str, roles: TokenRoles, scopes: Option<&[&str]>) -> NewToken {
        let scopes = scopes.map(|scopes| scopes.iter().map(|scope| scope.parse().unwrap()));
        NewToken {
            name: name.to_owned(),
            roles,
            scopes: scopes.map(Iterator::collect::<Vec<Scope>>),
            expires: None,
        }
    }

    fn authenticator(folder: &std::path::Path) -> Authenticator {
        let mut config = Config::default();
        config.state.dir = folder.to_owned();
        Authenticator::new(&config, Some(Tokens::default()), &client())
    }

    #[test]
    fn a_token_that_was_given_out_opens_its_roles_and_guards_them() {
        let folder = tempfile::tempdir().unwrap();
        let host = authenticator(folder.path());
        let nobody = Credentials::default();
        let (tl, dev) = (role("tl"), role("dev"));
        assert_eq!(host.check(Access::Operator, &nobody), Ok(None));
        let file = TokenFile::in_dir(folder.path());
        let only_tl = TokenRoles::Only([tl.clone()].into());
        let (ci, _) = file
            .add(token("ci", only_tl, Some(&["tools:repo_*", "calls"])))
            .unwrap();
        let (ops, _) = file.add(token("ops", TokenRoles::Operator, None)).unwrap();
        let ci = presenting(&host, &[&format!("Bearer {ci}")]);
        let ops = presenting(&host, &[&format!("bearer {ops}")]);
        let refused = Err(AccessError::Unauthorized);
        assert_eq!(host.check(Access::Role(&tl), &nobody), refused);
        assert_eq!(host.check(Access::Role(&dev), &ci), refused);
        assert_eq!(host.check(Access::Operator, &ci), refused);
        let who = host.check(Access::Area(&tl, Area::Calls), &ci).unwrap();
        let who = who.unwrap();
        assert_eq!((&*who.id, who.name.as_deref()), ("token:ci", Some("ci")));
        assert!(who.scopes.allows_tool("repo_status") && !who.scopes.allows_tool("file_pr"));
        let hooks = host.check(Access::Area(&tl, Area::Hooks), &ci);
        assert_eq!(hooks, Err(AccessError::OutOfScope("hooks".to_owned())));
        for access in [Access::Operator, Access::Role(&dev)] {
            let who = host.check(access, &ops).unwrap().unwrap();
            assert_eq!(&*who.id, "token:ops");
        }
        file.revoke("ops").unwrap();
        assert_eq!(host.check(Access::Operator, &ops), refused);
    }

    #[test]
    fn a_token_of_the_configuration_is_no_callers_and_not_short() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::in_dir(folder.path());
        let (ci, _) = file.add(token("ci", TokenRoles::All, None)).unwrap();
        let mut config = Config::default();
        let of_role = exomonad_config::Role {
            token_env: Some("TL".to_owned()),
            ..Default::default()
        };
        config.server.token_env = Some("EXOMONAD_TOKEN".to_owned());
        config.roles.insert(role("tl"), of_role);
        let fine = "0123456789abcdef";
        for (operator, of_role, section, is_short) in [
            (fine, fine, None, false),
            (&*ci, fine, Some("`server`"), false),
            (fine, &*ci, Some("`role.tl`"), false),
            (fine, "a", None, true),
            ("exomonad_operator", fine, None, false),
        ] {
            let env = |name: &str| match name {
                "TL" => Some(of_role.to_owned()),
                _ => Some(operator.to_owned()),
            };
            let tokens = Tokens::read(&config, env).unwrap();
            let refused = check_configured(&config, &tokens).map_err(|error| error.to_string());
            match (section, refused) {
                (None, refused) => assert_eq!(refused, Ok(())),
                (Some(section), refused) => {
                    let why = refused.unwrap_err();
                    assert!(why.contains(section) && !why.contains(&ci), "{why}");
                    assert_eq!(why.contains("EXOMONAD_TOKEN"), section == "`server`");
                }
            }
            assert_eq!(short_token(&config, &tokens).is_some(), is_short);
        }
    }

    #[test]
    fn two_tokens_in_one_request_and_huge_ones_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let host = authenticator(folder.path());
        assert!(presenting(&host, &["Bearer a"]).has_token());
        assert!(!presenting(&host, &["Bearer a", "Bearer a"]).has_token());
        let huge = format!("Bearer {}", "a".repeat(LONGEST_TOKEN + 1));
        for none in [&[huge.as_str()][..], &["Basic a"], &["a"], &[]] {
            assert!(!presenting(&host, none).has_token());
        }
    }

    #[test]
    fn a_role_that_requires_a_token_is_closed_before_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.state.dir = folder.path().to_owned();
        let requiring = exomonad_config::Role {
            require_token: true,
            ..Default::default()
        };
        config.roles.insert(role("tl"), requiring);
        config.roles.insert(role("dev"), Default::default());
        let host = Authenticator::new(&config, Some(Tokens::default()), &client());
        let nobody = Credentials::default();
        let check = |host: &Authenticator, name| host.check(Access::Role(&role(name)), &nobody);
        assert_eq!(check(&host, "tl"), Err(AccessError::Unauthorized));
        assert_eq!(check(&host, "dev"), Ok(None));
        assert!(host.check(Access::Operator, &nobody).is_err());
        let embedded = Authenticator::new(&config, None, &client());
        assert_eq!(check(&embedded, "tl"), Ok(None));
        assert!(embedded.has(&None) && !embedded.has(&Some(Tokens::default())));
    }
}
