//! `EFFECTS.md`: the reference for people.

use serde::Serialize;

use crate::generate::example::example;
use crate::generate::model::{Content, Contract, Field, Presence, Shape, Tagging, Type, TypeDef};
use crate::generate::template;

const TEMPLATE: &str = include_str!("../../templates/effects.md.jinja");

/// Renders the reference.
pub fn render(contract: &Contract) -> Result<String, minijinja::Error> {
    template::render(TEMPLATE, &view(contract))
}

#[derive(Serialize)]
struct View<'a> {
    services: Vec<ServiceView<'a>>,
    types: Vec<TypeView<'a>>,
    codes: Vec<Row>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    name: &'a str,
    doc: String,
    optional: bool,
    effects: Vec<EffectView<'a>>,
}

#[derive(Serialize)]
struct EffectView<'a> {
    name: &'a str,
    function: &'a str,
    capability: &'a str,
    access: &'a str,
    doc: String,
    request: Vec<Row>,
    answer_type: &'a str,
    answer: Vec<Row>,
    request_example: String,
    answer_example: String,
}

#[derive(Serialize)]
struct TypeView<'a> {
    name: &'a str,
    doc: String,
    rows: Vec<Row>,
    shape: &'static str,
}

/// A row of a table: a field, a constant, an alternative or a code.
#[derive(Serialize)]
struct Row {
    name: String,
    ty: String,
    when_absent: String,
    doc: String,
}

fn view(contract: &Contract) -> View<'_> {
    let top_level = |name: &str| {
        contract
            .effects()
            .any(|effect| effect.request == name || effect.answer == name)
    };
    View {
        services: contract
            .services
            .iter()
            .map(|service| ServiceView {
                name: &service.name,
                doc: cell(&service.doc),
                optional: service.optional,
                effects: service
                    .effects
                    .iter()
                    .map(|effect| effect_view(contract, effect))
                    .collect(),
            })
            .collect(),
        types: contract
            .types
            .iter()
            .filter(|ty| !top_level(&ty.name) && ty.name != "ErrorCode")
            .map(type_view)
            .collect(),
        codes: contract
            .error_codes
            .iter()
            .map(|code| named(&code.name, &code.doc))
            .collect(),
    }
}

fn effect_view<'a>(
    contract: &Contract,
    effect: &'a crate::generate::model::Effect,
) -> EffectView<'a> {
    let rows = |name: &str| contract.type_named(name).map(rows).unwrap_or_default();
    let json = |name: &str| example(contract, &Type::Named(name.to_owned())).to_string();
    EffectView {
        name: &effect.name,
        function: &effect.function,
        capability: &effect.capability,
        access: &effect.access,
        doc: cell(&effect.doc),
        request: rows(&effect.request),
        answer_type: &effect.answer,
        answer: rows(&effect.answer),
        request_example: json(&effect.request),
        answer_example: format!(r#"{{"kind":"Success","payload":{}}}"#, json(&effect.answer)),
    }
}

fn type_view(ty: &TypeDef) -> TypeView<'_> {
    TypeView {
        name: &ty.name,
        doc: cell(&ty.doc),
        rows: rows(ty),
        shape: match &ty.shape {
            Shape::Record(_) => "record",
            Shape::Enumeration(_) => "enumeration",
            Shape::Union(_) => "union",
        },
    }
}

fn rows(ty: &TypeDef) -> Vec<Row> {
    match &ty.shape {
        Shape::Record(record) => record.fields.iter().map(field_row).collect(),
        Shape::Enumeration(constants) => constants
            .iter()
            .map(|constant| named(&constant.name, &constant.doc))
            .collect(),
        Shape::Union(union) => union
            .variants
            .iter()
            .map(|variant| Row {
                ty: match (&variant.content, &union.tagging) {
                    (Content::Nothing, _) => String::new(),
                    (Content::Payload(ty), _) => type_name(ty),
                    (Content::Fields(fields), Tagging::Adjacent | Tagging::Internal { .. }) => {
                        fields
                            .iter()
                            .map(field_summary)
                            .collect::<Vec<_>>()
                            .join(", ")
                    }
                },
                ..named(&variant.name, &variant.doc)
            })
            .collect(),
    }
}

fn field_row(field: &Field) -> Row {
    let mut doc = cell(&field.doc);
    if let Some(rule) = &field.rule {
        doc.push_str(&format!(" ({})", cell(rule)));
    }
    Row {
        name: field.name.clone(),
        ty: type_name(&field.ty),
        when_absent: match &field.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional => "optional".to_owned(),
            Presence::Empty(default) | Presence::Default(default) => format!("`{default}`"),
        },
        doc,
    }
}

/// `mimeType?: text`.
fn field_summary(field: &Field) -> String {
    let mark = if field.presence == Presence::Required {
        ""
    } else {
        "?"
    };
    format!("`{}{mark}`: {}", field.name, type_name(&field.ty))
}

fn named(name: &str, doc: &str) -> Row {
    Row {
        name: name.to_owned(),
        ty: String::new(),
        when_absent: String::new(),
        doc: cell(doc),
    }
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::Integer { signed, bits } => format!("{}int{bits}", if *signed { "" } else { "u" }),
        Type::Text => "text".to_owned(),
        Type::Bytes => "base64".to_owned(),
        Type::Json => "any JSON".to_owned(),
        Type::List(item) => format!("list of {}", type_name(item)),
        Type::Map(item) => format!("map of {}", type_name(item)),
        Type::Named(name) => format!("[{name}](#{})", name.to_lowercase()),
    }
}

/// The text of a table cell.
fn cell(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
