package exomonadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"exomonad"
	"exomonad/flow"
	"exomonad/internal/wire"
)

// tooMany is the number of events after which a test is taken to go on for ever.
const tooMany = 1_000_000

// simulation runs workflows in simulated time. Each run's code is a goroutine; one of them, or the simulation, goes
// on at a time, and the clock jumps to whatever is due next.
type simulation struct {
	host   *Host
	plugin *exomonad.Plugin
	runs   []*run
	agenda []due
	// The run whose code goes on.
	current *run
	// A run's code waits, or has ended.
	parked chan struct{}
}

// due is something that happens at a time; of those of one time, the first that was put here.
type due struct {
	at   time.Time
	what func()
}

type run struct {
	workflow, workflowID, runID string
	input, previous             json.RawMessage
	states                      []json.RawMessage
	begun                       time.Time
	// What was answered, in order; and when it is called again, how much of it was asked for.
	calls    []call
	repeated int
	checking bool
	steps    []*step
	signals  []signal
	// The positions of requests to cancel that it has not heard of.
	cancels  []int
	position int
	blocked  *wait
	children []*run
	watchers []func(exomonad.WorkflowOutcome)
	onEnd    exomonad.OnParentEnd
	outcome  *exomonad.WorkflowOutcome
	resume   chan struct{}
	started  bool
	// It is no longer wanted: its code is unwound when it goes on.
	abandoned bool
	panicked  any
}

type call struct {
	function        string
	request, answer []byte
}

type step struct {
	// The position in the order of what came, and the answer; 0 while it runs.
	done   int
	answer []byte
	cancel func()
}

type signal struct {
	position int
	name     string
	payload  json.RawMessage
}

type wait struct {
	function string
	handles  []uint64
	all      bool
	signals  []string
	timer    *uint64
	// The answer is that of the only step, and not a list of arrivals.
	ofStep bool
}

// abandonment unwinds the code of a run that is no longer wanted.
type abandonment struct{}

// RunWorkflow runs a workflow to its end, in simulated time. Effects take none, unless [Takes] says so. When a run
// has ended its code is called once more with the answers that it got: one that then asks for something else
// fails the test, as it would be stuck on a real host.
func (h *Host) RunWorkflow(plugin *exomonad.Plugin, workflow string, input any) *FinishedRun {
	h.t.Helper()
	s := &simulation{host: h, plugin: plugin, parked: make(chan struct{})}
	h.simulation = s
	defer func() { h.simulation = nil }()
	defer s.abandon()
	begun := h.now
	root := s.add(&run{workflow: workflow, workflowID: "test-workflow", input: h.json(input)})
	for _, arranged := range h.script.signals {
		s.in(arranged.after, func() { s.newest(root.workflowID).signal(arranged.name, arranged.payload) })
	}
	for _, after := range h.script.cancels {
		s.in(after, func() { s.newest(root.workflowID).cancel() })
	}
	h.script.signals, h.script.cancels = nil, nil
	finished := &FinishedRun{host: h}
	for {
		s.until(root)
		finished.Runs++
		finished.States = append(finished.States, root.states...)
		next := s.newest(root.workflowID)
		if root.outcome.End != exomonad.WorkflowEndContinueAsNew || next == root {
			finished.Outcome, finished.Elapsed = *root.outcome, h.now.Sub(begun)
			return finished
		}
		root = next
	}
}

// until lets the time pass until a run has ended.
func (s *simulation) until(root *run) {
	for events := 0; root.outcome == nil; events++ {
		if ready := slices.IndexFunc(s.runs, (*run).isReady); ready >= 0 {
			s.goOn(s.runs[ready])
			continue
		}
		if len(s.agenda) == 0 {
			s.host.t.Fatalf("the workflow `%s` waits for what never comes: %s", root.workflow, root.blocked.describe())
		}
		if events > tooMany {
			s.host.t.Fatalf("the workflow `%s` does not end", root.workflow)
		}
		next := s.agenda[0]
		s.agenda = s.agenda[1:]
		if next.at.After(s.host.now) {
			s.host.now = next.at
		}
		next.what()
	}
}

