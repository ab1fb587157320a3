package exomonad

import (
	"encoding/json"
	"strings"
)

// ResourceEntry is a plugin's entry for a resource, or for all resources of a template. The package resource
// makes one.
type ResourceEntry struct {
	// The resource as it is listed; of a template, what its resources have in common.
	Resource Resource
	// The template of URIs, such as `notes://{name}`; empty for a resource.
	Template string
	// The resources of a template that there are; nil if they are not listed.
	List func(Context) ([]Resource, error)
	// The function, from a URI and the variables of the template to the contents.
	Read func(context Context, uri string, variables map[string]string) (ReadResourceResult, error)
	// The functions that complete variables, by name.
	Complete map[string]Completer
}

// PromptEntry is a plugin's entry for a prompt. The package prompt makes one.
type PromptEntry struct {
	// The prompt as it is listed.
	Prompt Prompt
	// The function, from the arguments to the messages.
	Get func(context Context, arguments map[string]string) (GetPromptResult, error)
	// The functions that complete arguments, by name.
	Complete map[string]Completer
}

// Completer completes an argument of a prompt or a variable of a template: from its beginning and the other
// arguments to the values that it may become, the best first.
type Completer func(beginning string, others map[string]string) []string

// Among completes a text to those of some values that begin with it.
func Among(values ...string) Completer {
	return func(beginning string, _ map[string]string) []string {
		var found []string
		for _, value := range values {
			if strings.HasPrefix(value, beginning) {
				found = append(found, value)
			}
		}
		return found
	}
}

// WorkflowEntry is a plugin's entry for a workflow. The package flow makes one.
type WorkflowEntry struct {
	// The workflow as it is listed.
	Definition WorkflowDefinition
	// The function, from its input to the end of the run.
	Run func(WorkflowInput) (WorkflowOutcome, error)
	// The functions that answer queries, by name, from the state and the arguments.
	Queries map[string]func(state, arguments json.RawMessage) (json.RawMessage, error)
	// The function that brings a state of an older version to the current one; nil if there is none.
	Migrate func(fromVersion uint32, state json.RawMessage) (json.RawMessage, error)
}
