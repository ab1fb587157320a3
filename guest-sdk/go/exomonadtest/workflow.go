package exomonadtest

import (
	"encoding/json"
	"time"

	"exomonad"
	"exomonad/flow"
	"exomonad/internal/wire"
)

// script is what a test has arranged for a workflow.
type script struct {
	signals   []arranged
	cancels   []time.Duration
	durations map[string]time.Duration
	children  map[string]childAnswer
	unpatched map[string]bool
	manySteps uint64
}

type arranged struct {
	after   time.Duration
	name    string
	payload json.RawMessage
}

type childAnswer struct {
	takes  time.Duration
	answer func(json.RawMessage) (json.RawMessage, error)
}

func newScript() script {
	return script{
		durations: map[string]time.Duration{},
		children:  map[string]childAnswer{},
		unpatched: map[string]bool{},
		manySteps: 10_000,
	}
}

// SignalAt sends a signal to the workflow, so long after its beginning.
func (h *Host) SignalAt(after time.Duration, name string, payload any) {
	h.t.Helper()
	encoded, err := exomonad.ToJSON(payload)
	if err != nil {
		h.t.Fatalf("the payload of %s has no JSON: %v", name, err)
	}
	h.script.signals = append(h.script.signals, arranged{after, name, encoded})
}

// CancelAt cancels the workflow, so long after its beginning.
func (h *Host) CancelAt(after time.Duration) { h.script.cancels = append(h.script.cancels, after) }

// Takes lets each attempt at an effect take this time within a workflow.
func Takes[R exomonad.Request](host *Host, duration time.Duration) {
	var of R
	function, _ := of.EffectName()
	host.script.durations[function] = duration
}

// OnChild answers children of this workflow by a function, from their input to their output, after a time. Children
// of other workflows of the plugin run as the workflow itself does.
func OnChild[Input, Output any](
	host *Host, workflow string, takes time.Duration, answer func(Input) (Output, error),
) {
	host.script.children[workflow] = childAnswer{takes, func(encoded json.RawMessage) (json.RawMessage, error) {
		input := decoded[Input](host, workflow, orNull(encoded))
		output, err := answer(input)
		if err != nil {
			return nil, err
		}
		return exomonad.ToJSON(output)
	}}
}

// WithoutPatch lets a change of the code not apply, as in a run that came past it before the change.
func (h *Host) WithoutPatch(id string) { h.script.unpatched[id] = true }

// SuggestContinueAsNewAfter advises a run to continue as new after so many steps; 10,000 as on a real host, if
// nothing is said.
func (h *Host) SuggestContinueAsNewAfter(steps uint64) { h.script.manySteps = steps }

// FinishedRun is a run that has ended.
type FinishedRun struct {
	host *Host
	// Its end, as the host gets it; of the last run, if it was continued as new.
	Outcome exomonad.WorkflowOutcome
	// The states that it has published, in order.
	States []json.RawMessage
	// The simulated time from its beginning to its end.
	Elapsed time.Duration
	// The number of runs: one more than the times that it was continued as new.
	Runs int
}

// Output decodes the output into a pointer. The test fails if the run has not completed.
func (r *FinishedRun) Output(into any) {
	r.host.t.Helper()
	if r.Outcome.End != exomonad.WorkflowEndCompleted {
		r.host.t.Fatalf("it has not completed: %s", described(r.Outcome))
	}
	if err := json.Unmarshal(orNull(r.Outcome.Output), into); err != nil {
		r.host.t.Fatalf("the output does not fit: %v", err)
	}
}

// Failure is the failure. The test fails if the run has not failed.
func (r *FinishedRun) Failure() exomonad.WorkflowFailure {
	r.host.t.Helper()
	if r.Outcome.Failure == nil {
		r.host.t.Fatalf("it has not failed: %s", described(r.Outcome))
	}
	return *r.Outcome.Failure
}

// IsCancelled tells if it has ended because it was cancelled.
func (r *FinishedRun) IsCancelled() bool { return r.Outcome.End == exomonad.WorkflowEndCancelled }

// Query asks a workflow's query about a published state, and decodes the answer into a pointer.
func (h *Host) Query(plugin *exomonad.Plugin, workflow, query string, arguments, state, into any) error {
	h.t.Helper()
	about := exomonad.WorkflowQueryInput{
		Workflow: workflow, Query: query, Arguments: h.json(arguments), State: h.json(state), Context: Context(),
	}
	encoded, err := flow.HandleQuery(plugin, h.json(about))
	if err != nil {
		return err
	}
	var result exomonad.WorkflowQueryResult
	if err := wire.Decode(encoded, &result); err != nil {
		return err
	}
	return json.Unmarshal(orNull(result.Value), into)
}

// Migrate brings a published state of an older version to the current one, and decodes it into a pointer.
func (h *Host) Migrate(plugin *exomonad.Plugin, workflow string, from uint32, state, into any) error {
	h.t.Helper()
	about := exomonad.WorkflowMigrateInput{
		Workflow: workflow, State: h.json(state), FromVersion: from, Context: Context(),
	}
	for _, entry := range plugin.Workflows {
		if entry.Definition.Name == workflow {
			about.ToVersion = entry.Definition.StateVersion
		}
	}
	encoded, err := flow.HandleMigrate(plugin, h.json(about))
	if err != nil {
		return err
	}
	var result exomonad.WorkflowMigrateResult
	if err := wire.Decode(encoded, &result); err != nil {
		return err
	}
	return json.Unmarshal(result.State, into)
}

func (h *Host) json(value any) json.RawMessage {
	h.t.Helper()
	encoded, err := exomonad.ToJSON(value)
	if err != nil {
		h.t.Fatalf("a value has no JSON: %v", err)
	}
	return encoded
}

func orNull(encoded json.RawMessage) json.RawMessage {
	if len(encoded) == 0 {
		return json.RawMessage("null")
	}
	return encoded
}

func described(outcome exomonad.WorkflowOutcome) string {
	encoded, err := wire.Encode(outcome)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}
