//! `[git]`: configuration of the git service.

use std::path::PathBuf;

use exomonad_core::values::{ByteSize, TimeSpan};
use exomonad_core::{Secret, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Author;

/// Git repositories: who commits, where pushes and fetches may go, how much one answer may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitConfig {
    /// The name that commits are made in. By default `user.name` of the repository, or of the user who
    /// runs the host.
    #[schemars(example = &"exomonad")]
    pub author_name: Option<String>,
    /// The mail address that goes with `author_name`.
    #[schemars(example = &"agents@example.com")]
    pub author_email: Option<String>,
    /// File with the token that git servers are shown. Without one, GitHub is shown its own token, from
    /// `[github]`, and no other host is shown any.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/git-token")]
    pub token_file: Option<PathBuf>,
    /// Environment variable with that token, instead of `token_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"GIT_TOKEN")]
    pub token_env: Option<String>,
    /// The hosts that are shown this token, with a port where it is not the usual one. It goes by https
    /// only, or by http where that is allowed.
    pub token_hosts: Vec<String>,
    /// The hosts that pushes and fetches may go to, by https and ssh: `example.com`, `*.example.com`, or
    /// `*` for any. What only a `*` allows has to have a public address; a host that is named may be anywhere.
    pub remote_hosts: Vec<String>,
    /// Those that may be reached by plain http, besides this machine.
    pub plain_http_hosts: Vec<String>,
    /// File with the keys of the servers that ssh may talk to, as `ssh-keyscan` writes it; others are refused.
    /// By default the `~/.ssh/known_hosts` of the user who runs the host, and the system's.
    #[schemars(extend("format" = "path"), example = &"/etc/exomonad/known_hosts")]
    pub known_hosts: Option<PathBuf>,
    /// File of the ssh key that commits and tags are signed with where a repository asks for it
    /// (`commit.gpgSign`, `tag.gpgSign`): a private key without a passphrase, or a public one whose private half
    /// the ssh agent holds. Without one, such commits and tags are refused.
    #[schemars(extend("format" = "path"), example = &"/etc/exomonad/signing-key")]
    pub signing_key: Option<PathBuf>,
    /// If true, a remote may be a folder of this machine, within the role's paths.
    pub local_remotes: bool,
    /// How long one effect may work on a repository.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
    /// How long one push or fetch may take.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub remote_time_limit: TimeSpan,
    /// How much a push takes from a container, and a fetch brings to it. Twice as much memory may be
    /// taken meanwhile.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "1GiB"))]
    pub max_transfer: ByteSize,
    /// How many changed files one answer may list.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_files: u32,
    /// A larger file is shown in a diff as binary.
    #[schemars(extend("x-minimum" = "1", "x-maximum" = "1GiB"))]
    pub max_file: ByteSize,
    /// The token that git servers are shown, read from `token_file` or `token_env`, or GitHub's own.
    #[serde(skip)]
    pub token: Option<Secret>,
    /// The user's name that goes with the token. GitHub and GitLab take any.
    #[serde(skip)]
    pub token_user: String,
    /// The host of GitHub's repositories, such as `github.com`: there, push and fetch reach only what the
    /// role's `repos` allow.
    #[serde(skip)]
    pub github_host: Option<String>,
    /// Number of git effects that run at once; the rest wait, holding no thread.
    #[serde(skip)]
    pub max_concurrent: usize,
    /// The socket of the agent whose keys ssh uses.
    #[serde(skip)]
    pub ssh_agent: Option<PathBuf>,
    /// The `git` program that pushes and fetches, as a path or a name in `PATH`.
    #[serde(skip)]
    pub program: PathBuf,
    /// The home folder whose `.gitconfig` may name the author.
    #[serde(skip)]
    pub home: Option<PathBuf>,
}

impl Default for GitConfig {
    fn default() -> Self {
        Self {
            author_name: None,
            author_email: None,
            token_file: None,
            token_env: None,
            token_hosts: vec!["github.com".to_owned()],
            remote_hosts: vec!["*".to_owned()],
            plain_http_hosts: Vec::new(),
            known_hosts: None,
            signing_key: None,
            local_remotes: false,
            time_limit: TimeSpan::secs(30),
            remote_time_limit: TimeSpan::secs(120),
            max_transfer: ByteSize::mib(64),
            max_files: 20_000,
            max_file: ByteSize::mib(16),
            token: None,
            token_user: "x-access-token".to_owned(),
            github_host: None,
            max_concurrent: 8,
            ssh_agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            program: PathBuf::from("git"),
            home: std::env::var_os("HOME").map(PathBuf::from),
        }
    }
}

