//! The claims of SECURITY.md and docs/faults.md: each test that they name is there.

use std::collections::BTreeSet;
use std::path::Path;

use exomonad_test_support::repository;

/// All sources of tests, and those with tests in them.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The words in backticks that are long enough to be the names of tests.
fn named_tests(text: &str) -> BTreeSet<&str> {
    let words = text.split('`').skip(1).step_by(2);
    words
        .filter(|word| {
            word.len() > 20
                && word
                    .bytes()
                    .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        })
        .collect()
}

#[test]
fn every_test_that_a_claim_names_is_there() {
    let mut all = String::new();
    for folder in ["runtime", "services", "schema", "tests"] {
        sources(&repository().join(folder), &mut all);
    }
    for page in ["SECURITY.md", "docs/faults.md"] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let names = named_tests(&text);
        assert!(names.len() > 5, "{page}: {names:?}");
        for name in names {
            assert!(
                all.contains(&format!("fn {name}(")),
                "{page} names {name}, and there is no such test"
            );
        }
    }
}
