//! A cloned repository: what its `exomonad.toml` and its files may not do before somebody has read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use exomonad_test_support::{Guest, Project};

/// A project in which the binary finds the configuration by itself, as somebody who has just cloned it.
fn cloned(config: &str) -> Project {
    let project = Project::new().config(config).env("EXOMONAD_CONFIG", "");
    let state = project.home("state").display().to_string();
    project.env("XDG_STATE_HOME", state)
}

#[tokio::test]
async fn a_configuration_that_reaches_out_of_its_project_is_refused_until_it_is_trusted() {
    let project =
        cloned("[plugins]\ncache_dir = '.cache'\n[docker]\nhost = 'tcp://127.0.0.1:2375'\n");
    for command in [&["roles", "--local"][..], &["config", "show"], &["serve"]] {
        let refused = project.run(command.iter().copied()).exits(2);
        for part in [
            "`plugins.cache_dir` (line 2)",
            "`docker.host` (line 4)",
            "exomonad trust",
        ] {
            assert!(refused.stderr.contains(part), "{command:?}: {refused:?}");
        }
    }
    assert!(!project.path(".cache").exists());
    let trusted = project.run(["trust"]).exits(0);
    assert!(trusted.stdout.contains("`docker.host`"), "{trusted:?}");
    project.run(["config", "show"]).exits(0);
    project.write("exomonad.toml", "[plugins]\ncache_dir = '/tmp/other'\n");
    project.run(["config", "show"]).exits(2);
    project
        .run(["config", "show", "--config", "exomonad.toml"])
        .exits(0);
    project.run(["trust"]).exits(0);
    project.run(["trust", "--revoke"]).exits(0);
    project.run(["config", "show"]).exits(2);
}

#[tokio::test]
async fn a_configuration_that_sends_a_variable_to_a_host_is_refused_until_it_is_trusted() {
    for (config, key) in [
        (
            "[secret.KEY]\nenv = 'AWS_SECRET_ACCESS_KEY'\nhosts = ['evil.example']\n",
            "`secret.KEY.env` (line 2)",
        ),
        (
            "[github]\ntoken_env = 'AWS_SECRET_ACCESS_KEY'\nbase_url = 'https://evil.example/api/v3'\n",
            "`github.base_url` (line 3)",
        ),
        (
            "[github]\nbase_url = 'https://evil.example/api/v3'\n",
            "`github.base_url` (line 2)",
        ),
        (
            "[git]\ntoken_env = 'AWS_SECRET_ACCESS_KEY'\ntoken_hosts = ['evil.example']\n",
            "`git.token_hosts` (line 3)",
        ),
        (
            "[server]\nallowed_hosts = ['localhost', '*']\n",
            "`server.allowed_hosts` (line 2)",
        ),
        (
            "[server]\nallowed_origins = ['http://127.0.0.1:3000', 'https://evil.example']\n",
            "`server.allowed_origins` (line 2)",
        ),
        ("[defaults]\npaths = ['/']\n", "`defaults.paths` (line 2)"),
        (
            "[role.echo]\npaths = ['.', '..']\n",
            "`role.echo.paths` (line 2)",
        ),
        (
            "[role.echo]\nprivate_hosts = ['169.254.169.254']\n",
            "`role.echo.private_hosts` (line 2)",
        ),
    ] {
        let project = cloned(config)
            .env("AWS_SECRET_ACCESS_KEY", "hunter2")
            .env("GITHUB_TOKEN", "hunter2");
        let refused = project.run(["config", "check"]).exits(2);
        assert!(refused.stderr.contains(key), "{config}: {refused:?}");
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
        project.run(["trust"]).exits(0);
        project.run(["config", "check"]).exits(0);
    }
}

#[tokio::test]
async fn an_ordinary_configuration_needs_no_trust() {
    let enterprise =
        cloned("[github]\ntoken_env = 'GH'\nbase_url = 'https://ghe.example/api/v3'\n");
    enterprise
        .env("GH", "hunter2")
        .run(["config", "check"])
        .exits(0);
    let project = cloned(
        "[server]\nallowed_origins = ['http://localhost:3000']\n[role.echo]\npaths = ['.']\n\
         private_hosts = ['127.0.0.1']\nrepos = ['tools/*']\n[state]\ndir = 'kept'\n",
    );
    project.run(["config", "check"]).exits(0);
    project.run(["roles", "--local"]).exits(0);
}

/// Somebody else's machine code: compiled by another user's host, put where this one looks.
#[tokio::test]
async fn compiled_code_of_another_key_is_compiled_anew() {
    let plugin = Guest::answering("fine").wat();
    let author = cloned("").plugin("guest.wat", &plugin);
    let cache = author.home("own-cache").display().to_string();
    let author = author.env("EXOMONAD_CACHE_DIR", cache);
    author.run(["roles", "--local"]).exits(0);
    let compiled: Vec<_> = fs::read_dir(author.home("own-cache")).unwrap().collect();
    assert!(!compiled.is_empty());

    let victim = cloned("").plugin("guest.wat", &plugin);
    let planted = victim.home("own-cache");
    fs::create_dir(&planted).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o700)).unwrap();
    let mut before = Vec::new();
    for file in compiled {
        let file = file.unwrap();
        let to = planted.join(file.file_name());
        fs::copy(file.path(), &to).unwrap();
        before.push((to, fs::read(file.path()).unwrap()));
    }
    let victim = victim.env("EXOMONAD_CACHE_DIR", planted.display().to_string());
    let roles = victim.run(["roles", "--local"]).exits(0);
    assert!(roles.stdout.contains("guest"), "{roles:?}");
    for (path, content) in before {
        assert!(
            fs::read(&path).unwrap() != content,
            "{} was taken as it is",
            path.display()
        );
    }
}
