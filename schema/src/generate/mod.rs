//! From the contract to the files generated from it.
//!
//! ```text
//! table + schemars ──documents──▶ JSON Schemas ──read──▶ model ──template──▶ files
//! ```
//!
//! The [`model`] knows no programming language: records, unions, enumerations
//! and effects. A language is one [`Mapping`] (how it spells types and names)
//! and one template under `schema/templates` for each kind of file, listed in
//! [`outputs`].

mod documents;
mod example;
mod haskell;
pub mod language;
pub mod model;
mod read;
mod reference;
mod rust;
mod template;

pub use documents::{common_document, effects_document};
pub use language::Mapping;
pub use read::{ReadError, read};

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where it belongs, relative to the repository's root.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Why nothing could be generated; each is a fault of the contract's types or of
/// a template, not of whoever runs the generator.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A JSON Schema says something the model has no words for.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A template is wrong.
    #[error("a template does not render: {0:#}")]
    Template(#[from] minijinja::Error),
    /// A document is not JSON.
    #[error("a JSON Schema document does not serialise: {0}")]
    Document(#[from] serde_json::Error),
}

/// Generates every file.
///
/// # Errors
/// When a type of the contract cannot be said in the model, or a template is wrong.
pub fn outputs() -> Result<Vec<Output>, GenerateError> {
    let effects = effects_document();
    let common = common_document();
    let contract = read(&effects, &common)?;
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
        Output {
            path: "guest-sdk/rust/src/generated.rs".to_owned(),
            text: language::render(&contract, &rust::Rust, rust::TEMPLATE)?,
        },
    ];
    outputs.extend(haskell::outputs(&contract)?);
    Ok(outputs)
}

fn pretty(document: &serde_json::Value) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}
