// Package tests tests the SDK as its users see it. A project that has a copy of the SDK leaves this folder out.
package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"exomonad"
	"exomonad/clock"
	"exomonad/docker"
	"exomonad/exomonadtest"
	"exomonad/flow"
	"exomonad/git"
	"exomonad/hooks/pretooluse"
	"exomonad/kv"
	"exomonad/prompt"
	"exomonad/resource"
)

type greetArgs struct {
	Name  string   `json:"name" jsonschema:"The name." minLength:"1"`
	Times uint8    `json:"times,omitempty" jsonschema:"How often." maximum:"3"`
	Tone  *string  `json:"tone" enum:"warm,cold" default:"warm"`
	Also  []string `json:"also,omitempty" maxItems:"2"`
}

type greeting struct {
	Text string `json:"text" jsonschema:"The text."`
}

func greet(_ exomonad.Context, args greetArgs) (greeting, error) {
	found, err := git.GetBranch(exomonad.GitGetBranch{})
	if err != nil {
		return greeting{}, err
	}
	return greeting{"Hello " + args.Name + " on " + *found.Branch}, nil
}

type work struct {
	Items []string `json:"items"`
}

type progress struct {
	Done int `json:"done"`
}

// everything is a workflow that does what there is.
func everything(run *flow.Run[progress], input work) (string, error) {
	run.AddCompensation(func(*flow.Run[progress]) error {
		_, err := kv.Delete(exomonad.KvDelete{Key: "begun"})
		return err
	})
	if _, err := kv.Set(exomonad.KvSet{Key: "begun", Value: json.RawMessage("true")}); err != nil {
		return "", err
	}
	requests := make([]exomonad.DockerExec, len(input.Items))
	for at, item := range input.Items {
		requests[at] = exomonad.DockerExec{Container: item, Command: []string{"true"}}
	}
	outcomes, err := flow.Parallel(docker.Exec, requests)
	if err != nil {
		return "", err
	}
	failures := 0
	for _, outcome := range outcomes {
		if outcome.Failure != nil {
			failures++
		}
	}
	if err := run.SetState(progress{Done: len(outcomes) - failures}); err != nil {
		return "", err
	}
	branch, err := flow.Step(git.GetBranch, exomonad.GitGetBranch{}, flow.Attempts(3), flow.Timeout(time.Minute))
	if err != nil {
		return "", err
	}
	length, err := flow.Child[int]("length", *branch.Branch).Run()
	if err != nil {
		return "", err
	}
	if err := run.Sleep(time.Hour); err != nil {
		return "", err
	}
	by, err := flow.WaitSignalTimeout[string]("approve", 7*24*time.Hour)
	if err != nil {
		return "", err
	}
	if by == nil {
		return "", flow.NewError("not_approved", "nobody has approved")
	}
	now, err := clock.Now(exomonad.ClockNow{})
	return fmt.Sprintf("%s %d %d %s", *by, failures, length, now.ISO8601), err
}

func length(run *flow.Run[flow.None], text string) (int, error) {
	return len(text), run.Sleep(time.Minute)
}

func counting(run *flow.Run[progress], rest int) (int, error) {
	before := progress{}
	if previous := run.PreviousState(); previous != nil {
		before = *previous
	}
	if rest == 0 {
		return before.Done, nil
	}
	if err := run.SetState(progress{before.Done + 1}); err != nil {
		return 0, err
	}
	return 0, run.ContinueAsNew(rest - 1)
}

var calls int

func fickle(run *flow.Run[flow.None], _ flow.None) (flow.None, error) {
	calls++
	return flow.None{}, run.Sleep(time.Duration(calls) * time.Second)
}

var plugin = exomonad.Register(exomonad.Plugin{
	Name:    "test",
	Version: "1.2.3",
	Tools: []exomonad.ToolEntry{
		exomonad.NewTool("greet", "Greets someone.", greet, exomonad.Title("Greet"), exomonad.ReadOnly()),
		exomonad.NewTool("say", "Says a text.", func(exomonad.Context, struct{}) (string, error) { return "<a>", nil }),
		exomonad.NewTool("list", "Lists.", func(exomonad.Context, struct{}) ([]int, error) { return []int{1, 2}, nil }),
	},
	Hooks: []exomonad.HookEntry{pretooluse.Hook(func(about exomonad.HookInput) (exomonad.HookOutput, error) {
		if strings.Contains(string(about.Payload), "rm -rf") {
			return exomonad.Deny("no"), nil
		}
		return exomonad.Pass(), nil
	})},
	Resources: []exomonad.ResourceEntry{
		resource.Template("notes://{name}", "note", "A note.", readNote),
		resource.New("notes://first", "first", "The first.", func(exomonad.Context) (string, error) { return "one", nil }),
	},
	Prompts: []exomonad.PromptEntry{
		prompt.New("ask", "Asks.", func(_ exomonad.Context, about struct {
			Whom string  `json:"whom"`
			How  *string `json:"how"`
		}) (string, error) {
			return "Ask " + about.Whom, nil
		}, prompt.Complete("whom", func(string, map[string]string) []string { return make([]string, 101) })),
	},
	Workflows: []exomonad.WorkflowEntry{
		flow.New("everything", "Does it all.", everything, flow.Signal[string]("approve"),
			flow.QueryWith("plus", func(state progress, more int) (int, error) { return state.Done + more, nil })),
		flow.New("length", "Counts.", length),
		flow.New("counting", "Counts on.", counting, flow.StateVersion(1,
			func(_ uint32, state json.RawMessage) (progress, error) {
				var done int
				err := json.Unmarshal(state, &done)
				return progress{done}, err
			})),
		flow.New("fickle", "Differs.", fickle),
	},
})

