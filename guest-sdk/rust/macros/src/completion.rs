//! `complete(argument = function)`, of prompts and resources.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Path, Result, Token};

/// Names of arguments, with the functions that complete them.
pub type Completions = Vec<(String, Path)>;

/// Reads the option: an argument alone is completed by a function of its name.
pub fn parse(meta: &ParseNestedMeta<'_>, completions: &mut Completions) -> Result<()> {
    meta.parse_nested_meta(|argument| {
        let name = argument.path.require_ident()?.to_string();
        let function = match argument.input.peek(Token![=]) {
            true => argument.value()?.parse::<Path>()?,
            false => argument.path.clone(),
        };
        completions.push((name, function));
        Ok(())
    })
}

/// The entries of a plugin for them.
pub fn entries(completions: &Completions) -> Vec<TokenStream> {
    let entry = |(argument, function): &(String, Path)| {
        quote! {
            ::exomonad_guest::prompt::CompletionEntry {
                argument: #argument,
                values: |value, others| ::exomonad_guest::prompt::CompletionFunction::values(&#function, value, others),
            }
        }
    };
    completions.iter().map(entry).collect()
}
