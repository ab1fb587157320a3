//! The command line: on a running host, and without one.

use exomonad_test_support::{CommandOutput, Guest, Project, tool_named};
use serde_json::{Value, json};

/// The commands of both kinds: asked of this running host, and done in the process itself.
fn both<'a>(url: &'a str, arguments: &[&'a str]) -> [Vec<&'a str>; 2] {
    [
        [arguments, &["--url", url]].concat(),
        [arguments, &["--local"]].concat(),
    ]
}

#[tokio::test]
async fn a_tool_is_called_on_the_running_host_and_in_process() {
    let project = Project::new();
    let host = project.serve().await;
    for arguments in both(&host.url(), &["call", "tl", "repo_status"]) {
        let ran = project.run(&arguments).exits(0);
        let status: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(status["branch"], "main", "{arguments:?}");
    }
    assert_eq!(
        host.log().matches("tool call").count(),
        1,
        "the local one never asked the host"
    );
}

#[tokio::test]
async fn arguments_are_an_object_or_pairs_whose_values_are_json_if_they_can_be() {
    let show = Guest::answering("")
        .without("handle_mcp_call")
        .export("handle_mcp_call", "(call $give (call $text))")
        .text(r#"{"content":[]}"#)
        .tools(json!([{
            "name": "typed",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "number": {"const": 5}, "text": {"const": "five"}, "flag": {"const": true},
                    "list": {"const": [1, 2]}, "equals": {"const": "a=b"}, "digits": {"const": "5"}
                },
                "additionalProperties": false
            }
        }]));
    let project = Project::new().plugin("show.wat", show.wat());
    let call = |arguments: &[&str]| {
        project.run([&["call", "show", "typed", "--local"], arguments].concat())
    };
    call(&[
        "number=5",
        "text=five",
        "flag=true",
        "list=[1,2]",
        "equals=a=b",
        "digits=\"5\"",
    ])
    .exits(0);
    call(&[r#"{"number":5,"text":"five"}"#]).exits(0);
    call(&[]).exits(0);
    call(&["number=6"]).exits(3);
    let neither = call(&["five"]).exits(2);
    assert!(neither.stderr.contains("key=value"), "{neither:?}");
    call(&[r#"{"number":5"#]).exits(2);
}

#[tokio::test]
async fn exit_codes_tell_scripts_what_happened() {
    let project = Project::new();
    let host = project.serve().await;
    for (expected, arguments) in [
        (0, vec!["call", "echo", "echo", "text=a"]),
        (1, vec!["call", "echo", "fail"]),
        (1, vec!["call", "echo", "trap"]),
        (3, vec!["call", "nobody", "echo"]),
        (3, vec!["call", "echo", "sing"]),
        (3, vec!["call", "echo", "echo", "txt=a"]),
        (3, vec!["tools", "nobody"]),
    ] {
        for arguments in both(&host.url(), &arguments) {
            let ran = project.run(&arguments);
            assert_eq!(ran.code, Some(expected), "{arguments:?}: {ran:?}");
            assert_eq!(
                ran.stderr.is_empty(),
                expected == 0,
                "{arguments:?}: {ran:?}"
            );
        }
    }
    project.run(["call"]).exits(2);
    project.run(["no-such-command"]).exits(2);
    project
        .run(["roles", "--local", "--url", "http://localhost:1"])
        .exits(2);
    let away = project
        .run(["roles", "--url", "http://127.0.0.1:1"])
        .exits(4);
    assert!(away.stderr.contains("127.0.0.1:1"), "{away:?}");
}

#[tokio::test]
async fn a_refusal_reads_the_same_with_and_without_a_host() {
    let project = Project::new();
    let host = project.serve().await;
    for arguments in [
        vec!["call", "tl", "repo_statu"],
        vec!["call", "echoo", "echo"],
        vec!["call", "tl", "recent_work", "limit=0"],
    ] {
        let [running, local] =
            both(&host.url(), &arguments).map(|arguments| project.run(&arguments).exits(3).stderr);
        assert_eq!(running, local, "{arguments:?}");
        assert!(running.starts_with("exomonad: "), "{running}");
    }
}

#[tokio::test]
async fn tools_and_roles_are_listed_for_people_and_for_programs() {
    let project = Project::new().plugin(
        "greeter.wat",
        Guest::answering("")
            .tools(json!([tool_named("greet")]))
            .wat(),
    );
    let host = project.serve().await;
    for arguments in both(&host.url(), &["tools", "tl"]) {
        let listed = project.run(&arguments).exits(0).stdout;
        let line = listed
            .lines()
            .find(|line| line.starts_with("recent_work"))
            .unwrap();
        assert!(
            line.contains("[limit] [workingDir]") && line.contains("Reports recent work"),
            "{line}"
        );
        let json = project
            .run([arguments, vec!["--json"]].concat())
            .exits(0)
            .json();
        assert_eq!(json["tools"][0]["name"], "repo_status");
    }
    for arguments in both(&host.url(), &["roles"]) {
        let listed = project.run(&arguments).exits(0).stdout;
        let line = listed
            .lines()
            .find(|line| line.starts_with("greeter"))
            .unwrap();
        assert!(
            line.contains("serves") && line.contains("greeter.wat") && line.ends_with("greet"),
            "{line}"
        );
        let json = project
            .run([arguments, vec!["--json"]].concat())
            .exits(0)
            .json();
        let names: Vec<_> = json["roles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|role| role["name"].clone())
            .collect();
        assert_eq!(names, ["echo", "greeter", "tl"]);
    }
    for arguments in both(&host.url(), &["plugin", "list"]) {
        let listed = project.run(&arguments).exits(0).stdout;
        assert_eq!(
            listed.lines().count(),
            4,
            "a header and three plugins: {listed}"
        );
        assert!(listed.contains("greeter.wat"), "{listed}");
    }
}

#[tokio::test]
async fn json_is_one_document_with_what_the_host_answers() {
    let project = Project::new();
    let host = project.serve().await;
    for arguments in both(&host.url(), &["call", "echo", "echo", "text=a", "--json"]) {
        let answer = project.run(&arguments).exits(0).json();
        assert_eq!(answer["structuredContent"]["text"], "a");
    }
    for arguments in both(&host.url(), &["call", "echo", "fail", "--json"]) {
        assert_eq!(project.run(&arguments).exits(1).json()["isError"], true);
    }
}

#[test]
fn what_a_tool_says_goes_to_standard_output_and_its_failure_to_standard_error() {
    let project = Project::new().plugin("greeter.wat", Guest::answering("good morning").wat());
    let said = project
        .run(["call", "greeter", "answer", "--local"])
        .exits(0);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("good morning\n", "")
    );
    let failed: CommandOutput = project.run(["call", "echo", "fail", "--local"]).exits(1);
    assert_eq!(failed.stdout, "");
    let lines: Vec<&str> = failed.stderr.lines().collect();
    let [said, named] = lines[..] else {
        panic!("{failed:?}");
    };
    assert_eq!(said, "as asked");
    assert!(named.starts_with("exomonad: this was call "), "{named}");
}

#[test]
fn in_process_a_bad_plugin_is_listed_with_its_reason() {
    let project = Project::new().plugin("victim.wasm", "not a module");
    let listed = project.run(["plugin", "list", "--local"]).exits(1);
    assert!(listed.stderr.contains("victim.wasm"), "{listed:?}");
    let called = project
        .run(["call", "victim", "answer", "--local"])
        .exits(4);
    assert!(called.stderr.contains("victim.wasm"), "{called:?}");
}

#[test]
fn a_completion_script_is_one_that_its_shell_can_read() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Project::new().run(["completions", shell]).exits(0).stdout;
        assert!(script.contains("COMPLETE"), "{shell}: {script}");
    }
    let script = Project::new().run(["completions", "bash"]).exits(0).stdout;
    let project = Project::new();
    let file = project.write("completions.bash", script);
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(file)
        .status();
    assert!(
        checked.is_ok_and(|status| status.success()),
        "bash cannot read it"
    );
}

#[test]
fn help_and_version_are_there_for_every_command() {
    let project = Project::new();
    for command in [
        vec![],
        vec!["serve"],
        vec!["call"],
        vec!["plugin"],
        vec!["plugin", "call"],
        vec!["doctor"],
    ] {
        let help = project
            .run([command.clone(), vec!["--help"]].concat())
            .exits(0)
            .stdout;
        assert!(help.contains("Usage: exomonad"), "{command:?}: {help}");
    }
    let help = project.run(["--help"]).exits(0).stdout;
    assert!(help.contains("Exit codes"), "{help}");
    assert!(
        project
            .run(["--version"])
            .exits(0)
            .stdout
            .starts_with("exomonad ")
    );
}

/// The answers that a shell gets which asks for completions of the last word.
fn completions(project: &Project, words: &[&str]) -> Vec<String> {
    let output = project
        .command()
        .arg("--")
        .args(words)
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn commands_roles_and_tools_are_completed() {
    let project = Project::new();
    let commands = completions(&project, &["exomonad", "eff"]);
    assert_eq!(commands, ["effects"]);
    let roles = completions(&project, &["exomonad", "call", ""]);
    assert!(roles.contains(&"tl".to_owned()), "{roles:?}");
    let host = project.serve().await;
    let asking = project.env("EXOMONAD_LISTEN", host.address().to_string());
    let tools = completions(&asking, &["exomonad", "call", "tl", "repo"]);
    assert_eq!(tools, ["repo_status"]);
}

#[tokio::test]
async fn one_tool_is_shown_with_its_arguments_and_their_types() {
    let project = Project::new();
    let host = project.serve().await;
    for arguments in both(&host.url(), &["tools", "tl", "file_pr"]) {
        let shown = project.run(&arguments).exits(0).stdout;
        for part in ["file_pr", "[draft]", "boolean", "title", "string"] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
    }
    let near = project.run(["tools", "tl", "file_p", "--local"]).exits(3);
    assert!(near.stderr.contains("did you mean `file_pr`"), "{near:?}");
}

#[test]
fn effects_are_listed_and_one_is_shown_by_any_of_its_names() {
    let project = Project::new();
    let listed = project.run(["effects"]).exits(0).stdout;
    for effect in ["git.status", "github.create_pr", "docker.exec", "kv.set"] {
        assert!(listed.contains(effect), "{effect} is missing in {listed}");
    }
    for name in ["git.status", "git_status", "GitStatus"] {
        let shown = project.run(["effects", name, "--json"]).exits(0).json();
        assert_eq!(shown["capability"], "git.status", "{name}");
        assert_eq!(shown["access"], "read", "{name}");
        assert!(
            shown["answer"]["properties"]["staged"].is_object(),
            "{shown}"
        );
    }
    let unknown = project.run(["effects", "git.statu"]).exits(3);
    assert!(unknown.stderr.contains("did you mean"), "{unknown:?}");
}

#[test]
fn an_object_beside_pairs_and_a_bad_address_are_told_as_what_they_are() {
    let project = Project::new();
    let both = project
        .run([
            "call",
            "tl",
            "recent_work",
            "limit=3",
            r#"{"a":1}"#,
            "--local",
        ])
        .exits(2);
    assert!(both.stderr.contains("not both"), "{both:?}");
    let address = project.run(["serve", "--listen", "nowhere"]).exits(2);
    assert!(
        address.stderr.contains("--listen") && !address.stderr.contains("EXOMONAD_LISTEN"),
        "{address:?}"
    );
}

/// Commands that print something and succeed.
const PRINTING: &[&[&str]] = &[
    &["config", "default"],
    &["config", "show"],
    &["config", "check"],
    &["plugin", "inspect", "hook.wat"],
    &["plugin", "test", "hook.wat"],
    &["plugin", "call", "hook.wat", "say"],
    &["completions", "bash"],
    &["completions", "elvish"],
    &["policy", "explain", "tl", "git.status"],
    &["effects"],
    &["effects", "git.status"],
    &["--local", "roles"],
    &["--local", "roles", "--json"],
    &["--local", "tools", "echo"],
    &["--local", "call", "echo", "echo", "text=a"],
    &["--local", "calls", "list"],
    &["--help"],
    &["--version"],
];

/// A project in which [`PRINTING`] succeed.
fn printing() -> Project {
    let project = Project::new();
    let hook = Guest::answering("")
        .text("said")
        .export("say", "(call $give (call $text))");
    project.write("hook.wat", hook.wat());
    project
}

#[test]
fn a_role_that_there_is_not_has_no_policy() {
    let project = Project::new();
    let unknown = project
        .run(["policy", "explain", "ecko", "git.status"])
        .exits(3);
    assert!(
        unknown.stderr.contains("no role `ecko`") && unknown.stderr.contains("`echo`"),
        "{unknown:?}"
    );
    project.put_plugin("own.wat", Guest::answering("").wat());
    project
        .run(["policy", "explain", "own", "git.status"])
        .exits(0);
    let without = Project::new().config("[plugins]\nembedded = false\n");
    without
        .run(["policy", "explain", "tl", "git.status"])
        .exits(3);
}

#[test]
fn a_file_that_is_missing_has_one_exit_code() {
    let project = Project::new();
    for arguments in [
        &["plugin", "inspect", "missing.wasm"][..],
        &["plugin", "test", "missing.wasm"],
        &["plugin", "call", "missing.wasm", "say"],
        &["trust", "--revoke", "missing.toml"],
    ] {
        let ran = project.run(arguments).exits(4);
        assert!(ran.stderr.contains("missing."), "{ran:?}");
    }
    project.write("exomonad.toml", "");
    let never = project.run(["trust", "--revoke"]).exits(3);
    assert!(never.stderr.contains("nothing to revoke"), "{never:?}");
}

#[test]
fn a_pipe_in_the_place_of_a_configuration_keeps_nobody_waiting() {
    let project = Project::new();
    for (path, arguments) in [
        ("exomonad.toml", &["config", "check"][..]),
        ("named.toml", &["config", "check", "--config", "named.toml"]),
        ("named.toml", &["trust", "named.toml"]),
    ] {
        let pipe = project.path(path);
        if !pipe.exists() {
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            assert!(made.unwrap().success());
        }
        let ran = project.run(arguments).exits(2);
        assert!(ran.output().contains("no regular file"), "{ran:?}");
        if path == "exomonad.toml" {
            std::fs::remove_file(pipe).unwrap();
        }
    }
    let pipe = project.path("token");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    project.write("exomonad.toml", "[server]\ntoken_file = 'token'\n");
    let ran = project.run(["config", "check"]).exits(2);
    assert!(ran.output().contains("no regular file"), "{ran:?}");
}

/// JSON Schema takes `1.0` for an integer, and typed languages do not.
#[tokio::test]
async fn an_integer_with_a_fraction_of_zero_is_an_integer_for_every_guest() {
    let project = Project::new();
    let host = project.serve().await;
    for written in ["1.0", "1e0", "10e-1", "1"] {
        let body = format!(r#"{{"name":"sleep","arguments":{{"millis":{written}}}}}"#);
        let slept = host.post("/role/echo/mcp/call", body).await;
        assert!(!slept.tool_result().is_error(), "{written}: {slept:?}");
        let argument = format!("millis={written}");
        for arguments in both(&host.url(), &["call", "echo", "sleep", &argument]) {
            project.run(arguments).exits(0);
        }
    }
    let body = r#"{"name":"sleep","arguments":{"millis":1.5}}"#;
    host.post("/role/echo/mcp/call", body)
        .await
        .problem(422, "invalid_arguments");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let project = printing();
    for arguments in PRINTING {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = project.command();
        let ran = command
            .args(*arguments)
            .stdin(std::process::Stdio::null())
            .stdout(full.unwrap())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(4), "{arguments:?}: {ran:?}");
        assert_eq!(
            errors.matches("standard output cannot be written").count(),
            1,
            "{arguments:?}: {errors}"
        );
    }
}

/// As for `exomonad roles | head -1` whose reader has what it wants.
#[test]
fn a_command_whose_reader_is_gone_ends_without_a_word() {
    let project = printing();
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = project.command();
        let ran = command
            .args(*arguments)
            .stdin(std::process::Stdio::null())
            .stdout(writer)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(
            matches!(ran.status.code(), Some(0 | 141) | None),
            "{arguments:?}: {ran:?}"
        );
        assert!(
            !errors.contains("panic") && !errors.contains("Broken pipe"),
            "{arguments:?}: {errors}"
        );
    }
}
