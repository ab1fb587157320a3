//! The check that a schema is one: each keyword's value has its type, references lead somewhere, and no schema
//! applies to the same value again and again.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

/// Schemas that may apply to one value through each other.
const DEEPEST: usize = 200;

/// The reason why a schema is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// It is no JSON Schema.
    #[error("is no valid JSON Schema: {0}")]
    Invalid(String),
    /// It is one, but uses what is not taken here.
    #[error("{0}")]
    NotTaken(String),
}

/// Patterns and anchors that the check finds on its way.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub patterns: BTreeSet<String>,
    pub anchors: HashMap<String, String>,
    references: BTreeSet<String>,
    has_inner_id: bool,
}

/// Checks a whole schema.
pub(super) fn check(root: &Value) -> Result<Found, SchemaFault> {
    let mut found = Found::default();
    schema(root, &mut String::new(), &mut found)?;
    // A reference may lead to what no keyword makes a schema.
    let mut followed = BTreeSet::new();
    while let Some(reference) = found.references.difference(&followed).next().cloned() {
        if found.has_inner_id {
            return Err(SchemaFault::NotTaken(
                "has both `$ref` and an `$id` inside, which changes what references mean"
                    .to_owned(),
            ));
        }
        if !reference.starts_with('#') {
            return Err(SchemaFault::NotTaken(format!(
                "refers to `{}`; only references within the schema, `#…`, are followed",
                super::check::shortened(&reference, 200)
            )));
        }
        let Some(target) = target(root, &found.anchors, &reference) else {
            return Err(SchemaFault::Invalid(format!(
                "the reference `{}` leads nowhere",
                super::check::shortened(&reference, 200)
            )));
        };
        schema(target, &mut reference.clone(), &mut found)?;
        followed.insert(reference);
    }
    let mut known = HashMap::new();
    applied(root, root, &found.anchors, 0, &mut known)?;
    each_schema(root, &mut |inner| {
        applied(inner, root, &found.anchors, 0, &mut known)
    })?;
    Ok(found)
}

/// The value that a reference within a document names: by a JSON pointer or an anchor.
pub(super) fn target<'s>(
    root: &'s Value,
    anchors: &HashMap<String, String>,
    reference: &str,
) -> Option<&'s Value> {
    let fragment = reference.strip_prefix('#')?;
    if let Some(pointer) = anchors.get(fragment) {
        return root.pointer(pointer);
    }
    match fragment.contains('%') {
        false => root.pointer(fragment),
        true => root.pointer(&percent_decoded(fragment)?),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

const ONE: &[&str] = &[
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
const MAPS: &[&str] = &[
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];
const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// The schemas that a schema's keywords hold, with the way to each.
fn inner(members: &Map<String, Value>) -> impl Iterator<Item = (&str, Option<String>, &Value)> {
    members.iter().flat_map(|(keyword, value)| {
        let keyword = keyword.as_str();
        let mut all: Vec<(&str, Option<String>, &Value)> = Vec::new();
        if ONE.contains(&keyword) {
            all.push((keyword, None, value));
        } else if LISTS.contains(&keyword) {
            let items = value.as_array().into_iter().flatten().enumerate();
            all.extend(items.map(|(nth, item)| (keyword, Some(nth.to_string()), item)));
        } else if MAPS.contains(&keyword) {
            let members = value.as_object().into_iter().flatten();
            all.extend(members.map(|(name, item)| {
                let name = name.replace('~', "~0").replace('/', "~1");
                (keyword, Some(name), item)
            }));
        }
        all
    })
}

fn each_schema(
    schema: &Value,
    each: &mut dyn FnMut(&Value) -> Result<(), SchemaFault>,
) -> Result<(), SchemaFault> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    for (_, _, inner) in inner(members) {
        each(inner)?;
        each_schema(inner, each)?;
    }
    Ok(())
}

/// Checks the keywords of a schema and of those within.
fn schema(schema: &Value, at: &mut String, found: &mut Found) -> Result<(), SchemaFault> {
    let members = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(members) => members,
        _ => return invalid(at, "is neither an object nor true or false"),
    };
    for (name, value) in members {
        keyword(name, value, at, found)?;
    }
    for (keyword, name, value) in inner(members) {
        let length = at.len();
        at.push('/');
        at.push_str(keyword);
        if let Some(name) = name {
            at.push('/');
            at.push_str(&name);
        }
        self::schema(value, at, found)?;
        at.truncate(length);
    }
    Ok(())
}

fn invalid<T>(at: &str, what: &str) -> Result<T, SchemaFault> {
    let place = match at {
        "" => "it".to_owned(),
        _ => format!("`{}`", super::check::shortened(at, 200)),
    };
    Err(SchemaFault::Invalid(format!("{place} {what}")))
}

