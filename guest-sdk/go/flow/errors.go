package flow

import (
	"encoding/json"
	"errors"
	"strings"

	"exomonad"
)

// Error is the failure of a workflow, or of one of its steps, with a code for programs.
//
// A step that fails with the code `cancelled` was stopped by [Handle.Cancel]; the cancellation of the run itself is
// an [exomonad.EffectError] with that code, see [IsCancelled].
type Error struct {
	// The kind of failure.
	Code string
	// The message for a person.
	Message string
	// Details for a program.
	Details json.RawMessage
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// NewError is a failure of the workflow.
func NewError(code, message string) *Error { return &Error{Code: code, Message: message} }

func ofStep(failure *exomonad.EffectError) *Error {
	return &Error{Code: string(failure.Code), Message: failure.Message, Details: failure.Details}
}

// IsCancelled tells if an error is the cancellation of the run.
func IsCancelled(err error) bool {
	var own *Error
	code, failed := exomonad.Failed(err)
	return failed && code == exomonad.ErrorCodeCancelled && !errors.As(err, &own)
}

// continuation goes through the function's error: it is none.
type continuation struct{ input json.RawMessage }

func (*continuation) Error() string { return "the run goes on as a new one" }

// codeOf is the code of any error.
func codeOf(err error) string {
	var own *Error
	if errors.As(err, &own) {
		return own.Code
	}
	if code, failed := exomonad.Failed(err); failed {
		return string(code)
	}
	return "failed"
}

func detailsOf(err error) json.RawMessage {
	var own *Error
	if errors.As(err, &own) {
		return own.Details
	}
	var failure *exomonad.EffectError
	if errors.As(err, &failure) {
		return failure.Details
	}
	return nil
}

func outcome(output json.RawMessage, err error) exomonad.WorkflowOutcome {
	var next *continuation
	switch {
	case err == nil:
		return exomonad.WorkflowOutcome{End: exomonad.WorkflowEndCompleted, Output: output}
	case errors.As(err, &next):
		return exomonad.WorkflowOutcome{End: exomonad.WorkflowEndContinueAsNew, Input: next.input}
	case IsCancelled(err):
		return exomonad.WorkflowOutcome{End: exomonad.WorkflowEndCancelled}
	}
	return exomonad.WorkflowOutcome{End: exomonad.WorkflowEndFailed, Failure: &exomonad.WorkflowFailure{
		Code: codeOf(err), Message: err.Error(), Details: detailsOf(err),
	}}
}

// compensationFailed is the failure of a run that could not be undone.
func compensationFailed(cause error, failures []error) error {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	messages := make([]string, len(failures))
	entries := make([]entry, len(failures))
	for at, failure := range failures {
		messages[at] = failure.Error()
		entries[at] = entry{Code: codeOf(failure), Message: failure.Error()}
	}
	// Texts have JSON.
	details, _ := exomonad.ToJSON(map[string]any{
		"cause":    entry{Code: codeOf(cause), Message: cause.Error()},
		"failures": entries,
	})
	return &Error{
		Code:    "compensation_failed",
		Message: cause.Error() + "; and this could not be undone: " + strings.Join(messages, "; "),
		Details: details,
	}
}
