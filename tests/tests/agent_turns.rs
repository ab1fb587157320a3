//! Whole turns of real coding agents: a local model has them push by force, which the role's hook denies, and then
//! use the role's tools. No connection leaves the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use exomonad_test_support::{
    FakeModel, MockResponse, MockServer, ModelApi, Prism, Project, ToolUse, binary,
};
use serde_json::{Value, json};

use crate::mcp_clients::{Clients, command};

/// The way from the agent to the role's tools.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Stdio,
    Http,
}

/// A coding agent, as its user has set it up.
struct Agent {
    /// Its name for `exomonad init`.
    name: &'static str,
    /// Its program, in the packages.
    program: &'static str,
    /// The interface of its models.
    api: ModelApi,
    /// Its own tool that runs a command, and that tool's argument.
    shell: (&'static str, &'static str),
    /// The use of one of the role's tools, as the model names it.
    tool: fn(&str) -> ToolUse,
    /// Writes the files in its user's home that make it ask this model.
    set_up: fn(&Project, &str),
    /// Its environment.
    variables: fn(&str) -> Vec<(&'static str, String)>,
    /// Its arguments.
    arguments: &'static [&'static str],
}

fn of(namespace: Option<&str>, name: String) -> ToolUse {
    ToolUse {
        namespace: namespace.map(str::to_owned),
        name,
        arguments: json!({}),
    }
}