func readNote(_ exomonad.Context, variables resource.Variables) (string, error) {
	if variables["name"] == "none" {
		return "", resource.NotFound("notes://none")
	}
	return "about " + variables["name"], nil
}

func onMain(host *exomonadtest.Host) {
	exomonadtest.On(host, func(exomonad.GitGetBranch) (exomonad.GitBranch, error) {
		return exomonad.GitBranch{Head: exomonad.GitHeadBranch, Branch: exomonad.Ptr("main")}, nil
	})
}

func TestAToolPerformsAnEffectAndGivesStructuredContent(t *testing.T) {
	host := exomonadtest.NewHost(t)
	onMain(host)
	result := host.CallTool(plugin, "greet", greetArgs{Name: "Ada"})
	if string(result.StructuredContent) != `{"text":"Hello Ada on main"}` {
		t.Error(string(result.StructuredContent))
	}
	if text := result.Content[0].(exomonad.ContentText).Text; text != `{"text":"Hello Ada on main"}` {
		t.Error(text)
	}
	if len(exomonadtest.Requests[exomonad.GitGetBranch](host)) != 1 {
		t.Error(host.Functions())
	}
}

func TestAFailureIsAResultWithTheMessage(t *testing.T) {
	host := exomonadtest.NewHost(t)
	exomonadtest.On(host, func(exomonad.GitGetBranch) (exomonad.GitBranch, error) {
		return exomonad.GitBranch{}, exomonadtest.Error(exomonad.ErrorCodeForbidden, "not here")
	})
	_, err := git.GetBranch(exomonad.GitGetBranch{})
	if code, failed := exomonad.Failed(err); !failed || code != exomonad.ErrorCodeForbidden {
		t.Error(err)
	}
	result := host.CallTool(plugin, "greet", greetArgs{Name: "Ada"})
	if text := result.Content[0].(exomonad.ContentText).Text; !result.IsError || text != "not here" {
		t.Error(text)
	}
	if result := host.CallTool(plugin, "nothing", nil); !result.IsError {
		t.Error(result)
	}
	for arguments, wanted := range map[string]string{
		`{}`:                      "$.name: missing",
		`{"name":null}`:           "$.name: wanted a value, not null",
		`[]`:                      "$: wanted an object, not a list",
		`{"name":7}`:              "json: cannot unmarshal number",
		`{"name":"a","tone":null`: "wanted a comma or the end of the object",
	} {
		result := plugin.CallTool(exomonad.ToolCallInput{Name: "greet", Arguments: []byte(arguments)})
		if text := result.Content[0].(exomonad.ContentText).Text; !strings.Contains(text, wanted) {
			t.Error(arguments, text)
		}
	}
}

func TestResultsThatAreNoObjectsAreText(t *testing.T) {
	host := exomonadtest.NewHost(t)
	for tool, wanted := range map[string]string{"say": "<a>", "list": "[1,2]"} {
		result := host.CallTool(plugin, tool, struct{}{})
		if text := result.Content[0].(exomonad.ContentText).Text; text != wanted || result.StructuredContent != nil {
			t.Error(result)
		}
	}
}

