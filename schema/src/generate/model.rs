//! The contract in words that belong to no programming language.

use serde_json::Value;

/// The whole contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The services, in the table's order.
    pub services: Vec<Service>,
    /// The types, by name.
    pub types: Vec<TypeDef>,
    /// The error codes and what they mean.
    pub error_codes: Vec<Constant>,
}

/// A service and its effects.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name, such as `git`.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// Whether it has to be set up.
    pub optional: bool,
    /// Its effects, in the table's order.
    pub effects: Vec<Effect>,
}

/// An effect.
#[derive(Clone, Debug)]
pub struct Effect {
    /// `GitGetBranch`.
    pub name: String,
    /// `git_get_branch`.
    pub function: String,
    /// `git.get_branch`.
    pub capability: String,
    /// `get_branch`.
    pub method: String,
    /// `read` or `write`.
    pub access: String,
    /// What it does.
    pub doc: String,
    /// The name of the request's type.
    pub request: String,
    /// The name of the answer's type.
    pub answer: String,
}

/// A type with a name.
#[derive(Clone, Debug)]
pub struct TypeDef {
    /// Its name.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// What it is made of.
    pub shape: Shape,
}

/// What a type is made of.
#[derive(Clone, Debug)]
pub enum Shape {
    /// An object.
    Record(Record),
    /// One of several texts.
    Enumeration(Vec<Constant>),
    /// One of several shapes, told apart by a tag.
    Union(Union),
}

/// An object's fields.
#[derive(Clone, Debug)]
pub struct Record {
    /// The fields, as they were declared.
    pub fields: Vec<Field>,
    /// Whether any other field is refused; so it is in requests.
    pub closed: bool,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// Its type.
    pub ty: Type,
    /// When it may be absent.
    pub presence: Presence,
    /// What its value must keep to, such as `1–100` or a pattern.
    pub rule: Option<String>,
}

/// When a field may be absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// Never.
    Required,
    /// When there is nothing to say; that means something else than any value.
    Optional,
    /// When it is this, which is its type's own empty value: `false`, `0`, `""`,
    /// `[]`, `{}`, `null`.
    Empty(Value),
    /// When it is this, which is not its type's empty value.
    Default(Value),
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// Whether it may be below zero.
        signed: bool,
        /// 16, 32 or 64.
        bits: u8,
    },
    /// Text.
    Text,
    /// Bytes, in JSON as base64.
    Bytes,
    /// Any JSON.
    Json,
    /// A list.
    List(Box<Type>),
    /// A map from texts.
    Map(Box<Type>),
    /// A [`TypeDef`].
    Named(String),
}

/// A text with a meaning.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The text in JSON.
    pub name: String,
    /// What it means.
    pub doc: String,
}

/// Alternatives, told apart by a tag.
#[derive(Clone, Debug)]
pub struct Union {
    /// Where the tag stands.
    pub tagging: Tagging,
    /// The alternatives.
    pub variants: Vec<Variant>,
}

/// Where a union's tag stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// Beside the payload: `{"kind":…,"payload":…}`.
    Adjacent,
    /// Among the fields: `{"type":…,"text":…}`.
    Internal {
        /// The tag's name.
        tag: String,
    },
}

/// An alternative.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its tag.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// What it carries.
    pub content: Content,
}

/// What an alternative carries.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A payload.
    Payload(Type),
    /// Fields beside the tag.
    Fields(Vec<Field>),
}

impl Contract {
    /// The type with this name.
    pub fn type_named(&self, name: &str) -> Option<&TypeDef> {
        self.types.iter().find(|ty| ty.name == name)
    }

    /// Every effect.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.services.iter().flat_map(|service| &service.effects)
    }

    /// Whether a value of the type can be made of nothing: the empty text, zero,
    /// no entries. An enumeration has no such value, nor has a union.
    pub fn has_empty_value(&self, ty: &Type) -> bool {
        match ty {
            Type::Named(name) => self.type_named(name).is_some_and(|ty| match &ty.shape {
                Shape::Record(record) => record.fields.iter().all(|field| {
                    field.presence != Presence::Required || self.has_empty_value(&field.ty)
                }),
                Shape::Enumeration(_) | Shape::Union(_) => false,
            }),
            _ => true,
        }
    }
}
