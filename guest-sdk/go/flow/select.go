package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"exomonad"
	"exomonad/workflow"
)

// Select is a wait for several things, of which the first ends it:
//
//	var selection flow.Select
//	first, err := selection.Handle(deploy).Signal("stop").Timeout(time.Hour).Wait()
type Select struct{ wait exomonad.WorkflowWait }

// First is what came first.
type First struct {
	// The position of the handle, in the order in which they were given; -1 if none came first. Waiting for it
	// answers at once.
	Position int
	// The name of the signal, which is taken with this; empty if none came first.
	Signal string
	// The payload of the signal.
	Payload json.RawMessage
	// True if the time is up.
	TimedOut bool
}

// Handle also waits for this handle.
func (s *Select) Handle(handle interface{ ID() uint64 }) *Select {
	s.wait.Handles = append(s.wait.Handles, handle.ID())
	return s
}

// Signal also waits for a signal of this name.
func (s *Select) Signal(name string) *Select {
	s.wait.Signals = append(s.wait.Signals, name)
	return s
}

// Timeout does not wait longer than this.
func (s *Select) Timeout(timeout time.Duration) *Select {
	s.wait.TimeoutMillis = exomonad.Ptr(millis(timeout))
	return s
}

// Wait waits. The error is the run's cancellation.
func (s *Select) Wait() (First, error) {
	arrived, err := workflow.Wait(s.wait)
	if err != nil {
		return First{Position: -1}, err
	}
	if len(arrived.Arrivals) == 0 {
		return First{Position: -1, TimedOut: true}, nil
	}
	first := arrived.Arrivals[0]
	if first.Signal != nil {
		return First{Position: -1, Signal: *first.Signal, Payload: first.Value}, nil
	}
	if first.Handle != nil {
		if position := slices.Index(s.wait.Handles, *first.Handle); position >= 0 {
			return First{Position: position}, nil
		}
	}
	return First{Position: -1}, NewError("internal", "the host ended a wait by what was not waited for")
}

// WaitSignal waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken.
func WaitSignal[Payload any](name string) (Payload, error) {
	var selection Select
	first, err := selection.Signal(name).Wait()
	if err != nil {
		var none Payload
		return none, err
	}
	return payload[Payload](first)
}

// WaitSignalTimeout waits for a signal, but not longer than this; nil when the time is up.
func WaitSignalTimeout[Payload any](name string, timeout time.Duration) (*Payload, error) {
	var selection Select
	first, err := selection.Signal(name).Timeout(timeout).Wait()
	if err != nil || first.TimedOut {
		return nil, err
	}
	found, err := payload[Payload](first)
	if err != nil {
		return nil, err
	}
	return &found, nil
}

func payload[Payload any](first First) (Payload, error) {
	var decoded Payload
	if err := json.Unmarshal(orNull(first.Payload), &decoded); err != nil {
		return decoded, NewError("invalid_input",
			fmt.Sprintf("the payload of the signal `%s` does not fit: %v", first.Signal, err))
	}
	return decoded, nil
}
