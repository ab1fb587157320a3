//! Workflows without a worker: what the server alone does, seen by Temporal's own CLI.

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_test_support::{TemporalServer, eventually};
use serde_json::{Value, json};

use crate::service::{ask, call, config, details, failed, temporal};

fn order(id: &str) -> Value {
    json!({"workflowId": id, "workflowType": "Order", "taskQueue": "nobody"})
}

#[tokio::test]
async fn a_workflow_is_started_seen_by_temporals_cli_signalled_cancelled_and_terminated() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (temporal, call) = (temporal(config(&server.address())), call());
    let mut workflow = order("w1");
    workflow["input"] = json!([{"item": "tea", "n": 9007199254740993_u64}, "note"]);
    workflow["memo"] = json!({"who": {"name": "ada"}});
    workflow["searchAttributes"] = json!({"CustomKeywordField": "k1"});
    workflow["executionTimeoutMillis"] = json!(3_600_000);
    workflow["runTimeoutMillis"] = json!(1_800_500);
    workflow["taskTimeoutMillis"] = json!(5_000);
    workflow["retry"] =
        json!({"maxAttempts": 3, "initialMillis": 1500, "nonRetryable": ["TooLate"]});
    server.run_cli(&[
        "operator",
        "search-attribute",
        "create",
        "--name",
        "CustomKeywordField",
        "--type",
        "Keyword",
    ]);
    let request = json!({"workflow": workflow, "requestId": "r1"});
    let started = eventually("the attribute is known", async || {
        ask::<TemporalStartWorkflow>(&temporal, &call, request.clone())
            .await
            .ok()
    })
    .await;
    assert_eq!(started["started"], true);
    assert_eq!(started["namespace"], "default");
    let run = started["runId"].as_str().unwrap().to_owned();

    // The same request again is the same run; another one is refused, or gets the open one.
    let again = ask::<TemporalStartWorkflow>(&temporal, &call, request)
        .await
        .unwrap();
    assert_eq!(again["runId"], run.as_str());
    let other =
        ask::<TemporalStartWorkflow>(&temporal, &call, json!({"workflow": order("w1")})).await;
    let error = failed(other, ErrorCode::Conflict);
    assert_eq!(details(&error)["runId"], run.as_str(), "{error:?}");
    let existing = json!({"workflow": order("w1"), "idConflict": "use_existing"});
    let existing = ask::<TemporalStartWorkflow>(&temporal, &call, existing)
        .await
        .unwrap();
    assert_eq!(
        (&existing["runId"], &existing["started"]),
        (&json!(run), &json!(false))
    );

    let seen = server.cli_json(&["workflow", "describe", "-w", "w1"]);
    let info = &seen["workflowExecutionInfo"];
    assert_eq!(info["execution"]["runId"], run.as_str());
    assert_eq!(info["memo"]["fields"]["who"], json!({"name": "ada"}));
    let attribute = &info["searchAttributes"]["indexedFields"]["CustomKeywordField"];
    assert_eq!(attribute["data"], "ImsxIg==", "{seen}");
    assert_eq!(seen["executionConfig"]["workflowRunTimeout"], "1800.500s");

    let signal =
        json!({"workflowId": "w1", "name": "add", "input": ["milk", 2], "requestId": "s1"});
    for _ in 0..2 {
        ask::<TemporalSignalWorkflow>(&temporal, &call, signal.clone())
            .await
            .unwrap();
    }
    server.run_cli(&[
        "workflow", "signal", "-w", "w1", "--name", "theirs", "--input", "7",
    ]);
    let cancel = json!({"workflowId": "w1", "reason": "too late", "requestId": "c1"});
    for _ in 0..2 {
        ask::<TemporalCancelWorkflow>(&temporal, &call, cancel.clone())
            .await
            .unwrap();
    }
    let described = json!({"workflowId": "w1"});
    let described = ask::<TemporalDescribeWorkflow>(&temporal, &call, described)
        .await
        .unwrap();
    assert_eq!(described["cancelRequested"], true);
    assert_eq!(described["pendingTaskAttempt"], 1);
    assert_eq!(described["workflow"]["status"], "running");
    assert_eq!(described["workflow"]["workflowType"], "Order");
    assert_eq!(described["workflow"]["taskQueue"], "nobody");
    assert_eq!(described["workflow"]["memo"]["who"]["name"], "ada");
    assert_eq!(
        described["workflow"]["searchAttributes"]["CustomKeywordField"],
        "k1"
    );
    // Within a wait of its own, nothing has ended.
    let wait = json!({"workflowId": "w1", "timeoutMillis": 300});
    let open = ask::<TemporalWorkflowResult>(&temporal, &call, wait)
        .await
        .unwrap();
    assert_eq!(open["status"], "running");

    let terminate = json!({"workflowId": "w1", "reason": "enough"});
    ask::<TemporalTerminateWorkflow>(&temporal, &call, terminate.clone())
        .await
        .unwrap();
    let closed = ask::<TemporalTerminateWorkflow>(&temporal, &call, terminate).await;
    assert!(
        failed(closed, ErrorCode::NotFound)
            .message
            .contains("closed")
    );
    let ended = ask::<TemporalWorkflowResult>(&temporal, &call, json!({"workflowId": "w1"}))
        .await
        .unwrap();
    assert_eq!(ended["status"], "terminated");
    assert_eq!(ended["failure"][0]["message"], "enough");
    assert_eq!(ended["runId"], run.as_str());

    // Page by page the history is what Temporal's CLI prints.
    let theirs = server.cli_json(&["workflow", "show", "-w", "w1"]);
    let mut events = Vec::new();
    let mut after = Value::Null;
    let mut pages = 0;
    loop {
        let mut request = json!({"workflowId": "w1", "runId": run, "limit": 2});
        if after.is_string() {
            request["after"] = after;
        }
        let page = ask::<TemporalWorkflowHistory>(&temporal, &call, request)
            .await
            .unwrap();
        assert_eq!(page["runId"], run.as_str());
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        pages += 1;
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(json!({"events": events}), theirs);
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| {
            event["workflowExecutionSignaledEventAttributes"]["signalName"].as_str()
        })
        .collect();
    assert_eq!(names, ["add", "theirs"], "the repeated signal is one");
    assert_eq!(
        events[0]["workflowExecutionStartedEventAttributes"]["identity"],
        "exomonad/tl"
    );
    let nonsense = json!({"workflowId": "w1", "after": "~"});
    failed(
        ask::<TemporalWorkflowHistory>(&temporal, &call, nonsense).await,
        ErrorCode::InvalidInput,
    );
}

