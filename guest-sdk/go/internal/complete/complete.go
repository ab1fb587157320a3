// Package complete is what resources and prompts have in common: the completion of their variables and
// arguments. Importing it exports handle_complete from the plugin.
package complete

import (
	"exomonad"
	"exomonad/internal/wire"
)

// most is the number of values that the contract allows.
const most = 100

// Handle is the export handle_complete: from a CompleteInput to a CompleteResult.
func Handle(plugin *exomonad.Plugin, input []byte) ([]byte, error) {
	var about exomonad.CompleteInput
	if err := wire.Decode(input, &about); err != nil {
		return nil, err
	}
	return wire.Encode(Complete(plugin, about))
}

// Complete completes an argument of a prompt, or a variable of a resource.
func Complete(plugin *exomonad.Plugin, about exomonad.CompleteInput) exomonad.CompleteResult {
	values := completer(plugin, about)(about.Value, about.Arguments)
	completion := exomonad.Completion{Values: values}
	if len(values) > most {
		total := uint64(len(values))
		completion = exomonad.Completion{Values: values[:most], Total: &total, HasMore: true}
	}
	return exomonad.CompleteResult{Completion: completion}
}

func completer(plugin *exomonad.Plugin, about exomonad.CompleteInput) exomonad.Completer {
	var found map[string]exomonad.Completer
	for _, prompt := range plugin.Prompts {
		if about.Prompt != nil && prompt.Prompt.Name == *about.Prompt {
			found = prompt.Complete
		}
	}
	for _, resource := range plugin.Resources {
		if about.URITemplate != nil && resource.Template == *about.URITemplate {
			found = resource.Complete
		}
	}
	if completer := found[about.Argument]; completer != nil {
		return completer
	}
	return func(string, map[string]string) []string { return nil }
}
