//! `#[hook]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, ItemFn, Result};

use crate::export::exported;

/// The events of the contract's `HookEvent`.
const EVENTS: &[&str] = &[
    "pre_tool_use",
    "post_tool_use",
    "user_prompt_submit",
    "notification",
    "session_start",
    "session_end",
    "stop",
    "subagent_stop",
    "pre_compact",
];

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let event: Ident = syn::parse2(options)?;
    let name = event.to_string();
    if !EVENTS.contains(&name.as_str()) {
        let message = format!("no such event; there are {}", EVENTS.join(", "));
        return Err(syn::Error::new_spanned(event, message));
    }
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
                event: #name,
                call: |input| ::exomonad_guest::hook::HookReturn::into_output(#ident(input)),
            };
        }

        #export
    })
}
