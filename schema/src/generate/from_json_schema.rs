//! Conversion of JSON Schemas to the model.
//!
//! Accepts the schemas that schemars writes for the contract's types and refuses any
//! other, so that no generator has to guess.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::generate::model::{
    Constant, Content, Contract, Effect, Export, Field, Presence, Record, Service, Shape, Tagging,
    Type, TypeDef, Union, Variant,
};

/// A JSON Schema that the model cannot express.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {problem}; give the type a shape that schema/src/generate/from_json_schema.rs knows, or extend it"
)]
pub struct UnsupportedSchemaError {
    path: String,
    problem: String,
}

type Converted<T> = Result<T, UnsupportedSchemaError>;

/// Converts the two documents to the model.
///
/// # Errors
/// If a schema has a structure that the model cannot express.
pub fn contract_from_json_schema(effects: &Value, common: &Value) -> Converted<Contract> {
    let mut definitions = BTreeMap::new();
    for document in [effects, common] {
        for (name, schema) in object(document.get("$defs"), "$defs")? {
            definitions.insert(name.as_str(), schema);
        }
    }
    // Generated code defines these two itself.
    for own in ["Effect", "Answer"] {
        definitions.remove(own);
    }
    let types = definitions
        .into_iter()
        .map(|(name, schema)| convert_type_def(name, schema))
        .collect::<Converted<_>>()?;
    let services = array(effects.get("x-services"), "x-services")?
        .iter()
        .map(|service| convert_service(service, effects))
        .collect::<Converted<_>>()?;
    let error_codes = array(effects.get("x-errorCodes"), "x-errorCodes")?
        .iter()
        .map(|code| Constant {
            name: text(code, "code"),
            doc: text(code, "description"),
        })
        .collect();
    let mut contract = Contract {
        services,
        types,
        error_codes,
        exports: Vec::new(),
    };
    contract.exports = convert_exports(&contract, common)?;
    Ok(contract)
}

/// The entry points; `handle_<event>` stands for one of each event.
fn convert_exports(contract: &Contract, common: &Value) -> Converted<Vec<Export>> {
    let mut exports = Vec::new();
    for (name, export) in object(common.get("x-exports"), "x-exports")? {
        let input = export.get("input").and_then(reference);
        let output = export.get("output").and_then(reference);
        let output = output.ok_or_else(|| unsupported(name, "has no named output"))?;
        let named = |name: String, event: Option<&Constant>| Export {
            name,
            input: input.clone(),
            output: output.clone(),
            event: event.map(|event| event.name.clone()),
        };
        let Some(prefix) = name.strip_suffix("<event>") else {
            exports.push(named(name.clone(), None));
            continue;
        };
        let events = contract.type_named("HookEvent").map(|ty| &ty.shape);
        let Some(Shape::Enumeration(events)) = events else {
            return Err(unsupported("HookEvent", "is no enumeration"));
        };
        let of_events = events.iter();
        exports
            .extend(of_events.map(|event| named(format!("{prefix}{}", event.name), Some(event))));
    }
    Ok(exports)
}

fn convert_service(service: &Value, effects: &Value) -> Converted<Service> {
    let name = text(service, "name");
    let effects = array(effects.get("x-effects"), "x-effects")?
        .iter()
        .filter(|effect| text(effect, "service") == name)
        .map(convert_effect)
        .collect::<Converted<_>>()?;
    Ok(Service {
        doc: text(service, "description"),
        optional: service.get("optional") == Some(&Value::Bool(true)),
        effects,
        name,
    })
}

fn convert_effect(effect: &Value) -> Converted<Effect> {
    let name = text(effect, "name");
    let named = |role: &str| {
        effect
            .get(role)
            .and_then(reference)
            .ok_or_else(|| unsupported(&format!("{name}.{role}"), "is not a named type"))
    };
    Ok(Effect {
        request: named("request")?,
        answer: named("answer")?,
        function: text(effect, "function"),
        capability: text(effect, "capability"),
        method: text(effect, "method"),
        access: text(effect, "access"),
        doc: text(effect, "description"),
        name,
    })
}

