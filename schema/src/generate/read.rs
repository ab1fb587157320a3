//! From JSON Schemas to the model.
//!
//! Reads what schemars writes for the contract's types and refuses anything
//! else, so that no generator has to guess.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::generate::model::{
    Constant, Content, Contract, Effect, Field, Presence, Record, Service, Shape, Tagging, Type,
    TypeDef, Union, Variant,
};

/// A JSON Schema that the model has no words for.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {problem}; give the type a shape that schema/src/generate/read.rs knows, or teach it"
)]
pub struct ReadError {
    path: String,
    problem: String,
}

type Read<T> = Result<T, ReadError>;

/// Reads the model from the two documents.
///
/// # Errors
/// When a schema has a shape the model cannot say.
pub fn read(effects: &Value, common: &Value) -> Read<Contract> {
    let mut definitions = BTreeMap::new();
    for document in [effects, common] {
        for (name, schema) in object(document.get("$defs"), "$defs")? {
            definitions.insert(name.as_str(), schema);
        }
    }
    // Generated code has its own words for these two.
    for own in ["Effect", "Answer"] {
        definitions.remove(own);
    }
    let types = definitions
        .into_iter()
        .map(|(name, schema)| read_type_def(name, schema))
        .collect::<Read<_>>()?;
    let services = array(effects.get("x-services"), "x-services")?
        .iter()
        .map(|service| read_service(service, effects))
        .collect::<Read<_>>()?;
    let error_codes = array(effects.get("x-errorCodes"), "x-errorCodes")?
        .iter()
        .map(|code| Constant {
            name: text(code, "code"),
            doc: text(code, "description"),
        })
        .collect();
    Ok(Contract {
        services,
        types,
        error_codes,
    })
}

fn read_service(service: &Value, effects: &Value) -> Read<Service> {
    let name = text(service, "name");
    let effects = array(effects.get("x-effects"), "x-effects")?
        .iter()
        .filter(|effect| text(effect, "service") == name)
        .map(read_effect)
        .collect::<Read<_>>()?;
    Ok(Service {
        doc: text(service, "description"),
        optional: service.get("optional") == Some(&Value::Bool(true)),
        effects,
        name,
    })
}

fn read_effect(effect: &Value) -> Read<Effect> {
    let name = text(effect, "name");
    let named = |role: &str| {
        effect
            .get(role)
            .and_then(reference)
            .ok_or_else(|| problem(&format!("{name}.{role}"), "is not a named type"))
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

fn read_type_def(name: &str, schema: &Value) -> Read<TypeDef> {
    let shape = match schema.get("oneOf") {
        Some(alternatives) => read_alternatives(name, array(Some(alternatives), name)?)?,
        None => Shape::Record(read_record(name, schema)?),
    };
    Ok(TypeDef {
        name: name.to_owned(),
        doc: text(schema, "description"),
        shape,
    })
}

fn read_record(path: &str, schema: &Value) -> Read<Record> {
    if schema.get("type") != Some(&Value::from("object")) {
        return Err(problem(path, "is neither an object nor one of several"));
    }
    Ok(Record {
        fields: read_fields(path, schema, None)?,
        closed: schema.get("additionalProperties") == Some(&Value::Bool(false)),
    })
}

fn read_fields(path: &str, schema: &Value, except: Option<&str>) -> Read<Vec<Field>> {
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
            read_field(&format!("{path}.{name}"), name, schema, is_required)
        })
        .collect()
}

fn read_field(path: &str, name: &str, schema: &Value, is_required: bool) -> Read<Field> {
    let (ty, nullable) = read_type(path, schema)?;
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
        rule: read_rule(schema),
    })
}

