//! Everything that the Model Context Protocol has, once each: the fixtures of its conformance suite, which are small
//! enough to be read as examples.
//!
//! | module | subject |
//! |---|---|
//! | [`content`] | tools that answer: text, images, sounds, resources, failures, schemas |
//! | [`talking`] | tools that talk to the client: progress, its log, forms, its model, its folders |
//! | [`asking`] | the same questions in the era without sessions, where a client answers by calling again |
//! | [`resources`] | resources, and a template of them |
//! | [`prompts`] | prompts, with arguments that are completed |
//! | [`tasks`] | workflows that are tools: long work, as tasks |

pub mod asking;
pub mod content;
pub mod prompts;
pub mod resources;
pub mod talking;
pub mod tasks;

use exomonad_guest::plugin;

plugin! {
    name: "everything",
    tools: [
        content::simple_text,
        content::image_content,
        content::audio_content,
        content::embedded_resource,
        content::multiple_content_types,
        content::error_handling,
        content::custom_header,
        content::json_schema_2020_12,
        content::greet,
        talking::tool_with_logging,
        talking::logging_tool,
        talking::tool_with_progress,
        talking::sampling,
        talking::elicitation,
        talking::elicitation_defaults,
        talking::elicitation_enums,
        talking::streaming_elicitation,
        talking::missing_capability,
        talking::trigger_tool_change,
        talking::trigger_prompt_change,
        talking::touch_watched_resource,
        asking::elicitation,
        asking::sampling,
        asking::list_roots,
        asking::request_state,
        asking::multiple_inputs,
        asking::multi_round,
        asking::tampered_state,
        asking::capabilities,
        asking::ask_about_a_number,
        tasks::tool_with_task,
    ],
    workflows: [
        tasks::slow_compute,
        tasks::failing_job,
        tasks::protocol_error_job,
        tasks::confirm_delete,
        tasks::multi_input,
        tasks::slow_greeting,
    ],
    resources: [
        resources::static_text,
        resources::static_binary,
        resources::watched,
        resources::by_id,
    ],
    prompts: [
        prompts::simple,
        prompts::with_arguments,
        prompts::with_embedded_resource,
        prompts::with_image,
        prompts::that_asks,
    ],
}
