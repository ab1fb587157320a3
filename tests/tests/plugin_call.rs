//! `plugin inspect`, `test` and `call`: any Extism plugin, without a host.

use std::path::PathBuf;

use exomonad_test_support::{CommandOutput, Guest, OWN_TEXT, Project, WebServer, shipped_plugin};
use serde_json::json;

struct Bench {
    project: Project,
    echo: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let project = Project::without_repository();
        let echo = project.write("plugins/echo.wasm", shipped_plugin("echo"));
        Self { project, echo }
    }

    fn with(guest: &Guest) -> (Self, String) {
        let bench = Self::new();
        let file = bench.project.write("plugins/guest.wat", guest.wat());
        (bench, file.display().to_string())
    }

    fn echo(&self) -> String {
        self.echo.display().to_string()
    }

    fn call(&self, file: &str, arguments: &[&str]) -> CommandOutput {
        self.project
            .run([&["plugin", "call", file], arguments].concat())
    }
}

/// Two numbers that the guest keeps: in a variable and in its memory.
fn counter() -> Guest {
    Guest::answering("")
        .host_function("log_info", "(param i64)")
        .part("(global $calls (mut i32) (i32.const 48))")
        .text("?")
        .export(
            "count",
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (i32.store8 (i32.const 60000) (global.get $calls)) (call $give (call $text))",
        )
}

/// A guest that fetches what its input asks for.
fn fetcher() -> Guest {
    Guest::answering("")
        .host_function("http_request", "(param i64 i64) (result i64)")
        .export(
            "fetch",
            "(call $give (call $http_request (call $input_offset) (i64.const 0)))",
        )
}

