//! Tests of `#[resource]`, `#[prompt]` and what is said to the client of a call.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use exomonad_guest::prelude::*;
use exomonad_guest::testing::{FakeHost, context};
use exomonad_guest::{client, kv};
use serde_json::json;

/// The notes of today.
#[resource(
    "notes://today",
    title = "Today",
    icon = "https://notes.example/today.svg"
)]
fn today() -> Result<&'static str, ToolError> {
    Ok("nothing yet")
}

#[derive(Deserialize)]
struct NoteName {
    name: String,
}

/// A note.
#[resource("notes://{name}", mime_type = "text/markdown", list = all_notes, complete(name))]
fn note(variables: NoteName, context: &Context) -> Result<Option<String>, ToolError> {
    let entry = kv::get(&KvGet::new(variables.name))?;
    let text: Option<String> = entry.value.parse()?;
    Ok(text.map(|text| format!("{}: {text}", context.role)))
}

fn all_notes() -> exomonad_guest::Result<Vec<Resource>> {
    let keys = kv::list(&KvList::default())?.keys;
    let resource = |key: String| Resource {
        uri: format!("notes://{key}"),
        name: key,
        ..Resource::default()
    };
    Ok(keys.into_iter().map(resource).collect())
}

fn name(value: &str) -> Vec<String> {
    let names = ["milk", "mill", "sun"].into_iter();
    let fits = names.filter(|name| name.starts_with(value));
    fits.map(str::to_owned).collect()
}

/// A picture.
#[resource("notes://picture", mime_type = "image/png")]
fn picture() -> Result<Vec<u8>, ToolError> {
    Ok(b"\x89PNG".to_vec())
}

fn pencil() -> Icon {
    Icon {
        sizes: vec!["any".to_owned()],
        theme: Some(IconTheme::Dark),
        ..Icon::new("data:image/svg+xml,%3Csvg/%3E")
    }
}

#[derive(Deserialize, JsonSchema)]
struct Review {
    /// The branch to review.
    branch: String,
    /// How strict to be.
    strictness: Option<String>,
}

/// Reviews a branch.
#[prompt(title = "Review", icon = pencil, complete(branch = branches))]
fn review(arguments: Review) -> Result<String, ToolError> {
    let how = arguments.strictness.unwrap_or_else(|| "kindly".to_owned());
    Ok(format!("Review {} {how}.", arguments.branch))
}

fn branches(value: &str, others: &std::collections::BTreeMap<String, String>) -> Vec<String> {
    vec![format!("{value}-{}", others.len())]
}

#[derive(Deserialize, JsonSchema)]
struct Agreement {
    /// If it is right.
    sure: bool,
}

/// Deletes, if the person is sure.
#[tool]
fn delete() -> Result<String, ToolError> {
    client::progress(1, 2)?;
    let agreed: Option<Agreement> = client::elicit("Really?")?;
    Ok(match agreed {
        Some(Agreement { sure: true }) => "deleted".to_owned(),
        _ => "left".to_owned(),
    })
}

plugin! {
    name: "notes",
    tools: [delete],
    resources: [note, today, picture],
    prompts: [review],
}

#[test]
fn a_resource_is_listed_by_itself_and_a_template_by_its_function() {
    let host = FakeHost::new().kv("milk", json!("two"));
    let listed = host.run(|| PLUGIN.list_resources());
    let uris: Vec<&str> = listed
        .resources
        .iter()
        .map(|one| one.uri.as_str())
        .collect();
    assert_eq!(uris, ["notes://milk", "notes://today", "notes://picture"]);
    let icons: Vec<usize> = listed.resources.iter().map(|one| one.icons.len()).collect();
    assert_eq!(icons, [0, 1, 0]);
    let templates = PLUGIN.handle_list_resource_templates().unwrap();
    let templates: serde_json::Value = serde_json::from_slice(&templates).unwrap();
    assert_eq!(
        templates["resourceTemplates"],
        json!([{"uriTemplate": "notes://{name}", "name": "note", "description": "A note.", "mimeType": "text/markdown"}])
    );
}

