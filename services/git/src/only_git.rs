//! Repositories of the host that git knows and libgit2 does not: reftables, SHA-256 ids, split and sparse
//! indexes; and comparisons that libgit2 makes otherwise, as with merge conflicts. The host's `git` reads them.
//!
//! It would obey the repository's configuration, in which an agent can name programs, at any time: also
//! between a check and git's start. So git never opens that file. It is given the git folder
//! (`GIT_DIR`) and, in place of the common folder of worktrees (`GIT_COMMON_DIR`), a [stand-in](StandIn)
//! made for one effect. That one's configuration is written here: those settings of the repository's
//! that decide what an answer says, and none that names a program. Objects and references are the
//! repository's own, the index is a copy, and nothing that git writes may be larger than that.
//!
//! What libgit2 is kept from, git is as well: the repository is [authorized](crate::authorize) before. git
//! itself follows no link in place of `.gitignore` and `.gitattributes`; a pipe there, or anything else
//! that holds git up, ends with the effect's time.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use exomonad_core::PathBounds;
use exomonad_core::roots::{Location, Roots};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Config, ConfigLevel, Repository, RepositoryOpenFlags};
use tempfile::TempDir;

use super::authorize::AuthorizedRepo;
use super::authorize::config::expand;
use super::blocking::Job;
use super::effect_context::{EffectContext, is_unknown_kind};
use super::open;
use super::small_file;

/// The largest index, that of some millions of files.
const MAX_INDEX: u64 = 256 << 20;

/// A repository that is read by the host's `git`.
#[derive(Debug)]
pub(super) struct OnlyGit {
    /// The git folder of this worktree.
    pub(super) git_dir: PathBuf,
    /// The git folder that all worktrees share.
    pub(super) common_dir: PathBuf,
    /// The root of the working tree; `None` when bare.
    work_dir: Option<PathBuf>,
    /// That of the main worktree.
    main_dir: Option<PathBuf>,
    /// The folders that may be read.
    roots: Roots,
    stand_in: TempDir,
}

impl OnlyGit {
    /// Finds and authorizes the repository an effect works on; `None` if it is not git's, or of a format that
    /// nobody knows.
    ///
    /// # Errors
    /// As [`OpenRepo::open`](super::open::OpenRepo::open).
    pub(super) fn find(
        context: &EffectContext,
        bounds: &PathBounds,
        job: &Job,
        needs_git: fn(&AuthorizedRepo) -> bool,
    ) -> Result<Option<Self>, EffectError> {
        let authorized = open::authorized(context, bounds, job)?;
        if !needs_git(&authorized) {
            return Ok(None);
        }
        let config = open_config(context, &authorized)?;
        let settings = Settings::read(context, &config)?;
        let Some(format) = Format::of(&settings) else {
            return Ok(None);
        };
        check_reftable(context, &authorized)?;
        let work_dir = work_dir(context, &authorized, &settings)?;
        authorized.check_opened(context, &config, work_dir.as_deref())?;
        let main_dir = main_dir(&authorized, &settings, work_dir.as_deref());
        let stand_in = stand_in(&authorized, &settings, &format).map_err(|error| {
            context.error(
                ErrorCode::Unavailable,
                format_args!(
                    "what git needs to read the repository cannot be made in a temporary folder: {error}; \
                     check that the disk has room"
                ),
            )
        })?;
        Ok(Some(Self {
            git_dir: authorized.git_dir,
            common_dir: authorized.common_dir,
            work_dir,
            main_dir,
            roots: authorized.roots,
            stand_in,
        }))
    }

    /// The folder in which git works.
    pub(super) fn folder(&self) -> &Path {
        self.work_dir.as_deref().unwrap_or(&self.git_dir)
    }

    /// A path with its links followed where that stays in reach, or else as it is.
    pub(super) fn located(&self, path: &str) -> String {
        match self.roots.locate(Path::new(path)) {
            Location::Inside(path) => path.to_string_lossy().into_owned(),
            Location::Missing | Location::Outside => path.to_owned(),
        }
    }

    /// Bytes that git may write to a file: `git diff` writes the index.
    pub(super) fn max_file(&self) -> u64 {
        let index = self.stand_in.path().join("index").metadata();
        index.map_or(0, |found| found.len()).saturating_mul(2) + (1 << 20)
    }

