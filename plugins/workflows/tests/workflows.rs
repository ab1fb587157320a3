//! The workflows, in simulated time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::testing::FakeHost;
use serde_json::{Value, json};
use workflows::PLUGIN;

const DAY: Duration = Duration::from_secs(86_400);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn every_workflow_is_listed_with_its_schemas() {
    let listed = serde_json::to_value(PLUGIN.list_workflows()).unwrap();
    let workflows = listed["workflows"].as_array().unwrap();
    assert_eq!(workflows.len(), 21);
    for workflow in workflows {
        assert!(
            workflow["description"].as_str().unwrap().len() > 10,
            "{workflow}"
        );
    }
    let named = |name: &str| workflows.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(
        named("wait_for"),
        &json!({
            "name": "wait_for",
            "description": "Waits for a signal, and returns its payload.",
            "inputSchema": {
                "type": "object",
                "description": "The signal to wait for.",
                "properties": {
                    "signal": { "type": "string", "description": "Its name." },
                    "timeoutMillis": {
                        "type": ["integer", "null"],
                        "minimum": 0,
                        "description": "The longest wait; no end when absent.",
                    },
                },
                "required": ["signal"],
                "additionalProperties": false,
            },
            "outputSchema": named("wait_for")["stateSchema"],
            "stateSchema": {
                "type": "object",
                "description": "How far `wait_for` is.",
                "properties": {
                    "phase": { "type": "string", "description": "`waiting`, `received` or `timed_out`." },
                    "signal": { "type": "string", "description": "The signal that it waits for." },
                    "payload": { "description": "The signal's payload." },
                },
                "required": ["phase", "signal"],
            },
            "stateVersion": 2,
            "queries": [
                { "name": "progress" },
                {
                    "name": "has_phase",
                    "schema": {
                        "type": "object",
                        "description": "A phase to ask for.",
                        "properties": { "phase": { "type": "string", "description": "Its name." } },
                        "required": ["phase"],
                        "additionalProperties": false,
                    },
                },
            ],
            "isTool": false,
            "needsTask": false,
        })
    );
    let spins = named("spins");
    assert_eq!(
        (spins.get("inputSchema"), spins.get("outputSchema")),
        (None, None)
    );
    assert_eq!(named("compensates")["signals"], json!([{ "name": "done" }]));
    assert_eq!(named("sleeper")["isTool"], true);
}

#[test]
fn steps_are_effects_and_nothing_else() {
    let host = FakeHost::new();
    let ended = host.run_workflow(&PLUGIN, "steps", &json!({ "count": 1000, "kind": "kv" }));
    assert_eq!(ended.output(), json!({ "count": 1000 }));
    assert_eq!(host.kv_value("steps/test-workflow"), Some(json!(1000)));
    assert_eq!(
        host.functions().len(),
        1000,
        "the check afterwards performs nothing"
    );
}

#[test]
fn a_month_passes_at_once() {
    let month = 30 * 86_400_000_u64;
    let host = FakeHost::new();
    let ended = host.run_workflow(&PLUGIN, "sleeper", &json!({ "millis": month }));
    assert_eq!(ended.elapsed, 30 * DAY);
}

#[test]
fn timers_and_writes_run_beside_each_other_and_the_fastest_wins_the_race() {
    let host = FakeHost::new().takes::<KvSet>(millis(40));
    let ended = host.run_workflow(&PLUGIN, "parallel", &json!({ "n": 5, "millis": 100 }));
    assert_eq!(
        ended.output(),
        json!({ "timers": 5, "writes": 5, "winner": 4 })
    );
    // The last of the first timers after 104 ms, then the winner after 102.
    assert_eq!(ended.elapsed, millis(206));
}

#[test]
fn a_signal_ends_the_wait_and_queries_see_the_state() {
    let host = FakeHost::new().signal_at(3 * DAY, "approve", json!({ "by": "Ada" }));
    let ended = host.run_workflow(&PLUGIN, "wait_for", &json!({ "signal": "approve" }));
    assert_eq!(ended.elapsed, 3 * DAY);
    let received = json!({ "phase": "received", "signal": "approve", "payload": { "by": "Ada" } });
    assert_eq!(ended.output(), received);
    assert_eq!(
        ended.states,
        [json!({ "phase": "waiting", "signal": "approve" }), received]
    );
    let ask = |query: &str, arguments: Value, state: &Value| {
        host.query_workflow(&PLUGIN, "wait_for", query, &arguments, state)
    };
    assert_eq!(
        ask("progress", json!(null), &ended.states[0]).unwrap(),
        "waiting"
    );
    let has_phase = ask(
        "has_phase",
        json!({ "phase": "received" }),
        &ended.states[1],
    );
    assert_eq!(has_phase.unwrap(), true);
    let unpublished = ask("progress", json!(null), &json!(null)).unwrap_err();
    assert_eq!(
        unpublished.message(),
        "the run has not published a state yet"
    );
    let unknown = ask("progess", json!(null), &ended.states[0]).unwrap_err();
    assert_eq!(
        unknown.message(),
        "the workflow `wait_for` has no query `progess`; there are progress, has_phase"
    );
}

