// The plugin of Go for the contract suite: it has everything that a plugin can have.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"strconv"
	"time"

	"exomonad"
	"exomonad/flow"
	"exomonad/hooks/notification"
	"exomonad/hooks/otherevent"
	"exomonad/hooks/posttooluse"
	"exomonad/hooks/precompact"
	"exomonad/hooks/pretooluse"
	"exomonad/hooks/sessionend"
	"exomonad/hooks/sessionstart"
	"exomonad/hooks/stop"
	"exomonad/hooks/subagentstop"
	"exomonad/hooks/userpromptsubmit"
	"exomonad/kv"
	"exomonad/prompt"
	"exomonad/resource"
)

var plugin = exomonad.Register(exomonad.Plugin{
	Name:    "contract-go",
	Version: "0.1.0",
	Tools: []exomonad.ToolEntry{
		exomonad.NewTool("round_trip", "Decodes values of a type of the contract and encodes them again.", roundTrip),
		exomonad.NewTool("perform", "Performs an effect.", perform),
		exomonad.NewTool("echo", "Gives the text back.", echo, exomonad.ReadOnly()),
		exomonad.NewTool("random", "Draws random numbers.", drawNumbers),
		exomonad.NewTool("fail", "Fails with a message.", fail),
		exomonad.NewTool("crash", "Crashes.", crash),
	},
	Hooks: []exomonad.HookEntry{
		pretooluse.Hook(deny),
		posttooluse.Hook(deny),
		userpromptsubmit.Hook(deny),
		notification.Hook(deny),
		sessionstart.Hook(deny),
		sessionend.Hook(deny),
		stop.Hook(deny),
		subagentstop.Hook(deny),
		precompact.Hook(deny),
		otherevent.Hook(deny),
	},
	Resources: []exomonad.ResourceEntry{
		resource.New("notes://first", "first", "The first note.", firstNote),
		resource.Template("notes://{name}", "note", "A note.", note,
			resource.Complete("name", exomonad.Among("alpha", "beta"))),
	},
	Prompts: []exomonad.PromptEntry{
		prompt.New("greet", "Greets someone.", greetPrompt, prompt.Complete("name", exomonad.Among("Ada", "Grace"))),
	},
	Workflows: []exomonad.WorkflowEntry{
		flow.New("greet", "Greets someone, when it is told to.", greet,
			flow.Signal[string]("go"), flow.Query("stage", stageOf), flow.StateVersion(2, migrate)),
	},
})

func main() {}

// RoundTrip are the arguments of round_trip.
type RoundTrip struct {
	Kind   string            `json:"kind" jsonschema:"The name of the type."`
	Values []json.RawMessage `json:"values" jsonschema:"Values of the type."`
}

// RoundTripped is the result of round_trip.
type RoundTripped struct {
	Values []json.RawMessage `json:"values" jsonschema:"The values, encoded again."`
}

func roundTrip(_ exomonad.Context, about RoundTrip) (RoundTripped, error) {
	codec := codecs[about.Kind]
	if codec == nil {
		return RoundTripped{}, fmt.Errorf("no type %s", about.Kind)
	}
	result := RoundTripped{Values: make([]json.RawMessage, len(about.Values))}
	for at, value := range about.Values {
		again, err := codec(value)
		if err != nil {
			return RoundTripped{}, fmt.Errorf("value %d: %w", at, err)
		}
		result.Values[at] = again
	}
	return result, nil
}

// again decodes a value of a type and encodes it.
func again[T json.Marshaler, P interface {
	*T
	json.Unmarshaler
}](data []byte) ([]byte, error) {
	var value T
	if err := P(&value).UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return value.MarshalJSON()
}

// unionAgain does so for a union.
func unionAgain[T any](unmarshal func([]byte) (T, error)) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		value, err := unmarshal(data)
		if err != nil {
			return nil, err
		}
		return exomonad.ToJSON(value)
	}
}

// Perform are the arguments of perform.
type Perform struct {
	Function string          `json:"function" jsonschema:"The host function."`
	Request  json.RawMessage `json:"request" jsonschema:"The request."`
}