/// A field's type, and whether `null` stands for its absence.
fn read_type(path: &str, schema: &Value) -> Read<(Type, bool)> {
    if let Some(name) = reference(schema) {
        return Ok((Type::Named(name), false));
    }
    if let Some(alternatives) = schema.get("anyOf") {
        let [one, null] = array(Some(alternatives), path)?.as_slice() else {
            return Err(problem(path, "is one of several without a tag"));
        };
        if text(null, "type") != "null" {
            return Err(problem(path, "is one of two without a tag"));
        }
        return Ok((read_type(path, one)?.0, true));
    }
    let (name, nullable) = match schema.get("type") {
        None => return Ok((Type::Json, false)),
        Some(Value::String(name)) => (name.as_str(), false),
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name), null] if null == "null" => (name.as_str(), true),
            _ => return Err(problem(path, "has several types")),
        },
        Some(_) => return Err(problem(path, "has no type")),
    };
    let item = |key: &str| match schema.get(key) {
        Some(item) => read_type(path, item).map(|(ty, _)| Box::new(ty)),
        None => Ok(Box::new(Type::Json)),
    };
    let ty = match name {
        "boolean" => Type::Bool,
        "string" if schema.get("contentEncoding").is_some() => Type::Bytes,
        "string" => Type::Text,
        "integer" => read_integer(path, &text(schema, "format"))?,
        "array" => Type::List(item("items")?),
        "object" => Type::Map(item("additionalProperties")?),
        other => return Err(problem(path, &format!("has the type `{other}`"))),
    };
    Ok((ty, nullable))
}

fn read_integer(path: &str, format: &str) -> Read<Type> {
    let (signed, bits) = match format {
        "uint16" => (false, 16),
        "uint32" => (false, 32),
        "uint64" => (false, 64),
        "int32" => (true, 32),
        "int64" => (true, 64),
        other => {
            return Err(problem(
                path,
                &format!("is an integer of the format `{other}`"),
            ));
        }
    };
    Ok(Type::Integer { signed, bits })
}

fn read_alternatives(path: &str, alternatives: &[Value]) -> Read<Shape> {
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
        .ok_or_else(|| problem(path, "is one of several without a tag"))?;
    let tagging = if tag == "kind" {
        Tagging::Adjacent
    } else {
        Tagging::Internal { tag: tag.clone() }
    };
    let variants = alternatives
        .iter()
        .map(|one| read_variant(path, one, &tag, &tagging))
        .collect::<Read<_>>()?;
    Ok(Shape::Union(Union { tagging, variants }))
}

fn read_variant(path: &str, schema: &Value, tag: &str, tagging: &Tagging) -> Read<Variant> {
    let name = schema
        .pointer(&format!("/properties/{tag}/const"))
        .and_then(Value::as_str)
        .ok_or_else(|| problem(path, "has an alternative without a tag"))?;
    let path = format!("{path}.{name}");
    let content = match tagging {
        Tagging::Internal { tag } => Content::Fields(read_fields(&path, schema, Some(tag))?),
        Tagging::Adjacent => match schema.pointer("/properties/payload") {
            Some(payload) => Content::Payload(read_type(&path, payload)?.0),
            None => Content::Nothing,
        },
    };
    Ok(Variant {
        name: name.to_owned(),
        doc: text(schema, "description"),
        content,
    })
}

/// The property with a constant value.
fn tag_of(schema: &Value) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    let (name, _) = properties
        .iter()
        .find(|(_, property)| property.get("const").is_some())?;
    Some(name.clone())
}

/// A field's limits, for people.
fn read_rule(schema: &Value) -> Option<String> {
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        return Some(format!("matches `{pattern}`"));
    }
    // Every unsigned integer has a minimum of 0: only a maximum is news.
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
            let each = schema.get("items").and_then(read_rule);
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

fn object<'a>(value: Option<&'a Value>, path: &str) -> Read<&'a Map<String, Value>> {
    value
        .and_then(Value::as_object)
        .ok_or_else(|| problem(path, "is not an object"))
}

fn array<'a>(value: Option<&'a Value>, path: &str) -> Read<&'a Vec<Value>> {
    value
        .and_then(Value::as_array)
        .ok_or_else(|| problem(path, "is not an array"))
}

fn problem(path: &str, problem: &str) -> ReadError {
    ReadError {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}
