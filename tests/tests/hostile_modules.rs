//! A thousand hostile plugins through one host: it goes on, ends each within its limits, and a neighbour gets
//! its answers.

use std::fmt::Write;
use std::time::{Duration, Instant};

use exomonad_test_support::{Guest, Host, Project, shipped_plugin};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wasm_smith::{Config, Module};

/// The plugins that are there at one time.
const BATCH: usize = 40;
const LIMITS: &str = "[defaults]\neffects = ['log.*', 'clock.*', 'random.*', 'git.get_branch']\n\
                      [defaults.limits]\nwall_time = '300ms'\noutput = '256KiB'\nmemory = '16MiB'\n";

/// The imports that a generated module may have: the host's functions, and an effect.
const IMPORTS: &str = r#"(module
  (import "extism:host/env" "alloc" (func (param i64) (result i64)))
  (import "extism:host/env" "free" (func (param i64)))
  (import "extism:host/env" "length" (func (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func (param i64 i32)))
  (import "extism:host/env" "store_u64" (func (param i64 i64)))
  (import "extism:host/env" "input_offset" (func (result i64)))
  (import "extism:host/env" "input_length" (func (result i64)))
  (import "extism:host/env" "output_set" (func (param i64 i64)))
  (import "extism:host/env" "error_set" (func (param i64)))
  (import "extism:host/env" "config_get" (func (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func (param i64 i64)))
  (import "extism:host/env" "http_request" (func (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func (result i32)))
  (import "extism:host/env" "log_warn" (func (param i64)))
  (import "extism:host/user" "log" (func (param i64) (result i64)))
  (import "extism:host/user" "clock_now" (func (param i64) (result i64)))
  (import "extism:host/user" "git_get_branch" (func (param i64) (result i64))))"#;
const EXPORTS: &str = r#"(module (func (export "run") (result i32) (i32.const 0)))"#;

/// Bytes that depend on the number alone.
fn bytes(seed: usize, length: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|block| {
        let seed = format!("{seed} {block}");
        Sha256::digest(seed.as_bytes()).to_vec()
    });
    blocks.take(length).collect()
}

/// A valid module of arbitrary content, with the function `run`.
fn generated(seed: usize) -> Vec<u8> {
    let config = Config {
        available_imports: Some(wat::parse_str(IMPORTS).unwrap()),
        exports: Some(wat::parse_str(EXPORTS).unwrap()),
        max_imports: 20,
        min_funcs: 1,
        max_memories: 3,
        memory_max_size_required: false,
        threads_enabled: false,
        max_instructions: 400,
        ..Config::default()
    };
    let source = bytes(seed, 4000);
    let mut source = arbitrary::Unstructured::new(&source);
    Module::new(config, &mut source).unwrap().to_bytes()
}

/// A plugin whose tool `answer` runs this function of the module `hostile`.
fn put_with_module(project: &Project, name: &str, hostile: &[u8]) {
    let main = Guest::answering("still here")
        .import("hostile", "run", "(result i32)")
        .first("(drop (call $run))")
        .wasm();
    project.put_plugin(&format!("{name}/hostile.wasm"), hostile);
    project.put_plugin(&format!("{name}/main.wasm"), main);
    project.put_plugin(
        &format!("{name}/plugin.toml"),
        "[[wasm]]\npath = 'hostile.wasm'\nname = 'hostile'\n[[wasm]]\npath = 'main.wasm'\nname = 'main'\n",
    );
}

/// Instructions that a limit has to end.
fn bombs() -> Vec<String> {
    let mut bombs: Vec<String> = [
        // Time.
        "(loop $l (br $l))",
        "(loop $l (drop (i32.rem_u (i32.const 7) (i32.const 3))) (br $l))",
        "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l))",
        "(loop $l (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br $l))",
        // Memory and tables.
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)",
        "(drop (memory.grow (i32.const 65535))) (i32.store (i32.const 0x7ffffff0) (i32.const 1))",
        "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable)",
        "(loop $l (drop (call $alloc (i64.const 65536))) (br $l))",
        "(drop (call $alloc (i64.const -1)))",
        "(drop (call $alloc (i64.const 0x7fffffffffff)))",
        // The stack.
        "(call $deep)",
        // Output, errors, lines, effects.
        "(call $give (call $alloc (i64.const 8000000)))",
        "(call $error_set (call $alloc (i64.const 8000000)))",
        "(loop $l (call $output_set (i64.const 0) (i64.const -1)) (br $l))",
        "(loop $l (call $log_warn (call $text)) (br $l))",
        "(loop $l (drop (call $log (call $text))) (br $l))",
        "(loop $l (drop (call $clock_now (call $text))) (br $l))",
        "(loop $l (call $var_set (call $alloc (i64.const 16)) (call $alloc (i64.const 65536))) (br $l))",
        // Wrong offsets.
        "(call $output_set (i64.const -8) (i64.const 16))",
        "(call $free (i64.const -1)) (call $free (i64.const 1)) (call $free (call $input_offset)) (call $free (call $input_offset))",
        "(call $store_u8 (i64.const -1) (i32.const 1))",
        "(drop (call $load_u64 (i64.const 0x7fffffffffffffff)))",
        "(drop (call $http_request (i64.const 77) (i64.const 99)))",
        "(unreachable)",
    ]
    .map(str::to_owned)
    .to_vec();
    // Long chains, and deep nesting.
    for depth in [100, 1000, 5000] {
        let mut nested = "(block ".repeat(depth);
        let _ = write!(nested, "(nop){}", ")".repeat(depth));
        bombs.push(nested);
        bombs.push("(drop (i32.const 1))".repeat(depth));
    }
    bombs
}

