package log

import (
	"encoding/json"

	"exomonad"
)

// A line that cannot be written is dropped: no tool should fail because of it.
func line(level exomonad.LogLevel, message string, fields []Field) {
	request := exomonad.Log{Level: level, Message: message}
	if len(fields) > 0 {
		request.Fields = make(map[string]json.RawMessage, len(fields))
	}
	for _, field := range fields {
		if value, err := exomonad.ToJSON(field.Value); err == nil {
			request.Fields[field.Name] = value
		}
	}
	_, _ = Write(request)
}

// Field is a structured field of a log line.
type Field struct {
	// Its name.
	Name string
	// Its value, any that has JSON.
	Value any
}

// F is a structured field of a log line: log.Info("pushed", log.F("branch", branch)).
func F(name string, value any) Field { return Field{Name: name, Value: value} }

// Trace logs a single step, for tracing.
func Trace(message string, fields ...Field) { line(exomonad.LogLevelTrace, message, fields) }

// Debug logs details for debugging.
func Debug(message string, fields ...Field) { line(exomonad.LogLevelDebug, message, fields) }

// Info logs normal operation.
func Info(message string, fields ...Field) { line(exomonad.LogLevelInfo, message, fields) }

// Warn logs something unexpected that did no harm.
func Warn(message string, fields ...Field) { line(exomonad.LogLevelWarn, message, fields) }

// Error logs a failure.
func Error(message string, fields ...Field) { line(exomonad.LogLevelError, message, fields) }
