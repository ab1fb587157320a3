//! Generation of files from the contract.
//!
//! ```text
//! table + schemars ──documents──▶ JSON Schemas ──conversion──▶ model ──template──▶ files
//! ```
//!
//! The [`model`] knows no programming language: records, unions, enumerations
//! and effects. A language is one [`Language`] (how it spells types and names)
//! and one template under `schema/templates` for each kind of file, listed in
//! [`outputs`].

mod assemblyscript;
mod c;
mod case;
mod cpp;
mod documents;
mod example;
mod from_json_schema;
mod go;
mod haskell;
mod javascript;
pub mod language;
pub mod model;
mod reference;
mod rust;
mod template;
mod zig;

pub use documents::{common_document, effects_document};
pub use from_json_schema::{UnsupportedSchemaError, contract_from_json_schema};
pub use language::Language;

use self::model::Contract;

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// The reason why nothing could be generated: always a mistake in the contract's types or in
/// a template.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A JSON Schema that the model cannot express.
    #[error(transparent)]
    Schema(#[from] UnsupportedSchemaError),
    /// A template is wrong.
    #[error("a template does not render: {0:#}")]
    Template(#[from] minijinja::Error),
    /// A document is not JSON.
    #[error("a JSON Schema document does not serialise: {0}")]
    Document(#[from] serde_json::Error),
}

/// Generates the files of one language.
type Generator = fn(&Contract) -> Result<Vec<Output>, GenerateError>;

/// All languages.
const LANGUAGES: [Generator; 8] = [
    rust::outputs,
    haskell::outputs,
    go::outputs,
    c::outputs,
    cpp::outputs,
    zig::outputs,
    javascript::outputs,
    assemblyscript::outputs,
];

/// Generates every file.
///
/// # Errors
/// If the model cannot express a type of the contract, or a template is wrong.
pub fn outputs() -> Result<Vec<Output>, GenerateError> {
    let effects = effects_document();
    let common = common_document();
    let contract = contract_from_json_schema(&effects, &common)?;
    let mut outputs = vec![
        Output {
            path: "schema/effects.json".to_owned(),
            text: pretty(&effects)?,
        },
        Output {
            path: "schema/common.json".to_owned(),
            text: pretty(&common)?,
        },
        Output {
            path: "schema/EFFECTS.md".to_owned(),
            text: reference::render(&contract)?,
        },
    ];
    for of_language in LANGUAGES {
        outputs.extend(of_language(&contract)?);
    }
    Ok(outputs)
}

fn pretty(document: &serde_json::Value) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}
