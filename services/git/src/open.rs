//! Opens the repository of a request.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use exomonad_core::PathBounds;
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Repository, RepositoryOpenFlags};

use super::authorize::{self, AuthorizedRepo, work_tree};
use super::blocking::Job;
use super::discover::{self, Discovered};
use super::effect_context::EffectContext;
use super::small_file;
use super::working_dir;
use exomonad_core::roots::Roots;

/// An authorized repository, opened for one effect.
pub(super) struct OpenRepo {
    context: EffectContext,
    job: Job,
    authorized: AuthorizedRepo,
    repository: Repository,
    work_dir: Option<PathBuf>,
    /// The repository at the common folder, where histories have to be walked:
    /// libgit2 looks for the list of cut-off commits (`shallow`) in the git
    /// folder that was opened, and a linked worktree's has none.
    shallow_common: Option<Repository>,
}

impl OpenRepo {
    /// Finds, authorizes and opens the repository an effect works on.
    ///
    /// # Errors
    /// `forbidden` outside the role's paths, `not_found` without a repository,
    /// `unsupported` for one that is damaged or of a kind libgit2 does not know.
    pub(super) fn open(
        context: &EffectContext,
        bounds: &PathBounds,
        job: &Job,
    ) -> Result<Self, EffectError> {
        Self::open_authorized(context, job, authorized(context, bounds, job)?)
    }

    /// Opens the repository of a submodule whose working tree is at `folder`.
    pub(super) fn open_submodule(&self, folder: PathBuf) -> Result<Self, EffectError> {
        Self::open_found(
            &self.context,
            &self.job,
            Discovered::DotGit(folder),
            &self.authorized.roots,
        )
    }

    /// Opens a worktree at a canonical `folder` within `roots`.
    pub(super) fn open_worktree(
        context: &EffectContext,
        job: &Job,
        folder: &Path,
        roots: &Roots,
    ) -> Result<Self, EffectError> {
        Self::open_found(context, job, Discovered::DotGit(folder.to_owned()), roots)
    }

    fn open_found(
        context: &EffectContext,
        job: &Job,
        found: Discovered,
        roots: &Roots,
    ) -> Result<Self, EffectError> {
        let authorized = authorize::repository(context, job, found, roots)?;
        Self::open_authorized(context, job, authorized)
    }

    fn open_authorized(
        context: &EffectContext,
        job: &Job,
        authorized: AuthorizedRepo,
    ) -> Result<Self, EffectError> {
        authorized.allow_files();
        let repository = exactly(context, &authorized.open_at)?;
        // libgit2 resolves the paths again, and has to arrive at the same ones.
        let came_to = |path: &Path, expected: &Path| {
            path.canonicalize()
                .is_ok_and(|canonical| canonical == expected)
        };
        if !came_to(repository.path(), &authorized.git_dir)
            || !came_to(repository.commondir(), &authorized.common_dir)
        {
            return Err(
                context.forbidden("the repository changed while it was opened, or its parts lie")
            );
        }
        let work_dir = match repository.workdir() {
            None => None,
            // `core.worktree` may name any folder.
            Some(path) => match path.canonicalize() {
                Ok(canonical) if authorized.roots.contain(&canonical) => Some(canonical),
                _ => {
                    return Err(context.forbidden("the repository's working tree is missing or"));
                }
            },
        };
        let config = repository.config().map_err(|error| context.git(&error))?;
        authorized.check_opened(context, &config, work_dir.as_deref())?;
        let is_cut_off = small_file::read(&authorized.common_dir.join("shallow")).is_some();
        let shallow_common = if is_cut_off && authorized.common_dir != authorized.git_dir {
            Some(exactly(context, &authorized.common_dir)?)
        } else {
            None
        };
        Ok(Self {
            context: context.clone(),
            job: job.clone(),
            authorized,
            repository,
            work_dir,
            shallow_common,
        })
    }

    /// The effect that works on it, for errors.
    pub(super) fn context(&self) -> &EffectContext {
        &self.context
    }

