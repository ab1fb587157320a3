//! Any bytes as a request of any effect, or as a guest's answer: they are read, or refused with a reason.

use exomonad_schema::common::{CallToolResult, ListToolsResult};
use exomonad_schema::table::{EffectVisitor, for_each_effect};
use exomonad_schema::{EffectRequest, ErrorCode, decode};
use exomonad_test_support::{JSON_WORDS, fuzz};

struct DecodeAs<'a>(&'a [u8]);

impl EffectVisitor for DecodeAs<'_> {
    fn visit<R: EffectRequest>(&mut self) {
        match decode::<R>(self.0) {
            Ok(request) => {
                let again = serde_json::to_vec(&request).unwrap();
                assert!(
                    decode::<R>(&again).is_ok(),
                    "{}: {:?}",
                    R::KIND,
                    String::from_utf8_lossy(&again)
                );
            }
            Err(error) => {
                assert_eq!(error.code, ErrorCode::InvalidInput);
                assert!(
                    !error.message.is_empty() && error.message.len() < 4096,
                    "{}: {}",
                    R::KIND,
                    error.message
                );
            }
        }
    }
}

#[test]
fn fuzz_contract() {
    let own = [
        "\"kind\":",
        "\"payload\":",
        "\"workingDir\":",
        "\"repo\":\"a/b\"",
        "\"WorkingDir\"",
        "\"limit\":",
    ];
    let words = [&JSON_WORDS[..], &own[..]].concat();
    fuzz("contract", &words, |bytes| {
        for_each_effect(&mut DecodeAs(bytes));
        let _ = serde_json::from_slice::<CallToolResult>(bytes);
        let _ = serde_json::from_slice::<ListToolsResult>(bytes);
    });
}
