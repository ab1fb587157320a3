//! `#[workflow]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{FnArg, Ident, ItemFn, LitInt, LitStr, Path, Result, Token, Type};

use crate::doc;
use crate::icons::Icons;

#[derive(Default)]
struct Options {
    name: Option<String>,
    title: Option<String>,
    icons: Icons,
    tool: bool,
    task: bool,
    state_version: Option<LitInt>,
    migrate: Option<Path>,
    /// Names, with the types of their payloads.
    signals: Vec<(String, Option<Type>)>,
    /// Names, with the functions that answer them.
    queries: Vec<(String, Path)>,
}

impl Options {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("name") => options.name = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("title") => options.title = Some(meta.value()?.parse::<LitStr>()?.value()),
                Some("icon") => options.icons.parse(&meta)?,
                Some("tool") => options.tool = true,
                Some("task") => (options.tool, options.task) = (true, true),
                Some("state_version") => options.state_version = Some(meta.value()?.parse()?),
                Some("migrate") => options.migrate = Some(meta.value()?.parse()?),
                Some("signals") => {
                    meta.parse_nested_meta(|signal| {
                        let name = signal.path.require_ident()?.to_string();
                        let is_typed = signal.input.peek(Token![=]);
                        let payload = match is_typed {
                            true => Some(signal.value()?.parse::<Type>()?),
                            false => None,
                        };
                        options.signals.push((name, payload));
                        Ok(())
                    })?;
                }
                Some("queries") => {
                    meta.parse_nested_meta(|query| {
                        let name = query.path.require_ident()?.to_string();
                        let function = match query.input.peek(Token![=]) {
                            true => query.value()?.parse::<Path>()?,
                            false => query.path.clone(),
                        };
                        options.queries.push((name, function));
                        Ok(())
                    })?;
                }
                _ => {
                    return Err(meta.error(
                        "expected name, title, icon, tool, task, state_version, migrate, signals(…) or queries(…)",
                    ));
                }
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(options)
    }
}

/// A workflow's parameters.
struct Parameters<'a> {
    input: Option<&'a Type>,
    run: Option<&'a Type>,
}

fn parameters(function: &ItemFn) -> Result<Parameters<'_>> {
    if let Some(asyncness) = &function.sig.asyncness {
        return Err(syn::Error::new_spanned(
            asyncness,
            "a workflow is a plain function: it waits in the host, where it holds no thread",
        ));
    }
    let mut parameters = Parameters {
        input: None,
        run: None,
    };
    for parameter in &function.sig.inputs {
        let FnArg::Typed(parameter) = parameter else {
            return Err(syn::Error::new_spanned(
                parameter,
                "a workflow is a free function, not a method",
            ));
        };
        match &*parameter.ty {
            Type::Reference(run) if parameters.run.is_none() => parameters.run = Some(&run.elem),
            input if parameters.input.is_none() && parameters.run.is_none() => {
                parameters.input = Some(input);
            }
            other => {
                return Err(syn::Error::new_spanned(
                    other,
                    "a workflow takes its input as one type, then perhaps `&Run`",
                ));
            }
        }
    }
    Ok(parameters)
}

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(options)?;
    let function: ItemFn = syn::parse2(item)?;
    let Parameters { input, run } = parameters(&function)?;
    let ident = &function.sig.ident;
    let visibility = &function.vis;
    let name = options.name.unwrap_or_else(|| ident.to_string());
    let Some(description) = doc::text(&function.attrs) else {
        return Err(syn::Error::new_spanned(
            ident,
            "a workflow needs a doc comment: it is what people and models choose it by",
        ));
    };
    let title = match options.title {
        Some(title) => quote!(Some(#title)),
        None => quote!(None),
    };
    let icons = options.icons.field();
    let (is_tool, needs_task) = (options.tool, options.task);
    let state_version = match options.state_version {
        Some(version) => quote!(#version),
        None => quote!(0),
    };
    let input_argument = input.map(|_| quote!(input,));
    let run_argument = run.map(|_| quote!(run));
    let input = input.map_or_else(|| quote!(()), |ty| quote!(#ty));
    let run = run.map_or_else(|| quote!(::exomonad_guest::workflow::Run), |ty| quote!(#ty));
    let state = quote!(<#run as ::exomonad_guest::workflow::Published>::State);
    let output = match &function.sig.output {
        syn::ReturnType::Type(_, ty) => quote!(#ty),
        syn::ReturnType::Default => quote!(()),
    };
    let signals = options.signals.iter().map(|(name, payload)| {
        let schema = match payload {
            Some(ty) => quote!(|| Some(::exomonad_guest::workflow::signal_schema::<#ty>())),
            None => quote!(|| None),
        };
        quote!(::exomonad_guest::workflow::SignalEntry { name: #name, schema: #schema })
    });
    let queries = options.queries.iter().map(|(name, function)| {
        quote! {
            ::exomonad_guest::workflow::QueryEntry {
                name: #name,
                schema: || ::exomonad_guest::workflow::query_schema::<#state, _, _>(#function),
                call: |state, arguments| {
                    ::exomonad_guest::workflow::answer_query::<#state, _>(#function, state, arguments)
                },
            }
        }
    });
    let migrate = match &options.migrate {
        Some(function) => quote! {
            Some(|from_version, state| {
                ::exomonad_guest::workflow::migrate::<#state>(#function, from_version, state)
            })
        },
        None => quote!(None),
    };
    let marker = Ident::new(&ident.to_string(), ident.span());
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #marker {}

        impl ::exomonad_guest::workflow::WorkflowFunction for #marker {
            type Input = #input;
            type Output = <#output as ::exomonad_guest::workflow::WorkflowReturn>::Output;
            type State = #state;
            const ENTRY: ::exomonad_guest::workflow::WorkflowEntry = ::exomonad_guest::workflow::WorkflowEntry {
                name: #name,
                title: #title,
                description: #description,
                #icons
                input_schema: ::exomonad_guest::workflow::input_schema::<#input>,
                output_schema: ::exomonad_guest::workflow::output_schema::<#output>,
                state_schema: ::exomonad_guest::workflow::state_schema::<#state>,
                state_version: #state_version,
                signals: &[#(#signals),*],
                queries: &[#(#queries),*],
                is_tool: #is_tool,
                needs_task: #needs_task,
                call: |input| {
                    ::exomonad_guest::workflow::run_body::<#input, #state, _>(input, |input, run| {
                        let _ = (&input, run);
                        #ident(#input_argument #run_argument)
                    })
                },
                migrate: #migrate,
            };
        }
    })
}
