//! The macro of [`table`](crate::table): one declaration per effect defines the enums, and macros by which
//! other crates generate code for every effect.

/// Declares every effect. The grammar, one block per service:
///
/// ```text
/// /// The purpose of the service.
/// (live|optional) git = Git: GitService {
///     /// The description of the effect.
///     Read get_branch(GitGetBranch) -> GitBranch as "git_get_branch";
/// }
/// ```
///
/// The request type's name is the effect's name. An `optional` service does nothing before it is
/// configured.
macro_rules! effects {
    (@declare ($dollar:tt) $(
        $(#[doc = $service_doc:literal])*
        $mode:ident $service:ident = $Service:ident: $Trait:ident {
            $(
                $(#[doc = $doc:literal])*
                $access:ident $method:ident($Request:ident) -> $Answer:ident as $function:literal;
            )*
        }
    )*) => {
        $(use crate::effects::$service::*;)*

        /// Every effect, by name.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[repr(u8)]
        pub enum EffectKind {
            $($(
                $(#[doc = $doc])*
                $Request,
            )*)*
        }

        impl EffectKind {
            /// Every effect, in the table's order: `ALL[kind.index()] == kind`.
            pub const ALL: &'static [Self] = &[$($(Self::$Request,)*)*];

            /// The name in JSON, such as `GitGetBranch`.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$Request => stringify!($Request),)*)* }
            }

            /// The host function, such as `git_get_branch`.
            pub const fn function(self) -> &'static str {
                match self { $($(Self::$Request => $function,)*)* }
            }

            /// The name in grants, such as `git.get_branch`: the service and its method.
            pub const fn capability(self) -> &'static str {
                match self {
                    $($(Self::$Request => {
                        concat!(stringify!($service), ".", stringify!($method))
                    })*)*
                }
            }

            /// The service's method that performs it, such as `get_branch`.
            pub const fn method(self) -> &'static str {
                match self { $($(Self::$Request => stringify!($method),)*)* }
            }

            /// The service that performs it.
            pub const fn service(self) -> Service {
                match self { $($(Self::$Request => Service::$Service,)*)* }
            }

            /// The access that it needs.
            pub const fn access(self) -> Access {
                match self { $($(Self::$Request => Access::$access,)*)* }
            }

            /// Its description in Markdown: the table's doc comment.
            pub const fn doc(self) -> &'static str {
                match self { $($(Self::$Request => concat!($($doc, "\n",)*),)*)* }
            }
        }

        /// An effect as a value: `{"kind":"GitGetBranch","payload":{"workingDir":"."}}`.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(tag = "kind", content = "payload")]
        pub enum Effect {
            $($(
                $(#[doc = $doc])*
                $Request($Request),
            )*)*
        }

        impl Effect {
            /// Which effect it is.
            pub const fn kind(&self) -> EffectKind {
                match self { $($(Self::$Request(_) => EffectKind::$Request,)*)* }
            }

            /// Decodes the request of `kind` from its JSON.
            ///
            /// # Errors
            /// `invalid_input`, naming the effect and the JSON path.
            pub fn decode(kind: EffectKind, request: &[u8]) -> Result<Self, EffectError> {
                match kind {
                    $($(EffectKind::$Request => {
                        $crate::decode::decode::<$Request>(request).map(Self::$Request)
                    })*)*
                }
            }
        }

        $($(
            impl EffectRequest for $Request {
                const KIND: EffectKind = EffectKind::$Request;
                type Answer = $Answer;
            }

            impl From<$Request> for Effect {
                fn from(request: $Request) -> Self {
                    Self::$Request(request)
                }
            }
        )*)*

        /// The services that perform the effects.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "lowercase")]
        pub enum Service {
            $($(#[doc = $service_doc])* $Service,)*
        }

        impl Service {
            /// Every service, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$Service,)*];

            /// The capability prefix, such as `git`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Service => stringify!($service),)* }
            }

            /// The service's purpose: the table's doc comment.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$Service => concat!($($service_doc, "\n",)*),)* }
            }

            /// True if the service needs configuration before it does anything.
            pub const fn is_optional(self) -> bool {
                match self { $(Self::$Service => effects!(@optional $mode),)* }
            }
        }

        /// Hands a service's methods to a macro, as `method(Request) -> Answer;` each: for what implements
        /// them all in one way.
        ///
        /// ```
        /// use exomonad_schema::effects::clock::*;
        /// use exomonad_schema::effects::Done;
        ///
        /// macro_rules! names {
        ///     ($($method:ident($Request:ident) -> $Answer:ident;)*) => { [$(stringify!($method)),*] };
        /// }
        /// assert_eq!(exomonad_schema::methods!(clock names), ["now", "sleep"]);
        /// ```
        #[macro_export]
        macro_rules! methods {
            $(($service $dollar for_each:ident) => {
                $dollar for_each! { $($method($Request) -> $Answer;)* }
            };)*
        }

        /// Hands the whole table to a macro, one block a service, each of the form
        /// `git = Git: GitService { get_branch(GitGetBranch) -> GitBranch; }` with its doc comments: the
        /// host makes its service traits and the dispatch of it.
        #[macro_export]
        macro_rules! services {
            ($dollar declare:ident) => {
                $dollar declare! {
                    $(
                        $(#[doc = $service_doc])*
                        $service = $Service: $Trait {
                            $($(#[doc = $doc])* $method($Request) -> $Answer;)*
                        }
                    )*
                }
            };
        }

        /// Called by [`for_each_effect`], once per effect.
        pub trait EffectVisitor {
            /// Sees one effect as its request type.
            fn visit<R: EffectRequest>(&mut self);
        }

        /// Walks the table with types in hand, in its order.
        pub fn for_each_effect(visitor: &mut impl EffectVisitor) {
            $($(visitor.visit::<$Request>();)*)*
        }
    };

    (@optional live) => { false };
    (@optional optional) => { true };

    // A macro that writes a macro needs a `$` that is not its own.
    ($($table:tt)*) => { effects! { @declare ($) $($table)* } };
}

pub(crate) use effects;