fn bomb(instructions: &str) -> Vec<u8> {
    Guest::answering("still here")
        .host_function("error_set", "(param i64)")
        .host_function("free", "(param i64)")
        .host_function("load_u64", "(param i64) (result i64)")
        .host_function("var_set", "(param i64 i64)")
        .host_function("log_warn", "(param i64)")
        .host_function("http_request", "(param i64 i64) (result i64)")
        .import("extism:host/user", "log", "(param i64) (result i64)")
        .import("extism:host/user", "clock_now", "(param i64) (result i64)")
        .part("(table $t 1 funcref) (func $deep (call $deep))")
        .first(instructions)
        .wasm()
}

/// Puts the plugin of this number into the folder.
fn put(project: &Project, nth: usize, bombs: &[String], shipped: &[u8]) -> String {
    let name = format!("h{nth}");
    match nth % 10 {
        // Real plugins with wrong bytes.
        0 | 1 => {
            let mut module = shipped.to_vec();
            for place in bytes(nth, 24).chunks(4) {
                let at = u32::from_le_bytes(place.try_into().unwrap()) as usize % module.len();
                module[at] ^= 1 << (nth % 8);
            }
            if nth.is_multiple_of(4) {
                module.truncate(module.len() / (1 + nth % 7));
            }
            project.put_plugin(&format!("{name}.wasm"), module);
        }
        // No modules at all.
        2 if nth % 20 == 2 => {
            let path = if nth % 40 == 2 {
                format!("{name}.wasm")
            } else {
                format!("{name}/plugin.toml")
            };
            project.put_plugin(&path, bytes(nth, 1 + nth % 3000));
        }
        2 | 3 => {
            let bomb = bomb(&bombs[(nth / 10) % bombs.len()]);
            project.put_plugin(&format!("{name}.wasm"), bomb);
        }
        _ => put_with_module(project, &name, &generated(nth)),
    }
    name
}

fn remove(project: &Project, name: &str) {
    let _ = std::fs::remove_file(project.plugin_path(&format!("{name}.wasm")));
    let _ = std::fs::remove_dir_all(project.plugin_path(name));
}

/// Times of a neighbour's calls, and of `/health`.
async fn neighbour(host: &Host, times: &mut Vec<Duration>) {
    let begin = Instant::now();
    let result = host
        .tool("echo", "echo", json!({"text": "neighbour"}))
        .await;
    times.push(begin.elapsed());
    assert_eq!(result.structured()["text"], "neighbour");
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_plugins_leave_host_and_neighbours_well() {
    let count = 1000;
    let project = Project::new().config(LIMITS);
    let mut host = project.serve().await;
    let (bombs, shipped) = (bombs(), shipped_plugin("echo"));
    let mut idle = Vec::new();
    for _ in 0..100 {
        neighbour(&host, &mut idle).await;
    }
    let (mut served, mut refused, mut failed, mut answered) = (0, 0, 0, 0);
    let (mut busy, mut longest) = (Vec::new(), Duration::ZERO);
    for begin in (0..count).step_by(BATCH) {
        let names: Vec<_> = (begin..(begin + BATCH).min(count))
            .map(|nth| put(&project, nth, &bombs, &shipped))
            .collect();
        host.reload().await;
        let roles = host.get("/roles").await.json();
        let roles = roles["roles"].as_array().unwrap();
        for name in &names {
            let role = roles.iter().find(|role| role["name"] == **name);
            if role.is_none_or(|role| role["plugin"].is_null()) {
                refused += 1;
                assert!(
                    !host.problem(name).await.is_empty(),
                    "{name}: refused without a reason"
                );
                continue;
            }
            served += 1;
            let tool = if host.role(name).await.to_string().contains("\"answer\"") {
                "answer"
            } else {
                "echo"
            };
            let began = Instant::now();
            let answer = host.call(name, tool, json!({"text": "x"})).await;
            longest = longest.max(began.elapsed());
            assert!(!answer.body.is_empty(), "{name}: no answer");
            match serde_json::from_slice::<Value>(&answer.body) {
                Ok(result) if answer.status == 200 && result["isError"] != true => answered += 1,
                Ok(_) => failed += 1,
                Err(error) => panic!("{name}: {error}"),
            }
            if served % 5 == 0 {
                neighbour(&host, &mut busy).await;
            }
        }
        assert!(
            host.is_running(),
            "the host has ended in the batch from h{begin}"
        );
        for name in &names {
            remove(&project, name);
        }
    }
    host.reload().await;
    assert!(served >= count / 3 && refused >= count / 20 && failed >= count / 50 && answered > 0);
    neighbour(&host, &mut busy).await;
    let health = host.get("/health").await;
    assert_eq!(health.status, 200);
    println!(
        "hostile modules: {count}, of these {served} served ({answered} calls answered, {failed} ended with an \
         error), {refused} refused; longest call {longest:?} of a limit of 300ms; neighbour p99 idle {:?}, busy {:?}; \
         resident {} MiB",
        percentile(&mut idle, 99),
        percentile(&mut busy, 99),
        host.resident_bytes() >> 20,
    );
}
