//! Configuration of the git service.

use std::path::PathBuf;
use std::time::Duration;

use exomonad_core::Secret;

use super::Author;

/// Limits, author and remotes of the git service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitConfig {
    /// How many git effects run at once; the rest wait, holding no thread.
    pub max_concurrent: usize,
    /// How long one effect may work, not counting the wait for its turn. It is
    /// checked between the lines of a diff and between commits; libgit2 cannot
    /// be stopped while it compares trees and folders, as a status does.
    pub time_limit: Duration,
    /// How many changed files one answer may list.
    pub max_files: usize,
    /// A file larger than this is shown in a diff as binary, without its lines,
    /// and a diff with such a file shows renames as one file gone and one new.
    pub max_file_bytes: u64,
    /// In whose name is committed; the repository's `user.name` and `user.email`
    /// when absent, or else those in `home`.
    pub author: Option<Author>,
    /// What the host shows to servers of git; `None` shows nothing.
    pub token: Option<Secret>,
    /// The user's name that goes with the token. GitHub and GitLab take any.
    pub token_user: String,
    /// The hosts that are shown the token, as `host`, or `host:port` where the
    /// port is not the scheme's own. Exactly these; the token goes by https, or
    /// by http where that is allowed.
    pub token_hosts: Vec<String>,
    /// The host of GitHub's repositories, such as `github.com`: there, push and fetch reach only what the
    /// role's `repos` allow.
    pub github_host: Option<String>,
    /// The hosts push and fetch may go to, by https and ssh: `host`, `host:port`,
    /// `*.example.com`, or `*` for any.
    pub remote_hosts: Vec<String>,
    /// The hosts that may be reached by plain http besides the machine itself,
    /// written as in `remote_hosts`.
    pub plain_http_hosts: Vec<String>,
    /// The socket of the agent whose keys ssh shows.
    pub ssh_agent: Option<PathBuf>,
    /// The file with the keys of the ssh servers that are known, an absolute path; `None` is for the
    /// `~/.ssh/known_hosts` of the host's user, and the system's.
    pub known_hosts: Option<PathBuf>,
    /// Whether a remote may be a folder of this machine, within the role's paths.
    pub local_remotes: bool,
    /// How long one push or fetch may take, not counting the wait for its turn.
    pub remote_time_limit: Duration,
    /// How much a push takes from a container, and a fetch brings to it, in bytes
    /// of packed objects. As much is held in memory while it is under way.
    pub max_transfer_bytes: u64,
    /// The `git` program that pushes and fetches, as a path or a name in `PATH`.
    pub program: PathBuf,
    /// The home folder whose `.gitconfig` may name the author.
    pub home: Option<PathBuf>,
}

impl Default for GitConfig {
    /// 8 at once, 30 s, 20,000 files, 16 MiB a file; no author and no token; any
    /// remote by https and ssh, for 2 minutes; 64 MiB to and from a container; `git` in `PATH`; the agent
    /// of `SSH_AUTH_SOCK`; the home of `HOME`.
    fn default() -> Self {
        Self {
            max_concurrent: 8,
            time_limit: Duration::from_secs(30),
            max_files: 20_000,
            max_file_bytes: 16 << 20,
            author: None,
            token: None,
            token_user: "x-access-token".to_owned(),
            token_hosts: Vec::new(),
            github_host: None,
            remote_hosts: vec!["*".to_owned()],
            plain_http_hosts: Vec::new(),
            ssh_agent: std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
            known_hosts: None,
            local_remotes: false,
            remote_time_limit: Duration::from_secs(120),
            max_transfer_bytes: 64 << 20,
            program: PathBuf::from("git"),
            home: std::env::var_os("HOME").map(PathBuf::from),
        }
    }
}

impl GitConfig {
    pub(super) fn check(&self) -> Result<(), GitConfigError> {
        let zero = [
            ("max_concurrent", self.max_concurrent == 0),
            ("time_limit", self.time_limit.is_zero()),
            ("max_files", self.max_files == 0),
            ("max_file_bytes", self.max_file_bytes == 0),
            ("remote_time_limit", self.remote_time_limit.is_zero()),
            ("max_transfer_bytes", self.max_transfer_bytes == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(GitConfigError::Zero(name));
        }
        if self
            .author
            .as_ref()
            .is_some_and(|author| !author.is_valid())
        {
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
        if let Some(path) = self.known_hosts.clone().filter(is_relative) {
            return Err(GitConfigError::KnownHosts(path));
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
    #[error(
        "the git service's `known_hosts` is {0:?}, which is no absolute path; write it in full"
    )]
    KnownHosts(PathBuf),
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
                author: Some(Author {
                    name: "Ada".into(),
                    email: " ".into(),
                }),
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
        ];
        for config in refusals {
            let message = config.check().unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