    /// The variables by which git is led to the repository.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = |path: &Path| path.as_os_str().to_owned();
        let mut variables = vec![
            ("GIT_DIR", path(&self.git_dir)),
            ("GIT_COMMON_DIR", path(self.stand_in.path())),
            (
                "GIT_OBJECT_DIRECTORY",
                path(&self.common_dir.join("objects")),
            ),
            ("GIT_INDEX_FILE", path(&self.stand_in.path().join("index"))),
            ("GIT_ALLOW_PROTOCOL", "none".into()),
            ("EXOMONAD_COMMON_DIR", path(&self.common_dir)),
            (
                "EXOMONAD_MAIN_DIR",
                path(self.main_dir.as_deref().unwrap_or(Path::new(""))),
            ),
        ];
        variables.push(match &self.work_dir {
            Some(work_dir) => ("GIT_WORK_TREE", path(work_dir)),
            None => ("GIT_IMPLICIT_WORK_TREE", "0".into()),
        });
        variables
    }
}

/// True if libgit2 says that it does not know such a repository.
pub(super) fn is_of_unknown_kind(authorized: &AuthorizedRepo) -> bool {
    let no_ceilings: [&std::ffi::OsStr; 0] = [];
    authorized.allow_files();
    match Repository::open_ext(
        &authorized.open_at,
        RepositoryOpenFlags::NO_SEARCH,
        no_ceilings,
    ) {
        Ok(repository) => repository
            .index()
            .is_err_and(|error| is_unknown_kind(&error)),
        Err(error) => is_unknown_kind(&error),
    }
}

/// The repository's own configuration.
fn open_config(
    context: &EffectContext,
    authorized: &AuthorizedRepo,
) -> Result<Config, EffectError> {
    let fail = |error: git2::Error| context.git(&error);
    let mut config = Config::new().map_err(fail)?;
    let shared = authorized.common_dir.join("config");
    config
        .add_file(&shared, ConfigLevel::Local, true)
        .map_err(fail)?;
    let own = authorized.git_dir.join("config.worktree");
    if config
        .get_bool("extensions.worktreeConfig")
        .unwrap_or(false)
        && own.is_file()
    {
        config
            .add_file(&own, ConfigLevel::Worktree, true)
            .map_err(fail)?;
    }
    Ok(config)
}

/// The settings of a repository, in their order.
#[derive(Debug, Default)]
struct Settings(Vec<Setting>);

#[derive(Debug)]
struct Setting {
    section: String,
    /// Such as the name of a branch.
    subsection: Option<Vec<u8>>,
    key: String,
    value: Vec<u8>,
}

impl Settings {
    /// # Errors
    /// `unsupported` for includes on a condition, which depend on the repository they are read for.
    fn read(context: &EffectContext, config: &Config) -> Result<Self, EffectError> {
        let mut settings = Vec::new();
        let mut has_condition = false;
        config
            .entries(None)
            .and_then(|entries| {
                entries.for_each(|entry| {
                    // A key without a value is true.
                    let value = match entry.has_value() {
                        true => entry.value_bytes().to_vec(),
                        false => b"true".to_vec(),
                    };
                    has_condition |= entry.name_bytes().starts_with(b"includeif.");
                    settings.extend(Setting::of(entry.name_bytes(), value));
                })
            })
            .map_err(|error| context.git(&error))?;
        if has_condition {
            return Err(context.error(
                ErrorCode::Unsupported,
                "the repository's configuration includes files on conditions (`includeIf`), which the host \
                 does not look at in a repository of this kind; use git itself",
            ));
        }
        Ok(Self(settings))
    }

    /// The last value of a setting without a subsection.
    fn get(&self, section: &str, key: &str) -> Option<&[u8]> {
        let mut settings = self.0.iter().rev();
        let found = settings.find(|setting| {
            setting.section == section && setting.subsection.is_none() && setting.key == key
        })?;
        Some(&found.value)
    }

    fn is_true(&self, section: &str, key: &str) -> Option<bool> {
        let value = self.get(section, key)?.to_ascii_lowercase();
        Some(matches!(&value[..], b"true" | b"yes" | b"on" | b"1"))
    }
}

