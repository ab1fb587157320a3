//! Authors of commits.

use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Config, Signature};

use super::RepoWriter;
use crate::GitConfig;
use crate::effect_context::EffectContext;
use crate::open::OpenRepo;

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

fn find(writer: &RepoWriter<'_>) -> Option<Author> {
    writer
        .config
        .author()
        .or_else(|| in_repository(&writer.repo))
        .or_else(|| of_home(writer.config))
}

/// The author in the configuration of the user who runs the host.
pub(crate) fn of_home(config: &GitConfig) -> Option<Author> {
    let home = config.home.as_deref()?;
    [home.join(".gitconfig"), home.join(".config/git/config")]
        .iter()
        .find_map(|file| in_file(file))
}

fn in_repository(repo: &OpenRepo) -> Option<Author> {
    in_config(&repo.git2().config().ok()?)
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
