//! The parameters of a tool's function.

use syn::{FnArg, ItemFn, Result, Type};

/// A tool's parameters, in their required order.
pub struct Parameters<'a> {
    /// The type of the arguments.
    pub arguments: Option<&'a Type>,
    /// True if it takes `&Context`.
    pub context: bool,
}

/// Reads the parameters of the function.
pub fn parameters(function: &ItemFn) -> Result<Parameters<'_>> {
    if let Some(asyncness) = &function.sig.asyncness {
        return Err(syn::Error::new_spanned(
            asyncness,
            "a tool is a plain function: an effect waits in the host, where it holds no thread",
        ));
    }
    let mut parameters = Parameters {
        arguments: None,
        context: false,
    };
    for input in &function.sig.inputs {
        let FnArg::Typed(input) = input else {
            return Err(syn::Error::new_spanned(
                input,
                "a tool is a free function, not a method",
            ));
        };
        match &*input.ty {
            reference @ Type::Reference(_) if parameters.context => {
                return Err(syn::Error::new_spanned(
                    reference,
                    "one `&Context` is enough",
                ));
            }
            Type::Reference(_) => parameters.context = true,
            arguments if parameters.arguments.is_none() && !parameters.context => {
                parameters.arguments = Some(arguments);
            }
            other => {
                return Err(syn::Error::new_spanned(
                    other,
                    "a tool takes its arguments as one type, then perhaps `&Context`",
                ));
            }
        }
    }
    Ok(parameters)
}
