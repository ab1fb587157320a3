//! `file_pr` from the client to a real git server and to GitHub's own description of its API.

use exomonad_test_support::{
    GitServer, GitServerMode, Host, MockResponse, MockServer, Prism, Project,
};
use serde_json::{Value, json};

const GIT_TOKEN: &str = "git-hunter2-Planted-0123456789";
/// `x-access-token:` and the token, as base64 has it.
const GIT_TOKEN_SENT: &str = "eC1hY2Nlc3MtdG9rZW46Z2l0LWh1bnRlcjItUGxhbnRlZC0wMTIzNDU2Nzg5";
const GITHUB_TOKEN: &str = "ghp_0123456789abcdefPlanted";
const HTTP_SECRET: &str = "weather-swordfish-Planted-987";
const OPERATOR_TOKEN: &str = "operator-Planted-0123456789abcdef";
const ROLE_TOKEN: &str = "role-Planted-fedcba9876543210";

/// A host with every kind of secret, a git server that wants its token, and a GitHub.
struct Stage {
    project: Project,
    host: Host,
    git: GitServer,
    github: MockServer,
    _prism: Prism,
}

impl Stage {
    /// `None` where Prism cannot be installed.
    async fn new() -> Option<Self> {
        let prism = Prism::start().await?;
        let behind = prism
            .server
            .url
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        // By the description's examples there is a pull request for every branch: here there is none yet.
        let github = MockServer::start(move |seen, _| match &*seen.method {
            "GET" if seen.path.contains("/pulls?") => MockResponse::ok("[]"),
            _ => MockResponse::Forward(behind),
        })
        .await;
        let project = Project::new();
        project.git(&["init", "--quiet", "--bare", "served/acme/web.git"]);
        let served = project.path("served");
        project.git(&[
            "-C",
            "served/acme/web.git",
            "config",
            "http.receivepack",
            "true",
        ]);
        let wanted = GitServerMode::Authorized(format!("Basic {GIT_TOKEN_SENT}"));
        let git = GitServer::start(&served, wanted);
        project.git(&["remote", "add", "origin", &git.url("acme/web.git")]);
        project.git(&["switch", "--quiet", "--create", "topic"]);
        let project = project
            .config(&format!(
                "[server]\ntoken_env = 'OPERATOR'\n[log]\nfilter = 'trace'\nformat = 'json'\n\
                 [git]\ntoken_env = 'GIT'\ntoken_hosts = ['{host}']\nplain_http_hosts = ['{host}']\n\
                 [github]\nbase_url = '{github}'\ntoken_env = 'GITHUB'\n\
                 [secret.WEATHER]\nenv = 'WEATHER'\nhosts = ['127.0.0.1']\n\
                 [role.tl]\neffects = ['*']\nrepos = ['acme/*']\nhosts = ['127.0.0.1']\n\
                 secrets = ['WEATHER']\ntoken_env = 'ROLE'\n",
                host = git.host(),
                github = github.url,
            ))
            .env("GIT", GIT_TOKEN)
            .env("GITHUB", GITHUB_TOKEN)
            .env("WEATHER", HTTP_SECRET)
            .env("OPERATOR", OPERATOR_TOKEN)
            .env("ROLE", ROLE_TOKEN);
        let host = project.serve().await.with_token(OPERATOR_TOKEN);
        Some(Self {
            project,
            host,
            git,
            github,
            _prism: prism,
        })
    }
}