impl Setting {
    /// `branch.Some.Name.merge`: section and key in lower case, as libgit2 gives them.
    fn of(name: &[u8], value: Vec<u8>) -> Option<Self> {
        let first = name.iter().position(|byte| *byte == b'.')?;
        let last = name.iter().rposition(|byte| *byte == b'.')?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Self {
            section: text(&name[..first])?,
            subsection: (first < last).then(|| name[first + 1..last].to_vec()),
            key: text(&name[last + 1..])?,
            value,
        })
    }

    /// True for one that decides what an answer says, and by which git runs nothing and reads nothing elsewhere.
    fn is_passed_on(&self) -> bool {
        match (&*self.section, self.subsection.is_some()) {
            ("core", false) => [
                "filemode",
                "symlinks",
                "ignorecase",
                "precomposeunicode",
                "autocrlf",
                "eol",
                "trustctime",
                "checkstat",
                "sparsecheckout",
                "sparsecheckoutcone",
                // Checked, see `config::check_named`.
                "excludesfile",
                "attributesfile",
            ]
            .contains(&&*self.key),
            ("branch", true) => ["remote", "merge"].contains(&&*self.key),
            ("remote", true) => ["url", "pushurl", "fetch"].contains(&&*self.key),
            ("url", true) => self.key == "insteadof",
            ("diff", true) => ["binary", "funcname", "xfuncname"].contains(&&*self.key),
            _ => false,
        }
    }

    /// As it stands in a configuration file; `None` for what cannot.
    fn text(&self) -> Option<Vec<u8>> {
        let mut text = format!("[{}", self.section).into_bytes();
        if let Some(subsection) = &self.subsection {
            if subsection.contains(&b'\n') {
                return None;
            }
            text.extend_from_slice(b" \"");
            text.extend(escaped(subsection));
            text.push(b'"');
        }
        text.extend_from_slice(format!("]\n\t{} = \"", self.key).as_bytes());
        let is_path = ["excludesfile", "attributesfile"].contains(&&*self.key);
        let value = match is_path && !self.value.is_empty() {
            true => expand(&self.value).as_os_str().as_bytes().to_vec(),
            false => self.value.clone(),
        };
        text.extend(escaped(&value));
        text.extend_from_slice(b"\"\n");
        Some(text)
    }
}

/// The bytes of a quoted value.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' => escaped.extend([b'\\', *byte]),
            b'\n' => escaped.extend(b"\\n"),
            b'\t' => escaped.extend(b"\\t"),
            8 => escaped.extend(b"\\b"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

/// The format of a repository.
#[derive(Debug, PartialEq, Eq)]
struct Format {
    objects: &'static str,
    references: &'static str,
}

impl Format {
    /// `None` for one that git may know and the host does not.
    fn of(settings: &Settings) -> Option<Self> {
        let mut format = Self {
            objects: "sha1",
            references: "files",
        };
        let version = settings.get("core", "repositoryformatversion");
        if !matches!(version, None | Some(b"0" | b"1")) {
            return None;
        }
        for setting in settings
            .0
            .iter()
            .filter(|setting| setting.section == "extensions")
        {
            match (&*setting.key, &*setting.value) {
                ("objectformat", b"sha1") => format.objects = "sha1",
                ("objectformat", b"sha256") => format.objects = "sha256",
                ("refstorage", b"files") => format.references = "files",
                ("refstorage", b"reftable") => format.references = "reftable",
                (
                    "noop" | "noop-v1" | "partialclone" | "preciousobjects" | "worktreeconfig"
                    | "relativeworktrees",
                    _,
                ) => {}
                _ => return None,
            }
        }
        Some(format)
    }

    /// The beginning of a configuration file.
    fn text(&self) -> String {
        let Self {
            objects,
            references,
        } = self;
        let mut text = "[core]\n\trepositoryformatversion = 1\n[extensions]\n".to_owned();
        if *objects != "sha1" {
            text += &format!("\tobjectFormat = {objects}\n");
        }
        // An older git stops at an extension that it does not know.
        if *references != "files" {
            text += &format!("\trefStorage = {references}\n");
        }
        // These files name packs and vouch for commits, and an agent can write them.
        text + "[core]\n\tmultiPackIndex = false\n\tcommitGraph = false\n"
    }
}

/// Makes the folder that git takes for the one that all worktrees share.
fn stand_in(
    authorized: &AuthorizedRepo,
    settings: &Settings,
    format: &Format,
) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("exomonad-git-").tempdir()?;
    let path = folder.path();
    // git looks whether it is there, and follows the git folder's own way to references.
    fs::create_dir(path.join("refs"))?;
    for shared in ["info", "shallow"] {
        symlink(authorized.common_dir.join(shared), path.join(shared))?;
    }
    copy_index(&authorized.git_dir.join("index"), &path.join("index"))?;
    let mut config = format.text().into_bytes();
    let passed_on = settings.0.iter().filter(|setting| setting.is_passed_on());
    config.extend(passed_on.filter_map(Setting::text).flatten());
    fs::write(path.join("config"), config)?;
    Ok(folder)
}

/// Copies an index: `git diff` writes what it learns of files' times, under the index's lock.
///
/// The copy has the original's time, by which git knows entries that may have changed since.
fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    let file = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let changed = file.metadata()?.modified()?;
    let mut copy = File::create(to)?;
    if io::copy(&mut file.take(MAX_INDEX + 1), &mut copy)? > MAX_INDEX {
        return Err(io::Error::other("the index is larger than 256 MiB"));
    }
    copy.set_modified(changed)
}

