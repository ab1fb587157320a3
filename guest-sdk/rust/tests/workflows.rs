//! Tests of `#[workflow]` and of the simulated time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::testing::{FakeHost, FinishedRun};
use exomonad_guest::workflow::{First, Run};
use exomonad_guest::{docker, kv};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn exec(command: &str) -> DockerExec {
    DockerExec::new("c", vec![command.to_owned()])
}

fn note(key: &str) -> Result<(), WorkflowError> {
    kv::set(&KvSet::new(key, Json::new(&true)?))?;
    Ok(())
}

/// Whatever comes first: the build, a signal or an hour.
#[workflow(signals(stop, skip = String))]
fn selects(run: &Run) -> Result<String, WorkflowError> {
    let build = run.start(exec("build"))?;
    let first = run
        .select()
        .handle(&build)
        .signal("stop")
        .signal("skip")
        .timeout(HOUR)
        .wait()?;
    Ok(match first {
        First::Handle(0) => format!("built: {}", build.wait()?.exit_code),
        First::Handle(other) => format!("no such handle: {other}"),
        First::Signal { ref name, .. } if name == "skip" => first.payload()?,
        First::Signal { name, .. } => {
            build.cancel()?;
            let stopped = build.outcome()?.unwrap_err();
            format!("{name}: {}", stopped.code.name())
        }
        First::Timeout => "too late".to_owned(),
    })
}

/// Runs a command, and cleans up when it is cancelled or fails.
#[workflow]
fn cleans_up(run: &Run) -> Result<i32, WorkflowError> {
    for name in ["first", "second"] {
        run.add_compensation(move |_| {
            docker::exec(&exec(&format!("remove {name}")))?;
            Ok(())
        });
    }
    Ok(docker::exec(&exec("build"))?.exit_code)
}

/// The order in which equal timers and steps come.
#[workflow]
fn ties(run: &Run) -> Result<Vec<usize>, WorkflowError> {
    let mut handles = vec![run.timer(MINUTE)?, run.timer(MINUTE)?, run.timer(HOUR)?];
    let mut order = Vec::new();
    while handles.len() > 1 {
        let mut select = run.select();
        for handle in &handles {
            select = select.handle(handle);
        }
        if let First::Handle(position) = select.wait()? {
            order.push(position);
            handles.remove(position).wait()?;
        }
    }
    run.race(handles)?;
    Ok(order)
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Depends on something that is not an effect.
#[workflow]
fn forgets(run: &Run) -> Result<(), WorkflowError> {
    run.sleep(MINUTE)?;
    note(&format!("call/{}", CALLS.fetch_add(1, Ordering::Relaxed)))
}

/// The number of a child.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Number {
    number: u64,
}

/// Fails after a minute.
#[workflow]
fn fails_late(input: Number, run: &Run) -> Result<(), WorkflowError> {
    run.sleep(MINUTE)?;
    let details = Json::new(&input)?;
    Err(WorkflowError::new("too_large", "it is too large").with_details(details))
}

/// Waits for a child that fails, and returns how.
#[workflow]
fn has_failing_child(run: &Run) -> Result<Value, WorkflowError> {
    let child = run.child::<fails_late>(&Number { number: 7 })?.start()?;
    let error = child.outcome()?.unwrap_err();
    Ok(json!({
        "code": error.code.name(),
        "details": error.details.unwrap().parse::<Value>()?,
    }))
}

/// Waits for ever, and says so when it is cancelled.
#[workflow]
fn waits(run: &Run) -> Result<(), WorkflowError> {
    run.add_compensation(|_| note("waits/undone"));
    run.wait_signal::<Value>("never")?;
    Ok(())
}

/// Ends before its child.
#[workflow]
fn leaves_child(run: &Run) -> Result<(), WorkflowError> {
    // Not waited for: that is what is tested.
    let _child = run.child::<waits>(&())?.id("left").start()?;
    run.sleep(MINUTE)
}

