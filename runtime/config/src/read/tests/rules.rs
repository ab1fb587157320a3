//! The rules that concern several keys.

use insta::assert_snapshot;

use super::{load, mistakes, warnings};
use exomonad_core::values::RoleName;

const TOKEN: (&str, &str) = ("SECRET", "0123456789abcdef");

#[test]
fn listening_beyond_this_machine_without_tokens_is_refused() {
    assert_snapshot!(mistakes("[server]\nlisten = '0.0.0.0:1'\nraw_calls = true\n"), @r#"
    error[exposed_without_token]: other machines can reach 0.0.0.0:1, and no token is asked for by [defaults]
     --> exomonad.toml:2:10
      |
    2 | listen = '0.0.0.0:1'
      |          ^^^^^^^^^^^
      = help: set `server.token_file` (or EXOMONAD_TOKEN), give each role a token or `require_token`, or listen on 127.0.0.1

    error[exposed_without_token]: `server.raw_calls` would let any machine that reaches 0.0.0.0:1 run any plugin
     --> exomonad.toml:3:13
      |
    3 | raw_calls = true
      |             ^^^^
      = help: set `server.token_file` or `server.token_env`, or turn `raw_calls` off

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[server]\nlisten = '[::]:1'\n[role.tl]\n[role.dev]\n"), @r#"
    error[exposed_without_token]: other machines can reach [::]:1, and no token is asked for by [role.dev], [role.tl]
     --> exomonad.toml:2:10
      |
    2 | listen = '[::]:1'
      |          ^^^^^^^^
      = help: set `server.token_file` (or EXOMONAD_TOKEN), give each role a token or `require_token`, or listen on 127.0.0.1

    1 mistake in the configuration
    "#);
}

#[test]
fn listening_beyond_this_machine_is_fine_once_every_served_role_has_a_token() {
    for text in [
        "[server]\nlisten = '0.0.0.0:1'\ntoken_env = 'SECRET'\nraw_calls = true\n",
        "[server]\nlisten = '0.0.0.0:1'\n[role.tl]\ntoken_env = 'SECRET'\n",
        "[server]\nlisten = '0.0.0.0:1'\n[defaults]\ntoken_env = 'SECRET'\n[role.tl]\n",
    ] {
        load(text, &[TOKEN]).unwrap();
    }
    let unlisted_is_open = "[server]\nlisten = '0.0.0.0:1'\n[plugins]\nunlisted_roles = true\n[role.tl]\ntoken_env = 'SECRET'\n";
    load(unlisted_is_open, &[TOKEN]).unwrap_err();
}

#[test]
fn raw_calls_that_nobody_may_make_are_refused() {
    let error = load(
        "[server]\nraw_calls = true\n[role.tl]\ntoken_env = 'SECRET'\n",
        &[TOKEN],
    );
    assert_snapshot!(error.unwrap_err().to_string(), @r#"
    error[conflict]: `server.raw_calls` is of no use: with tokens for roles alone, nobody is the operator
     --> exomonad.toml:2:13
      |
    2 | raw_calls = true
      |             ^^^^
      = help: set `server.token_file` or `server.token_env`, or turn `raw_calls` off

    1 mistake in the configuration
    "#);
    load(
        "[server]\nraw_calls = true\ntoken_env = 'SECRET'\n[role.tl]\ntoken_env = 'SECRET'\n",
        &[TOKEN],
    )
    .unwrap();
    load("[server]\nraw_calls = true\n", &[]).unwrap();
}

#[test]
fn a_pattern_that_grants_nothing_comes_with_one_that_does() {
    assert_snapshot!(mistakes("[role.tl]\neffects = ['git.foo_*', 'log', 'launch.rocket', 'kv.*']\n"), @r#"
    error[unknown_effect]: the pattern "git.foo_*" matches no effect
     --> exomonad.toml:2:12
      |
    2 | effects = ['git.foo_*', 'log', 'launch.rocket', 'kv.*']
      |            ^^^^^^^^^^^
      = help: "git.*" grants all of git: git.get_branch, git.status, git.diff, git.repo_info

    error[unknown_effect]: the pattern "log" matches no effect
     --> exomonad.toml:2:25
      |
    2 | effects = ['git.foo_*', 'log', 'launch.rocket', 'kv.*']
      |                         ^^^^^
      = help: "log.*" grants all of log: log.write, log.emit_event

    error[unknown_effect]: the pattern "launch.rocket" matches no effect
     --> exomonad.toml:2:32
      |
    2 | effects = ['git.foo_*', 'log', 'launch.rocket', 'kv.*']
      |                                ^^^^^^^^^^^^^^^
      = help: there are log.*, git.*, kv.*, clock.*, random.*, mcp.*, github.*, docker.*

    3 mistakes in the configuration
    "#);
}

#[test]
fn a_token_is_named_once_and_must_be_there() {
    assert_snapshot!(mistakes("[server]\ntoken_file = '/x'\ntoken_env = 'X'\n[defaults]\ntoken_env = 'X'\n[role.a]\n"), @r#"
    error[conflict]: [server] has both `token_file` and `token_env`
     --> exomonad.toml:3:13
      |
    3 | token_env = 'X'
      |             ^^^
      = help: keep the one that holds it

    error[token]: the environment variable X is not set
     --> exomonad.toml:5:13
      |
    5 | token_env = 'X'
      |             ^^^
      = help: the variable holds nothing but the token; `openssl rand -hex 32` makes one

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[role.tl]\ntoken_env = 'ghp_pasted token'\n"), @r#"
    error[invalid_value]: `role.tl.token_env`: this is not the name of an environment variable
     --> exomonad.toml:2:13
      |
    2 | token_env = ***
      |             ^^^
      = help: write the variable's name (letters, digits, `_`), not the token itself

    1 mistake in the configuration
    "#);
}

#[test]
fn memory_comes_in_pages_and_fits_the_address_space() {
    assert_snapshot!(mistakes("[role.tl.limits]\nmemory = '100KB'\n"), @r#"
    error[invalid_value]: `role.tl.limits.memory` must be a multiple of 64KiB, but it is 100kB
     --> exomonad.toml:2:10
      |
    2 | memory = '100KB'
      |          ^^^^^^^
      = help: write "64KiB" or "128KiB"

    1 mistake in the configuration
    "#);
    assert_snapshot!(mistakes("[engine]\nsandboxes = 12000\n[role.tl.limits]\nmemory = '4GiB'\n"), @r#"
    error[out_of_range]: 12000 sandboxes, each with room for the largest role's memory and stack, need more than 32TiB of address space
     --> exomonad.toml:2:13
      |
    2 | sandboxes = 12000
      |             ^^^^^
      = help: with these limits there is room for 8191: lower `engine.sandboxes`, or the roles' `limits.memory`

    1 mistake in the configuration
    "#);
}

#[test]
fn every_role_running_one_plugin_is_refused() {
    assert_snapshot!(mistakes("[defaults]\nplugin = 'tl'\n"), @r#"
    error[conflict]: `plugin` in [defaults] would make every role run the same plugin
     --> exomonad.toml:2:10
      |
    2 | plugin = 'tl'
      |          ^^^^
      = help: set it in the [role.<name>] that is meant

    1 mistake in the configuration
    "#);
}

#[test]
fn what_is_allowed_but_hardly_meant_is_a_warning() {
    assert_eq!(warnings("[server]\nallowed_hosts = ['*']\n").len(), 1);
    assert_eq!(warnings("[role.tl]\neffects = ['github.*']\n").len(), 1);
    assert_eq!(
        warnings("[role.tl]\neffects = ['github.*']\nrepos = ['a/b']\n"),
        [""; 0]
    );
    assert_eq!(
        warnings("[role.tl.limits]\nwall_time = '2m'\ninput = '32MiB'\n").len(),
        2
    );
    assert_eq!(
        warnings("[engine]\nsandboxes = 10\n[role.tl.limits]\nconcurrent_calls = 11\n").len(),
        1
    );
    let replays = "[plugins]\nreplay_before_swap = 5\n";
    assert_eq!(warnings(replays).len(), 1);
    let records = format!("{replays}[role.tl]\njournal = 'all'\n");
    assert_eq!(warnings(&records), [""; 0]);
    assert_eq!(warnings(""), [""; 0]);
}

#[test]
fn as_soon_as_a_role_is_listed_the_others_are_not_served() {
    let dev: RoleName = "dev".parse().unwrap();
    let serves_dev = |text: &str| load(text, &[]).unwrap().config.role(&dev).is_some();
    assert!(serves_dev(""));
    assert!(serves_dev("[role.dev]\n"));
    assert!(!serves_dev("[role.tl]\n"));
    assert!(serves_dev("[plugins]\nunlisted_roles = true\n[role.tl]\n"));
    assert!(!serves_dev("[plugins]\nunlisted_roles = false\n"));
}

#[test]
fn no_number_of_warnings_hides_an_error() {
    let many = "'*', ".repeat(2_000);
    let text = format!("[server]\nallowed_hosts = [{many}]\n[defaults.limits]\nmemory = '100kB'\n");
    assert_eq!(load(&text, &[]).unwrap_err().diagnostics.len(), 1);
}

#[test]
fn secrets_are_named_kept_elsewhere_and_granted_only_if_they_exist() {
    let text = "[secret.API_KEY]\nenv = 'SECRET'\nhosts = ['api.example.com']\n[role.tl]\nhosts = ['*']\nsecrets = ['API_KEY']\n";
    load(text, &[("SECRET", "any text, even with blanks")]).unwrap();
    assert_snapshot!(mistakes("[secret.API_KEY]\n[secret.'my key']\nenv = 'X'\n[role.tl]\nhosts = ['a']\nsecrets = ['API_KEI', 'sk-1234567']\n"), @r#"
    error[token]: [secret.API_KEY] says neither `file` nor `env`
     --> exomonad.toml:1:9
      |
    1 | [secret.API_KEY]
      |         ^^^^^^^
      = help: say where the secret is

    error[invalid_name]: this is not the name of a secret
     --> exomonad.toml:2:9
      |
    2 | [secret.'my key']
      |         ^^^^^^^^
      = help: name it with up to 64 letters, digits and `_`, such as WEATHER_KEY; the secret itself is in a file or a variable

    error[invalid_value]: `role.tl.secrets[1]`: this is not the name of a secret
     --> exomonad.toml:6:23
      |
    6 | secrets = ['API_KEI', 'sk-1234567']
      |                       ^^^^^^^^^^^^
      = help: name it with up to 64 letters, digits and `_`, such as WEATHER_KEY; the secret itself is in a file or a variable

    3 mistakes in the configuration
    "#);
    let error =
        mistakes("[secret.API_KEY]\nenv = 'X'\n[role.tl]\nhosts = ['a']\nsecrets = ['API_KEI']\n");
    assert!(error.contains("did you mean \"API_KEY\"?"), "{error}");
    let error = load(text, &[("SECRET", "two\nlines")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a secret is one line") && !error.contains("two"),
        "{error}"
    );
}
