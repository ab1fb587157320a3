//! The texts about each kind of mistake.

use insta::assert_snapshot;

use super::{load, mistakes};

#[test]
fn every_mistake_is_reported_at_once_in_the_order_of_the_file() {
    let text = r#"
[server]
max_body = -1
request_timeout = 60

[log]
format = "jsno"

[role.tl]
effects = ["gti.*", "git.get_brnch"]
limits = { queue = 99999999999, stack = "1GiB" }
"#;
    assert_snapshot!(mistakes(text), @r#"
    error[out_of_range]: `server.max_body` can't be negative
     --> exomonad.toml:3:12
      |
    3 | max_body = -1
      |            ^^

    error[wrong_type]: `server.request_timeout` must be a duration such as "30s" or "250ms", but it is a number
     --> exomonad.toml:4:19
      |
    4 | request_timeout = 60
      |                   ^^
      = help: add the unit: "60s" for seconds, "60ms" for milliseconds

    error[invalid_value]: `log.format` can't be "jsno"
     --> exomonad.toml:7:10
      |
    7 | format = "jsno"
      |          ^^^^^^
      = help: did you mean "json"? It can be "pretty", "json"

    error[unknown_effect]: the pattern "gti.*" matches no effect
      --> exomonad.toml:10:12
       |
    10 | effects = ["gti.*", "git.get_brnch"]
       |            ^^^^^^^
       = help: did you mean "git.*"?

    error[unknown_effect]: the pattern "git.get_brnch" matches no effect
      --> exomonad.toml:10:21
       |
    10 | effects = ["gti.*", "git.get_brnch"]
       |                     ^^^^^^^^^^^^^^^
       = help: did you mean "git.get_branch"?

    error[out_of_range]: `role.tl.limits.queue` must be between 0 and 1000000, but it is 99999999999
      --> exomonad.toml:11:20
       |
    11 | limits = { queue = 99999999999, stack = "1GiB" }
       |                    ^^^^^^^^^^^

    error[out_of_range]: `role.tl.limits.stack` must be between 64KiB and 64MiB, but it is 1GiB
      --> exomonad.toml:11:41
       |
    11 | limits = { queue = 99999999999, stack = "1GiB" }
       |                                         ^^^^^^

    7 mistakes in the configuration
    "#);
}

#[test]
fn an_unknown_key_comes_with_the_one_that_was_likely_meant() {
    assert_snapshot!(mistakes("[servers]\n"), @r#"
    error[unknown_key]: there is no key `servers` in the top level of the file
     --> exomonad.toml:1:2
      |
    1 | [servers]
      |  ^^^^^^^
      = help: did you mean `server`?

    1 mistake in the configuration
    "#);
    assert_snapshot!(mistakes("[role.tl]\neffect = []\nmemory = '1MiB'\n"), @r#"
    error[unknown_key]: there is no key `effect` in [role.tl]
     --> exomonad.toml:2:1
      |
    2 | effect = []
      | ^^^^^^
      = help: did you mean `effects`?

    error[unknown_key]: there is no key `memory` in [role.tl]
     --> exomonad.toml:3:1
      |
    3 | memory = '1MiB'
      | ^^^^^^
      = help: `memory` belongs in [role.tl.limits]

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[server]\nwatch = true\nzzz = 1\n"), @r#"
    error[unknown_key]: there is no key `watch` in [server]
     --> exomonad.toml:2:1
      |
    2 | watch = true
      | ^^^^^
      = help: `watch` belongs in [plugins]

    error[unknown_key]: there is no key `zzz` in [server]
     --> exomonad.toml:3:1
      |
    3 | zzz = 1
      | ^^^
      = help: [server] can have listen, allowed_hosts, allowed_origins, max_body, request_timeout, shutdown_grace, raw_calls, token_file, token_env

    2 mistakes in the configuration
    "#);
}

#[test]
fn a_value_of_the_wrong_type_comes_with_the_right_spelling() {
    assert_snapshot!(mistakes("[plugins]\nwatch = 'yes'\ndir = ['x']\n"), @r#"
    error[wrong_type]: `plugins.watch` must be true or false, but it is text
     --> exomonad.toml:2:9
      |
    2 | watch = 'yes'
      |         ^^^^^
      = help: write it without quotes: true

    error[wrong_type]: `plugins.dir` must be a path, but it is a list
     --> exomonad.toml:3:7
      |
    3 | dir = ['x']
      |       ^^^^^

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[role.tl]\neffects = 'log.*'\nconfig = { a = 1 }\n"), @r#"
    error[wrong_type]: `role.tl.effects` must be a list, but it is text
     --> exomonad.toml:2:11
      |
    2 | effects = 'log.*'
      |           ^^^^^^^
      = help: put it in brackets: ["log.*"]

    error[wrong_type]: `role.tl.config.a` must be text in quotes, but it is a number
     --> exomonad.toml:3:16
      |
    3 | config = { a = 1 }
      |                ^
      = help: put it in quotes: "1"

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[engine]\nsandboxes = 1.5\nkeep_resident = 0xfffffffffffffffff\n"), @r#"
    error[wrong_type]: `engine.sandboxes` must be a whole number, but it is a number with a fraction
     --> exomonad.toml:2:13
      |
    2 | sandboxes = 1.5
      |             ^^^

    error[out_of_range]: `engine.keep_resident` is too large
     --> exomonad.toml:3:17
      |
    3 | keep_resident = 0xfffffffffffffffff
      |                 ^^^^^^^^^^^^^^^^^^^

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("role = 1\nserver = []\n"), @r#"
    error[wrong_type]: `role` must be a table, but it is a number
     --> exomonad.toml:1:8
      |
    1 | role = 1
      |        ^

    error[wrong_type]: `server` must be a table, but it is a list
     --> exomonad.toml:2:10
      |
    2 | server = []
      |          ^^

    2 mistakes in the configuration
    "#);
}

#[test]
fn a_malformed_value_says_what_a_good_one_looks_like() {
    assert_snapshot!(mistakes("[server]\nlisten = ':80'\nallowed_origins = ['x.org/']\n"), @r#"
    error[invalid_value]: `server.listen`: `:80` has no address
     --> exomonad.toml:2:10
      |
    2 | listen = ':80'
      |          ^^^^^
      = help: write "127.0.0.1:7432" for this machine only, "0.0.0.0:7432" for every network

    error[invalid_value]: `server.allowed_origins[0]`: `x.org/` is not an origin
     --> exomonad.toml:3:20
      |
    3 | allowed_origins = ['x.org/']
      |                    ^^^^^^^^
      = help: write scheme and host without a path, such as "https://example.com" or "http://localhost:3000"

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[role.TL]\n[role.dev]\nhosts = ['https://a.b/c']\nrepos = ['acme']\n"), @r#"
    error[invalid_name]: `T` can't be in a role name
     --> exomonad.toml:1:7
      |
    1 | [role.TL]
      |       ^^
      = help: use lower-case letters, digits, `_` and `-`, such as "tl" or "dev-2"

    error[invalid_value]: `role.dev.hosts[0]`: `https://a.b/c` is more than a host name
     --> exomonad.toml:3:10
      |
    3 | hosts = ['https://a.b/c']
      |          ^^^^^^^^^^^^^^^
      = help: write the host only, without scheme and path: "example.com"

    error[invalid_value]: `role.dev.repos[0]`: `acme` is not a repository
     --> exomonad.toml:4:10
      |
    4 | repos = ['acme']
      |          ^^^^^^
      = help: write "owner/name", or "owner/*" for all of an owner's

    3 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[defaults.limits]\nmemory = '1.5MiB'\nwall_time = '0s'\n"), @r#"
    error[invalid_value]: `defaults.limits.memory`: `1.5MiB` is not a whole number
     --> exomonad.toml:2:10
      |
    2 | memory = '1.5MiB'
      |          ^^^^^^^^
      = help: write a whole number and a unit, such as "64KiB", "16MiB" or "1GB"

    error[out_of_range]: `defaults.limits.wall_time` must be between 1ms and 7d, but it is 0s
     --> exomonad.toml:3:13
      |
    3 | wall_time = '0s'
      |             ^^^^

    2 mistakes in the configuration
    "#);
}

#[test]
fn syntax_errors_are_reported_with_mistakes_elsewhere_in_the_file() {
    assert_snapshot!(mistakes("[server]\nlisten = \"127.0.0.1:1\nmax_body = 12 13\n[log]\nformat = 'xml'\n"), @r#"
    error[syntax]: invalid basic string, expected `"`
     --> exomonad.toml:2:22
      |
    2 | listen = "127.0.0.1:1
      |                      ^

    error[syntax]: string values must be quoted, expected literal string
     --> exomonad.toml:3:12
      |
    3 | max_body = 12 13
      |            ^^^^^

    error[invalid_value]: `server.max_body`: `13` is not a unit
     --> exomonad.toml:3:12
      |
    3 | max_body = 12 13
      |            ^^^^^
      = help: write a whole number and a unit, such as "64KiB", "16MiB" or "1GB"

    error[invalid_value]: `log.format` can't be "xml"
     --> exomonad.toml:5:10
      |
    5 | format = 'xml'
      |          ^^^^^
      = help: it can be "pretty", "json"

    4 mistakes in the configuration
    "#);
}

#[test]
fn a_list_that_is_not_closed_is_one_mistake() {
    assert_snapshot!(mistakes("[role.tl]\neffects = [\"log.*\"\n[log]\nformat = 'xml'\n"), @r#"
    error[syntax]: missing comma between array elements, expected `,`
     --> exomonad.toml:3:1
      |
    3 | [log]
      | ^
      = help: the list before this line is not closed: add `]`

    1 mistake in the configuration
    "#);
}

#[test]
fn a_table_that_is_there_twice_is_reported() {
    assert_snapshot!(mistakes("[log]\n[log]\nfilter = 'x'\n"), @r#"
    error[syntax]: duplicate key
     --> exomonad.toml:2:2
      |
    2 | [log]
      |  ^^^
      = help: it is there already; keep one of them

    1 mistake in the configuration
    "#);
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let errors = load(
        "",
        &[("EXOMONAD_LISTEN", "here"), ("EXOMONAD_LOG_FORMAT", "xml")],
    )
    .unwrap_err();
    assert_snapshot!(errors, @r#"
    error[invalid_value]: `server.listen`: `here` is not an IP address with a port
      --> environment variable EXOMONAD_LISTEN
      = help: write one such as "127.0.0.1:7432" or "[::1]:7432"

    error[invalid_value]: `log.format` can't be "xml"
      --> environment variable EXOMONAD_LOG_FORMAT
      = help: it can be "pretty", "json"

    2 mistakes in the configuration
    "#);
}

#[test]
fn mistakes_are_json_for_machines() {
    let errors = load("[log]\nformat = 'xml'\n", &[("EXOMONAD_LISTEN", "here")]).unwrap_err();
    assert_snapshot!(serde_json::to_string_pretty(&errors).unwrap(), @r#"
    [
      {
        "severity": "error",
        "code": "invalid_value",
        "message": "`log.format` can't be \"xml\"",
        "help": "it can be \"pretty\", \"json\"",
        "key": "log.format",
        "file": "exomonad.toml",
        "line": 2,
        "column": 10
      },
      {
        "severity": "error",
        "code": "invalid_value",
        "message": "`server.listen`: `here` is not an IP address with a port",
        "help": "write one such as \"127.0.0.1:7432\" or \"[::1]:7432\"",
        "key": "server.listen",
        "variable": "EXOMONAD_LISTEN"
      }
    ]
    "#);
}

#[test]
fn a_token_written_into_the_file_by_mistake_is_not_repeated() {
    let report = mistakes("[server]\ntoken = 's3cret'\n[role.tl]\ntoken_env = 'two w0rds'\n");
    assert!(
        !report.contains("s3cret") && !report.contains("w0rds"),
        "{report}"
    );
}