func TestSchemasComeFromTags(t *testing.T) {
	wanted := `{"type":"object","properties":{` +
		`"name":{"type":"string","description":"The name.","minLength":1},` +
		`"times":{"type":"integer","minimum":0,"description":"How often.","maximum":3},` +
		`"tone":{"type":"string","enum":["warm","cold"],"default":"warm"},` +
		`"also":{"type":"array","items":{"type":"string"},"maxItems":2}},` +
		`"required":["name"],"additionalProperties":false}`
	if schema := string(exomonad.SchemaOf[greetArgs]()); schema != wanted {
		t.Error(schema)
	}
	type tree struct {
		Value time.Time       `json:"value"`
		More  []tree          `json:"more,omitempty"`
		Bytes []byte          `json:"bytes,omitempty"`
		Any   json.RawMessage `json:"any,omitempty"`
		Map   map[string]bool `json:"map,omitempty"`
	}
	wanted = `{"type":"object","properties":{"value":{"type":"string","format":"date-time"},` +
		`"more":{"type":"array","items":{}},"bytes":{"type":"string","contentEncoding":"base64"},"any":{},` +
		`"map":{"type":"object","additionalProperties":{"type":"boolean"}}},` +
		`"required":["value"],"additionalProperties":false}`
	if schema := string(exomonad.SchemaOf[tree]()); schema != wanted {
		t.Error(schema)
	}
}

func TestTheListHasEachToolWithItsSchemas(t *testing.T) {
	encoded, err := plugin.HandleListTools(nil)
	if err != nil {
		t.Fatal(err)
	}
	var list exomonad.ListToolsResult
	if err := json.Unmarshal(encoded, &list); err != nil {
		t.Fatal(err)
	}
	if tool := list.Tools[0]; len(list.Tools) != 3 || *tool.Title != "Greet" || !*tool.Annotations.ReadOnlyHint ||
		tool.OutputSchema == nil || list.Tools[1].OutputSchema != nil {
		t.Errorf("%s", encoded)
	}
}

func TestAnswersMayGrow(t *testing.T) {
	var branch exomonad.GitBranch
	err := json.Unmarshal([]byte(`{"later":[{}],"head":"branch","branch":null}`), &branch)
	if err != nil || branch.Branch != nil || branch.Head != exomonad.GitHeadBranch {
		t.Error(branch, err)
	}
	err = branch.UnmarshalJSON([]byte(`{"head":"tail"}`))
	if err == nil || err.Error() != `$.head: "tail" is no GitHead` {
		t.Error(err)
	}
	var files exomonad.GitDirtyFiles
	err = files.UnmarshalJSON([]byte(`{"files":[{"path":"a","change":"added"},{"path":"b"}]}`))
	if err == nil || err.Error() != "$.files[1].change: missing" {
		t.Error(err)
	}
	var request exomonad.KvGet
	if err := request.UnmarshalJSON([]byte(`{"key":"a","kye":1}`)); err == nil {
		t.Error("a request has an unknown field")
	}
}

func TestUnionsAreInterfaces(t *testing.T) {
	encoded := []byte(`{"payload":{"ref":"main"},"kind":"Against"}`)
	target, err := exomonad.UnmarshalDiffTarget(encoded)
	if against, ok := target.(exomonad.DiffTargetAgainst); err != nil || !ok || against.Payload.Ref != "main" {
		t.Error(target, err)
	}
	if _, err := exomonad.UnmarshalContent([]byte(`{"type":"smell"}`)); err == nil {
		t.Error("no such content")
	}
	if _, err := json.Marshal(exomonad.PromptMessage{Role: exomonad.MessageRoleUser}); err == nil {
		t.Error("a union without a value has no JSON")
	}
}

func TestHooksDecide(t *testing.T) {
	host := exomonadtest.NewHost(t)
	decide := func(command string) exomonad.HookDecision {
		return host.Ask(plugin, exomonad.HookEventPreToolUse, map[string]string{"command": command}).Decision
	}
	if decide("rm -rf /") != exomonad.HookDecisionDeny || decide("ls") != exomonad.HookDecisionPass {
		t.Error("a wrong decision")
	}
}

func TestResourcesAreReadByTheirOwnEntryOrATemplate(t *testing.T) {
	for uri, wanted := range map[string]string{
		"notes://first": "one", "notes://d%C3%A9j%C3%A0": "about déjà",
	} {
		read := resource.Read(plugin, exomonad.ReadResourceInput{URI: uri})
		if len(read.Contents) != 1 || *read.Contents[0].Text != wanted || *read.Contents[0].MimeType != "text/plain" {
			t.Error(uri, read)
		}
	}
	for _, uri := range []string{"notes://none", "notes://a/b", "notes://", "notes://%ff", "other://a"} {
		read := resource.Read(plugin, exomonad.ReadResourceInput{URI: uri})
		if read.Error == nil || read.Error.Code != exomonad.ErrorCodeNotFound {
			t.Error(uri, read)
		}
	}
}

func TestPromptsCheckTheirArguments(t *testing.T) {
	got := prompt.Get(plugin, exomonad.GetPromptInput{Name: "ask", Arguments: map[string]string{"whom": "Ada"}})
	if text := got.Messages[0].Content.(exomonad.ContentText).Text; text != "Ask Ada" || *got.Description != "Asks." {
		t.Error(got)
	}
	got = prompt.Get(plugin, exomonad.GetPromptInput{Name: "ask"})
	if got.Error == nil || got.Error.Code != exomonad.ErrorCodeInvalidInput {
		t.Error(got)
	}
	name := "ask"
	completed := prompt.Completed(plugin, exomonad.CompleteInput{Prompt: &name, Argument: "whom"}).Completion
	if len(completed.Values) != 100 || *completed.Total != 101 || !completed.HasMore {
		t.Error(completed)
	}
}

