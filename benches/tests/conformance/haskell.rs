//! A plugin written in Haskell, as it ships, under Extism and under our engine.

use std::sync::Arc;

use exomonad_benches::guests::{effects_of, shipped};
use exomonad_benches::libextism::{CompiledPlugin, HostFunction};
use exomonad_engine::{
    Engine, EngineConfig, Host, HostFuture, Limits, LoadOptions, Manifest, Plugin,
};

const DENIED: &[u8] = br#"{"event":"pre_tool_use","payload":{"tool_input":{"command":"git push -f"}},"context":{"role":"tl","callId":"1"}}"#;
const CALL: &[u8] =
    br#"{"name":"repo_status","arguments":{},"context":{"role":"tl","callId":"1"}}"#;
const ANSWER: &[u8] =
    br#"{"kind":"Error","payload":{"code":"not_found","message":"no repository here"}}"#;

/// Answers every effect alike.
struct Alike;

impl Host for Alike {
    fn effect(&self, _effect: usize, _request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(std::future::ready(ANSWER.to_vec()))
    }
}

fn extism_compiled(wasm: &[u8]) -> CompiledPlugin {
    let function = |name: String| {
        let answer = |_| ANSWER.to_vec();
        (name, Box::new(answer) as HostFunction)
    };
    let effects = effects_of(wasm).expect("a module");
    let manifest = extism_manifest::Manifest::new([extism_manifest::Wasm::data(wasm)]);
    CompiledPlugin::new(&manifest, effects.into_iter().map(function).collect(), true)
        .expect("it loads in Extism")
}

async fn our_plugin(wasm: &[u8]) -> Plugin {
    let engine = Engine::new(EngineConfig {
        sandboxes: 4,
        ..EngineConfig::default()
    })
    .expect("the machine has the address space");
    let effects = effects_of(wasm).expect("a module").into_iter();
    let effects: Vec<&'static str> = effects.map(|name| &*name.leak()).collect();
    let options = LoadOptions {
        effects: effects.leak(),
        ..LoadOptions::default()
    };
    let manifest = Manifest::of_module(wasm.to_vec());
    engine.load(&manifest, &options).await.expect("it loads")
}

#[tokio::test]
async fn a_plugin_in_haskell_answers_alike_under_both() {
    let wasm = shipped("tl-haskell").expect("plugins/dist is checked in");
    let compiled = extism_compiled(&wasm);
    let mut theirs = compiled.plugin().expect("an instance");
    let ours = our_plugin(&wasm).await;
    for (export, input) in [
        ("handle_list_tools", &b""[..]),
        ("describe", b""),
        ("handle_pre_tool_use", DENIED),
        ("handle_mcp_call", CALL),
        // Once more: Extism keeps the instance, and its garbage.
        ("handle_mcp_call", CALL),
    ] {
        let extisms = theirs.call(export, input).expect("an answer").to_vec();
        let answer = ours
            .call(Arc::new(Alike), Limits::default(), export, input)
            .await
            .expect("an answer");
        assert_eq!(answer.bytes, extisms, "{export}");
    }
}
