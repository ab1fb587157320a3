//! Schedules.

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_test_support::{TemporalServer, eventually};
use serde_json::{Value, json};

use crate::service::{ask, call, config, failed, temporal};

#[tokio::test]
async fn a_schedule_is_created_paused_triggered_described_listed_and_deleted() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let (temporal, call) = (temporal(config(&server.address())), call());
    let create = json!({
        "scheduleId": "nightly",
        "workflow": {"workflowId": "n", "workflowType": "Nightly", "taskQueue": "q", "input": [1]},
        "cron": ["30 2 * * 1-5"], "timeZone": "Europe/Berlin",
        "intervals": [{"everyMillis": 3_600_000, "offsetMillis": 60_000}],
        "overlap": "allow_all", "note": "as agreed", "memo": {"who": "ada"},
        "startTime": "2027-01-01T00:00:00Z"
    });
    ask::<TemporalCreateSchedule>(&temporal, &call, create.clone())
        .await
        .unwrap();
    failed(
        ask::<TemporalCreateSchedule>(&temporal, &call, create.clone()).await,
        ErrorCode::Conflict,
    );
    let mut wrong = create.clone();
    wrong["startTime"] = json!("tomorrow");
    failed(
        ask::<TemporalCreateSchedule>(&temporal, &call, wrong).await,
        ErrorCode::InvalidInput,
    );
    let mut wrong = create;
    wrong["scheduleId"] = json!("other");
    wrong["cron"] = json!(["every day"]);
    let error = failed(
        ask::<TemporalCreateSchedule>(&temporal, &call, wrong).await,
        ErrorCode::Validation,
    );
    assert!(error.message.contains("other"), "{error}");

    let named = json!({"scheduleId": "nightly"});
    let describe = async || {
        ask::<TemporalDescribeSchedule>(&temporal, &call, named.clone())
            .await
            .unwrap()
    };
    let described = describe().await;
    assert_eq!(described["workflowType"], "Nightly");
    assert_eq!(described["overlap"], "allow_all");
    assert_eq!(described["note"], "as agreed");
    assert_eq!(described["memo"], json!({"who": "ada"}));
    assert_eq!(described["paused"], false);
    assert_eq!(described["spec"]["interval"][0]["interval"], "3600s");
    assert_eq!(described["spec"]["timezoneName"], "Europe/Berlin");
    let next = described["nextTimes"][0].as_str().unwrap();
    assert!(next.starts_with("2027-01-01T0"), "{next}");
    let theirs = server.cli_json(&["schedule", "describe", "-s", "nightly"]);
    assert_eq!(theirs["schedule"]["spec"], described["spec"]);

    let pause = json!({"scheduleId": "nightly", "note": "holidays"});
    ask::<TemporalPauseSchedule>(&temporal, &call, pause)
        .await
        .unwrap();
    let described = describe().await;
    assert_eq!(
        (&described["paused"], &described["note"]),
        (&json!(true), &json!("holidays"))
    );
    ask::<TemporalUnpauseSchedule>(&temporal, &call, named.clone())
        .await
        .unwrap();
    assert_eq!(describe().await["paused"], false);

    let trigger = json!({"scheduleId": "nightly", "requestId": "t1"});
    ask::<TemporalTriggerSchedule>(&temporal, &call, trigger)
        .await
        .unwrap();
    let recent = eventually("the schedule has started its workflow", async || {
        let described = describe().await;
        (described["actionCount"] == 1).then(|| described["recent"][0].clone())
    })
    .await;
    let id = recent["execution"]["workflowId"].as_str().unwrap();
    assert!(id.starts_with("n-"), "{id}");
    let started = json!({"workflowId": id, "limit": 1});
    let history = ask::<TemporalWorkflowHistory>(&temporal, &call, started)
        .await
        .unwrap();
    let input = &history["events"][0]["workflowExecutionStartedEventAttributes"]["input"];
    assert_eq!(input["payloads"][0]["data"], "MQ==");

    server.run_cli(&[
        "schedule",
        "create",
        "-s",
        "theirs",
        "--type",
        "T",
        "-t",
        "q",
        "-w",
        "t",
        "--interval",
        "1h",
    ]);
    eventually("both are listed", async || {
        let page = ask::<TemporalListSchedules>(&temporal, &call, json!({}))
            .await
            .unwrap();
        let mut ids: Vec<&str> = page["schedules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|schedule| schedule["scheduleId"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        (ids == ["nightly", "theirs"]).then_some(())
    })
    .await;
    ask::<TemporalDeleteSchedule>(&temporal, &call, named.clone())
        .await
        .unwrap();
    let gone = ask::<TemporalDescribeSchedule>(&temporal, &call, named.clone()).await;
    failed(gone, ErrorCode::NotFound);
    let gone: Result<Value, _> = ask::<TemporalPauseSchedule>(&temporal, &call, named).await;
    failed(gone, ErrorCode::NotFound);
}
