//! The configuration written out: the effective one, and the documented default file.

mod default_file;
mod effective;
mod table;

pub use default_file::default_file;
pub use effective::render_effective;

#[cfg(test)]
mod tests;