fn convert_type_def(name: &str, schema: &Value) -> Converted<TypeDef> {
    let shape = match schema.get("oneOf") {
        Some(alternatives) => convert_alternatives(name, array(Some(alternatives), name)?)?,
        None => Shape::Record(convert_record(name, schema)?),
    };
    Ok(TypeDef {
        name: name.to_owned(),
        doc: text(schema, "description"),
        shape,
    })
}

fn convert_record(path: &str, schema: &Value) -> Converted<Record> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err(unsupported(path, "is neither an object nor one of several"));
    }
    Ok(Record {
        fields: convert_fields(path, schema, None)?,
        closed: schema.get("additionalProperties") == Some(&Value::Bool(false)),
    })
}

fn convert_fields(path: &str, schema: &Value, except: Option<&str>) -> Converted<Vec<Field>> {
    let Some(properties) = schema.get("properties") else {
        return Ok(Vec::new());
    };
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    object(Some(properties), path)?
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != except)
        .map(|(name, schema)| {
            let is_required = required.iter().any(|required| required == name.as_str());
            convert_field(&format!("{path}.{name}"), name, schema, is_required)
        })
        .collect()
}

fn convert_field(path: &str, name: &str, schema: &Value, is_required: bool) -> Converted<Field> {
    let (ty, nullable) = convert_type(path, schema)?;
    let presence = if is_required {
        Presence::Required
    } else if let Some(default) = schema.get("default").filter(|_| !nullable) {
        match empty_value(&ty) {
            Some(empty) if empty == *default => Presence::Empty(empty),
            _ => Presence::Default(default.clone()),
        }
    } else {
        match (&ty, nullable) {
            (Type::List(_) | Type::Map(_), false) => {
                empty_value(&ty).map_or(Presence::Optional, Presence::Empty)
            }
            _ => Presence::Optional,
        }
    };
    let (name, doc) = (name.to_owned(), text(schema, "description"));
    Ok(Field {
        name,
        doc,
        ty,
        presence,
        rule: convert_rule(schema),
    })
}

/// A field's type, and true if `null` stands for its absence.
fn convert_type(path: &str, schema: &Value) -> Converted<(Type, bool)> {
    if let Some(name) = reference(schema) {
        return Ok((Type::Named(name), false));
    }
    if let Some(alternatives) = schema.get("anyOf") {
        let [one, null] = array(Some(alternatives), path)?.as_slice() else {
            return Err(unsupported(path, "is one of several without a tag"));
        };
        if text(null, "type") != "null" {
            return Err(unsupported(path, "is one of two without a tag"));
        }
        return Ok((convert_type(path, one)?.0, true));
    }
    let (name, nullable) = match schema.get("type") {
        None => return Ok((Type::Json, false)),
        Some(Value::String(name)) => (name.as_str(), false),
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name), null] if null == "null" => (name.as_str(), true),
            _ => return Err(unsupported(path, "has several types")),
        },
        Some(_) => return Err(unsupported(path, "has no type")),
    };
    let item = |key: &str| match schema.get(key) {
        Some(item) => convert_type(path, item).map(|(ty, _)| Box::new(ty)),
        None => Ok(Box::new(Type::Json)),
    };
    let ty = match name {
        "boolean" => Type::Bool,
        "string" if schema.get("contentEncoding").is_some() => Type::Bytes,
        "string" => Type::Text,
        "integer" => convert_integer(path, &text(schema, "format"))?,
        "array" => Type::List(item("items")?),
        "object" => Type::Map(item("additionalProperties")?),
        other => return Err(unsupported(path, &format!("has the type `{other}`"))),
    };
    Ok((ty, nullable))
}

fn convert_integer(path: &str, format: &str) -> Converted<Type> {
    let (signed, bits) = match format {
        "uint16" => (false, 16),
        "uint32" => (false, 32),
        "uint64" => (false, 64),
        "int32" => (true, 32),
        "int64" => (true, 64),
        other => {
            return Err(unsupported(
                path,
                &format!("is an integer of the format `{other}`"),
            ));
        }
    };
    Ok(Type::Integer { signed, bits })
}

