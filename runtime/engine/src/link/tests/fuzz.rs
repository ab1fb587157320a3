//! Any bytes as a module, and as a manifest: they link to a valid module, or are refused with a reason.

use std::fs;

use exomonad_test_support::fuzz;
use wasmparser::Validator;

use super::Provided;
use crate::Manifest;
use crate::link::{SourceModule, link, linked_features};

#[test]
fn fuzz_wasm() {
    let words = [
        "\0asm\x01\0\0\0",
        "extism:host/env",
        "memory",
        "_initialize",
        "\u{7f}",
        "\x0b",
    ];
    fuzz("wasm", &words, |bytes| {
        // The bytes as the main module, and as a library that one imports from.
        for name in ["main", "library"] {
            let mut modules = vec![SourceModule {
                name: name.to_owned(),
                wasm: bytes.to_vec(),
            }];
            if name == "library" {
                let main = r#"(module (import "library" "f" (func)) (export "call" (func 0)))"#;
                modules.push(SourceModule {
                    name: "main".to_owned(),
                    wasm: wat::parse_str(main).unwrap(),
                });
            }
            match link(&modules, &Provided) {
                Ok(linked) => drop(
                    Validator::new_with_features(linked_features())
                        .validate_all(&linked)
                        .unwrap(),
                ),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    });
}

#[test]
fn fuzz_manifest() {
    let words = [
        "[[wasm]]\n",
        "path = ",
        "\"data\":",
        "\"wasm\":[",
        "]",
        "{",
        "}",
        "name",
        "hash",
        "memory",
        "config",
        "allowed_hosts",
        "../",
        "/etc/passwd",
        "http://127.0.0.1/x.wasm",
        "AGFzbQEAAAA=",
        "null",
    ];
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "correct horse").unwrap();
    let plugin = folder.path().join("plugin");
    fs::create_dir(&plugin).unwrap();
    fuzz("manifest", &words, |bytes| {
        for file in ["plugin.toml", "plugin.json"] {
            let path = plugin.join(file);
            fs::write(&path, bytes).unwrap();
            if let Err(error) = Manifest::open(&path) {
                let message = error.to_string();
                assert!(
                    !message.is_empty() && !message.contains("correct horse"),
                    "{message}"
                );
            }
        }
    });
}
