//! Plugins: those that ship, and those that a test writes as WebAssembly text.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where a test's own text ([`Guest::text`]) lies in the guest's memory.
pub const OWN_TEXT: usize = 60_000;

/// Where the request of [`Guest::sleeping`] lies.
const SLEEP_REQUEST: usize = 59_000;

/// Where the answers of [`Guest::answers`] begin.
const ANSWERS: usize = 30_000;

/// The log line of a guest that is about to take its time: the test then knows that the call runs.
pub const BEGUN: &str = "the guest has begun";

/// The plugins of `$EXOMONAD_PLUGINS` by name, to serve in place of the embedded ones; none without it.
pub(crate) fn given_plugins() -> Vec<(String, Vec<u8>)> {
    std::env::var_os("EXOMONAD_PLUGINS")
        .map(|folder| plugins_in(Path::new(&folder)))
        .unwrap_or_default()
}

fn plugins_in(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.flatten().map(|entry| entry.path());
    let modules = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    modules
        .map(|path| {
            (
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                read(&path),
            )
        })
        .collect()
}

/// The module of a plugin that ships, of `$EXOMONAD_PLUGINS` or else of `plugins/dist`.
#[must_use]
pub fn shipped_plugin(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("EXOMONAD_PLUGINS").map_or_else(dist, PathBuf::from);
    read(&folder.join(format!("{name}.wasm")))
}

/// A module written in Haskell, of `$EXOMONAD_HASKELL_PLUGINS` or else of `plugins/dist`.
#[must_use]
pub fn haskell_plugin(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("EXOMONAD_HASKELL_PLUGINS").map_or_else(dist, PathBuf::from);
    read(&folder.join(format!("{name}.wasm")))
}

