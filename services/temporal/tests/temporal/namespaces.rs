//! Namespaces.

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_temporal::TemporalBounds;
use exomonad_test_support::{TemporalServer, eventually};
use serde_json::json;

use crate::service::{ask, bounded, call, config, failed, temporal};

#[tokio::test]
async fn namespaces_are_registered_described_listed_and_used() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (temporal, call) = (temporal(config(&server.address())), call());
    let register = json!({
        "namespace": "orders", "description": "all orders", "ownerEmail": "ada@example.com",
        "retentionMillis": 86_400_000, "data": {"team": "shop"}
    });
    ask::<TemporalRegisterNamespace>(&temporal, &call, register.clone())
        .await
        .unwrap();
    failed(
        ask::<TemporalRegisterNamespace>(&temporal, &call, register).await,
        ErrorCode::Conflict,
    );
    let described = json!({"namespace": "orders"});
    let described = ask::<TemporalDescribeNamespace>(&temporal, &call, described)
        .await
        .unwrap();
    assert_eq!(described["state"], "registered");
    assert_eq!(described["description"], "all orders");
    assert_eq!(described["retentionMillis"], 86_400_000);
    assert_eq!(described["data"], json!({"team": "shop"}));
    let own = ask::<TemporalDescribeNamespace>(&temporal, &call, json!({}))
        .await
        .unwrap();
    assert_eq!(own["name"], "default");

    let names = async |call| -> Vec<String> {
        let page = ask::<TemporalListNamespaces>(&temporal, call, json!({}))
            .await
            .unwrap();
        let mut names: Vec<String> = page["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|namespace| namespace["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert!(names(&call).await.contains(&"default".to_owned()));
    let narrow = bounded(TemporalBounds {
        namespaces: vec!["ord*".parse().unwrap()],
        ..TemporalBounds::default()
    });
    assert_eq!(names(&narrow).await, ["orders"]);

    // It takes the server's parts some seconds to know it.
    let workflow = json!({"workflowId": "w1", "workflowType": "Order", "taskQueue": "q"});
    let started = eventually("the namespace is known", async || {
        let request = json!({"namespace": "orders", "workflow": workflow.clone()});
        ask::<TemporalStartWorkflow>(&temporal, &call, request)
            .await
            .ok()
    })
    .await;
    assert_eq!(started["namespace"], "orders");
    let elsewhere = json!({"workflowId": "w1"});
    failed(
        ask::<TemporalDescribeWorkflow>(&temporal, &call, elsewhere).await,
        ErrorCode::NotFound,
    );
    let nowhere = json!({"namespace": "nowhere", "workflow": workflow});
    let error = failed(
        ask::<TemporalStartWorkflow>(&temporal, &call, nowhere).await,
        ErrorCode::NotFound,
    );
    assert!(error.message.contains("check the namespace"), "{error}");
}
