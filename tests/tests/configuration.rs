//! The configuration, as the binary reads, shows and refuses it.

use exomonad_test_support::{Guest, Project};
use serde_json::json;

/// Four mistakes, on lines 2, 3, 6 and 9.
const WRONG: &str = "[server]
max_body = -1
requset_timeout = '1m'

[log]
format = 'jsno'

[role.tl]
effects = ['gti.*']
";

const PLACES: [&str; 4] = [
    "exomonad.toml:2:12",
    "exomonad.toml:3:1",
    "exomonad.toml:6:10",
    "exomonad.toml:9:12",
];

#[tokio::test]
async fn every_mistake_is_reported_at_once_with_its_position_and_nothing_starts() {
    let project = Project::new().config(WRONG);
    for command in [
        vec!["serve"],
        vec!["roles", "--local"],
        vec!["config", "show"],
    ] {
        let ran = project.run(&command).exits(2);
        for at in PLACES {
            assert!(
                ran.stderr.contains(at),
                "{command:?} does not name {at}: {}",
                ran.stderr
            );
        }
        assert!(
            ran.stderr.contains("did you mean `request_timeout`?"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{command:?}");
    }
}

#[test]
fn a_check_finds_the_same_mistakes_for_people_and_for_programs() {
    let project = Project::new().config(WRONG);
    let ran = project.run(["config", "check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for at in PLACES {
        assert!(ran.stderr.contains(at), "{}", ran.stderr);
    }
    let mistakes = project.run(["config", "check", "--json"]).exits(2).json();
    let found: Vec<String> = mistakes
        .as_array()
        .unwrap()
        .iter()
        .map(|mistake| format!("exomonad.toml:{}:{}", mistake["line"], mistake["column"]))
        .collect();
    assert_eq!(found, PLACES);
    assert_eq!(mistakes[3]["code"], "unknown_effect");
    assert_eq!(mistakes[3]["severity"], "error");
}

#[test]
fn a_configuration_without_mistakes_is_fine() {
    let project = Project::new().config("[role.tl]\neffects = ['git.*']\n");
    let ran = project.run(["config", "check"]).exits(0);
    assert!(ran.stdout.contains("fine"), "{ran:?}");
    assert_eq!(
        project.run(["config", "check", "--json"]).exits(0).json(),
        json!([])
    );
    let without = Project::new().run(["config", "check"]).exits(0);
    assert!(without.stdout.contains("the defaults hold"), "{without:?}");
}

#[test]
fn what_is_allowed_but_hardly_meant_is_a_warning() {
    let project = Project::new().config("[server]\nallowed_hosts = ['*']\n");
    let ran = project.run(["config", "check"]).exits(0);
    assert!(ran.stderr.contains("warning[insecure]"), "{ran:?}");
    let warnings = project.run(["config", "check", "--json"]).exits(0).json();
    assert_eq!(warnings[0]["severity"], "warning");
}

#[test]
fn the_effective_configuration_is_shown_with_where_each_value_comes_from() {
    let project = Project::new()
        .config("[server]\nmax_body = '2MiB'\n")
        .env("EXOMONAD_LOG", "debug");
    let shown = project.run(["config", "show"]).exits(0).stdout;
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key));
        line.unwrap_or_else(|| panic!("no {key} in\n{shown}"))
            .to_owned()
    };
    assert!(
        line("max_body").contains("2MiB") && line("max_body").contains("exomonad.toml"),
        "{}",
        line("max_body")
    );
    assert!(
        line("filter").contains("debug") && line("filter").contains("EXOMONAD_LOG"),
        "{}",
        line("filter")
    );
    assert!(
        line("poll_interval").contains("2s"),
        "{}",
        line("poll_interval")
    );
}

