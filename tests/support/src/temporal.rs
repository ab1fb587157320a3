//! Temporal's own dev server, its CLI, and a worker by its SDK for Python.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{ChildGuard, eventually, free_port, installed_by, repository, required_or_skip};

/// A server on loopback, with its state in memory or in a file. It ends when this is dropped.
pub struct TemporalServer {
    /// The folder of the programs.
    programs: PathBuf,
    address: SocketAddr,
    database: Option<PathBuf>,
    process: Option<ChildGuard>,
}

impl TemporalServer {
    /// Starts one that forgets everything at its end; `None` when it cannot be installed here, which under CI is a
    /// failure.
    pub async fn start() -> Option<Self> {
        let mut server = Self::prepare(None)?;
        server.start_again().await;
        Some(server)
    }

    /// One that is not started yet, and keeps its state in a file.
    #[must_use]
    pub fn prepare(database: Option<&Path>) -> Option<Self> {
        let programs = required_or_skip("Temporal's dev server", installed_by("temporal-server"))?;
        Some(Self {
            programs: PathBuf::from(programs),
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            database: database.map(Path::to_owned),
            process: None,
        })
    }

    /// Starts it, or starts it anew at its address.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        self.stop();
        let mut command = Command::new(self.programs.join("temporal"));
        command
            .args(["server", "start-dev", "--ip", "127.0.0.1", "--headless"])
            .args(["--port", &self.address.port().to_string()])
            .args(["--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(database) = &self.database {
            command.arg("--db-filename").arg(database);
        }
        let mut process = ChildGuard::spawn(&mut command);
        let is_up = async || {
            assert_eq!(
                process.try_wait().expect("a child"),
                None,
                "the server ended"
            );
            let health = self.cli().args(["operator", "cluster", "health"]).output();
            health
                .is_ok_and(|health| health.status.success())
                .then_some(())
        };
        eventually("Temporal's server is up", is_up).await;
        self.process = Some(process);
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Temporal's own CLI, for this server.
    #[must_use]
    pub fn cli(&self) -> Command {
        let mut command = Command::new(self.programs.join("temporal"));
        command
            .args(["--address", &self.address(), "--disable-config-file"])
            .stdin(Stdio::null());
        command
    }

    /// Runs the CLI, and gives what it prints as JSON.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self
            .cli()
            .args(arguments)
            .args(["--output", "json"])
            .output();
        let output = output.expect("the CLI runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "temporal {arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Runs the CLI.
    ///
    /// # Panics
    /// If it fails.
    pub fn run_cli(&self, arguments: &[&str]) {
        let output = self.cli().args(arguments).output().expect("the CLI runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "temporal {arguments:?}: {said}");
    }

    /// Starts a worker that polls a task queue: `tests/temporal/worker.py` has its workflows.
    #[must_use]
    pub fn worker(&self, task_queue: &str) -> ChildGuard {
        ChildGuard::spawn(
            Command::new(self.programs.join("python"))
                .arg(repository().join("tests/temporal/worker.py"))
                .args([&self.address(), task_queue])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::inherit()),
        )
    }
}