/// Sends its parent a signal, and waits for the answer.
#[workflow]
fn asks_parent(parent: String, run: &Run) -> Result<u64, WorkflowError> {
    run.signal(&parent, "question", &run.workflow_id())?;
    run.wait_signal("answer")
}

/// Answers its child's signal.
#[workflow]
fn answers_child(run: &Run) -> Result<u64, WorkflowError> {
    let parent = run.workflow_id().to_owned();
    let child = run.child::<asks_parent>(&parent)?.start()?;
    let who: String = run.wait_signal("question")?;
    run.sleep(HOUR)?;
    run.signal(&who, "answer", &42)?;
    child.wait()
}

/// Takes one signal a run.
#[workflow(signals(item = u64))]
fn one_at_a_time(before: Vec<u64>, run: &Run<Number>) -> Result<Vec<u64>, WorkflowError> {
    let item: u64 = run.wait_signal("item")?;
    let number = run.previous_state().map_or(0, |state| state.number) + 1;
    run.set_state(&Number { number })?;
    let items = [before, vec![item]].concat();
    match number {
        3 => Ok(items),
        _ => Err(run.continue_as_new(&items)),
    }
}

/// Performs steps until it is advised to continue as new.
#[workflow]
fn goes_on(rounds: u64, run: &Run) -> Result<u64, WorkflowError> {
    while !run.info()?.suggests_continue_as_new {
        note("step")?;
    }
    match rounds {
        0 => Ok(run.info()?.steps),
        rounds => Err(run.continue_as_new(&(rounds - 1))),
    }
}

fn status(state: &Number) -> u64 {
    state.number
}

fn from_text(_from_version: u32, state: &Json) -> Result<Number, ToolError> {
    let text: String = state.parse()?;
    Ok(Number {
        number: text.parse()?,
    })
}

/// Publishes a number.
#[workflow(name = "publisher", title = "Publish", tool, state_version = 3, migrate = from_text, queries(number = status))]
fn publishes(input: Number, run: &Run<Number>) -> Result<Number, WorkflowError> {
    run.set_state(&input)?;
    Ok(input)
}

plugin! {
    name: "workflows",
    tools: [],
    workflows: [
        selects, cleans_up, ties, forgets, fails_late, has_failing_child, waits, leaves_child,
        asks_parent, answers_child, one_at_a_time, goes_on, publishes,
    ],
}

/// A host on which a command takes a time.
fn building_host(takes: Duration) -> FakeHost {
    FakeHost::new()
        .takes::<DockerExec>(takes)
        .on(|_: DockerExec| Ok(DockerExecResult::default()))
}

fn commands(host: &FakeHost) -> Vec<String> {
    let requests = host.requests::<DockerExec>();
    requests.iter().map(|one| one.command.join(" ")).collect()
}

fn run(host: &FakeHost, workflow: &str) -> FinishedRun {
    host.run_workflow(&PLUGIN, workflow, &json!(null))
}

#[test]
fn the_first_that_comes_ends_a_select() {
    assert_eq!(run(&building_host(MINUTE), "selects").output(), "built: 0");
    let late = run(&building_host(2 * HOUR), "selects");
    assert_eq!((late.output(), late.elapsed), (json!("too late"), HOUR));
    let host = building_host(HOUR).signal_at(MINUTE, "skip", json!("skipped"));
    assert_eq!(run(&host, "selects").output(), "skipped");
}

#[test]
fn a_step_that_was_stopped_is_not_performed_and_its_cancellation_is_not_the_runs() {
    let host = building_host(HOUR).signal_at(MINUTE, "stop", json!(null));
    assert_eq!(run(&host, "selects").output(), "stop: cancelled");
    assert_eq!(commands(&host), [""; 0]);
}

