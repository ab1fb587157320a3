//! Workflows with a worker that Temporal's own SDK for Python makes.

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_test_support::TemporalServer;
use serde_json::{Value, json};

use crate::service::{ask, call, config, details, failed, temporal};

fn start(id: &str, name: &str, input: Value) -> Value {
    let workflow = json!({
        "workflowId": id, "workflowType": name, "taskQueue": "py", "input": input
    });
    json!({"workflow": workflow})
}

#[tokio::test]
async fn a_python_worker_answers_queries_and_updates_and_completes_what_the_host_has_started() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let _worker = server.worker("py");
    let (temporal, call) = (temporal(config(&server.address())), call());
    let request = start("w1", "Order", json!([{"item": "tea"}, "a note: \u{e9}"]));
    let started = ask::<TemporalStartWorkflow>(&temporal, &call, request)
        .await
        .unwrap();
    let signal = json!({"workflowId": "w1", "name": "add", "input": [{"milk": 1.5}, 2]});
    ask::<TemporalSignalWorkflow>(&temporal, &call, signal)
        .await
        .unwrap();

    let query = json!({"workflowId": "w1", "name": "items_after", "input": [1]});
    let answer = ask::<TemporalQueryWorkflow>(&temporal, &call, query)
        .await
        .unwrap();
    assert_eq!(answer["result"], json!([{"milk": 1.5}, {"milk": 1.5}]));
    let unknown = json!({"workflowId": "w1", "name": "no_such_query"});
    let error = failed(
        ask::<TemporalQueryWorkflow>(&temporal, &call, unknown).await,
        ErrorCode::Validation,
    );
    assert!(error.message.contains("no_such_query"), "{error}");

    let update = json!({
        "workflowId": "w1", "name": "rename", "input": [0, "coffee"], "updateId": "u1"
    });
    for _ in 0..2 {
        // Sent again it is the same update, with the same answer.
        let updated = ask::<TemporalUpdateWorkflow>(&temporal, &call, update.clone())
            .await
            .unwrap();
        assert_eq!(
            (&updated["result"], &updated["updateId"]),
            (&json!("tea"), &json!("u1"))
        );
        assert_eq!(updated["runId"], started["runId"]);
    }
    let refused = json!({"workflowId": "w1", "name": "rename", "input": [9, "coffee"]});
    let error = failed(
        ask::<TemporalUpdateWorkflow>(&temporal, &call, refused).await,
        ErrorCode::Validation,
    );
    assert!(error.message.contains("there is no item 9"), "{error}");
    assert_eq!(details(&error)["failure"][0]["errorType"], "ValueError");

    let done = json!({"workflowId": "w1", "name": "done"});
    ask::<TemporalSignalWorkflow>(&temporal, &call, done)
        .await
        .unwrap();
    let ended = ask::<TemporalWorkflowResult>(&temporal, &call, json!({"workflowId": "w1"}))
        .await
        .unwrap();
    assert_eq!(ended["status"], "completed");
    assert_eq!(
        ended["result"],
        json!({"items": ["coffee", {"milk": 1.5}, {"milk": 1.5}], "note": "a note: \u{e9}"})
    );
    let theirs = server.cli_json(&["workflow", "result", "-w", "w1"]);
    assert_eq!(theirs["result"], ended["result"], "{theirs}");
    let ours = json!({"workflowId": "w1", "limit": 1000});
    let ours = ask::<TemporalWorkflowHistory>(&temporal, &call, ours)
        .await
        .unwrap();
    let theirs = server.cli_json(&["workflow", "show", "-w", "w1"]);
    assert_eq!(json!({"events": ours["events"]}), theirs);
    // A closed workflow still answers queries, unless that is not wanted.
    let closed = json!({"workflowId": "w1", "name": "items_after", "input": [2], "openOnly": true});
    let error = failed(
        ask::<TemporalQueryWorkflow>(&temporal, &call, closed).await,
        ErrorCode::Conflict,
    );
    assert!(error.message.contains("completed"), "{error}");

    // A failure comes with its cause.
    let request = start("f1", "Fail", json!(["too late"]));
    ask::<TemporalStartWorkflow>(&temporal, &call, request)
        .await
        .unwrap();
    let ended = ask::<TemporalWorkflowResult>(&temporal, &call, json!({"workflowId": "f1"}))
        .await
        .unwrap();
    assert_eq!(ended["status"], "failed");
    let failure = &ended["failure"];
    assert_eq!(
        (&failure[0]["message"], &failure[0]["errorType"]),
        (&json!("too late"), &json!("TooLate"))
    );
    assert_eq!(failure[0]["details"], json!([{"at": 7}]));
    assert_eq!(failure[1]["message"], "the cause");

    // The result of a workflow is that of its last run.
    let request = start("c1", "Countdown", json!([2]));
    let first = ask::<TemporalStartWorkflow>(&temporal, &call, request)
        .await
        .unwrap();
    let wait = json!({"workflowId": "c1", "runId": first["runId"]});
    let ended = ask::<TemporalWorkflowResult>(&temporal, &call, wait)
        .await
        .unwrap();
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("completed"), &json!("lift-off"))
    );
    assert_ne!(ended["runId"], first["runId"]);
}