func (s *simulation) add(added *run) *run {
	added.runID = fmt.Sprintf("run-%d", len(s.runs)+1)
	added.begun = s.host.now
	added.resume = make(chan struct{})
	s.runs = append(s.runs, added)
	return added
}

// in puts something on the agenda.
func (s *simulation) in(after time.Duration, what func()) {
	at := s.host.now.Add(after)
	place := slices.IndexFunc(s.agenda, func(due due) bool { return due.at.After(at) })
	if place < 0 {
		place = len(s.agenda)
	}
	s.agenda = slices.Insert(s.agenda, place, due{at, what})
}

// newest is the newest run of a workflow's id; nil if there is none.
func (s *simulation) newest(workflowID string) *run {
	for _, run := range slices.Backward(s.runs) {
		if run.workflowID == workflowID {
			return run
		}
	}
	return nil
}

func (s *simulation) open(workflowID string) *run {
	if run := s.newest(workflowID); run != nil && run.outcome == nil {
		return run
	}
	return nil
}

// goOn lets a run's code go on until it waits or ends.
func (s *simulation) goOn(run *run) {
	s.current = run
	if run.started {
		run.resume <- struct{}{}
	} else {
		run.started = true
		go s.code(run)
	}
	<-s.parked
	s.current = nil
	if run.panicked != nil {
		panic(run.panicked)
	}
	if run.outcome != nil {
		s.check(run)
		s.ended(run)
	}
}

// code is a run's goroutine.
func (s *simulation) code(run *run) {
	defer func() {
		reason := recover()
		if _, unwound := reason.(abandonment); reason != nil && !unwound {
			run.panicked = fmt.Sprintf("%v\n%s", reason, debug.Stack())
		}
		if run.outcome == nil && run.panicked == nil && !run.abandoned {
			// The code has ended its goroutine, as t.Fatal does.
			run.outcome = &exomonad.WorkflowOutcome{End: exomonad.WorkflowEndFailed}
		}
		s.parked <- struct{}{}
	}()
	run.outcome = s.call(run)
}

// call calls the code of a run from its beginning.
func (s *simulation) call(run *run) *exomonad.WorkflowOutcome {
	run.repeated = 0
	outcome, err := flow.RunWorkflow(s.plugin, exomonad.WorkflowInput{
		Workflow: run.workflow, Input: run.input, State: run.previous,
		WorkflowID: run.workflowID, RunID: run.runID, Context: Context(),
	})
	if err != nil {
		panic(fmt.Sprintf("the workflow `%s` cannot run: %v", run.workflow, err))
	}
	return &outcome
}

// check calls the code once more with the answers that it got.
func (s *simulation) check(run *run) {
	if s.host.t.Failed() {
		return
	}
	run.checking, s.current = true, run
	again := s.call(run)
	run.checking, s.current = false, nil
	first, second := described(*run.outcome), described(*again)
	if first != second || run.repeated != len(run.calls) {
		s.host.t.Fatalf("the workflow `%s` is not deterministic: called again with the same answers it ends with "+
			"%s after %d calls, and the first time with %s after %d",
			run.workflow, second, run.repeated, first, len(run.calls))
	}
}

// ended tells those who wait for a run, and begins the one that continues it.
func (s *simulation) ended(ended *run) {
	for _, child := range ended.children {
		if child.outcome != nil {
			continue
		}
		switch child.onEnd {
		case exomonad.OnParentEndCancel:
			s.in(0, child.cancel)
		case exomonad.OnParentEndTerminate:
			child.outcome = &exomonad.WorkflowOutcome{
				End: exomonad.WorkflowEndFailed,
				Failure: &exomonad.WorkflowFailure{
					Code: "terminated", Message: "the run was ended with its parent",
				},
			}
		}
	}
	if ended.outcome.End == exomonad.WorkflowEndContinueAsNew {
		next := s.add(&run{
			workflow: ended.workflow, workflowID: ended.workflowID, input: ended.outcome.Input,
			watchers: ended.watchers, onEnd: ended.onEnd,
		})
		if len(ended.states) > 0 {
			next.previous = ended.states[len(ended.states)-1]
		}
		for _, kept := range ended.signals {
			next.signal(kept.name, kept.payload)
		}
		for _, parent := range s.runs {
			if slices.Contains(parent.children, ended) {
				parent.children = append(parent.children, next)
			}
		}
		return
	}
	for _, watcher := range ended.watchers {
		watcher(*ended.outcome)
	}
}