    /// The repository, as seen from the requested worktree.
    pub(super) fn git2(&self) -> &Repository {
        &self.repository
    }

    /// The repository in which to walk from commit to commit.
    pub(super) fn history(&self) -> &Repository {
        self.shallow_common.as_ref().unwrap_or(&self.repository)
    }

    /// The root of the working tree.
    ///
    /// # Errors
    /// `unsupported` when the repository is bare.
    pub(super) fn work_dir(&self) -> Result<&Path, EffectError> {
        self.work_dir.as_deref().ok_or_else(|| self.context.bare())
    }

    /// The git folder of this worktree.
    pub(super) fn git_dir(&self) -> &Path {
        &self.authorized.git_dir
    }

    /// The git folder that all worktrees share.
    pub(super) fn common_dir(&self) -> &Path {
        &self.authorized.common_dir
    }

    /// The folders that may be read.
    pub(super) fn roots(&self) -> &Roots {
        &self.authorized.roots
    }

    /// The job that works on it.
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Checks the ignore patterns that hold for the whole repository.
    pub(super) fn check_ignore_patterns(&self) -> Result<(), EffectError> {
        let config = self.repository.config();
        let config = config.map_err(|error| self.git_error(&error))?;
        self.authorized
            .check_ignore_patterns(&self.context, &config)
    }

    /// Checks the files that libgit2 reads for itself in the whole working tree.
    pub(super) fn check_work_tree(&self) -> Result<(), EffectError> {
        let work_dir = self.work_dir()?;
        self.check_ignore_patterns()?;
        work_tree::check_all(
            &self.context,
            &self.job,
            self.roots(),
            &self.repository,
            work_dir,
        )
    }

    /// Checks those in the folders of these paths and above them.
    pub(super) fn check_above<'p>(
        &self,
        paths: impl Iterator<Item = &'p [u8]>,
    ) -> Result<(), EffectError> {
        match &self.work_dir {
            Some(work_dir) => work_tree::check_above(&self.context, self.roots(), work_dir, paths),
            None => Ok(()),
        }
    }

    /// True for a worktree made by `git worktree add`.
    pub(super) fn is_linked(&self) -> bool {
        self.git_dir() != self.common_dir()
    }

    /// The repository as seen from its main worktree.
    pub(super) fn open_main(&self) -> Result<Repository, EffectError> {
        exactly(&self.context, self.common_dir())
    }

    /// Opens the repository once more, for operations that need it mutably.
    pub(super) fn reopen(&self) -> Result<Repository, EffectError> {
        exactly(&self.context, &self.authorized.open_at)
    }

    /// Maps an error of libgit2 to the contract's.
    pub(super) fn git_error(&self, error: &git2::Error) -> EffectError {
        self.context.git(error)
    }
}

/// Finds and authorizes the repository an effect works on.
///
/// # Errors
/// `forbidden` outside the role's paths, `not_found` without a repository.
pub(super) fn authorized(
    context: &EffectContext,
    bounds: &PathBounds,
    job: &Job,
) -> Result<AuthorizedRepo, EffectError> {
    let roots = bounds.roots();
    let folder = working_dir::resolve(context, bounds)?;
    let found = discover::repository(&folder, &roots).ok_or_else(|| {
        context.error(
            ErrorCode::NotFound,
            "no git repository here or above, within the role's allowed paths; \
             run `git init`, or name a folder in a repository",
        )
    })?;
    authorize::repository(context, job, found, &roots)
}

/// Opens what is at `path`, without searching above it.
pub(super) fn exactly(context: &EffectContext, path: &Path) -> Result<Repository, EffectError> {
    let no_ceilings: [&OsStr; 0] = [];
    Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, no_ceilings).map_err(|error| {
        if error.code() == git2::ErrorCode::NotFound {
            context.damaged("there is a git folder, but no valid HEAD, objects and refs in it")
        } else {
            context.git(&error)
        }
    })
}
