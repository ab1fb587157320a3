//! The contract, independent of any programming language.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

/// The whole contract.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The services, in the table's order.
    pub services: Vec<Service>,
    /// The types, by name.
    pub types: Vec<TypeDef>,
    /// The error codes and their meanings.
    pub error_codes: Vec<Constant>,
    /// The entry points of a plugin, in their order in `common.json`.
    pub exports: Vec<Export>,
}

/// An entry point of a plugin, which the host calls.
#[derive(Clone, Debug)]
pub struct Export {
    /// `handle_mcp_call`; a hook's is `handle_pre_tool_use`.
    pub name: String,
    /// The name of the input's type; none if it takes nothing.
    pub input: Option<String>,
    /// The name of the output's type.
    pub output: String,
    /// A hook's event, such as `pre_tool_use`.
    pub event: Option<String>,
}

/// A service and its effects.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name, such as `git`.
    pub name: String,
    /// Its purpose.
    pub doc: String,
    /// True if it has to be configured.
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
    /// Its description.
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
    /// Its description.
    pub doc: String,
    /// Its structure.
    pub shape: Shape,
}

/// The structure of a type.
#[derive(Clone, Debug)]
pub enum Shape {
    /// An object.
    Record(Record),
    /// One of several strings.
    Enumeration(Vec<Constant>),
    /// One of several structures, distinguished by a tag.
    Union(Union),
}

/// An object's fields.
#[derive(Clone, Debug)]
pub struct Record {
    /// The fields, in the order of their declaration.
    pub fields: Vec<Field>,
    /// True if any other field is refused, as in requests.
    pub closed: bool,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// Its description.
    pub doc: String,
    /// Its type.
    pub ty: Type,
    /// When it may be absent.
    pub presence: Presence,
    /// The constraint on its value, such as `1–100` or a pattern.
    pub rule: Option<String>,
}

/// The condition under which a field may be absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// Never.
    Required,
    /// If there is no value; absence is different from any value.
    Optional,
    /// If it has this value, which is its type's own empty value: `false`, `0`, `""`,
    /// `[]`, `{}`, `null`.
    Empty(Value),
    /// If it has this value, which is not its type's empty value.
    Default(Value),
}

/// A type. Templates see it as `{"kind":"list","of":{"kind":"text"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// True if it can be negative.
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

/// A string with a meaning.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The string in JSON.
    pub name: String,
    /// Its meaning.
    pub doc: String,
}

/// Alternatives, distinguished by a tag.
#[derive(Clone, Debug)]
pub struct Union {
    /// The position of the tag.
    pub tagging: Tagging,
    /// The alternatives.
    pub variants: Vec<Variant>,
}

/// The position of a union's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// Next to the payload: `{"kind":…,"payload":…}`.
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
    /// Its description.
    pub doc: String,
    /// Its content.
    pub content: Content,
}

/// The content of an alternative.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// A payload.
    Payload(Type),
    /// Fields next to the tag.
    Fields(Vec<Field>),
}

impl Contract {
    /// The type with this name.
    pub fn type_named(&self, name: &str) -> Option<&TypeDef> {
        self.types.iter().find(|ty| ty.name == name)
    }

    /// The types in an order in which each comes after those that it has: for languages that read from top
    /// to bottom. The contract's types never contain themselves.
    pub fn types_in_order(&self) -> Vec<&TypeDef> {
        let mut ordered: Vec<&TypeDef> = Vec::new();
        for ty in &self.types {
            self.append_in_order(ty, &mut ordered);
        }
        ordered
    }

    fn append_in_order<'a>(&'a self, ty: &'a TypeDef, ordered: &mut Vec<&'a TypeDef>) {
        if ordered.iter().any(|one| one.name == ty.name) {
            return;
        }
        for name in ty.uses() {
            if let Some(used) = self.type_named(name) {
                self.append_in_order(used, ordered);
            }
        }
        ordered.push(ty);
    }

    /// The names of the types that plugins make values of: requests, the outputs of exports, and what those
    /// contain. Of all others plugins only read values.
    pub fn made_by_plugins(&self) -> BTreeSet<&str> {
        let requests = self.effects().map(|effect| effect.request.as_str());
        let outputs = self.exports.iter().map(|export| export.output.as_str());
        let mut names: Vec<&str> = requests.chain(outputs).collect();
        let mut made = BTreeSet::new();
        while let Some(name) = names.pop() {
            if made.insert(name) {
                names.extend(self.type_named(name).into_iter().flat_map(TypeDef::uses));
            }
        }
        made
    }

    /// Every effect.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.services.iter().flat_map(|service| &service.effects)
    }

    /// True if a value of the type can be built from nothing: the empty text, zero,
    /// an empty collection. Enumerations and unions have no such value.
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

impl TypeDef {
    /// The names of the types that it contains.
    fn uses(&self) -> Vec<&str> {
        let types: Vec<&Type> = match &self.shape {
            Shape::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
            Shape::Enumeration(_) => Vec::new(),
            Shape::Union(union) => union
                .variants
                .iter()
                .flat_map(|variant| match &variant.content {
                    Content::Nothing => Vec::new(),
                    Content::Payload(ty) => vec![ty],
                    Content::Fields(fields) => fields.iter().map(|field| &field.ty).collect(),
                })
                .collect(),
        };
        types.into_iter().filter_map(Type::named).collect()
    }
}

impl Type {
    /// The name of the type that it is, or that it has items of.
    fn named(&self) -> Option<&str> {
        match self {
            Self::List(item) | Self::Map(item) => item.named(),
            Self::Named(name) => Some(name),
            Self::Bool | Self::Integer { .. } | Self::Text | Self::Bytes | Self::Json => None,
        }
    }
}
