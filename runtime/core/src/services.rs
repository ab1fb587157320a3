//! One trait a service, and [`Services`], which sends each effect to the one that performs it.
//!
//! All of it is made from the contract's table: an effect that is added there does not compile until its
//! service has the method.

use exomonad_schema::effects::Done;
use exomonad_schema::{EffectError, EffectKind};

use crate::call::CallContext;
use crate::handler::{BoxFuture, EffectHandler, EncodedAnswer, answer};

macro_rules! declare {
    ($(
        $(#[doc = $service_doc:literal])*
        $service:ident = $Service:ident: $Trait:ident {
            $($(#[doc = $doc:literal])* $method:ident($Request:ident) -> $Answer:ident;)*
        }
    )*) => {
        $(use exomonad_schema::effects::$service::*;)*

        $(
            $(#[doc = $service_doc])*
            ///
            /// Write the methods as `async fn`; their futures have to be `Send`.
            pub trait $Trait: Send + Sync {
                $(
                    $(#[doc = $doc])*
                    fn $method(
                        &self,
                        call: &CallContext,
                        request: $Request,
                    ) -> impl Future<Output = Result<$Answer, EffectError>> + Send;
                )*
            }

            impl<Inner: $Trait> $Trait for std::sync::Arc<Inner> {
                $(
                    fn $method(
                        &self,
                        call: &CallContext,
                        request: $Request,
                    ) -> impl Future<Output = Result<$Answer, EffectError>> + Send {
                        Inner::$method(self, call, request)
                    }
                )*
            }
        )*

        /// One of each service: together they perform all effects.
        #[derive(Clone, Debug)]
        pub struct Services<$($Service,)*> {
            $($(#[doc = $service_doc])* pub $service: $Service,)*
        }

        impl<$($Service: $Trait,)*> EffectHandler for Services<$($Service,)*> {
            fn handle<'a>(
                &'a self,
                call: &'a CallContext,
                kind: EffectKind,
                request: &'a [u8],
            ) -> BoxFuture<'a, EncodedAnswer> {
                // Boxed per effect: the box is as large as this effect's future, not as the largest of all.
                match kind {
                    $($(EffectKind::$Request => {
                        Box::pin(answer(request, move |request| {
                            self.$service.$method(call, request)
                        }))
                    })*)*
                }
            }
        }
    };
}

exomonad_schema::services!(declare);

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
