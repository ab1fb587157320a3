//! Rust's spelling of names and types, for `guest-sdk/rust`.

use crate::generate::language::Language;
use crate::generate::model::Type;

/// Rust's template.
pub const TEMPLATE: &str = include_str!("../../templates/rust.rs.jinja");

/// The spelling of names and types in Rust.
pub struct Rust;

impl Language for Rust {
    fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::Integer { signed, bits } => format!("{}{bits}", if *signed { 'i' } else { 'u' }),
            Type::Text => "String".to_owned(),
            Type::Bytes => "Base64".to_owned(),
            Type::Json => "Json".to_owned(),
            Type::List(item) => format!("Vec<{}>", self.type_name(item)),
            Type::Map(item) => format!("BTreeMap<String, {}>", self.type_name(item)),
            Type::Named(name) => name.clone(),
        }
    }

    fn optional(&self, ty: String) -> String {
        format!("Option<{ty}>")
    }

    fn field_name(&self, name: &str) -> String {
        match name {
            // The only field name that is a keyword; `r#ref` would be harder to read.
            "ref" => return "reference".to_owned(),
            "_meta" => return "meta".to_owned(),
            _ => {}
        }
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }

    fn constant_name(&self, name: &str) -> String {
        name.split('_')
            .map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                first.to_ascii_uppercase() + rest
            })
            .collect()
    }
}
