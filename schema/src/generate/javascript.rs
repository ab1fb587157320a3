//! TypeScript's spelling of names and types, for `guest-sdk/javascript`.
//!
//! The types share one module, from which a bundler takes what a plugin uses; each service's functions have one of
//! their own, since bundlers keep all of what is in an object.

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Type};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/javascript/types.ts.jinja");
const SERVICE: &str = include_str!("../../templates/javascript/service.ts.jinja");
const CONTRACT: &str = include_str!("../../templates/javascript/contract.ts.jinja");

/// The generated files of `guest-sdk/javascript`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let render = |path: String, contract: &Contract, template| {
        Ok::<_, GenerateError>(Output {
            path,
            text: language::render(contract, &TypeScript, template)?,
        })
    };
    let mut outputs = vec![
        render(sdk("types"), contract, TYPES)?,
        render(
            "plugins/contract-javascript/src/contract.ts".to_owned(),
            contract,
            CONTRACT,
        )?,
    ];
    for service in &contract.services {
        let only = Contract {
            services: vec![service.clone()],
            ..contract.clone()
        };
        outputs.push(render(sdk(&service.name), &only, SERVICE)?);
    }
    Ok(outputs)
}

fn sdk(module: &str) -> String {
    format!("guest-sdk/javascript/src/generated/{module}.ts")
}

/// The spelling of names and types in TypeScript.
struct TypeScript;

impl Language for TypeScript {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "boolean".to_owned(),
            // A number holds 53 bits; what is beyond is a bigint.
            Type::Integer { bits: 64, .. } => "Integer".to_owned(),
            Type::Integer { .. } => "number".to_owned(),
            Type::Text => "string".to_owned(),
            Type::Bytes => "Uint8Array".to_owned(),
            Type::Json => "unknown".to_owned(),
            Type::List(item) => format!("{}[]", self.type_name(item)),
            Type::Map(item) => format!("Record<string, {}>", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        ty
    }

    fn field_name(&self, name: &str) -> String {
        name.to_owned()
    }

    fn constant_name(&self, name: &str) -> String {
        name.to_owned()
    }

    fn function_name(&self, name: &str) -> String {
        match case::camel(name).as_str() {
            // A word of the language.
            "delete" => "remove".to_owned(),
            name => name.to_owned(),
        }
    }

    fn defines_before_use(&self) -> bool {
        true
    }
}
