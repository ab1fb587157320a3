//! A deployment by docker compose, on a real engine: a copy of the files that it takes, and a project to work on.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{CommandOutput, binary};
use crate::{PATIENCE, free_port, installed_by, repository, required_or_skip};

/// Files of the repository that a deployment takes.
const FILES: &[&str] = &[
    ".dockerignore",
    ".env.example",
    "Cargo.toml",
    "Dockerfile",
    "deploy",
    "docker-compose.ssh.yml",
    "docker-compose.temporal.yml",
    "docker-compose.write.yml",
    "docker-compose.yml",
    "plugins-live",
    "plugins/dist",
    "scripts/compose-setup",
];

/// A folder with what is deployed. Everything that came of it is removed when it is dropped.
pub struct Deployment {
    root: TempDir,
    docker_config: PathBuf,
    /// The name of the compose project: of this test alone.
    pub name: String,
    port: u16,
    steps: AtomicUsize,
}

/// The folder of docker's configuration, with engine and compose set up.
fn docker_config() -> Result<PathBuf, String> {
    installed_by("docker-engine")?;
    installed_by("docker-compose").map(PathBuf::from)
}

impl Deployment {
    /// A copy of what is deployed; `None` where there is no engine.
    ///
    /// # Panics
    /// If a file is missing.
    #[must_use]
    pub fn new() -> Option<Self> {
        let docker_config = required_or_skip("docker compose", docker_config())?;
        let root = tempfile::tempdir().expect("a temporary folder");
        let name = format!("exomonad-test-{}", std::process::id());
        let deployment = Self {
            root,
            docker_config,
            name,
            port: free_port(),
            steps: AtomicUsize::new(0),
        };
        for file in FILES {
            let to = deployment.path(file);
            fs::create_dir_all(to.parent().expect("a parent")).expect("a new folder");
            let from = repository().join(file);
            deployment.run(&format!("cp -a '{}' '{}'", from.display(), to.display()));
        }
        // A binary that counts the lines it runs finds no file for them there, and says so.
        deployment.run("sed -i 's|^ENV PATH|ENV LLVM_PROFILE_FILE=/dev/null PATH|' Dockerfile");
        let binary = binary();
        // With its symbols it is four times as large.
        deployment.run(&format!(
            "mkdir -p deploy/bin && {{ strip --strip-debug -o deploy/bin/exomonad '{0}' || cp '{0}' deploy/bin/exomonad; }}",
            binary.display()
        ));
        deployment.run(
            "git init --quiet --initial-branch=main project && cd project && git config user.name Ada && \
             git config user.email ada@example.com && git commit --quiet --allow-empty --message=Begin && \
             chmod -R go+rX .",
        );
        deployment.run("chmod 755 . && rm -f plugins-live/*.wasm");
        Some(deployment)
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Says in the log of the tests that a step is done: they show nothing else of a test that passes.
    pub fn done(&self, step: &str) {
        let number = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let line = format!("compose: {number:>2}. {step}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Adds to `.env` what makes this deployment one among others.
    pub fn settle(&self) {
        let mut env = fs::read_to_string(self.path(".env")).expect("compose-setup has made it");
        // A group that owns no socket.
        let nobody = "services:\n  docker-proxy:\n    user: \"10001:10001\"\n";
        fs::write(self.path("nobody.yml"), nobody).expect("a file");
        for (key, value) in [
            ("COMPOSE_PROJECT_NAME", self.name.clone()),
            ("EXOMONAD_IMAGE", format!("exomonad-test:{}", self.name)),
            ("EXOMONAD_REVISION", self.name.clone()),
            ("EXOMONAD_BINARY", "prebuilt".to_owned()),
            ("EXOMONAD_PORT", self.port.to_string()),
            ("EXOMONAD_PROJECT", "./project".to_owned()),
        ] {
            let _ = writeln!(env, "{key}={value}");
        }
        fs::write(self.path(".env"), env).expect("a file");
    }

    /// Runs a script in the folder, to its end.
    ///
    /// # Panics
    /// If it takes ten minutes.
    #[must_use]
    pub fn try_run(&self, script: &str) -> CommandOutput {
        let output = Command::new("timeout")
            .args(["600", "bash", "-euo", "pipefail", "-c", script])
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path())
            .env("DOCKER_CONFIG", &self.docker_config)
            .env("BUILDKIT_PROGRESS", "plain")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        assert_ne!(output.status.code(), Some(124), "it does not end: {script}");
        CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a script that has to succeed, and gives what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let ran = self.try_run(script);
        assert_eq!(ran.code, Some(0), "{script}\n{}", ran.output());
        ran.stdout
    }

    /// Runs a command of docs/deployment.md, with this deployment's port.
    ///
    /// # Panics
    /// If the page does not have it as a line of its own, or it fails.
    #[track_caller]
    pub fn documented(&self, command: &str) -> String {
        self.documented_with(command, &[])
    }

    /// Runs a command of docs/deployment.md with some of its words replaced.
    ///
    /// # Panics
    /// As [`documented`](Self::documented) does.
    #[track_caller]
    pub fn documented_with(&self, command: &str, replaced: &[(&str, &str)]) -> String {
        let page = "docs/deployment.md";
        let text = fs::read_to_string(repository().join(page)).expect("the page about deployment");
        assert!(
            text.lines()
                .any(|line| line.split(" #").next().unwrap_or_default().trim() == command),
            "{page} has no line `{command}`"
        );
        let mut command = command.replace("localhost:7432", &format!("localhost:{}", self.port));
        for (word, by) in replaced {
            command = command.replace(word, by);
        }
        self.run(&format!(
            "TOKEN=$(cat secrets/exomonad-token 2>/dev/null || true); {command}"
        ))
    }

    /// The beginning of a curl command to a path of the host.
    #[must_use]
    pub fn curl(&self, path: &str) -> String {
        format!("curl -s localhost:{}{path}", self.port)
    }

    /// Posts JSON with the operator's token.
    #[track_caller]
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let told = self.run(&format!(
            "{} -H \"Authorization: Bearer $(cat secrets/exomonad-token)\" -d '{body}'",
            self.curl(path)
        ));
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
    }

    /// Calls a tool, and gives the text of its answer.
    #[track_caller]
    #[must_use]
    pub fn tool(&self, role: &str, tool: &str, arguments: &Value) -> String {
        let answer = self.post(
            &format!("/role/{role}/mcp/call"),
            &json!({"name": tool, "arguments": arguments}),
        );
        answer["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Uses an effect through a guest that forwards it.
    #[track_caller]
    #[must_use]
    pub fn effect(&self, role: &str, function: &str, request: &Value) -> Value {
        let body = json!({"plugin": role, "function": function, "input": request.to_string()});
        self.post("/call", &body)
    }

    /// Looks again and again until there is something to see.
    ///
    /// # Panics
    /// If it does not happen.
    #[track_caller]
    pub fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "it did not happen: {what}\n{}",
                self.try_run("docker compose ps --all; docker compose logs")
                    .output()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts a service that cannot serve; checks the exit code that compose shows, and gives the last line of
    /// its log.
    #[track_caller]
    pub fn fails(&self, service: &str, files: &str, code: i32) -> String {
        let compose = format!("docker compose {files}");
        self.run(&format!(
            "{compose} up --detach --force-recreate --no-deps {service}"
        ));
        let shown = [format!("Restarting ({code})"), format!("Exited ({code})")];
        self.eventually(
            &format!("compose shows that {service} exits with {code}"),
            || {
                let listed = self.run(&format!("{compose} ps --all {service}"));
                shown
                    .iter()
                    .any(|shown| listed.contains(shown))
                    .then_some(())
            },
        );
        let log = self.run(&format!(
            "{compose} logs --no-log-prefix --no-color {service}"
        ));
        self.run(&format!("{compose} rm --stop --force {service}"));
        log.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() && self.path(".env").exists() {
            eprintln!(
                "{}",
                self.try_run("docker compose ps --all; docker compose logs")
                    .output()
            );
        }
        let _ = self.try_run(&format!(
            "[ ! -e .env ] || COMPOSE_PROFILES=docker docker compose down --volumes --rmi all --timeout 1; \
             docker ps --all --quiet --filter label=exomonad-test={0} | xargs -r docker rm --force --volumes",
            self.name
        ));
    }
}
