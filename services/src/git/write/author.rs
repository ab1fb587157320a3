//! In whose name is committed.

use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Config, Signature};

use super::Writing;
use crate::git::GitConfig;
use crate::git::open::Opened;
use crate::git::task::Task;

/// In whose name the host commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
}

impl Author {
    /// Whether git can write it down: a line, not empty, without `<` and `>`.
    pub(in crate::git) fn is_valid(&self) -> bool {
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

/// The author of what is written now: the host's, or else the one in the
/// repository's configuration, or else in that of the user who runs the host.
///
/// # Errors
/// `not_configured` when there is none.
pub(super) fn signature(writing: &Writing<'_>) -> Result<Signature<'static>, EffectError> {
    find(writing)
        .and_then(|author| author.signature())
        .ok_or_else(|| nobody(writing.task()))
}

/// Nobody is known to commit as.
pub(in crate::git) fn nobody(task: &Task) -> EffectError {
    task.error(
        ErrorCode::NotConfigured,
        "nobody is set up to commit as; set `git.author_name` and `git.author_email` in \
         exomonad.toml, or `user.name` and `user.email` in git's configuration",
    )
}

/// The same for a reflog, which is written even where there is no author.
pub(super) fn for_reflog(writing: &Writing<'_>) -> Result<Signature<'static>, EffectError> {
    match find(writing).and_then(|author| author.signature()) {
        Some(signature) => Ok(signature),
        None => Signature::now("exomonad", "exomonad@localhost")
            .map_err(|error| writing.git_error(&error)),
    }
}

fn find(writing: &Writing<'_>) -> Option<Author> {
    if writing.config.author.is_some() {
        return writing.config.author.clone();
    }
    in_repository(&writing.opened).or_else(|| of_home(writing.config))
}

/// The one in the configuration of the user who runs the host.
pub(in crate::git) fn of_home(config: &GitConfig) -> Option<Author> {
    let home = config.home.as_deref()?;
    [home.join(".gitconfig"), home.join(".config/git/config")]
        .iter()
        .find_map(|file| in_file(file))
}

fn in_repository(opened: &Opened) -> Option<Author> {
    in_config(&opened.repository().config().ok()?)
}

fn in_file(file: &Path) -> Option<Author> {
    in_config(&Config::open(file).ok()?)
}

fn in_config(config: &Config) -> Option<Author> {
    Some(Author {
        name: config.get_string("user.name").ok()?,
        email: config.get_string("user.email").ok()?,
    })
    .filter(Author::is_valid)
}
