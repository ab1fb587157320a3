//! The option `icon`, which tools, prompts, resources and workflows have.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{LitStr, Path, Result, Token};

/// The pictures that are named, in their order.
#[derive(Default)]
pub struct Icons(Vec<TokenStream>);

impl Icons {
    /// Takes `icon = "…"`, an address, or `icon = function`, which gives an `Icon`.
    pub fn parse(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let value = meta.value()?;
        let is_address = value.peek(LitStr);
        self.0.push(if is_address {
            let address: LitStr = value.parse()?;
            quote!(::exomonad_guest::types::Icon::new(#address))
        } else {
            let function: Path = value.parse()?;
            quote!(#function())
        });
        if !value.is_empty() && !value.peek(Token![,]) {
            return Err(value.error("expected the address of a picture, or a function"));
        }
        Ok(())
    }

    /// The field of an entry.
    pub fn field(&self) -> TokenStream {
        let icons = &self.0;
        quote!(icons: || vec![#(#icons),*],)
    }
}