// Performed is the result of perform.
type Performed struct {
	Answer json.RawMessage       `json:"answer,omitempty" jsonschema:"The answer."`
	Error  *exomonad.EffectError `json:"error,omitempty" jsonschema:"The failure in place of the answer."`
}

func perform(_ exomonad.Context, about Perform) (Performed, error) {
	effect := effects[about.Function]
	if effect == nil {
		return Performed{}, fmt.Errorf("no effect %s", about.Function)
	}
	answer, err := effect(about.Request)
	var failure *exomonad.EffectError
	if errors.As(err, &failure) {
		return Performed{Error: failure}, nil
	}
	return Performed{Answer: answer}, err
}

// performed is an effect, from the request's JSON to the answer's.
func performed[R, A json.Marshaler, P interface {
	*R
	json.Unmarshaler
}](effect func(R) (A, error)) func([]byte) ([]byte, error) {
	return func(encoded []byte) ([]byte, error) {
		var request R
		if err := P(&request).UnmarshalJSON(encoded); err != nil {
			return nil, err
		}
		answer, err := effect(request)
		if err != nil {
			return nil, err
		}
		return answer.MarshalJSON()
	}
}

// Text is a text.
type Text struct {
	Text string `json:"text" jsonschema:"The text."`
}

func echo(_ exomonad.Context, text Text) (Text, error) { return text, nil }

// Numbers are random numbers.
type Numbers struct {
	Numbers []string `json:"numbers" jsonschema:"The numbers."`
}

func drawNumbers(exomonad.Context, struct{}) (Numbers, error) {
	return Numbers{Numbers: []string{
		strconv.FormatUint(rand.Uint64(), 10),
		strconv.FormatUint(randv2.Uint64(), 10),
	}}, nil
}

// Message is a message.
type Message struct {
	Message string `json:"message" jsonschema:"The message."`
}

func fail(_ exomonad.Context, about Message) (Text, error) { return Text{}, errors.New(about.Message) }

func crash(exomonad.Context, struct{}) (Text, error) { panic("as it was told to") }

func deny(about exomonad.HookInput) (exomonad.HookOutput, error) {
	tool := ""
	var payload struct {
		ToolName string `json:"tool_name"`
	}
	if json.Unmarshal(about.Payload, &payload) == nil {
		tool = payload.ToolName
	}
	return exomonad.Deny(string(about.Event) + " " + tool), nil
}

func firstNote(exomonad.Context) (string, error) { return "the first note", nil }

func note(_ exomonad.Context, variables resource.Variables) (string, error) {
	return "a note about " + variables["name"], nil
}

// GreetPrompt are the arguments of the prompt greet.
type GreetPrompt struct {
	Name string `json:"name" jsonschema:"Whom to greet."`
}

func greetPrompt(_ exomonad.Context, about GreetPrompt) (string, error) {
	return "Greet " + about.Name + ".", nil
}

// Greet is the input of the workflow greet.
type Greet struct {
	Name string `json:"name" jsonschema:"Whom to greet."`
}

// Stage is the state of the workflow greet.
type Stage struct {
	Stage string `json:"stage" jsonschema:"How far it is."`
}

func greet(run *flow.Run[Stage], input Greet) (Text, error) {
	if err := run.SetState(Stage{"begun"}); err != nil {
		return Text{}, err
	}
	name, err := exomonad.ToJSON(input.Name)
	if err != nil {
		return Text{}, err
	}
	if _, err := kv.Set(exomonad.KvSet{Key: "greeted", Value: name}); err != nil {
		return Text{}, err
	}
	if err := run.Sleep(10 * time.Millisecond); err != nil {
		return Text{}, err
	}
	payload, err := flow.WaitSignal[string]("go")
	if err != nil {
		return Text{}, err
	}
	if err := run.SetState(Stage{"done"}); err != nil {
		return Text{}, err
	}
	return Text{"Hello " + input.Name + ", " + payload}, nil
}

func stageOf(stage Stage) (string, error) { return stage.Stage, nil }

// migrate brings a state of version 1, which was the stage alone, to version 2.
func migrate(_ uint32, state json.RawMessage) (Stage, error) {
	var stage string
	err := json.Unmarshal(state, &stage)
	return Stage{stage}, err
}
