//! exomonad
fn main(){}
