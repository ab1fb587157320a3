//! Plugins that take long to compile: they end at a limit, and hold up nobody.

use exomonad_test_support::{Guest, Project, eventually};
use serde_json::json;

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb128(content.len()), content.to_vec()].concat()
}

/// A module of some 16 KB whose function changes each of `locals` locals within so many nested loops: a
/// compiler has to follow each local through each loop.
fn bomb(locals: usize, loops: usize) -> Vec<u8> {
    let mut body = [vec![1], leb128(locals), vec![0x7f]].concat();
    body.extend([0x03, 0x40].repeat(loops));
    for local in 0..locals {
        body.push(0x20);
        body.extend(leb128(local));
        body.extend([0x41, 1, 0x6a, 0x21]);
        body.extend(leb128(local));
    }
    body.extend([0x20, 0, 0x0d, 0, 0x0b].repeat(loops));
    body.push(0x0b);
    let code = [vec![1], leb128(body.len()), body].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[1, 0]),
        section(7, b"\x01\x13handle_pre_tool_use\0\0"),
        section(10, &code),
    ]
    .concat()
}

#[tokio::test]
async fn a_plugin_that_takes_too_long_to_compile_is_given_up_and_others_serve_meanwhile() {
    let project = Project::new()
        .config("[engine]\ncompile_time = '15s'\n[plugins]\nembedded = false\npoll_interval = '200ms'\n")
        .plugin("bomb.wasm", bomb(1000, 1000))
        .plugin("second.wasm", bomb(1001, 1000))
        .plugin("good.wasm", Guest::answering("fine").wasm());
    let host = project.serve().await;
    eventually("the good plugin serves", async || {
        let answer = host.call("good", "answer", json!({})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    project.put_plugin("third.wasm", bomb(1002, 1000));
    eventually("another bomb is loading", async || {
        (!host.role("third").await.is_null()).then_some(())
    })
    .await;
    project.put_plugin("later.wasm", Guest::answering("too").wasm());
    eventually("one that comes meanwhile serves", async || {
        let answer = host.call("later", "answer", json!({})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    for role in ["bomb", "second", "third"] {
        let problem = eventually("the bomb is a problem", async || {
            Some(host.problem(role).await).filter(|problem| !problem.is_empty())
        })
        .await;
        assert!(problem.contains("longer than 15s"), "{problem}");
        assert!(problem.contains("`engine.compile_time`"), "{problem}");
    }
    eventually("the host is ready", async || {
        (host.get("/ready").await.status == 200).then_some(())
    })
    .await;
    // It is not tried again until its file changes, whatever else does.
    project.put_plugin("later.wasm", Guest::answering("three").wasm());
    eventually("the new version serves", async || {
        let answer = host.tool("later", "answer", json!({})).await;
        (answer.text() == "three").then_some(())
    })
    .await;
    for file in ["bomb.wasm", "second.wasm", "third.wasm"] {
        let log = host.log();
        let failures = log
            .lines()
            .filter(|line| line.contains("a plugin is not loaded") && line.contains(file));
        assert_eq!(failures.count(), 1, "{log}");
    }
    project.put_plugin("bomb.wasm", Guest::answering("defused").wasm());
    eventually("a file that has changed is tried", async || {
        let answer = host.call("bomb", "answer", json!({})).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[test]
fn a_compiler_that_needs_too_much_memory_is_stopped_and_the_key_is_named() {
    let project = Project::without_repository().config("[engine]\ncompile_memory = '64MiB'\n");
    let file = project.write("bomb.wasm", bomb(1000, 1000));
    let tested = project
        .run(["plugin", "test", &file.display().to_string()])
        .exits(3);
    assert!(
        tested.stderr.contains("`engine.compile_memory`"),
        "{tested:?}"
    );
}
