//go:build wasip1

package resource

import (
	"exomonad"
	"exomonad/internal/entry"
)

//go:wasmexport handle_list_resources
func handleListResources() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleList(exomonad.Registered(), input) })
}

//go:wasmexport handle_list_resource_templates
func handleListResourceTemplates() int32 {
	return entry.Run(func(input []byte) ([]byte, error) {
		return HandleListTemplates(exomonad.Registered(), input)
	})
}

//go:wasmexport handle_read_resource
func handleReadResource() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleRead(exomonad.Registered(), input) })
}
