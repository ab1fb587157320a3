//go:build wasip1

// Package entry is what the exports of a plugin have in common.
package entry

import (
	"fmt"
	"runtime"
	"strings"

	"exomonad/internal/abi"
)

// Run is the body of an export: from the input of the call to its output. Its result is the export's: 0 for
// success. A panic ends the call with its message and its position.
func Run(body func(input []byte) ([]byte, error)) (code int32) {
	defer func() {
		if reason := recover(); reason != nil {
			abi.SetError("the plugin panicked" + position() + ": " + fmt.Sprint(reason))
			code = 1
		}
	}()
	output, err := body(abi.Input())
	if err != nil {
		abi.SetError(err.Error())
		return 1
	}
	abi.SetOutput(output)
	return 0
}

// position is where the panic began: the first place outside the runtime.
func position() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if frame.File != "" && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf(" at %s:%d", frame.File, frame.Line)
		}
		if !more {
			return ""
		}
	}
}
