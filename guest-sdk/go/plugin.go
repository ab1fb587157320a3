// Package exomonad is for plugins of exomonad: a plugin decides, the host acts.
//
// A plugin is a package main that registers itself:
//
//	var plugin = exomonad.Register(exomonad.Plugin{
//		Name:    "hello",
//		Version: "0.1.0",
//		Tools: []exomonad.ToolEntry{
//			exomonad.NewTool("greet", "Greets someone, with the current branch.", greet),
//		},
//	})
//
//	func main() {}
//
// The packages git, github, docker, kv, … have a function for each effect. The packages below hooks have a hook
// each; resource, prompt and flow have resources, prompts and workflows. Importing one of these exports its
// entry points from the plugin. The package exomonadtest has a host for tests.
package exomonad

import (
	"fmt"
	"strings"

	"exomonad/internal/abi"
	"exomonad/internal/wire"
)

// sdk names this SDK to the host.
const sdk = "go/0.1.0"

// Plugin is a plugin: all that it offers.
type Plugin struct {
	// Its name.
	Name string
	// Its version.
	Version string
	// Its tools.
	Tools []ToolEntry
	// Its hooks, by the packages below hooks.
	Hooks []HookEntry
	// Its resources, by the package resource.
	Resources []ResourceEntry
	// Its prompts, by the package prompt.
	Prompts []PromptEntry
	// Its workflows, by the package flow.
	Workflows []WorkflowEntry

	// What is asked often, and is the same each time. It is made while the plugin is initialised, so
	// that it is in the snapshot from which every call starts.
	listing []byte
	tools   map[string]*ToolEntry
}

var registered *Plugin

// Register makes a plugin the one of this module. It is called once, while the module is initialised: as the
// value of a variable of the package, or in an init function.
//
// It panics if two tools have a name, or a type has no schema: mistakes of the program, which show when it is
// loaded.
func Register(plugin Plugin) *Plugin {
	registered = &plugin
	plugin.tools = make(map[string]*ToolEntry, len(plugin.Tools))
	list := ListToolsResult{Tools: []Tool{}}
	for at := range plugin.Tools {
		tool := &plugin.Tools[at]
		if plugin.tools[tool.Tool.Name] != nil {
			panic("two tools have the name " + tool.Tool.Name)
		}
		plugin.tools[tool.Tool.Name] = tool
		list.Tools = append(list.Tools, tool.Tool)
	}
	listing, err := wire.Encode(list)
	if err != nil {
		panic(err)
	}
	plugin.listing = listing
	return registered
}

// Registered is the plugin of this module.
func Registered() *Plugin {
	if registered == nil {
		panic("the plugin is not registered: a variable of the package main has to be exomonad.Register(…)")
	}
	return registered
}

// HandleListTools is the output of the export handle_list_tools.
func (p *Plugin) HandleListTools([]byte) ([]byte, error) { return p.listing, nil }

// HandleToolCall is the export handle_mcp_call: from a ToolCallInput to a CallToolResult.
func (p *Plugin) HandleToolCall(input []byte) ([]byte, error) {
	var call ToolCallInput
	if err := wire.Decode(input, &call); err != nil {
		return nil, err
	}
	return wire.Encode(p.CallTool(call))
}

// CallTool calls a tool. A failure is a result, too.
func (p *Plugin) CallTool(call ToolCallInput) CallToolResult {
	tool := p.tools[call.Name]
	if tool == nil {
		names := make([]string, len(p.Tools))
		for at, known := range p.Tools {
			names[at] = known.Tool.Name
		}
		return failedTool(fmt.Errorf("no tool `%s`; there are %s", call.Name, strings.Join(names, ", ")))
	}
	arguments := call.Arguments
	if len(arguments) == 0 {
		arguments = []byte("{}")
	}
	result, err := tool.Call(call.Context, arguments)
	if err != nil {
		return failedTool(err)
	}
	return result
}

// Describe is the output of the export describe. The effects that the plugin needs are those that it imports,
// so no list of them is kept.
func (p *Plugin) Describe([]byte) ([]byte, error) {
	return wire.Encode(PluginDescription{Name: p.Name, Version: p.Version, Sdk: Ptr(sdk)})
}

// HookEntry is a plugin's entry for a hook.
type HookEntry struct {
	// The event.
	Event HookEvent
	// The function that decides.
	Decide func(HookInput) (HookOutput, error)
}

// HandleHook is a hook's export: from a HookInput to a HookOutput.
func (p *Plugin) HandleHook(event HookEvent, input []byte) ([]byte, error) {
	var about HookInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	for _, hook := range p.Hooks {
		if hook.Event == event {
			output, err := hook.Decide(about)
			if err != nil {
				return nil, err
			}
			return wire.Encode(output)
		}
	}
	// Its package is imported, and the hook is not used.
	return wire.Encode(Pass())
}

// Allow proceeds without asking the user.
func Allow() HookOutput { return HookOutput{Decision: HookDecisionAllow} }

// Deny does not proceed, for this reason.
func Deny(reason string) HookOutput {
	return HookOutput{Decision: HookDecisionDeny, Reason: &reason}
}

// Ask asks the user, for this reason.
func Ask(reason string) HookOutput {
	return HookOutput{Decision: HookDecisionAsk, Reason: &reason}
}

// Pass is no decision.
func Pass() HookOutput { return HookOutput{Decision: HookDecisionPass} }

// Config is the value of a key of the role's configuration, and false if there is none. Read while the plugin is
// initialised, it costs the snapshot: every call then initialises the module anew.
func Config(key string) (string, bool) { return abi.Config(key) }

// Variable is the value of a variable. Variables last as long as the sandbox: one call, unless the role has
// pooled instances. What has to last is kept by the package kv.
func Variable(key string) ([]byte, bool) { return abi.Variable(key) }

// SetVariable sets a variable, or removes it if the value is nil.
func SetVariable(key string, value []byte) { abi.SetVariable(key, value) }
