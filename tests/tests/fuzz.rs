//! Any bytes as the body of a request: the host answers, and never with a failure of its own.

use exomonad_test_support::{JSON_WORDS, Project, fuzz};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzz_tool_call() {
    let project = Project::new().config("[server]\nraw_calls = true\n");
    let mut host = project.serve().await;
    let own = [
        "\"name\":",
        "\"arguments\":",
        "\"echo\"",
        "\"text\":",
        "\"context\":",
        "\"_meta\":",
        "\"plugin\":",
        "\"function\":",
        "\"input\":",
    ];
    let words = [&JSON_WORDS[..], &own[..]].concat();
    let paths = ["/role/echo/mcp/call", "/role/tl/hook/pre_tool_use", "/call"];
    let mut next = paths.iter().cycle();
    let handle = Handle::current();
    let ask = std::cell::RefCell::new(|bytes: &[u8]| {
        let path = next.next().unwrap();
        let answer = block_in_place(|| handle.block_on(host.post(path, bytes.to_vec())));
        // 5xx is the host's own failure; what a guest makes of its input is the guest's.
        let is_the_guests = answer.text().contains("guest");
        assert!(answer.status < 500 || is_the_guests, "{path}: {answer:?}");
    });
    block_in_place(|| fuzz("tool_call", &words, |bytes| ask.borrow_mut()(bytes)));
    assert!(host.is_running());
    assert!(!host.log().contains("panicked"), "{}", host.log());
    let answer = host.tool("echo", "echo", json!({"text": "after"})).await;
    assert_eq!(answer.structured()["text"], "after");
}
