//! Runs the code of workflows and lets the time pass.
//!
//! The run that a test has started drives: when it waits, the agenda is worked off within its call. Any other run
//! that waits is unwound, and called from its beginning when it can go on, as by a real host.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::effect::EffectRequest;
use crate::plugin::Plugin;
use crate::testing::context;
use crate::testing::host::State;
use crate::testing::workflow::due::Due;
use crate::testing::workflow::run::{
    Blocked, Call, FIRED, Form, SimulatedRun, Step, StepKind, Wait,
};
use crate::testing::workflow::world::World;
use crate::testing::workflow::{FinishedRun, answer, parse};
use crate::types::{
    ClockNow, EmitEvent, ErrorCode, Log, OnParentEnd, RandomBytes, RetryPolicy, Sleep,
    WorkflowCancel, WorkflowChild, WorkflowGet, WorkflowInfo, WorkflowInput, WorkflowOutcome,
    WorkflowPatch, WorkflowPatched, WorkflowRunInfo, WorkflowSetState, WorkflowSignal,
    WorkflowSleep, WorkflowStart, WorkflowStartChild, WorkflowStarted, WorkflowWait,
};

/// Events after which a test is taken to go on for ever.
const TOO_MANY: u64 = 1_000_000;

pub(in crate::testing) struct Simulation {
    host: Rc<State>,
    plugin: &'static Plugin,
    world: RefCell<World>,
}

/// The payload by which a run that waits is unwound.
struct Suspended;

/// Who lets the time pass while a call waits.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// The call itself.
    Drive,
    /// Whoever called the code.
    Suspend,
    /// Nobody: the run has ended, and is called again to see if it does the same.
    Check,
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Drive) };
}

impl Simulation {
    /// Runs a workflow to its end.
    pub(in crate::testing) fn run(
        host: Rc<State>,
        plugin: &'static Plugin,
        workflow: &str,
        input: &Value,
    ) -> FinishedRun {
        let simulation = Rc::new(Self {
            host: Rc::clone(&host),
            plugin,
            world: RefCell::default(),
        });
        host.simulation.replace(Some(Rc::clone(&simulation)));
        let _ended = EndOfSimulation(Rc::clone(&host));
        let begun = host.unix_millis.get();
        let mut run = {
            let mut world = simulation.world.borrow_mut();
            let run_id = world.run_id();
            let first = SimulatedRun::new(
                workflow,
                "test-workflow",
                run_id,
                input.clone().into(),
                begun,
            );
            world.add(first)
        };
        simulation.arrange(run, begun);
        let (mut states, mut runs) = (Vec::new(), 1);
        loop {
            let outcome = simulation.call(run, Mode::Drive);
            // The code drives until it ends.
            let outcome = outcome.unwrap_or_else(|| unreachable!("a driving run was suspended"));
            simulation.check(run, &outcome);
            states.extend(simulation.world.borrow().runs[run].states.iter().map(parse));
            let now = host.unix_millis.get();
            let continued = simulation.world.borrow_mut().end(run, outcome.clone(), now);
            match continued {
                Some(next) => {
                    runs += 1;
                    run = next;
                }
                None => {
                    let elapsed = u64::try_from(now - begun).unwrap_or_default();
                    simulation.end_children();
                    return FinishedRun {
                        outcome,
                        states,
                        elapsed: Duration::from_millis(elapsed),
                        runs,
                    };
                }
            }
        }
    }

    /// Puts on the agenda what the test has arranged.
    fn arrange(&self, run: usize, begun: i64) {
        let mut world = self.world.borrow_mut();
        let script = &self.host.script;
        for (after, name, payload) in script.signals.take() {
            let payload = payload.into();
            let due = Due::Signal { run, name, payload };
            world.agenda.add(begun + millis(after), due);
        }
        for after in script.cancels.take() {
            world.agenda.add(begun + millis(after), Due::Cancel { run });
        }
    }

