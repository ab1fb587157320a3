//! Schedules: the times at which they start runs ([`spec`]), and what is done when one is due ([`plan`]).

pub mod plan;
pub mod spec;

pub use plan::{Overlap, Plan, plan};
pub use spec::{Spec, SpecError};
