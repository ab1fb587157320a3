//! The policy that `exomonad policy explain` shows is the one that real calls get: every effect, under every
//! kind of bounds.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use exomonad_core::policy::{Ruling, refusal};
use exomonad_core::values::TimeSpan;
use exomonad_core::{CallContext, EffectHandler, Secret};
use exomonad_schema::{CallId, Effect, EffectKind, ErrorCode};
use exomonad_services::{HostServices, RoleBounds, SecretConfig, ServicesConfig, decide, open};
use serde_json::{Value, json};

/// Values for the fields that requests require.
fn field(name: &str) -> Value {
    match name {
        "repo" => json!("acme/web"),
        "number" => json!(7),
        "url" => json!("http://127.0.0.1:1/"),
        "container" => json!("web"),
        "command" => json!(["true"]),
        "target" => json!({"kind": "Unstaged"}),
        "path" => json!("sub/worktree"),
        "level" => json!("info"),
        "payload" | "value" | "state" | "data" => json!({}),
        "millis" | "length" | "handle" | "progress" | "maxTokens" => json!(1),
        "messages" => json!([]),
        "questions" => json!([{"kind": "ListRoots", "payload": {}}]),
        "effect" => json!("kv.get"),
        "title" | "body" | "head" | "branch" | "ref" | "message" | "tag" | "image" | "key"
        | "name" | "workflow" | "workflowId" | "id" | "scheduleId" | "namespace"
        | "activityType" | "taskQueue" => json!("topic"),
        other => panic!("a request requires `{other}`: add a value for it here"),
    }
}

/// A request with `fields` and what else its effect requires.
fn request(kind: EffectKind, fields: &Value) -> String {
    let mut fields = fields.clone();
    loop {
        let text = fields.to_string();
        match Effect::decode(kind, text.as_bytes()) {
            Ok(_) => return text,
            Err(error) => {
                let missing = error.message.split("missing field `").nth(1);
                let name = missing.and_then(|rest| rest.split('`').next());
                let name = name.unwrap_or_else(|| panic!("{kind}: {error}"));
                fields[name] = field(name);
            }
        }
    }
}

/// The requests of an effect: the plain one, and those that name something else.
fn requests(kind: EffectKind, root: &Path) -> Vec<String> {
    let outside = root.parent().unwrap().join("outside");
    let mut variants = vec![json!({})];
    if kind.capability().starts_with("git.") {
        variants.extend([
            json!({"workingDir": ".."}),
            json!({"workingDir": "missing"}),
            json!({"workingDir": outside}),
            json!({"container": "web"}),
        ]);
    }
    match kind {
        EffectKind::GitAddWorktree | EffectKind::GitRemoveWorktree => variants.extend([
            json!({"path": outside.join("worktree")}),
            json!({"path": "../outside/worktree"}),
            json!({"path": "missing/worktree"}),
        ]),
        EffectKind::DockerSpawn => {
            variants.extend(
                [
                    "none",
                    "bridge",
                    "default",
                    "host",
                    "other",
                    "container:web",
                ]
                .map(|name| json!({"network": name})),
            );
            variants.extend([
                json!({"labels": {"team": "ops"}}),
                json!({"labels": {"exomonad.user": "0:0"}}),
                json!({"labels": {"reserved": ""}}),
                json!({"labels": {"mine": "1"}}),
            ]);
            let sources = [
                root.to_owned(),
                outside,
                root.join("missing"),
                root.join("docker.sock"),
            ];
            for source in sources {
                for read_only in [true, false] {
                    variants.push(json!({"mounts": [
                        {"kind": "bind", "source": source, "target": "/mnt", "readOnly": read_only}
                    ]}));
                }
            }
        }
        EffectKind::TemporalStartWorkflow
        | EffectKind::TemporalSignalWithStart
        | EffectKind::TemporalCreateSchedule => {
            let workflow = |name: &str, queue: &str| json!({"workflow": {"workflowId": "w", "workflowType": name, "taskQueue": queue}});
            variants = vec![
                workflow("Order", "orders"),
                workflow("Other", "orders"),
                workflow("Order", "other"),
            ];
        }
        EffectKind::TemporalExecuteActivity => {
            variants.extend(["orders", "other"].map(|queue| json!({"taskQueue": queue})));
        }
        EffectKind::TemporalListWorkflows | EffectKind::TemporalSignalWorkflow => {
            variants.push(json!({"namespace": "other"}));
        }
        EffectKind::HttpRequest => {
            let hosts = ["localhost", "[::1]", "192.0.2.1", "192.168.0.1", "10.1.2.3"];
            variants.extend(hosts.map(|host| json!({"url": format!("http://{host}:1/")})));
            variants.extend(
                ["GRANTED", "OTHER", "ELSEWHERE", "NONE"]
                    .map(|name| json!({"headers": {"x-key": format!("{{{{secret:{name}}}}}")}})),
            );
        }
        _ => {}
    }
    variants
        .iter()
        .map(|fields| request(kind, fields))
        .collect()
}

