package exomonad

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// ToolEntry is a plugin's entry for a tool. [NewTool] makes one.
type ToolEntry struct {
	// The tool as it is listed.
	Tool Tool
	// The function, from its arguments' JSON to its result.
	Call func(Context, json.RawMessage) (CallToolResult, error)
}

// ToolOption is something more about a tool.
type ToolOption func(*Tool)

// Title is a display name for people.
func Title(title string) ToolOption { return func(tool *Tool) { tool.Title = &title } }

// Icons are pictures for people, the best first.
func Icons(icons ...Icon) ToolOption { return func(tool *Tool) { tool.Icons = icons } }

// ReadOnly tells that a tool changes nothing.
func ReadOnly() ToolOption {
	return hint(func(hints *ToolAnnotations) **bool { return &hints.ReadOnlyHint })
}

// Destructive tells that a tool may destroy something.
func Destructive() ToolOption {
	return hint(func(hints *ToolAnnotations) **bool { return &hints.DestructiveHint })
}

// Idempotent tells that calling a tool twice has the same effect as calling it once.
func Idempotent() ToolOption {
	return hint(func(hints *ToolAnnotations) **bool { return &hints.IdempotentHint })
}

// OpenWorld tells that a tool interacts with things outside the host.
func OpenWorld() ToolOption {
	return hint(func(hints *ToolAnnotations) **bool { return &hints.OpenWorldHint })
}

func hint(of func(*ToolAnnotations) **bool) ToolOption {
	return func(tool *Tool) {
		if tool.Annotations == nil {
			tool.Annotations = new(ToolAnnotations)
		}
		*of(tool.Annotations) = Ptr(true)
	}
}

// NewTool makes a tool of a function. Models choose tools by the description.
//
// The arguments are a struct, decoded by encoding/json; its fields' tags give the JSON Schema, see [SchemaOf].
// A tool that takes none has struct{}.
//
// A result that is an object in JSON is the result's structured content, and its type the output's schema. A
// string is text; []Content and CallToolResult are taken as they are. An error is a result that tells the model
// what went wrong.
func NewTool[Arguments, Result any](
	name, description string,
	function func(Context, Arguments) (Result, error),
	options ...ToolOption,
) ToolEntry {
	tool := Tool{
		Name:         name,
		Description:  &description,
		InputSchema:  SchemaOf[Arguments](),
		OutputSchema: outputSchemaOf[Result](),
	}
	for _, option := range options {
		option(&tool)
	}
	shape := shapeOf(reflect.TypeFor[Arguments]())
	call := func(context Context, encoded json.RawMessage) (CallToolResult, error) {
		var arguments Arguments
		err := shape.Check(encoded)
		if err == nil {
			err = json.Unmarshal(encoded, &arguments)
		}
		if err != nil {
			return CallToolResult{}, fmt.Errorf("the arguments do not fit: %w", err)
		}
		result, err := function(context, arguments)
		if err != nil {
			return CallToolResult{}, err
		}
		return toolResult(result)
	}
	return ToolEntry{Tool: tool, Call: call}
}

// outputSchemaOf is the schema of a result that is an object, and none of any other.
func outputSchemaOf[Result any]() json.RawMessage {
	switch any(*new(Result)).(type) {
	case CallToolResult, string, []Content:
		return nil
	}
	schema := SchemaOf[Result]()
	if bytes.HasPrefix(schema, []byte(`{"type":"object"`)) {
		return schema
	}
	return nil
}

func toolResult(result any) (CallToolResult, error) {
	switch result := result.(type) {
	case CallToolResult:
		return result, nil
	case string:
		return CallToolResult{Content: []Content{ContentText{Text: result}}}, nil
	case []Content:
		return CallToolResult{Content: result}, nil
	}
	encoded, err := ToJSON(result)
	if err != nil {
		return CallToolResult{}, fmt.Errorf("the result has no JSON: %w", err)
	}
	// For models that read text alone, the text is the same.
	content := []Content{ContentText{Text: string(encoded)}}
	if encoded[0] != '{' {
		return CallToolResult{Content: content}, nil
	}
	return CallToolResult{Content: content, StructuredContent: encoded}, nil
}

func failedTool(err error) CallToolResult {
	return CallToolResult{Content: []Content{ContentText{Text: err.Error()}}, IsError: true}
}

// ResultOfWorkflow is the result that a run of a workflow will have: the host waits for its end, or gives the
// client a task.
func ResultOfWorkflow(workflowID string) CallToolResult {
	return CallToolResult{WorkflowID: &workflowID}
}

// ToJSON is the JSON of any value, as encoding/json writes it but for letters that only web pages have to
// escape.
func ToJSON(value any) (json.RawMessage, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buffer.Bytes(), "\n"), nil
}
