//! Servers that are away, come back, or refuse.

use std::time::Duration;

use exomonad_core::values::TimeSpan;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_temporal::TemporalConfig;
use exomonad_test_support::{RefusingAddress, TemporalServer, eventually};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::service::{ask, call, config, details, failed, temporal};

fn start(id: &str) -> Value {
    json!({"workflow": {"workflowId": id, "workflowType": "Order", "taskQueue": "q"}})
}

#[tokio::test]
async fn a_server_that_is_away_at_first_and_restarts_later_is_an_error_of_effects_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut server) = TemporalServer::prepare(Some(&folder.path().join("temporal.db"))) else {
        return;
    };
    let (temporal, call) = (temporal(config(&server.address())), call());
    let error = failed(
        ask::<TemporalStartWorkflow>(&temporal, &call, start("w1")).await,
        ErrorCode::Unavailable,
    );
    assert!(error.message.contains(&server.address()), "{error}");
    assert!(error.message.contains("`temporal.address`"), "{error}");
    assert_eq!(
        details(&error)["outcomeUnknown"],
        Value::Null,
        "nothing was sent"
    );

    server.start_again().await;
    let started = ask::<TemporalStartWorkflow>(&temporal, &call, start("w1"))
        .await
        .unwrap();
    server.stop();
    let describe = json!({"workflowId": "w1"});
    failed(
        ask::<TemporalDescribeWorkflow>(&temporal, &call, describe.clone()).await,
        ErrorCode::Unavailable,
    );
    server.start_again().await;
    let found = eventually("the connection is there again", async || {
        ask::<TemporalDescribeWorkflow>(&temporal, &call, describe.clone())
            .await
            .ok()
    })
    .await;
    assert_eq!(found["workflow"]["runId"], started["runId"]);
    temporal.close();
    let found = ask::<TemporalDescribeWorkflow>(&temporal, &call, describe)
        .await
        .unwrap();
    assert_eq!(
        found["workflow"]["runId"], started["runId"],
        "it is opened anew"
    );
}

#[tokio::test]
async fn a_request_waits_for_a_server_that_comes_within_the_time_for_retries() {
    let Some(mut server) = TemporalServer::prepare(None) else {
        return;
    };
    let patient = temporal(TemporalConfig {
        retry_time: TimeSpan::secs(60),
        ..config(&server.address())
    });
    let asking = tokio::spawn(async move {
        ask::<TemporalDescribeNamespace>(&patient, &call(), json!({})).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.start_again().await;
    assert_eq!(asking.await.unwrap().unwrap()["name"], "default");
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_the_time_limit_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let hasty = temporal(TemporalConfig {
        time_limit: TimeSpan::millis(300),
        ..config(&address)
    });
    let error = failed(
        ask::<TemporalStartWorkflow>(&hasty, &call(), start("w1")).await,
        ErrorCode::Timeout,
    );
    assert!(error.message.contains("300ms"), "{error}");
    // Many that wait for one try take its outcome.
    let nobody = RefusingAddress::new();
    let gone = temporal(TemporalConfig {
        retry_time: TimeSpan::secs(2),
        time_limit: TimeSpan::secs(30),
        ..config(&nobody.address().to_string())
    });
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let gone = gone.clone();
            tokio::spawn(
                async move { ask::<TemporalListNamespaces>(&gone, &call(), json!({})).await },
            )
        })
        .collect();
    for asked in asking {
        failed(asked.await.unwrap(), ErrorCode::Unavailable);
    }
    let gone = temporal(config(&nobody.address().to_string()));
    failed(
        ask::<TemporalListNamespaces>(&gone, &call(), json!({})).await,
        ErrorCode::Unavailable,
    );
    // TLS towards a port that speaks none.
    let tls = temporal(TemporalConfig {
        tls: true,
        ..config(&nobody.address().to_string())
    });
    failed(
        ask::<TemporalListNamespaces>(&tls, &call(), json!({})).await,
        ErrorCode::Unavailable,
    );
}

#[tokio::test]
async fn what_is_too_large_or_has_no_worker_is_told_with_what_to_do() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let temporal_ = temporal(config(&server.address()));
    let mut large = start("w1");
    large["workflow"]["input"] = json!(["x".repeat(3 << 20)]);
    let error = failed(
        ask::<TemporalStartWorkflow>(&temporal_, &call(), large).await,
        ErrorCode::LimitExceeded,
    );
    assert!(error.message.contains("2 MiB"), "{error}");
    let mut huge = start("w1");
    huge["workflow"]["input"] = json!(["x".repeat(6 << 20)]);
    failed(
        ask::<TemporalStartWorkflow>(&temporal_, &call(), huge).await,
        ErrorCode::LimitExceeded,
    );
    ask::<TemporalStartWorkflow>(&temporal_, &call(), start("w1"))
        .await
        .unwrap();
    let hasty = temporal(TemporalConfig {
        time_limit: TimeSpan::secs(2),
        ..config(&server.address())
    });
    let query = json!({"workflowId": "w1", "name": "anything"});
    let error = ask::<TemporalQueryWorkflow>(&hasty, &call(), query)
        .await
        .unwrap_err();
    assert!(
        matches!(error.code, ErrorCode::Timeout | ErrorCode::Unavailable),
        "{error}"
    );
    assert!(error.message.contains("worker"), "{error}");
    let update = json!({"workflowId": "w1", "name": "anything", "timeoutMillis": 1500});
    let error = failed(
        ask::<TemporalUpdateWorkflow>(&hasty, &call(), update).await,
        ErrorCode::Timeout,
    );
    assert_eq!(details(&error)["outcomeUnknown"], true);
}