fn dist() -> PathBuf {
    crate::repository().join("plugins/dist")
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A tool of this name, as a plugin lists it, that takes any object.
#[must_use]
pub fn tool_named(name: &str) -> Value {
    json!({"name": name, "description": "A test's.", "inputSchema": {"type": "object"}})
}

/// A role plugin in WebAssembly text.
///
/// Its tools all give one answer. Exports around the tools do what a test needs; `POST /call` and
/// `plugin call` reach them.
#[derive(Clone)]
pub struct Guest {
    tools: Value,
    answer: String,
    imports: String,
    body: String,
    entry_points: Vec<&'static str>,
}

impl Guest {
    /// A guest with the tool `answer`, which gives this text.
    #[must_use]
    pub fn answering(text: &str) -> Self {
        Self {
            tools: json!([tool_named("answer")]),
            answer: json!({"content": [{"type": "text", "text": text}]}).to_string(),
            imports: String::new(),
            body: String::new(),
            entry_points: vec!["handle_list_tools", "handle_mcp_call"],
        }
    }

    /// Lists these tools.
    #[must_use]
    pub fn tools(mut self, tools: Value) -> Self {
        self.tools = tools;
        self
    }

    /// Gives this as the output of a tool's call, fit or not.
    #[must_use]
    pub fn output(mut self, output: &str) -> Self {
        output.clone_into(&mut self.answer);
        self
    }

    /// Gives each of these tools an output of its own, and none to others.
    #[must_use]
    pub fn answers(self, answers: &[(&str, String)]) -> Self {
        let guest = self
            .host_function("load_u8", "(param i64) (result i32)")
            .part(IS_TOOL)
            .without("handle_mcp_call");
        let mut at = ANSWERS;
        let mut instructions = String::new();
        let guest = answers.iter().fold(guest, |guest, (tool, output)| {
            let (name, answer) = (at, at + tool.len());
            at = answer + output.len();
            assert!(
                at <= SLEEP_REQUEST,
                "these answers are too long for this guest"
            );
            let _ = write!(
                instructions,
                "(if (call $is_tool (i32.const {name}) (i32.const {})) (then
                  (call $give (call $block (i32.const {answer}) (i32.const {})))))",
                tool.len(),
                output.len()
            );
            let data = escape(&format!("{tool}{output}"));
            guest.part(&format!(r#"(data (i32.const {name}) "{data}")"#))
        });
        guest.export("handle_mcp_call", &instructions)
    }

    /// Leaves an entry point out.
    #[must_use]
    pub fn without(mut self, entry_point: &str) -> Self {
        self.entry_points.retain(|kept| *kept != entry_point);
        self
    }

    /// Imports a function: where it is from, its name, its type in WebAssembly's notation.
    #[must_use]
    pub fn import(mut self, module: &str, name: &str, signature: &str) -> Self {
        let _ = writeln!(
            self.imports,
            r#"(import "{module}" "{name}" (func ${name} {signature}))"#
        );
        self
    }

    /// Imports a function of Extism's host environment.
    #[must_use]
    pub fn host_function(self, name: &str, signature: &str) -> Self {
        self.import("extism:host/env", name, signature)
    }

    /// Imports effects, and exports each under its own name: the input is the request, the output the
    /// effect's answer.
    #[must_use]
    pub fn forwarding(self, effects: &[&str]) -> Self {
        effects.iter().fold(self, |guest, effect| {
            let forward = format!("(call $give (call ${effect} (call $input_offset)))");
            guest
                .import("extism:host/user", effect, "(param i64) (result i64)")
                .export(effect, &forward)
        })
    }

    /// Exports `remember`, which keeps its input in a variable, and `recall`, which gives it back.
    #[must_use]
    pub fn remembering(self) -> Self {
        self.host_function("var_get", "(param i64) (result i64)")
            .host_function("var_set", "(param i64 i64)")
            .text("apple")
            .export(
                "remember",
                "(call $var_set (call $text) (call $input_offset))",
            )
            .export("recall", "(call $give (call $var_get (call $text)))")
    }

    /// Puts a text into the guest; `(call $text)` is a block with it.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let (data, length) = (escape(text), text.len());
        self.part(&format!(
            r#"(data (i32.const {OWN_TEXT}) "{data}")
            (func $text (result i64) (call $block (i32.const {OWN_TEXT}) (i32.const {length})))"#
        ))
    }

    /// Starts up by counting to this number; at some 10⁹ a second.
    #[must_use]
    pub fn starting_up(self, rounds: u64) -> Self {
        self.part(&format!(
            r#"(global $sum (mut i64) (i64.const 0))
            (func (export "_initialize") (local $i i64)
              (loop $next
                (local.set $i (i64.add (local.get $i) (i64.const 1)))
                (global.set $sum (i64.add (i64.rotl (global.get $sum) (i64.const 7)) (local.get $i)))
                (br_if $next (i64.lt_u (local.get $i) (i64.const {rounds})))))"#
        ))
    }

    /// Has a tool's call run these instructions before it answers, after the line [`BEGUN`] in the log.
    #[must_use]
    pub fn first(self, instructions: &str) -> Self {
        let begin = format!("(call $log_info (call $text)) {instructions}");
        self.host_function("log_info", "(param i64)")
            .text(BEGUN)
            .without("handle_mcp_call")
            .export(
                "handle_mcp_call",
                &format!("{begin} (drop (call $handle_mcp_call))"),
            )
    }

    /// Has a tool's call sleep in the host before it answers.
    #[must_use]
    pub fn sleeping(self, millis: u64) -> Self {
        let request = format!(r#"{{"millis":{millis}}}"#);
        let (data, length) = (escape(&request), request.len());
        let block = format!("(call $block (i32.const {SLEEP_REQUEST}) (i32.const {length}))");
        self.import("extism:host/user", "sleep", "(param i64) (result i64)")
            .part(&format!(r#"(data (i32.const {SLEEP_REQUEST}) "{data}")"#))
            .first(&format!("(drop (call $sleep {block}))"))
    }

    /// Exports a function; its instructions may use `$give`, `$text`, `$block` and what is imported.
    #[must_use]
    pub fn export(self, name: &str, instructions: &str) -> Self {
        self.part(&format!(
            r#"(func (export "{name}") (result i32) {instructions} (i32.const 0))"#
        ))
    }

    /// Adds fields of the module as they are.
    #[must_use]
    pub fn part(mut self, text: &str) -> Self {
        let _ = writeln!(self.body, "{text}");
        self
    }

    /// The module as text.
    #[must_use]
    pub fn wat(&self) -> String {
        let Self { imports, body, .. } = self;
        let tools = json!({"tools": self.tools}).to_string();
        let texts = [
            ("handle_list_tools", tools.as_str()),
            ("handle_mcp_call", &self.answer),
        ];
        let mut entry_points = String::new();
        let mut at = 0;
        for (name, text) in texts {
            let (data, length) = (escape(text), text.len());
            let _ = writeln!(
                entry_points,
                r#"(data (i32.const {at}) "{data}")
                (func ${name} (result i32)
                  (call $give (call $block (i32.const {at}) (i32.const {length}))) (i32.const 0))"#
            );
            if self.entry_points.contains(&name) {
                let _ = writeln!(entry_points, r#"(export "{name}" (func ${name}))"#);
            }
            at += length;
        }
        assert!(
            at <= SLEEP_REQUEST,
            "the tools and the answer are too long for this guest"
        );
        format!("(module {ABI_IMPORTS} {imports} {ABI} {entry_points} {body})")
    }

    /// The module in the binary format.
    ///
    /// # Panics
    /// If the test's text is not WebAssembly.
    #[must_use]
    pub fn wasm(&self) -> Vec<u8> {
        let text = self.wat();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

const ABI_IMPORTS: &str = r#"
(import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
(import "extism:host/env" "length" (func $length (param i64) (result i64)))
(import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
(import "extism:host/env" "input_offset" (func $input_offset (result i64)))
(import "extism:host/env" "output_set" (func $output_set (param i64 i64)))"#;

const ABI: &str = r#"
(memory (export "memory") 1)
;; A block of the host's with these bytes of the guest's memory.
(func $block (param $at i32) (param $length i32) (result i64)
  (local $block i64) (local $i i32)
  (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
  (if (local.get $length) (then
    (loop $next
      (call $store_u8
        (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
        (i32.load8_u (i32.add (local.get $at) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $length))))))
  (local.get $block))
;; Makes a block the output.
(func $give (param $block i64)
  (call $output_set (local.get $block) (call $length (local.get $block))))"#;

/// True if a tool's call is of the tool with this name: the input begins with it.
const IS_TOOL: &str = r#"
(func $is_tool (param $at i32) (param $length i32) (result i32)
  (local $input i64) (local $i i32)
  (local.set $input (i64.add (call $input_offset) (i64.const 9)))
  (loop $next
    (if (i32.lt_u (local.get $i) (local.get $length)) (then
      (if (i32.ne
            (call $load_u8 (i64.add (local.get $input) (i64.extend_i32_u (local.get $i))))
            (i32.load8_u (i32.add (local.get $at) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))
  (i32.eq
    (call $load_u8 (i64.add (local.get $input) (i64.extend_i32_u (local.get $length))))
    (i32.const 34)))"#;

/// Text as it stands in a string of WebAssembly text.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "\\{byte:02x}");
        escaped
    })
}