#[test]
fn a_wait_ends_without_a_signal_when_its_time_is_up() {
    let host = FakeHost::new().signal_at(2 * DAY, "approve", json!(1));
    let input = json!({ "signal": "approve", "timeoutMillis": 86_400_000 });
    let ended = host.run_workflow(&PLUGIN, "wait_for", &input);
    assert_eq!(
        ended.output(),
        json!({ "phase": "timed_out", "signal": "approve" })
    );
    assert_eq!(ended.elapsed, DAY);
}

#[test]
fn a_state_of_an_older_version_is_migrated() {
    let host = FakeHost::new();
    let migrated = host.migrate_workflow(&PLUGIN, "wait_for", 1, &json!({ "phase": "waiting" }));
    assert_eq!(
        migrated.unwrap(),
        json!({ "phase": "waiting", "signal": "" })
    );
    let error = host
        .migrate_workflow(&PLUGIN, "grows", 1, &json!({}))
        .unwrap_err();
    assert!(error.message().contains("from version 1 to 0"), "{error}");
}

fn unreachable_until(attempt: u32) -> FakeHost {
    let attempts = std::cell::Cell::new(0);
    FakeHost::new().on(move |request: HttpRequest| {
        attempts.set(attempts.get() + 1);
        if attempts.get() < attempt {
            return Err(EffectError {
                code: ErrorCode::Unavailable,
                message: "connection refused".to_owned(),
                details: None,
            });
        }
        Ok(HttpResponse {
            status: 200,
            url: request.url,
            body: "there".to_owned(),
            ..HttpResponse::default()
        })
    })
}

#[test]
fn a_step_is_tried_again_with_growing_waits() {
    let host = unreachable_until(4);
    let input = json!({ "url": "http://example.com/", "attempts": 5 });
    let ended = host.run_workflow(&PLUGIN, "retries", &input);
    assert_eq!(ended.output(), json!({ "status": 200, "body": "there" }));
    let begun = host.unix_millis() - 7_000;
    let times: Vec<_> = host
        .timed_requests::<HttpRequest>()
        .into_iter()
        .map(|(at, _)| at - begun)
        .collect();
    assert_eq!(times, [0, 1_000, 3_000, 7_000]);
}

#[test]
fn a_step_fails_after_its_last_attempt_or_when_its_time_is_up() {
    let host = unreachable_until(100);
    let input = json!({ "url": "http://example.com/", "attempts": 3 });
    let ended = host.run_workflow(&PLUGIN, "retries", &input);
    assert_eq!(ended.failure().code, "unavailable");
    assert_eq!(host.requests::<HttpRequest>().len(), 3);

    let host = unreachable_until(100);
    let input = json!({ "url": "http://example.com/", "attempts": 100, "timeoutMillis": 10_000 });
    let ended = host.run_workflow(&PLUGIN, "retries", &input);
    assert_eq!(ended.failure().code, "timeout");
    assert_eq!(ended.elapsed, millis(10_000));
}

#[test]
fn children_run_beside_each_other() {
    let host = FakeHost::new();
    let ended = host.run_workflow(
        &PLUGIN,
        "spawns",
        &json!({ "children": 20, "millis": 5_000 }),
    );
    assert_eq!(ended.output(), json!({ "count": 20 }));
    assert_eq!(ended.elapsed, millis(5_000));
    assert_eq!(host.requests::<WorkflowSleep>().len(), 20);
}

#[test]
fn cancelling_undoes_the_writes_in_reverse() {
    let host = FakeHost::new().cancel_at(DAY);
    let ended = host.run_workflow(&PLUGIN, "compensates", &json!(null));
    assert!(ended.is_cancelled(), "{ended:?}");
    assert_eq!(ended.elapsed, DAY);
    assert_eq!(host.kv_value("compensates/test-workflow/a"), None);
    assert_eq!(host.kv_value("compensates/test-workflow/b"), None);
    assert_eq!(
        host.kv_value("compensates/test-workflow/undone"),
        Some(json!("ba"))
    );

    let host = FakeHost::new().signal_at(DAY, "done", json!(null));
    host.run_workflow(&PLUGIN, "compensates", &json!(null))
        .output();
    assert_eq!(
        host.kv_value("compensates/test-workflow/a"),
        Some(json!(true))
    );
}

#[test]
fn a_run_continues_as_new_with_its_state() {
    let host = FakeHost::new();
    let ended = host.run_workflow(&PLUGIN, "continues", &json!({ "rounds": 5 }));
    assert_eq!((ended.runs, ended.output()), (5, json!({ "total": 5 })));
}

