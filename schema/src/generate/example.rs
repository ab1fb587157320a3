//! Example values of the contract's types.

use serde_json::{Map, Value, json};

use crate::generate::model::{Content, Contract, Field, Presence, Shape, Tagging, Type};

/// A small value of a type: only required fields, each with a plausible value.
pub fn example(contract: &Contract, ty: &Type) -> Value {
    value(contract, ty, "")
}

fn value(contract: &Contract, ty: &Type, field: &str) -> Value {
    match ty {
        Type::Bool => json!(true),
        Type::Integer { .. } => integer(field),
        Type::Text => text(field),
        Type::Bytes => json!("aGVsbG8="),
        Type::Json => json!({ "any": "json" }),
        Type::List(item) => json!([value(contract, item, field.trim_end_matches('s'))]),
        Type::Map(item) => json!({ "name": value(contract, item, "") }),
        Type::Named(name) => named(contract, name),
    }
}

fn named(contract: &Contract, name: &str) -> Value {
    let Some(ty) = contract.type_named(name) else {
        return Value::Null;
    };
    match &ty.shape {
        Shape::Record(record) => Value::Object(fields(contract, &record.fields)),
        Shape::Enumeration(constants) => json!(constants.first().map(|constant| &constant.name)),
        Shape::Union(union) => {
            let Some(variant) = union.variants.first() else {
                return Value::Null;
            };
            let tag = match &union.tagging {
                Tagging::Adjacent => "kind",
                Tagging::Internal { tag } => tag,
            };
            let mut tagged = Map::from_iter([(tag.to_owned(), json!(variant.name))]);
            match &variant.content {
                Content::Nothing => {}
                Content::Payload(ty) => {
                    tagged.insert("payload".to_owned(), value(contract, ty, "payload"));
                }
                Content::Fields(content) => tagged.extend(fields(contract, content)),
            }
            Value::Object(tagged)
        }
    }
}

fn fields(contract: &Contract, fields: &[Field]) -> Map<String, Value> {
    fields
        .iter()
        .filter(|field| field.presence == Presence::Required)
        .map(|field| (field.name.clone(), value(contract, &field.ty, &field.name)))
        .collect()
}

fn integer(field: &str) -> Value {
    match field {
        "unixMillis" | "createdUnixMillis" => json!(1_767_225_600_000_u64),
        "exitCode" | "offsetMinutes" => json!(0),
        "number" => json!(42),
        "millis" => json!(250),
        "length" => json!(5),
        _ => json!(1),
    }
}

fn text(field: &str) -> Value {
    let sha = "b1946ac92492d2347c6235b4d2611184000000ff";
    json!(match field {
        "repo" | "fullName" => "octocat/hello-world",
        "key" => "reviews/42",
        "iso8601" | "createdAt" | "updatedAt" => "2026-01-01T00:00:00.000Z",
        "id" | "sha" | "headSha" | "baseSha" | "commitId" | "parent" => sha,
        "url" => "https://github.com/octocat/hello-world",
        "cloneUrl" => "https://github.com/octocat/hello-world.git",
        "path" => "src/main.rs",
        "branch" | "defaultBranch" | "ref" | "baseRef" => "main",
        "head" | "headRef" => "fix-login",
        "gitDir" => "/work/hello-world/.git",
        "container" => "hello-1",
        "image" => "debian:bookworm-slim",
        "command" => "ls",
        "email" => "octocat@github.com",
        "patch" => "diff --git a/src/main.rs b/src/main.rs\n",
        "color" => "d73a4a",
        "" => "text",
        other => other,
    })
}