const CLAUDE: Agent = Agent {
    name: "claude",
    program: "@anthropic-ai/claude-code-linux-x64/claude",
    api: ModelApi::Messages,
    shell: ("Bash", "command"),
    tool: |tool| of(None, format!("mcp__exomonad-tl__{tool}")),
    set_up: |_, _| {},
    variables: |model| {
        vec![
            ("ANTHROPIC_BASE_URL", model.to_owned()),
            ("ANTHROPIC_API_KEY", "of-nobody".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ]
    },
    arguments: &[
        "-p",
        "push it",
        "--mcp-config",
        ".mcp.json",
        "--strict-mcp-config",
        "--allowedTools",
        "Bash,mcp__exomonad-tl__repo_status,mcp__exomonad-tl__file_pr",
    ],
};

const CODEX: Agent = Agent {
    name: "codex",
    program: "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
    api: ModelApi::Responses,
    shell: ("exec_command", "cmd"),
    tool: |tool| of(Some("mcp__exomonad_tl"), tool.to_owned()),
    set_up: |project, model| {
        let text = format!(
            "model = 'fake'\nmodel_provider = 'fake'\napproval_policy = 'never'\nsandbox_mode = 'danger-full-access'\n\
             [model_providers.fake]\nname = 'fake'\nbase_url = '{model}/v1'\nwire_api = 'responses'\nenv_key = 'KEY'\n\
             [projects.'{}']\ntrust_level = 'trusted'\n",
            folder(project).display()
        );
        write(project, ".codex/config.toml", &text);
    },
    variables: |_| vec![("KEY", "of-nobody".to_owned())],
    arguments: &["exec", "--dangerously-bypass-hook-trust", "push it"],
};

const GEMINI: Agent = Agent {
    name: "gemini",
    program: "@google/gemini-cli/bundle/gemini.js",
    api: ModelApi::GenerateContent,
    shell: ("run_shell_command", "command"),
    tool: |tool| of(None, format!("mcp_exomonad-tl_{tool}")),
    set_up: |project, _| {
        let settings = json!({
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": false},
            "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}
        });
        write(project, ".gemini/settings.json", &settings.to_string());
        let trusted = json!({folder(project).display().to_string(): "TRUST_FOLDER"});
        write(project, ".gemini/trustedFolders.json", &trusted.to_string());
    },
    variables: |model| {
        vec![
            ("GOOGLE_GEMINI_BASE_URL", model.to_owned()),
            ("GEMINI_API_KEY", "of-nobody".to_owned()),
        ]
    },
    arguments: &["--yolo", "--model", "gemini-2.5-flash", "-p", "push it"],
};

const OPENCODE: Agent = Agent {
    name: "opencode",
    program: "opencode-linux-x64/bin/opencode",
    api: ModelApi::ChatCompletions,
    shell: ("bash", "command"),
    tool: |tool| of(None, format!("exomonad-tl_{tool}")),
    set_up: |project, model| {
        let provider = json!({
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": format!("{model}/v1"), "apiKey": "of-nobody"},
            "models": {"m": {"tool_call": true}}
        });
        let settings = json!({
            "model": "fake/m", "small_model": "fake/m", "autoupdate": false, "share": "disabled",
            "provider": {"fake": provider}
        });
        write(
            project,
            "config/opencode/opencode.json",
            &settings.to_string(),
        );
    },
    variables: |_| {
        let off = [
            "OPENCODE_DISABLE_MODELS_FETCH",
            "OPENCODE_DISABLE_AUTOUPDATE",
            "OPENCODE_DISABLE_LSP_DOWNLOAD",
        ];
        off.map(|name| (name, "1".to_owned())).to_vec()
    },
    arguments: &["run", "push it"],
};

/// The project's folder as programs name it that ask for the folder they are in.
fn folder(project: &Project) -> PathBuf {
    project.path("").canonicalize().unwrap()
}

fn write(project: &Project, path: &str, text: &str) {
    let path = project.home(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A project whose branch `topic` can be pushed, with a GitHub that answers as its description has it.
async fn project() -> Option<(Project, MockServer, Prism)> {
    let prism = Prism::start().await?;
    let described = prism.server.url.trim_start_matches("http://");
    let described = described.parse().unwrap();
    // By the description's examples there is a pull request for every branch: here there is none yet.
    let github = MockServer::start(move |seen, _| match &*seen.method {
        "GET" if seen.path.contains("/pulls?") => MockResponse::ok("[]"),
        _ => MockResponse::Forward(described),
    })
    .await;
    let project = Project::new()
        .config(&format!(
            "[git]\nlocal_remotes = true\n[github]\nbase_url = '{}'\n\
             [role.tl]\neffects = ['log.*', 'git.*', 'github.*']\nrepos = ['acme/*']\n",
            github.url
        ))
        .env("GITHUB_TOKEN", "ghp_0123456789abcdefPlanted");
    project.git(&["init", "-q", "--bare", "remote.git"]);
    let remote = project.path("remote.git");
    project.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    project.git(&["switch", "-q", "-c", "topic"]);
    Some((project, github, prism))
}

async fn runs_a_turn(agent: &Agent, way: Way) {
    let Some(clients) = Clients::find() else {
        return;
    };
    let (Some(program), Some(node)) = (clients.package(agent.program), clients.node()) else {
        return;
    };
    let Some((project, github, _prism)) = project().await else {
        return;
    };
    let host = project.serve().await;
    let url = host.url();
    let mut init = vec!["init", "--role", "tl", "--agent", agent.name, "--url", &url];
    if way == Way::Http {
        init.push("--http");
    }
    project.run(init).exits(0);

    let (shell, argument) = agent.shell;
    let mut push = of(None, shell.to_owned());
    push.arguments = json!({argument: "git push --force origin main", "description": "push"});
    let mut file = (agent.tool)("file_pr");
    file.arguments = json!({"title": "Fix it", "repo": "acme/web", "base": "main"});
    let model = FakeModel::start(agent.api, vec![push, (agent.tool)("repo_status"), file]);
    (agent.set_up)(&project, &model.url());
    let mut run = in_turn(&project, &program, &node);
    run.envs((agent.variables)(&model.url()))
        .args(agent.arguments);
    run.stdin(Stdio::null());
    // Beside it GitHub answers, on the test's own thread.
    let run = tokio::task::spawn_blocking(move || run.output().unwrap());
    let output = run.await.unwrap();
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );

    let results = model.results();
    let [denied, status, filed] = &results[..] else {
        panic!("{printed}: {results:?}");
    };
    assert!(denied.to_string().contains("forced push"), "{denied}");
    assert!(status.to_string().contains("topic"), "{status}");
    let head = project.git(&["rev-parse", "topic"]);
    assert!(filed.to_string().contains(head.trim()), "{filed}");
    assert!(output.status.success(), "{printed}");
    // The branch is pushed, by the host; `main` is not, which the agent wanted to force.
    let pushed = [
        "-C",
        "remote.git",
        "for-each-ref",
        "--format=%(refname) %(objectname)",
    ];
    let pushed = project.git(&pushed);
    assert_eq!(pushed.trim(), format!("refs/heads/topic {}", head.trim()));
    let seen = github.seen();
    let created: Vec<_> = seen.iter().filter(|seen| seen.method == "POST").collect();
    let [created] = created[..] else {
        panic!("one pull request is filed");
    };
    assert_eq!(created.path, "/repos/acme/web/pulls");
    let told: Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!(told["head"], "topic");
}

/// The agent's program in the project, with `exomonad` on its path.
fn in_turn(project: &Project, program: &Path, node: &Path) -> Command {
    let is_script = program
        .extension()
        .is_some_and(|extension| extension == "js");
    let mut run = match is_script {
        true => {
            let mut run = command(project, node);
            run.arg(program);
            run
        }
        false => command(project, program),
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let ours = binary().parent().unwrap().display().to_string();
    run.env("PATH", format!("{ours}:{path}"));
    // What it would look up elsewhere ends here.
    for (name, value) in [
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
        ("NO_PROXY", "127.0.0.1,localhost"),
    ] {
        run.env(name, value).env(name.to_lowercase(), value);
    }
    run
}

#[tokio::test]
async fn claude_code_runs_a_turn_by_stdio() {
    runs_a_turn(&CLAUDE, Way::Stdio).await;
}

#[tokio::test]
async fn claude_code_runs_a_turn_by_http() {
    runs_a_turn(&CLAUDE, Way::Http).await;
}

#[tokio::test]
async fn codex_runs_a_turn_by_stdio() {
    runs_a_turn(&CODEX, Way::Stdio).await;
}

#[tokio::test]
async fn codex_runs_a_turn_by_http() {
    runs_a_turn(&CODEX, Way::Http).await;
}

#[tokio::test]
async fn gemini_cli_runs_a_turn_by_stdio() {
    runs_a_turn(&GEMINI, Way::Stdio).await;
}

#[tokio::test]
async fn gemini_cli_runs_a_turn_by_http() {
    runs_a_turn(&GEMINI, Way::Http).await;
}

#[tokio::test]
async fn opencode_runs_a_turn_by_stdio() {
    runs_a_turn(&OPENCODE, Way::Stdio).await;
}

#[tokio::test]
async fn opencode_runs_a_turn_by_http() {
    runs_a_turn(&OPENCODE, Way::Http).await;
}
