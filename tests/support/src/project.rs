//! A project for a host to serve: a repository, a home, a configuration, plugins.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::command::{self, CommandOutput, binary, target_folder};
use crate::other_disk::OtherDisk;
use crate::{Host, guest};

/// The plugin folder, below the repository.
const PLUGINS: &str = ".exomonad/plugins";

/// A temporary folder with a git repository in which the binary runs, and a home beside it.
pub struct Project {
    /// There until the last host in it has ended, too.
    root: Arc<TempDir>,
    variables: Vec<(String, String)>,
    other_disk: Option<OtherDisk>,
    has_own_cache: bool,
}

impl Project {
    /// A repository with one commit on the branch `main`, without configuration or plugins.
    #[must_use]
    pub fn new() -> Self {
        let project = Self::without_repository();
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.write("README.md", "# A project\n");
        project.git(&["add", "."]);
        project.git(&["commit", "--quiet", "--message=Begin"]);
        project
    }

    /// A folder that is no repository.
    #[must_use]
    pub fn without_repository() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder in ["repository", "home"] {
            fs::create_dir(root.path().join(folder)).expect("a new folder");
        }
        Self {
            root: Arc::new(root),
            variables: Vec::new(),
            other_disk: None,
            has_own_cache: false,
        }
    }

    /// Adds an `exomonad.toml`.
    #[must_use]
    pub fn config(self, toml: &str) -> Self {
        self.write("exomonad.toml", toml);
        self
    }

    /// Adds a file to the plugin folder.
    #[must_use]
    pub fn plugin(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        self.put_plugin(file, content);
        self
    }

    /// Sets an environment variable of whatever runs here.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Gives a host that is served here a disk of this size for one of its folders.
    #[must_use]
    pub fn small_disk(mut self, folder: PathBuf, kib: u32) -> Self {
        self.other_disk = Some(OtherDisk::small(folder, kib));
        self
    }

    /// Gives hosts that are served here this folder as it is, but read-only.
    ///
    /// # Errors
    /// Where mounting is not permitted.
    pub fn read_only(mut self, folder: PathBuf) -> Result<Self, &'static str> {
        self.other_disk = Some(OtherDisk::read_only(folder)?);
        Ok(self)
    }

    /// Lets a host that has a read-only folder write to it from now on.
    pub fn make_writable(&self, host: &Host) {
        if let Some(disk) = &self.other_disk {
            disk.make_writable(host.id());
        }
    }

    /// Keeps what is compiled here in its home, `cache/exomonad`. Otherwise all tests share one folder:
    /// compiling the plugins that ship takes seconds.
    #[must_use]
    pub fn own_cache(mut self) -> Self {
        self.has_own_cache = true;
        self
    }

    /// A path in the repository.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("repository").join(relative)
    }

    /// A path in the home beside the repository.
    #[must_use]
    pub fn home(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("home").join(relative)
    }

    /// A path in the plugin folder.
    #[must_use]
    pub fn plugin_path(&self, file: &str) -> PathBuf {
        self.path(PLUGINS).join(file)
    }

    /// Writes a file of the repository, and the folders it lies in.
    pub fn write(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a new folder");
        }
        fs::write(&path, content).expect("a new file");
        path
    }

    /// Writes a file into the plugin folder, as `cp` does.
    pub fn put_plugin(&self, file: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write(Path::new(PLUGINS).join(file), content)
    }

    /// Runs git in the repository, and gives what it prints.
    ///
    /// # Panics
    /// If git fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.current_dir(self.path("")).args(arguments);
        command
            .env("HOME", self.home(""))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com");
        let ran = command::run(&mut command, b"");
        assert_eq!(ran.code, Some(0), "git {arguments:?}: {ran:?}");
        ran.stdout
    }

    /// The binary, to be run in the repository with an environment that holds nothing of the caller's.
    #[must_use]
    pub fn command(&self) -> Command {
        let command = match &self.other_disk {
            Some(disk) => disk.command(&binary()),
            None => Command::new(binary()),
        };
        self.in_environment(command)
    }

    /// Runs a program where a host sees the disk that it was started with.
    ///
    /// # Errors
    /// Where mounting is not permitted.
    pub fn run_beside(
        &self,
        host: &Host,
        program: &Path,
        arguments: &[&str],
    ) -> Result<CommandOutput, &'static str> {
        let disk = self.other_disk.as_ref().ok_or("there is no other disk")?;
        let command = disk.command_beside(host.id(), &self.path(""), program)?;
        let mut command = self.in_environment(command);
        Ok(command::run(command.args(arguments), b""))
    }

    fn in_environment(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home(""))
            .env("XDG_CACHE_HOME", self.cache())
            .env("XDG_CONFIG_HOME", self.home("config"))
            // Beside the cache, whose key is in there.
            .env("XDG_STATE_HOME", self.cache().join("state"))
            // A host that somebody runs on the usual port is none of the test's business.
            .env("EXOMONAD_LISTEN", "127.0.0.1:0");
        // Where lines that run are counted, if they are.
        if let Some(file) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", file);
        }
        if self.path("exomonad.toml").exists() {
            // Named, and so trusted: tests reach for folders and engines beyond the repository.
            command.env("EXOMONAD_CONFIG", "exomonad.toml");
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    fn cache(&self) -> PathBuf {
        if self.has_own_cache {
            self.home("cache")
        } else {
            target_folder().join("tmp/compiled")
        }
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> CommandOutput {
        self.run_with_input(arguments, b"")
    }

    /// Runs the binary to its end, with this on its standard input.
    pub fn run_with_input(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &[u8],
    ) -> CommandOutput {
        self.add_given_plugins();
        command::run(self.command().args(arguments), input)
    }

    /// Starts `exomonad serve` here, and waits until it is ready.
    pub async fn serve(&self) -> Host {
        self.serve_at("127.0.0.1:0").await
    }

    /// Starts `exomonad serve` here, at this address, and waits until it is ready.
    pub async fn serve_at(&self, address: &str) -> Host {
        self.add_given_plugins();
        Host::start(self.command(), address, self.root.clone()).await
    }

    /// The plugins of `$EXOMONAD_PLUGINS` take the place of the embedded ones, where the test has put none.
    fn add_given_plugins(&self) {
        for (name, wasm) in guest::given_plugins() {
            let taken = ["wasm", "wat"]
                .iter()
                .any(|extension| self.plugin_path(&format!("{name}.{extension}")).exists());
            if !taken && !self.plugin_path(&name).exists() {
                self.put_plugin(&format!("{name}.wasm"), wasm);
            }
        }
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}