#[tokio::test]
async fn workflows_are_listed_by_a_filter_page_by_page_and_those_of_temporals_cli_are_among_them() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (temporal, call) = (temporal(config(&server.address())), call());
    for number in 0..4 {
        let mut request = json!({"workflow": order(&format!("mine-{number}"))});
        request["workflow"]["workflowType"] = json!("Mine");
        ask::<TemporalStartWorkflow>(&temporal, &call, request)
            .await
            .unwrap();
    }
    server.run_cli(&[
        "workflow", "start", "--type", "Theirs", "-t", "q", "-w", "theirs", "--input", "[1]",
    ]);
    let list = async |query: &str, limit: u64, after: Option<&str>| {
        let mut request = json!({"query": query, "limit": limit});
        if let Some(after) = after {
            request["after"] = json!(after);
        }
        ask::<TemporalListWorkflows>(&temporal, &call, request).await
    };
    let ids = |page: &Value| -> Vec<String> {
        let workflows = page["workflows"].as_array().unwrap().iter();
        workflows
            .map(|workflow| workflow["workflowId"].as_str().unwrap().to_owned())
            .collect()
    };
    eventually("all are listed", async || {
        let all = list("", 100, None).await.unwrap();
        (ids(&all).len() == 5).then_some(())
    })
    .await;
    let filter = "WorkflowType='Mine' AND ExecutionStatus='Running'";
    let first = list(filter, 3, None).await.unwrap();
    let rest = list(filter, 3, first["next"].as_str()).await.unwrap();
    let mut all = [ids(&first), ids(&rest)].concat();
    assert_eq!((ids(&first).len(), ids(&rest).len()), (3, 1));
    all.sort();
    assert_eq!(all, ["mine-0", "mine-1", "mine-2", "mine-3"]);
    assert_eq!(rest["next"], Value::Null);
    let theirs = list("WorkflowType='Theirs'", 3, None).await.unwrap();
    assert_eq!(ids(&theirs), ["theirs"]);
    let error = failed(
        list("NoSuchAttribute = 1", 3, None).await,
        ErrorCode::Validation,
    );
    assert!(error.message.contains("NoSuchAttribute"), "{error}");

    // A signal that starts, and one that finds what it has started.
    let with_start = json!({
        "workflow": order("s1"), "name": "add", "input": ["milk", 1]
    });
    let started = ask::<TemporalSignalWithStart>(&temporal, &call, with_start.clone())
        .await
        .unwrap();
    let again = ask::<TemporalSignalWithStart>(&temporal, &call, with_start)
        .await
        .unwrap();
    assert_eq!(
        (&started["started"], &again["started"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(started["runId"], again["runId"]);
    let described = json!({"workflowId": "s1"});
    let described = ask::<TemporalDescribeWorkflow>(&temporal, &call, described)
        .await
        .unwrap();
    assert_eq!(
        described["workflow"]["historyLength"], 4,
        "started, two signals, a task"
    );

    // The id of a closed workflow is taken or not, as it is asked for.
    let terminate = json!({"workflowId": "s1", "runId": started["runId"]});
    ask::<TemporalTerminateWorkflow>(&temporal, &call, terminate)
        .await
        .unwrap();
    let reject = json!({"workflow": order("s1"), "idReuse": "reject_duplicate"});
    failed(
        ask::<TemporalStartWorkflow>(&temporal, &call, reject).await,
        ErrorCode::Conflict,
    );
    let failed_only = json!({"workflow": order("s1"), "idReuse": "allow_duplicate_failed_only"});
    ask::<TemporalStartWorkflow>(&temporal, &call, failed_only)
        .await
        .unwrap();
    let take_over = json!({"workflow": order("s1"), "idConflict": "terminate_existing"});
    let last = ask::<TemporalStartWorkflow>(&temporal, &call, take_over)
        .await
        .unwrap();
    assert_eq!(last["started"], true);
}
