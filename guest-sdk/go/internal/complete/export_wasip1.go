//go:build wasip1

package complete

import (
	"exomonad"
	"exomonad/internal/entry"
)

//go:wasmexport handle_complete
func handleComplete() int32 {
	return entry.Run(func(input []byte) ([]byte, error) { return Handle(exomonad.Registered(), input) })
}
