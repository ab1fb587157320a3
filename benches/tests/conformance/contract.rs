//! The contract suite over the plugin of each guest language.

use exomonad_benches::contract::{Guest, run};
use exomonad_benches::guests::contract_plugin;
use exomonad_test_support::required_or_skip;

async fn passes(language: &str) {
    let Some(wasm) = required_or_skip(language, contract_plugin(language)) else {
        return;
    };
    let guest = Guest::load(&wasm).await.expect("it loads");
    let report = run(&guest).await;
    println!("{language}: {}", report.summary());
    assert!(
        report.failures.is_empty(),
        "{language}: {}",
        report.summary()
    );
    // The suite is a few thousand cases: fewer would mean that it has lost some.
    assert!(report.passed > 5_000, "{}", report.passed);
}

macro_rules! languages {
    ($($language:ident)*) => {
        $(
            #[tokio::test]
            async fn $language() {
                passes(stringify!($language)).await;
            }
        )*

        #[test]
        fn every_language_has_a_test() {
            assert_eq!([$(stringify!($language)),*], exomonad_benches::guests::LANGUAGES);
        }
    };
}

languages! { rust go c cpp zig assemblyscript javascript }
