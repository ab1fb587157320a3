//! `token`: the tokens that the host gives out to callers by name.
//!
//! It works on the file in the state folder, so it needs no running host; one that runs takes up what changes.

use std::time::{Duration, SystemTime};

use exomonad_access::token_file::TokenRoles;
use exomonad_access::{NewToken, TokenError, TokenFile, TokenInfo};
use exomonad_config::{Config, RoleName, TimeSpan};
use serde_json::json;

use super::CommandError;
use super::args::{NewTokenArgs, Options, TokenCommand};
use super::config::{load_text_alone, roles_of};
use super::show::print_json;

impl From<TokenError> for CommandError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Io { .. } | TokenError::Unusable { .. } | TokenError::NotRevoked { .. } => {
                Self::Unavailable(error.to_string())
            }
            TokenError::Refused(_) => Self::Usage(error.to_string()),
            TokenError::Unknown(_) => Self::Refused(error.to_string()),
        }
    }
}

/// Runs `token`.
pub fn run(options: &Options, command: TokenCommand) -> Result<(), CommandError> {
    let loaded = load_text_alone(options)?;
    let file = TokenFile::in_dir(&loaded.config.state.dir);
    match command {
        TokenCommand::New(arguments) => new(options, &loaded.config, &file, arguments),
        TokenCommand::List => list(options, &file),
        TokenCommand::Revoke { name } => revoke(options, &file, &name),
    }
}

/// The token alone goes to standard output, for `TOKEN=$(exomonad token new …)`.
fn new(
    options: &Options,
    config: &Config,
    file: &TokenFile,
    arguments: NewTokenArgs,
) -> Result<(), CommandError> {
    let known = roles_of(config);
    let is_known = |role: &&RoleName| known.iter().any(|known| known == role.as_str());
    let unknown: Vec<RoleName> = arguments
        .role
        .iter()
        .filter(|role| !is_known(role))
        .cloned()
        .collect();
    let roles = match (arguments.operator, arguments.all_roles, arguments.role) {
        (true, _, _) => TokenRoles::Operator,
        (_, true, _) => TokenRoles::All,
        (_, _, roles) => TokenRoles::Only(roles.into_iter().collect()),
    };
    let scopes = arguments.scope;
    let (token, info) = file.add(NewToken {
        name: arguments.name,
        roles,
        scopes: (!scopes.is_empty()).then_some(scopes),
        expires: arguments.expires.map(|at| at.0),
    })?;
    if options.json {
        let mut shown = json!(info);
        shown["token"] = json!(token);
        print_json(&shown);
        return Ok(());
    }
    outln!("{token}");
    errln!(
        "token {} of {} opens {}; it is shown this once",
        info.id,
        info.name,
        opens(&info)
    );
    for role in unknown {
        errln!(
            "warning: there is no role `{role}` here (there are {}): the token opens it once there is",
            known.join(", ")
        );
    }
    Ok(())
}

fn list(options: &Options, file: &TokenFile) -> Result<(), CommandError> {
    let tokens = file.list()?;
    if options.json {
        print_json(&tokens);
        return Ok(());
    }
    if tokens.is_empty() {
        errln!("there are no tokens; `exomonad token new NAME --role ROLE` makes one");
    }
    let now = SystemTime::now();
    for token in tokens {
        let expires = match token.expires {
            None => "never expires".to_owned(),
            Some(at) if token.has_expired(now) => format!("expired {}", date(at)),
            Some(at) => format!("expires {}", date(at)),
        };
        outln!(
            "{}  {:<24}  {}  (made {}, {expires})",
            token.id,
            token.name,
            opens(&token),
            date(token.created)
        );
    }
    Ok(())
}

fn revoke(options: &Options, file: &TokenFile, name: &str) -> Result<(), CommandError> {
    let revoked = file.revoke(name)?;
    if options.json {
        print_json(&revoked);
        return Ok(());
    }
    for token in &revoked {
        outln!(
            "token {} of {} opens nothing any more",
            token.id,
            token.name
        );
    }
    Ok(())
}

/// The roles and scopes that a token opens, in words.
fn opens(token: &TokenInfo) -> String {
    let roles = match &token.roles {
        TokenRoles::Operator => "the whole host".to_owned(),
        TokenRoles::All => "all roles".to_owned(),
        TokenRoles::Only(roles) => roles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    match &token.scopes {
        None => roles,
        Some(scopes) => {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            format!("{roles}: {}", scopes.join(" "))
        }
    }
}

fn date(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// When a token ends, as it is written on the command line: after a time such as `90d`, or at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Expiry(SystemTime);

impl std::str::FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = humantime::parse_rfc3339_weak(text) {
            return Ok(Self(at));
        }
        let after: Duration = text
            .parse::<TimeSpan>()
            .map_err(
                |_| "write a time such as 90d or 12h, or a moment such as 2027-01-31T12:00:00Z",
            )?
            .get();
        SystemTime::now()
            .checked_add(after)
            .map(Self)
            .ok_or_else(|| "this is too far away".to_owned())
    }
}
