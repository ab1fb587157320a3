//! Trust in a configuration file that is merely found in the working directory.
//!
//! Whoever clones a repository and runs a command in it has not read its `exomonad.toml`. Most keys can do no
//! harm there, since they concern the project; some reach beyond it: folders and tokens elsewhere, the Docker
//! engine, addresses that others can reach. A file sets these only if it is named (`--config`,
//! `EXOMONAD_CONFIG`), or once `exomonad trust` has remembered the file as it is, as direnv and mise do.
//!
//! Trusted files are remembered in the user's state folder, a file for each: named by the hash of the
//! configuration's path, with the hash of its content in it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use exomonad_core::patterns::is_loopback;
use exomonad_core::values::{HostPattern, ListenAddress};
use exomonad_core::{regular_file, replace_file};
use exomonad_services::DockerConfig;
use sha2::{Digest, Sha256};

use crate::diagnostic::{Code, ConfigErrors, Diagnostic, Place, Severity};
use crate::model::Config;
use crate::read::{Loaded, Source, Sources};

/// Remembers a configuration file as it is now. Gives its path.
///
/// # Errors
/// If it cannot be read, or nothing can be remembered.
pub fn remember(file: &Path, env: impl Fn(&str) -> Option<String>) -> io::Result<PathBuf> {
    let path = fs::canonicalize(file)?;
    let mut content = Vec::new();
    regular_file::open(&path)?.read_to_end(&mut content)?;
    let entry = entry(&path, &env).ok_or_else(no_home)?;
    if let Some(folder) = entry.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let text = format!("{}\n{}\n", hash(&content), path.display());
    replace_file::replace(&entry, text.as_bytes(), replace_file::Mode::Private)?;
    Ok(path)
}

