//go:build wasip1

package exomonad

import (
	"exomonad/internal/entry"
	_ "exomonad/internal/reseed" // Exports exomonad_reseed.
)

//go:wasmexport handle_list_tools
func handleListTools() int32 { return entry.Run(Registered().HandleListTools) }

//go:wasmexport handle_mcp_call
func handleToolCall() int32 { return entry.Run(Registered().HandleToolCall) }

//go:wasmexport describe
func describe() int32 { return entry.Run(Registered().Describe) }
