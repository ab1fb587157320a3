//! `#[export]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, Result};

pub fn expand(options: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !options.is_empty() {
        return Err(syn::Error::new_spanned(
            options,
            "#[export] takes no options",
        ));
    }
    let function: ItemFn = syn::parse2(item)?;
    let ident = &function.sig.ident;
    let export = exported(
        &ident.to_string(),
        &quote!(::exomonad_guest::export::run(#ident)),
    );
    Ok(quote! {
        #function
        #export
    })
}

/// A function that the host finds under `name`, in WebAssembly only: natively
/// such a name could be one of the C library's.
pub fn exported(name: &str, body: &TokenStream) -> TokenStream {
    quote! {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(export_name = #name)]
            extern "C" fn export() -> i32 {
                #body
            }
        };
    }
}