/// Checks that a reftable's list names files beside it.
fn check_reftable(context: &EffectContext, authorized: &AuthorizedRepo) -> Result<(), EffectError> {
    for folder in [&authorized.git_dir, &authorized.common_dir] {
        let list = folder.join("reftable/tables.list");
        let Some(names) = small_file::read_exactly(&list) else {
            continue;
        };
        if names.contains(&b'/') {
            return Err(context.damaged("the list of its reftables names a file elsewhere"));
        }
    }
    Ok(())
}

/// The root of the working tree, in reach; `None` when bare.
fn work_dir(
    context: &EffectContext,
    authorized: &AuthorizedRepo,
    settings: &Settings,
) -> Result<Option<PathBuf>, EffectError> {
    let AuthorizedRepo {
        open_at,
        git_dir,
        common_dir,
        roots,
    } = authorized;
    let named = if git_dir != common_dir {
        let dot_git = small_file::read_path(&git_dir.join("gitdir"), git_dir);
        dot_git.and_then(|dot_git| Some(dot_git.parent()?.to_owned()))
    } else if settings.is_true("core", "bare") == Some(true) {
        None
    } else if let Some(path) = settings.get("core", "worktree") {
        Some(git_dir.join(small_file::path_from(path)))
    } else if open_at != git_dir {
        Some(open_at.clone())
    } else if git_dir.file_name() == Some(".git".as_ref()) {
        git_dir.parent().map(Path::to_owned)
    } else {
        None
    };
    match named.map(|path| path.canonicalize()) {
        None => Ok(None),
        Some(Ok(path)) if roots.contain(&path) => Ok(Some(path)),
        Some(_) => Err(context.forbidden("the repository's working tree is missing or")),
    }
}

/// The root of the main worktree, wherever it is: it is told, not read.
fn main_dir(
    authorized: &AuthorizedRepo,
    settings: &Settings,
    work_dir: Option<&Path>,
) -> Option<PathBuf> {
    let common_dir = &authorized.common_dir;
    if authorized.git_dir == *common_dir {
        return work_dir.map(Path::to_owned);
    }
    if settings.is_true("core", "bare") == Some(true) {
        return None;
    }
    let path = match settings.get("core", "worktree") {
        Some(path) => common_dir.join(small_file::path_from(path)),
        None => common_dir.parent()?.to_owned(),
    };
    Some(match authorized.roots.locate(&path) {
        Location::Inside(path) => path,
        Location::Missing | Location::Outside => path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> (TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, text).unwrap();
        let config = Config::open(&file).unwrap();
        let context = EffectContext::for_tests(exomonad_schema::EffectKind::GitStatus);
        let settings = Settings::read(&context, &config).unwrap();
        (folder, settings)
    }

    #[test]
    fn what_is_passed_on_is_read_as_it_was_and_names_no_program() {
        let text = "[core]\n\tignoreCase\n\tfsmonitor = evil\n\thooksPath = evil\n\tpager = evil\n\
                    [filter \"x\"]\n\tclean = evil\n\tprocess = evil\n\
                    [diff \"x\"]\n\ttextconv = evil\n\tcommand = evil\n\tbinary = true\n\
                    [remote \"o\\\"r\\\\i.gin\"]\n\turl = \"a;b # c\\\\ \\\"d\\\"\\n\\t\"\n\tuploadpack = evil\n\
                    [branch \"ma in\"]\n\tmerge = refs/heads/x\n[include]\n\tpath = evil\n";
        let (_folder, settings) = settings(text);
        let passed_on: Vec<_> = settings
            .0
            .iter()
            .filter(|setting| setting.is_passed_on())
            .collect();
        let text: Vec<u8> = passed_on
            .iter()
            .filter_map(|setting| setting.text())
            .flatten()
            .collect();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("evil"), "{text}");
        let (_folder, again) = self::settings(&text);
        assert_eq!(again.0.len(), 4, "{text}");
        for (one, other) in passed_on.into_iter().zip(&again.0) {
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }

    #[test]
    fn a_format_that_is_not_known_is_none() {
        for (text, expected) in [
            (
                "[extensions]\nobjectFormat = sha256\nrefStorage = reftable\nnoop = 1\n",
                Some(("sha256", "reftable")),
            ),
            ("[core]\nrepositoryFormatVersion = 2\n", None),
            ("[extensions]\nobjectFormat = sha3\n", None),
            ("[extensions]\nfuture = true\n", None),
        ] {
            let (_folder, settings) = settings(text);
            let format = Format::of(&settings);
            let format = format.map(|format| (format.objects, format.references));
            assert_eq!(format, expected, "{text}");
        }
    }
}
