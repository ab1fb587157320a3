//! Generation of source code in a programming language.
//!
//! A template gets names and types already in the language's spelling and only arranges
//! them; each [`Language`] defines its own spelling.

use serde::Serialize;

use crate::generate::model::{
    Constant, Content, Contract, Export, Field, Presence, Service, Shape, Tagging, Type, TypeDef,
};
use crate::generate::template;

/// A language's spelling of names and types.
pub trait Language {
    /// A type, such as `Vec<String>` for a list of texts.
    fn type_name(&self, ty: &Type) -> String;

    /// The type of an optional field, given the type of its value.
    fn optional(&self, ty: String) -> String;

    /// A field, from its camelCase name in JSON.
    fn field_name(&self, name: &str) -> String;

    /// A constant of an enumeration or an alternative of a union, from its JSON name.
    fn constant_name(&self, name: &str) -> String;

    /// The function of an effect, from its snake_case name within its service.
    fn function_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// True if a type has to be defined before one that contains it.
    fn defines_before_use(&self) -> bool {
        false
    }

    /// A service as a type or module, from its name such as `git`.
    fn service_type(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// Renders a contract with a template.
///
/// # Errors
/// If the template is wrong.
pub fn render(
    contract: &Contract,
    language: &impl Language,
    template: &str,
) -> Result<String, minijinja::Error> {
    let view = ContractView {
        services: contract
            .services
            .iter()
            .map(|service| service_view(language, service))
            .collect(),
        types: if language.defines_before_use() {
            contract.types_in_order()
        } else {
            contract.types.iter().collect()
        }
        .into_iter()
        .map(|ty| type_view(contract, language, ty))
        .collect(),
        exports: contract.exports.iter().map(export_view).collect(),
        error_codes: contract
            .error_codes
            .iter()
            .map(|code| constant_view(language, code))
            .collect(),
    };
    template::render(template, &view)
}

/// The template's input.
#[derive(Serialize)]
struct ContractView<'a> {
    services: Vec<ServiceView<'a>>,
    types: Vec<TypeView<'a>>,
    exports: Vec<ExportView<'a>>,
    error_codes: Vec<ConstantView<'a>>,
}

#[derive(Serialize)]
struct ExportView<'a> {
    name: &'a str,
    input: Option<&'a str>,
    output: &'a str,
    /// A hook's event.
    event: Option<&'a str>,
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
    /// The method in the language's spelling of functions.
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
    /// True for a request's record, which refuses unknown fields.
    closed: bool,
    /// True if a record can be built from nothing.
    has_empty_value: bool,
    /// True if no field is required.
    all_optional: bool,
    /// True if plugins make values of it, and not only read them.
    made_by_plugins: bool,
    /// An enumeration's constants.
    constants: Vec<ConstantView<'a>>,
    /// A union's tag in JSON.
    tag: Option<&'a str>,
    /// A union's payload in JSON; none if its fields are next to the tag.
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
    /// Its type in itself, not in the language's spelling, without its being optional.
    shape: &'a Type,
    /// `required`, `optional`, or `empty` when absence is the type's empty value.
    presence: &'static str,
    /// `list`, `map` or `scalar`.
    kind: &'static str,
    /// The value that absence stands for, as JSON.
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
    /// The payload's type in itself.
    payload_shape: Option<&'a Type>,
    fields: Vec<FieldView<'a>>,
}

fn service_view<'a>(language: &impl Language, service: &'a Service) -> ServiceView<'a> {
    ServiceView {
        name: &service.name,
        ty: language.service_type(&service.name),
        doc: service.doc.lines().collect(),
        effects: service
            .effects
            .iter()
            .map(|effect| EffectView {
                name: &effect.name,
                function: &effect.function,
                capability: &effect.capability,
                method: &effect.method,
                function_name: language.function_name(&effect.method),
                doc: effect.doc.lines().collect(),
                request: &effect.request,
                answer: &effect.answer,
            })
            .collect(),
    }
}

fn type_view<'a>(contract: &Contract, language: &impl Language, ty: &'a TypeDef) -> TypeView<'a> {
    let mut view = TypeView {
        name: &ty.name,
        doc: ty.doc.lines().collect(),
        shape: "record",
        fields: Vec::new(),
        closed: false,
        has_empty_value: contract.has_empty_value(&Type::Named(ty.name.clone())),
        all_optional: false,
        made_by_plugins: contract.made_by_plugins().contains(ty.name.as_str()),
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
                .map(|field| field_view(language, field))
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
                .map(|one| constant_view(language, one))
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
                    name: language.constant_name(&variant.name),
                    doc: variant.doc.lines().collect(),
                    payload: match &variant.content {
                        Content::Payload(ty) => Some(language.type_name(ty)),
                        Content::Nothing | Content::Fields(_) => None,
                    },
                    payload_shape: match &variant.content {
                        Content::Payload(ty) => Some(ty),
                        Content::Nothing | Content::Fields(_) => None,
                    },
                    fields: match &variant.content {
                        Content::Fields(fields) => fields
                            .iter()
                            .map(|field| field_view(language, field))
                            .collect(),
                        Content::Nothing | Content::Payload(_) => Vec::new(),
                    },
                })
                .collect();
        }
    }
    view
}

fn export_view(export: &Export) -> ExportView<'_> {
    ExportView {
        name: &export.name,
        input: export.input.as_deref(),
        output: &export.output,
        event: export.event.as_deref(),
    }
}

fn constant_view<'a>(language: &impl Language, constant: &'a Constant) -> ConstantView<'a> {
    ConstantView {
        json: &constant.name,
        name: language.constant_name(&constant.name),
        doc: constant.doc.lines().collect(),
    }
}

fn field_view<'a>(language: &impl Language, field: &'a Field) -> FieldView<'a> {
    let ty = language.type_name(&field.ty);
    let (presence, ty, default) = match &field.presence {
        Presence::Required => ("required", ty, None),
        Presence::Optional => ("optional", language.optional(ty), None),
        Presence::Empty(default) => ("empty", ty, Some(default.to_string())),
        Presence::Default(default) => {
            ("optional", language.optional(ty), Some(default.to_string()))
        }
    };
    FieldView {
        json: &field.name,
        name: language.field_name(&field.name),
        doc: field.doc.lines().collect(),
        ty,
        shape: &field.ty,
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