#[test]
fn a_resource_is_read_by_its_own_entry_or_by_a_template() {
    let host = FakeHost::new().kv("milk", json!("two"));
    let read = |uri| host.read_resource(&PLUGIN, uri);
    let content = &read("notes://today").contents[0];
    assert_eq!(content.text.as_deref(), Some("nothing yet"));
    assert_eq!(content.mime_type.as_deref(), Some("text/plain"));
    assert_eq!(
        read("notes://milk").contents[0].text.as_deref(),
        Some("test: two")
    );
    assert_eq!(
        read("notes://picture").contents[0].blob.as_ref().unwrap().0,
        b"\x89PNG"
    );
    for nothing in ["notes://none", "notes://a/b", "other://today"] {
        let read = read(nothing);
        assert_eq!(read.error.unwrap().code, ErrorCode::NotFound, "{nothing}");
        assert!(read.contents.is_empty());
    }
}

#[test]
fn a_prompt_has_the_arguments_of_its_type_and_says_which_is_missing() {
    let host = FakeHost::new();
    let listed: serde_json::Value =
        serde_json::from_slice(&PLUGIN.handle_list_prompts().unwrap()).unwrap();
    assert_eq!(
        listed["prompts"][0]["icons"],
        json!([{"src": "data:image/svg+xml,%3Csvg/%3E", "sizes": ["any"], "theme": "dark"}])
    );
    assert_eq!(
        listed["prompts"][0]["arguments"],
        json!([
            {"name": "branch", "description": "The branch to review.", "required": true},
            {"name": "strictness", "description": "How strict to be.", "required": false}
        ])
    );
    let got = host.get_prompt(&PLUGIN, "review", &[("branch", "main")]);
    assert_eq!(
        got.messages[0].content,
        Content::text("Review main kindly.")
    );
    let refused = host.get_prompt(&PLUGIN, "review", &[]).error.unwrap();
    assert_eq!(refused.code, ErrorCode::InvalidInput);
    assert!(refused.message.contains("branch"), "{}", refused.message);
    let unknown = host.get_prompt(&PLUGIN, "other", &[]).error.unwrap();
    assert_eq!(unknown.code, ErrorCode::NotFound);
}

#[test]
fn arguments_and_variables_are_completed_by_their_functions() {
    let input = |prompt: Option<&str>, template: Option<&str>, argument: &str| CompleteInput {
        prompt: prompt.map(str::to_owned),
        uri_template: template.map(str::to_owned),
        argument: argument.to_owned(),
        value: "mil".to_owned(),
        arguments: [("a".to_owned(), "b".to_owned())].into(),
        context: context(),
    };
    let values = |input: &CompleteInput| PLUGIN.complete(input).completion.values;
    assert_eq!(values(&input(Some("review"), None, "branch")), ["mil-1"]);
    assert_eq!(
        values(&input(None, Some("notes://{name}"), "name")),
        ["milk", "mill"]
    );
    assert!(values(&input(Some("review"), None, "strictness")).is_empty());
    assert!(values(&input(None, None, "name")).is_empty());
}

#[test]
fn a_tool_asks_the_person_and_reports_progress() {
    let answering = |action, content: Option<serde_json::Value>| {
        FakeHost::new().on(move |_: McpElicit| {
            Ok(McpElicited {
                action,
                content: content.clone().map(Json::from),
            })
        })
    };
    let host = answering(McpElicitAction::Accept, Some(json!({"sure": true})));
    let text = |host: &FakeHost| {
        let result = host.call_tool(&PLUGIN, "delete", &json!({}));
        serde_json::to_value(&result).unwrap()["content"][0]["text"].clone()
    };
    assert_eq!(text(&host), "deleted");
    assert_eq!(host.requests::<McpProgress>()[0].total, Some(2));
    let form = host.requests::<McpElicit>()[0].form.clone().unwrap();
    let form: serde_json::Value = form.parse().unwrap();
    assert_eq!(form["properties"]["sure"]["type"], "boolean");
    assert_eq!(text(&answering(McpElicitAction::Decline, None)), "left");
    let unfit = answering(McpElicitAction::Accept, Some(json!({"sure": "yes"})));
    assert!(
        text(&unfit)
            .as_str()
            .unwrap()
            .contains("does not fit the form")
    );
}