#[test]
fn a_patch_applies_unless_the_run_came_past_it_before() {
    let go = || FakeHost::new().signal_at(DAY, "go", json!(null));
    let ended = go().run_workflow(&PLUGIN, "patched_flow", &json!(null));
    assert_eq!(ended.output(), json!({ "way": "new" }));
    let ended = go()
        .without_patch("v2")
        .run_workflow(&PLUGIN, "patched_flow", &json!(null));
    assert_eq!(ended.output(), json!({ "way": "old" }));
}

#[test]
fn the_configuration_names_the_key() {
    let host = FakeHost::new()
        .config("key", "a")
        .kv("a", json!(1))
        .signal_at(DAY, "go", json!(null));
    let ended = host.run_workflow(&PLUGIN, "configured", &json!(null));
    assert_eq!(ended.output(), json!({ "key": "a", "found": true }));
}

#[test]
fn randomness_and_time_come_from_the_host() {
    let host = FakeHost::new();
    let ended = host.run_workflow(&PLUGIN, "random_and_time", &json!({ "millis": 1_000 }));
    let output = ended.output();
    let at = |name: &str| output[name].as_i64().unwrap();
    assert_eq!(at("afterUnixMillis") - at("beforeUnixMillis"), 1_000);
    assert_eq!(output["random"].as_str().unwrap().len(), 32);
    assert_eq!(host.requests::<RandomBytes>().len(), 1);
}

#[test]
fn log_lines_are_written_once() {
    let host = FakeHost::new();
    host.run_workflow(&PLUGIN, "writes_log", &json!({ "millis": 1_000 }));
    let lines: Vec<_> = host
        .requests::<Log>()
        .into_iter()
        .map(|line| line.message)
        .collect();
    assert_eq!(lines, ["before the sleep", "after the sleep"]);
}

#[test]
fn failures_and_states_are_as_asked_for() {
    let host = FakeHost::new();
    let input = json!({ "code": "too_late", "message": "Come tomorrow." });
    let ended = host.run_workflow(&PLUGIN, "fails", &input);
    assert_eq!(
        serde_json::to_value(ended.failure()).unwrap(),
        json!({ "code": "too_late", "message": "Come tomorrow.", "details": input })
    );
    let ended = host.run_workflow(&PLUGIN, "grows", &json!({ "bytes": 1_000 }));
    assert_eq!(ended.states[0]["filling"].as_str().unwrap().len(), 1_000);
    let ended = host.run_workflow(&PLUGIN, "allocates", &json!({ "bytes": 1_000 }));
    assert_eq!(ended.output(), json!({ "bytes": 1_000 }));
}

#[test]
fn an_input_of_another_type_is_a_failure() {
    let ended = FakeHost::new().run_workflow(&PLUGIN, "sleeper", &json!({ "millis": "a while" }));
    assert_eq!(ended.failure().code, "invalid_input");
}

#[test]
fn traps_panic_unless_the_configuration_says_otherwise() {
    let run = |host: FakeHost, workflow| {
        let run = || {
            host.run_workflow(&PLUGIN, workflow, &json!({ "count": 2 }))
                .output()
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok()
    };
    assert!(!run(FakeHost::new(), "traps_always"));
    assert!(!run(FakeHost::new(), "traps_on"));
    assert!(run(
        FakeHost::new().config("trap_is_off", "yes"),
        "traps_on"
    ));
}

#[test]
fn tools_start_workflows_and_send_signals() {
    let host = FakeHost::new()
        .on(|asked: WorkflowStartChild| {
            assert_eq!(
                (&*asked.workflow, asked.input.get()),
                ("sleeper", r#"{"millis":5}"#)
            );
            Ok(WorkflowChild {
                handle: None,
                workflow_id: asked.workflow_id.unwrap(),
                run_id: "r".to_owned(),
                started: true,
            })
        })
        .on(|_: WorkflowSignal| Ok(Done {}))
        .on(|asked: WorkflowGet| {
            Ok(WorkflowRun {
                workflow: "sleeper".to_owned(),
                workflow_id: asked.workflow_id,
                run_id: "r".to_owned(),
                status: WorkflowStatus::Completed,
                output: Some(json!({ "millis": 5 }).into()),
                error: None,
                state: None,
            })
        });
    let call = |tool: &str, arguments: Value| {
        let result = host.call_tool(&PLUGIN, tool, &arguments);
        assert!(!result.is_error, "{result:?}");
        result
            .structured_content
            .map(|content| content.parse::<Value>().unwrap())
    };
    assert_eq!(
        call("start_sleeper", json!({ "workflowId": "w", "millis": 5 })).unwrap(),
        json!({ "workflowId": "w", "runId": "r", "started": true })
    );
    call(
        "send_signal",
        json!({ "workflowId": "w", "name": "go", "payload": { "a": 1 } }),
    );
    assert_eq!(
        host.requests::<WorkflowSignal>()[0].payload.get(),
        r#"{"a":1}"#
    );
    assert_eq!(
        call("workflow_status", json!({ "workflowId": "w" })).unwrap(),
        json!({ "status": "completed", "output": { "millis": 5 } })
    );
}
