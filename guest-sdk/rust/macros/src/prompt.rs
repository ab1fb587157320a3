//! `#[prompt]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{ItemFn, LitStr, Result};

use crate::completion::{Completions, entries};
use crate::doc;
use crate::icons::Icons;
use crate::signature::{Parameters, parameters};

#[derive(Default)]
struct Options {
    name: Option<String>,
    title: Option<String>,
    icons: Icons,
    complete: Completions,
}

impl Options {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("name") => options.name = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("title") => options.title = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("icon") => options.icons.parse(&meta)?,
                Some("complete") => crate::completion::parse(&meta, &mut options.complete)?,
                _ => return Err(meta.error("expected name, title, icon or complete(…)")),
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(options)
    }
}

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(options)?;
    let function: ItemFn = syn::parse2(item)?;
    let Parameters { arguments, context } = parameters(&function)?;
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let name = options.name.unwrap_or_else(|| ident.to_string());
    let Some(description) = doc::text(&function.attrs) else {
        return Err(syn::Error::new_spanned(
            ident,
            "a prompt needs a doc comment: it is what a person chooses it by",
        ));
    };
    let title = match options.title {
        Some(title) => quote!(Some(#title)),
        None => quote!(None),
    };
    let icons = options.icons.field();
    let complete = entries(&options.complete);
    let (listed, decode, argument) = match arguments {
        Some(ty) => (
            quote!(::exomonad_guest::prompt::arguments_of::<#ty>),
            quote!(let arguments: #ty = ::exomonad_guest::resource::decode_texts(arguments)?;),
            quote!(arguments,),
        ),
        None => (quote!(Vec::new), quote!(let _ = arguments;), quote!()),
    };
    let context_argument = if context { quote!(context) } else { quote!() };
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        impl ::exomonad_guest::prompt::PromptFunction for #ident {
            const ENTRY: ::exomonad_guest::prompt::PromptEntry = ::exomonad_guest::prompt::PromptEntry {
                name: #name,
                title: #title,
                description: #description,
                #icons
                arguments: #listed,
                complete: &[#(#complete),*],
                get: |arguments, context| {
                    let _ = context;
                    #decode
                    ::exomonad_guest::prompt::PromptReturn::into_result(#ident(#argument #context_argument))
                },
            };
        }
    })
}