impl GitConfig {
    /// The source of the token, if one is named.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }

    /// The author of the host's commits, if both parts are set.
    pub fn author(&self) -> Option<Author> {
        let (name, email) = (self.author_name.clone()?, self.author_email.clone()?);
        Some(Author { name, email })
    }

    pub(super) fn check(&self) -> Result<(), GitConfigError> {
        let zero = [
            ("max_concurrent", self.max_concurrent == 0),
            ("time_limit", self.time_limit.get().is_zero()),
            ("max_files", self.max_files == 0),
            ("max_file", self.max_file.get() == 0),
            ("remote_time_limit", self.remote_time_limit.get().is_zero()),
            ("max_transfer", self.max_transfer.get() == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(GitConfigError::Zero(name));
        }
        if self.author().is_some_and(|author| !author.is_valid()) {
            return Err(GitConfigError::Author);
        }
        if self
            .token
            .as_ref()
            .is_some_and(|token| !token.fits_header())
        {
            return Err(GitConfigError::Token);
        }
        let is_user = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if self.token_user.is_empty() || !self.token_user.bytes().all(is_user) {
            return Err(GitConfigError::TokenUser);
        }
        if let Some(host) = self.token_hosts.iter().find(|host| !is_host(host)) {
            return Err(GitConfigError::Host("token_hosts", host.clone()));
        }
        // git and ssh run in another folder.
        let is_relative = |path: &PathBuf| !path.is_absolute();
        for (name, path) in [
            ("known_hosts", &self.known_hosts),
            ("signing_key", &self.signing_key),
        ] {
            if let Some(path) = path.clone().filter(is_relative) {
                return Err(GitConfigError::RelativePath(name, path));
            }
        }
        let patterns = [
            ("remote_hosts", &self.remote_hosts),
            ("plain_http_hosts", &self.plain_http_hosts),
        ];
        for (name, hosts) in patterns {
            let is_pattern =
                |host: &str| host == "*" || is_host(host.strip_prefix("*.").unwrap_or(host));
            if let Some(host) = hosts.iter().find(|host| !is_pattern(host)) {
                return Err(GitConfigError::Host(name, host.clone()));
            }
        }
        Ok(())
    }
}

/// A host, with a port or without; an IPv6 address stands in brackets.
fn is_host(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_part)
}

/// An error in the git service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum GitConfigError {
    /// A limit that would let nothing through.
    #[error("the git service's `{0}` is zero, which lets no effect through; set it to 1 or more")]
    Zero(&'static str),
    /// The author cannot be written into a commit.
    #[error(
        "the git service's author needs a name and an email address, each a line without `<` and `>`"
    )]
    Author,
    /// The token cannot be sent.
    #[error(
        "the git service's token is empty or holds characters that no token has; check where it is read from"
    )]
    Token,
    /// The token's user cannot be sent.
    #[error("the git service's `token_user` is empty or holds white space or a colon")]
    TokenUser,
    /// A list of hosts holds something else.
    #[error(
        "the git service's `{0}` holds {1:?}, which is no host; write it as `github.com` or `git.example.com:8443`"
    )]
    Host(&'static str, String),
    /// The file would be looked for in another folder.
    #[error("the git service's `{0}` is {1:?}, which is no absolute path; write it in full")]
    RelativePath(&'static str, PathBuf),
    /// libgit2 refused a setting.
    #[error("libgit2 cannot be set up: {0}; this build of exomonad is broken")]
    Library(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let config = GitConfig {
            max_files: 0,
            ..GitConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("`max_files` is zero"), "{message}");
        assert!(GitConfig::default().check().is_ok());
    }

    #[test]
    fn values_that_cannot_be_written_or_sent_are_refused_and_the_token_is_not_shown() {
        let refusals = [
            GitConfig {
                author_name: Some("Ada".into()),
                author_email: Some(" ".into()),
                ..GitConfig::default()
            },
            GitConfig {
                token: Some(Secret::new("hunter2\nX-Evil: 1")),
                ..GitConfig::default()
            },
            GitConfig {
                token_hosts: vec!["https://github.com".into()],
                ..GitConfig::default()
            },
            GitConfig {
                token_hosts: vec!["*".into()],
                ..GitConfig::default()
            },
            GitConfig {
                known_hosts: Some("known_hosts".into()),
                ..GitConfig::default()
            },
            GitConfig {
                signing_key: Some("key".into()),
                ..GitConfig::default()
            },
        ];
        for config in refusals {
            let message = config.check().unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
