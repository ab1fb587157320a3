//! A folder for one test: what a role may reach, what lies outside, and `git`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use exomonad_core::{BoundsMap, CallContext, PathBounds};
use exomonad_docker::DockerBounds;
use exomonad_schema::CallId;
use exomonad_schema::value::WorkingDir;
use tempfile::TempDir;

pub use crate::service::{Service, service, service_with};
use crate::target;

/// A temporary folder with `root`, which the role may reach, and `outside`.
pub struct Area {
    _dir: TempDir,
    _apart: Option<TempDir>,
    pub root: PathBuf,
    pub outside: PathBuf,
}

impl Area {
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in(target::folder()).unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (root, outside) = (base.join("root"), base.join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        Self {
            _dir: dir,
            _apart: None,
            root,
            outside,
        }
    }

    /// With a folder outside that a container does not have either.
    pub fn apart() -> Self {
        let mut area = Self::new();
        if !target::IS_HOST {
            let apart = tempfile::tempdir().unwrap();
            area.outside = apart.path().canonicalize().unwrap();
            area._apart = Some(apart);
        }
        area
    }

    /// With a repository at the root that has one commit, of `file`.
    pub fn with_repository() -> Self {
        let area = Self::new();
        init_with_commit(&area.root);
        area
    }

    /// A call of role `tl`, which may reach the root.
    pub fn call(&self) -> CallContext {
        call_within(&[&self.root])
    }
}

pub fn call_within(paths: &[&Path]) -> CallContext {
    CallContext {
        bounds: Arc::new(
            BoundsMap::default()
                .with(PathBounds {
                    paths: paths.iter().map(|path| path.to_path_buf()).collect(),
                })
                .with(DockerBounds {
                    labels: target::labels(),
                    ..DockerBounds::default()
                }),
        ),
        ..CallContext::new("tl".parse().unwrap(), CallId::from(7))
    }
}

pub fn working_dir(path: impl AsRef<Path>) -> WorkingDir {
    WorkingDir(path.as_ref().to_str().unwrap().to_owned())
}

/// A repository on branch `main` whose one commit holds `file`.
pub fn init_with_commit(folder: &Path) {
    init_with_commit_as(folder, &[]);
}

/// As [`init_with_commit`], with options of `git init`.
pub fn init_with_commit_as(folder: &Path, options: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    let init = ["init", "--quiet", "--initial-branch=main"];
    git(folder, [&init[..], options].concat());
    commit_file(folder, "file", "one\ntwo\nthree\n", "First");
}

pub fn commit_file(folder: &Path, name: &str, content: &str, message: &str) {
    fs::write(folder.join(name), content).unwrap();
    git(folder, ["add", "--", name]);
    git(folder, ["commit", "--quiet", "-m", message]);
}

/// Runs `git`, which has to succeed; what it says, without the last newline.
pub fn git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> String {
    let output = try_git(folder, arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
}

/// Runs `git` with nothing of this machine's configuration, each time a minute later.
pub fn try_git<S: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = S>) -> Output {
    static MINUTES: AtomicU64 = AtomicU64::new(0);
    let minutes = MINUTES.fetch_add(1, Ordering::Relaxed);
    let date = format!("{} +0130", 1_700_000_000 + 60 * minutes);
    Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Bob")
        .env("GIT_COMMITTER_EMAIL", "bob@example.com")
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .args(["-c", "protocol.file.allow=always"])
        .args(["-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
