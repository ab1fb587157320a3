//! Bounds on the parts of a plugin, and on its errors.

use std::fs;

use exomonad_engine::{CallError, Limit, Limits, LoadError, LoadOptions, Manifest};

use crate::recorder::{EFFECTS, call, call_within, engine, load, try_load, with_abi};

/// `count` modules of which each imports from the next, as a JSON manifest with inline text.
fn chain(count: usize) -> String {
    let modules = (0..count).map(|number| {
        let (import, body) = match number + 1 < count {
            true => (
                format!(r#"(import \"m{}\" \"f\" (func $g))"#, number + 1),
                "call $g",
            ),
            false => (String::new(), "nop"),
        };
        format!(
            r#"{{"name":"m{number}","data":{}}}"#,
            serde_json::json!(base64(&format!(
                r#"(module {} (func (export "f") {body}))"#,
                import.replace('\\', "")
            )))
        )
    });
    format!(r#"{{"wasm":[{}]}}"#, modules.collect::<Vec<_>>().join(","))
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let word = three
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        for digit in 0..4 {
            match digit <= three.len() {
                true => out.push(DIGITS[((word >> (18 - 6 * digit)) & 63) as usize].into()),
                false => out.push('='),
            }
        }
    }
    out
}

async fn load_manifest(text: &str) -> Result<exomonad_engine::Plugin, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.json");
    fs::write(&file, text).unwrap();
    engine()
        .load(&Manifest::open(&file)?, &LoadOptions::default())
        .await
}