/// Forgets a configuration file. True if it was remembered.
///
/// # Errors
/// If it cannot be forgotten.
pub fn forget(file: &Path, env: impl Fn(&str) -> Option<String>) -> io::Result<bool> {
    let path = fs::canonicalize(file)?;
    match fs::remove_file(entry(&path, &env).ok_or_else(no_home)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The keys of a file that it may not set by itself, each with its line, as `docker.host` (line 3).
pub fn guarded_keys(config: &Config, sources: &Sources, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut guard = |key: &[&str], reaches_out: bool| {
        if reaches_out && let Source::File { line } = sources.of(key.iter().copied()) {
            found.push(format!("`{}` (line {line})", key.join(".")));
        }
    };
    let outside =
        |path: &Option<PathBuf>| path.as_deref().is_some_and(|path| is_outside(folder, path));
    // Compiled code is executed, wherever it lies.
    guard(&["plugins", "cache_dir"], true);
    guard(&["state", "dir"], is_outside(folder, &config.state.dir));
    guard(&["server", "listen"], is_reachable(&config.server.listen));
    // Web pages that anybody wrote call the host under these names.
    let is_local_name = |host: &HostPattern| is_loopback(&host.to_string());
    guard(
        &["server", "allowed_hosts"],
        !config.server.allowed_hosts.iter().all(is_local_name),
    );
    guard(
        &["server", "allowed_origins"],
        !config
            .server
            .allowed_origins
            .iter()
            .all(|origin| is_local(&origin.to_string())),
    );
    guard(
        &["server", "token_file"],
        outside(&config.server.token_file),
    );
    let oauth = &config.oauth;
    let is_elsewhere = |issuer: &exomonad_core::values::Endpoint| !is_local(issuer.as_str());
    guard(
        &["oauth", "issuers"],
        oauth.issuers.iter().any(is_elsewhere),
    );
    guard(
        &["oauth", "jwks_url"],
        oauth.jwks_url.iter().any(is_elsewhere),
    );
    let services = &config.services;
    let docker = &services.docker;
    guard(&["docker", "host"], is_other_engine(folder, docker));
    guard(&["docker", "tls_dir"], outside(&docker.tls_dir));
    guard(&["git", "token_file"], outside(&services.git.token_file));
    guard(&["git", "signing_key"], outside(&services.git.signing_key));
    guard(
        &["github", "token_file"],
        outside(&services.github.token_file),
    );
    let temporal = &services.temporal;
    for (key, path) in [
        ("api_key_file", &temporal.api_key_file),
        ("payload_keys_file", &temporal.payload_keys_file),
        ("tls_ca_file", &temporal.tls_ca_file),
        ("tls_cert_file", &temporal.tls_cert_file),
        ("tls_key_file", &temporal.tls_key_file),
    ] {
        guard(&["temporal", key], outside(path));
    }
    // A variable of the user's environment, which the file names, and a server, which it names too.
    guard(
        &["temporal", "address"],
        temporal.api_key_env.is_some() && !is_local(&format!("http://{}", temporal.address)),
    );
    guard(&["audit", "file"], outside(&config.audit.file));
    guard(
        &["telemetry", "headers_file"],
        outside(&config.telemetry.headers_file),
    );
    let endpoint = config.telemetry.endpoint.as_ref();
    guard(
        &["telemetry", "endpoint"],
        endpoint.is_some_and(|endpoint| !is_local(endpoint.as_str())),
    );
    // A variable of the user's environment, which the file names, and a host, which it names too.
    let base = services.github.base_url.as_str();
    let token_env = services.github.token_env.as_deref();
    guard(
        &["github", "base_url"],
        token_env.is_some_and(|name| !is_meant_for_a_server(name))
            && !is_local(base)
            && base.trim_end_matches('/') != "https://api.github.com",
    );
    let git = &services.git;
    guard(
        &["git", "token_hosts"],
        git.token_env.is_some()
            && git
                .token_hosts
                .iter()
                .any(|host| host != "github.com" && !is_loopback(host)),
    );
    for (name, secret) in &services.secrets {
        guard(&["secret", name.as_str(), "file"], outside(&secret.file));
        guard(
            &["secret", name.as_str(), "env"],
            secret.env.is_some()
                && !secret
                    .hosts
                    .iter()
                    .all(|host| is_loopback(&host.to_string())),
        );
    }
    let roles = config.roles.iter();
    let roles = roles.map(|(name, role)| (vec!["role", name.as_str()], role));
    for (key, role) in std::iter::once((vec!["defaults"], &config.defaults)).chain(roles) {
        let bounds = &role.bounds;
        for (field, reaches_out) in [
            ("token_file", outside(&role.token_file)),
            // A guest reads and writes whatever lies there.
            (
                "paths",
                bounds
                    .files
                    .paths
                    .iter()
                    .any(|path| is_outside(folder, path)),
            ),
            // Servers of the user's own network trust whoever reaches them.
            (
                "private_hosts",
                bounds
                    .http
                    .private_hosts
                    .iter()
                    .any(|host| !is_loopback(&host.to_string())),
            ),
        ] {
            guard(&[key.as_slice(), &[field]].concat(), reaches_out);
        }
    }
    found
}

/// True for a variable that somebody has set for some server of GitHub's: by its name it holds a token for
/// GitHub, and it is none of those that `gh` reads, which most have set for github.com.
fn is_meant_for_a_server(variable: &str) -> bool {
    const OF_GH: [&str; 4] = [
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
    ];
    let mut words = variable.split('_');
    !OF_GH.contains(&variable)
        && words.any(|word| {
            ["GH", "GHE", "GITHUB"]
                .iter()
                .any(|github| word.eq_ignore_ascii_case(github))
        })
}

/// Refuses a file that is found in the working directory, is not remembered, and sets a guarded key.
pub(crate) fn check(
    loaded: &Loaded,
    text: &str,
    cwd: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigErrors> {
    let Some(path) = &loaded.path else {
        return Ok(());
    };
    let keys = guarded_keys(&loaded.config, &loaded.sources, cwd);
    if keys.is_empty() || is_remembered(&cwd.join(path), text, env) {
        return Ok(());
    }
    let shown = path.display();
    Err(ConfigErrors {
        diagnostics: vec![Diagnostic {
            severity: Severity::Error,
            code: Code::Untrusted,
            message: format!(
                "{shown} sets {}, which a file that is merely found in the working directory may not set by itself",
                keys.join(", ")
            ),
            help: Some(format!(
                "read it, then run `exomonad trust`; or name the file: `--config {shown}`"
            )),
            key: None,
            place: Place::Nowhere {},
        }],
    })
}

/// True if this very content of the file is trusted.
fn is_remembered(file: &Path, text: &str, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let Ok(path) = fs::canonicalize(file) else {
        return false;
    };
    let Some(known) = entry(&path, env).and_then(|entry| fs::read_to_string(entry).ok()) else {
        return false;
    };
    known.lines().next() == Some(hash(text.as_bytes()).as_str())
}

/// The file that remembers a configuration file.
fn entry(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let absolute = |name| env(name).filter(|value| value.starts_with('/'));
    let state = match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
        (Some(state), _) => PathBuf::from(state),
        (None, Some(home)) => Path::new(&home).join(".local/state"),
        (None, None) => return None,
    };
    let name = hash(path.as_os_str().as_bytes());
    Some(state.join("exomonad/trusted").join(name))
}

fn no_home() -> io::Error {
    io::Error::other("neither XDG_STATE_HOME nor HOME says where to remember it")
}

fn hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// True if a path leads out of a folder, by `..`, by a link or as it stands. What is not there yet counts by
/// the nearest folder that is.
fn is_outside(folder: &Path, path: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else {
        return true;
    };
    let mut missing = PathBuf::new();
    for at in path.ancestors() {
        if let Ok(real) = fs::canonicalize(at) {
            let climbs = missing
                .components()
                .any(|part| part == std::path::Component::ParentDir);
            return climbs || !real.starts_with(&folder);
        }
        // A link that leads nowhere now may lead somewhere later.
        if at.symlink_metadata().is_ok() {
            return true;
        }
        missing = match at.file_name() {
            Some(name) => Path::new(name).join(&missing),
            None => Path::new("..").join(&missing),
        };
    }
    true
}

fn is_reachable(listen: &ListenAddress) -> bool {
    !listen.get().ip().is_loopback()
}

/// True for an address of this machine.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    is_loopback(name)
}

/// True for an engine that is neither the usual one nor a socket in the folder.
fn is_other_engine(folder: &Path, docker: &DockerConfig) -> bool {
    match docker.host.strip_prefix("unix://") {
        Some(_) if docker.host == DockerConfig::default().host => false,
        Some(socket) => is_outside(folder, Path::new(socket)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clone {
        root: tempfile::TempDir,
    }

    impl Clone {
        fn new(config: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            for folder in ["repository", "home"] {
                fs::create_dir(root.path().join(folder)).unwrap();
            }
            let clone = Self { root };
            fs::write(clone.file(), config).unwrap();
            clone
        }

        fn folder(&self) -> PathBuf {
            self.root.path().join("repository")
        }

        fn file(&self) -> PathBuf {
            self.folder().join("exomonad.toml")
        }

        fn env(&self) -> impl Fn(&str) -> Option<String> + use<> {
            let home = self.root.path().join("home").display().to_string();
            // Where it is set, a token file of the configuration has no say.
            let text = fs::read_to_string(self.file()).unwrap_or_default();
            let has_token = text.contains("base_url");
            move |name| match name {
                "HOME" => Some(home.clone()),
                "GITHUB_TOKEN" if has_token => Some("0123456789abcdef".to_owned()),
                _ => None,
            }
        }

        /// As a command that runs in the clone does.
        fn load(&self) -> Result<Loaded, ConfigErrors> {
            Config::load_in(&self.folder(), None, self.env(), &[])
        }
    }

    #[test]
    fn a_file_that_is_found_may_not_reach_out_of_its_project_until_it_is_trusted() {
        for (text, key) in [
            (
                "[plugins]\ncache_dir = 'cache'\n",
                "`plugins.cache_dir` (line 2)",
            ),
            ("[state]\ndir = '/var/tmp/elsewhere'\n", "`state.dir`"),
            ("[state]\ndir = '../elsewhere'\n", "`state.dir`"),
            ("[state]\ndir = 'none/../../elsewhere'\n", "`state.dir`"),
            ("[state]\ndir = '~/elsewhere'\n", "`state.dir`"),
            ("[docker]\nhost = 'tcp://127.0.0.1:2375'\n", "`docker.host`"),
            (
                "[docker]\nhost = 'unix:///run/user/1000/docker.sock'\n",
                "`docker.host`",
            ),
            (
                "[git]\nsigning_key = '/etc/hostname'\n",
                "`git.signing_key`",
            ),
            (
                "[github]\ntoken_file = '/etc/hostname'\n",
                "`github.token_file`",
            ),
            (
                "[server]\nlisten = '0.0.0.0:7432'\ntoken_env = 'HOME'\n",
                "`server.listen`",
            ),
            (
                "[secret.K]\nfile = '/etc/hostname'\nhosts = ['a.example']\n",
                "`secret.K.file`",
            ),
            (
                "[telemetry]\nendpoint = 'https://collector.example'\n",
                "`telemetry.endpoint`",
            ),
            (
                "[github]\nbase_url = 'https://ghe.example/api/v3'\n",
                "`github.base_url`",
            ),
            (
                "[role.tl]\ntoken_file = '/etc/hostname'\n",
                "`role.tl.token_file`",
            ),
        ] {
            let clone = Clone::new(text);
            let refused = clone.load().expect_err(text).to_string();
            assert!(
                refused.contains(key) && refused.contains("exomonad trust"),
                "{text}: {refused}"
            );
            let named = Config::load_in(&clone.folder(), Some(&clone.file()), clone.env(), &[]);
            assert!(named.is_ok(), "{text}: {named:?}");
            remember(&clone.file(), clone.env()).unwrap();
            assert!(clone.load().is_ok(), "{text}");
            fs::write(clone.file(), format!("{text}# changed\n")).unwrap();
            assert!(clone.load().is_err(), "{text}: it is another file now");
        }
    }

    #[test]
    fn ordinary_keys_need_no_trust_and_a_link_out_of_the_project_does() {
        let text = "[server]\nlisten = '127.0.0.1:0'\ntoken_file = 'token'\n[state]\ndir = 'kept'\n\
                    [docker]\nhost = 'unix:///var/run/docker.sock'\n[role.tl]\npaths = ['.']\n";
        let clone = Clone::new(text);
        let token = clone.folder().join("token");
        fs::write(&token, "0123456789abcdef").unwrap();
        clone.load().unwrap();
        fs::remove_file(&token).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &token).unwrap();
        let refused = clone.load().unwrap_err().to_string();
        assert!(
            refused.contains("`server.token_file` (line 3)"),
            "{refused}"
        );
    }

    #[test]
    fn a_trusted_file_can_be_forgotten() {
        let clone = Clone::new("[plugins]\ncache_dir = 'cache'\n");
        remember(&clone.file(), clone.env()).unwrap();
        assert!(forget(&clone.file(), clone.env()).unwrap());
        assert!(!forget(&clone.file(), clone.env()).unwrap());
        assert!(clone.load().is_err());
    }
}
