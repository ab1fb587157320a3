//! The API description, made from the table of routes and the types that they use.

use std::sync::OnceLock;

use axum::body::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::events;
use super::problem::{MEDIA_TYPE, Problem};
use super::routes::{Content, QUERIES, ROUTES, Route};

const JSON: &str = "application/json";

/// The OpenAPI 3.1 document, as JSON.
pub fn document() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| build().to_string().into()).clone()
}

fn build() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator, &json!(problem));
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "exomonad",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Roles of AI agents as WASM plugins. Every error is an RFC 9457 problem with a stable `code`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}
        }
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let mut responses = Map::new();
    for status in route.success {
        let content = content(route.response, generator);
        responses.insert(
            status.to_string(),
            json!({"description": "Success", "content": content}),
        );
    }
    // Any request can name a host or an origin that is not allowed, or take too long.
    for status in route.problems.iter().chain([&403, &500, &504]) {
        let mut content = json!({MEDIA_TYPE: {"schema": problem}});
        if matches!(route.response, Content::JsonRpc(_)) {
            content[JSON] = json!({"schema": {"type": "object"}});
        }
        responses.insert(
            status.to_string(),
            json!({"description": "Problem", "content": content}),
        );
    }
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "responses": responses,
        "parameters": parameters(route.path),
    });
    if !matches!(route.request, Content::None) {
        operation["requestBody"] =
            json!({"required": true, "content": content(route.request, generator)});
    }
    if route.wants_token {
        // A token is wanted when one is configured: none is the other alternative.
        operation["security"] = json!([{}, {"token": []}]);
    }
    operation
}

fn content(body: Content, generator: &mut SchemaGenerator) -> Value {
    match body {
        Content::None => json!({}),
        Content::Json(schema) => json!({JSON: {"schema": schema(generator)}}),
        Content::JsonRpc(JSON) => json!({JSON: {"schema": {"type": ["object", "array"]}}}),
        Content::JsonRpc(media_type) => json!({media_type: {"schema": {"type": "string"}}}),
        Content::Events(data) => json!({events::MEDIA_TYPE: {"schema": {
            "type": "string",
            "description": "Server-sent events; the `data` of each is of this schema.",
            "contentMediaType": JSON,
            "contentSchema": data(generator),
        }}}),
        Content::Text(media_type) => json!({media_type: {"schema": {"type": "string"}}}),
        Content::Bytes => json!({"application/octet-stream": {}}),
    }
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
    );
    let of_query = QUERIES.iter().filter(|(of, _)| *of == path);
    let in_query = of_query
        .flat_map(|(_, parameters)| *parameters)
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "in": "query",
                "description": parameter.description,
                "schema": (parameter.schema)(),
            })
        });
    in_path.chain(in_query).collect()
}

fn operation_id(route: &Route) -> String {
    let path: String = route
        .path
        .chars()
        .filter(|letter| !"{}".contains(*letter))
        .collect();
    let words = path.split(['/', '.']).filter(|word| !word.is_empty());
    std::iter::once(route.method.to_ascii_lowercase())
        .chain(words.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("_")
}
