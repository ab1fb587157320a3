package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"exomonad"
	"exomonad/internal/effect"
	"exomonad/workflow"
)

// StepOption is something more about a step.
type StepOption func(*exomonad.WorkflowStart)

// Retry tries a step again when it fails. A write whose outcome is unknown is not tried again by itself.
func Retry(policy exomonad.RetryPolicy) StepOption {
	return func(request *exomonad.WorkflowStart) { request.Retry = &policy }
}

// Attempts tries a step so many times at most, the first time included, and otherwise as the contract has it:
// after a second, two, four, up to a minute, if the service was unavailable, asked to slow down, took too long
// or had an internal error.
func Attempts(attempts uint64) StepOption { return Retry(exomonad.RetryPolicy{Attempts: &attempts}) }

// Timeout is the time for all attempts together; the step then fails with `timeout`.
func Timeout(duration time.Duration) StepOption {
	return func(request *exomonad.WorkflowStart) { request.TimeoutMillis = exomonad.Ptr(millis(duration)) }
}

// Step performs an effect with retries or a time limit, and waits for its answer:
//
//	page, err := flow.Step(http.Request, exomonad.HttpRequest{URL: url}, flow.Attempts(8))
//
// A plain call of the effect's function is a step, too.
func Step[R exomonad.Request, A any](
	effect func(R) (A, error),
	request R,
	options ...StepOption,
) (A, error) {
	if len(options) == 0 {
		return effect(request)
	}
	handle, err := Start(effect, request, options...)
	if err != nil {
		var none A
		return none, err
	}
	return handle.Wait()
}

// Start starts an effect that runs beside the workflow.
func Start[R exomonad.Request, A any](
	effect func(R) (A, error),
	request R,
	options ...StepOption,
) (*Handle[A], error) {
	// It is started by name, but only what the plugin imports counts as needed by it.
	link(effect)
	return start[A](request, options)
}

// Parallel performs an effect for each request, beside each other, and returns the outcome of each in their order.
// The error is the run's cancellation; a step's own failure is its outcome.
func Parallel[R exomonad.Request, A any](effect func(R) (A, error), requests []R) ([]Outcome[A], error) {
	handles := make([]*Handle[A], len(requests))
	for at, request := range requests {
		handle, err := Start(effect, request)
		if err != nil {
			return nil, err
		}
		handles[at] = handle
	}
	return Join(handles...)
}

//go:noinline
func link(any) {}

func start[A any](request exomonad.Request, options []StepOption) (*Handle[A], error) {
	_, capability := request.EffectName()
	encoded, err := exomonad.ToJSON(request)
	if err != nil {
		return nil, fmt.Errorf("the request has no JSON: %w", err)
	}
	about := exomonad.WorkflowStart{Effect: capability, Request: encoded}
	for _, option := range options {
		option(&about)
	}
	started, err := workflow.Start(about)
	if err != nil {
		return nil, err
	}
	return &Handle[A]{id: started.Handle}, nil
}

// Handle is a step, a timer or a child run that was started, and will answer with an Answer. The end of a run stops
// what it has started: wait for it.
type Handle[Answer any] struct{ id uint64 }

// Outcome is the answer of a step, or its failure.
type Outcome[Answer any] struct {
	// The answer.
	Answer Answer
	// The failure in place of the answer.
	Failure *exomonad.EffectError
}

// ID is its number within the run.
func (h *Handle[Answer]) ID() uint64 { return h.id }

// Cancel stops it. Its answer is the error `cancelled`, unless it was done before.
func (h *Handle[Answer]) Cancel() error {
	_, err := workflow.Cancel(exomonad.WorkflowCancel{Handle: h.id})
	return err
}

// Wait waits for the answer. A failure of the step is an [Error].
func (h *Handle[Answer]) Wait() (Answer, error) {
	outcome, err := h.Outcome()
	if err != nil {
		return outcome.Answer, err
	}
	if outcome.Failure != nil {
		return outcome.Answer, ofStep(outcome.Failure)
	}
	return outcome.Answer, nil
}

// Outcome waits for the answer or the failure. The error is the run's own cancellation.
func (h *Handle[Answer]) Outcome() (Outcome[Answer], error) {
	outcomes, err := Join(h)
	if err != nil {
		return Outcome[Answer]{}, err
	}
	return outcomes[0], nil
}

