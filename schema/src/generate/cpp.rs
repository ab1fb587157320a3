//! C++'s spelling of names and types, for the C++ layer of `guest-sdk/c`.

use crate::generate::c::RESERVED;
use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Type};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/cpp/types.hpp.jinja");
const EFFECTS: &str = include_str!("../../templates/cpp/effects.hpp.jinja");
const CONTRACT: &str = include_str!("../../templates/cpp/contract.hpp.jinja");

/// The generated files of C++ in `guest-sdk/c`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let render = |path: &str, template| {
        Ok::<_, GenerateError>(Output {
            path: path.to_owned(),
            text: language::render(contract, &Cpp, template)?,
        })
    };
    Ok(vec![
        render("guest-sdk/c/exomonad/types.hpp", TYPES)?,
        render("guest-sdk/c/exomonad/effects.hpp", EFFECTS)?,
        render("plugins/contract-cpp/contract.hpp", CONTRACT)?,
    ])
}

/// The spelling of names and types in C++.
struct Cpp;

impl Language for Cpp {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => {
                format!("std::{}int{bits}_t", if *signed { "" } else { "u" })
            }
            Type::Text => "std::string".to_owned(),
            Type::Bytes => "Bytes".to_owned(),
            Type::Json => "Json".to_owned(),
            Type::List(item) => format!("std::vector<{}>", self.type_name(item)),
            Type::Map(item) => format!("std::map<std::string, {}>", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        format!("std::optional<{ty}>")
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            "_meta" => "meta".to_owned(),
            _ if RESERVED.contains(&name) => format!("{name}_"),
            _ => case::snake(name),
        }
    }

    fn constant_name(&self, name: &str) -> String {
        case::pascal(name)
    }

    fn function_name(&self, name: &str) -> String {
        match name {
            "delete" => "delete_".to_owned(),
            _ => name.to_owned(),
        }
    }

    fn defines_before_use(&self) -> bool {
        true
    }
}