#[tokio::test]
async fn a_chain_of_modules_is_linked_and_one_of_thousands_is_refused() {
    // The last is the main one, and imports nothing; the others come with it.
    assert!(load_manifest(&chain(64)).await.unwrap().has("f"));
    for count in [65, 8000, 20_000] {
        let refused = load_manifest(&chain(count)).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("names {count} modules")),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn deep_json_and_toml_are_mistakes_in_a_manifest() {
    for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let text = format!(r#"{{"wasm":[],"config":{deep}"#);
        assert!(matches!(
            load_manifest(&text).await,
            Err(LoadError::Manifest(_))
        ));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.toml");
        fs::write(&file, format!("wasm = {deep}")).unwrap();
        assert!(matches!(Manifest::open(&file), Err(LoadError::Manifest(_))));
    }
}

#[test]
fn modules_lie_in_the_manifests_folder() {
    let outside = tempfile::tempdir().unwrap();
    let module = "(module (func (export \"f\")))";
    fs::write(outside.path().join("a.wat"), module).unwrap();
    let folder = outside.path().join("plugin");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("a.wat"), module).unwrap();
    fs::write(folder.join("sub/b.wat"), module).unwrap();
    std::os::unix::fs::symlink(outside.path().join("a.wat"), folder.join("link.wat")).unwrap();
    std::os::unix::fs::symlink("sub", folder.join("inner")).unwrap();
    let digest = |path: &str| {
        let file = folder.join("plugin.toml");
        fs::write(&file, format!("[[wasm]]\npath = '{path}'\n")).unwrap();
        Manifest::open(&file).and_then(|manifest| manifest.digest())
    };
    for path in ["a.wat", "./sub/b.wat", "sub/../a.wat", "inner/b.wat"] {
        digest(path).unwrap();
    }
    digest(&folder.join("a.wat").display().to_string()).unwrap();
    let absolute = outside.path().join("a.wat").display().to_string();
    for path in [
        "../a.wat",
        "sub/../../a.wat",
        "link.wat",
        &absolute,
        "/etc/passwd",
        "/nowhere",
    ] {
        let refused = digest(path).unwrap_err().to_string();
        assert!(
            refused.contains("leads out of the manifest's folder"),
            "{path}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_mistake_in_text_has_a_place_and_no_quotation() {
    for (text, place) in [
        ("(secret-of-the-host)", "line 1, column 2"),
        (
            "(module\n  (func $secret (call $secret-of-the-host)))",
            "line 2, column 23",
        ),
        ("(module (data \"secret-of-the-host", "line 1"),
        ("secret-of-the-host", "text, and not WebAssembly"),
        ("(;secret-of-the-host", ""),
    ] {
        let refused = try_load(text).await.unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
        assert!(refused.contains(place), "{refused}");
    }
}

#[tokio::test]
async fn modules_of_any_size_have_a_bounded_number_of_memories_and_tables() {
    // Beyond a MiB a module runs without the pool, which bounds them for the others.
    let padding = "x".repeat(2 << 20);
    for (bounded, part) in [("memories", "(memory 0)"), ("tables", "(table 0 funcref)")] {
        for padding in ["", &padding] {
            let many = part.repeat(9);
            let wat =
                format!("(module {many} (memory 0) (data \"{padding}\") (func (export \"run\")))");
            let refused = try_load(&wat).await.unwrap_err().to_string();
            assert!(
                refused.contains(bounded) && refused.contains("a plugin can have 8"),
                "{refused}"
            );
        }
    }
    let fits = format!(
        "(module {} (data \"{padding}\") (func (export \"run\")))",
        "(memory 0)".repeat(7)
    );
    assert!(try_load(&fits).await.is_ok());
}

#[tokio::test]
async fn a_plugin_that_begins_with_more_than_its_calls_may_have_is_told_the_limit() {
    let limits = Limits {
        memory: 1 << 20,
        table_elements: 10,
        ..Limits::default()
    };
    for (part, told) in [
        (
            "(memory 17)",
            "of memory, more than the limit of 1MiB of memory; `limits.memory` sets it",
        ),
        (
            "(table 11 funcref)",
            "the plugin begins with 11 table elements, more than the limit of 10 table elements; `limits.table_elements` sets it",
        ),
        // It grows while it is initialised.
        (
            "(memory 1) (func (export \"_initialize\") (drop (memory.grow (i32.const 16))))",
            "`limits.memory` sets it",
        ),
    ] {
        let options = LoadOptions {
            limits: Some(limits),
            ..LoadOptions::default()
        };
        let wat = format!("(module {part} (func (export \"run\")))");
        let refused = engine()
            .load(&Manifest::of_module(wat.into_bytes()), &options)
            .await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, LoadError::InitialSize(_)), "{refused}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}

/// A guest that sets an error of 1000 of these bytes, and returns or aborts.
fn failing(byte: u8, end: &str) -> String {
    with_abi(&format!(
        r#"(func (export "run") (memory.fill (i32.const 0) (i32.const {byte}) (i32.const 1000))
          (call $error_set (call $block (i32.const 0) (i32.const 1000))) {end})"#
    ))
}

#[tokio::test]
async fn an_error_is_bounded_as_an_output_is() {
    // As bytes, as text in which invalid ones are three, and as JSON in which control characters are six.
    for (byte, fits, too_long) in [
        (b'x', 1000, 999),
        (0xff, 3000, 2999),
        (1, 6000, 5999),
        (b'"', 2000, 1999),
    ] {
        for end in ["", "(unreachable)"] {
            let plugin = load(&failing(byte, end)).await;
            let ended = async |output| {
                let limits = Limits {
                    output,
                    ..Limits::default()
                };
                call_within(&plugin, limits, "run", b"").await.unwrap_err()
            };
            assert!(
                matches!(ended(fits).await, CallError::Guest { .. }),
                "{byte}"
            );
            let limited = ended(too_long).await;
            assert!(
                matches!(limited, CallError::Limit(hit) if hit.limit == Limit::Output),
                "{byte}: {limited:?}"
            );
        }
    }
}

#[tokio::test]
async fn reasons_names_and_lists_in_errors_are_bounded() {
    let long = "n".repeat(90_000);
    let named = format!(
        r#"(module (func $f (export "{long}") (unreachable)) {})"#,
        (0..500)
            .map(|number| format!("(func (export \"f{number}\"))"))
            .collect::<String>()
    );
    let plugin = load(&named).await;
    for export in [long.as_str(), "missing"] {
        let error = call(&plugin, export, b"").await.unwrap_err().to_string();
        assert!(error.len() < 20_000, "{} bytes", error.len());
    }
    // The host's reason quotes the URL.
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "{\22url\22:\22") (data (i32.const 60000) "\22}")
        (func (export "run") (memory.fill (i32.const 8) (i32.const 97) (i32.const 59992))
          (drop (call $http_request (call $block (i32.const 0) (i32.const 60002)) (i64.const 0))))"#,
    ))
    .await;
    let error = call(&plugin, "run", b"").await.unwrap_err().to_string();
    assert!(
        error.contains("not allowed") || error.len() < 5000,
        "{} bytes",
        error.len()
    );
    assert!(error.len() < 5000, "{} bytes", error.len());
}

#[tokio::test]
async fn a_variable_counts_with_what_it_takes_to_keep_it() {
    // Each has a key of four bytes and no value.
    let plugin = load(&with_abi(
        r#"(func (export "run") (local $number i32)
          (loop $next
            (i32.store (i32.const 0) (i32.or (local.get $number) (i32.const 0x01010101)))
            (i32.store8 (i32.const 0) (i32.and (local.get $number) (i32.const 127)))
            (i32.store8 (i32.const 1) (i32.and (i32.shr_u (local.get $number) (i32.const 7)) (i32.const 127)))
            (call $var_set (call $block (i32.const 0) (i32.const 4)) (call $block (i32.const 0) (i32.const 1)))
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $number) (i32.load (i32.const 16))))))
        (data (i32.const 16) "\e8\03\00\00")"#,
    ))
    .await;
    let within = |vars| Limits {
        vars,
        ..Limits::default()
    };
    call_within(&plugin, within(165_000), "run", b"")
        .await
        .unwrap();
    let ended = call_within(&plugin, within(100_000), "run", b"").await;
    assert!(
        matches!(ended, Err(CallError::Limit(hit)) if hit.limit == Limit::Vars),
        "{ended:?}"
    );
    assert_eq!(EFFECTS.len(), 2);
}