fn keyword(name: &str, value: &Value, at: &str, found: &mut Found) -> Result<(), SchemaFault> {
    let wrong = |what: &str| invalid(&format!("{at}/{name}"), what);
    match name {
        "type" => {
            let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
            let is_list = |value: &Value| {
                let all = value.as_array().filter(|all| !all.is_empty());
                all.is_some_and(|all| all.iter().all(is_type))
            };
            if !(is_type(value) || is_list(value) && are_distinct(value)) {
                return wrong("is neither a type nor a list of distinct ones");
            }
        }
        "required" if !is_list_of_names(value) => return wrong("is no list of distinct names"),
        "dependentRequired" => {
            let all = value.as_object();
            if !all.is_some_and(|all| all.values().all(is_list_of_names)) {
                return wrong("is no object of lists of distinct names");
            }
        }
        "maximum" | "minimum" | "exclusiveMaximum" | "exclusiveMinimum" if !value.is_number() => {
            return wrong("is no number");
        }
        "multipleOf" if !value.as_f64().is_some_and(|number| number > 0.0) => {
            return wrong("is no number above 0");
        }
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties"
        | "minContains" | "maxContains"
            if count(value).is_none() =>
        {
            return wrong("is no whole number from 0 on");
        }
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" if !value.is_boolean() => {
            return wrong("is neither true nor false");
        }
        "enum" | "examples" if !value.is_array() => return wrong("is no list"),
        "title" | "description" | "$comment" | "format" | "$schema" | "$id" | "contentEncoding"
        | "contentMediaType"
            if !value.is_string() =>
        {
            return wrong("is no text");
        }
        "$id" if !at.is_empty() => found.has_inner_id = true,
        "pattern" => match value.as_str() {
            Some(text) => _ = found.patterns.insert(text.to_owned()),
            None => return wrong("is no text"),
        },
        "patternProperties" => {
            let names = value.as_object().into_iter().flat_map(Map::keys);
            found.patterns.extend(names.cloned());
        }
        "$ref" => match value.as_str() {
            Some(text) => _ = found.references.insert(text.to_owned()),
            None => return wrong("is no text"),
        },
        "$dynamicRef" | "$recursiveRef" => {
            return Err(SchemaFault::NotTaken(format!(
                "uses `{name}`, and only `$ref` is followed"
            )));
        }
        "$anchor" | "$dynamicAnchor" => match value.as_str() {
            // Of a target of a reference the place is known already.
            Some(text) if !at.starts_with('#') => {
                let pointer = at.to_owned();
                if found
                    .anchors
                    .insert(text.to_owned(), pointer)
                    .is_some_and(|old| old != at)
                {
                    return wrong("is an anchor that there is already");
                }
            }
            Some(_) => {}
            None => return wrong("is no text"),
        },
        _ => {}
    }
    if LISTS.contains(&name) && value.as_array().is_none_or(Vec::is_empty) {
        return wrong("is no list of schemas");
    }
    if MAPS.contains(&name) && !value.is_object() {
        return wrong("is no object of schemas");
    }
    Ok(())
}

fn is_list_of_names(value: &Value) -> bool {
    let all = value.as_array();
    all.is_some_and(|all| all.iter().all(Value::is_string)) && are_distinct(value)
}

/// True if no text is twice in a list.
fn are_distinct(value: &Value) -> bool {
    let mut seen = HashSet::new();
    let mut texts = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    texts.all(|text| seen.insert(text))
}

/// A whole number from 0 on, which may be written as 2.0.
pub(super) fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let is_whole = number >= 0.0 && number.fract() == 0.0 && number < 9e15;
        // Exact in this range.
        is_whole.then_some(number as u64)
    })
}

/// Follows the schemas that apply to the same value as `schema`; they must come to an end.
fn applied(
    schema: &Value,
    root: &Value,
    anchors: &HashMap<String, String>,
    depth: usize,
    known: &mut HashMap<*const Value, bool>,
) -> Result<(), SchemaFault> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    match known.get(&std::ptr::from_ref(schema)) {
        Some(true) => return Ok(()),
        Some(false) => {
            return Err(SchemaFault::NotTaken(
                "refers to itself for the same value, so that checking it would never end"
                    .to_owned(),
            ));
        }
        None if depth > DEEPEST => {
            return Err(SchemaFault::NotTaken(format!(
                "applies more than {DEEPEST} schemas to one value through each other"
            )));
        }
        None => {}
    }
    known.insert(std::ptr::from_ref(schema), false);
    for (keyword, _, inner) in inner(members) {
        let is_in_place = matches!(
            keyword,
            "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas"
        );
        if is_in_place {
            applied(inner, root, anchors, depth + 1, known)?;
        }
    }
    if let Some(reference) = members.get("$ref").and_then(Value::as_str)
        && let Some(target) = target(root, anchors, reference)
    {
        applied(target, root, anchors, depth + 1, known)?;
    }
    known.insert(std::ptr::from_ref(schema), true);
    Ok(())
}
