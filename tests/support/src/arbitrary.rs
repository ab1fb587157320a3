//! Arbitrary JSON of the contract's types, made from the model.
//!
//! Limits are taken from the JSON Schema, so that schema, model and Rust type
//! are compared with each other and not with themselves.

use exomonad_schema::generate::model::{Content, Contract, Field, Presence, Shape, Tagging, Type};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

/// Values of a named type.
pub fn value(contract: &Contract, definitions: &Value, ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Named(name) => named(contract, definitions, name),
        other => scalar(contract, definitions, other, &Value::Null),
    }
}

fn named(contract: &Contract, definitions: &Value, name: &str) -> BoxedStrategy<Value> {
    let schema = &definitions[name];
    let shape = &contract.type_named(name).unwrap().shape;
    match shape {
        Shape::Record(record) => fields(contract, definitions, schema, &record.fields)
            .prop_map(Value::Object)
            .boxed(),
        Shape::Enumeration(constants) => {
            let names: Vec<_> = constants
                .iter()
                .map(|constant| json!(constant.name))
                .collect();
            prop::sample::select(names).boxed()
        }
        Shape::Union(union) => {
            let variants = union.variants.iter().enumerate().map(|(index, variant)| {
                let schema = &schema["oneOf"][index];
                let content = match &variant.content {
                    Content::Nothing => Just(Map::new()).boxed(),
                    Content::Payload(ty) => value(contract, definitions, ty)
                        .prop_map(|payload| Map::from_iter([("payload".to_owned(), payload)]))
                        .boxed(),
                    Content::Fields(content) => fields(contract, definitions, schema, content),
                };
                let tag = match &union.tagging {
                    Tagging::Adjacent => "kind".to_owned(),
                    Tagging::Internal { tag } => tag.clone(),
                };
                let name = variant.name.clone();
                content
                    .prop_map(move |content| {
                        let mut tagged = Map::from_iter([(tag.clone(), json!(name))]);
                        tagged.extend(content);
                        Value::Object(tagged)
                    })
                    .boxed()
            });
            prop::strategy::Union::new(variants).boxed()
        }
    }
}

fn fields(
    contract: &Contract,
    definitions: &Value,
    schema: &Value,
    fields: &[Field],
) -> BoxedStrategy<Map<String, Value>> {
    let mut object = Just(Map::new()).boxed();
    for field in fields {
        let schema = &schema["properties"][&field.name];
        let present = scalar(contract, definitions, &field.ty, schema).prop_map(Some);
        let maybe = match field.presence {
            Presence::Required => present.boxed(),
            _ => prop_oneof![3 => present, 1 => Just(None)].boxed(),
        };
        let name = field.name.clone();
        object = (object, maybe)
            .prop_map(move |(mut object, value)| {
                object.extend(value.map(|value| (name.clone(), value)));
                object
            })
            .boxed();
    }
    object
}

fn scalar(
    contract: &Contract,
    definitions: &Value,
    ty: &Type,
    schema: &Value,
) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Integer { signed, bits } => integer(*signed, *bits, schema),
        Type::Text => text(schema),
        Type::Bytes => prop::sample::select(vec!["", "AA==", "/+8=", "aGVsbG8="])
            .prop_map(Value::from)
            .boxed(),
        Type::Json => any_json(),
        Type::List(item) => {
            let min = schema["minItems"].as_u64().unwrap_or(0) as usize;
            let item = scalar(contract, definitions, item, &schema["items"]);
            vec(item, min..min + 3).prop_map(Value::from).boxed()
        }
        Type::Map(item) => {
            let item = scalar(contract, definitions, item, &schema["additionalProperties"]);
            btree_map(any_text(), item, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect()))
                .boxed()
        }
        Type::Named(name) => named(contract, definitions, name),
    }
}

/// An integer, often one of the extremes of its type or its schema.
fn integer(signed: bool, bits: u8, schema: &Value) -> BoxedStrategy<Value> {
    if signed {
        let (min, max) = (-1_i64 << (bits - 1), ((1_i128 << (bits - 1)) - 1) as i64);
        return prop_oneof![Just(min), Just(max), Just(0), min..=max]
            .prop_map(Value::from)
            .boxed();
    }
    let widest = ((1_u128 << bits) - 1) as u64;
    let min = schema["minimum"].as_u64().unwrap_or(0);
    let max = schema["maximum"].as_u64().unwrap_or(widest);
    prop_oneof![Just(min), Just(max), min..=max]
        .prop_map(Value::from)
        .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(pattern) = schema["pattern"].as_str() {
        let unanchored = pattern.trim_start_matches('^').trim_end_matches('$');
        return string_regex(unanchored)
            .unwrap()
            .prop_map(Value::from)
            .boxed();
    }
    let min = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let max = schema["maxLength"].as_u64().unwrap_or(u64::MAX) as usize;
    any_text()
        .prop_map(move |text| {
            let mut text: String = text.chars().take(max).collect();
            while text.chars().count() < min {
                text.push('𝔵');
            }
            Value::from(text)
        })
        .boxed()
}

/// Text in many scripts, including characters that JSON must escape, and the empty text.
fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        any::<String>(),
        "[\\x00-\\x1f\"\\\\/\u{7f}]{1,8}",
        prop::sample::select(vec![
            "日本語",
            "العربية",
            "עברית",
            "हिन्दी",
            "👩‍👩‍👧‍👦",
            "e\u{301}",
            "\u{2028}\u{feff}\u{fffd}",
            "\u{10ffff}",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(any_text(), inner, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
    .boxed()
}
