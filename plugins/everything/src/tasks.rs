//! Workflows that are tools: long work, which clients follow as a task, and which asks its client as any tool does.

use std::time::Duration;

use exomonad_guest::workflow::{self, Run};
use exomonad_guest::{client, mcp, prelude::*};

use crate::content::red_pixel;

/// How long to compute.
#[derive(Deserialize, JsonSchema)]
pub struct SlowComputeArgs {
    /// Seconds.
    seconds: u64,
    /// A name for it.
    #[serde(default)]
    label: Option<String>,
}

/// Computes for some seconds.
#[workflow(tool, icon = red_pixel)]
pub fn slow_compute(args: SlowComputeArgs, run: &Run) -> Result<String, WorkflowError> {
    run.sleep(Duration::from_secs(args.seconds))?;
    let label = args.label.unwrap_or_default();
    Ok(format!("computed {label} for {} s", args.seconds))
}

/// Fails, after a second.
#[workflow(task)]
pub fn failing_job(run: &Run) -> Result<String, WorkflowError> {
    run.sleep(Duration::from_secs(1))?;
    Err(WorkflowError::new(
        "job_failed",
        "the job has failed, as it does",
    ))
}

/// Ends as no job should.
#[workflow(tool)]
pub fn protocol_error_job() -> Result<String, WorkflowError> {
    panic!("a bug in the job")
}

/// A file to delete.
#[derive(Deserialize, JsonSchema)]
pub struct ConfirmDeleteArgs {
    /// Its name.
    filename: String,
}

/// A person's consent.
#[derive(Deserialize, JsonSchema)]
struct Consent {
    confirm: bool,
}

/// A person's name.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Name {
    name: String,
}

/// Deletes a file, if the person at the client agrees.
#[workflow(tool)]
pub fn confirm_delete(args: ConfirmDeleteArgs) -> Result<String, WorkflowError> {
    let question = format!("Delete {}?", args.filename);
    let consent: Option<Consent> = client::elicit_as(Some("confirm"), question)?;
    Ok(match consent {
        Some(Consent { confirm: true }) => format!("deleted {}", args.filename),
        _ => format!("kept {}", args.filename),
    })
}

/// Asks two things at once, and waits until both are answered.
#[workflow(tool)]
pub fn multi_input() -> Result<String, WorkflowError> {
    let name = McpElicit {
        form: Some(client::form_of::<Name>()),
        ..McpElicit::new("What is your name?")
    };
    let consent = McpElicit {
        form: Some(client::form_of::<Consent>()),
        ..McpElicit::new("Go on?")
    };
    let questions = vec![McpQuestion::Elicit(name), McpQuestion::Elicit(consent)];
    let answers = mcp::ask(&McpAsk::new(questions))?.answers;
    let accepted = answers.iter().filter(|answer| {
        matches!(answer, McpAnswer::Elicit(elicited) if elicited.action == McpElicitAction::Accept)
    });
    Ok(format!("{} of 2 were accepted", accepted.count()))
}

/// Greets somebody, after a second.
#[workflow]
pub fn slow_greeting(args: Name, run: &Run) -> Result<String, WorkflowError> {
    run.sleep(Duration::from_secs(1))?;
    Ok(format!("Hello, {}!", args.name))
}

/// Asks for a name, and goes on as long work: the workflow's end is the result of this call.
#[tool(name = "test_tool_with_task")]
pub fn tool_with_task() -> Result<CallToolResult, ToolError> {
    let name: Option<Name> = client::elicit_as(Some("user_name"), "What is your name?")?;
    let name = name.unwrap_or_else(|| Name {
        name: "nobody".to_owned(),
    });
    let started = workflow::start_child(&WorkflowStartChild::of::<slow_greeting>(&name)?)?;
    Ok(CallToolResult::of_workflow(started.workflow_id))
}
