//! Authors of commits.

use std::path::Path;
use std::process::{Command, Stdio};

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Config, Signature};

use super::RepoWriter;
use crate::GitConfig;
use crate::effect_context::EffectContext;

const NAME: &str = "user.name";
const EMAIL: &str = "user.email";

/// The author of the host's commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
}

impl Author {
    /// True if git can store it: a line, not empty, without `<` and `>`.
    pub(crate) fn is_valid(&self) -> bool {
        [&self.name, &self.email]
            .iter()
            .all(|text| !text.trim().is_empty() && !text.contains(['<', '>', '\n', '\r', '\0']))
    }

    fn signature(&self) -> Option<Signature<'static>> {
        if !self.is_valid() {
            return None;
        }
        Signature::now(&self.name, &self.email).ok()
    }
}

/// The author of a commit: the host's, or else the one in the
/// repository's configuration, or else in that of the user who runs the host.
///
/// # Errors
/// `not_configured` when there is none.
pub(super) fn signature(writer: &RepoWriter<'_>) -> Result<Signature<'static>, EffectError> {
    find(writer)
        .and_then(|author| author.signature())
        .ok_or_else(|| no_author(writer.context()))
}

/// The error when no author is known.
pub(crate) fn no_author(context: &EffectContext) -> EffectError {
    context.error(
        ErrorCode::NotConfigured,
        "nobody is set up to commit as; set `git.author_name` and `git.author_email` in \
         exomonad.toml, or `user.name` and `user.email` in git's configuration",
    )
}

/// The author of a reflog line, which is written even where none is known.
pub(super) fn for_reflog(writer: &RepoWriter<'_>) -> Result<Signature<'static>, EffectError> {
    match find(writer).and_then(|author| author.signature()) {
        Some(signature) => Ok(signature),
        None => Signature::now("exomonad", "exomonad@localhost")
            .map_err(|error| writer.git_error(&error)),
    }
}

/// Name and address each from where git would take it: the repository's configuration, includes and
/// conditions held, then that of the user who runs the host.
fn find(writer: &RepoWriter<'_>) -> Option<Author> {
    let find = || {
        if let Some(author) = writer.config.author() {
            return Some(author);
        }
        let config = writer.git2().config().ok();
        let here = |key| value_in(config.as_ref()?, key);
        let (name, email) = (here(NAME), here(EMAIL));
        if name.is_some() && email.is_some() {
            return author_of(name, email);
        }
        let (home_name, home_email) = of_home_in(writer.config, Some(writer.repo.git_dir()));
        author_of(name.or(home_name), email.or(home_email))
    };
    writer.author.get_or_init(find).clone()
}

/// The author in the configuration of the user who runs the host.
pub(crate) fn of_home(config: &GitConfig) -> Option<Author> {
    let (name, email) = of_home_in(config, None);
    author_of(name, email)
}

fn author_of(name: Option<String>, email: Option<String>) -> Option<Author> {
    Some(Author {
        name: name?,
        email: email?,
    })
    .filter(Author::is_valid)
}

fn value_in(config: &Config, key: &str) -> Option<String> {
    config
        .get_string(key)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

/// Name and address in the configuration of the user who runs the host. git itself reads it, since
/// conditions there (`includeIf`) are about the repository, which libgit2 does not know for a file by itself.
fn of_home_in(config: &GitConfig, git_dir: Option<&Path>) -> (Option<String>, Option<String>) {
    let Some(home) = config.home.as_deref() else {
        return (None, None);
    };
    let mut command = Command::new(&config.program);
    command
        .args(["config", "--global", "--includes", "--null", "--get-regexp"])
        .arg(r"^user\.(name|email)$")
        .current_dir("/")
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_DIR", git_dir.unwrap_or(Path::new("/nonexistent")))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let Ok(output) = command.output() else {
        let value = |key| {
            [home.join(".gitconfig"), home.join(".config/git/config")]
                .iter()
                .find_map(|file| value_in(&Config::open(file).ok()?, key))
        };
        return (value(NAME), value(EMAIL));
    };
    let output = String::from_utf8_lossy(&output.stdout);
    // `<key>\n<value>\0`; of several the last one counts.
    let value = |key| {
        let mut entries = output.split('\0').rev();
        let value = entries.find_map(|entry| entry.strip_prefix(key)?.strip_prefix('\n'))?;
        (!value.trim().is_empty()).then(|| value.to_owned())
    };
    (value(NAME), value(EMAIL))
}
