//! `#[hook]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, ItemFn, Result};

use crate::export::exported;

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let event: Ident = syn::parse2(options)?;
    let name = event.to_string();
    // Named by the contract's own type, so that a misspelt event is an error at its position.
    let variant = Ident::new(&pascal_case(&name), event.span());
    let function: ItemFn = syn::parse2(item)?;
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let body = quote! {
        ::exomonad_guest::hook::run_export(
            &<#ident as ::exomonad_guest::hook::HookFunction>::ENTRY,
        )
    };
    let export = exported(&format!("handle_{name}"), &body);
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        impl ::exomonad_guest::hook::HookFunction for #ident {
            const ENTRY: ::exomonad_guest::hook::HookEntry = ::exomonad_guest::hook::HookEntry {
                event: ::exomonad_guest::types::HookEvent::#variant.name(),
                call: |input| ::exomonad_guest::hook::HookReturn::into_output(#ident(input)),
            };
        }

        #export
    })
}

/// `pre_tool_use` → `PreToolUse`.
fn pascal_case(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            first.to_uppercase() + rest
        })
        .collect()
}