// abandon ends the goroutines of runs that wait.
func (s *simulation) abandon() {
	for _, run := range s.runs {
		if run.started && run.blocked != nil {
			run.abandoned = true
			run.resume <- struct{}{}
			<-s.parked
		}
	}
}

func (r *run) isReady() bool {
	if r.outcome != nil || r.abandoned {
		return false
	}
	return !r.started || (r.blocked != nil && r.arrived(r.blocked) != nil)
}

func (r *run) next() int {
	r.position++
	return r.position
}

func (r *run) signal(name string, payload json.RawMessage) {
	if r.outcome == nil {
		r.signals = append(r.signals, signal{r.next(), name, payload})
	}
}

func (r *run) cancel() {
	if r.outcome == nil {
		r.cancels = append(r.cancels, r.next())
	}
}

func (r *run) start() uint64 {
	r.steps = append(r.steps, &step{})
	return uint64(len(r.steps) - 1)
}

// finish ends a step, unless it has ended.
func (r *run) finish(handle uint64, answer []byte) {
	if step := r.steps[handle]; step.done == 0 {
		step.done, step.answer = r.next(), answer
	}
}

// perform answers a call of a host function by the code of the current run.
func (s *simulation) perform(function string, request []byte) []byte {
	run := s.current
	if run.repeated < len(run.calls) && run.checking {
		call := run.calls[run.repeated]
		if call.function != function || !bytes.Equal(call.request, request) {
			s.host.t.Fatalf("the workflow `%s` is not deterministic: called again with the same answers it calls "+
				"%s %s in place of %s %s", run.workflow, function, request, call.function, call.request)
		}
		run.repeated++
		return call.answer
	}
	if run.checking {
		s.host.t.Fatalf("the workflow `%s` is not deterministic: called again with the same answers it also calls %s %s",
			run.workflow, function, request)
	}
	answer := s.answer(run, function, request)
	run.calls = append(run.calls, call{function, request, answer})
	run.repeated = len(run.calls)
	return answer
}

func (s *simulation) answer(run *run, function string, request []byte) []byte {
	h := s.host
	switch function {
	case "workflow_wait":
		h.record(function, request)
		return s.waitFor(run, decoded[exomonad.WorkflowWait](h, function, request))
	case "workflow_sleep":
		h.record(function, request)
		timer := s.timer(run, decoded[exomonad.WorkflowSleep](h, function, request).Millis)
		return s.block(run, &wait{function: function, handles: []uint64{timer}, ofStep: true})
	case "sleep":
		h.record(function, request)
		timer := s.timer(run, decoded[exomonad.Sleep](h, function, request).Millis)
		return s.block(run, &wait{function: function, handles: []uint64{timer}, ofStep: true})
	case "workflow_start":
		h.record(function, request)
		return s.startStep(run, decoded[exomonad.WorkflowStart](h, function, request))
	case "workflow_cancel":
		h.record(function, request)
		handle := decoded[exomonad.WorkflowCancel](h, function, request).Handle
		if handle >= uint64(len(run.steps)) {
			return failure(exomonad.ErrorCodeInvalidInput, fmt.Sprintf("the run has no handle %d", handle))
		}
		if cancel := run.steps[handle].cancel; cancel != nil {
			cancel()
		} else {
			run.finish(handle, failure(exomonad.ErrorCodeCancelled, "the step was cancelled"))
		}
		return done()
	case "workflow_set_state":
		h.record(function, request)
		run.states = append(run.states, decoded[exomonad.WorkflowSetState](h, function, request).State)
		return done()
	case "workflow_patched":
		h.record(function, request)
		id := decoded[exomonad.WorkflowPatched](h, function, request).ID
		return encode(exomonad.WorkflowPatch{Applies: !h.script.unpatched[id]}, nil)
	case "workflow_info":
		h.record(function, request)
		steps := uint64(len(run.calls))
		return encode(exomonad.WorkflowRunInfo{
			Workflow: run.workflow, WorkflowID: run.workflowID, RunID: run.runID,
			StartedUnixMillis: run.begun.UnixMilli(), Steps: steps,
			SuggestsContinueAsNew: steps >= h.script.manySteps,
		}, nil)
	case "workflow_start_child":
		h.record(function, request)
		return s.startChild(run, decoded[exomonad.WorkflowStartChild](h, function, request))
	case "workflow_signal":
		if h.answers[function] == nil {
			h.record(function, request)
			return s.signal(decoded[exomonad.WorkflowSignal](h, function, request))
		}
	}
	duration := h.script.durations[function]
	if duration == 0 {
		return h.performNow(function, request)
	}
	handle := run.start()
	s.in(duration, func() { run.finish(handle, h.performNow(function, request)) })
	return s.block(run, &wait{function: function, handles: []uint64{handle}, ofStep: true})
}

