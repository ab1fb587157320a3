//! Any bytes as a configuration: they load, or every mistake is told with its place.

use exomonad_test_support::fuzz;

use super::load;
use crate::show::render_effective;

#[test]
fn fuzz_config() {
    let words = [
        "[role.tl]\n",
        "[[",
        "]]",
        "effects = ['*']\n",
        "'''",
        "\"\"\"",
        "\\u0000",
        "limits",
        "memory = ",
        "2MiB",
        "1h",
        "\r",
        "= {",
        "}",
        "token_env",
        "inf",
        "0x",
        "2026-01-01",
        "#",
        "\u{feff}",
        "🦀",
        "[server]\n",
    ];
    fuzz("config", &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match load(&text, &[]) {
            Ok(loaded) => {
                let shown = render_effective(&loaded.config, &loaded.sources);
                assert!(!shown.is_empty());
            }
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    });
}
