//! Zig's spelling of names and types, for `guest-sdk/zig`.

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Type};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/zig/types.zig.jinja");
const EFFECTS: &str = include_str!("../../templates/zig/effects.zig.jinja");
const CONTRACT: &str = include_str!("../../templates/zig/contract.zig.jinja");

/// The generated files of `guest-sdk/zig`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let render = |path: &str, template| {
        Ok::<_, GenerateError>(Output {
            path: path.to_owned(),
            text: language::render(contract, &Zig, template)?,
        })
    };
    Ok(vec![
        render("guest-sdk/zig/src/types.zig", TYPES)?,
        render("guest-sdk/zig/src/effects.zig", EFFECTS)?,
        render("plugins/contract-zig/src/contract.zig", CONTRACT)?,
    ])
}

/// The spelling of names and types in Zig.
struct Zig;

/// A name, in quotes if it is a word of the language.
fn quoted(name: String) -> String {
    const WORDS: [&str; 14] = [
        "error", "type", "test", "union", "enum", "struct", "var", "const", "fn", "export",
        "async", "resume", "suspend", "and",
    ];
    if WORDS.contains(&name.as_str()) || name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("@\"{name}\"")
    } else {
        name
    }
}

impl Language for Zig {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => format!("{}{bits}", if *signed { "i" } else { "u" }),
            Type::Text => "[]const u8".to_owned(),
            Type::Bytes => "Bytes".to_owned(),
            Type::Json => "Json".to_owned(),
            Type::List(item) => format!("[]const {}", self.type_name(item)),
            Type::Map(item) => format!("Map({})", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        format!("?{ty}")
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            "_meta" => "meta".to_owned(),
            _ => quoted(case::snake(name)),
        }
    }

    fn constant_name(&self, name: &str) -> String {
        // Constants in capitals are words of their own, such as `GET`.
        if name.chars().all(|letter| letter.is_ascii_uppercase()) {
            quoted(name.to_ascii_lowercase())
        } else {
            quoted(case::snake(name))
        }
    }

    fn function_name(&self, name: &str) -> String {
        case::camel(name)
    }
}
