//! Go's spelling of names and types, for `guest-sdk/go`.
//!
//! The types share the SDK's own package. Each service has a package, and each hook one, since a package's
//! exports are linked if it is imported: a plugin exports the hooks that it uses and no others.

use std::collections::BTreeSet;

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Constant, Contract, Shape, Type, TypeDef};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/go/types.go.jinja");
const REQUESTS: &str = include_str!("../../templates/go/requests.go.jinja");
const SERVICE: &str = include_str!("../../templates/go/service.go.jinja");
const IMPORTS: &str = include_str!("../../templates/go/imports.go.jinja");
const NATIVE: &str = include_str!("../../templates/go/native.go.jinja");
const HOOK: &str = include_str!("../../templates/go/hook.go.jinja");
const HOOK_EXPORT: &str = include_str!("../../templates/go/hook_export.go.jinja");
const CODECS: &str = include_str!("../../templates/go/codecs.go.jinja");

/// The generated files of `guest-sdk/go`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let go = Go::of(contract);
    let render = |path: String, contract: &Contract, template| {
        Ok::<_, GenerateError>(Output {
            path,
            text: formatted(&language::render(contract, &go, template)?),
        })
    };
    let mut outputs = vec![
        render(sdk("types.go"), contract, TYPES)?,
        render(sdk("requests.go"), contract, REQUESTS)?,
        render(
            "plugins/contract-go/contract.go".to_owned(),
            contract,
            CODECS,
        )?,
    ];
    for service in &contract.services {
        let only = Contract {
            services: vec![service.clone()],
            ..contract.clone()
        };
        let name = &service.name;
        for (file, template) in [
            ("effects.go", SERVICE),
            ("imports_wasip1.go", IMPORTS),
            ("imports_native.go", NATIVE),
        ] {
            outputs.push(render(sdk(&format!("{name}/{file}")), &only, template)?);
        }
    }
    for event in events(contract) {
        let only = Contract {
            services: Vec::new(),
            types: vec![TypeDef {
                name: "HookEvent".to_owned(),
                doc: String::new(),
                shape: Shape::Enumeration(vec![event.clone()]),
            }],
            error_codes: Vec::new(),
            exports: Vec::new(),
        };
        let package = event.name.replace('_', "");
        for (file, template) in [("hook.go", HOOK), ("export_wasip1.go", HOOK_EXPORT)] {
            let path = sdk(&format!("hooks/{package}/{file}"));
            outputs.push(render(path, &only, template)?);
        }
    }
    Ok(outputs)
}

/// As gofmt has it, with one blank line between declarations and none within, so that templates need not count
/// lines.
fn formatted(text: &str) -> String {
    let mut formatted = String::with_capacity(text.len());
    let mut lines = text.lines().map(str::trim_end).peekable();
    let mut before = "";
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        let within = |line: &str| line.is_empty() || line.starts_with(['\t', '}', ')']);
        if !line.is_empty() || !(within(next) || before.is_empty()) {
            formatted.push_str(line);
            formatted.push('\n');
            before = line;
        }
    }
    formatted
}

fn sdk(path: &str) -> String {
    format!("guest-sdk/go/{path}")
}

fn events(contract: &Contract) -> &[Constant] {
    match contract.type_named("HookEvent").map(|ty| &ty.shape) {
        Some(Shape::Enumeration(events)) => events,
        _ => &[],
    }
}

/// The spelling of names and types in Go.
struct Go {
    /// The names of unions, which are interfaces: without a value they are `nil`.
    unions: BTreeSet<String>,
}

impl Go {
    fn of(contract: &Contract) -> Self {
        let unions = contract
            .types
            .iter()
            .filter(|ty| matches!(ty.shape, Shape::Union(_)));
        Self {
            unions: unions.map(|ty| ty.name.clone()).collect(),
        }
    }
}

impl Language for Go {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => {
                format!("{}{bits}", if *signed { "int" } else { "uint" })
            }
            Type::Text => "string".to_owned(),
            Type::Bytes => "[]byte".to_owned(),
            Type::Json => "json.RawMessage".to_owned(),
            Type::List(item) => format!("[]{}", self.type_name(item)),
            Type::Map(item) => format!("map[string]{}", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        let has_nil = ty.starts_with("[]")
            || ty.starts_with("map[")
            || ty == "json.RawMessage"
            || self.unions.contains(&ty);
        if has_nil { ty } else { format!("*{ty}") }
    }

    fn field_name(&self, name: &str) -> String {
        exported(name)
    }

    fn constant_name(&self, name: &str) -> String {
        exported(name)
    }

    fn function_name(&self, name: &str) -> String {
        exported(name)
    }
}

/// `workflowId` → `WorkflowID`, as Go writes initialisms.
fn exported(name: &str) -> String {
    let snake = case::snake(name);
    let words = snake.split('_').map(|word| match word {
        "id" | "url" | "uri" => word.to_ascii_uppercase(),
        "ids" => "IDs".to_owned(),
        "urls" => "URLs".to_owned(),
        "uris" => "URIs".to_owned(),
        "iso8601" => "ISO8601".to_owned(),
        _ => case::pascal(word),
    });
    // `GET` has a word a letter.
    match name.chars().all(|letter| letter.is_ascii_uppercase()) {
        true => name.to_owned(),
        false => words.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::exported;

    #[test]
    fn initialisms_are_written_as_in_go() {
        for (name, expected) in [
            ("workflowId", "WorkflowID"),
            ("uriTemplate", "URITemplate"),
            ("get_remote_url", "GetRemoteURL"),
            ("identity", "Identity"),
            ("_meta", "Meta"),
            ("GET", "GET"),
            ("in_progress", "InProgress"),
        ] {
            assert_eq!(exported(name), expected);
        }
    }
}
