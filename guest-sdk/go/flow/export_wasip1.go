//go:build wasip1

package flow

import (
	"exomonad"
	"exomonad/internal/entry"
)

//go:wasmexport handle_list_workflows
func handleListWorkflows() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleList(exomonad.Registered(), input) })
}

//go:wasmexport handle_workflow
func handleWorkflow() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleRun(exomonad.Registered(), input) })
}

//go:wasmexport handle_query
func handleQuery() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleQuery(exomonad.Registered(), input) })
}

//go:wasmexport handle_migrate
func handleMigrate() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return HandleMigrate(exomonad.Registered(), input) })
}
