//! Rust's spelling of names and types, for `guest-sdk/rust`.

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Type};
use crate::generate::{GenerateError, Output};

const TYPES_AND_EFFECTS: &str = include_str!("../../templates/rust/generated.rs.jinja");
const CONTRACT: &str = include_str!("../../templates/rust/contract.rs.jinja");

/// The generated file of `guest-sdk/rust`, and one of the plugin that the contract suite calls.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let files = [
        ("guest-sdk/rust/src/generated.rs", TYPES_AND_EFFECTS),
        ("plugins/contract-rust/src/contract.rs", CONTRACT),
    ];
    files
        .into_iter()
        .map(|(path, template)| {
            Ok(Output {
                path: path.to_owned(),
                text: language::render(contract, &Rust, template)?,
            })
        })
        .collect()
}

/// The spelling of names and types in Rust.
struct Rust;

impl Language for Rust {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => format!("{}{bits}", if *signed { 'i' } else { 'u' }),
            Type::Text => "String".to_owned(),
            Type::Bytes => "Base64".to_owned(),
            Type::Json => "Json".to_owned(),
            Type::List(item) => format!("Vec<{}>", self.type_name(item)),
            Type::Map(item) => format!("BTreeMap<String, {}>", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        format!("Option<{ty}>")
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            // The only field name that is a keyword; `r#ref` would be harder to read.
            "ref" => return "reference".to_owned(),
            "_meta" => return "meta".to_owned(),
            _ => {}
        }
        case::snake(name)
    }

    fn constant_name(&self, name: &str) -> String {
        case::pascal(name)
    }
}
