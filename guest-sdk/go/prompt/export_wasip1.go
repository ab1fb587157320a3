//go:build wasip1

package prompt

import (
	"exomonad"
	"exomonad/internal/entry"
)

//go:wasmexport handle_list_prompts
func handleListPrompts() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleList(exomonad.Registered(), input) })
}

//go:wasmexport handle_get_prompt
func handleGetPrompt() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleGet(exomonad.Registered(), input) })
}
