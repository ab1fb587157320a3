//! AssemblyScript's spelling of names and types, for `guest-sdk/assemblyscript`.
//!
//! The compiler leaves out what nothing calls. Only exports are kept whatever calls them, so each hook has a module
//! of its own, which a plugin exports.

use std::collections::BTreeSet;

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Shape, Type};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/assemblyscript/types.ts.jinja");
const SERVICE: &str = include_str!("../../templates/assemblyscript/service.ts.jinja");
const HOOK: &str = include_str!("../../templates/assemblyscript/hook.ts.jinja");
const CONTRACT: &str = include_str!("../../templates/assemblyscript/contract.ts.jinja");

/// The generated files of `guest-sdk/assemblyscript`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let enumerations = contract.types.iter().filter_map(|ty| match ty.shape {
        Shape::Enumeration(_) => Some(ty.name.clone()),
        Shape::Record(_) | Shape::Union(_) => None,
    });
    let language = AssemblyScript {
        enumerations: enumerations.collect(),
    };
    let render = |path: String, contract: &Contract, template| {
        Ok::<_, GenerateError>(Output {
            path,
            text: language::render(contract, &language, template)?,
        })
    };
    let mut outputs = vec![
        render(sdk("generated/types"), contract, TYPES)?,
        render(
            "plugins/contract-assemblyscript/assembly/contract.ts".to_owned(),
            contract,
            CONTRACT,
        )?,
    ];
    for service in &contract.services {
        let only = Contract {
            services: vec![service.clone()],
            ..contract.clone()
        };
        let path = sdk(&format!("generated/{}", service.name));
        outputs.push(render(path, &only, SERVICE)?);
    }
    for export in contract
        .exports
        .iter()
        .filter(|export| export.event.is_some())
    {
        let only = Contract {
            services: Vec::new(),
            types: Vec::new(),
            error_codes: Vec::new(),
            exports: vec![export.clone()],
        };
        let event = export.event.as_deref().unwrap_or_default();
        outputs.push(render(sdk(&format!("exports/{event}")), &only, HOOK)?);
    }
    Ok(outputs)
}

fn sdk(module: &str) -> String {
    format!("guest-sdk/assemblyscript/assembly/{module}.ts")
}

/// The spelling of names and types in AssemblyScript.
struct AssemblyScript {
    /// The names of enumerations, which are numbers there and so have no null.
    enumerations: BTreeSet<String>,
}

impl Language for AssemblyScript {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => format!("{}{bits}", if *signed { 'i' } else { 'u' }),
            Type::Text => "string".to_owned(),
            Type::Bytes => "Uint8Array".to_owned(),
            Type::Json => "Json".to_owned(),
            Type::List(item) => format!("Array<{}>", self.type_name(item)),
            Type::Map(item) => format!("Map<string, {}>", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        let is_number = matches!(
            ty.as_str(),
            "bool" | "i16" | "i32" | "i64" | "u16" | "u32" | "u64"
        );
        if is_number || self.enumerations.contains(&ty) {
            format!("Box<{ty}> | null")
        } else {
            format!("{ty} | null")
        }
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            "_meta" => "meta".to_owned(),
            "default" | "in" | "type" | "class" | "function" | "constructor" => format!("{name}_"),
            _ => name.to_owned(),
        }
    }

    fn constant_name(&self, name: &str) -> String {
        case::pascal(name)
    }

    fn function_name(&self, name: &str) -> String {
        match case::camel(name).as_str() {
            // A word of the language.
            "delete" => "remove".to_owned(),
            name => name.to_owned(),
        }
    }
}
