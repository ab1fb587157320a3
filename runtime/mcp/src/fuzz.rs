//! Any bytes as a body, and as a guest's answer.

use bytes::Bytes;
use exomonad_test_support::{JSON_WORDS, fuzz};
use serde_json::Value;

use crate::answer::response;
use crate::headers::{self, Meta};
use crate::message::{Body, Id, Message};
use crate::revision::Era;

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn check_message(message: Message) {
    if let Message::Request(request) | Message::Notification(request) = message {
        let _ = Meta::of(&request).client();
        let _ = headers::mirrored(&request);
        let answer = json(&response(&request.id, b"{}", &[]));
        assert_eq!(answer["result"], Value::Object(serde_json::Map::new()));
    }
}

#[test]
fn fuzz_mcp() {
    let own = [
        "\"jsonrpc\":\"2.0\"",
        "\"id\":",
        "\"method\":",
        "\"params\":",
        "\"_meta\":",
        "\"resultType\":",
        "\"result\\u0054ype\":",
        "\"io.modelcontextprotocol/protocolVersion\":",
    ];
    let words = [&JSON_WORDS[..], &own[..]].concat();
    fuzz("mcp", &words, |bytes| {
        match Body::read(Bytes::copy_from_slice(bytes)) {
            Ok(Body::Single(message)) => check_message(message),
            Ok(Body::Batch(messages)) => messages.into_iter().flatten().for_each(check_message),
            Err(error) => {
                let answer = json(&error.to_json());
                assert_eq!(answer["error"]["code"], error.code());
                assert!((200..500).contains(&error.status(Era::Stateless)));
            }
        }
        if serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.is_object()) {
            let answer = response(&Id::null(), bytes, &[("resultType", r#""complete""#)]);
            assert!(json(&answer)["result"].get("resultType").is_some());
        }
    });
}
