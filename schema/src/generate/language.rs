//! How a contract becomes a programming language's source.
//!
//! A template sees everything already spelled in its language and only lays it
//! out; what differs between languages in spelling is a [`Mapping`].

use serde::Serialize;

use crate::generate::model::{
    Constant, Content, Contract, Field, Presence, Service, Shape, Tagging, Type, TypeDef,
};
use crate::generate::template;

/// How a language spells what the model holds.
pub trait Mapping {
    /// A type, such as `Vec<String>` for a list of texts.
    fn type_name(&self, ty: &Type) -> String;

    /// The type of a field that may be absent, given the type it has when it is there.
    fn optional(&self, ty: String) -> String;

    /// A field, from its camelCase name in JSON.
    fn field_name(&self, name: &str) -> String;

    /// A constant of an enumeration or an alternative of a union, from its name in JSON.
    fn constant_name(&self, name: &str) -> String;

    /// The function of an effect, from its snake_case name within its service.
    fn function_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// A service where it is a type or a module, from its name such as `git`.
    fn service_type(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// Lays a contract out with a template.
///
/// # Errors
/// When the template is wrong.
pub fn render(
    contract: &Contract,
    mapping: &impl Mapping,
    template: &str,
) -> Result<String, minijinja::Error> {
    let view = ContractView {
        services: contract
            .services
            .iter()
            .map(|service| service_view(mapping, service))
            .collect(),
        types: contract
            .types
            .iter()
            .map(|ty| type_view(contract, mapping, ty))
            .collect(),
    };
    template::render(template, &view)
}

/// What a template sees: `services` and `types`.
#[derive(Serialize)]
struct ContractView<'a> {
    services: Vec<ServiceView<'a>>,
    types: Vec<TypeView<'a>>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    name: &'a str,
    /// The name of the service's type or module.
    ty: String,
    doc: Vec<&'a str>,
    effects: Vec<EffectView<'a>>,
}

#[derive(Serialize)]
struct EffectView<'a> {
    name: &'a str,
    function: &'a str,
    capability: &'a str,
    method: &'a str,
    /// The method as the language writes functions.
    function_name: String,
    doc: Vec<&'a str>,
    request: &'a str,
    answer: &'a str,
}

#[derive(Serialize)]
struct TypeView<'a> {
    name: &'a str,
    doc: Vec<&'a str>,
    /// `record`, `enumeration` or `union`.
    shape: &'static str,
    /// A record's fields.
    fields: Vec<FieldView<'a>>,
    /// Whether a record is a request's: others are refused.
    closed: bool,
    /// Whether a record can be made of nothing.
    has_empty_value: bool,
    /// Whether no field is required.
    all_optional: bool,
    /// An enumeration's constants.
    constants: Vec<ConstantView<'a>>,
    /// A union's tag in JSON.
    tag: Option<&'a str>,
    /// A union's payload in JSON; none when its fields stand beside the tag.
    payload: Option<&'static str>,
    /// A union's alternatives.
    variants: Vec<VariantView<'a>>,
}

#[derive(Serialize)]
struct FieldView<'a> {
    json: &'a str,
    name: String,
    doc: Vec<&'a str>,
    ty: String,
    /// `required`, `optional`, or `empty` when absence is the type's empty value.
    presence: &'static str,
    /// `list`, `map` or `scalar`.
    kind: &'static str,
    /// What absence means, as JSON.
    default: Option<String>,
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct ConstantView<'a> {
    json: &'a str,
    name: String,
    doc: Vec<&'a str>,
}

#[derive(Serialize)]
struct VariantView<'a> {
    json: &'a str,
    name: String,
    doc: Vec<&'a str>,
    payload: Option<String>,
    fields: Vec<FieldView<'a>>,
}

fn service_view<'a>(mapping: &impl Mapping, service: &'a Service) -> ServiceView<'a> {
    ServiceView {
        name: &service.name,
        ty: mapping.service_type(&service.name),
        doc: service.doc.lines().collect(),
        effects: service
            .effects
            .iter()
            .map(|effect| EffectView {
                name: &effect.name,
                function: &effect.function,
                capability: &effect.capability,
                method: &effect.method,
                function_name: mapping.function_name(&effect.method),
                doc: effect.doc.lines().collect(),
                request: &effect.request,
                answer: &effect.answer,
            })
            .collect(),
    }
}

fn type_view<'a>(contract: &Contract, mapping: &impl Mapping, ty: &'a TypeDef) -> TypeView<'a> {
    let mut view = TypeView {
        name: &ty.name,
        doc: ty.doc.lines().collect(),
        shape: "record",
        fields: Vec::new(),
        closed: false,
        has_empty_value: contract.has_empty_value(&Type::Named(ty.name.clone())),
        all_optional: false,
        constants: Vec::new(),
        tag: None,
        payload: None,
        variants: Vec::new(),
    };
    match &ty.shape {
        Shape::Record(record) => {
            view.fields = record
                .fields
                .iter()
                .map(|field| field_view(mapping, field))
                .collect();
            view.closed = record.closed;
            view.all_optional = record
                .fields
                .iter()
                .all(|field| field.presence != Presence::Required);
        }
        Shape::Enumeration(constants) => {
            view.shape = "enumeration";
            view.constants = constants
                .iter()
                .map(|one| constant_view(mapping, one))
                .collect();
        }
        Shape::Union(union) => {
            view.shape = "union";
            (view.tag, view.payload) = match &union.tagging {
                Tagging::Adjacent => (Some("kind"), Some("payload")),
                Tagging::Internal { tag } => (Some(tag.as_str()), None),
            };
            view.variants = union
                .variants
                .iter()
                .map(|variant| VariantView {
                    json: &variant.name,
                    name: mapping.constant_name(&variant.name),
                    doc: variant.doc.lines().collect(),
                    payload: match &variant.content {
                        Content::Payload(ty) => Some(mapping.type_name(ty)),
                        Content::Nothing | Content::Fields(_) => None,
                    },
                    fields: match &variant.content {
                        Content::Fields(fields) => fields
                            .iter()
                            .map(|field| field_view(mapping, field))
                            .collect(),
                        Content::Nothing | Content::Payload(_) => Vec::new(),
                    },
                })
                .collect();
        }
    }
    view
}

fn constant_view<'a>(mapping: &impl Mapping, constant: &'a Constant) -> ConstantView<'a> {
    ConstantView {
        json: &constant.name,
        name: mapping.constant_name(&constant.name),
        doc: constant.doc.lines().collect(),
    }
}

fn field_view<'a>(mapping: &impl Mapping, field: &'a Field) -> FieldView<'a> {
    let ty = mapping.type_name(&field.ty);
    let (presence, ty, default) = match &field.presence {
        Presence::Required => ("required", ty, None),
        Presence::Optional => ("optional", mapping.optional(ty), None),
        Presence::Empty(default) => ("empty", ty, Some(default.to_string())),
        Presence::Default(default) => ("optional", mapping.optional(ty), Some(default.to_string())),
    };
    FieldView {
        json: &field.name,
        name: mapping.field_name(&field.name),
        doc: field.doc.lines().collect(),
        ty,
        presence,
        kind: match &field.ty {
            Type::List(_) => "list",
            Type::Map(_) => "map",
            _ => "scalar",
        },
        default,
        rule: field.rule.as_deref(),
    }
}
