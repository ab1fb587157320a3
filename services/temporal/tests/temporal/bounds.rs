//! The bounds of roles: namespaces, types of workflows, task queues.

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_temporal::TemporalBounds;
use exomonad_test_support::{RefusingAddress, TemporalServer, eventually};
use serde_json::{Value, json};

use crate::service::{ask, bounded, call, config, failed, temporal};

fn patterns<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn start(id: &str, name: &str, queue: &str) -> Value {
    json!({"workflow": {"workflowId": id, "workflowType": name, "taskQueue": queue}})
}

#[tokio::test]
async fn nothing_is_sent_beyond_the_bounds_and_the_message_names_the_key() {
    // Nobody answers there: what is refused is refused before.
    let nobody = RefusingAddress::new();
    let temporal = temporal(config(&nobody.address().to_string()));
    let nothing = bounded(TemporalBounds::default());
    let error = failed(
        ask::<TemporalListWorkflows>(&temporal, &nothing, json!({})).await,
        ErrorCode::Forbidden,
    );
    assert!(
        error.message.contains("`role.tl.temporal.namespaces`"),
        "{error}"
    );
    let some = bounded(TemporalBounds {
        namespaces: patterns(&["default", "team-*"]),
        workflow_types: patterns(&["Order*"]),
        task_queues: patterns(&["orders"]),
    });
    for (request, key) in [
        (start("a", "Other", "orders"), "workflow_types"),
        (start("a", "Order", "other"), "task_queues"),
        (
            {
                let mut request = start("a", "Order", "orders");
                request["namespace"] = json!("prod");
                request
            },
            "namespaces",
        ),
    ] {
        let outcome = ask::<TemporalStartWorkflow>(&temporal, &some, request.clone()).await;
        let error = failed(outcome, ErrorCode::Forbidden);
        assert!(
            error.message.contains(&format!("role.tl.temporal.{key}`")),
            "{error}"
        );
        let mut request = request;
        request["name"] = json!("s");
        failed(
            ask::<TemporalSignalWithStart>(&temporal, &some, request).await,
            ErrorCode::Forbidden,
        );
    }
    failed(
        ask::<TemporalRegisterNamespace>(&temporal, &some, json!({"namespace": "prod"})).await,
        ErrorCode::Forbidden,
    );
    failed(
        ask::<TemporalStartWorkflow>(&temporal, &some, start("a", "Order", "orders")).await,
        ErrorCode::Unavailable,
    );
}

#[tokio::test]
async fn a_workflow_of_another_type_does_not_exist_for_the_role() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (temporal, all) = (temporal(config(&server.address())), call());
    let some = bounded(TemporalBounds {
        namespaces: patterns(&["default"]),
        workflow_types: patterns(&["Order*"]),
        task_queues: patterns(&["*"]),
    });
    for (id, name) in [("mine", "OrderTea"), ("secret", "Payroll")] {
        ask::<TemporalStartWorkflow>(&temporal, &all, start(id, name, "q"))
            .await
            .unwrap();
    }
    let message = |error: exomonad_schema::EffectError, id: &str| error.message.replace(id, "ID");
    macro_rules! hidden {
        ($($Request:ident $more:tt;)*) => {$(
            let mut messages = Vec::new();
            for id in ["secret", "missing"] {
                let mut request = json!($more);
                request["workflowId"] = json!(id);
                let outcome = ask::<$Request>(&temporal, &some, request).await;
                messages.push(message(failed(outcome, ErrorCode::NotFound), id));
            }
            assert_eq!(messages[0], messages[1]);
        )*};
    }
    hidden! {
        TemporalDescribeWorkflow {};
        TemporalWorkflowHistory {};
        TemporalWorkflowResult {};
        TemporalSignalWorkflow {"name": "s"};
        TemporalQueryWorkflow {"name": "q"};
        TemporalUpdateWorkflow {"name": "u"};
        TemporalCancelWorkflow {};
        TemporalTerminateWorkflow {};
    }
    let mut signal = start("secret", "OrderTea", "q");
    signal["name"] = json!("s");
    failed(
        ask::<TemporalSignalWithStart>(&temporal, &some, signal).await,
        ErrorCode::Forbidden,
    );
    let signal = json!({"workflowId": "mine", "name": "s"});
    ask::<TemporalSignalWorkflow>(&temporal, &some, signal)
        .await
        .unwrap();
    let listed = eventually("both are listed", async || {
        let all = ask::<TemporalListWorkflows>(&temporal, &all, json!({}))
            .await
            .unwrap();
        let both = all["workflows"].as_array().unwrap().len() == 2;
        both.then_some(())
    });
    listed.await;
    let mine = ask::<TemporalListWorkflows>(&temporal, &some, json!({}))
        .await
        .unwrap();
    assert_eq!(mine["workflows"].as_array().unwrap().len(), 1);
    assert_eq!(mine["workflows"][0]["workflowId"], "mine");

    let schedule = json!({
        "scheduleId": "payday", "cron": ["@daily"],
        "workflow": {"workflowId": "p", "workflowType": "Payroll", "taskQueue": "q"}
    });
    ask::<TemporalCreateSchedule>(&temporal, &all, schedule.clone())
        .await
        .unwrap();
    failed(
        ask::<TemporalCreateSchedule>(&temporal, &some, schedule).await,
        ErrorCode::Forbidden,
    );
    let named = json!({"scheduleId": "payday"});
    failed(
        ask::<TemporalTriggerSchedule>(&temporal, &some, named.clone()).await,
        ErrorCode::NotFound,
    );
    failed(
        ask::<TemporalDeleteSchedule>(&temporal, &some, named.clone()).await,
        ErrorCode::NotFound,
    );
    ask::<TemporalDeleteSchedule>(&temporal, &all, named)
        .await
        .unwrap();
}