func (s *simulation) timer(run *run, millis uint64) uint64 {
	handle := run.start()
	s.in(duration(millis), func() { run.finish(handle, done()) })
	return handle
}

func duration(millis uint64) time.Duration {
	return time.Duration(min(millis, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}

func (s *simulation) waitFor(run *run, about exomonad.WorkflowWait) []byte {
	for _, handle := range about.Handles {
		if handle >= uint64(len(run.steps)) {
			return failure(exomonad.ErrorCodeInvalidInput, fmt.Sprintf("the run has no handle %d", handle))
		}
	}
	waits := &wait{function: "workflow_wait", handles: about.Handles, all: about.All, signals: about.Signals}
	if about.TimeoutMillis != nil {
		timer := s.timer(run, *about.TimeoutMillis)
		waits.timer = &timer
	}
	return s.block(run, waits)
}

// block waits in a run's goroutine.
func (s *simulation) block(run *run, waits *wait) []byte {
	for {
		if take := run.arrived(waits); take != nil {
			return take()
		}
		run.blocked = waits
		s.parked <- struct{}{}
		<-run.resume
		run.blocked = nil
		if run.abandoned {
			panic(abandonment{})
		}
	}
}

// arrived is how a wait is answered by what came first; nil if nothing has come yet.
func (r *run) arrived(waits *wait) func() []byte {
	type arrival struct {
		position int
		take     func() []byte
	}
	var arrivals []arrival
	arrive := func(position int, take func() []byte) { arrivals = append(arrivals, arrival{position, take}) }
	var ended []uint64
	last := 0
	for _, handle := range waits.handles {
		if position := r.steps[handle].done; position > 0 {
			ended = append(ended, handle)
			last = max(last, position)
			if !waits.all {
				arrive(position, func() []byte { return r.arrivalsOf([]uint64{handle}, waits, nil, false) })
			}
		}
	}
	slices.SortFunc(ended, func(a, b uint64) int { return r.steps[a].done - r.steps[b].done })
	ended = slices.Compact(ended)
	if !waits.all {
		ended = nil
	}
	if waits.all && len(waits.handles) > 0 && r.allDone(waits.handles) {
		arrive(last, func() []byte { return r.arrivalsOf(ended, waits, nil, false) })
	}
	for at, one := range r.signals {
		if slices.Contains(waits.signals, one.name) {
			arrive(one.position, func() []byte {
				r.signals = slices.Delete(r.signals, at, at+1)
				return r.arrivalsOf(ended, waits, &one, false)
			})
			break
		}
	}
	if waits.timer != nil && r.steps[*waits.timer].done > 0 {
		arrive(r.steps[*waits.timer].done, func() []byte { return r.arrivalsOf(ended, waits, nil, true) })
	}
	if len(r.cancels) > 0 {
		arrive(r.cancels[0], func() []byte {
			r.cancels = r.cancels[1:]
			answer := failure(exomonad.ErrorCodeCancelled, "the run was cancelled")
			if waits.ofStep {
				r.finish(waits.handles[0], answer)
			}
			return answer
		})
	}
	if len(arrivals) == 0 {
		return nil
	}
	return slices.MinFunc(arrivals, func(a, b arrival) int { return a.position - b.position }).take
}

func (r *run) allDone(handles []uint64) bool {
	return !slices.ContainsFunc(handles, func(handle uint64) bool { return r.steps[handle].done == 0 })
}

func (r *run) arrivalsOf(handles []uint64, waits *wait, signal *signal, timedOut bool) []byte {
	if waits.ofStep {
		return r.steps[waits.handles[0]].answer
	}
	var arrivals []exomonad.WorkflowArrival
	for _, handle := range handles {
		arrivals = append(arrivals, exomonad.WorkflowArrival{Handle: &handle, Value: r.steps[handle].answer})
	}
	if signal != nil {
		arrivals = append(arrivals, exomonad.WorkflowArrival{Signal: &signal.name, Value: signal.payload})
	}
	return encode(exomonad.WorkflowArrivals{Arrivals: arrivals, TimedOut: timedOut}, nil)
}

func (w *wait) describe() string {
	if w == nil {
		return "nothing"
	}
	if len(w.signals) > 0 {
		return "the signal " + strings.Join(w.signals, " or ")
	}
	return "the answer of " + w.function
}

func (s *simulation) startStep(run *run, about exomonad.WorkflowStart) []byte {
	h := s.host
	request := []byte(about.Request)
	if len(request) == 0 || string(request) == "null" {
		request = []byte("{}")
	}
	started := func(handle uint64) []byte { return encode(exomonad.WorkflowStarted{Handle: handle}, nil) }
	if about.Effect == "workflow.sleep" {
		return started(s.timer(run, decoded[exomonad.WorkflowSleep](h, "workflow_sleep", request).Millis))
	}
	function := exomonad.FunctionOf(about.Effect)
	if function == "" {
		return failure(exomonad.ErrorCodeInvalidInput, "there is no effect `"+about.Effect+"`")
	}
	handle := run.start()
	attempts := uint64(0)
	var attempt func()
	attempt = func() {
		if run.steps[handle].done > 0 {
			return
		}
		attempts++
		answer := h.performNow(function, request)
		if problem := failed(answer); problem != nil && about.Retry != nil {
			if pause, again := retryAfter(about.Retry, attempts, problem); again {
				s.in(pause+h.script.durations[function], attempt)
				return
			}
		}
		run.finish(handle, answer)
	}
	s.in(h.script.durations[function], attempt)
	if about.TimeoutMillis != nil {
		message := fmt.Sprintf("`%s` was not done in %d ms", about.Effect, *about.TimeoutMillis)
		s.in(duration(*about.TimeoutMillis), func() {
			run.finish(handle, failure(exomonad.ErrorCodeTimeout, message))
		})
	}
	return started(handle)
}

// retryAfter is the pause before the next attempt, without the host's part of chance.
func retryAfter(policy *exomonad.RetryPolicy, attempts uint64, problem *exomonad.EffectError) (time.Duration, bool) {
	or := func(value *uint64, otherwise uint64) uint64 {
		if value == nil {
			return otherwise
		}
		return *value
	}
	switch code := problem.Code; {
	case attempts >= or(policy.Attempts, 5):
		return 0, false
	case code == exomonad.ErrorCodeOutcomeUnknown, code == exomonad.ErrorCodeCancelled:
		return 0, false
	case len(policy.NonRetryable) > 0:
		if slices.Contains(policy.NonRetryable, string(code)) {
			return 0, false
		}
	case code != exomonad.ErrorCodeUnavailable && code != exomonad.ErrorCodeRateLimited &&
		code != exomonad.ErrorCodeTimeout && code != exomonad.ErrorCodeInternal:
		return 0, false
	}
	growth := float64(or(policy.BackoffPercent, 200)) / 100
	grown := float64(or(policy.InitialMillis, 1_000)) * math.Pow(growth, float64(attempts-1))
	pause := min(grown, float64(or(policy.MaxMillis, 60_000)))
	var details struct {
		RetryAfterMillis float64 `json:"retryAfterMillis"`
	}
	if json.Unmarshal(problem.Details, &details) == nil {
		pause = max(pause, details.RetryAfterMillis)
	}
	return time.Duration(pause) * time.Millisecond, true
}

func (s *simulation) startChild(parent *run, about exomonad.WorkflowStartChild) []byte {
	workflowID := fmt.Sprintf("%s/%d", parent.workflowID, len(parent.steps))
	if about.WorkflowID != nil {
		workflowID = *about.WorkflowID
	}
	if scripted, there := s.host.script.children[about.Workflow]; there {
		handle := parent.start()
		output, err := scripted.answer(about.Input)
		answer := success(orNull(output))
		if err != nil {
			answer = failureOf(exomonad.FailureOf(err))
		}
		s.in(scripted.takes, func() { parent.finish(handle, answer) })
		return encode(exomonad.WorkflowChild{
			Handle: &handle, WorkflowID: workflowID, RunID: "run-of-" + workflowID, Started: true,
		}, nil)
	}
	child := s.open(workflowID)
	isNew := child == nil
	if isNew {
		known := func(entry exomonad.WorkflowEntry) bool { return entry.Definition.Name == about.Workflow }
		if !slices.ContainsFunc(s.plugin.Workflows, known) {
			return failure(exomonad.ErrorCodeNotFound,
				"no workflow `"+about.Workflow+"`; exomonadtest.OnChild answers one of another plugin")
		}
		child = s.add(&run{
			workflow: about.Workflow, workflowID: workflowID, input: about.Input,
			onEnd: exomonad.OnParentEndCancel,
		})
		if about.OnParentEnd != nil {
			child.onEnd = *about.OnParentEnd
		}
		parent.children = append(parent.children, child)
	}
	handle := parent.start()
	parent.steps[handle].cancel = func() { s.in(0, child.cancel) }
	child.watchers = append(child.watchers, func(outcome exomonad.WorkflowOutcome) {
		parent.finish(handle, childAnswerOf(workflowID, outcome))
	})
	return encode(exomonad.WorkflowChild{
		Handle: &handle, WorkflowID: workflowID, RunID: child.runID, Started: isNew,
	}, nil)
}

// childAnswerOf is a child's end, as its parent gets it.
func childAnswerOf(workflowID string, outcome exomonad.WorkflowOutcome) []byte {
	switch outcome.End {
	case exomonad.WorkflowEndCompleted:
		return success(orNull(outcome.Output))
	case exomonad.WorkflowEndCancelled:
		return failure(exomonad.ErrorCodeCancelled, "the workflow `"+workflowID+"` was cancelled")
	}
	problem := exomonad.WorkflowFailure{Code: "failed", Message: "it failed"}
	if outcome.Failure != nil {
		problem = *outcome.Failure
	}
	// What was a failure has JSON.
	details, _ := wire.Encode(problem)
	return failureOf(&exomonad.EffectError{
		Code:    exomonad.ErrorCodeWorkflowFailed,
		Message: "the workflow `" + workflowID + "` failed: " + problem.Message,
		Details: details,
	})
}

func (s *simulation) signal(about exomonad.WorkflowSignal) []byte {
	run := s.open(about.WorkflowID)
	if run == nil {
		return failure(exomonad.ErrorCodeNotFound, "no open run of a workflow `"+about.WorkflowID+"`")
	}
	// On the agenda, so that a run that waits for it goes on when this one waits.
	s.in(0, func() { run.signal(about.Name, about.Payload) })
	return done()
}
