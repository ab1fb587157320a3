//! [`BoundsMap`]: what a role's effects may touch, one type a service.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// The bounds of a role. Each service declares a type of its own (`GitHubBounds { repos }`), which says
/// by [`Default`] that nothing is allowed; this map holds one value of each, so that neither the call nor
/// any other service knows what they are.
#[derive(Clone, Default)]
pub struct BoundsMap(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl BoundsMap {
    /// The map with `bounds` put in, in place of what it had of this type.
    #[must_use]
    pub fn with<B: Any + Send + Sync>(mut self, bounds: B) -> Self {
        self.0.insert(TypeId::of::<B>(), Arc::new(bounds));
        self
    }

    /// The bounds of this type; the type's default, which allows nothing, where none were put in.
    pub fn get<B: Any + Send + Sync + Default + NoBounds>(&self) -> &B {
        self.0
            .get(&TypeId::of::<B>())
            .and_then(|bounds| bounds.downcast_ref())
            .unwrap_or_else(|| B::none())
    }
}

/// Bounds that allow nothing, as a value that lives for ever; see [`no_bounds`](crate::no_bounds).
pub trait NoBounds: Sized + 'static {
    /// The value.
    fn none() -> &'static Self;
}

/// Implements [`NoBounds`] for types with a `Default` that allows nothing.
#[macro_export]
macro_rules! no_bounds {
    ($($Bounds:ty),*) => {
        $(impl $crate::bounds::NoBounds for $Bounds {
            fn none() -> &'static Self {
                static NONE: std::sync::LazyLock<$Bounds> = std::sync::LazyLock::new(Default::default);
                &NONE
            }
        })*
    };
}

impl fmt::Debug for BoundsMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BoundsMap({} services)", self.0.len())
    }
}

/// The map without bounds: everything is refused.
pub fn nothing() -> &'static BoundsMap {
    static NOTHING: LazyLock<BoundsMap> = LazyLock::new(BoundsMap::default);
    &NOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Repos(Vec<String>);

    no_bounds!(Repos);

    #[test]
    fn a_role_without_bounds_of_a_service_has_those_that_allow_nothing() {
        assert_eq!(nothing().get::<Repos>(), &Repos::default());
        let bounds = BoundsMap::default().with(Repos(vec!["a/*".to_owned()]));
        assert_eq!(bounds.get::<Repos>().0, ["a/*"]);
    }
}
