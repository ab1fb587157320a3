// Package flow has workflows: functions whose runs outlive the host's process. Importing it exports the entry points
// of workflows from the plugin.
//
// A workflow is a function of the same effects as a tool. Each effect is a step: the host records its answer, and a
// run that is resumed, after a wait of weeks or a crash, is called from its beginning and given the recorded answers.
// So the code has to ask for the same effects in the same order each time: time and randomness come from the
// effects of clock and random, and neither maps are ranged over nor goroutines started where the order shows.
//
//	type Reminder struct {
//		Text string `json:"text" jsonschema:"The text."`
//		Days int    `json:"days" jsonschema:"Days from now." minimum:"1"`
//	}
//
//	func remind(run *flow.Run[flow.None], input Reminder) (flow.None, error) {
//		if err := run.Sleep(time.Duration(input.Days) * 24 * time.Hour); err != nil {
//			return flow.None{}, err
//		}
//		log.Info(input.Text)
//		return flow.None{}, nil
//	}
//
//	Workflows: []exomonad.WorkflowEntry{flow.New("remind", "Logs a text, days later.", remind)},
//
// Tools and hooks start workflows and talk to them by the package workflow, which exports nothing.
package flow

import (
	"encoding/json"
	"fmt"
	"reflect"

	"exomonad"
	"exomonad/internal/wire"
)

// None is the input, the output or the state of a workflow that has none.
type None struct{}

// Option is something more about a workflow.
type Option func(*exomonad.WorkflowEntry)

// Title is a display name for people.
func Title(title string) Option {
	return func(entry *exomonad.WorkflowEntry) { entry.Definition.Title = &title }
}

// Icons are pictures for people, the best first.
func Icons(icons ...exomonad.Icon) Option {
	return func(entry *exomonad.WorkflowEntry) { entry.Definition.Icons = icons }
}

// AsTool lets MCP clients start it as a tool.
func AsTool() Option {
	return func(entry *exomonad.WorkflowEntry) { entry.Definition.IsTool = true }
}

// AsTask lets MCP clients that have tasks start it as a tool.
func AsTask() Option {
	return func(entry *exomonad.WorkflowEntry) {
		entry.Definition.IsTool, entry.Definition.NeedsTask = true, true
	}
}

// Signal tells that it takes a signal, with this payload. Without any it takes every signal.
func Signal[Payload any](name string) Option {
	return func(entry *exomonad.WorkflowEntry) {
		signals := &entry.Definition.Signals
		*signals = append(*signals, exomonad.WorkflowMessage{Name: name, Schema: exomonad.SchemaOf[Payload]()})
	}
}

// Query answers a query by a function of the published state, which has no effects.
func Query[State, Answer any](name string, answer func(State) (Answer, error)) Option {
	return query(name, nil, func(state State, _ json.RawMessage) (any, error) { return answer(state) })
}

// QueryWith answers a query that has arguments.
func QueryWith[State, Arguments, Answer any](name string, answer func(State, Arguments) (Answer, error)) Option {
	return query(name, exomonad.SchemaOf[Arguments](), func(state State, encoded json.RawMessage) (any, error) {
		var arguments Arguments
		if err := json.Unmarshal(orNull(encoded), &arguments); err != nil {
			return nil, fmt.Errorf("the arguments do not fit: %w", err)
		}
		return answer(state, arguments)
	})
}

func query[State any](name string, schema json.RawMessage, answer func(State, json.RawMessage) (any, error)) Option {
	return func(entry *exomonad.WorkflowEntry) {
		queries := &entry.Definition.Queries
		*queries = append(*queries, exomonad.WorkflowMessage{Name: name, Schema: schema})
		entry.Queries[name] = func(published, arguments json.RawMessage) (json.RawMessage, error) {
			if isNull(published) {
				return nil, fmt.Errorf("the run has not published a state yet")
			}
			var state State
			if err := json.Unmarshal(published, &state); err != nil {
				return nil, fmt.Errorf("the published state does not fit: %w", err)
			}
			value, err := answer(state, arguments)
			if err != nil {
				return nil, err
			}
			return exomonad.ToJSON(value)
		}
	}
}

// StateVersion is the version of the state; 0 without it. A state of an older version passes the function first:
// it gets that version and the state, and returns the state as it is now.
func StateVersion[State any](version uint32, migrate func(uint32, json.RawMessage) (State, error)) Option {
	return func(entry *exomonad.WorkflowEntry) {
		entry.Definition.StateVersion = version
		entry.Migrate = func(from uint32, state json.RawMessage) (json.RawMessage, error) {
			migrated, err := migrate(from, state)
			if err != nil {
				return nil, err
			}
			return exomonad.ToJSON(migrated)
		}
	}
}