#[test]
fn what_is_shown_is_a_configuration_with_the_same_meaning() {
    let project = Project::new().config("[server]\nmax_body = '2MiB'\n[role.tl]\neffects = ['git.*']\n[role.tl.limits]\nqueue = 3\n");
    let shown = project.run(["config", "show"]).exits(0).stdout;
    let again = Project::new().config(&shown);
    let ran = again.run(["config", "check"]).exits(0);
    let second = again.run(["config", "show"]).exits(0).stdout;
    for key in ["max_body", "queue", "effects"] {
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with(key));
            lines
                .map(|line| {
                    line.split(" #")
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                })
                .collect()
        };
        assert!(!values(&shown).is_empty());
        assert_eq!(values(&second), values(&shown), "{ran:?}");
    }
}

#[test]
fn the_default_file_has_no_mistakes() {
    let file = Project::new().run(["config", "default"]).exits(0).stdout;
    // Its keys are commented out; prose has a blank behind the `#`.
    let uncommented = file.lines().map(|line| {
        line.strip_prefix('#')
            .filter(|key| !key.starts_with(' '))
            .unwrap_or(line)
    });
    let text = uncommented.collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("\nmax_body = ") && text.contains("\n[role.tl]"),
        "{text}"
    );
    let project = Project::new().env("WEATHER_KEY", "sunny").config(&text);
    project.run(["config", "check"]).exits(0);
}

#[test]
fn a_file_that_is_named_has_to_be_there() {
    let project = Project::new();
    let ran = project
        .run(["config", "check", "--config", "missing.toml"])
        .exits(2);
    assert!(ran.stderr.contains("missing.toml"), "{ran:?}");
    project.run(["serve", "--config", "missing.toml"]).exits(2);
}

#[tokio::test]
async fn without_a_listed_role_every_plugin_is_one() {
    let project = Project::new().plugin("greeter.wat", Guest::answering("hello").wat());
    let host = project.serve().await;
    for role in ["tl", "echo", "greeter"] {
        assert!(!host.role(role).await["plugin"].is_null(), "{role}");
    }
}

#[tokio::test]
async fn with_a_listed_role_the_others_are_not_served() {
    let project = Project::new()
        .config("[role.tl]\n")
        .plugin("greeter.wat", Guest::answering("hello").wat());
    let host = project.serve().await;
    assert_eq!(
        host.tool("tl", "repo_status", json!({})).await.structured()["branch"],
        "main"
    );
    host.call("greeter", "answer", json!({}))
        .await
        .problem(404, "role_not_found");
    host.call("echo", "echo", json!({"text": "a"}))
        .await
        .problem(404, "role_not_found");
}

#[tokio::test]
async fn unlisted_roles_can_be_served_beside_listed_ones() {
    let project = Project::new()
        .config(
            "[plugins]\nunlisted_roles = true\nembedded = false\n[role.boss]\nplugin = 'greeter'\n",
        )
        .plugin("greeter.wat", Guest::answering("hello").wat());
    let host = project.serve().await;
    for role in ["boss", "greeter"] {
        assert_eq!(
            host.tool(role, "answer", json!({})).await.text(),
            "hello",
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_role_can_name_a_file_outside_the_folder_and_follows_it() {
    let project = Project::new().config("[role.greeter]\nplugin = './build/greeter.wasm'\n");
    let built = project.write("build/greeter.wasm", Guest::answering("one").wasm());
    let host = project.serve().await;
    assert_eq!(
        host.tool("greeter", "answer", json!({})).await.text(),
        "one"
    );
    std::fs::write(built, Guest::answering("two").wasm()).unwrap();
    exomonad_test_support::eventually("the new file serves", async || {
        (host.tool("greeter", "answer", json!({})).await.text() == "two").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_guest_reads_the_configuration_of_its_role_and_no_other() {
    let reader = Guest::answering("")
        .host_function("config_get", "(param i64) (result i64)")
        .export(
            "read",
            "(call $give (call $config_get (call $input_offset)))",
        );
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[role.one]\nconfig = { greeting = 'hello' }\n[role.two]\nplugin = 'one'\n")
        .plugin("one.wat", reader.wat())
        .env("greeting", "from the environment");
    let host = project.serve().await;
    assert_eq!(host.raw("one", "read", "greeting").await.text(), "hello");
    assert_eq!(host.raw("two", "read", "greeting").await.text(), "");
    assert_eq!(host.raw("one", "read", "HOME").await.text(), "");
}