#[test]
fn of_equals_the_one_that_was_started_first_comes_first() {
    assert_eq!(run(&FakeHost::new(), "ties").output(), json!([0, 0]));
    // A signal that comes with the end of the step, but was arranged before it.
    let host = building_host(MINUTE).signal_at(MINUTE, "skip", json!("signal"));
    assert_eq!(run(&host, "selects").output(), "signal");
}

#[test]
fn a_cancelled_run_cleans_up_in_reverse_and_its_effects_work() {
    let host = building_host(HOUR).cancel_at(MINUTE);
    let ended = run(&host, "cleans_up");
    assert!(ended.is_cancelled(), "{ended:?}");
    assert_eq!(commands(&host), ["remove second", "remove first"]);
    assert_eq!(ended.elapsed, MINUTE + 2 * HOUR);
}

#[test]
fn a_compensation_that_is_cancelled_is_called_again() {
    let host = building_host(HOUR)
        .cancel_at(90 * MINUTE)
        .on(|request: DockerExec| match request.command[0].as_str() {
            "build" => Err(EffectError {
                code: ErrorCode::NotFound,
                message: "no container".to_owned(),
                details: None,
            }),
            _ => Ok(DockerExecResult::default()),
        });
    let ended = run(&host, "cleans_up");
    assert_eq!(ended.failure().code, "not_found");
    assert_eq!(commands(&host), ["build", "remove second", "remove first"]);
}

#[test]
fn a_compensation_that_fails_is_named_beside_the_cause() {
    let host = building_host(MINUTE).on(|request: DockerExec| {
        let message = format!("cannot {}", request.command[0]);
        Err(EffectError {
            code: ErrorCode::Conflict,
            message,
            details: None,
        })
    });
    let failure = run(&host, "cleans_up").failure().clone();
    assert_eq!(failure.code, "compensation_failed");
    assert_eq!(
        failure.message,
        "cannot build; and this could not be undone: cannot remove second; cannot remove first"
    );
    let details: Value = failure.details.unwrap().parse().unwrap();
    assert_eq!(details["cause"]["code"], "conflict");
    assert_eq!(details["failures"].as_array().unwrap().len(), 2);
}

#[test]
fn a_child_that_fails_is_told_with_its_failure() {
    assert_eq!(
        run(&FakeHost::new(), "has_failing_child").output(),
        json!({
            "code": "workflow_failed",
            "details": { "code": "too_large", "message": "it is too large", "details": { "number": 7 } },
        })
    );
}

#[test]
fn a_closure_answers_children_of_other_plugins() {
    let host = FakeHost::new().on_child("fails_late", HOUR, |input| {
        assert_eq!(input, json!({ "number": 7 }));
        Err(EffectError {
            code: ErrorCode::NotFound,
            message: "no such workflow".to_owned(),
            details: Some(json!({ "a": 1 }).into()),
        })
    });
    let ended = run(&host, "has_failing_child");
    assert_eq!(
        ended.output(),
        json!({ "code": "not_found", "details": { "a": 1 } })
    );
    assert_eq!(ended.elapsed, HOUR);
}

#[test]
fn the_end_of_a_run_cancels_its_children() {
    let host = FakeHost::new();
    run(&host, "leaves_child").output();
    assert_eq!(host.kv_value("waits/undone"), Some(json!(true)));
}

#[test]
fn runs_send_each_other_signals() {
    let ended = run(&FakeHost::new(), "answers_child");
    assert_eq!((ended.output(), ended.elapsed), (json!(42), HOUR));
}

#[test]
fn a_run_that_continues_as_new_keeps_the_signals_that_it_has_not_taken() {
    let host = FakeHost::new()
        .signal_at(MINUTE, "item", json!(1))
        .signal_at(MINUTE, "item", json!(2))
        .signal_at(HOUR, "item", json!(3));
    let ended = host.run_workflow(&PLUGIN, "one_at_a_time", &json!([]));
    assert_eq!((ended.output(), ended.runs), (json!([1, 2, 3]), 3));
    assert_eq!(
        ended.states,
        [
            json!({"number": 1}),
            json!({"number": 2}),
            json!({"number": 3})
        ]
    );
}