// Join waits for all of them, and returns the outcome of each in their order. The error is the run's own
// cancellation.
func Join[Answer any](handles ...*Handle[Answer]) ([]Outcome[Answer], error) {
	if len(handles) == 0 {
		return nil, nil
	}
	ids := make([]uint64, len(handles))
	for at, handle := range handles {
		ids[at] = handle.id
	}
	arrived, err := workflow.Wait(exomonad.WorkflowWait{Handles: ids, All: true})
	if err != nil {
		return nil, err
	}
	byID := map[uint64]json.RawMessage{}
	for _, arrival := range arrived.Arrivals {
		if arrival.Handle != nil {
			byID[*arrival.Handle] = arrival.Value
		}
	}
	outcomes := make([]Outcome[Answer], len(handles))
	for at, id := range ids {
		value, there := byID[id]
		if !there {
			return nil, NewError("internal", "the host ended a wait for all handles without the answer of each")
		}
		outcomes[at] = decodeOutcome[Answer](value)
	}
	return outcomes, nil
}

func decodeOutcome[Answer any](value json.RawMessage) (outcome Outcome[Answer]) {
	var payload effect.Raw
	err := effect.Decode("workflow_wait", value, &payload)
	if err == nil {
		if err = json.Unmarshal(payload, &outcome.Answer); err != nil {
			err = &exomonad.EffectError{
				Code:    exomonad.ErrorCodeInternal,
				Message: "the answer of a step cannot be read: " + err.Error(),
			}
		}
	}
	errors.As(err, &outcome.Failure)
	return outcome
}

// Race waits for the first of them, and returns its position and its answer. The others are stopped.
func Race[Answer any](handles ...*Handle[Answer]) (int, Answer, error) {
	var none Answer
	if len(handles) == 0 {
		return 0, none, NewError("internal", "a race needs somebody who runs")
	}
	selection := Select{}
	for _, handle := range handles {
		selection.Handle(handle)
	}
	first, err := selection.Wait()
	if err != nil {
		return 0, none, err
	}
	for at, handle := range handles {
		if at != first.Position {
			if err := handle.Cancel(); err != nil {
				return 0, none, err
			}
		}
	}
	answer, err := handles[first.Position].Wait()
	return first.Position, answer, err
}

// ChildRun is a child run to be started, whose output is an Output.
type ChildRun[Output any] struct {
	request exomonad.WorkflowStartChild
	err     error
}

// Child is a child run of a workflow of the role, by its name.
func Child[Output any](workflow string, input any) *ChildRun[Output] {
	encoded, err := exomonad.ToJSON(input)
	if _, none := input.(None); none {
		encoded = nil
	}
	return &ChildRun[Output]{
		request: exomonad.WorkflowStartChild{Workflow: workflow, Input: encoded},
		err:     err,
	}
}

// ID gives it an id. If a run with this id is open, that is what is waited for, and nothing is started.
func (c *ChildRun[Output]) ID(workflowID string) *ChildRun[Output] {
	c.request.WorkflowID = &workflowID
	return c
}

// OnParentEnd is its fate when this run ends before; it is asked to cancel, if nothing is said.
func (c *ChildRun[Output]) OnParentEnd(fate exomonad.OnParentEnd) *ChildRun[Output] {
	c.request.OnParentEnd = &fate
	return c
}

// Start starts it, to run beside the workflow.
func (c *ChildRun[Output]) Start() (*Handle[Output], error) {
	if c.err != nil {
		return nil, fmt.Errorf("the input has no JSON: %w", c.err)
	}
	child, err := workflow.StartChild(c.request)
	if err != nil {
		return nil, err
	}
	if child.Handle == nil {
		return nil, NewError("internal", "the host started a child without a handle")
	}
	return &Handle[Output]{id: *child.Handle}, nil
}

// Run starts it, and waits for its output. If it fails, that is an [Error] with the code `workflow_failed`, and its
// failure as the details.
func (c *ChildRun[Output]) Run() (Output, error) {
	handle, err := c.Start()
	if err != nil {
		var none Output
		return none, err
	}
	return handle.Wait()
}
