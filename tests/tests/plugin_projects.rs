//! `plugin new`, `build`, `dev` and `test`: projects in any language, and what is wrong with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use exomonad_test_support::{
    Guest, Project, eventually, installed_by_with, repository, required_or_skip, shipped_plugin,
};
use serde_json::json;

/// A project whose build copies what lies beside it.
fn copying(project: &Project) {
    project.write("greeter/module.wat", Guest::answering("first").wat());
    project.write("greeter/module.wasm", Guest::answering("first").wasm());
    project.write(
        "greeter/plugin-project.toml",
        r#"
        language = "none"
        output = "built/greeter.wasm"
        sources = ["module.wasm", "broken"]
        [build]
        command = ["sh", "-c", "test ! -e broken || { echo 'line 7: it is broken' >&2; exit 3; }; mkdir -p built && cp module.wasm built/greeter.wasm"]
        [test]
        command = ["sh", "-c", "echo tested $KIND; test ! -e broken"]
        environment = { KIND = "as asked" }
        [[needs]]
        program = "sh"
        install = "it is part of the system"
        "#,
    );
}

#[test]
fn a_project_builds_by_its_own_commands_into_the_plugin_folder() {
    let project = Project::without_repository();
    copying(&project);
    let built = project.run(["plugin", "build", "greeter", "--out", "plugins"]);
    let built = built.exits(0);
    assert!(built.stdout.contains("plugins/greeter.wasm"), "{built:?}");
    let placed = fs::read(project.path("plugins/greeter.wasm")).unwrap();
    assert_eq!(placed, Guest::answering("first").wasm());
    let tested = project.run(["plugin", "test", "greeter"]).exits(0);
    assert!(tested.stdout.contains("tested as asked"), "{tested:?}");
    // A build that fails says what its toolchain says, and what was there stays.
    project.write("greeter/broken", "");
    let failed = project
        .run(["plugin", "build", "greeter", "--out", "plugins"])
        .exits(1);
    assert!(failed.stderr.contains("line 7: it is broken"), "{failed:?}");
    assert_eq!(
        fs::read(project.path("plugins/greeter.wasm")).unwrap(),
        placed
    );
    project.run(["plugin", "test", "greeter"]).exits(1);
}

#[tokio::test]
async fn dev_builds_at_each_change_and_says_when_the_host_serves_it() {
    let project = Project::without_repository();
    copying(&project);
    let host = project.serve().await;
    let log = project.path("dev.log");
    let mut dev = project
        .command()
        .args(["plugin", "dev", "greeter", "--url", &host.url()])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log).unwrap())
        .stderr(fs::File::options().append(true).open(&log).unwrap())
        .spawn()
        .unwrap();
    let said = async |words: &str| {
        eventually(words, async || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.contains(words).then_some(())
        })
        .await;
    };
    said("the role greeter serves it").await;
    let answer = host.tool("greeter", "answer", json!({})).await;
    assert_eq!(answer.text(), "first");
    project.write("greeter/module.wasm", Guest::answering("second").wasm());
    eventually("the second serves", async || {
        let answer = host.tool("greeter", "answer", json!({})).await;
        (answer.text() == "second").then_some(())
    })
    .await;
    project.write("greeter/broken", "");
    said("line 7: it is broken").await;
    fs::remove_file(project.path("greeter/broken")).unwrap();
    // What builds and does not load is the host's to say.
    project.write("greeter/module.wasm", b"\0asm but no module");
    said("greeter: ").await;
    assert_eq!(
        host.tool("greeter", "answer", json!({})).await.text(),
        "second"
    );
    dev.kill().unwrap();
    dev.wait().unwrap();
}

#[tokio::test]
async fn dev_says_when_the_running_host_looks_elsewhere() {
    let project = Project::without_repository();
    copying(&project);
    // The same plugin, from the folder of the host.
    project.put_plugin("greeter.wasm", Guest::answering("first").wasm());
    let host = project.serve().await;
    let log = project.path("dev.log");
    let mut dev = project
        .command()
        .args(["plugin", "dev", "greeter", "--into", "elsewhere", "--url"])
        .arg(host.url())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("dev says it", async || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.contains("does not look into elsewhere").then_some(())
    })
    .await;
    dev.kill().unwrap();
    dev.wait().unwrap();
}

