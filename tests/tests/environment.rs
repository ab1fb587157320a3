//! Standard variables of the environment are honoured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use exomonad_test_support::{Guest, Project};
use serde_json::json;

/// A guest whose export `use` passes its input on to an effect.
fn forwarding(effect: &str) -> Guest {
    Guest::answering("").forwarding(&[effect]).export(
        "use",
        &format!("(call $give (call ${effect} (call $input_offset)))"),
    )
}

/// Tells the first line of the first request on a connection, and refuses it.
fn note_requests(
    mut accept: impl FnMut() -> Option<Box<dyn ReadWrite>> + Send + 'static,
) -> Receiver<String> {
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        while let Some(stream) = accept() {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            let _ = stream.read_line(&mut line);
            let _ = seen.send(line);
            let refusal =
                b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.get_mut().write_all(refusal);
        }
    });
    requests
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

#[tokio::test]
async fn github_is_asked_through_the_proxy_of_the_environment() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let requests = note_requests(move || Some(Box::new(listener.accept().ok()?.0)));
    let host = async |no_proxy: &str| {
        Project::new()
            .config("[server]\nraw_calls = true\n[github]\nbase_url = 'https://github.corp.invalid/api/v3'\ntime_limit = '5s'\n[role.ask]\neffects = ['github.*']\nrepos = ['acme/*']\n")
            .env("GH_TOKEN", "token-0123456789abcdef")
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", no_proxy)
            .plugin("ask.wat", forwarding("github_get_repo").wat())
            .serve()
            .await
    };
    let ask = json!({"repo": "acme/x"}).to_string();
    let answer = host("").await.raw("ask", "use", &ask).await;
    assert_eq!(answer.json()["payload"]["code"], "unavailable");
    let asked = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        asked.starts_with("CONNECT github.corp.invalid:443"),
        "{asked}"
    );
    while requests.try_recv().is_ok() {}
    host("corp.invalid").await.raw("ask", "use", &ask).await;
    assert_eq!(requests.try_recv().ok(), None, "NO_PROXY names it");
}

#[tokio::test]
async fn the_engine_of_docker_host_is_asked_and_doctor_names_one_that_is_not_taken() {
    let project = Project::new()
        .config(
            "[server]\nraw_calls = true\n[role.ask]\neffects = ['docker.*']\nlabels = ['team=a']\n",
        )
        .plugin("ask.wat", forwarding("docker_list").wat());
    let socket = project.home("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let requests = note_requests(move || Some(Box::new(listener.accept().ok()?.0)));
    let project = project.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let host = project.serve().await;
    host.raw("ask", "use", "{}").await;
    let asked = requests.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(asked.contains("/containers/json"), "{asked}");
    let project = project.env("DOCKER_HOST", "ssh://engine.example");
    let doctor = project.run(["doctor"]);
    assert!(
        doctor
            .stdout
            .contains("DOCKER_HOST says ssh://engine.example, which is not taken"),
        "{doctor:?}"
    );
}

#[test]
fn what_opentelemetry_defines_and_the_host_does_not_honour_is_named() {
    let project = Project::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let checked = project.run(["config", "check"]).exits(0);
    assert!(
        checked
            .stderr
            .contains("OTEL_BSP_SCHEDULE_DELAY is not honoured"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_program_for_ssh_that_git_would_use_is_named_as_ignored() {
    let project = Project::new().env("GIT_SSH_COMMAND", "/nowhere/ssh -v");
    let host = project.serve().await;
    host.logs("`GIT_SSH_COMMAND` is ignored", 1).await;
    assert!(!host.log().contains("/nowhere/ssh"), "{}", host.log());
}

#[test]
fn a_terminal_has_colors_unless_no_color_is_set() {
    // `script` gives a command a terminal.
    let on_a_terminal = |project: &Project| {
        let command = project.command();
        let binary = command.get_program().to_str().unwrap().to_owned();
        let mut script = std::process::Command::new("script");
        script
            .args(["-qec", &format!("{binary} no-such-command"), "/dev/null"])
            .env_clear()
            .env("TERM", "xterm")
            .env("PATH", std::env::var_os("PATH").unwrap());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                script.env(name, value);
            }
        }
        let output = script.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("no-such-command"), "{text}");
        text
    };
    let colored = on_a_terminal(&Project::new());
    assert!(colored.contains("\x1b["), "{colored}");
    let plain = on_a_terminal(&Project::new().env("NO_COLOR", "1"));
    assert!(!plain.contains("\x1b["), "{plain}");
}
