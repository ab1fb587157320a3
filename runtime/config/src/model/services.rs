//! `[git]`, `[github]`, `[docker]`: what the services act on, in whose name, and how much.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::SecretSource;
use exomonad_core::values::{ByteSize, TimeSpan};

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
    /// `*` for any.
    pub remote_hosts: Vec<String>,
    /// Those that may be reached by plain http, besides this machine.
    pub plain_http_hosts: Vec<String>,
    /// File with the keys of the servers that ssh may talk to, as `ssh-keyscan` writes it; others are refused.
    /// By default the `~/.ssh/known_hosts` of the user who runs the host, and the system's.
    #[schemars(extend("format" = "path"), example = &"/etc/exomonad/known_hosts")]
    pub known_hosts: Option<PathBuf>,
    /// Whether a remote may be a folder of this machine, within the role's paths.
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
            local_remotes: false,
            time_limit: TimeSpan::secs(30),
            remote_time_limit: TimeSpan::secs(120),
            max_transfer: ByteSize::mib(64),
            max_files: 20_000,
            max_file: ByteSize::mib(16),
        }
    }
}

impl GitConfig {
    /// Where the token is, if one is named.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }
}

/// GitHub: where its API is, and the host's token for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitHubConfig {
    /// Where the REST API begins: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise
    /// Server.
    pub base_url: String,
    /// File with the token. Read once at start; blanks around it are dropped.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/github-token")]
    pub token_file: Option<PathBuf>,
    /// Environment variable with the token, instead of `token_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"GITHUB_TOKEN")]
    pub token_env: Option<String>,
    /// How long one effect may take, with its retries.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
}

impl Default for GitHubConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.github.com".to_owned(),
            token_file: None,
            token_env: None,
            time_limit: TimeSpan::secs(30),
        }
    }
}

impl GitHubConfig {
    /// Where the token is, if one is named.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }
}

/// The Docker engine, and what a container that a guest starts may have at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DockerConfig {
    /// Where the engine listens: `unix:///var/run/docker.sock`, `tcp://host:port` for plain HTTP, or
    /// `https://host:port` with `tls_dir`.
    pub host: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, as `docker --tlsverify` has it.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/docker-tls")]
    pub tls_dir: Option<PathBuf>,
    /// How long the engine may take to answer what it can answer at once.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub time_limit: TimeSpan,
    /// How much memory a container may have, swap included; it gets as much when its request names none.
    #[schemars(extend("x-minimum" = "6MiB", "x-maximum" = "1TiB"))]
    pub max_memory: ByteSize,
    /// How much processor time a container may have, in thousandths of a processor.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub max_cpu_millis: u32,
    /// How many processes a container may have.
    #[schemars(range(min = 1, max = 4_000_000))]
    pub max_processes: u32,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            host: "unix:///var/run/docker.sock".to_owned(),
            tls_dir: None,
            time_limit: TimeSpan::secs(30),
            max_memory: ByteSize::mib(2048),
            max_cpu_millis: 2000,
            max_processes: 1024,
        }
    }
}
