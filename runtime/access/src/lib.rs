//! Who may use what: the token of a request, and what it opens.
//!
//! A request may carry a bearer token of one of these kinds:
//!
//! | kind | where it is kept | what it opens |
//! |---|---|---|
//! | the operator's | named by `[server]` | everything |
//! | a role's | named by `[role.<name>]` | the role |
//! | a caller's | `tokens.json` in the state folder, hashed | roles, and parts of them by scopes |
//! | a JWT | with an authorization server, whose public keys check it | roles by audience, parts of them by scopes |
//!
//! | module | subject |
//! |---|---|
//! | [`token_file`] | the tokens that the host has given out: making, listing, revoking, finding |
//! | [`oauth`] | authorization servers, whose tokens open roles, and the metadata that leads clients to them |
//! | [`jwt`], [`jwk`], [`key_source`] | their tokens, taken apart; their keys; fetching these |
//! | [`authenticator`] | the token of a request, and the decision about what it opens |
//!
//! It knows HTTP's headers and no transport. JWTs are checked by code of its own over ring, for the few algorithms that
//! authorization servers sign with: see ARCHITECTURE.md.

pub mod authenticator;
pub mod jwk;
pub mod jwt;
#[cfg(test)]
mod jwt_tests;
pub mod key_source;
pub mod oauth;
pub mod token_file;

pub use authenticator::{
    Access, AccessError, Authenticator, Credentials, check_configured, short_token,
};
pub use jwt::JwtError;
pub use oauth::OAuth;
pub use token_file::{NewToken, TokenError, TokenFile, TokenInfo, TokensProblem};
