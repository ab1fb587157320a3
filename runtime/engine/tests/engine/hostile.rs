//! Bytes that are no plugin, or nearly one: a clear refusal, and never a panic.

use std::sync::LazyLock;

use exomonad_engine::{Engine, LoadError, LoadOptions, Manifest, Plugin};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::recorder::{call, engine, load, with_abi};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
/// A plugin with something in each section.
static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = with_abi(
        r#"(table 2 funcref) (elem (i32.const 0) $answer) (data (i32.const 0) "some data")
        (global (mut i64) (i64.const 5)) (tag (param i64)) (memory 1)
        (func (export "_initialize") (i32.store (i32.const 64) (i32.const 1)))
        (func (export "run") (result i32) (call $answer (call $block (i32.const 0) (i32.const 9))) (i32.const 0))"#,
    );
    wat::parse_str(text).unwrap()
});

fn try_load(wasm: Vec<u8>) -> Result<Plugin, LoadError> {
    let options = LoadOptions {
        effects: crate::recorder::EFFECTS,
        ..LoadOptions::default()
    };
    RUNTIME.block_on(ENGINE.load(&Manifest::of_module(wasm), &options))
}

/// A section with this number whose size says something else than its content.
fn section(id: u8, declared: u32, content: &[u8]) -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    wasm.push(id);
    wasm.extend(leb128(declared));
    wasm.extend(content);
    wasm
}

fn leb128(mut number: u32) -> Vec<u8> {
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

#[test]
fn a_truncated_plugin_is_refused_unless_it_ends_between_sections() {
    let loads = (0..VALID.len()).filter(|length| try_load(VALID[..*length].to_vec()).is_ok());
    // There are fourteen kinds of sections, and the names.
    assert!(loads.count() <= 15);
    assert!(try_load(VALID.clone()).unwrap().has("run"));
}

#[test]
fn content_that_is_not_webassembly_is_refused_and_described() {
    let long = vec![b'('; 200_000];
    for bytes in [b"\0".as_slice(), b"\0asm", &long, b"(module", b"(modul)"] {
        let error = try_load(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
    }
    for bytes in [
        b"".as_slice(),
        b"hello",
        b"<html>",
        b"\x7fELF",
        &[0xff; 4096],
    ] {
        let error = try_load(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, LoadError::NotWebAssembly { .. }), "{error}");
    }
    assert!(matches!(
        try_load(b"(component)".to_vec()),
        Err(LoadError::Component { .. })
    ));
}

#[test]
fn counts_and_sizes_that_lie_are_refused() {
    let most = leb128(u32::MAX);
    for id in 0..=13 {
        for declared in [1, 5, 6, 0x7fff_ffff, u32::MAX] {
            assert!(
                try_load(section(id, declared, &most)).is_err(),
                "section {id} of {declared} bytes"
            );
        }
    }
    // A function with four billion locals.
    let mut wasm =
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x0a\x01\x08\x01".to_vec();
    wasm.extend(&most);
    wasm.extend([0x7f, 0x0b]);
    assert!(matches!(try_load(wasm), Err(LoadError::Invalid { .. })));
}

#[test]
fn memories_and_tables_beyond_the_pool_are_refused() {
    for body in [
        "(memory 65536)",
        "(memory i64 1000000)",
        "(table 10000000 funcref)",
    ] {
        let error = try_load(format!("(module {body})").into_bytes()).unwrap_err();
        assert!(matches!(&error, LoadError::Prepare(_)), "{error}");
    }
    let many: String = "(memory 1)".repeat(90);
    assert!(try_load(format!("(module {many})").into_bytes()).is_err());
    // Growth up to that size is a matter of the limit.
    assert!(try_load(b"(module (memory 1 65536) (func (export \"run\")))".to_vec()).is_ok());
}

#[test]
fn deep_nesting_is_refused_or_compiled() {
    for depth in [1000, 20_000, 200_000] {
        let mut body = vec![0u8];
        body.extend([0x02, 0x40].repeat(depth));
        body.extend(vec![0x0b; depth + 1]);
        let mut code = vec![1];
        code.extend(leb128(body.len() as u32));
        code.extend(&body);
        let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a".to_vec();
        wasm.extend(leb128(code.len() as u32));
        wasm.extend(code);
        // Either answer is right; a stack overflow of the host is not.
        let _ = try_load(wasm);
    }
}

#[tokio::test]
async fn names_that_are_odd_are_only_names() {
    let plugin = load(
        r#"(module (func (export "")) (func (export "a b\n\00")) (func (export "\u{1F980}")))"#,
    )
    .await;
    for export in ["", "a b\n\0", "\u{1F980}"] {
        call(&plugin, export, b"").await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_plugin_with_some_bytes_changed_loads_or_is_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut wasm = VALID.clone();
        for (place, byte) in changes {
            let place = place.index(wasm.len());
            wasm[place] = byte;
        }
        if let Some(cut) = cut {
            let cut = cut.index(wasm.len());
            wasm.remove(cut);
        }
        if let Ok(plugin) = try_load(wasm) {
            let limits = exomonad_engine::Limits { wall_time: std::time::Duration::from_secs(2), ..Default::default() };
            // It may do anything that a plugin may do.
            let _ = RUNTIME.block_on(crate::recorder::call_within(&plugin, limits, "run", b"input"));
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend(&bytes);
        if let Ok(plugin) = try_load(wasm) {
            prop_assert!(plugin.entry_points().next().is_none());
        }
        prop_assert!(bytes.is_empty() || try_load(bytes).is_err());
    }
}
