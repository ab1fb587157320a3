// Package exomonadtest is a host for tests: functions answer effects, requests are recorded, keys and values stay in
// memory, and the clock stands still. Tests run natively, by go test.
//
//	func TestGreetingNamesTheBranch(t *testing.T) {
//		host := exomonadtest.NewHost(t)
//		exomonadtest.On(host, func(exomonad.GitGetBranch) (exomonad.GitBranch, error) {
//			return exomonad.GitBranch{Head: exomonad.GitHeadBranch, Branch: exomonad.Ptr("main")}, nil
//		})
//		greeting, err := greet(exomonadtest.Context(), GreetArgs{Name: "Ada"})
//		…
//	}
//
// There is one host at a time in a process, so tests that have one are not to be parallel (t.Parallel).
package exomonadtest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"exomonad"
	"exomonad/internal/abi"
	"exomonad/internal/wire"
)

// Host is a host for the duration of a test.
type Host struct {
	t         testing.TB
	answers   map[string]func([]byte) []byte
	requests  []recorded
	config    map[string]string
	variables map[string][]byte
	kv        map[string]json.RawMessage
	now       time.Time
	random    uint64
	script    script
	// The simulation of a workflow that runs.
	simulation *simulation
}

type recorded struct {
	function string
	request  []byte
	at       time.Time
}

// NewHost is a host that a test has until its end. Its clock stands at 2026-01-01T00:00:00Z.
func NewHost(t testing.TB) *Host {
	host := &Host{
		t:         t,
		answers:   map[string]func([]byte) []byte{},
		config:    map[string]string{},
		variables: map[string][]byte{},
		kv:        map[string]json.RawMessage{},
		now:       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		script:    newScript(),
	}
	abi.PushHost(host)
	t.Cleanup(abi.PopHost)
	return host
}

// Context is a call's context for tests.
func Context() exomonad.Context { return exomonad.Context{Role: "test", CallID: "test-call"} }

// On answers an effect by a function; the type of its request tells which.
func On[R exomonad.Request, A json.Marshaler](host *Host, answer func(R) (A, error)) {
	var of R
	function, _ := of.EffectName()
	host.answers[function] = func(encoded []byte) []byte {
		payload, err := answer(decoded[R](host, function, encoded))
		return encode(payload, err)
	}
}

// Requests are all requests for an effect so far, in order; within a workflow each attempt.
func Requests[R exomonad.Request](host *Host) []R {
	var of R
	function, _ := of.EffectName()
	var requests []R
	for _, recorded := range host.requests {
		if recorded.function == function {
			requests = append(requests, decoded[R](host, function, recorded.request))
		}
	}
	return requests
}

// Functions are the host functions called so far, in order.
func (h *Host) Functions() []string {
	functions := make([]string, len(h.requests))
	for at, recorded := range h.requests {
		functions[at] = recorded.function
	}
	return functions
}

// SetConfig sets the value of a key of the configuration.
func (h *Host) SetConfig(key, value string) { h.config[key] = value }

// SetKV sets the value of a key of the key-value store.
func (h *Host) SetKV(key string, value any) {
	h.t.Helper()
	encoded, err := exomonad.ToJSON(value)
	if err != nil {
		h.t.Fatalf("the value of %s has no JSON: %v", key, err)
	}
	h.kv[key] = encoded
}

// KV is the value of a key of the key-value store; nil if there is none.
func (h *Host) KV(key string) json.RawMessage { return h.kv[key] }

// SetNow sets the clock.
func (h *Host) SetNow(now time.Time) { h.now = now }

// Now is the time on the clock.
func (h *Host) Now() time.Time { return h.now }

// CallTool calls a tool as the host does, with arguments of any type that has JSON.
func (h *Host) CallTool(plugin *exomonad.Plugin, name string, arguments any) exomonad.CallToolResult {
	h.t.Helper()
	encoded, err := exomonad.ToJSON(arguments)
	if err != nil {
		h.t.Fatalf("the arguments have no JSON: %v", err)
	}
	return plugin.CallTool(exomonad.ToolCallInput{Name: name, Arguments: encoded, Context: Context()})
}