#[test]
fn a_project_that_cannot_be_built_is_told_why() {
    let project = Project::without_repository();
    let build = |file: &str| {
        project.write("p/plugin-project.toml", file);
        project.run(["plugin", "build", "p"])
    };
    let command =
        |text: &str| format!("language = 'x'\noutput = 'm.wasm'\n[build]\ncommand = {text}\n");
    for (file, code, words) in [
        ("language = ", 2, "plugin-project.toml"),
        (
            "language = 'x'\noutput = 'm.wasm'\nmore = 1\n[build]\ncommand = ['true']",
            2,
            "more",
        ),
        (&command("[]"), 2, "empty"),
        (
            &command("['no-such-program-here']"),
            4,
            "no-such-program-here",
        ),
        (&command("['true']"), 3, "`output`"),
        (
            &command("['sh', '-c', 'echo text > m.wasm']"),
            3,
            "no WebAssembly",
        ),
        (&command("['false']"), 1, "`false` failed"),
        (
            &(command("['true']")
                + "[[needs]]\nprogram = 'no-such-tool'\ninstall = 'from example.org'"),
            4,
            "`no-such-tool` is not installed: from example.org",
        ),
        (
            &(command("['true']")
                + "[[needs]]\nprogram = 'sh'\nversion = ['echo', 'tool 1.9.3']\nat_least = '1.10'\ninstall = 'a newer one'"),
            4,
            "version 1.9.3, and 1.10 or newer is needed: a newer one",
        ),
        (
            &(command("['true']")
                + "[[needs]]\nprogram = 'sh'\nversion = ['echo', 'none']\nat_least = '1.10'\ninstall = 'i'"),
            4,
            "printed no version",
        ),
    ] {
        let output = build(file).exits(code);
        assert!(output.stderr.contains(words), "{file}: {output:?}");
    }
    // Programs that are named by a path are the project's own.
    let own = project.write("p/bin/own", "#!/bin/sh\necho own; exit 7\n");
    fs::set_permissions(own, fs::Permissions::from_mode(0o755)).unwrap();
    let needs = "[[needs]]\nprogram = 'bin/own'\ninstall = 'i'";
    let ran = build(&(command("['bin/own']") + needs)).exits(1);
    assert!(ran.stdout.contains("own"), "{ran:?}");
    let none = project.run(["plugin", "build", "nowhere"]).exits(2);
    assert!(none.stderr.contains("exomonad plugin new"), "{none:?}");
}

#[test]
fn a_new_project_is_written_whole_into_a_folder_of_its_own() {
    let project = Project::without_repository();
    project
        .run(["plugin", "new", "my-tool", "--lang", "rust"])
        .exits(0);
    for file in [
        "plugin-project.toml",
        ".gitignore",
        "src/lib.rs",
        "exomonad-sdk/src/lib.rs",
    ] {
        assert!(project.path("my-tool").join(file).is_file(), "{file}");
    }
    let text = fs::read_to_string(project.path("my-tool/plugin-project.toml")).unwrap();
    assert!(
        text.contains("my_tool.wasm") && text.contains("\"my-tool\""),
        "{text}"
    );
    // Into an empty folder, and into none that has anything.
    fs::create_dir(project.path("empty")).unwrap();
    project
        .run([
            "plugin",
            "new",
            "other",
            "--lang",
            "rust",
            "--directory",
            "empty",
        ])
        .exits(0);
    let again = project
        .run(["plugin", "new", "my-tool", "--lang", "rust"])
        .exits(3);
    assert!(again.stderr.contains("is not empty"), "{again:?}");
    project
        .run(["plugin", "new", "My Tool", "--lang", "rust"])
        .exits(2);
    let unknown = project
        .run(["plugin", "new", "x", "--lang", "cobol"])
        .exits(2);
    assert!(unknown.stderr.contains("rust"), "{unknown:?}");
    // Nothing half-written stays where it cannot be written.
    let closed = project.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("file"), "").unwrap();
    let failed = project.run([
        "plugin",
        "new",
        "x",
        "--lang",
        "rust",
        "--directory",
        "closed/file/x",
    ]);
    assert_eq!(failed.code, Some(4), "{failed:?}");
    let left = fs::read_dir(project.path("")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains(".new-")),
        "{left:?}"
    );
}

