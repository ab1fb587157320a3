//! Haskell's spelling of names and types, for `guest-sdk/haskell`.
//!
//! The types share one module; each service's functions and each hook have one of their own, since linking
//! a library works by module: a plugin then exports the hooks that it uses and no others.

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Shape, Type, TypeDef};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/haskell/types.hs.jinja");
const SERVICE: &str = include_str!("../../templates/haskell/service.hs.jinja");
const EFFECTS: &str = include_str!("../../templates/haskell/effects.hs.jinja");
const CODECS: &str = include_str!("../../templates/haskell/codecs.hs.jinja");
const HOOK: &str = include_str!("../../templates/haskell/hook.hs.jinja");
const HOOK_EXPORT: &str = include_str!("../../templates/haskell/hook.c.jinja");
const EFFECT_IMPORTS: &str = include_str!("../../templates/haskell/effects.c.jinja");

/// The generated files of `guest-sdk/haskell`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let render = |path: String, contract: &Contract, template| {
        Ok::<_, GenerateError>(Output {
            path,
            text: language::render(contract, &Haskell, template)?,
        })
    };
    let mut outputs = vec![
        render(sdk("src/Exomonad/Guest/Types.hs"), contract, TYPES)?,
        render(sdk("src/Exomonad/Guest/Effects.hs"), contract, EFFECTS)?,
        render(sdk("cbits/effects.c"), contract, EFFECT_IMPORTS)?,
    ];
    outputs.push(render(
        "plugins/echo-haskell/src/Echo/Contract.hs".to_owned(),
        contract,
        CODECS,
    )?);
    for service in &contract.services {
        let only = Contract {
            services: vec![service.clone()],
            ..contract.clone()
        };
        let module = service_module(&service.name);
        outputs.push(render(
            sdk(&format!("src/Exomonad/Guest/{module}.hs")),
            &only,
            SERVICE,
        )?);
    }
    for event in events(contract) {
        let (name, module) = event_names(&event);
        let only = Contract {
            services: Vec::new(),
            types: vec![event],
            error_codes: Vec::new(),
            exports: Vec::new(),
        };
        let path = sdk(&format!("src/Exomonad/Guest/Hook/{module}.hs"));
        outputs.push(render(path, &only, HOOK)?);
        outputs.push(render(
            sdk(&format!("cbits/hook_{name}.c")),
            &only,
            HOOK_EXPORT,
        )?);
    }
    Ok(outputs)
}

fn sdk(path: &str) -> String {
    format!("guest-sdk/haskell/{path}")
}

/// The hook events, each as an enumeration of that one.
fn events(contract: &Contract) -> Vec<TypeDef> {
    let Some(TypeDef {
        name,
        doc,
        shape: Shape::Enumeration(constants),
    }) = contract.type_named("HookEvent")
    else {
        return Vec::new();
    };
    let alone = |constant: &crate::generate::model::Constant| TypeDef {
        name: name.clone(),
        doc: doc.clone(),
        shape: Shape::Enumeration(vec![constant.clone()]),
    };
    constants.iter().map(alone).collect()
}

/// An event's name in JSON and as a module.
fn event_names(event: &TypeDef) -> (String, String) {
    match &event.shape {
        Shape::Enumeration(constants) => constants
            .first()
            .map(|constant| (constant.name.clone(), case::pascal(&constant.name)))
            .unwrap_or_default(),
        _ => Default::default(),
    }
}

/// The spelling of names and types in Haskell.
struct Haskell;

impl Language for Haskell {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "Bool".to_owned(),
            // `Int` has 32 bits in WebAssembly and 64 elsewhere, so it is never used.
            Type::Integer { signed, bits } => {
                format!("{}{bits}", if *signed { "Int" } else { "Word" })
            }
            Type::Text => "Text".to_owned(),
            Type::Bytes => "Base64".to_owned(),
            Type::Json => "Value".to_owned(),
            Type::List(item) => format!("[{}]", self.type_name(item)),
            Type::Map(item) => match &**item {
                Type::Map(_) => format!("Map Text ({})", self.type_name(item)),
                _ => format!("Map Text {}", self.type_name(item)),
            },
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        if ty.contains(' ') && !ty.starts_with('[') {
            format!("Maybe ({ty})")
        } else {
            format!("Maybe {ty}")
        }
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            "data" | "type" | "class" | "module" | "where" | "in" | "of" | "default" => {
                format!("{name}_")
            }
            "_meta" => "meta".to_owned(),
            _ => name.to_owned(),
        }
    }

    fn constant_name(&self, name: &str) -> String {
        case::pascal(name)
    }

    fn function_name(&self, name: &str) -> String {
        case::camel(name)
    }

    fn service_type(&self, name: &str) -> String {
        match name {
            // `Log` is already the request to write a line.
            "log" => "Logging".to_owned(),
            _ => service_module(name),
        }
    }
}

fn service_module(name: &str) -> String {
    match name {
        "github" => "GitHub".to_owned(),
        _ => case::pascal(name),
    }
}
