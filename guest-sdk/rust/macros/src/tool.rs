//! `#[tool]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{ItemFn, LitStr, Result};

use crate::doc;
use crate::icons::Icons;
use crate::signature::{Parameters, parameters};

#[derive(Default)]
struct Options {
    name: Option<String>,
    title: Option<String>,
    icons: Icons,
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
}

impl Options {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            let flag = match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("name") => {
                    options.name = Some(meta.value()?.parse::<LitStr>()?.value());
                    return Ok(());
                }
                Some("title") => {
                    options.title = Some(meta.value()?.parse::<LitStr>()?.value());
                    return Ok(());
                }
                Some("icon") => return options.icons.parse(&meta),
                Some("read_only") => &mut options.read_only,
                Some("destructive") => &mut options.destructive,
                Some("idempotent") => &mut options.idempotent,
                Some("open_world") => &mut options.open_world,
                _ => {
                    return Err(meta.error(
                        "expected name, title, icon, read_only, destructive, idempotent or open_world",
                    ));
                }
            };
            *flag = true;
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
            "a tool needs a doc comment: it is what a model chooses the tool by",
        ));
    };
    let title = match options.title {
        Some(title) => quote!(Some(#title)),
        None => quote!(None),
    };
    let icons = options.icons.field();
    let Options {
        read_only,
        destructive,
        idempotent,
        open_world,
        ..
    } = options;
    let (input_schema, decode, argument) = match arguments {
        Some(ty) => (
            quote!(::exomonad_guest::tool::input_schema::<#ty>),
            quote!(let arguments: #ty = ::exomonad_guest::tool::decode_arguments(arguments)?;),
            quote!(arguments,),
        ),
        None => (
            quote!(::exomonad_guest::tool::no_input_schema),
            quote!(let _ = arguments;),
            quote!(),
        ),
    };
    let context_argument = if context { quote!(context) } else { quote!() };
    let output = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => quote!(#ty),
        syn::ReturnType::Default => quote!(()),
    };
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        impl ::exomonad_guest::tool::ToolFunction for #ident {
            const ENTRY: ::exomonad_guest::tool::ToolEntry = ::exomonad_guest::tool::ToolEntry {
                name: #name,
                title: #title,
                description: #description,
                #icons
                hints: ::exomonad_guest::tool::Hints {
                    read_only: #read_only,
                    destructive: #destructive,
                    idempotent: #idempotent,
                    open_world: #open_world,
                },
                input_schema: #input_schema,
                output_schema: <#output as ::exomonad_guest::tool::ToolReturn>::output_schema,
                call: |arguments, context| {
                    let _ = context;
                    #decode
                    ::exomonad_guest::tool::ToolReturn::into_result(#ident(#argument #context_argument))
                },
            };
        }
    })
}