#[test]
fn a_modules_tools_are_tested_on_effects_that_a_file_answers() {
    let project = Project::without_repository();
    let file = project.write("tl.wasm", shipped_plugin("tl"));
    let file = file.to_str().unwrap();
    let run = |cases: &str| {
        project.write("cases.toml", cases);
        project.run(["plugin", "test", file, "--cases", "cases.toml"])
    };
    let error =
        "{ effect = 'git.status', error = { code = 'not_found', message = 'no repository' } }";
    let failing = format!("[[case]]\ntool = 'repo_status'\nfails = true\neffects = [{error}]\n");
    let passed = run(&failing).exits(0);
    assert!(
        passed.stdout.contains("passed: case 1, repo_status"),
        "{passed:?}"
    );
    for (cases, words) in [
        (
            format!("{failing}text = 'other'"),
            "its text is \"no repository\", not \"other\"",
        ),
        (failing.replace("fails = true", ""), "it failed"),
        (failing.replace(error, ""), "which the case does not have"),
        (failing.replace("git.status", "git.diff"), "not git.diff"),
        (failing.replace("repo_status", "nope"), "no such tool"),
        (
            failing.replace(error, &format!("{error}, {error}")),
            "did not request git.status",
        ),
    ] {
        let failed = run(&cases).exits(1);
        assert!(failed.stdout.contains(words), "{cases}: {failed:?}");
    }
    for (cases, words) in [
        ("[[case]]\n", "tool"),
        ("case = []", "no case"),
        (
            "[[case]]\ntool = 'x'\neffects = [{ effect = 'git.fly', answer = 1 }]",
            "git.fly",
        ),
        (
            "[[case]]\ntool = 'x'\neffects = [{ effect = 'git.status' }]",
            "neither",
        ),
    ] {
        let wrong = run(cases).exits(2);
        assert!(wrong.stderr.contains(words), "{cases}: {wrong:?}");
    }
    for none in ["none.toml", "/dev/zero"] {
        project
            .run(["plugin", "test", file, "--cases", none])
            .exits(2);
    }
}

/// As a newcomer does it: a new project, its own test, the build, a running host, a call.
async fn serves_from_nothing(language: &str) {
    let toolchain = installed_by_with("guest-toolchain", &[language]);
    let Some(toolchain) = required_or_skip(&format!("the toolchain for {language}"), toolchain)
    else {
        return;
    };
    let path = std::env::var("PATH").unwrap_or_default();
    // What compilers keep is shared with scripts/guest-plugins.
    let caches = repository().join("target/tools");
    let cache = |name: &str| caches.join(name).display().to_string();
    let project = Project::new()
        .env("PATH", format!("{toolchain}:{path}"))
        .env("GOCACHE", cache("go-cache"))
        .env("npm_config_cache", cache("npm-cache"));
    // A compiler's first run on a machine takes minutes.
    let run = |arguments: &[&str]| {
        let ran = project.command().args(arguments).output().unwrap();
        assert!(ran.status.success(), "{language}: {arguments:?}: {ran:?}");
    };
    run(&["plugin", "new", "hello", "--lang", language]);
    run(&["plugin", "test", "hello"]);
    run(&["plugin", "build", "hello", "--out", ".exomonad/plugins"]);
    let mode = fs::metadata(project.plugin_path("hello.wasm"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o444, 0o444, "{mode:o}");
    let host = project.serve().await;
    let greeting = host.tool("hello", "greet", json!({"name": "Ada"})).await;
    assert!(!greeting.is_error(), "{language}: {}", greeting.text());
    assert_eq!(
        greeting.structured()["text"],
        "Hello Ada on main",
        "{language}"
    );
    let inspected = project.run([
        "plugin",
        "inspect",
        "--json",
        ".exomonad/plugins/hello.wasm",
    ]);
    let inspected = inspected.exits(0).json();
    assert_eq!(inspected["grants"], json!(["git.get_branch"]), "{language}");
    assert_eq!(inspected["tools"][0]["name"], "greet", "{language}");
}

macro_rules! languages {
    ($($language:ident)*) => {
        /// A project of each language, from nothing to an answer.
        mod from_nothing {
            $(
                #[tokio::test]
                async fn $language() {
                    super::serves_from_nothing(stringify!($language)).await;
                }
            )*
        }
    };
}

languages! { go c cpp zig assemblyscript javascript }

/// Rust's README is built as it is pasted (scripts/build-plugins --readme): its plugin is that of the template.
#[test]
fn the_template_for_rust_is_the_plugin_of_its_readme() {
    let sdk = repository().join("guest-sdk/rust");
    let readme = fs::read_to_string(sdk.join("README.md")).unwrap();
    let pasted = readme.split("```rust\n").nth(1).unwrap();
    let pasted = pasted.split("```").next().unwrap();
    let template = fs::read_to_string(sdk.join("template/src/lib.rs")).unwrap();
    let written = template.replace("//! The plugin {{name}}.\n\n", "");
    assert_eq!(written.replace("{{name}}", "hello"), pasted);
}
