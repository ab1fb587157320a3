//! `#[resource]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{ItemFn, LitStr, Path, Result, Token};

use crate::completion::{Completions, entries};
use crate::doc;
use crate::icons::Icons;
use crate::signature::{Parameters, parameters};

struct Options {
    uri: LitStr,
    name: Option<String>,
    title: Option<String>,
    mime_type: Option<String>,
    icons: Icons,
    list: Option<Path>,
    complete: Completions,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self {
            uri: input.parse()?,
            name: None,
            title: None,
            mime_type: None,
            icons: Icons::default(),
            list: None,
            complete: Completions::new(),
        };
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
        }
        let parser = syn::meta::parser(|meta| {
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("name") => options.name = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("title") => options.title = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("mime_type") => {
                    options.mime_type = Some(meta.value()?.parse::<LitStr>()?.value());
                }
                Some("icon") => options.icons.parse(&meta)?,
                Some("list") => options.list = Some(meta.value()?.parse()?),
                Some("complete") => crate::completion::parse(&meta, &mut options.complete)?,
                _ => {
                    return Err(
                        meta.error("expected name, title, mime_type, icon, list or complete(…)")
                    );
                }
            }
            Ok(())
        });
        syn::parse::Parser::parse2(parser, input.parse()?)?;
        Ok(options)
    }
}

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let function: ItemFn = syn::parse2(item)?;
    let Parameters { arguments, context } = parameters(&function)?;
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let is_template = options.uri.value().contains('{');
    if let (Some(arguments), false) = (arguments, is_template) {
        return Err(syn::Error::new_spanned(
            arguments,
            "an address without `{variables}` has none to give",
        ));
    }
    if let (Some(list), false) = (&options.list, is_template) {
        return Err(syn::Error::new_spanned(
            list,
            "`list` is for addresses with `{variables}`: one without is listed itself",
        ));
    }
    let Some(description) = doc::text(&function.attrs) else {
        return Err(syn::Error::new_spanned(
            ident,
            "a resource needs a doc comment: it is what people and models choose it by",
        ));
    };
    let optional = |text: Option<String>| match text {
        Some(text) => quote!(Some(#text)),
        None => quote!(None),
    };
    let (uri, name) = (
        options.uri,
        options.name.unwrap_or_else(|| ident.to_string()),
    );
    let (title, mime_type) = (optional(options.title), optional(options.mime_type));
    let list = match &options.list {
        Some(function) => quote!(Some(|| ::exomonad_guest::resource::listed(#function()))),
        None => quote!(None),
    };
    let icons = options.icons.field();
    let complete = entries(&options.complete);
    let (decode, argument) = match arguments {
        Some(ty) => (
            quote!(let arguments: #ty = ::exomonad_guest::resource::decode_texts(variables)?;),
            quote!(arguments,),
        ),
        None => (quote!(let _ = variables;), quote!()),
    };
    let context_argument = if context { quote!(context) } else { quote!() };
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #ident {}

        impl ::exomonad_guest::resource::ResourceFunction for #ident {
            const ENTRY: ::exomonad_guest::resource::ResourceEntry = ::exomonad_guest::resource::ResourceEntry {
                uri: #uri,
                name: #name,
                title: #title,
                description: #description,
                mime_type: #mime_type,
                #icons
                list: #list,
                complete: &[#(#complete),*],
                read: |uri, variables, context| {
                    let _ = context;
                    #decode
                    ::exomonad_guest::resource::ResourceReturn::into_result(
                        #ident(#argument #context_argument),
                        uri,
                        #mime_type,
                    )
                },
            };
        }
    })
}