fn convert_alternatives(path: &str, alternatives: &[Value]) -> Converted<Shape> {
    if alternatives.iter().all(|one| text(one, "type") == "string") {
        let constant = |one: &Value| Constant {
            name: text(one, "const"),
            doc: text(one, "description"),
        };
        return Ok(Shape::Enumeration(
            alternatives.iter().map(constant).collect(),
        ));
    }
    let tag = alternatives
        .first()
        .and_then(tag_of)
        .ok_or_else(|| unsupported(path, "is one of several without a tag"))?;
    let tagging = if tag == "kind" {
        Tagging::Adjacent
    } else {
        Tagging::Internal { tag: tag.clone() }
    };
    let variants = alternatives
        .iter()
        .map(|one| convert_variant(path, one, &tag, &tagging))
        .collect::<Converted<_>>()?;
    Ok(Shape::Union(Union { tagging, variants }))
}

fn convert_variant(path: &str, schema: &Value, tag: &str, tagging: &Tagging) -> Converted<Variant> {
    let name = schema
        .pointer(&format!("/properties/{tag}/const"))
        .and_then(Value::as_str)
        .ok_or_else(|| unsupported(path, "has an alternative without a tag"))?;
    let path = format!("{path}.{name}");
    let content = match tagging {
        Tagging::Internal { tag } => Content::Fields(convert_fields(&path, schema, Some(tag))?),
        Tagging::Adjacent => match schema.pointer("/properties/payload") {
            Some(payload) => Content::Payload(convert_type(&path, payload)?.0),
            None => Content::Nothing,
        },
    };
    Ok(Variant {
        name: name.to_owned(),
        doc: text(schema, "description"),
        content,
    })
}

/// The name of the property with a constant value.
fn tag_of(schema: &Value) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    let (name, _) = properties
        .iter()
        .find(|(_, property)| property.get("const").is_some())?;
    Some(name.clone())
}

/// A field's limits, for people.
fn convert_rule(schema: &Value) -> Option<String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        return Some(format!("matches `{pattern}`"));
    }
    // Every unsigned integer has a minimum of 0, so only a maximum is worth stating.
    if let (Some(min), Some(max)) = (number("minimum"), number("maximum")) {
        return Some(format!("{min}–{max}"));
    }
    match (
        number("minLength").filter(|min| *min > 0),
        number("maxLength"),
    ) {
        (Some(min), Some(max)) => Some(format!("{min}–{max} characters")),
        (None, Some(max)) => Some(format!("at most {max} characters")),
        (Some(min), None) => Some(format!("at least {min} characters")),
        (None, None) => {
            let count = number("minItems").map(|min| format!("at least {min}"));
            let each = schema.get("items").and_then(convert_rule);
            match (count, each) {
                (Some(count), Some(each)) => Some(format!("{count}, each {each}")),
                (None, Some(each)) => Some(format!("each {each}")),
                (count, None) => count,
            }
        }
    }
}

fn empty_value(ty: &Type) -> Option<Value> {
    match ty {
        Type::Bool => Some(Value::Bool(false)),
        Type::Integer { .. } => Some(Value::from(0)),
        Type::Text | Type::Bytes => Some(Value::from("")),
        Type::Json => Some(Value::Null),
        Type::List(_) => Some(Value::Array(Vec::new())),
        Type::Map(_) => Some(Value::Object(Map::new())),
        Type::Named(_) => None,
    }
}

fn reference(schema: &Value) -> Option<String> {
    schema
        .get("$ref")?
        .as_str()?
        .strip_prefix("#/$defs/")
        .map(str::to_owned)
}

fn text(schema: &Value, key: &str) -> String {
    schema
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn object<'a>(value: Option<&'a Value>, path: &str) -> Converted<&'a Map<String, Value>> {
    value
        .and_then(Value::as_object)
        .ok_or_else(|| unsupported(path, "is not an object"))
}

fn array<'a>(value: Option<&'a Value>, path: &str) -> Converted<&'a Vec<Value>> {
    value
        .and_then(Value::as_array)
        .ok_or_else(|| unsupported(path, "is not an array"))
}

fn unsupported(path: &str, problem: &str) -> UnsupportedSchemaError {
    UnsupportedSchemaError {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
