//! C's spelling of names and types, for `guest-sdk/c`.

use std::collections::BTreeSet;

use crate::generate::case;
use crate::generate::language::{self, Language};
use crate::generate::model::{Contract, Shape, Type};
use crate::generate::{GenerateError, Output};

const TYPES: &str = include_str!("../../templates/c/types.h.jinja");
const EFFECTS: &str = include_str!("../../templates/c/effects.h.jinja");
const CONTRACT: &str = include_str!("../../templates/c/contract.h.jinja");

/// The generated files of `guest-sdk/c`, and one of the plugin that tests it.
pub fn outputs(contract: &Contract) -> Result<Vec<Output>, GenerateError> {
    let enumerations = contract
        .types
        .iter()
        .filter(|ty| matches!(ty.shape, Shape::Enumeration(_)))
        .map(|ty| type_name(&ty.name))
        .collect();
    let language = C { enumerations };
    let render = |path: &str, template| {
        Ok::<_, GenerateError>(Output {
            path: path.to_owned(),
            text: language::render(contract, &language, template)?,
        })
    };
    Ok(vec![
        render("guest-sdk/c/exomonad/types.h", TYPES)?,
        render("guest-sdk/c/exomonad/effects.h", EFFECTS)?,
        render("plugins/contract-c/contract.h", CONTRACT)?,
    ])
}

/// `GitHubPr` → `exo_github_pr_t`.
fn type_name(name: &str) -> String {
    format!("exo_{}_t", case::snake(&name.replace("GitHub", "Github")))
}

/// Names that a field cannot have: macros of the C library, and words of C and of C++, which shares the headers.
pub const RESERVED: [&str; 22] = [
    "stdin",
    "stdout",
    "stderr",
    "default",
    "register",
    "static",
    "struct",
    "union",
    "enum",
    "signed",
    "auto",
    "new",
    "namespace",
    "private",
    "public",
    "class",
    "delete",
    "operator",
    "template",
    "this",
    "using",
    "export",
];

/// The spelling of names and types in C.
struct C {
    /// The types of which 0 is no constant, and therefore absence.
    enumerations: BTreeSet<String>,
}

impl Language for C {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => {
                format!("{}int{bits}_t", if *signed { "" } else { "u" })
            }
            Type::Text => "exo_text".to_owned(),
            Type::Bytes => "exo_bytes".to_owned(),
            Type::Json => "exo_json".to_owned(),
            Type::List(item) => format!("{}_list", self.type_name(item)),
            Type::Map(item) => format!("{}_map", self.type_name(item)),
            Type::Named(name) => type_name(name),
        }
    }

    fn optional(&self, ty: String) -> String {
        if ty == "bool" || ty.starts_with("int") || ty.starts_with("uint") && !ty.ends_with("_list")
        {
            format!("exo_optional_{ty}")
        } else if ty.ends_with("_t") && !self.enumerations.contains(&ty) {
            format!("const {ty} *")
        } else {
            ty
        }
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            _ if RESERVED.contains(&name) => format!("{name}_"),
            _ => case::snake(name),
        }
    }

    fn constant_name(&self, name: &str) -> String {
        case::snake(name)
    }

    fn defines_before_use(&self) -> bool {
        true
    }
}