    /// Calls the code of a run from its beginning; `None` if it waits.
    fn call(&self, run: usize, mode: Mode) -> Option<WorkflowOutcome> {
        let (input, before) = {
            let mut world = self.world.borrow_mut();
            let before = std::mem::replace(&mut world.current, run);
            let run = &mut world.runs[run];
            run.repeated = 0;
            let input = WorkflowInput {
                workflow: run.workflow.clone(),
                input: run.input.clone(),
                state: run.previous_state.clone(),
                workflow_id: run.workflow_id.clone(),
                run_id: run.run_id.clone(),
                context: context(),
            };
            (input, before)
        };
        let mode_before = MODE.replace(mode);
        let workflow = input.workflow.clone();
        let ended = catch_unwind(AssertUnwindSafe(|| self.plugin.run_workflow(input)));
        MODE.set(mode_before);
        self.world.borrow_mut().current = before;
        match ended {
            Ok(Ok(outcome)) => Some(outcome),
            Ok(Err(error)) => panic!("the workflow `{workflow}` cannot run: {error}"),
            Err(payload) if payload.is::<Suspended>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Calls the code once more with the answers that it got.
    fn check(&self, run: usize, outcome: &WorkflowOutcome) {
        let again = self.call(run, Mode::Check);
        let world = self.world.borrow();
        let run = &world.runs[run];
        let same = again.as_ref() == Some(outcome) && run.repeated == run.calls.len();
        assert!(
            same,
            "the workflow `{}` is not deterministic: called again with the same answers it ends with {again:?} after {} calls, and the first time with {outcome:?} after {}",
            run.workflow,
            run.repeated,
            run.calls.len(),
        );
    }

    /// Answers a call of a host function.
    pub(in crate::testing) fn perform(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        if let Some(answer) = self.repeat(function, request) {
            return answer;
        }
        let mode = MODE.with_borrow(|mode| *mode);
        assert!(
            mode != Mode::Check,
            "the workflow is not deterministic: called again with the same answers it also calls {}",
            describe(function, request)
        );
        let is_blocked = self.current(|run| run.blocked.is_some());
        let answered = match is_blocked {
            true => None,
            false => self.begin(function, request),
        };
        let answer = answered.unwrap_or_else(|| self.wait(mode));
        self.current(|run| {
            run.calls.push(Call {
                function,
                request: request.to_vec(),
                answer: answer.clone(),
            });
            run.repeated = run.calls.len();
        });
        answer
    }

    fn current<T>(&self, body: impl FnOnce(&mut SimulatedRun) -> T) -> T {
        let world = &mut *self.world.borrow_mut();
        body(&mut world.runs[world.current])
    }

    /// The answer that the call got before.
    fn repeat(&self, function: &'static str, request: &[u8]) -> Option<Vec<u8>> {
        self.current(|run| {
            let answered = run.calls.get(run.repeated);
            let (known, answer) = match (answered, &run.blocked) {
                (Some(call), _) => ((call.function, &call.request), Some(call.answer.clone())),
                (None, Some(blocked)) => ((blocked.function, &blocked.request), None),
                (None, None) => return None,
            };
            assert!(
                known.0 == function && known.1.as_slice() == request,
                "the workflow `{}` is not deterministic: its call number {} was {}, and called again with the same answers it is {}",
                run.workflow,
                run.repeated + 1,
                describe(known.0, known.1),
                describe(function, request)
            );
            run.repeated += 1;
            answer
        })
    }

    /// Waits until the current run's call can be answered.
    fn wait(&self, mode: Mode) -> Vec<u8> {
        let driver = self.world.borrow().current;
        for _ in 0..TOO_MANY {
            if let Some(answer) = self.current(SimulatedRun::take) {
                return answer;
            }
            if mode == Mode::Suspend {
                resume_unwind(Box::new(Suspended));
            }
            if !self.advance(Some(driver)) {
                let wait = self.current(|run| run.describe_wait());
                panic!(
                    "the workflow waits for {wait}, and nothing more is due; FakeHost::signal_at and cancel_at arrange what comes from outside"
                );
            }
        }
        panic!("the workflow still waits after {TOO_MANY} events");
    }

    /// Lets the children of runs that have ended end, too.
    fn end_children(&self) {
        let is_ending = |world: &World| {
            let is_open = |child: usize| world.runs[child].is_open();
            world.children.iter().any(|(parent, child)| {
                let fate = world.runs[*child].on_parent_end;
                is_open(*child) && !is_open(*parent) && fate == OnParentEnd::Cancel
            })
        };
        for _ in 0..TOO_MANY {
            if !is_ending(&self.world.borrow()) || !self.advance(None) {
                return;
            }
        }
    }

    /// Lets the next thing happen that is due; false if nothing is.
    fn advance(&self, driver: Option<usize>) -> bool {
        let next = self.world.borrow_mut().agenda.next();
        let Some((unix_millis, due)) = next else {
            return false;
        };
        let now = self.host.unix_millis.get().max(unix_millis);
        self.host.unix_millis.set(now);
        match due {
            Due::Begin { run } => self.go_on(run),
            Due::Attempt { run, handle } => self.attempt(run, handle),
            Due::Fire { run, handle } => self.finish(run, handle, answer::success(&FIRED)),
            Due::Answer {
                run,
                handle,
                answer,
            } => self.finish(run, handle, answer),
            Due::Signal { run, name, payload } => {
                let mut world = self.world.borrow_mut();
                let run = world.successor(run);
                world.runs[run].signal(name, payload);
            }
            Due::Cancel { run } => {
                let mut world = self.world.borrow_mut();
                let run = world.successor(run);
                world.runs[run].cancel();
            }
        }
        loop {
            let ready = self.world.borrow().ready(driver);
            match ready {
                Some(run) => self.go_on(run),
                None => return true,
            }
        }
    }

    /// Calls the code of a run that another one drives.
    fn go_on(&self, run: usize) {
        if !self.world.borrow().runs[run].is_open() {
            return;
        }
        let Some(outcome) = self.call(run, Mode::Suspend) else {
            return;
        };
        let now = self.host.unix_millis.get();
        let mut world = self.world.borrow_mut();
        if let Some(next) = world.end(run, outcome, now) {
            world.agenda.add(now, Due::Begin { run: next });
        }
    }

    fn finish(&self, run: usize, handle: u64, answer: Vec<u8>) {
        self.world.borrow_mut().runs[run].finish(handle, answer);
    }

    /// Ends an attempt at a step: performs the effect, and decides if it is tried again.
    fn attempt(&self, run: usize, handle: u64) {
        let asked = {
            let mut world = self.world.borrow_mut();
            let is_open = world.runs[run].is_open();
            match world.runs[run].step(handle) {
                Some(Step {
                    kind: StepKind::Effect { function, request },
                    done: None,
                    attempts,
                    ..
                }) if is_open => {
                    *attempts += 1;
                    (*function, request.clone())
                }
                _ => return,
            }
        };
        let answer = self.host.perform_now(asked.0, &asked.1);
        let mut world = self.world.borrow_mut();
        let wait = world.runs[run].step(handle).and_then(|step| {
            let error = answer::error_of(&answer)?;
            retry_wait(step.retry.as_ref()?, step.attempts, error.code, &error)
        });
        match wait {
            Some(wait) => {
                let next = self.host.unix_millis.get() + wait + self.duration(asked.0);
                world.agenda.add(next, Due::Attempt { run, handle });
            }
            None => world.runs[run].finish(handle, answer),
        }
    }

    /// The time that an attempt takes.
    fn duration(&self, function: &str) -> i64 {
        let durations = self.host.script.durations.borrow();
        durations.get(function).copied().map_or(0, millis)
    }

    /// Answers a call, or lets the run wait.
    fn begin(&self, function: &'static str, request: &[u8]) -> Option<Vec<u8>> {
        if function.starts_with("workflow_") {
            self.host.record(function, request);
        }
        Some(match function {
            WorkflowStart::FUNCTION => self.start(&answer::request(function, request)),
            WorkflowWait::FUNCTION => {
                let asked: WorkflowWait = answer::request(function, request);
                return self.begin_wait(function, request, asked);
            }
            WorkflowSleep::FUNCTION => {
                let WorkflowSleep { millis } = answer::request(function, request);
                return self.sleep(function, request, millis);
            }
            Sleep::FUNCTION => {
                self.host.record(function, request);
                let Sleep { millis } = answer::request(function, request);
                return self.sleep(function, request, millis);
            }
            WorkflowCancel::FUNCTION => self.cancel(&answer::request(function, request)),
            WorkflowStartChild::FUNCTION => self.start_child(answer::request(function, request)),
            WorkflowSignal::FUNCTION => self.signal(function, request),
            WorkflowSetState::FUNCTION => {
                let WorkflowSetState { state } = answer::request(function, request);
                self.current(|run| run.states.push(state));
                answer::done()
            }
            WorkflowPatched::FUNCTION => {
                let WorkflowPatched { id } = answer::request(function, request);
                let applies = !self.host.script.unpatched.borrow().contains(&id);
                answer::success(&WorkflowPatch { applies })
            }
            WorkflowInfo::FUNCTION => self.info(),
            WorkflowGet::FUNCTION => self.get(function, request),
            // These are answered at once, and hear of no cancellation.
            Log::FUNCTION | EmitEvent::FUNCTION | ClockNow::FUNCTION | RandomBytes::FUNCTION => {
                self.host.perform_now(function, request)
            }
            _ => return self.effect(function, request),
        })
    }

    /// A plain effect: a step that the run waits for.
    fn effect(&self, function: &'static str, request: &[u8]) -> Option<Vec<u8>> {
        let now = self.host.unix_millis.get();
        let duration = self.duration(function);
        let is_undisturbed = {
            let world = self.world.borrow();
            !world.agenda.has_due(now) && !world.runs[world.current].has_cancel()
        };
        if duration == 0 && is_undisturbed {
            return Some(self.host.perform_now(function, request));
        }
        let world = &mut *self.world.borrow_mut();
        let run = world.current;
        let kind = StepKind::Effect {
            function,
            request: request.to_vec(),
        };
        let handle = world.runs[run].start(kind, None);
        world
            .agenda
            .add(now + duration, Due::Attempt { run, handle });
        world.runs[run].blocked = Some(Blocked {
            function,
            request: request.to_vec(),
            wait: Wait {
                handles: vec![handle],
                ..Wait::default()
            },
            form: Form::OfStep,
        });
        None
    }

    fn timer(&self, world: &mut World, millis: u64) -> u64 {
        let run = world.current;
        let handle = world.runs[run].start(StepKind::Timer, None);
        let at = self
            .host
            .unix_millis
            .get()
            .saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
        world.agenda.add(at, Due::Fire { run, handle });
        handle
    }

    fn sleep(&self, function: &'static str, request: &[u8], millis: u64) -> Option<Vec<u8>> {
        let world = &mut *self.world.borrow_mut();
        let timer = self.timer(world, millis);
        world.runs[world.current].blocked = Some(Blocked {
            function,
            request: request.to_vec(),
            wait: Wait {
                handles: vec![timer],
                ..Wait::default()
            },
            form: Form::OfStep,
        });
        None
    }

    fn begin_wait(
        &self,
        function: &'static str,
        request: &[u8],
        asked: WorkflowWait,
    ) -> Option<Vec<u8>> {
        let world = &mut *self.world.borrow_mut();
        let run = &mut world.runs[world.current];
        let unknown = asked
            .handles
            .iter()
            .find(|handle| run.step(**handle).is_none());
        if let Some(handle) = unknown {
            let message = format!("the run has no handle {handle}");
            return Some(answer::failure(ErrorCode::InvalidInput, message));
        }
        let timer = asked.timeout_millis.map(|millis| self.timer(world, millis));
        world.runs[world.current].blocked = Some(Blocked {
            function,
            request: request.to_vec(),
            wait: Wait {
                handles: asked.handles,
                all: asked.all,
                signals: asked.signals,
                timer,
            },
            form: Form::Arrivals,
        });
        None
    }

    fn start(&self, asked: &WorkflowStart) -> Vec<u8> {
        let request = match asked.request.get() {
            "null" => "{}".to_owned(),
            request => request.to_owned(),
        };
        let now = self.host.unix_millis.get();
        let world = &mut *self.world.borrow_mut();
        let run = world.current;
        if asked.effect == WorkflowSleep::CAPABILITY {
            let WorkflowSleep { millis } =
                answer::request(WorkflowSleep::FUNCTION, request.as_bytes());
            let handle = self.timer(world, millis);
            return answer::success(&WorkflowStarted { handle });
        }
        let Some(function) = self.host.function_of(&asked.effect) else {
            let message = format!("there is no effect `{}`", asked.effect);
            return answer::failure(ErrorCode::InvalidInput, message);
        };
        let kind = StepKind::Effect {
            function,
            request: request.into_bytes(),
        };
        let handle = world.runs[run].start(kind, asked.retry.clone());
        let end = now + self.duration(function);
        world.agenda.add(end, Due::Attempt { run, handle });
        if let Some(timeout) = asked.timeout_millis {
            let message = format!("`{}` was not done in {timeout} ms", asked.effect);
            let answer = answer::failure(ErrorCode::Timeout, message);
            let at = now.saturating_add(i64::try_from(timeout).unwrap_or(i64::MAX));
            let due = Due::Answer {
                run,
                handle,
                answer,
            };
            world.agenda.add(at, due);
        }
        answer::success(&WorkflowStarted { handle })
    }

    fn cancel(&self, asked: &WorkflowCancel) -> Vec<u8> {
        let now = self.host.unix_millis.get();
        let world = &mut *self.world.borrow_mut();
        let run = world.current;
        let Some(step) = world.runs[run].step(asked.handle) else {
            let message = format!("the run has no handle {}", asked.handle);
            return answer::failure(ErrorCode::InvalidInput, message);
        };
        match (&step.done, &step.kind) {
            (Some(_), _) => {}
            // Its answer comes when it has ended.
            (None, StepKind::Child(Some(child))) => {
                world.agenda.add(now, Due::Cancel { run: *child });
            }
            (None, _) => world.runs[run].finish(
                asked.handle,
                answer::failure(ErrorCode::Cancelled, "the step was cancelled"),
            ),
        }
        answer::done()
    }

    fn start_child(&self, asked: WorkflowStartChild) -> Vec<u8> {
        let now = self.host.unix_millis.get();
        let scripted = self
            .host
            .script
            .children
            .borrow()
            .get(&asked.workflow)
            .cloned();
        // The closure is called before the world is borrowed: it may look at the host.
        let scripted = scripted.map(|(takes, answer)| {
            let output = answer(parse(&asked.input));
            (takes, crate::testing::host::encode(&output))
        });
        let world = &mut *self.world.borrow_mut();
        let parent = world.current;
        let workflow_id = asked.workflow_id.unwrap_or_else(|| {
            let parent = &world.runs[parent];
            format!("{}/{}", parent.workflow_id, parent.steps.len())
        });
        if let Some((takes, answer)) = scripted {
            let handle = world.runs[parent].start(StepKind::Child(None), None);
            let due = Due::Answer {
                run: parent,
                handle,
                answer,
            };
            world.agenda.add(now + millis(takes), due);
            return answer::success(&WorkflowChild {
                handle: Some(handle),
                run_id: format!("run-of-{workflow_id}"),
                workflow_id,
                started: true,
            });
        }
        let open = world.open(&workflow_id);
        let child = match open {
            Some(open) => open,
            None => {
                let known = self.plugin.workflows.iter();
                if !known.clone().any(|known| known.name == asked.workflow) {
                    let message = format!(
                        "no workflow `{}`; FakeHost::on_child answers one of another plugin",
                        asked.workflow
                    );
                    return answer::failure(ErrorCode::NotFound, message);
                }
                let run_id = world.run_id();
                let mut run =
                    SimulatedRun::new(&asked.workflow, &workflow_id, run_id, asked.input, now);
                run.on_parent_end = asked.on_parent_end.unwrap_or(OnParentEnd::Cancel);
                let child = world.add(run);
                world.children.push((parent, child));
                world.agenda.add(now, Due::Begin { run: child });
                child
            }
        };
        let handle = world.runs[parent].start(StepKind::Child(Some(child)), None);
        world.runs[child].watchers.push((parent, handle));
        answer::success(&WorkflowChild {
            handle: Some(handle),
            workflow_id,
            run_id: world.runs[child].run_id.clone(),
            started: open.is_none(),
        })
    }

    fn signal(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        let asked: WorkflowSignal = answer::request(function, request);
        if let Some(answer) = self.host.answer_of_test(function, request) {
            return answer;
        }
        let mut world = self.world.borrow_mut();
        match world.open(&asked.workflow_id) {
            Some(run) => {
                // On the agenda, so that a run that waits for it goes on when this one waits.
                let due = Due::Signal {
                    run,
                    name: asked.name,
                    payload: asked.payload,
                };
                world.agenda.add(self.host.unix_millis.get(), due);
                answer::done()
            }
            None => {
                let message = format!("no open run of a workflow `{}`", asked.workflow_id);
                answer::failure(ErrorCode::NotFound, message)
            }
        }
    }

    fn get(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        let asked: WorkflowGet = answer::request(function, request);
        if let Some(answer) = self.host.answer_of_test(function, request) {
            return answer;
        }
        let world = self.world.borrow();
        match world.newest(&asked.workflow_id) {
            Some(run) => answer::success(&world.view(run)),
            None => {
                let message = format!("no run of a workflow `{}`", asked.workflow_id);
                answer::failure(ErrorCode::NotFound, message)
            }
        }
    }

    fn info(&self) -> Vec<u8> {
        let many = self.host.script.many_steps.get();
        self.current(|run| {
            let steps = run.calls.len() as u64;
            answer::success(&WorkflowRunInfo {
                workflow: run.workflow.clone(),
                workflow_id: run.workflow_id.clone(),
                run_id: run.run_id.clone(),
                started_unix_millis: run.begun_at,
                steps,
                suggests_continue_as_new: steps >= many,
            })
        })
    }
}

/// Removes the simulation from the host, also when the test panics.
struct EndOfSimulation(Rc<State>);

impl Drop for EndOfSimulation {
    fn drop(&mut self) {
        self.0.simulation.replace(None);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn describe(function: &str, request: &[u8]) -> String {
    format!("{function} {}", String::from_utf8_lossy(request))
}

/// The wait before the next attempt, without the host's jitter; `None` if there is none.
fn retry_wait(
    policy: &RetryPolicy,
    attempts: u32,
    code: ErrorCode,
    error: &crate::types::EffectError,
) -> Option<i64> {
    let is_last = u64::from(attempts) >= policy.attempts.unwrap_or(5);
    if is_last || matches!(code, ErrorCode::OutcomeUnknown | ErrorCode::Cancelled) {
        return None;
    }
    let passes = matches!(
        code,
        ErrorCode::Unavailable | ErrorCode::RateLimited | ErrorCode::Timeout | ErrorCode::Internal
    );
    let is_retried = match policy.non_retryable.is_empty() {
        true => passes,
        false => policy
            .non_retryable
            .iter()
            .all(|named| named != code.name()),
    };
    if !is_retried {
        return None;
    }
    let growth = policy.backoff_percent.unwrap_or(200) as f64 / 100.0;
    let exponent = i32::try_from(attempts).unwrap_or(i32::MAX) - 1;
    let grown = policy.initial_millis.unwrap_or(1_000) as f64 * growth.powi(exponent);
    let wait = grown.min(policy.max_millis.unwrap_or(60_000) as f64) as i64;
    let asked_for = error
        .details
        .as_ref()
        .map_or(Value::Null, parse)
        .get("retryAfterMillis")
        .and_then(Value::as_i64);
    Some(wait.max(asked_for.unwrap_or(0)))
}