// New makes a workflow of a function. Its types give the JSON Schemas, as those of tools do.
func New[Input, Output, State any](
	name, description string,
	function func(*Run[State], Input) (Output, error),
	options ...Option,
) exomonad.WorkflowEntry {
	entry := exomonad.WorkflowEntry{
		Definition: exomonad.WorkflowDefinition{
			Name:         name,
			Description:  &description,
			InputSchema:  schemaOf[Input](),
			OutputSchema: schemaOf[Output](),
			StateSchema:  schemaOf[State](),
		},
		Queries: map[string]func(json.RawMessage, json.RawMessage) (json.RawMessage, error){},
	}
	for _, option := range options {
		option(&entry)
	}
	entry.Run = func(about exomonad.WorkflowInput) (exomonad.WorkflowOutcome, error) {
		return runBody(about, function)
	}
	return entry
}

func schemaOf[T any]() json.RawMessage {
	if reflect.TypeFor[T]() == reflect.TypeFor[None]() {
		return nil
	}
	return exomonad.SchemaOf[T]()
}

func runBody[Input, Output, State any](
	about exomonad.WorkflowInput,
	function func(*Run[State], Input) (Output, error),
) (exomonad.WorkflowOutcome, error) {
	var input Input
	if _, none := any(input).(None); !none {
		encoded := about.Input
		if isNull(encoded) && reflect.TypeFor[Input]().Kind() == reflect.Struct {
			// No input is {} for a type whose fields may all be absent.
			encoded = json.RawMessage("{}")
		}
		if err := json.Unmarshal(orNull(encoded), &input); err != nil {
			return outcome(nil, NewError("invalid_input", "the input does not fit: "+err.Error())), nil
		}
	}
	run, err := newRun[State](about)
	if err != nil {
		return exomonad.WorkflowOutcome{}, err
	}
	output, err := function(run, input)
	if err != nil {
		return outcome(nil, run.compensate(err)), nil
	}
	if _, none := any(output).(None); none {
		return outcome(nil, nil), nil
	}
	encoded, err := exomonad.ToJSON(output)
	if err != nil {
		return exomonad.WorkflowOutcome{}, fmt.Errorf("the output has no JSON: %w", err)
	}
	return outcome(encoded, nil), nil
}

func isNull(encoded json.RawMessage) bool { return len(encoded) == 0 || string(encoded) == "null" }

func orNull(encoded json.RawMessage) json.RawMessage {
	if len(encoded) == 0 {
		return json.RawMessage("null")
	}
	return encoded
}

// HandleList is the export handle_list_workflows, to a ListWorkflowsResult.
func HandleList(plugin *exomonad.Plugin, _ []byte) ([]byte, error) {
	var result exomonad.ListWorkflowsResult
	for _, entry := range plugin.Workflows {
		result.Workflows = append(result.Workflows, entry.Definition)
	}
	return wire.Encode(result)
}

// HandleRun is the export handle_workflow: from a WorkflowInput to a WorkflowOutcome.
func HandleRun(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.WorkflowInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	outcome, err := RunWorkflow(plugin, about)
	if err != nil {
		return nil, err
	}
	return wire.Encode(outcome)
}

// RunWorkflow runs a workflow from its beginning to the end of the run. A failure of the workflow is an outcome.
func RunWorkflow(plugin *exomonad.Plugin, about exomonad.WorkflowInput) (exomonad.WorkflowOutcome, error) {
	entry, err := find(plugin, about.Workflow)
	if err != nil {
		return exomonad.WorkflowOutcome{}, err
	}
	return entry.Run(about)
}

// HandleQuery is the export handle_query: from a WorkflowQueryInput to a WorkflowQueryResult.
func HandleQuery(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.WorkflowQueryInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	entry, err := find(plugin, about.Workflow)
	if err != nil {
		return nil, err
	}
	answer := entry.Queries[about.Query]
	if answer == nil {
		return nil, fmt.Errorf("the workflow `%s` has no query `%s`", about.Workflow, about.Query)
	}
	value, err := answer(about.State, about.Arguments)
	if err != nil {
		return nil, err
	}
	return wire.Encode(exomonad.WorkflowQueryResult{Value: value})
}

// HandleMigrate is the export handle_migrate: from a WorkflowMigrateInput to a WorkflowMigrateResult.
func HandleMigrate(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.WorkflowMigrateInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	entry, err := find(plugin, about.Workflow)
	if err != nil {
		return nil, err
	}
	if entry.Migrate == nil || about.ToVersion != entry.Definition.StateVersion {
		return nil, fmt.Errorf(
			"the workflow `%s` cannot bring its state from version %d to %d; its version is %d",
			about.Workflow, about.FromVersion, about.ToVersion, entry.Definition.StateVersion,
		)
	}
	state, err := entry.Migrate(about.FromVersion, about.State)
	if err != nil {
		return nil, err
	}
	return wire.Encode(exomonad.WorkflowMigrateResult{State: state})
}

func find(plugin *exomonad.Plugin, name string) (*exomonad.WorkflowEntry, error) {
	for at := range plugin.Workflows {
		if plugin.Workflows[at].Definition.Name == name {
			return &plugin.Workflows[at], nil
		}
	}
	return nil, fmt.Errorf("no workflow `%s`", name)
}