#[test]
fn vowels_are_counted() {
    let bench = Bench::new();
    let ran = bench
        .call(&bench.echo(), &["count_vowels", "--input", "Hello, World!"])
        .exits(0);
    assert_eq!(ran.stdout, r#"{"count":3}"#);
}

#[test]
fn input_comes_from_a_flag_or_from_standard_input_and_goes_out_byte_for_byte() {
    let bench = Bench::new();
    let arguments = ["plugin", "call", &bench.echo(), "echo", "--stdin"];
    let input = "größer\n\n\u{0}end".as_bytes();
    let ran = bench.project.run_with_input(arguments, input).exits(0);
    assert_eq!(ran.stdout.as_bytes(), input);
    assert_eq!(bench.call(&bench.echo(), &["echo"]).exits(0).stdout, "");
    bench
        .call(&bench.echo(), &["echo", "--stdin", "--input", "a"])
        .exits(2);
}

#[test]
fn a_loop_calls_again_and_again_in_one_sandbox() {
    let (bench, file) = Bench::with(&counter());
    let ran = bench.call(&file, &["count", "--loop", "3"]).exits(0);
    assert_eq!(ran.stdout, "3", "the answer of the last call");
    assert!(ran.stderr.starts_with("3 calls in "), "{ran:?}");
    assert_eq!(bench.call(&file, &["count"]).exits(0).stdout, "1");
}

#[test]
fn a_guest_that_takes_too_long_is_given_up() {
    let (bench, file) = Bench::with(&Guest::answering("").export("spin", "(loop $on (br $on))"));
    let ran = bench.call(&file, &["spin", "--timeout", "200"]).exits(1);
    assert!(ran.stderr.contains("200ms"), "{ran:?}");
}

#[test]
fn a_guest_gets_the_memory_it_is_given_and_no_more() {
    let growing = Guest::answering("").export(
        "grow",
        "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))",
    );
    let (bench, file) = Bench::with(&growing);
    bench.call(&file, &["grow"]).exits(0);
    bench.call(&file, &["grow", "--memory-max", "200"]).exits(0);
    let ran = bench.call(&file, &["grow", "--memory-max", "50"]).exits(1);
    assert!(ran.stderr.contains("memory"), "{ran:?}");
}

#[test]
fn a_guest_reaches_the_hosts_it_is_allowed_and_no_others() {
    let web = WebServer::answering("good morning");
    let (bench, file) = Bench::with(&fetcher());
    let request = json!({"url": web.url()}).to_string();
    let fetch =
        |flags: &[&str]| bench.call(&file, &[&["fetch", "--input", &request], flags].concat());
    let denied = fetch(&[]).exits(1);
    assert!(
        denied.stderr.contains("127.0.0.1") && denied.stderr.contains("not allowed"),
        "{denied:?}"
    );
    let other = fetch(&["--allow-host", "example.com"]).exits(1);
    assert!(other.stderr.contains("not allowed"), "{other:?}");
    assert_eq!(web.requests(), 0, "a refused request goes nowhere");
    assert_eq!(
        fetch(&["--allow-host", "127.0.0.1"]).exits(0).stdout,
        "good morning"
    );
    assert_eq!(
        fetch(&["--allow-host", "127.*"]).exits(0).stdout,
        "good morning"
    );
    let long = fetch(&["--allow-host", "127.0.0.1", "--http-response-max", "4"]).exits(1);
    assert!(long.stderr.contains("4 bytes"), "{long:?}");
}

#[test]
fn a_redirect_to_a_host_that_is_not_allowed_is_not_followed() {
    let secret = WebServer::answering("secret");
    let project = secret.url().replace("127.0.0.1", "localhost");
    let redirecting = WebServer::redirecting(&project);
    let (bench, file) = Bench::with(&fetcher());
    let request = json!({"url": redirecting.url()}).to_string();
    let ran = bench
        .call(
            &file,
            &["fetch", "--input", &request, "--allow-host", "127.0.0.1"],
        )
        .exits(1);
    assert!(
        ran.stderr.contains("localhost") && ran.stderr.contains("not allowed"),
        "{ran:?}"
    );
    assert_eq!((redirecting.requests(), secret.requests()), (1, 0));
}

#[test]
fn a_guest_reads_the_values_it_is_given() {
    let reader = Guest::answering("")
        .host_function("config_get", "(param i64) (result i64)")
        .export(
            "read",
            "(call $give (call $config_get (call $input_offset)))",
        );
    let (bench, file) = Bench::with(&reader);
    let ran = bench
        .call(
            &file,
            &[
                "read",
                "--input",
                "name",
                "--config",
                "name=Ada=L",
                "--set",
                "other=x",
            ],
        )
        .exits(0);
    assert_eq!(ran.stdout, "Ada=L");
    assert_eq!(
        bench
            .call(&file, &["read", "--input", "HOME"])
            .exits(0)
            .stdout,
        ""
    );
    bench.call(&file, &["read", "--set", "nonsense"]).exits(2);
}

#[test]
fn wasi_is_there_when_it_is_asked_for() {
    let printing = Guest::answering("")
        .import("wasi_snapshot_preview1", "environ_sizes_get", "(param i32 i32) (result i32)")
        .text("?")
        .export(
            "variables",
            "(drop (call $environ_sizes_get (i32.const 50000) (i32.const 50004)))
             (i32.store8 (i32.const 60000) (i32.add (i32.const 48) (i32.load (i32.const 50000)))) (call $give (call $text))",
        );
    let (bench, file) = Bench::with(&printing);
    let without = bench.call(&file, &["variables"]).exits(3);
    assert!(
        without.stderr.contains("wasi_snapshot_preview1"),
        "{without:?}"
    );
    assert_eq!(
        bench.call(&file, &["variables", "--wasi"]).exits(0).stdout,
        "0",
        "no environment"
    );
}

#[test]
fn each_failure_has_its_exit_code() {
    let (bench, file) = Bench::with(&Guest::answering("").export("trap", "unreachable"));
    let failed = bench
        .call(&bench.echo(), &["fail_raw", "--input", "as asked"])
        .exits(1);
    assert!(failed.stderr.contains("as asked"), "{failed:?}");
    bench.call(&file, &["trap"]).exits(1);
    let absent = bench.call(&file, &["sing"]).exits(3);
    assert!(
        absent.stderr.contains("trap"),
        "what there is, is named: {absent:?}"
    );
    let missing = bench.call("missing.wasm", &["echo"]).exits(4);
    assert!(missing.stderr.contains("missing.wasm"), "{missing:?}");
    let garbage = bench
        .project
        .write("garbage.wasm", "garbage")
        .display()
        .to_string();
    bench.call(&garbage, &["echo"]).exits(2);
}

#[test]
fn a_manifest_brings_its_modules_values_and_hosts() {
    let reader = Guest::answering("")
        .host_function("config_get", "(param i64) (result i64)")
        .export(
            "read",
            "(call $give (call $config_get (call $input_offset)))",
        );
    let (bench, _) = Bench::with(&reader);
    let manifest =
        json!({"wasm": [{"path": "guest.wat"}], "config": {"name": "Ada", "other": "x"}});
    let file = bench
        .project
        .write("plugins/plugin.json", manifest.to_string())
        .display()
        .to_string();
    assert_eq!(
        bench
            .call(&file, &["read", "--input", "name"])
            .exits(0)
            .stdout,
        "Ada"
    );
    let overridden = bench
        .call(&file, &["read", "--input", "name", "--set", "name=Grace"])
        .exits(0);
    assert_eq!(overridden.stdout, "Grace");
}

#[test]
fn an_inspection_names_what_a_plugin_imports_and_exports() {
    let bench = Bench::new();
    let shown = bench
        .project
        .run(["plugin", "inspect", &bench.echo()])
        .exits(0)
        .stdout;
    for part in ["sha256", "handle_mcp_call", "count_vowels", "sleep"] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    let json = bench
        .project
        .run(["plugin", "inspect", "--json", &bench.echo()])
        .exits(0)
        .json();
    assert!(
        json["exports"]
            .as_array()
            .unwrap()
            .contains(&json!("count_vowels")),
        "{json}"
    );
    assert_eq!(json["snapshot"], "not_needed");
    let garbage = bench
        .project
        .write("garbage.wasm", "garbage")
        .display()
        .to_string();
    bench.project.run(["plugin", "inspect", &garbage]).exits(2);
    bench
        .project
        .run(["plugin", "inspect", "missing.wasm"])
        .exits(4);
}

#[test]
fn a_test_tells_whether_a_file_can_serve_as_a_role() {
    let (bench, file) = Bench::with(&Guest::answering("hello"));
    let fine = bench.project.run(["plugin", "test", &file]).exits(0);
    assert!(
        fine.stdout.contains("can serve") && fine.stdout.contains("answer"),
        "{fine:?}"
    );
    let json = bench
        .project
        .run(["plugin", "test", "--json", &bench.echo()])
        .exits(0)
        .json();
    assert!(
        json["tools"].as_array().unwrap().contains(&json!("echo")),
        "{json}"
    );
    let half = bench.project.write(
        "half.wat",
        Guest::answering("").without("handle_mcp_call").wat(),
    );
    let refused = bench
        .project
        .run(["plugin", "test", half.to_str().unwrap()])
        .exits(3);
    assert!(refused.stderr.contains("handle_mcp_call"), "{refused:?}");
}

#[test]
fn a_tool_of_a_plugin_file_is_called_as_a_host_would() {
    let bench = Bench::new();
    let call = |arguments: &[&str]| {
        let file = bench.echo();
        let arguments = [&["plugin", "call", &file, "--tool"], arguments].concat();
        bench.project.run(arguments)
    };
    let answer = call(&["echo", "text=a b"]).exits(0).json();
    assert_eq!(answer["structuredContent"]["text"], "a b", "{answer}");
    let answer = call(&["echo", r#"{"text":"c"}"#]).exits(0).json();
    assert_eq!(answer["structuredContent"]["text"], "c", "{answer}");
    call(&["echo", "text=a", "--stdin"]).exits(2);
}

/// As the PDK of Go does it: it frees its argument once more when the host has consumed it, and goes on.
#[test]
fn a_result_is_not_laid_where_a_consumed_argument_lay() {
    let web = WebServer::answering("the answer of the server, forty-two bytes.");
    let after = |call: &str| {
        format!(
            "(local.set $result {call}) (call $free (local.get $key))
             (drop (call $block (i32.const 50000) (i32.const 24))) (call $give (local.get $result))"
        )
    };
    let function = |name: &str, call: &str| {
        format!(
            r#"(func (export "{name}") (result i32) (local $key i64) (local $result i64)
              (local.set $key (call $text)) {} (i32.const 0))"#,
            after(call)
        )
    };
    let guest = Guest::answering("")
        .host_function("config_get", "(param i64) (result i64)")
        .host_function("var_get", "(param i64) (result i64)")
        .host_function("var_set", "(param i64 i64)")
        .host_function("http_request", "(param i64 i64) (result i64)")
        .host_function("free", "(param i64)")
        .text(&json!({"url": web.url()}).to_string())
        .part(&function("config", "(call $config_get (local.get $key))"))
        .part(&function(
            "fetch",
            "(call $http_request (local.get $key) (i64.const 0))",
        ));
    let (bench, file) = Bench::with(&guest);
    let key = json!({"url": web.url()}).to_string();
    let set = format!("{key}=the value of the key");
    let config = bench.call(&file, &["config", "--set", &set]).exits(0);
    assert_eq!(config.stdout, "the value of the key");
    let fetched = bench
        .call(&file, &["fetch", "--allow-host", "127.0.0.1"])
        .exits(0);
    assert_eq!(fetched.stdout, "the answer of the server, forty-two bytes.");
}

#[test]
fn what_a_guest_wrote_before_it_died_is_in_the_error() {
    let guest = Guest::answering("")
        .import(
            "wasi_snapshot_preview1",
            "fd_write",
            "(param i32 i32 i32 i32) (result i32)",
        )
        .text("panic: no such thing\u{1b}[2J\n")
        .export(
            "die",
            &format!(
                "(i32.store (i32.const 50000) (i32.const {OWN_TEXT})) (i32.store (i32.const 50004) (i32.const 25))
                 (drop (call $fd_write (i32.const 2) (i32.const 50000) (i32.const 1) (i32.const 50016))) (unreachable)"
            ),
        );
    let (bench, file) = Bench::with(&guest);
    let died = bench.call(&file, &["die", "--wasi"]).exits(1);
    assert!(
        died.stderr.contains("unreachable") && died.stderr.contains("wrote: panic: no such thing"),
        "{died:?}"
    );
    assert!(!died.stderr.contains('\u{1b}'), "{died:?}");
    let without = bench.call(&file, &["die"]).exits(3);
    assert!(without.stderr.contains("--wasi"), "{without:?}");
}

#[test]
fn a_manifest_asks_for_hosts_and_the_flags_allow_them() {
    let web = WebServer::answering("good morning");
    let bench = Bench::new();
    bench.project.write("plugins/guest.wat", fetcher().wat());
    let manifest = bench.project.write(
        "plugins/plugin.json",
        json!({"wasm": [{"path": "guest.wat"}], "allowed_hosts": ["127.0.0.1"]}).to_string(),
    );
    let (file, request) = (
        manifest.display().to_string(),
        json!({"url": web.url()}).to_string(),
    );
    let denied = bench.call(&file, &["fetch", "--input", &request]).exits(1);
    assert!(
        denied
            .stderr
            .contains("`--allow-host 127.0.0.1` allows them"),
        "{denied:?}"
    );
    assert_eq!(web.requests(), 0);
    bench
        .call(
            &file,
            &["fetch", "--input", &request, "--allow-host", "127.0.0.1"],
        )
        .exits(0);
}
