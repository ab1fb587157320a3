//! The context of one effect: its kind, its role, its folder, and its errors.

use std::fmt::Display;
use std::sync::Arc;

use exomonad_core::{BoundsMap, CallContext, PathBounds, RoleKeys};
use exomonad_schema::value::WorkingDir;
use exomonad_schema::{EffectError, EffectKind, ErrorCode, RoleName};
use git2::{ErrorClass, ErrorCode as Git2Code};
use tracing::Span;
use tracing::field::Empty;

use exomonad_core::span;

/// An effect of a role in a folder.
#[derive(Clone, Debug)]
pub(super) struct EffectContext {
    kind: EffectKind,
    role: RoleName,
    bounds: Arc<BoundsMap>,
    working_dir: String,
    container: Option<String>,
}

impl EffectContext {
    pub(super) fn new(kind: EffectKind, call: &CallContext, working_dir: &WorkingDir) -> Self {
        Self {
            kind,
            role: call.role.clone(),
            bounds: call.bounds.clone(),
            working_dir: working_dir.0.clone(),
            container: None,
        }
    }

    /// The same effect, in a container.
    pub(super) fn in_container(mut self, container: &str) -> Self {
        self.container = Some(container.to_owned());
        self
    }

    /// The place of the work, as messages have it.
    pub(super) fn place(&self) -> &'static str {
        match self.container {
            None => "on the host",
            Some(_) => "in the container",
        }
    }

    /// The role whose plugin asks.
    pub(super) fn role(&self) -> &RoleName {
        &self.role
    }

    pub(super) fn kind(&self) -> EffectKind {
        self.kind
    }

    /// The trace span of the work: by libgit2 in here, or by a program that talks to a remote.
    pub(super) fn span(&self, by: &str, kind: &str) -> Span {
        tracing::info_span!(
            target: span::TARGET,
            "git",
            otel.name = format_args!("{by} {}", self.kind.method()),
            otel.kind = kind,
            exomonad.effect = self.kind.function(),
            exomonad.git.working_dir = self.working_dir,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// The folder as the guest named it.
    pub(super) fn working_dir(&self) -> &str {
        &self.working_dir
    }

    /// `GitStatus in "src": …`: what was tried and on what, then what went wrong.
    pub(super) fn error(&self, code: ErrorCode, what_and_remedy: impl Display) -> EffectError {
        let (kind, folder) = (self.kind, &self.working_dir);
        EffectError::new(
            code,
            match &self.container {
                None => format!("{kind} in {folder:?}: {what_and_remedy}"),
                Some(name) => {
                    format!("{kind} in {folder:?} of container {name:?}: {what_and_remedy}")
                }
            },
        )
    }

    /// Something is where the role may not read. The message has the guest's own
    /// path, never its target.
    pub(super) fn forbidden(&self, what: impl Display) -> EffectError {
        self.error(
            ErrorCode::Forbidden,
            format_args!(
                "{what} outside the folders role `{role}` may reach; if it is meant to, \
                 add the folder to `{key}` in exomonad.toml",
                role = self.role,
                key = self
                    .bounds
                    .get::<RoleKeys>()
                    .key(&self.role, PathBounds::KEY)
            ),
        )
    }

    /// The repository is broken.
    pub(super) fn damaged(&self, what: impl Display) -> EffectError {
        self.error(
            ErrorCode::Unsupported,
            format_args!("the repository is damaged: {what}; run `git fsck` there"),
        )
    }

    /// A repository without a working tree cannot answer.
    pub(super) fn bare(&self) -> EffectError {
        self.error(
            ErrorCode::Unsupported,
            "the repository is bare, it has no working tree; ask in one of its worktrees",
        )
    }

    /// The repository is of a kind that git knows and libgit2 does not.
    fn unknown_kind(&self, message: &str) -> EffectError {
        let way_out = match message.to_ascii_lowercase() {
            message if message.contains("refstorage") => {
                "this one keeps its references in a reftable, and is only read here, by git: convert it with \
                 `git refs migrate --ref-format=files`, or work on it in a container, where git itself does the work"
            }
            message if message.contains("sha256") || message.contains("objectformat") => {
                "this one has sha256 for its ids, and is only read here, by git: work on it in a container, where \
                 git itself does the work"
            }
            _ => "work on it in a container, where git itself does the work",
        };
        self.error(
            ErrorCode::Unsupported,
            format_args!(
                "the host works on repositories by libgit2, a library that does not know this kind \
                 ({message}); {way_out}"
            ),
        )
    }

    /// Maps an error of libgit2 to the contract's.
    pub(super) fn git(&self, error: &git2::Error) -> EffectError {
        let message = error.message();
        match (error.code(), error.class()) {
            (Git2Code::BareRepo, _) => self.bare(),
            (Git2Code::Locked, _) => self.error(
                ErrorCode::Unavailable,
                format_args!("another program has it locked: {message}; try again"),
            ),
            // A configuration may include any file of the machine, and libgit2
            // quotes the line it stumbled over.
            (_, ErrorClass::Config) => self.error(
                ErrorCode::Unsupported,
                "the repository's configuration cannot be read; `git config --list` there says why",
            ),
            (_, ErrorClass::Repository) if is_unknown_kind(error) => self.unknown_kind(message),
            (_, ErrorClass::Repository | ErrorClass::Invalid | ErrorClass::Checkout) => self.error(
                ErrorCode::Unsupported,
                format_args!("libgit2, by which the host works on repositories, says: {message}"),
            ),
            (_, ErrorClass::Os | ErrorClass::Filesystem) => self.error(
                ErrorCode::Unavailable,
                format_args!(
                    "{message}; check that the host may read the repository and that nothing is removing it"
                ),
            ),
            (_, ErrorClass::NoMemory) => self.error(
                ErrorCode::Unavailable,
                "the host is out of memory; ask for less or try again",
            ),
            (_, ErrorClass::Index) if is_unknown_kind(error) => self.error(
                ErrorCode::Unsupported,
                format_args!(
                    "libgit2, by which the host works on repositories, says: {message}; those with split \
                     and sparse indexes are only read here, by git"
                ),
            ),
            (
                _,
                ErrorClass::Odb
                | ErrorClass::Object
                | ErrorClass::Tree
                | ErrorClass::Tag
                | ErrorClass::Zlib
                | ErrorClass::Sha1
                | ErrorClass::Index
                | ErrorClass::Reference,
            ) => self.damaged(message),
            _ => self.error(
                ErrorCode::Internal,
                format_args!("libgit2, by which the host works on repositories, says: {message}"),
            ),
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests(kind: EffectKind) -> Self {
        Self::of_role(kind, "tl")
    }

    #[cfg(test)]
    pub(super) fn of_role(kind: EffectKind, role: &str) -> Self {
        Self {
            kind,
            role: role.parse().unwrap(),
            bounds: Arc::default(),
            working_dir: ".".to_owned(),
            container: None,
        }
    }
}

/// True for what git may know and libgit2 does not: extensions of a repository or an index.
pub(super) fn is_unknown_kind(error: &git2::Error) -> bool {
    let message = error.message();
    match error.class() {
        ErrorClass::Repository => {
            message.contains("extension") || message.contains("object format")
        }
        ErrorClass::Index => message.contains("extension"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_foreign_configuration_file_is_not_quoted() {
        let raw = git2::Error::new(
            Git2Code::GenericError,
            ErrorClass::Config,
            "failed to parse config file: root:x:0:0 (in /etc/passwd:1)",
        );
        let error = EffectContext::for_tests(EffectKind::GitStatus).git(&raw);
        assert_eq!(error.code, ErrorCode::Unsupported);
        assert!(!error.message.contains("passwd"), "{error}");
    }

    #[test]
    fn a_forbidden_error_names_the_folder_and_the_key_that_would_allow_it() {
        let error = EffectContext::for_tests(EffectKind::GitDiff).forbidden("this folder is");
        assert_eq!(error.code, ErrorCode::Forbidden);
        assert_eq!(
            error.message,
            "git.diff in \".\": this folder is outside the folders role `tl` may reach; \
             if it is meant to, add the folder to `role.tl.paths` in exomonad.toml"
        );
    }
}
