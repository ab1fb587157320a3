package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"exomonad"
	"exomonad/workflow"
)

// Run is a run, whose published state has the type State; [None] if it publishes none.
type Run[State any] struct {
	about         exomonad.WorkflowInput
	previous      *State
	compensations []func(*Run[State]) error
}

func newRun[State any](about exomonad.WorkflowInput) (*Run[State], error) {
	run := &Run[State]{about: about}
	if !isNull(about.State) {
		run.previous = new(State)
		if err := json.Unmarshal(about.State, run.previous); err != nil {
			return nil, fmt.Errorf("the state of the run before does not fit: %w", err)
		}
	}
	return run, nil
}

// WorkflowID is the workflow's id, chosen by whoever started it.
func (r *Run[State]) WorkflowID() string { return r.about.WorkflowID }

// RunID is the run's id.
func (r *Run[State]) RunID() string { return r.about.RunID }

// Context is the call. Its id is the run's, however often that is resumed.
func (r *Run[State]) Context() exomonad.Context { return r.about.Context }

// PreviousState is the state that the run before this one has published, if that was continued as new; else nil.
func (r *Run[State]) PreviousState() *State { return r.previous }

// SetState publishes the state: what queries see, and the next run if this one is continued as new.
func (r *Run[State]) SetState(state State) error {
	encoded, err := exomonad.ToJSON(state)
	if err != nil {
		return fmt.Errorf("the state has no JSON: %w", err)
	}
	_, err = workflow.SetState(exomonad.WorkflowSetState{State: encoded})
	return err
}

// Sleep waits, for ten years at most. The run holds no memory, thread or sandbox meanwhile.
func (r *Run[State]) Sleep(duration time.Duration) error {
	_, err := workflow.Sleep(exomonad.WorkflowSleep{Millis: millis(duration)})
	return err
}

// Timer starts a timer, to be waited for beside other things.
func (r *Run[State]) Timer(duration time.Duration) (*Handle[exomonad.Done], error) {
	return start[exomonad.Done](exomonad.WorkflowSleep{Millis: millis(duration)}, nil)
}

// Signal sends a signal to the open run of another workflow of the role.
func (r *Run[State]) Signal(workflowID, name string, payload any) error {
	encoded, err := exomonad.ToJSON(payload)
	if err != nil {
		return fmt.Errorf("the payload has no JSON: %w", err)
	}
	_, err = workflow.Signal(exomonad.WorkflowSignal{WorkflowID: workflowID, Name: name, Payload: encoded})
	return err
}

// Patched is true if a change of the workflow's code applies to this run: false for one that has come past this
// place with the code before the change.
func (r *Run[State]) Patched(id string) (bool, error) {
	patch, err := workflow.Patched(exomonad.WorkflowPatched{ID: id})
	return patch.Applies, err
}

// Info is the run's number of steps, its beginning, and the host's advice to continue as new.
func (r *Run[State]) Info() (exomonad.WorkflowRunInfo, error) {
	return workflow.Info(exomonad.WorkflowInfo{})
}

// ContinueAsNew is the error that ends this run and starts it as a new one with this input, an empty history, and
// the state published last: return Output{}, run.ContinueAsNew(input).
func (r *Run[State]) ContinueAsNew(input any) error {
	encoded, err := exomonad.ToJSON(input)
	if err != nil {
		return fmt.Errorf("the input has no JSON: %w", err)
	}
	return &continuation{input: encoded}
}

// AddCompensation registers what undoes the steps up to here. When the function returns an error, also when the run
// is cancelled, what was registered is called, the last first. Effects work in it.
//
// It is called a second time if the run is cancelled while it is at it, so it should be repeatable. A run that
// continues as new undoes nothing.
func (r *Run[State]) AddCompensation(compensation func(*Run[State]) error) {
	r.compensations = append(r.compensations, compensation)
}

// compensate undoes what has a compensation, and returns how the run ends.
func (r *Run[State]) compensate(cause error) error {
	var next *continuation
	if errors.As(cause, &next) {
		return cause
	}
	var failures []error
	for len(r.compensations) > 0 {
		last := len(r.compensations) - 1
		compensation := r.compensations[last]
		r.compensations = r.compensations[:last]
		err := compensation(r)
		// A run is told once that it is cancelled: the second call is undisturbed.
		if err != nil && IsCancelled(err) {
			err = compensation(r)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return cause
	}
	return compensationFailed(cause, failures)
}

// millis are whole milliseconds, a part of one counted as one.
func millis(duration time.Duration) uint64 {
	if duration <= 0 {
		return 0
	}
	return uint64((duration + time.Millisecond - 1) / time.Millisecond)
}