#[test]
fn a_long_run_is_advised_to_continue_as_new() {
    let host = FakeHost::new().suggests_continue_as_new_after(10);
    let ended = host.run_workflow(&PLUGIN, "goes_on", &json!(2));
    assert_eq!(ended.runs, 3);
    // Each round asks for advice and takes a step in turn.
    assert_eq!(ended.output(), json!(11));
}

fn panic_of(body: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn a_workflow_that_does_not_repeat_itself_fails_its_test() {
    let message = panic_of(|| {
        run(&FakeHost::new(), "forgets");
    });
    assert!(
        message.starts_with(
            "the workflow `forgets` is not deterministic: its call number 2 was kv_set"
        ),
        "{message}"
    );
}

#[test]
fn a_wait_for_what_never_comes_fails_the_test() {
    let message = panic_of(|| {
        run(&FakeHost::new(), "waits");
    });
    assert!(
        message.starts_with("the workflow waits for the signal `never`, and nothing more is due"),
        "{message}"
    );
}

#[test]
fn a_workflow_is_listed_as_its_attribute_and_its_types_say() {
    let listed = serde_json::to_value(PLUGIN.list_workflows()).unwrap();
    let number = json!({
        "type": "object",
        "description": "The number of a child.",
        "properties": { "number": { "type": "integer", "minimum": 0 } },
        "required": ["number"],
    });
    assert_eq!(
        listed["workflows"][12],
        json!({
            "name": "publisher",
            "title": "Publish",
            "description": "Publishes a number.",
            "inputSchema": number,
            "outputSchema": number,
            "stateSchema": number,
            "stateVersion": 3,
            "queries": [{ "name": "number" }],
            "isTool": true,
            "needsTask": false,
        })
    );
    assert_eq!(
        listed["workflows"][0]["signals"],
        json!([{ "name": "stop" }, { "name": "skip", "schema": { "type": "string" } }])
    );
}

#[test]
fn queries_and_migrations_are_functions_of_the_state() {
    let host = FakeHost::new();
    let answer = host.query_workflow(
        &PLUGIN,
        "publisher",
        "number",
        &json!(null),
        &json!({ "number": 3 }),
    );
    assert_eq!(answer.unwrap(), 3);
    let migrated = host.migrate_workflow(&PLUGIN, "publisher", 2, &json!("8"));
    assert_eq!(migrated.unwrap(), json!({ "number": 8 }));
}

#[test]
fn the_exports_read_and_write_the_contracts_json() {
    let context = exomonad_guest::testing::context();
    let input = json!({
        "workflow": "publisher",
        "input": { "number": 1 },
        "workflowId": "w",
        "runId": "r",
        "context": context,
    });
    let host = FakeHost::new().on(|_: WorkflowSetState| Ok(Done {}));
    let output = host.run(|| PLUGIN.handle_workflow(input.to_string().as_bytes()));
    let output: Value = serde_json::from_slice(&output.unwrap()).unwrap();
    assert_eq!(
        (&output["end"], &output["output"]),
        (&json!("completed"), &json!({ "number": 1 }))
    );
    let unknown = json!({ "workflow": "x", "workflowId": "w", "runId": "r", "context": context });
    let error = PLUGIN
        .handle_workflow(unknown.to_string().as_bytes())
        .unwrap_err();
    assert!(
        error
            .message()
            .starts_with("no workflow `x`; there are selects, "),
        "{error}"
    );
    assert!(PLUGIN.handle_workflow(b"\xff").is_err());
    assert!(PLUGIN.handle_query(b"{}").is_err());
    assert!(PLUGIN.handle_migrate(b"{}").is_err());
}

#[test]
fn the_effects_of_workflows_are_unsupported_elsewhere() {
    FakeHost::new().run(|| {
        let error = exomonad_guest::workflow::sleep(&WorkflowSleep::new(1)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
    });
}