func TestKeysAndValuesAreListedInPages(t *testing.T) {
	exomonadtest.NewHost(t)
	for _, key := range []string{"a/1", "a/2", "b"} {
		if _, err := kv.Set(exomonad.KvSet{Key: key, Value: json.RawMessage("1")}); err != nil {
			t.Fatal(err)
		}
	}
	one := uint64(1)
	page, err := kv.List(exomonad.KvList{Prefix: "a/", Limit: &one})
	if err != nil || page.Keys[0] != "a/1" || page.Next == nil {
		t.Error(page, err)
	}
	page, err = kv.List(exomonad.KvList{Prefix: "a/", Limit: &one, After: page.Next})
	if err != nil || page.Keys[0] != "a/2" || page.Next != nil {
		t.Error(page, err)
	}
}

func TestAWorkflowRunsInSimulatedTime(t *testing.T) {
	host := exomonadtest.NewHost(t)
	attempts := 0
	exomonadtest.On(host, func(exomonad.GitGetBranch) (exomonad.GitBranch, error) {
		if attempts++; attempts < 3 {
			return exomonad.GitBranch{}, exomonadtest.Error(exomonad.ErrorCodeUnavailable, "away")
		}
		return exomonad.GitBranch{Head: exomonad.GitHeadBranch, Branch: exomonad.Ptr("main")}, nil
	})
	exomonadtest.On(host, func(request exomonad.DockerExec) (exomonad.DockerExecResult, error) {
		if request.Container == "b" {
			return exomonad.DockerExecResult{}, errors.New("broken")
		}
		return exomonad.DockerExecResult{}, nil
	})
	exomonadtest.Takes[exomonad.DockerExec](host, time.Second)
	host.SignalAt(2*time.Hour, "approve", "Ada")
	ended := host.RunWorkflow(plugin, "everything", work{Items: []string{"a", "b", "c"}})
	var output string
	ended.Output(&output)
	// The effects take a second beside each other, the pauses between attempts one and two, and the child a minute.
	if output != "Ada 1 4 2026-01-01T02:00:00.000Z" || ended.Elapsed != 2*time.Hour || string(ended.States[0]) != `{"done":2}` {
		t.Error(output, ended.Elapsed, ended.States)
	}
	if string(host.KV("begun")) != "true" {
		t.Error("what was not undone is gone")
	}
	var sum int
	if err := host.Query(plugin, "everything", "plus", 3, progress{2}, &sum); err != nil || sum != 5 {
		t.Error(sum, err)
	}
}

func TestAFailedOrCancelledRunIsUndone(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		t.Run(fmt.Sprint(cancelled), func(t *testing.T) {
			host := exomonadtest.NewHost(t)
			onMain(host)
			exomonadtest.OnChild(host, "length", time.Minute, func(text string) (int, error) { return len(text), nil })
			if cancelled {
				host.CancelAt(24 * time.Hour)
			}
			ended := host.RunWorkflow(plugin, "everything", work{})
			if ended.IsCancelled() != cancelled || host.KV("begun") != nil {
				t.Error(ended.Outcome, host.KV("begun"))
			}
			if !cancelled && ended.Failure().Code != "not_approved" {
				t.Error(ended.Failure())
			}
		})
	}
}

func TestARunGoesOnAsANewOne(t *testing.T) {
	ended := exomonadtest.NewHost(t).RunWorkflow(plugin, "counting", 3)
	var done int
	if ended.Output(&done); done != 3 || ended.Runs != 4 {
		t.Error(done, ended.Runs)
	}
}

func TestAStateIsMigrated(t *testing.T) {
	var state progress
	err := exomonadtest.NewHost(t).Migrate(plugin, "counting", 0, 7, &state)
	if err != nil || state.Done != 7 {
		t.Error(state, err)
	}
}

func TestAWorkflowThatDiffersFailsTheTest(t *testing.T) {
	failing := &recorder{TB: t}
	func() {
		defer func() { _ = recover() }()
		exomonadtest.NewHost(failing).RunWorkflow(plugin, "fickle", nil)
	}()
	if !strings.Contains(failing.message, "not deterministic") {
		t.Error(failing.message)
	}
}

// recorder keeps the failure of a test.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Fatalf(format string, arguments ...any) {
	r.message = fmt.Sprintf(format, arguments...)
	panic(r.message)
}
