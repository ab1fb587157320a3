//! Schedules: runs that start at given times.

use std::collections::BTreeMap;

use exomonad_test_support::{Host, Response, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::command_line_workflows::{flows, start, workflow};

async fn set(host: &Host, id: &str, schedule: Value) -> Response {
    let request = host.request(Method::PUT, &format!("/schedules/{id}"));
    Response::of(request.body(schedule.to_string())).await
}

async fn schedule(host: &Host, id: &str) -> Value {
    let answer = host.get(&format!("/schedules/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A schedule of each second whose runs wait for a signal.
fn waiting(overlap: &str) -> Value {
    json!({
        "role": "flows", "workflow": "wait_for", "input": {"signal": "go"},
        "spec": "every 1s", "overlap": overlap,
    })
}

/// The runs, oldest first.
async fn runs(host: &Host) -> Vec<Value> {
    let answer = host.get("/workflows?limit=1000").await;
    let mut runs = answer.json()["runs"].as_array().unwrap().clone();
    runs.reverse();
    runs
}

/// Waits until so many runs have begun.
async fn begin(host: &Host, count: usize) -> Vec<Value> {
    eventually(&format!("{count} runs begin"), async || {
        let runs = runs(host).await;
        (runs.len() >= count).then_some(runs)
    })
    .await
}

/// Waits until a field of a schedule is there.
async fn has(host: &Host, id: &str, field: &str) -> Value {
    eventually(&format!("{id} has {field}"), async || {
        let schedule = schedule(host, id).await;
        (!schedule[field].is_null()).then_some(schedule)
    })
    .await
}

async fn signal(host: &Host, workflow_id: &str) {
    let body = json!({"name": "go"}).to_string();
    let sent = host
        .post(&format!("/workflows/{workflow_id}/signal"), body)
        .await;
    assert_eq!(sent.status, 200, "{sent:?}");
}

#[tokio::test]
async fn each_time_starts_one_run_also_when_its_host_is_killed_again_and_again() {
    let project = flows("");
    let mut host = project.serve().await;
    let steps = json!({
        "role": "flows", "workflow": "steps", "input": {"count": 1, "kind": "kv"}, "spec": "every 1s",
    });
    assert_eq!(set(&host, "s", steps.clone()).await.status, 201);
    for round in 1..=4 {
        begin(&host, 2 * round).await;
        host.signal(libc::SIGKILL);
        host.end().await;
        host = project.serve().await;
    }
    // Set once more, as it is.
    assert_eq!(set(&host, "s", steps).await.status, 200);
    let runs = begin(&host, 10).await;
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for run in &runs {
        let id = run["workflowId"].as_str().unwrap();
        assert!(id.starts_with("s@20") && id.ends_with('Z'), "{id}");
        *by_id.entry(id).or_default() += 1;
    }
    assert!(by_id.values().all(|count| *count == 1), "{by_id:?}");
    let last = &runs[runs.len() - 1];
    let shown = has(&host, "s", "lastWorkflowId").await;
    assert!(
        shown["lastWorkflowId"].as_str() >= last["workflowId"].as_str(),
        "{shown}"
    );
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_skipped_beside_awaited_cancelled_or_ended() {
    let project = flows("");
    let host = project.serve().await;
    set(&host, "skips", waiting("skip")).await;
    begin(&host, 1).await;
    let skipped = has(&host, "skips", "note").await;
    let first = skipped["lastWorkflowId"].as_str().unwrap();
    let note = skipped["note"].as_str().unwrap();
    assert_eq!(note, format!("skipped: `{first}` has not ended"));
    assert_eq!(runs(&host).await.len(), 1);
    signal(&host, first).await;
    begin(&host, 2).await;
    assert_eq!(host.post("/schedules/skips/pause", "").await.status, 200);

    set(&host, "waits", waiting("buffer_one")).await;
    let waits = has(&host, "waits", "waitingUnixMillis").await;
    let first = waits["lastWorkflowId"].as_str().unwrap();
    signal(&host, first).await;
    eventually("the one that waits begins", async || {
        let now = schedule(&host, "waits").await;
        (now["lastUnixMillis"] == waits["waitingUnixMillis"]).then_some(())
    })
    .await;
    assert_eq!(host.post("/schedules/waits/pause", "").await.status, 200);

    for (policy, status) in [
        ("cancel_previous", "cancelled"),
        ("terminate_previous", "terminated"),
    ] {
        set(&host, policy, waiting(policy)).await;
        eventually(
            &format!("one is {status} and the next one begins"),
            async || {
                let last = schedule(&host, policy).await["lastWorkflowId"].clone();
                let runs = runs(&host).await;
                let mut of_policy = runs
                    .iter()
                    .filter(|run| run["workflowId"].as_str().unwrap().starts_with(policy));
                let first = of_policy.next()?;
                (first["status"] == status && first["workflowId"] != last).then_some(())
            },
        )
        .await;
        assert_eq!(
            host.post(&format!("/schedules/{policy}/pause"), "")
                .await
                .status,
            200
        );
    }

    set(&host, "allows", waiting("allow")).await;
    eventually("two are open beside each other", async || {
        let runs = runs(&host).await;
        let open = runs.iter().filter(|run| {
            run["workflowId"].as_str().unwrap().starts_with("allows@")
                && run["endedUnixMillis"].is_null()
        });
        (open.count() >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_schedule_is_set_listed_paused_resumed_triggered_and_removed_from_the_command_line() {
    let project = flows("");
    let host = project.serve().await;
    let run = |arguments: &[&str]| workflow(&project, &host, &[&["schedule"], arguments].concat());
    assert_eq!(
        run(&["list", "--json"]).exits(0).json()["schedules"],
        json!([])
    );
    let input = r#"{"count": 2, "kind": "kv"}"#;
    let times = "30 2 * * 1-5 Europe/Berlin";
    let set = run(&[
        "set",
        "nightly",
        "flows",
        "steps",
        times,
        "--input",
        input,
        "--overlap",
        "allow",
        "--catch-up",
        "2h",
    ]);
    let shown = set.exits(0).stdout;
    for says in [
        "nightly of role flows: active",
        times,
        "allow",
        "2h 00m",
        "next",
    ] {
        assert!(shown.contains(says), "{says}: {shown}");
    }
    let listed = run(&["list"]).exits(0).stdout;
    assert!(listed.contains(times), "{listed}");
    let paused = run(&["pause", "nightly", "--json"]).exits(0).json();
    assert_eq!(
        (&paused["paused"], &paused["nextUnixMillis"]),
        (&json!(true), &json!([]))
    );
    assert!(run(&["list"]).exits(0).stdout.contains("paused"));
    let triggered = run(&["trigger", "nightly", "--json"]).exits(0).json();
    let id = triggered["workflowId"].as_str().unwrap();
    assert!(id.starts_with("nightly@"), "{triggered}");
    workflow(&project, &host, &["tail", id]).exits(0);
    let resumed = run(&["resume", "nightly", "--json"]).exits(0).json();
    let next = resumed["nextUnixMillis"].as_array().unwrap();
    assert_eq!(next.len(), 5, "{resumed}");
    assert!(next.iter().is_sorted_by_key(|at| at.as_i64()), "{resumed}");
    assert_eq!(resumed["lastWorkflowId"], id);
    run(&["delete", "nightly"]).exits(0);
    for gone in ["show", "delete", "trigger", "pause"] {
        let gone = run(&[gone, "nightly"]).exits(3);
        assert!(gone.stderr.contains("no schedule `nightly`"), "{gone:?}");
    }
}

#[tokio::test]
async fn what_can_start_no_run_is_refused_when_it_is_set_and_told_when_it_is_due() {
    let project = flows("");
    let host = project.serve().await;
    let steps = |spec: &str| json!({"role": "flows", "workflow": "steps", "input": {"count": 1, "kind": "kv"}, "spec": spec});
    for (spec, says) in [
        ("every 1ms", "one second to 366 days"),
        ("61 * * * *", "its minute `61`"),
        ("0 0 31 2 *", "no day is like that"),
        ("0 0 * * * Mars/Olympus", "no time zone `Mars/Olympus`"),
    ] {
        let told = set(&host, "s", steps(spec))
            .await
            .problem(422, "invalid_input");
        assert!(told.contains(says), "{told}");
    }
    let mut unknown = steps("every 1h");
    unknown["workflow"] = "step".into();
    let told = set(&host, "s", unknown).await.problem(404, "not_found");
    assert!(told.contains("did you mean `steps`"), "{told}");
    let mut unfit = steps("every 1h");
    unfit["input"] = json!({"count": -1});
    set(&host, "s", unfit).await.problem(422, "invalid_input");
    assert_eq!(host.get("/schedules").await.json()["schedules"], json!([]));

    // Its plugin goes: the time that has come is kept, and made up for.
    assert_eq!(set(&host, "s", steps("every 1s")).await.status, 201);
    begin(&host, 1).await;
    let plugin = project.plugin_path("workflows.wasm");
    let aside = project.path("aside.wasm");
    std::fs::rename(&plugin, &aside).unwrap();
    host.reload().await;
    let told = has(&host, "s", "note").await;
    assert!(
        told["note"]
            .as_str()
            .unwrap()
            .starts_with("no run could be started: "),
        "{told}"
    );
    let before = runs(&host).await.len();
    std::fs::rename(&aside, &plugin).unwrap();
    host.reload().await;
    begin(&host, before + 1).await;
    start(&host, "steps", "still", json!({"count": 0, "kind": "kv"})).await;
}