// Ask asks the hook of an event as the host does. The payload is any that has JSON.
func (h *Host) Ask(plugin *exomonad.Plugin, event exomonad.HookEvent, payload any) exomonad.HookOutput {
	h.t.Helper()
	encoded, err := exomonad.ToJSON(payload)
	if err != nil {
		h.t.Fatalf("the payload has no JSON: %v", err)
	}
	for _, hook := range plugin.Hooks {
		if hook.Event == event {
			output, err := hook.Decide(exomonad.HookInput{Event: event, Payload: encoded, Context: Context()})
			if err != nil {
				h.t.Fatalf("the hook %s failed: %v", event, err)
			}
			return output
		}
	}
	h.t.Fatalf("the plugin has no hook %s", event)
	return exomonad.HookOutput{}
}

// Perform is for the SDK.
func (h *Host) Perform(function string, request []byte) []byte {
	if h.simulation != nil {
		return h.simulation.perform(function, request)
	}
	return h.performNow(function, request)
}

func (h *Host) performNow(function string, request []byte) []byte {
	h.record(function, request)
	if answer := h.answers[function]; answer != nil {
		return answer(request)
	}
	if answer := h.answerByDefault(function, request); answer != nil {
		return answer
	}
	return failure(exomonad.ErrorCodeNotConfigured,
		"the test's host has no answer for "+function+"; give it one with exomonadtest.On")
}

func (h *Host) record(function string, request []byte) {
	h.requests = append(h.requests, recorded{function, request, h.now})
}

// Config is for the SDK.
func (h *Host) Config(key string) (string, bool) {
	value, there := h.config[key]
	return value, there
}

// Variable is for the SDK.
func (h *Host) Variable(key string) ([]byte, bool) {
	value, there := h.variables[key]
	return value, there
}

// SetVariable is for the SDK.
func (h *Host) SetVariable(key string, value []byte) {
	if value == nil {
		delete(h.variables, key)
	} else {
		h.variables[key] = value
	}
}

func decoded[R any](host *Host, function string, encoded []byte) R {
	var request R
	if err := json.Unmarshal(encoded, &request); err != nil {
		host.t.Fatalf("%s got what it does not take: %v: %s", function, err, encoded)
	}
	return request
}

// encode is an answer as a host writes it.
func encode(payload json.Marshaler, err error) []byte {
	if err != nil {
		return failureOf(exomonad.FailureOf(err))
	}
	encoded, err := payload.MarshalJSON()
	if err != nil {
		return failure(exomonad.ErrorCodeInternal, "the test's answer has no JSON: "+err.Error())
	}
	return success(encoded)
}

func success(payload []byte) []byte {
	return append(append([]byte(`{"kind":"Success","payload":`), payload...), '}')
}

func done() []byte { return success([]byte("{}")) }

func failure(code exomonad.ErrorCode, message string) []byte {
	return failureOf(&exomonad.EffectError{Code: code, Message: message})
}

func failureOf(err *exomonad.EffectError) []byte {
	encoded, problem := wire.Encode(err)
	if problem != nil {
		return failure(exomonad.ErrorCodeInternal, "the test's error has no JSON: "+problem.Error())
	}
	return append(append([]byte(`{"kind":"Error","payload":`), encoded...), '}')
}

// failed is the error in an answer, if it is one.
func failed(answer []byte) *exomonad.EffectError {
	var envelope struct {
		Kind    string          `json:"kind"`
		Payload json.RawMessage `json:"payload"`
	}
	if json.Unmarshal(answer, &envelope) != nil || envelope.Kind != "Error" {
		return nil
	}
	failure := new(exomonad.EffectError)
	if err := json.Unmarshal(envelope.Payload, failure); err != nil {
		return &exomonad.EffectError{Code: exomonad.ErrorCodeInternal, Message: err.Error()}
	}
	return failure
}

// Error fails an effect in a test's answer.
func Error(code exomonad.ErrorCode, message string) error {
	return &exomonad.EffectError{Code: code, Message: message}
}

// Code is the code of a failed effect's error; empty if it is none.
func Code(err error) exomonad.ErrorCode {
	var failure *exomonad.EffectError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}