#[tokio::test]
async fn file_pr_goes_from_http_through_the_guest_to_git_and_github() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let arguments =
        json!({"title": "Fix it", "body": "It was broken.", "base": "main", "repo": "acme/web"});
    let answer = stage.host.call("tl", "file_pr", arguments).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let filed = &answer.json()["structuredContent"];
    assert_eq!(filed["isNew"], true, "{}", answer.text());
    let head = stage.project.git(&["rev-parse", "topic"]);
    assert_eq!(filed["commit"].as_str().unwrap(), head.trim());
    // What the git server has now, by its own word.
    let pushed = ["-C", "served/acme/web.git", "rev-parse", "topic"];
    assert_eq!(stage.project.git(&pushed), head);
    // GitHub was asked for what its description takes.
    let seen = stage.github.seen();
    let created = seen.iter().find(|seen| seen.method == "POST").unwrap();
    assert_eq!(created.path, "/repos/acme/web/pulls");
    let told: Value = serde_json::from_slice(&created.body).unwrap();
    for (field, wanted) in [
        ("title", "Fix it"),
        ("head", "topic"),
        ("base", "main"),
        ("body", "It was broken."),
    ] {
        assert_eq!(told[field], wanted, "{told}");
    }
    assert_eq!(
        created.header("authorization"),
        Some(&*format!("Bearer {GITHUB_TOKEN}"))
    );
    // The log has each step, under one call id.
    let call_id = answer.header("x-exomonad-call-id").to_owned();
    assert!(!call_id.is_empty());
    // Its last line, which may come behind the answer.
    stage.host.logs("\"tool call\"", 1).await;
    let log = stage.host.log();
    let steps = [
        "git.push",
        "github.get_pr_for_branch",
        "github.create_pr",
        "tool call",
    ];
    let mut lines = log.lines().filter(|line| line.contains(&call_id));
    for step in steps {
        assert!(
            lines.any(|line| line.contains(step)),
            "no {step} in its place:\n{log}"
        );
    }
}

#[tokio::test]
async fn no_secret_shows_anywhere_whatever_is_asked() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let mut told = Vec::new();
    for (tool, arguments) in [
        ("file_pr", json!({"title": "Fix it", "repo": "acme/web"})),
        ("file_pr", json!({"title": "Fix it", "repo": "evil/web"})),
        ("file_pr", json!({"title": "", "nonsense": 1})),
        ("list_issues", json!({"repo": "acme/web"})),
        ("pr_status", json!({"repo": "acme/web"})),
        ("merge_pr", json!({"repo": "acme/web"})),
        ("repo_status", json!({})),
        ("recent_work", json!({})),
        (
            "run_in_container",
            json!({"container": "none", "command": ["true"]}),
        ),
        ("no_such_tool", json!({})),
    ] {
        let what = format!("{tool} {arguments}");
        let answer = stage.host.call("tl", tool, arguments).await;
        told.push((what, format!("{:?} {}", answer.headers, answer.text())));
    }
    for path in [
        "/health",
        "/ready",
        "/roles",
        "/openapi.json",
        "/role/tl/mcp/tools",
        "/metrics",
    ] {
        let answer = stage.host.get(path).await;
        told.push((
            path.to_owned(),
            format!("{:?} {}", answer.headers, answer.text()),
        ));
    }
    for arguments in [
        vec!["config", "show"],
        vec!["config", "check"],
        vec!["doctor"],
        vec!["policy", "explain", "tl", "git.push"],
        vec!["roles"],
    ] {
        let ran = stage.project.run(&arguments);
        told.push((format!("exomonad {arguments:?}"), format!("{ran:?}")));
    }
    told.push(("the log".to_owned(), stage.host.log()));
    told.push(("git".to_owned(), stage.project.git(&["config", "--list"])));
    for folder in [".exomonad", ".git"] {
        let found = std::process::Command::new("grep")
            .args(["-rlaE", "Planted|UGxhbnRlZ"])
            .arg(stage.project.path(folder))
            .output()
            .unwrap();
        told.push((
            folder.to_owned(),
            String::from_utf8_lossy(&found.stdout).into_owned(),
        ));
        assert!(found.stdout.is_empty(), "{told:?}");
    }
    for (what, text) in &told {
        for secret in [
            GIT_TOKEN,
            GIT_TOKEN_SENT,
            GITHUB_TOKEN,
            HTTP_SECRET,
            OPERATOR_TOKEN,
            ROLE_TOKEN,
            "Planted",
        ] {
            assert!(!text.contains(secret), "{what} tells {secret}:\n{text}");
        }
    }
    assert!(
        stage
            .git
            .seen()
            .iter()
            .any(|head| head.contains(GIT_TOKEN_SENT)),
        "the token was used"
    );
}