/// The bounds of roles: none, fitting ones, others, and those with patterns for everything.
fn all_bounds(root: &Path) -> Vec<(&'static str, RoleBounds)> {
    let bounds = |value: Value| serde_json::from_value(value).unwrap();
    let other = root.parent().unwrap().join("other");
    vec![
        ("empty", RoleBounds::default()),
        (
            "fitting",
            bounds(json!({
                "paths": [root], "repos": ["acme/*"], "hosts": ["127.0.0.1", "localhost"], "labels": ["team=web"],
                "networks": ["bridge"], "secrets": ["GRANTED", "ELSEWHERE"], "private_hosts": ["127.*"],
                "temporal": {"namespaces": ["default"], "workflow_types": ["Order"], "task_queues": ["orders"]},
            })),
        ),
        (
            "other",
            bounds(json!({
                "paths": [other], "repos": ["other/*"], "hosts": ["example.com"], "labels": ["team=ops"],
                "networks": ["host"], "secrets": ["OTHER"],
                "temporal": {"namespaces": ["default"], "workflow_types": ["Other"], "task_queues": ["*"]},
            })),
        ),
        (
            "any",
            bounds(json!({
                "paths": [root, root.join("docker.sock")], "repos": ["*/*"], "hosts": ["*"], "labels": ["team"],
                "secrets": ["GRANTED", "OTHER", "ELSEWHERE"],
                "temporal": {"namespaces": ["*"], "workflow_types": ["*"], "task_queues": ["*"]},
            })),
        ),
        ("labels alone", bounds(json!({"labels": ["team=web"]}))),
        ("paths alone", bounds(json!({"paths": [root]}))),
    ]
}

/// A Docker engine that has every image and nothing else.
fn engine(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 16 << 10];
            let read = stream.read(&mut request).unwrap_or(0);
            let is_image =
                request[..read].starts_with(b"GET /") && contains(&request[..read], b"/images/");
            let (status, body) = match is_image {
                true => ("200 OK", r#"{"Id":"sha256:0"}"#),
                false => ("404 Not Found", r#"{"message":"no such thing"}"#),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A folder with a repository, and folders beside it.
fn area() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    for name in ["root/sub", "outside", "other"] {
        std::fs::create_dir_all(base.join(name)).unwrap();
    }
    let root = base.join("root");
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .arg(&root)
        .status();
    assert!(made.unwrap().success());
    engine(&root.join("docker.sock"));
    (folder, root)
}

fn config(base: &Path, root: &Path) -> ServicesConfig {
    let mut config = ServicesConfig::with_state_in(base.join("state"));
    config.docker.host = format!("unix://{}", root.join("docker.sock").display());
    // Nobody answers there.
    config.temporal.address = "127.0.0.1:1".to_owned();
    config.temporal.retry_time = TimeSpan::millis(1);
    config.docker.reserved_labels = ["reserved".to_owned()].into();
    for (name, host) in [
        ("GRANTED", "127.0.0.1"),
        ("OTHER", "*"),
        ("ELSEWHERE", "example.com"),
    ] {
        let secret = SecretConfig {
            hosts: vec![host.parse().unwrap()],
            value: Some(Secret::new("hunter2")),
            ..SecretConfig::default()
        };
        config.secrets.insert(name.to_owned(), secret);
    }
    config
}

/// The code that a real call gets.
async fn real_code(
    services: &HostServices,
    bounds: &RoleBounds,
    kind: EffectKind,
    request: &str,
) -> Option<ErrorCode> {
    let mut call = CallContext::new("tl".parse().unwrap(), CallId::from(7));
    call.bounds = Arc::new(bounds.to_map());
    services
        .handle(&call, kind, request.as_bytes())
        .await
        .error_code()
}

#[tokio::test]
async fn every_effect_under_every_bounds_gets_what_the_policy_says() {
    let (folder, root) = area();
    let config = config(folder.path(), &root);
    let services = open(config.clone()).unwrap();
    let mut wrong = Vec::new();
    let mut refused = 0;
    for kind in EffectKind::ALL {
        for request in requests(*kind, &root) {
            for (name, bounds) in all_bounds(&root) {
                let effect = Effect::decode(*kind, request.as_bytes()).unwrap();
                let verdicts = decide(&config, &bounds.to_map(), *kind, Some(&effect));
                let code = real_code(&services, &bounds, *kind, &request).await;
                let is_refused = refusal(&verdicts).is_some();
                refused += u32::from(is_refused);
                let is_open = verdicts
                    .iter()
                    .any(|verdict| matches!(verdict.ruling, Ruling::AtCall(_)));
                // The folder of these bounds has no repository: the call ends before it looks at the worktree's.
                let ends_before = name == "other"
                    && matches!(
                        kind,
                        EffectKind::GitAddWorktree | EffectKind::GitRemoveWorktree
                    )
                    && code == Some(ErrorCode::NotFound);
                let is_forbidden =
                    code == Some(ErrorCode::Forbidden) || (is_refused && ends_before);
                if is_forbidden != is_refused && (is_refused || !is_open) {
                    wrong.push(format!("{kind} {request} ({name}): {code:?}, {verdicts:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    assert!(refused > 300, "{refused} refusals");
}

#[test]
fn a_refusal_of_all_requests_refuses_each() {
    let (folder, root) = area();
    let config = config(folder.path(), &root);
    for kind in EffectKind::ALL {
        for (name, bounds) in all_bounds(&root) {
            let bounds = bounds.to_map();
            if refusal(&decide(&config, &bounds, *kind, None)).is_none() {
                continue;
            }
            for request in requests(*kind, &root) {
                let effect = Effect::decode(*kind, request.as_bytes()).unwrap();
                let verdicts = decide(&config, &bounds, *kind, Some(&effect));
                assert!(refusal(&verdicts).is_some(), "{kind} {request} ({name})");
            }
        }
    }
}
