//! Who may use what: the token of a request, and what it opens.
//!
//! A request may carry a bearer token of one of these kinds:
//!
//! | kind | where it is kept | what it opens |
//! |---|---|---|
//! | the operator's | named by `[server]` | everything |
//! | a role's | named by `[role.<name>]` | the role |
//! | a caller's | `tokens.json` in the state folder, hashed | roles, and parts of them by scopes |
//!
//! | module | subject |
//! |---|---|
//! | [`token_file`] | the tokens that the host has given out: making, listing, revoking, finding |
//! | [`authenticator`] | the token of a request, and the decision about what it opens |
//!
//! It knows HTTP's headers and no transport.

pub mod authenticator;
pub mod token_file;

pub use authenticator::{Access, AccessError, Authenticator, Credentials};
pub use token_file::{NewToken, TokenError, TokenFile, TokenInfo};
